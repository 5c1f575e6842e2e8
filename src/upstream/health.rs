//! Whether an upstream is worth asking in its turn. Pure: what happened comes in, a change of mind comes out.
//!
//! One name that fails says little, since it may be the name: only failures of several different names in a row speak
//! against the upstream. Silence needs few names. An RCODE such as SERVFAIL needs many, and only names that another
//! upstream did answer, or a broken zone that everybody asks for would take down every upstream.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::wire::Name;

/// Different names in a row that must have met silence.
const SILENT_NAMES: usize = 3;
/// Different names in a row that this upstream must have failed and another one answered.
const OUTVOTED_NAMES: usize = 8;

/// What is known about one upstream.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why it is not asked in its turn; `None` while it is healthy.
    ailment: Option<Ailment>,
    silent: Streak<SILENT_NAMES>,
    outvoted: Streak<OUTVOTED_NAMES>,
    pub(super) failures: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    Silent,
    Outvoted,
}

/// A change of mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Change {
    Nothing,
    Ailing,
    Recovered,
}

/// Up to `N` different names that failed in a row.
#[derive(Debug)]
pub(super) struct Streak<const N: usize> {
    hashes: [u64; N],
    len: usize,
}

impl Health {
    pub(super) fn is_healthy(&self) -> bool {
        self.ailment.is_none()
    }

    /// Whether an answer would change nothing here.
    pub(super) fn is_calm(&self) -> bool {
        self.is_healthy() && self.silent.len == 0 && self.outvoted.len == 0
    }

    /// A response came: an answer, or another RCODE.
    pub(super) fn responded(&mut self, is_answer: bool) -> Change {
        self.silent.clear();
        if is_answer {
            self.outvoted.clear();
        }
        if is_answer || self.ailment == Some(Ailment::Silent) { self.recover() } else { Change::Nothing }
    }

    /// An attempt met silence, or a network that leads nowhere.
    pub(super) fn failed(&mut self, name: &Name) -> Change {
        self.failures += 1;
        let full = self.silent.add(name);
        self.ail_if(full, Ailment::Silent)
    }

    /// It sent an RCODE that is no answer, and another upstream answered the same question.
    pub(super) fn was_outvoted(&mut self, name: &Name) -> Change {
        self.failures += 1;
        let full = self.outvoted.add(name);
        self.ail_if(full, Ailment::Outvoted)
    }

    fn ail_if(&mut self, full: bool, ailment: Ailment) -> Change {
        if !full || self.ailment.is_some() {
            return Change::Nothing;
        }
        self.ailment = Some(ailment);
        Change::Ailing
    }

    fn recover(&mut self) -> Change {
        if self.ailment.take().is_none() {
            return Change::Nothing;
        }
        self.outvoted.clear();
        Change::Recovered
    }
}

impl<const N: usize> Streak<N> {
    /// Adds a name unless it is there; returns whether the streak is full.
    pub(super) fn add(&mut self, name: &Name) -> bool {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        if self.len < N && !self.hashes[..self.len].contains(&hash) {
            self.hashes[self.len] = hash;
            self.len += 1;
        }
        self.len == N
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<const N: usize> Default for Streak<N> {
    fn default() -> Self {
        Self { hashes: [0; N], len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        Name::parse(&format!("n{number}.example")).unwrap()
    }

    /// Ailing after silence for three names.
    fn silent() -> Health {
        let mut health = Health::default();
        assert_eq!([0, 1].map(|number| health.failed(&name(number))), [Change::Nothing; 2]);
        assert_eq!(health.failed(&name(2)), Change::Ailing);
        health
    }

    #[test]
    fn silence_for_three_names_ails_and_one_answer_heals() {
        let mut health = silent();
        assert!(!health.is_healthy());
        assert_eq!(health.failed(&name(3)), Change::Nothing);
        assert_eq!(health.responded(true), Change::Recovered);
        assert!(health.is_healthy());
        assert_eq!(health.failed(&name(4)), Change::Nothing);
    }

    #[test]
    fn one_name_alone_never_ails() {
        let mut health = Health::default();
        for _ in 0..100 {
            assert_eq!(health.failed(&name(0)), Change::Nothing);
            assert_eq!(health.was_outvoted(&name(0)), Change::Nothing);
        }
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let mut health = Health::default();
        for number in 0..100 {
            assert_eq!(health.failed(&name(number)), Change::Nothing);
            assert_eq!(health.failed(&name(number + 1000)), Change::Nothing);
            assert_eq!(health.responded(true), Change::Nothing);
        }
    }

    #[test]
    fn any_rcode_ends_silence() {
        assert_eq!(silent().responded(false), Change::Recovered);
    }

    #[test]
    fn an_rcode_that_others_outvote_ails_after_eight_names_and_only_an_answer_heals() {
        let mut health = Health::default();
        for number in 0..7 {
            assert_eq!(health.responded(false), Change::Nothing);
            assert_eq!(health.was_outvoted(&name(number)), Change::Nothing);
        }
        assert_eq!(health.was_outvoted(&name(7)), Change::Ailing);
        assert_eq!(health.responded(false), Change::Nothing);
        assert_eq!(health.responded(true), Change::Recovered);
    }

    #[test]
    fn an_answer_changes_nothing_where_nothing_has_failed() {
        let mut health = Health::default();
        assert!(health.is_calm());
        let _change = health.failed(&name(0));
        assert!(!health.is_calm());
        let _change = health.responded(true);
        assert!(health.is_calm());
        let _change = health.was_outvoted(&name(0));
        assert!(!health.is_calm());
    }
}
