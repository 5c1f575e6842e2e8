//! How many rows became new in the current second, and for how much of another one that leaves room.

use std::sync::atomic::{AtomicU64, Ordering};

use super::known::Room;
use crate::time::Timestamp;

/// Bits for the count.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The second in the upper bits, the count in the lower ones.
#[derive(Debug)]
pub(super) struct Pace {
    state: AtomicU64,
    per_second: u32,
}

impl Pace {
    /// At most so many new rows a second with all they tell, and as many more with less.
    pub(super) fn new(per_second: u32) -> Self {
        Self { state: AtomicU64::new(0), per_second }
    }

    pub(super) fn room(&self, at: Timestamp) -> Room {
        let state = self.state.load(Ordering::Relaxed);
        let used = if Self::is_current(state, at) { state & COUNT_MASK } else { 0 };
        let limit = u64::from(self.per_second);
        if used < limit {
            Room::Whole
        } else if used < limit.saturating_mul(2) {
            Room::Less
        } else {
            Room::Nothing
        }
    }

    pub(super) fn count(&self, at: Timestamp) {
        let step = |state: u64| {
            Some(match (Self::is_current(state, at), state & COUNT_MASK == COUNT_MASK) {
                (true, true) => state,
                (true, false) => state + 1,
                (false, _) => (Self::second(at) << COUNT_BITS) | 1,
            })
        };
        // The closure always gives a value, so the update can't fail.
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
    }

    /// Whether the count is for the second of `at`. A thread that is a second late counts with the others; after a step of
    /// the wall clock counting starts anew.
    fn is_current(state: u64, at: Timestamp) -> bool {
        let (counted, second) = (state >> COUNT_BITS, Self::second(at));
        second == counted || second + 1 == counted
    }

    fn second(at: Timestamp) -> u64 {
        u64::try_from(at.as_second()).unwrap_or(0)
    }
}
