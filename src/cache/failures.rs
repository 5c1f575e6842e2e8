//! Questions that could not be answered a short while ago, so that those who ask again don't make a storm of them (RFC 9520).
//!
//! Bounded apart from the answers: a flood of names that fail must not push out what could still be given as stale.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache as Store;

use super::{Config, ENTRY_EXPECTED, ENTRY_OVERHEAD, Entry, Key, KeyRef};
use crate::time::Mono;

/// Silence is kept no longer than this: it speaks of the upstreams or the way to them rather than of the name, and while
/// nothing else is asked nobody would notice for minutes that they answer again.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Why a question failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An upstream said that it can't be answered.
    Said,
    /// Upstreams were silent, could not be reached, or would not serve us.
    Silence,
    /// The answer is not what its zone has signed.
    Bogus,
}

/// One question that failed.
#[derive(Clone, Debug)]
struct Failed {
    /// The SERVFAIL that is given.
    entry: Arc<Entry>,
    at: Mono,
    until: Mono,
    /// How often in a row.
    times: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Failures {
    ttl: Duration,
    ttl_max: Duration,
    store: Store<Key, Failed, Octets>,
}

#[derive(Clone, Debug)]
struct Octets;

impl Weighter<Key, Failed> for Octets {
    fn weight(&self, key: &Key, failed: &Failed) -> u64 {
        let octets =
            key.spilled_bytes() + size_of::<Key>() + size_of::<Failed>() + failed.entry.memory_bytes() + ENTRY_OVERHEAD;
        u64::try_from(octets).unwrap_or(u64::MAX)
    }
}

impl Failures {
    /// None yet; they may take `bytes_max`.
    pub(super) fn new(config: &Config, bytes_max: u64) -> Self {
        let expected = usize::try_from(bytes_max / ENTRY_EXPECTED).unwrap_or(usize::MAX);
        Self {
            ttl: config.failure_ttl,
            ttl_max: config.failure_ttl_max,
            store: Store::with_weighter(expected.min(1 << 12), bytes_max, Octets),
        }
    }

    /// The failure that is still in force, unless an upstream has recovered since.
    pub(super) fn get(&self, key: &KeyRef<'_>, recovered: Mono, now: Mono) -> Option<Arc<Entry>> {
        let failed = self.store.get(key)?;
        (failed.at >= recovered && now < failed.until).then_some(failed.entry)
    }

    /// Keeps a failure, each one in a row for twice as long as the one before.
    pub(super) fn note(&self, key: Key, entry: Arc<Entry>, cause: Cause, recovered: Mono, now: Mono) {
        let before = self.store.peek(&key).filter(|before| before.at >= recovered);
        // Several exchanges for one question may end at about the same time: they are one failure.
        if before.as_ref().is_some_and(|before| now < before.until) {
            return;
        }
        let in_a_row = before.filter(|before| now.since(before.until) <= self.ttl_max);
        let times = in_a_row.map_or(1, |before| before.times.saturating_add(1));
        let until = now.plus(self.lasts(times, cause));
        self.store.insert(key, Failed { entry, at: now, until, times });
    }

    /// How long the failure lasts that is this one in a row.
    fn lasts(&self, times: u32, cause: Cause) -> Duration {
        let max = match cause {
            Cause::Said | Cause::Bogus => self.ttl_max,
            Cause::Silence => self.ttl_max.min(SILENCE_MAX),
        };
        let doubled = 1_u32.checked_shl(times - 1).filter(|&factor| factor > 0).unwrap_or(u32::MAX);
        self.ttl.saturating_mul(doubled).min(max)
    }

    /// The question was answered.
    pub(super) fn forget(&self, key: &Key) {
        self.store.remove(key);
    }

    /// Throws away those of the questions that are meant; says how many.
    pub(super) fn remove(&self, meant: impl Fn(&Key) -> bool) -> u64 {
        let found = self.store.iter().filter(|(key, _failed)| meant(key));
        found.map(|(key, _failed)| u64::from(self.store.remove(&key).is_some())).sum()
    }

    /// Those that are meant and still in force, each with its end.
    pub(super) fn in_force(
        &self,
        meant: impl Fn(&Key) -> bool,
        recovered: Mono,
        now: Mono,
    ) -> impl Iterator<Item = (Key, Arc<Entry>, Mono)> {
        let found =
            self.store.iter().filter(move |(key, failed)| meant(key) && failed.at >= recovered && now < failed.until);
        found.map(|(key, failed)| (key, failed.entry, failed.until))
    }

    /// How many are kept, those out of force included.
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    /// Octets held.
    pub(super) fn bytes(&self) -> u64 {
        self.store.weight()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{CONFIG, key, servfail};
    use super::*;

    const NEVER: Mono = Mono(0);

    fn failures() -> Failures {
        Failures::new(&CONFIG, 1 << 20)
    }

    fn seconds(moment: u64) -> Mono {
        Mono(moment * 1_000_000)
    }

    fn note(failures: &Failures, cause: Cause, recovered: Mono, now: Mono) {
        failures.note(key("a.example"), servfail("a.example", now), cause, recovered, now);
    }

    /// How long each of so many failures in a row lasts, asked anew as soon as it may be.
    fn lasts(cause: Cause, failed: usize) -> Vec<u64> {
        let failures = failures();
        let mut now = seconds(1);
        let mut row = Vec::new();
        for _time in 0..failed {
            note(&failures, cause, NEVER, now);
            let until = failures.store.peek(&key("a.example")).unwrap().until;
            row.push(until.since(now).as_secs());
            now = until;
        }
        row
    }

    #[test]
    fn what_an_upstream_says_is_kept_twice_as_long_each_time_up_to_five_minutes() {
        assert_eq!(lasts(Cause::Said, 11), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(lasts(Cause::Said, 70).last(), Some(&300), "no number of failures is too many");
    }

    #[test]
    fn silence_is_kept_no_longer_than_five_seconds() {
        assert_eq!(lasts(Cause::Silence, 6), [1, 2, 4, 5, 5, 5]);
    }

    #[test]
    fn after_a_long_time_without_failure_the_next_one_is_the_first_again() {
        let failures = failures();
        for now in [1, 2, 4] {
            note(&failures, Cause::Said, NEVER, seconds(now));
        }
        let late = seconds(8 + 301);
        note(&failures, Cause::Said, NEVER, late);
        assert_eq!(failures.store.peek(&key("a.example")).unwrap().times, 1);
    }

    proptest! {
        #[test]
        fn a_failure_is_in_force_for_one_second_to_five_minutes_and_only_until_an_upstream_recovers(
            steps in proptest::collection::vec((0..400_u64, 0..3_u8), 1..60)
        ) {
            let (failures, message) = (failures(), super::super::tests::question("a.example"));
            let query = crate::wire::Query::read(&message).unwrap();
            let (mut now, mut recovered, mut noted) = (1, 0, None::<u64>);
            for (passed, step) in steps {
                now += passed;
                let in_force = failures.get(&KeyRef::of(&query), seconds(recovered), seconds(now)).is_some();
                match noted.filter(|&noted| noted >= recovered) {
                    None => prop_assert!(!in_force),
                    Some(noted) if now - noted >= 300 => prop_assert!(!in_force),
                    Some(noted) if now == noted => prop_assert!(in_force),
                    Some(_between) => (),
                }
                match step {
                    0 => recovered = now,
                    1 => {
                        note(&failures, Cause::Said, seconds(recovered), seconds(now));
                        // One that is still in force is not renewed.
                        if !in_force {
                            noted = Some(now);
                        }
                    }
                    _ => (),
                }
            }
        }
    }
}
