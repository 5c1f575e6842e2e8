//! The ledger in which every message read ends exactly once.

use std::ops::Deref;
use std::sync::Arc;

use super::Metrics;
use super::labels::{DropReason, Family, Outcome, QTYPE_NONE, qtype_index, rcode_index};
use super::latency;
use super::place::Place;
use super::tally::{Tally, Worker};
use crate::time::Mono;
use crate::wire::Transport;

/// One message read, until it is answered or dropped.
///
/// It counts the request once and its end once, whatever happens: a `Ledger` that is dropped without an end (its task
/// was aborted, its connection closed) is a request that ended as `client_gone`, or as `fault` if its code panicked.
/// `M` is who counts: a worker by reference, for a message that is answered before its thread goes on, or the metrics by a
/// count of their own, to outlive its reader.
#[derive(Debug)]
#[must_use = "a ledger that is not used counts its query as dropped"]
pub struct Ledger<M: Deref<Target: Tally> = Arc<Metrics>> {
    tally: M,
    start: Mono,
    transport: Transport,
    family: Family,
    asked: bool,
    ended: bool,
}

impl Metrics {
    /// Opens the ledger of one message, read at `start`, before anything about it is checked.
    pub fn received(self: &Arc<Self>, transport: Transport, family: Family, start: Mono) -> Ledger {
        Ledger { tally: Arc::clone(self), start, transport, family, asked: false, ended: false }
    }
}

impl Worker {
    /// The same on this worker's thread.
    #[inline]
    pub fn received(&self, transport: Transport, family: Family, start: Mono) -> Ledger<&Self> {
        Ledger { tally: self, start, transport, family, asked: false, ended: false }
    }
}

impl Ledger<&Worker> {
    /// Hands the entry to whoever answers later; it still counts once.
    pub fn keep(mut self) -> Ledger {
        let (start, transport, family, asked) = (self.start, self.transport, self.family, self.asked);
        (self.asked, self.ended) = (true, true);
        Ledger { tally: Arc::clone(&self.tally.metrics), start, transport, family, asked, ended: false }
    }
}

impl<M: Deref<Target: Tally>> Ledger<M> {
    /// Who counts for this message.
    pub fn tally(&self) -> &M::Target {
        &self.tally
    }

    /// Counts the request under its query type. Only the first call counts; without one the type is `none`.
    #[inline]
    pub fn asked(&mut self, qtype: u16) {
        self.count_request(qtype_index(qtype));
    }

    /// Ends as a response that was handed to the kernel at `now`; `rcode` is the extended one (RFC 6891 §6.1.3).
    #[inline]
    pub fn responded(mut self, outcome: Outcome, rcode: u16, now: Mono) {
        self.count_request(QTYPE_NONE);
        self.ended = true;
        let micros = now.0.saturating_sub(self.start.0);
        self.tally.add(Place::response(outcome, rcode_index(rcode)), 1);
        self.tally.add(Place::bucket(outcome, latency::bucket(micros)), 1);
        self.tally.add(Place::micros(outcome), micros);
    }

    /// Ends without a response.
    pub fn dropped(mut self, reason: DropReason) {
        self.end_dropped(reason);
    }

    #[inline]
    fn count_request(&mut self, qtype: usize) {
        if !self.asked {
            self.asked = true;
            self.tally.add(Place::request(self.transport, self.family, qtype), 1);
        }
    }

    fn end_dropped(&mut self, reason: DropReason) {
        self.count_request(QTYPE_NONE);
        self.ended = true;
        self.tally.add(Place::dropped(reason), 1);
    }
}

impl<M: Deref<Target: Tally>> Drop for Ledger<M> {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            let fault = std::thread::panicking();
            self.end_dropped(if fault { DropReason::Fault } else { DropReason::ClientGone });
        }
    }
}
