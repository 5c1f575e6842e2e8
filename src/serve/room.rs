//! How many queries may wait for an answer at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for so many. Nobody queues for it, so it needs no more than a count.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    taken: AtomicUsize,
}

/// The right to wait for an answer, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Room>);

impl Room {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: AtomicUsize::new(0) })
    }

    /// The right to wait, if there is room.
    pub(super) fn permit(self: &Arc<Self>) -> Option<Permit> {
        if self.taken.fetch_add(1, Ordering::Relaxed) < self.max {
            return Some(Permit(Arc::clone(self)));
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_wait_and_who_ends_makes_room() {
        let room = Room::new(2);
        let (first, second) = (room.permit().unwrap(), room.permit().unwrap());
        assert!(room.permit().is_none());
        drop(first);
        let third = room.permit().unwrap();
        assert!(room.permit().is_none());
        drop((second, third));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
