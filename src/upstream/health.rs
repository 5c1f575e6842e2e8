//! Whether an upstream is worth asking in its turn. Pure: what happened comes in, a change of mind comes out.
//!
//! One name that fails says little, since it may be the name: only failures of several different names in a row speak
//! against the upstream. Silence needs few names. An RCODE such as SERVFAIL, or a referral, needs many, and only names that
//! another upstream did answer, or a broken zone that everybody asks for would take down every upstream. The same holds
//! for answers that come so late that another upstream, asked after this one, had answered before.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::Name;

/// Different names in a row that must have met silence.
const SILENT_NAMES: usize = 3;
/// Different names in a row that this upstream must have failed and another one answered.
const OUTVOTED_NAMES: usize = 8;
/// Different names in a row that another upstream must have answered sooner although it was asked later.
const OUTRUN_NAMES: usize = 8;
/// An upstream that falls ill so soon after it has recovered has done well at probes and ill at questions.
const RELAPSE: Duration = Duration::from_secs(60);
/// Relapses after which the number of good probes it takes to recover grows no more: 2, 4, 8, 16, 32.
const RELAPSES_MAX: u32 = 5;

/// What is known about one upstream.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why it is not asked in its turn; `None` while it is healthy.
    ailment: Option<Ailment>,
    silent: Streak<SILENT_NAMES>,
    outvoted: Streak<OUTVOTED_NAMES>,
    outrun: Streak<OUTRUN_NAMES>,
    pub(super) failures: u64,
    recovered: Option<Instant>,
    relapses: u32,
    good_probes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    /// It says nothing.
    Silent,
    /// It says nothing that is an answer.
    Outvoted,
    /// It answers too late.
    Slow,
}

/// What kind of response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    /// An answer, rather than an RCODE or a referral that asks us to go elsewhere.
    pub(super) answer: bool,
    /// Before anybody else would have been asked.
    pub(super) quick: bool,
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
        self.is_healthy() && self.silent.len == 0 && self.outvoted.len == 0 && self.outrun.len == 0
    }

    /// A response came to somebody's question.
    pub(super) fn responded(&mut self, spoken: Spoken, now: Instant) -> Change {
        if self.heals(spoken) { self.recover(now) } else { Change::Nothing }
    }

    /// A response came to a probe. One that does well at probes only has to do so for longer each time.
    pub(super) fn probed(&mut self, spoken: Spoken, now: Instant) -> Change {
        if !self.heals(spoken) {
            self.good_probes = 0;
            return Change::Nothing;
        }
        self.good_probes += 1;
        if self.good_probes >> self.relapses == 0 { Change::Nothing } else { self.recover(now) }
    }

    /// An attempt met silence, or a network that leads nowhere.
    pub(super) fn failed(&mut self, name: &Name, now: Instant) -> Change {
        self.failures += 1;
        let full = self.silent.add(name);
        self.ail_if(full, Ailment::Silent, now)
    }

    /// It sent what is no answer, and another upstream answered the same question.
    pub(super) fn was_outvoted(&mut self, name: &Name, now: Instant) -> Change {
        self.failures += 1;
        let full = self.outvoted.add(name);
        self.ail_if(full, Ailment::Outvoted, now)
    }

    /// It has said nothing yet, and another upstream that was asked later has answered the same question.
    pub(super) fn was_outrun(&mut self, name: &Name, now: Instant) -> Change {
        let full = self.outrun.add(name);
        self.ail_if(full, Ailment::Slow, now)
    }

    /// Ends the streaks that a response ends; says whether it heals.
    fn heals(&mut self, Spoken { answer, quick }: Spoken) -> bool {
        self.silent.clear();
        if answer {
            self.outvoted.clear();
        }
        if quick {
            self.outrun.clear();
        }
        match self.ailment {
            None => false,
            Some(Ailment::Silent) if !quick => {
                // Somebody is there, and not to be waited for.
                self.ailment = Some(Ailment::Slow);
                false
            }
            Some(Ailment::Silent) => true,
            Some(Ailment::Outvoted) => answer,
            Some(Ailment::Slow) => answer && quick,
        }
    }

    fn ail_if(&mut self, full: bool, ailment: Ailment, now: Instant) -> Change {
        if !full || self.ailment.is_some() {
            return Change::Nothing;
        }
        let relapse = self.recovered.is_some_and(|at| now.saturating_duration_since(at) < RELAPSE);
        self.relapses = if relapse { (self.relapses + 1).min(RELAPSES_MAX) } else { 0 };
        self.good_probes = 0;
        self.ailment = Some(ailment);
        Change::Ailing
    }

    fn recover(&mut self, now: Instant) -> Change {
        self.ailment = None;
        self.recovered = Some(now);
        self.silent.clear();
        self.outvoted.clear();
        self.outrun.clear();
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

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
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

    const ANSWER: Spoken = Spoken { answer: true, quick: true };
    const LATE: Spoken = Spoken { answer: true, quick: false };
    const RCODE: Spoken = Spoken { answer: false, quick: true };

    fn name(number: usize) -> Name {
        Name::parse(&format!("n{number}.example")).unwrap()
    }

    /// Ailing after silence for three names.
    fn silent(now: Instant) -> Health {
        let mut health = Health::default();
        assert_eq!([0, 1].map(|number| health.failed(&name(number), now)), [Change::Nothing; 2]);
        assert_eq!(health.failed(&name(2), now), Change::Ailing);
        health
    }

    /// Eight names that another one answers sooner.
    fn outrun(health: &mut Health, now: Instant) -> Change {
        assert!((0..7).all(|number| health.was_outrun(&name(number), now) == Change::Nothing));
        health.was_outrun(&name(7), now)
    }

    #[test]
    fn silence_for_three_names_ails_and_one_answer_heals() {
        let now = Instant::now();
        let mut health = silent(now);
        assert!(!health.is_healthy());
        assert_eq!(health.failed(&name(3), now), Change::Nothing);
        assert_eq!(health.responded(ANSWER, now), Change::Recovered);
        assert!(health.is_healthy());
        assert_eq!(health.failed(&name(4), now), Change::Nothing);
    }

    #[test]
    fn one_name_alone_never_ails() {
        let (mut health, now) = (Health::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(health.failed(&name(0), now), Change::Nothing);
            assert_eq!(health.was_outvoted(&name(0), now), Change::Nothing);
            assert_eq!(health.was_outrun(&name(0), now), Change::Nothing);
        }
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let (mut health, now) = (Health::default(), Instant::now());
        for number in 0..100 {
            assert_eq!(health.failed(&name(number), now), Change::Nothing);
            assert_eq!(health.failed(&name(number + 1000), now), Change::Nothing);
            assert_eq!(health.was_outrun(&name(number), now), Change::Nothing);
            assert_eq!(health.was_outvoted(&name(number), now), Change::Nothing);
            assert_eq!(health.responded(ANSWER, now), Change::Nothing);
        }
    }

    #[test]
    fn any_rcode_ends_silence() {
        assert_eq!(silent(Instant::now()).responded(RCODE, Instant::now()), Change::Recovered);
    }

    #[test]
    fn an_rcode_that_others_outvote_ails_after_eight_names_and_only_an_answer_heals() {
        let (mut health, now) = (Health::default(), Instant::now());
        for number in 0..7 {
            assert_eq!(health.responded(RCODE, now), Change::Nothing);
            assert_eq!(health.was_outvoted(&name(number), now), Change::Nothing);
        }
        assert_eq!(health.was_outvoted(&name(7), now), Change::Ailing);
        assert_eq!(health.responded(RCODE, now), Change::Nothing);
        assert_eq!(health.responded(ANSWER, now), Change::Recovered);
    }

    #[test]
    fn late_answers_neither_hide_slowness_nor_heal_it() {
        let (mut health, now) = (Health::default(), Instant::now());
        for number in 0..7 {
            assert_eq!(health.was_outrun(&name(number), now), Change::Nothing);
            assert_eq!(health.responded(LATE, now), Change::Nothing);
        }
        assert_eq!(health.was_outrun(&name(7), now), Change::Ailing);
        assert_eq!([LATE, RCODE].map(|spoken| health.responded(spoken, now)), [Change::Nothing; 2]);
        assert_eq!(health.responded(ANSWER, now), Change::Recovered);
        // One that was silent and speaks late is slow from then on.
        let mut health = silent(now);
        assert_eq!([LATE, RCODE, LATE].map(|spoken| health.responded(spoken, now)), [Change::Nothing; 3]);
        assert_eq!(health.responded(ANSWER, now), Change::Recovered);
    }

    #[test]
    fn who_does_well_at_probes_only_has_to_do_so_for_longer_each_time() {
        let (mut health, start) = (Health::default(), Instant::now());
        for good in [1, 2, 4, 8, 16, 32, 32] {
            assert_eq!(outrun(&mut health, start), Change::Ailing);
            for _ in 1..good {
                assert_eq!(health.probed(ANSWER, start), Change::Nothing);
            }
            assert_eq!(health.probed(ANSWER, start), Change::Recovered, "{good}");
        }
        // One bad probe, and the count begins again; after a good minute all is forgotten.
        assert_eq!(outrun(&mut health, start + RELAPSE), Change::Ailing);
        assert_eq!([LATE, ANSWER].map(|spoken| health.probed(spoken, start)), [Change::Nothing, Change::Recovered]);
        assert_eq!(outrun(&mut health, start), Change::Ailing);
        assert_eq!([ANSWER, LATE, ANSWER].map(|spoken| health.probed(spoken, start)), [Change::Nothing; 3]);
        assert_eq!(health.responded(ANSWER, start), Change::Recovered, "what counts is a client's question");
    }

    #[test]
    fn an_answer_changes_nothing_where_nothing_has_failed() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert!(health.is_calm());
        for fail in [Health::failed, Health::was_outvoted, Health::was_outrun] {
            let _change = fail(&mut health, &name(0), now);
            assert!(!health.is_calm());
            let _change = health.responded(ANSWER, now);
            assert!(health.is_calm());
        }
    }
}
