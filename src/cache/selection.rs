//! The part of the cache that an operator means: to look at it, or to throw it away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Cache, Entry, Key, KeyRest, Zones};
use crate::time::Mono;
use crate::wire::LowerName;

/// Questions that somebody means.
#[derive(Clone, Debug)]
pub enum Selection {
    /// All.
    All,
    /// Those for one name, or for names below it too, of all types or of one.
    Name {
        /// The name.
        name: Box<LowerName>,
        /// Whether names below it are meant too.
        below: bool,
        /// The one type.
        qtype: Option<u16>,
    },
    /// Those for names in these zones.
    Zones(Zones),
}

/// One question of the cache, as it is at a moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// QNAME in lower case.
    pub name: LowerName,
    /// The rest of the question.
    pub rest: KeyRest,
    /// What is kept of it.
    pub state: State,
    /// The rcode of the answer.
    pub rcode: u16,
    /// Seconds for which it stays in this state.
    pub left: u32,
    /// Seconds since the upstream sent it.
    pub age: u32,
    /// Octets that it takes.
    pub bytes: usize,
}

/// What is kept of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// An answer within its TTL.
    Fresh,
    /// An answer that may still serve when no upstream answers.
    Stale,
    /// A failure.
    Failed,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// What was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Answers.
    pub answers: u64,
    /// Failures.
    pub failures: u64,
}

impl Selection {
    /// Whether it holds the question.
    fn holds(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Zones(zones) => zones.hold(key),
            Self::Name { name, below, qtype } => {
                let meant = if *below { key.lower().is_below(name) } else { key.wire() == name.wire() };
                meant && qtype.is_none_or(|qtype| qtype == key.rest.qtype)
            }
        }
    }
}

impl Cache {
    /// Throws away what is meant. An answer that was asked for before `now` and comes later is given to those who wait for it, and
    /// not kept.
    pub fn remove(&self, meant: &Selection, now: Mono) -> Removed {
        // First, so that nothing that was asked for before is put back behind what is thrown away.
        self.flushed.fetch_max(now.0.max(1), Ordering::Relaxed);
        let mut removed = Removed::default();
        // A shard is locked for one entry at a time, so that those who serve don't wait.
        for (key, _entry) in self.answers.iter().filter(|(key, _entry)| meant.holds(key)) {
            removed.answers += u64::from(self.answers.remove(&key).is_some());
        }
        removed.failures = self.failures.remove(|key| meant.holds(key));
        removed
    }

    /// Whether something was thrown away since `asked`: what was asked for then is not to be kept.
    pub fn was_flushed_since(&self, asked: Mono) -> bool {
        let flushed = self.flushed.load(Ordering::Relaxed);
        flushed > 0 && asked.0 <= flushed
    }

    /// What is kept of what is meant, `max` rows at most, by name and type; and whether there is more.
    pub fn rows(&self, meant: &Selection, max: usize, now: Mono) -> (Vec<Row>, bool) {
        let answers = self.answers.iter().filter(|(key, _entry)| meant.holds(key));
        let answers = answers.filter_map(|(key, entry)| Row::of_answer(&key, &entry, now));
        let failures = self.failures.in_force(|key| meant.holds(key), self.recovered(), now);
        let failures = failures.map(|(key, entry, until)| {
            let left = u32::try_from(until.since(now).as_secs()).unwrap_or(u32::MAX);
            Row::new(&key, &entry, State::Failed, left, now)
        });
        let mut rows: Vec<Row> = answers.chain(failures).take(max.saturating_add(1)).collect();
        let more = rows.len() > max;
        rows.truncate(max);
        rows.sort_by(|a, b| {
            (a.name.wire(), a.rest.qtype, a.rest.dnssec_ok, a.rest.checking_disabled).cmp(&(
                b.name.wire(),
                b.rest.qtype,
                b.rest.dnssec_ok,
                b.rest.checking_disabled,
            ))
        });
        (rows, more)
    }
}

impl Row {
    fn of_answer(key: &Key, entry: &Arc<Entry>, now: Mono) -> Option<Self> {
        let while_fresh = || entry.is_fresh(now).then(|| (State::Fresh, entry.ttl_left(now)));
        let while_stale = || entry.is_usable(now).then(|| (State::Stale, entry.usable_left(now)));
        let (state, left) = while_fresh().or_else(while_stale)?;
        Some(Self::new(key, entry, state, left, now))
    }

    fn new(key: &Key, entry: &Entry, state: State, left: u32, now: Mono) -> Self {
        let (rcode, age) = (entry.answer.rcode(), entry.age(now));
        Self { name: key.lower(), rest: key.rest, state, rcode, left, age, bytes: entry.memory_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CONFIG, fail, put, put_as};
    use super::*;
    use crate::wire::qtype;

    fn meant(name: &str, below: bool, qtype: Option<u16>) -> Selection {
        Selection::Name { name: Box::new(LowerName::parse(name).unwrap()), below, qtype }
    }

    fn cache() -> Cache {
        let cache = Cache::new(CONFIG.clone());
        for name in ["example", "a.example", "b.a.example", "xa.example", "other.test"] {
            put(&cache, name, 60, 0);
        }
        put_as(&cache, "a.example", qtype::AAAA, 60, 0);
        fail(&cache, "bad.a.example", 0);
        cache
    }

    fn names(cache: &Cache, meant: &Selection, now: u64) -> Vec<String> {
        let (rows, more) = cache.rows(meant, 100, Mono(now * 1000));
        assert!(!more);
        rows.iter().map(|row| format!("{} {} {}", row.name, row.rest.qtype, row.state.as_str())).collect()
    }

    #[test]
    fn one_name_one_type_and_what_is_below_are_told_apart() {
        let all = ["example 1 fresh", "other.test 1 fresh", "a.example 1 fresh", "a.example 28 fresh"];
        for (selection, shown) in [
            (meant("A.example", false, None), vec!["a.example 1 fresh", "a.example 28 fresh"]),
            (meant("a.example", false, Some(28)), vec!["a.example 28 fresh"]),
            (
                meant("a.example", true, Some(1)),
                vec!["a.example 1 fresh", "b.a.example 1 fresh", "bad.a.example 1 failed"],
            ),
            (meant("none.example", true, None), vec![]),
            (
                Selection::Zones(
                    ["xa.example", "test"].map(|zone| LowerName::parse(zone).unwrap()).into_iter().collect(),
                ),
                vec!["other.test 1 fresh", "xa.example 1 fresh"],
            ),
        ] {
            let cache = cache();
            let mut sorted = names(&cache, &selection, 0);
            sorted.sort();
            assert_eq!(sorted, shown);
            let removed = cache.remove(&selection, Mono(0));
            assert_eq!(usize::try_from(removed.answers + removed.failures).unwrap(), shown.len());
            assert_eq!(names(&cache, &selection, 0), Vec::<String>::new(), "gone");
            assert_eq!(cache.len() + cache.failures(), 7 - shown.len(), "and nothing else is");
        }
        let cache = cache();
        assert!(all.iter().all(|row| names(&cache, &Selection::All, 0).contains(&(*row).to_owned())));
        assert_eq!(cache.remove(&Selection::All, Mono(0)), Removed { answers: 6, failures: 1 });
        assert!(cache.is_empty() && cache.failures() == 0);
    }

    #[test]
    fn a_row_says_how_long_it_stays_as_it_is() {
        let cache = cache();
        let row = |now: u64| cache.rows(&meant("a.example", false, Some(1)), 9, Mono(now * 1000)).0.pop();
        let told = |now| row(now).map(|row| (row.state, row.left, row.age));
        assert_eq!(told(20_000), Some((State::Fresh, 40, 20)));
        assert_eq!(told(70_000), Some((State::Stale, 90, 70)));
        assert_eq!(told(160_000), None);
        assert!(cache.rows(&Selection::All, 3, Mono(0)).1, "there is more");
    }

    #[test]
    fn what_was_asked_for_before_something_was_thrown_away_is_not_kept() {
        let cache = cache();
        assert!(!cache.was_flushed_since(Mono(0)));
        cache.remove(&meant("a.example", false, None), Mono(5));
        assert!(cache.was_flushed_since(Mono(5)) && !cache.was_flushed_since(Mono(6)));
    }
}
