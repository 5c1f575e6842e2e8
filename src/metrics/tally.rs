//! Who counts: a worker in a block that is its own, everything else in the one that is shared.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Metrics;
use super::block::Block;
use super::place::Place;

/// One who counts what happens on the way of a query.
pub trait Tally: Sized {
    /// Adds `count` at `place`.
    fn add(&self, place: Place, count: u64);

    /// A query for which the cache is asked.
    fn cache_request(&self) {
        self.add(Place::CACHE_REQUESTS, 1);
    }

    /// A query that is answered with a failure that the cache keeps; it counts as answered from the cache too.
    fn cache_failure_hit(&self) {
        self.add(Place::CACHE_FAILURE_HITS, 1);
    }

    /// A query that is answered from the cache: fresh, stale, or with a failure.
    fn cache_hit(&self) {
        self.add(Place::CACHE_HITS, 1);
    }

    /// A response that is cut down because its client was sent much lately.
    fn rate_limited(&self) {
        self.add(Place::RATE_LIMITED, 1);
    }

    /// An attempt that is given to the journal.
    fn journal_event(&self) {
        self.add(Place::JOURNAL_EVENTS, 1);
    }
}

impl Tally for Metrics {
    #[inline]
    fn add(&self, place: Place, count: u64) {
        self.blocks.shared.counter(place).fetch_add(count, Ordering::Relaxed);
    }
}

/// A thread that counts much. Its counts stay when it ends.
///
/// It may be sent to the thread that it is for, but not shared or cloned: nobody else writes its block, so that a count is a
/// load and a store and no other processor waits for it.
///
/// ```compile_fail
/// # use std::sync::Arc;
/// # use embargo::metrics::{Metrics, Tally};
/// let worker = Arc::new(Metrics::new()).worker();
/// std::thread::scope(|scope| {
///     scope.spawn(|| worker.cache_hit()); // `Worker` is not `Sync`
/// });
/// ```
#[derive(Debug)]
pub struct Worker {
    pub(super) metrics: Arc<Metrics>,
    block: Arc<Block>,
    alone: PhantomData<Cell<()>>,
}

impl Metrics {
    /// A block of counters for a thread that counts much.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker { metrics: Arc::clone(self), block: self.blocks.begin(), alone: PhantomData }
    }
}

impl Tally for Worker {
    #[inline]
    fn add(&self, place: Place, count: u64) {
        let counter = self.block.counter(place);
        // Nobody writes between the two.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.metrics.blocks.end(&self.block);
    }
}
