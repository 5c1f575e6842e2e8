//! Whether an upstream keeps the case of the name it is asked for, so that our random case can be told from a guess
//! (draft-vixie-dnsext-dns0x20).
//!
//! An upstream that has kept it once is held to it for good: else a forger could talk us out of it. One that has never
//! kept it, on several different names, is asked in lower case for some time, and then tried again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Mono;
use crate::wire::Name;

use super::health::Streak;

/// Different names that must have come back in another case.
const NAMES: usize = 3;
/// So long such an upstream is asked in lower case.
const PLAIN_FOR: Duration = Duration::from_secs(3600);

/// What is known about one upstream. Shared by all who ask it; a question costs two loads.
#[derive(Debug, Default)]
pub(super) struct Casing {
    kept: AtomicBool,
    /// As [`Mono`]; from then on the case is random.
    plain_until: AtomicU64,
    lost: Mutex<Streak<NAMES>>,
}

impl Casing {
    /// Whether to ask in random case.
    pub(super) fn is_random(&self, now: Mono) -> bool {
        now.0 >= self.plain_until.load(Ordering::Relaxed)
    }

    /// A name with at least one letter in upper case came back as it was sent.
    pub(super) fn kept(&self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.kept.store(true, Ordering::Relaxed);
        }
    }

    /// A name came back in another case; returns whether that was once too often.
    #[must_use]
    pub(super) fn lost(&self, name: &Name, now: Mono) -> bool {
        if self.kept.load(Ordering::Relaxed) {
            return false;
        }
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = lost.add(name) && self.is_random(now);
        if enough {
            lost.clear();
            self.plain_until.store(now.plus(PLAIN_FOR).0, Ordering::Relaxed);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(casing: &Casing, number: usize, now: Mono) -> bool {
        casing.lost(&Name::parse(&format!("n{number}.example")).unwrap(), now)
    }

    #[test]
    fn three_names_that_lost_their_case_end_it_for_an_hour() {
        let casing = Casing::default();
        let (start, later) = (Mono(5), Mono(5).plus(PLAIN_FOR));
        assert_eq!([0, 0, 0, 1, 2].map(|number| lost(&casing, number, start)), [false, false, false, false, true]);
        assert!(!casing.is_random(start) && !casing.is_random(Mono(later.0 - 1)));
        assert!(casing.is_random(later));
        assert_eq!([3, 4, 5].map(|number| lost(&casing, number, later)), [false, false, true]);
        assert!(!casing.is_random(later));
    }

    #[test]
    fn an_upstream_that_kept_the_case_once_is_held_to_it() {
        let casing = Casing::default();
        assert!(!lost(&casing, 0, Mono(0)));
        casing.kept();
        assert!((1..100).all(|number| !lost(&casing, number, Mono(0))));
        assert!(casing.is_random(Mono(0)));
    }
}
