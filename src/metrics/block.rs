//! Blocks of counters: one for each worker, which alone writes it, and one that everything else shares. The page shows
//! their sums.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::place::{FIXED, Place};

/// Counts in a line.
const LINE: usize = 16;
/// Counts in the first growth of a block; each further one holds twice as many. A power of two.
const FIRST: usize = 512;
/// Growths at most: more counts than memory can hold.
const GROWTHS: usize = 32;

/// Counts that share no cache line with anything else: two lines of 64 octets, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([AtomicU64; LINE]);

/// One counter for each place.
#[derive(Debug)]
pub(super) struct Block {
    fixed: [Line; FIXED.div_ceil(LINE)],
    /// Counters of the policy's series: made when the first of them counts, since most blocks never see most series.
    later: [OnceLock<Box<[Line]>>; GROWTHS],
}

impl Block {
    fn new() -> Self {
        Self { fixed: std::array::from_fn(|_| Line::default()), later: [const { OnceLock::new() }; GROWTHS] }
    }

    /// The counter at `place`.
    #[inline]
    pub(super) fn counter(&self, place: Place) -> &AtomicU64 {
        match self.fixed.get(place.0 / LINE) {
            Some(line) => &line.0[place.0 % LINE],
            None => self.later(place),
        }
    }

    // Apart, so that what counts at a fixed place stays a few instructions that are inlined.
    #[inline(never)]
    fn later(&self, place: Place) -> &AtomicU64 {
        let (growth, at) = growth(place);
        let lines = self.later[growth].get_or_init(|| (0..(FIRST << growth) / LINE).map(|_| Line::default()).collect());
        &lines[at / LINE].0[at % LINE]
    }

    /// What was counted at `place`.
    fn value(&self, place: Place) -> u64 {
        let line = self.fixed.get(place.0 / LINE).or_else(|| {
            let (growth, at) = growth(place);
            self.later[growth].get()?.get(at / LINE)
        });
        line.map_or(0, |line| line.0[place.0 % LINE].load(Ordering::Relaxed))
    }
}

/// The growth that holds a place behind the fixed lines, and where in it.
fn growth(place: Place) -> (usize, usize) {
    let behind = place.0 - FIXED.next_multiple_of(LINE) + FIRST;
    let growth = (behind / FIRST).ilog2() as usize;
    (growth, behind - (FIRST << growth))
}

/// All blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Written by everybody who has no block of its own; holds also what workers that ended have counted.
    pub(super) shared: Block,
    workers: Mutex<Vec<Arc<Block>>>,
    /// Places given away.
    taken: AtomicUsize,
}

impl Blocks {
    /// The shared block alone, at zero.
    pub(super) fn new() -> Self {
        let taken = AtomicUsize::new(FIXED.next_multiple_of(LINE));
        Self { shared: Block::new(), workers: Mutex::default(), taken }
    }

    /// A place that nobody has.
    pub(super) fn take(&self) -> Place {
        Place(self.taken.fetch_add(1, Ordering::Relaxed))
    }

    /// The counts of all blocks. While this lives no worker comes or goes.
    pub(super) fn sums(&self) -> Sums<'_> {
        Sums { shared: &self.shared, workers: self.workers() }
    }

    /// A block for a new worker.
    pub(super) fn begin(&self) -> Arc<Block> {
        let block = Arc::new(Block::new());
        self.workers().push(Arc::clone(&block));
        block
    }

    /// Moves what a worker has counted to the shared block. Nobody reads meanwhile, or a count would be seen twice or not.
    pub(super) fn end(&self, block: &Arc<Block>) {
        let mut workers = self.workers();
        for place in (0..self.taken.load(Ordering::Relaxed)).map(Place) {
            match block.value(place) {
                0 => (),
                count => _ = self.shared.counter(place).fetch_add(count, Ordering::Relaxed),
            }
        }
        workers.retain(|other| !Arc::ptr_eq(other, block));
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<Block>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts summed over all blocks. A later sum of a place is never less than an earlier one.
pub(super) struct Sums<'b> {
    shared: &'b Block,
    workers: MutexGuard<'b, Vec<Arc<Block>>>,
}

impl Sums<'_> {
    /// The count at `place`.
    pub(super) fn of(&self, place: Place) -> u64 {
        self.shared.value(place) + self.workers.iter().map(|block| block.value(place)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_behind_the_fixed_ones_has_a_counter_of_its_own() {
        let blocks = Blocks::new();
        let places: Vec<Place> = (0..5 * FIRST).map(|_| blocks.take()).collect();
        let block = blocks.begin();
        for (number, &place) in (1..).zip(&places) {
            block.counter(place).store(number, Ordering::Relaxed);
        }
        let all_right = |blocks: &Blocks| {
            let sums = blocks.sums();
            (1..).zip(&places).all(|(number, &place)| sums.of(place) == number)
        };
        assert!(all_right(&blocks));
        blocks.end(&block);
        assert!(all_right(&blocks), "also when its worker has ended");
        assert_eq!(blocks.sums().workers.len(), 0);
    }

    #[test]
    fn a_block_begins_where_no_other_ends() {
        assert_eq!((align_of::<Block>(), size_of::<Line>()), (128, 128));
    }
}
