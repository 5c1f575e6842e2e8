//! The questions that a listener's thread asks upstreams by itself, and the answers that it sends once they are answered.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::metrics::DropReason;
use crate::socket::Outgoing;
use crate::time::Mono;
use crate::upstream::{Outside, ResponseRef, Unsettled};
use crate::wire::Query;

use super::LOOK_UP;
use super::door::Door;
use super::ending::Sent;
use super::forwarder::{Flight, Shared, Waiter, question_of};
use super::next::{Failure, Next};
use super::waiting::Asked;

/// One thread's questions.
pub(super) struct Misses {
    /// `None` when the system has no descriptor left for it: then every question is asked by a task.
    outside: Option<Outside<Flight>>,
    crew: Crew,
}

/// How the client's socket is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing came for it.
    Not,
    /// Something came, which another reader of the same socket may have taken; upstreams are not to wait for that.
    AtOnce,
    /// Nothing else can come.
    Waiting,
}

/// What takes over when something is heard.
struct Crew {
    socket: Arc<UdpSocket>,
    runtime: Handle,
    late: Outgoing<Sent>,
}

impl Misses {
    /// Without questions yet; answers leave by `socket`.
    pub(super) fn new<N: Next>(door: &Door<N>, socket: &Arc<UdpSocket>, runtime: &Handle) -> Self {
        let outside = door.forwarder().and_then(|_forwarder| match Outside::new(Arc::clone(socket)) {
            Ok(outside) => Some(outside),
            Err(error) => {
                tracing::warn!(%error, "A UDP thread can't ask upstreams by itself; its questions take the longer way.");
                None
            }
        });
        let (socket, runtime) = (Arc::clone(socket), runtime.clone());
        Self { outside, crew: Crew { socket, runtime, late: Outgoing::new() } }
    }

    /// How the client's socket is to be read now, when something came for it or for us, or nothing did for some time.
    pub(super) fn wait(&mut self, now: Mono) -> Reading {
        let Some(outside) = self.outside.as_mut().filter(|outside| outside.open() > 0) else { return Reading::Waiting };
        let at_most = outside.next_expiry().map_or(LOOK_UP, |expiry| expiry.since(now)).min(LOOK_UP);
        match outside.wait(at_most) {
            Ok(true) => Reading::AtOnce,
            Ok(false) => Reading::Not,
            // Where waiting fails the client's socket is read, which waits too.
            Err(_failed) => Reading::Waiting,
        }
    }

    /// Asks upstreams; the question leaves with the next [`Misses::answer`].
    pub(super) fn ask(&mut self, forwarder: &Shared, query: &Query<'_>, flight: Flight, now: Mono) {
        let upstreams = forwarder.upstreams(query.name.wire(), query.qtype);
        let flight = match &mut self.outside {
            Some(outside) if !flight.is_validated() => match outside.ask(&upstreams, question_of(query), flight, now) {
                Ok(()) => return,
                Err(flight) => flight,
            },
            Some(_) | None => flight,
        };
        self.crew.exchange(flight, None);
    }

    /// Sends questions, and answers what upstreams have said since.
    pub(super) fn answer(&mut self, now: Mono) {
        let crew = &mut self.crew;
        if let Some(outside) = &mut self.outside {
            if outside.open() > 0 {
                outside.flush(now, |flight, heard| crew.take(flight, heard, now));
                outside.receive(now, |flight, heard| crew.take(flight, heard, now));
            }
            // Also when nothing is open: sockets that have had their time are closed by it.
            outside.expire(now, |flight, heard| crew.take(flight, heard, now));
        }
        crew.send(now);
    }

    /// Ends a query for which nobody is asked; its answer leaves with the next [`Misses::answer`].
    pub(super) fn refuse(&mut self, waiter: Waiter, failure: Failure, now: Mono) {
        self.crew.end(waiter, Err(failure), now);
    }

    /// Leaves every question that has no answer yet to a task.
    pub(super) fn leave(mut self, now: Mono) {
        let Some(outside) = &mut self.outside else { return };
        let crew = &mut self.crew;
        outside.give_up(now, |flight, heard| crew.take(flight, heard, now));
        crew.send(now);
    }
}

impl Crew {
    /// Takes in what an upstream said, or did not say.
    fn take(&mut self, mut flight: Flight, heard: Result<ResponseRef<'_>, Unsettled>, now: Mono) {
        let response = match heard {
            Ok(response) => response,
            Err(unsettled) => return self.exchange(flight, Some(unsettled)),
        };
        let keep = || flight.keep(response.message, response.layout, response.authentic, now);
        // A response that makes the server panic costs its question and not the thread.
        let asked = catch_unwind(AssertUnwindSafe(keep)).unwrap_or(Err(Failure::Fault));
        for waiter in flight.land(&asked) {
            self.end(waiter, asked.clone(), now);
        }
    }

    /// Leaves a question to a task, which knows about other upstreams and transports. It may go on when all who wait have been
    /// told, so the end of the server waits for them and not for it.
    fn exchange(&self, flight: Flight, tried: Option<Unsettled>) {
        drop(self.runtime.spawn(flight.exchange(tried)));
    }

    /// Ends one who waited: with the others if its answer leaves by our socket.
    fn end(&mut self, waiter: Waiter, asked: Asked, now: Mono) {
        let waiting = match waiter {
            Waiter::Datagram(waiting) if Arc::ptr_eq(&waiting.socket, &self.socket) => *waiting,
            other => return other.tell(asked),
        };
        let mut spare = self.late.spare();
        let ending = waiting.ending(asked, &mut spare);
        self.late.give_back(spare);
        let Some(ending) = ending else { return waiting.ledger.dropped(DropReason::Fault) };
        let Some((message, sent)) = ending.into_response(waiting.ledger) else { return };
        self.late.push(message, Some(waiting.source), waiting.local, sent);
        if self.late.is_full() {
            self.send(now);
        }
    }

    fn send(&mut self, now: Mono) {
        self.late.send(&self.socket, |sent, taken| sent.end_datagram(taken, now));
    }
}
