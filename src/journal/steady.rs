//! The time by which rows are too old: one that a jump of the wall clock does not move ahead.
//!
//! Which of two wall clocks an hour apart is the right one can't be told, and a row that is deleted does not come back. So
//! it is the earlier of the two: the wall clock, and what it said at the start plus the time that has passed since.
//! A jump that was a correction costs rows that stay too long until the server is started anew; time asleep does too.

use std::time::Duration;

use jiff::SignedDuration;
use tracing::{info, warn};

use crate::time::{Mono, Now, Timestamp};

/// How far the wall clock may be ahead before it counts as having jumped.
pub(super) const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How much later than it was due a look can be: if both clocks say more, both have jumped, as in an emulation of them.
const LATE_MAX: Duration = Duration::from_secs(3600);

/// A clock that passes no faster than time does.
#[derive(Debug)]
pub(super) struct Steady {
    at: Timestamp,
    mono: Mono,
    /// How far the wall clock is ahead of `at`.
    lead: SignedDuration,
}

impl Steady {
    /// Starts with the wall clock, for want of anything better.
    pub(super) fn new(now: Now) -> Self {
        Self { at: now.wall, mono: now.mono, lead: SignedDuration::ZERO }
    }

    /// Goes on to `now`, at least one look every `interval`, and logs when the wall clock has left or come back. Whether
    /// the wall clock has just jumped back.
    pub(super) fn look(&mut self, now: Now, interval: Duration) -> bool {
        let passed = now.mono.since(self.mono).min(interval.saturating_add(LATE_MAX));
        let at = self.at.saturating_add(passed).unwrap_or(Timestamp::MAX);
        let lead = now.wall.duration_since(at);
        let seconds = lead.as_secs();
        match (lead > AHEAD_MAX, self.lead > AHEAD_MAX) {
            (true, false) => warn!(
                seconds,
                "The wall clock has jumped ahead; what is older only by that is not deleted from the journal. If the \
                 clock is right now, restart the server."
            ),
            (false, true) => info!(seconds, "The wall clock is back; the journal deletes by it again."),
            _ => (),
        }
        let jumped_back = self.lead.saturating_sub(lead) > AHEAD_MAX;
        *self = Self { at, mono: now.mono, lead };
        jumped_back
    }

    /// The time by which rows are too old, when the wall clock says this.
    pub(super) fn earlier(&self, wall: Timestamp) -> Timestamp {
        wall.min(self.at)
    }

    /// The time after which nothing can have been seen, but for [`AHEAD_MAX`].
    pub(super) fn later(&self, wall: Timestamp) -> Timestamp {
        wall.max(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(1);
    const DAY: i64 = 86_400;

    fn now(wall: i64, mono: u64) -> Now {
        Now { wall: Timestamp::from_second(wall).unwrap(), mono: Mono(mono * 1_000_000) }
    }

    /// Looks at (wall, mono) in seconds, from 0 on both; what the last of them says in seconds, and who jumped back.
    fn check(looks: &[(i64, u64)], expected: i64, jumped_back: &[bool]) {
        let mut steady = Steady::new(now(0, 0));
        let found: Vec<_> = looks.iter().map(|&(wall, mono)| steady.look(now(wall, mono), LOOK)).collect();
        let wall = looks.last().map_or(0, |look| look.0);
        assert_eq!(steady.earlier(now(wall, 0).wall).as_second(), expected, "{looks:?}");
        assert_eq!(found, jumped_back, "{looks:?}");
    }

    #[test]
    fn rows_age_no_faster_than_time_passes_on_either_clock() {
        check(&[(1000, 1000), (2000, 2000)], 2000, &[false, false]);
        check(&[(20_000 * DAY, 1)], 1, &[false]);
        check(&[(20_000 * DAY, 1), (20_000 * DAY + 3000, 3001)], 3001, &[false, false]);
        check(&[(20_000 * DAY, 1), (2, 2)], 2, &[false, true]);
        check(&[(-DAY, 1)], -DAY, &[true]);
        check(&[(-DAY, 1), (2, 2)], 2, &[true, false]);
    }

    #[test]
    fn a_jump_of_both_clocks_is_a_late_look_at_most() {
        let jump = 20_000 * DAY;
        check(&[(jump, jump.unsigned_abs())], 3601, &[false]);
        check(&[(jump, jump.unsigned_abs()), (1, 1), (3600, 3600)], 3600, &[false, true, false]);
    }
}
