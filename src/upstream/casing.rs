//! Whether an upstream keeps the case of the name it is asked for, so that our random case can be told from a guess
//! (draft-vixie-dnsext-dns0x20).
//!
//! An answer in another case is asked for again over TCP, where there is nothing to guess. An upstream that loses the case
//! of several different names, with few kept between them, is asked in lower case for some time and then tried again:
//! else each of its answers would cost a connection.
//!
//! What a forger gains by that: to have an upstream taken for one that loses case he must hit port and id (32 bits, see
//! [`outside`](super::outside)) in three races for different names, each before the true answer, and within a few answers
//! of one another, since those keep the case. Whoever wins one such race without the case would have poisoned a name at
//! once; three in a row are worth less than what they take. On the way he sees nothing but more TCP.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Mono;
use crate::wire::Name;

use super::health::Streak;

/// Different names that must have come back in another case.
const NAMES: usize = 3;
/// Answers in the right case that make us forget those in a wrong one: of an upstream behind which several servers stand, one
/// that loses case is enough.
const KEPT: u32 = 16;
/// So long such an upstream is asked in lower case.
const PLAIN_FOR: Duration = Duration::from_secs(3600);

/// What is known about one upstream. Shared by all who ask it; a question costs two loads.
#[derive(Debug, Default)]
pub(super) struct Casing {
    /// Whether some names were lost of late.
    losing: AtomicBool,
    /// As [`Mono`]; from then on the case is random.
    plain_until: AtomicU64,
    lost: Mutex<Lost>,
}

#[derive(Debug, Default)]
struct Lost {
    names: Streak<NAMES>,
    /// Names kept since the last one of them.
    kept: u32,
}

impl Casing {
    /// Whether to ask in random case.
    pub(super) fn is_random(&self, now: Mono) -> bool {
        now.0 >= self.plain_until.load(Ordering::Relaxed)
    }

    /// A name with at least one letter in upper case came back as it was sent.
    pub(super) fn kept(&self) {
        if !self.losing.load(Ordering::Relaxed) {
            return;
        }
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.kept += 1;
        if lost.kept >= KEPT {
            lost.names.clear();
            self.losing.store(false, Ordering::Relaxed);
        }
    }

    /// A name came back in another case; returns whether that was once too often.
    #[must_use]
    pub(super) fn lost(&self, name: &Name, now: Mono) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.kept = 0;
        let enough = lost.names.add(name) && self.is_random(now);
        if enough {
            lost.names.clear();
            self.plain_until.store(now.plus(PLAIN_FOR).0, Ordering::Relaxed);
        }
        self.losing.store(!lost.names.is_empty(), Ordering::Relaxed);
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
    fn an_upstream_that_keeps_the_case_is_held_to_it_against_any_number_of_guesses() {
        let casing = Casing::default();
        for number in 0..100 {
            assert!(!lost(&casing, 2 * number, Mono(0)) && !lost(&casing, 2 * number + 1, Mono(0)));
            (0..KEPT).for_each(|_answer| casing.kept());
        }
        assert!(casing.is_random(Mono(0)));
    }

    #[test]
    fn an_upstream_that_kept_the_case_and_loses_it_now_is_asked_in_lower_case() {
        let casing = Casing::default();
        (0..1000).for_each(|_answer| casing.kept());
        assert_eq!([0, 1, 2].map(|number| lost(&casing, number, Mono(0))), [false, false, true]);
        // So is one of which every other server loses it.
        let casing = Casing::default();
        let mixed = |number| {
            casing.kept();
            lost(&casing, number, Mono(0))
        };
        assert_eq!([0, 1, 2].map(mixed), [false, false, true]);
    }
}
