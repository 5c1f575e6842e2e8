//! From octets to the pipeline and back: what UDP and TCP share.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::metrics::{DropReason, Family, Ledger, Metrics, Tally, Worker};
use crate::time::Now;
use crate::wire::{PAYLOAD, Query};

use super::client::Client;
use super::ending::Ending;
use super::forwarder::{Forwarder, Shared};
use super::guard::View;
use super::handler::unfit_ending;
use super::next::{Failure, Found, Next};
use super::pipeline::{Embargo, Unanswered};
use super::room::{Permit, Room};
use super::stream::Carried;
use super::waiting::{Asked, Finish};

/// Octets of large responses that may wait to be taken at a time, by all clients of streams together. Else a client that asks
/// for much and takes nothing could have each of its connections hold some megabytes.
const UNTAKEN_MAX: usize = 64 << 20;

/// What every listener of ours shares.
#[derive(Debug)]
pub(super) struct Door<N> {
    handler: Embargo<N>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// For queries that wait for an answer; when there is no room, they are shed and counted.
    room: Arc<Room>,
    /// For octets of large responses that wait to be taken.
    untaken: Arc<Room>,
    /// Cancelled when nothing more is to be read.
    pub(super) stop: CancellationToken,
    /// Every task that still owes a client an answer, and every listener.
    pub(super) tasks: TaskTracker,
    /// Who goes on with the connections that are open when the door stops, if somebody does.
    pub(super) heir: Arc<Heir>,
}

/// Where connections go when the door stops; empty: they end.
pub(super) type Heir = OnceLock<mpsc::Sender<Carried>>;

/// How far a message came without waiting.
#[derive(Debug)]
pub(super) enum Begun {
    /// To its end.
    Ended(Ending),
    /// Its answer has to be asked for, by whoever has the right to wait.
    Waits(Unanswered, Permit),
}

impl<N: Next> Door<N> {
    /// A door to `handler` that lets `waiting_max` queries wait at a time.
    pub(super) fn new(
        handler: Embargo<N>,
        metrics: Arc<Metrics>,
        clock: Clock,
        waiting_max: usize,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let (room, untaken) = (Room::new(waiting_max), Room::new(UNTAKEN_MAX));
        Self { handler, metrics, clock, room, untaken, stop, tasks, heir: Arc::default() }
    }

    /// Opens the ledger of a message just read.
    pub(super) fn opened(&self, client: &Client) -> Ledger {
        self.metrics.received(client.transport, Family::of(client.address()), self.clock.now().mono)
    }

    /// The right of a client to wait for an answer.
    ///
    /// # Errors
    /// Why it may not, for [`Door::shed`].
    pub(super) fn permit(&self, client: &Client) -> Result<Permit, Failure> {
        self.room.permit(client.address()).map_err(Failure::from)
    }

    /// Where listeners count.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A block of counters for a listener's thread, of the metrics that the guard's attempts count in.
    pub(super) fn worker(&self) -> Worker {
        self.handler.guard.metrics().worker()
    }

    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// What is in force now.
    pub(super) fn view(&self) -> View {
        self.handler.guard.view()
    }

    /// Answers one message if nothing has to be waited for; `room` is a buffer for the response, taken only if there is one.
    /// An error: the message is a query that is to be carried, or to wait.
    pub(super) fn at_once<M: Deref<Target: Tally>>(
        &self,
        view: &View,
        message: &[u8],
        client: &Client,
        ledger: &mut Ledger<M>,
        now: Now,
        room: &mut Vec<u8>,
    ) -> Result<Ending, Unanswered> {
        let mut query = Query::unread(message);
        if let Err(unfit) = query.read_in_place() {
            let in_force = (&*self.handler.guard, view);
            return Ok(unfit_ending(ledger.tally(), in_force, message, unfit, client, now));
        }
        ledger.asked(query.qtype);
        self.handler.at_once(ledger.tally(), view, &query, client, now, room)
    }

    /// Answers one message if nothing has to be waited for, else gives it back, with the right to wait, to whoever then carries
    /// it. A query for which there is no room ends here, and so does one that makes the server panic, which costs nobody else.
    pub(super) fn at_once_or_permit(&self, message: &[u8], client: &Client, ledger: &mut Ledger) -> Begun {
        let at_once = catch_unwind(AssertUnwindSafe(|| {
            self.at_once(&self.view(), message, client, ledger, self.now(), &mut Vec::new())
        }));
        let unanswered = match at_once {
            Ok(Ok(ending)) => return Begun::Ended(ending),
            Ok(Err(unanswered)) => unanswered,
            Err(_panic) => return Begun::Ended(Ending::Silence(DropReason::Fault)),
        };
        match self.permit(&unanswered.client) {
            Ok(permit) => Begun::Waits(unanswered, permit),
            Err(full) => Begun::Ended(self.shed(message, &unanswered, full)),
        }
    }

    /// Answers one message, however long that takes, where whoever brought it has nothing else to wait for.
    pub(super) async fn answer(&self, message: &[u8], client: Client, ledger: &mut Ledger) -> Ending {
        match self.at_once_or_permit(message, &client, ledger) {
            Begun::Ended(ending) => ending,
            Begun::Waits(unanswered, _permit) => self.carry(message, &unanswered).await,
        }
    }

    /// Records what a message was about that breaks the rules of its transport, and gets no response.
    pub(super) fn record_only(&self, message: &[u8], client: &Client, ledger: &mut Ledger) {
        let recorded = catch_unwind(AssertUnwindSafe(|| {
            let at_once = self.at_once(&self.view(), message, client, ledger, self.now(), &mut Vec::new());
            if let (Err(unanswered), Ok(query)) = (at_once, Query::read(message)) {
                self.begin(&unanswered, &query);
            }
        }));
        drop(recorded);
    }

    /// The response to a client of a stream, which may take its time to take it, and the right to keep it until then. Instead
    /// of a large one for which there is no room it is SERVFAIL.
    pub(super) fn keep_for(&self, ending: Ending, message: &[u8], client: &Client) -> (Ending, Option<Permit>) {
        let size = match &ending {
            Ending::Response { message, .. } if message.len() > usize::from(PAYLOAD) => message.len(),
            _ => return (ending, None),
        };
        match (self.untaken.permit_many(client.address(), size), Query::read(message)) {
            (Ok(permit), _) => (ending, Some(permit)),
            (Err(full), Ok(query)) => (self.handler.unkept(&query, client, full.into()), None),
            // No response to anything else is large.
            (Err(_full), Err(_unfit)) => (Ending::Silence(DropReason::Fault), None),
        }
    }

    /// Records what a query was about that nobody has time for, and ends it by what is at hand, or by SERVFAIL.
    pub(super) fn shed(&self, message: &[u8], unanswered: &Unanswered, full: Failure) -> Ending {
        match Query::read(message) {
            Ok(query) => self.handler.shed(unanswered, &query, full),
            // Only a query comes here.
            Err(_unfit) => Ending::Silence(DropReason::Fault),
        }
    }

    /// Records a query whose answer is asked for.
    pub(super) fn begin(&self, unanswered: &Unanswered, query: &Query<'_>) {
        self.handler.begin(unanswered, query);
    }

    /// Who asks for what is not known, if it is our own forwarder.
    pub(super) fn forwarder(&self) -> Option<&Arc<Shared>> {
        self.handler.next.forwarder().map(Forwarder::shared)
    }

    /// Goes on with a query for as long as its answer takes; says how it ended. As it was read at first, not by hickory's
    /// `Request`, which refuses options and records that others may send and that nobody here looks at.
    pub(super) async fn carry(&self, message: &[u8], unanswered: &Unanswered) -> Ending {
        match Query::read(message) {
            Ok(query) => self.handler.go_on(unanswered, &query).await,
            // Only a query comes here.
            Err(_unfit) => Ending::Silence(DropReason::Fault),
        }
    }
}

impl<N: Next> Finish for Door<N> {
    fn finish(&self, query: &Query<'_>, unanswered: &Unanswered, asked: Asked, room: &mut Vec<u8>) -> Ending {
        self.handler.finish(unanswered, query, asked.map(Found::kept), room)
    }

    fn now(&self) -> Now {
        self.clock.now()
    }
}
