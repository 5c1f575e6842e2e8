//! DNS over UDP: one thread for each socket reads a batch of datagrams, answers at once what needs no waiting, asks upstreams
//! for the rest, and sends the answers as a batch.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::metrics::{DropReason, Family, Ledger, Metrics, Worker};
use crate::policy::Ahead;
use crate::policy::Entrance;
use crate::socket::{BATCH, Datagram, Incoming, Local, Outgoing, is_dead, send_now, thrown_away, udp_again};
use crate::time::{Mono, Now};
use crate::wire::{PAYLOAD, Query, Transport};

use super::client::Client;
use super::door::Door;
use super::ending::Sent;
use super::forwarder::Waiter;
use super::guard::View;
use super::misses::{Misses, Reading};
use super::next::Next;
use super::pipeline::Unanswered;
use super::room::Permit;
use super::waiting::{Finish, Waiting};

/// The kernel's count of lost datagrams is looked at this often.
const OVERFLOW_EVERY: Duration = Duration::from_secs(1);

/// What a listener's thread needs.
pub(super) struct Listener<N> {
    pub(super) door: Arc<Door<N>>,
    pub(super) socket: Arc<UdpSocket>,
    /// Where it is bound.
    pub(super) address: SocketAddr,
    /// Where queries that have to wait go on.
    pub(super) runtime: Handle,
}

/// What holds for a whole batch.
struct Batch<'w> {
    worker: &'w Worker,
    view: View,
    now: Now,
    /// By what door a datagram came that was sent to the bound address.
    bound: Entrance,
}

impl<N: Next> Listener<N> {
    /// Reads the socket until the door stops. One that dies is bound anew.
    pub(super) fn listen(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.read_all())) {
                Ok(None) => return,
                Ok(Some(error)) => {
                    tracing::error!(address = %self.address, %error, "A UDP listener died; it is bound anew.");
                    self.door.metrics().connections.rebound.inc();
                    let Some(again) = self.rebind() else { return };
                    tracing::info!(address = %self.address, "A UDP listener is bound again.");
                    self.socket = Arc::new(again);
                }
                // A fault that is no single query's costs the questions that were open here, which end as shed, and not the
                // thread: without it nobody would read this socket.
                Err(_panic) => std::thread::sleep(super::RETRY_AFTER),
            }
        }
    }

    /// Binds the address as soon as it can be; `None` once the door stops.
    fn rebind(&self) -> Option<UdpSocket> {
        while !self.door.stop.is_cancelled() {
            match udp_again(&self.socket, self.address, super::LOOK_UP) {
                Ok(socket) => return Some(socket),
                Err(_error) => std::thread::sleep(super::RETRY_AFTER),
            }
        }
        None
    }

    /// Reads until the door stops, or until the socket dies, which is the error returned.
    fn read_all(&self) -> Option<io::Error> {
        let worker = self.door.worker();
        let (mut incoming, mut ahead, mut outgoing) = (Incoming::new(), Ahead::default(), Outgoing::new());
        // Room for every answer of a batch from the first one on, so that none is ever allocated.
        (0..BATCH).for_each(|_answer| outgoing.give_back(Vec::with_capacity(PAYLOAD.into())));
        let mut misses = Misses::new(&self.door, &self.socket, &self.runtime);
        // What was thrown away before is no loss of this reader's.
        let counted = thrown_away(&self.socket).unwrap_or_default();
        let mut overflow = Overflow { counted, ..Overflow::default() };
        let (mut now, mut died) = (self.door.now(), None);
        while died.is_none() && !self.door.stop.is_cancelled() {
            let read = match misses.wait(now.mono) {
                Reading::Not => None,
                Reading::AtOnce => Some(incoming.receive_now(&self.socket)),
                Reading::Waiting => Some(incoming.receive(&self.socket)),
            };
            now = match read {
                Some(Ok(count)) => self.answer_all(&worker, count, &incoming, &mut ahead, &mut outgoing, &mut misses),
                Some(Err(error)) if is_dead(&error) => {
                    died = Some(error);
                    self.door.now()
                }
                // An ICMP error of an earlier response comes back here; it is that client's affair.
                Some(Err(error)) if !passing(&error) => {
                    tracing::warn!(%error, "A UDP socket could not be read.");
                    std::thread::sleep(super::RETRY_AFTER);
                    self.door.now()
                }
                Some(Err(_)) | None => self.door.now(),
            };
            misses.answer(now.mono);
            overflow.count_if_due(&self.socket, self.door.metrics(), now);
        }
        misses.leave(now.mono);
        overflow.count(&self.socket, self.door.metrics(), now);
        died
    }

    /// Answers a batch; returns the moment at which its responses were sent.
    fn answer_all<'w>(
        &self,
        worker: &'w Worker,
        count: usize,
        incoming: &Incoming,
        ahead: &mut Ahead,
        outgoing: &mut Outgoing<Sent<&'w Worker>>,
        misses: &mut Misses,
    ) -> Now {
        let bound = Entrance::UNKNOWN.at(self.address);
        let batch = Batch { worker, view: self.door.view(), now: self.door.now(), bound };
        // What comes alone has nobody to wait together with.
        if let Some(in_force) = batch.view.in_force.as_ref().filter(|_rules| count > 1) {
            in_force.policy.look_ahead(incoming.all_octets().filter_map(Query::name_in), ahead);
        }
        for slot in 0..count {
            // A source that is no address of the Internet can't be on these sockets.
            let Some(datagram) = incoming.datagram(slot) else { continue };
            // A query that makes the server panic costs itself and not the thread: its ledger counts it as dropped.
            let mut spare = outgoing.spare();
            let answer = || self.answer_one(&batch, &datagram, &mut spare, misses);
            let answered = catch_unwind(AssertUnwindSafe(answer));
            outgoing.give_back(spare);
            if let Ok(Some((message, sent))) = answered {
                outgoing.push(message, Some(datagram.source), datagram.local, sent);
            }
        }
        let now = self.door.now();
        outgoing.send(&self.socket, |sent, taken| sent.end_datagram(taken, now.mono));
        now
    }

    /// The address and port that a datagram was sent to.
    fn asked(&self, local: Local) -> SocketAddr {
        match local {
            Local::Bound => self.address,
            Local::V4(address) => SocketAddr::new(address.into(), self.address.port()),
            Local::V6(address, _interface) => SocketAddr::new(address.into(), self.address.port()),
        }
    }

    /// Answers one datagram, or has it wait for its answer, or drops it.
    fn answer_one<'w>(
        &self,
        batch: &Batch<'w>,
        datagram: &Datagram<'_>,
        spare: &mut Vec<u8>,
        misses: &mut Misses,
    ) -> Option<(Vec<u8>, Sent<&'w Worker>)> {
        let mut client = Client::new(datagram.source, Transport::Udp).by(match datagram.local {
            Local::Bound => batch.bound,
            local => Entrance::UNKNOWN.at(self.asked(local)),
        });
        let asked = batch.view.admission.unwrap(&mut client, datagram.octets);
        let mut ledger = batch.worker.received(Transport::Udp, Family::of(client.address()), batch.now.mono);
        // Nobody can be answered at port 0, and such a source is forged.
        if datagram.source.port() == 0 {
            ledger.dropped(DropReason::NotServed);
            return None;
        }
        let Ok(octets) = asked else {
            ledger.dropped(DropReason::ProxyHeader);
            return None;
        };
        let datagram = &Datagram { octets, ..*datagram };
        let ending = match self.door.at_once(&batch.view, datagram.octets, &client, &mut ledger, batch.now, spare) {
            Ok(ending) => ending,
            Err(unanswered) => match self.door.permit(&unanswered.client) {
                Ok(permit) => {
                    self.wait(batch, datagram, unanswered, (ledger.keep(), permit), misses);
                    return None;
                }
                Err(full) => self.door.shed(datagram.octets, &unanswered, full),
            },
        };
        ending.into_response(ledger)
    }

    /// Has a query wait for its answer.
    fn wait(
        &self,
        batch: &Batch<'_>,
        datagram: &Datagram<'_>,
        unanswered: Unanswered,
        (ledger, permit): (Ledger, Permit),
        misses: &mut Misses,
    ) {
        let client = unanswered.client;
        let (Some(forwarder), Ok(query)) = (self.door.forwarder(), Query::read(datagram.octets)) else {
            return self.carry(datagram, unanswered, ledger, permit);
        };
        if forwarder.tailors(&query, &client).is_some() {
            return self.carry(datagram, unanswered, ledger, permit);
        }
        self.door.begin(&unanswered, &query);
        let waiting = Box::new(Waiting {
            octets: datagram.octets.into(),
            unanswered,
            source: datagram.source,
            local: datagram.local,
            socket: Arc::clone(&self.socket),
            ledger,
            permit,
            owed: self.door.tasks.token(),
            finish: Arc::clone(&self.door) as Arc<dyn Finish>,
        });
        match forwarder.join(&query, &client, Waiter::Datagram(waiting), batch.now.mono) {
            Ok(None) => (),
            Ok(Some(flight)) => misses.ask(forwarder, &query, flight, batch.now.mono),
            Err((waiter, failure)) => misses.refuse(waiter, failure, batch.now.mono),
        }
    }

    /// Goes on with a query in a task of its own.
    fn carry(&self, datagram: &Datagram<'_>, unanswered: Unanswered, ledger: Ledger, permit: Permit) {
        let (door, socket) = (Arc::clone(&self.door), Arc::clone(&self.socket));
        let (octets, source, local) = (datagram.octets.to_vec(), datagram.source, datagram.local);
        let answer = async move {
            let ending = door.carry(&octets, &unanswered).await;
            if let Some((message, sent)) = ending.into_response(ledger) {
                // To the source as it came: a link-local one names its interface.
                let taken = send_now(&socket, &message, source, local).is_ok();
                sent.end_datagram(taken, door.now().mono);
            }
            drop(permit);
        };
        self.door.tasks.spawn_on(answer, &self.runtime);
    }
}

/// Datagrams that the kernel threw away because nobody read them in time, brought into the metrics once a second.
#[derive(Default)]
struct Overflow {
    counted: u32,
    looked: Mono,
}

impl Overflow {
    fn count_if_due(&mut self, socket: &UdpSocket, metrics: &Metrics, now: Now) {
        if now.mono.since(self.looked) >= OVERFLOW_EVERY {
            self.count(socket, metrics, now);
        }
    }

    fn count(&mut self, socket: &UdpSocket, metrics: &Metrics, now: Now) {
        self.looked = now.mono;
        // A socket that died says nothing any more.
        if let Some(total) = thrown_away(socket) {
            // The kernel's count is of 32 bits and goes round.
            metrics.dns.receive_overflow.add(u64::from(total.wrapping_sub(self.counted)));
            self.counted = total;
        }
    }
}

/// Whether a read error says nothing about the socket itself, or only that nothing came.
fn passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}
