//! TLS handshakes under way. One costs more than all that follows on most connections, and whoever begins it has said nothing yet:
//! so there are few at a time, and at the limit the oldest goes. An honest one is over long before that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The handshakes there are.
#[derive(Debug)]
pub(super) struct Handshakes {
    max: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

/// One handshake; over when dropped.
#[derive(Debug)]
pub(in crate::serve) struct Handshake {
    all: Arc<Handshakes>,
    number: u64,
    make_way: Arc<Notify>,
}

impl Handshakes {
    /// Room for so many; for one at least.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), under_way: Mutex::default() })
    }

    /// Another one begins; also whether the oldest made way for it.
    pub(super) fn begin(self: &Arc<Self>) -> (Handshake, bool) {
        let mut under_way = self.under_way();
        let full = under_way.by_age.len() >= self.max;
        if full && let Some((_number, oldest)) = under_way.by_age.pop_first() {
            oldest.notify_one();
        }
        let (number, make_way) = (under_way.next, Arc::new(Notify::new()));
        under_way.next += 1;
        under_way.by_age.insert(number, Arc::clone(&make_way));
        (Handshake { all: Arc::clone(self), number, make_way }, full)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// Returns when it has to make way for another one.
    pub(in crate::serve) async fn has_to_make_way(&self) {
        self.make_way.notified().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.under_way().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn at_the_limit_the_oldest_makes_way_and_one_that_is_over_makes_room() {
        let all = Handshakes::new(2);
        let makes_way = |handshake: &Handshake| handshake.has_to_make_way().now_or_never().is_some();
        let ((first, early), (second, late)) = (all.begin(), all.begin());
        assert!(!early && !late);
        let (third, full) = all.begin();
        assert!(full && makes_way(&first) && !makes_way(&second) && !makes_way(&third));
        drop((first, third));
        let (_fourth, full) = all.begin();
        assert!(!full && !makes_way(&second));
        drop(second);
        assert_eq!(all.under_way().by_age.len(), 1);
    }
}
