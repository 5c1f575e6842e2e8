//! Attempts in memory until the writer takes them.
//!
//! Every attempt is counted here exactly once, with as much detail as there is room for: whole; then without qname;
//! then in an overflow row without client; and only when even those are used up, not at all.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::group::{Added, Asked, Group, Key, KeyRef, Keyed, OwnedPattern, Room, Tally};
use super::{Attempt, Config, Did};
use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::Transport;

/// Parts of the map that are locked apart. Many, so that the writer, which empties part after part, holds up a query for
/// the time of a few hundred rows at most.
const SHARDS: usize = 256;
/// Bits of [`Pace`] for the count.
const PACE_BITS: u32 = 24;

/// A row for the store: attempts that became one.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) minute: u32,
    /// `None` in an overflow row.
    pub(super) client: Option<IpAddr>,
    pub(super) site: Arc<str>,
    pub(super) qname: Option<Arc<[u8]>>,
    pub(super) qtype: Option<u16>,
    pub(super) ban: Arc<str>,
    pub(super) category: Arc<str>,
    pub(super) evidence: Evidence,
    /// `None` in an overflow row.
    pub(super) pattern: Option<OwnedPattern>,
    pub(super) action: Did,
    /// `None` in an overflow row.
    pub(super) transport: Option<Transport>,
    pub(super) verified: bool,
    pub(super) tally: Tally,
}

/// Where an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// In full.
    Whole,
    /// Without name, or without client too.
    Folded,
    /// Not at all.
    Lost,
}

/// What tells overflow rows apart.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OverflowKey {
    minute: u32,
    site: Arc<str>,
    ban: Arc<str>,
    category: Arc<str>,
    evidence: Evidence,
    action: Did,
}

/// Attempts that the writer has not taken, and lines of this minute that it has.
#[derive(Debug)]
pub(super) struct Fold {
    groups: DashMap<Key, Group>,
    overflow: DashMap<OverflowKey, Tally>,
    lines: AtomicUsize,
    lines_max: usize,
    overflow_rows: AtomicUsize,
    overflow_max: usize,
    /// Rows with a count.
    waiting: AtomicUsize,
    pace: Pace,
}

impl Fold {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            groups: DashMap::with_shard_amount(SHARDS),
            overflow: DashMap::with_shard_amount(16),
            lines: AtomicUsize::new(0),
            lines_max: config.rows_in_memory_max,
            overflow_rows: AtomicUsize::new(0),
            overflow_max: config.overflow_max_rows,
            waiting: AtomicUsize::new(0),
            pace: Pace { state: AtomicU64::new(0), per_second: config.rows_per_second_max },
        }
    }

    /// Rows that wait for the writer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts one attempt. Takes one lock of one part of the map, and allocates only for a line that is new.
    pub(super) fn add(&self, attempt: &Attempt<'_>) -> Kept {
        let client = attempt.client.to_canonical();
        let (minute, at) = (minute(attempt.at), attempt.at.as_millisecond());
        let asked = Asked::new(attempt);
        let key = KeyRef::new(minute, client, attempt);
        if let Some(mut group) = self.groups.get_mut(&key as &dyn Keyed) {
            let added = group.add_known(&asked, at).or_else(|| group.add(&asked, at, self.room(attempt.at)));
            if let Some(added) = added {
                return self.counted(added, attempt.at);
            }
        } else {
            let room = self.room(attempt.at);
            if room > Room::Nothing {
                let mut group = self.groups.entry(Key::new(minute, client, attempt)).or_default();
                // Another thread may have made the group meanwhile.
                let added = group.add_known(&asked, at).or_else(|| group.add(&asked, at, room));
                if let Some(added) = added {
                    return self.counted(added, attempt.at);
                }
            }
        }
        self.add_overflow(attempt, minute, at)
    }

    /// Moves every count into `rows`, and forgets lines of other minutes than the one of `now`. Those of this minute stay
    /// known, so that a name counts towards the limit of names only once a minute; unless memory is half used up.
    pub(super) fn drain(&self, now: Timestamp, rows: &mut Vec<Row>) {
        let before = rows.len();
        let this_minute = minute(now);
        let crowded = self.lines.load(Ordering::Relaxed) > self.lines_max / 2;
        self.groups.retain(|key, group| {
            take_rows(key, group, rows);
            let keep = key.minute == this_minute && !crowded;
            if !keep {
                self.lines.fetch_sub(group.lines.len(), Ordering::Relaxed);
            }
            keep
        });
        self.overflow.retain(|key, tally| {
            rows.push(overflow_row(key, *tally));
            self.overflow_rows.fetch_sub(1, Ordering::Relaxed);
            false
        });
        self.waiting.fetch_sub(rows.len() - before, Ordering::Relaxed);
    }

    fn room(&self, at: Timestamp) -> Room {
        if self.lines.load(Ordering::Relaxed) >= self.lines_max { Room::Nothing } else { self.pace.room(at) }
    }

    fn counted(&self, added: Added, at: Timestamp) -> Kept {
        if added.new_line {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
        if added.new_row {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.pace.count(at);
        }
        if added.nameless { Kept::Folded } else { Kept::Whole }
    }

    fn add_overflow(&self, attempt: &Attempt<'_>, minute: u32, at: i64) -> Kept {
        let key = OverflowKey {
            minute,
            site: Arc::clone(attempt.site),
            ban: Arc::clone(attempt.ban),
            category: Arc::clone(attempt.category),
            evidence: attempt.evidence,
            action: attempt.action,
        };
        match self.overflow.entry(key) {
            Entry::Occupied(mut known) => {
                known.get_mut().add(at);
            }
            Entry::Vacant(_) if self.overflow_rows.load(Ordering::Relaxed) >= self.overflow_max => return Kept::Lost,
            Entry::Vacant(new) => {
                self.overflow_rows.fetch_add(1, Ordering::Relaxed);
                self.waiting.fetch_add(1, Ordering::Relaxed);
                new.insert(Tally::default()).add(at);
            }
        }
        Kept::Folded
    }
}

/// The minute since 1970 of a moment. Moments before 1970 are in the first.
pub(super) fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

fn take_rows(key: &Key, group: &mut Group, rows: &mut Vec<Row>) {
    for line in group.lines.iter_mut().filter(|line| line.tally.count > 0) {
        rows.push(Row {
            minute: key.minute,
            client: Some(key.client),
            site: Arc::clone(&key.site),
            qname: line.qname.clone(),
            qtype: line.qtype,
            ban: Arc::clone(&key.ban),
            category: Arc::clone(&key.category),
            evidence: key.evidence,
            pattern: Some(key.pattern.clone()),
            action: line.action,
            transport: Some(line.transport),
            verified: line.verified,
            tally: std::mem::take(&mut line.tally),
        });
    }
}

fn overflow_row(key: &OverflowKey, tally: Tally) -> Row {
    Row {
        minute: key.minute,
        client: None,
        site: Arc::clone(&key.site),
        qname: None,
        qtype: None,
        ban: Arc::clone(&key.ban),
        category: Arc::clone(&key.category),
        evidence: key.evidence,
        pattern: None,
        action: key.action,
        transport: None,
        verified: false,
        tally,
    }
}

/// How many rows became new in the current second: the second in the upper bits, the count in the lower ones.
#[derive(Debug)]
struct Pace {
    state: AtomicU64,
    per_second: u32,
}

impl Pace {
    fn room(&self, at: Timestamp) -> Room {
        let state = self.state.load(Ordering::Relaxed);
        let used = if Self::is_current(state, at) { state & ((1 << PACE_BITS) - 1) } else { 0 };
        let limit = u64::from(self.per_second);
        if used < limit {
            Room::Whole
        } else if used < limit.saturating_mul(2) {
            Room::Nameless
        } else {
            Room::Nothing
        }
    }

    fn count(&self, at: Timestamp) {
        let step = |state: u64| {
            let full = state & ((1 << PACE_BITS) - 1) == (1 << PACE_BITS) - 1;
            Some(match (Self::is_current(state, at), full) {
                (true, true) => state,
                (true, false) => state + 1,
                (false, _) => (Self::second(at) << PACE_BITS) | 1,
            })
        };
        // The closure always gives a value, so the update can't fail.
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
    }

    /// Whether the count is for the second of `at`. A thread that is a second late counts with the others; after a step of
    /// the wall clock counting starts anew.
    fn is_current(state: u64, at: Timestamp) -> bool {
        let (counted, second) = (state >> PACE_BITS, Self::second(at));
        second == counted || second + 1 == counted
    }

    fn second(at: Timestamp) -> u64 {
        u64::try_from(at.as_second()).unwrap_or(0)
    }
}
