//! When a list is asked for next. Pure: what happened goes in, the time to wait comes out.
//!
//! Chance spreads those who ask: servers that were started together must not all ask at the same second for ever.

use std::time::Duration;

/// The first failure is tried again so soon, unless the list says otherwise; each further one in a row after twice that.
const AGAIN: Duration = Duration::from_secs(60);
/// And no later than this, or than the list is asked for anyway.
const AGAIN_MAX: Duration = Duration::from_secs(60 * 60);
/// What is overdue at a start is asked for within this.
const START_SPREAD: Duration = Duration::from_secs(30);

/// The pace of one list.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    refresh: Duration,
    again: Duration,
    /// Nobody is asked again sooner.
    least: Duration,
    failures: u32,
}

impl Schedule {
    /// Of a list that is asked for this often.
    pub fn new(refresh: Duration) -> Self {
        Self { refresh, again: AGAIN, least: Duration::ZERO, failures: 0 }
    }

    /// From now on it is asked for this often, and again so soon after a first failure and no sooner, unless it is asked for
    /// more often anyway.
    pub fn paces(&mut self, refresh: Duration, again: Duration) {
        (self.refresh, self.again, self.least) = (refresh, again, again.min(refresh));
    }

    /// Until the first time, at a start; `age`: of what is kept, if anything is. `chance` is from 0 to 1, here and below.
    pub fn first(&self, age: Option<Duration>, chance: f64) -> Duration {
        let Some(age) = age else { return Duration::ZERO };
        match self.spread(chance).checked_sub(age) {
            Some(left) if !left.is_zero() => left,
            _ => START_SPREAD.mul_f64(chance).min(self.refresh),
        }
    }

    /// Until the next time after a good one.
    pub fn succeeded(&mut self, chance: f64) -> Duration {
        self.failures = 0;
        self.spread(chance)
    }

    /// Until the next time after one that brought nothing; `least`: what the server asks for.
    pub fn failed(&mut self, least: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.again * 2_u32.pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(AGAIN_MAX.max(self.again)).min(self.refresh);
        wait.mul_f64(1.0 - chance / 2.0).max(self.least).max(least.unwrap_or_default())
    }

    fn spread(&self, chance: f64) -> Duration {
        self.refresh.mul_f64(1.0 - chance / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_list_that_never_came_is_asked_for_at_once_and_a_fresh_one_when_its_time_comes() {
        let schedule = Schedule::new(seconds(DAY));
        assert_eq!(schedule.first(None, 0.7), Duration::ZERO);
        assert_eq!(schedule.first(Some(seconds(1_000)), 0.0), seconds(DAY - 1_000));
        assert_eq!(schedule.first(Some(seconds(0)), 1.0), seconds(DAY / 10 * 9));
        assert_eq!(schedule.first(Some(seconds(2 * DAY)), 0.5), seconds(15));
    }

    #[test]
    fn failures_in_a_row_are_tried_again_after_twice_as_long_each_and_never_too_late() {
        let mut schedule = Schedule::new(seconds(DAY));
        let waits: Vec<u64> = (0..9).map(|_failure| schedule.failed(None, 0.0).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(schedule.succeeded(0.0), seconds(DAY));
        assert_eq!(schedule.failed(None, 1.0), seconds(30));
        assert_eq!(schedule.failed(Some(seconds(7_200)), 0.0), seconds(7_200));
        assert_eq!(Schedule::new(seconds(60)).failed(None, 0.0), seconds(60));
        let mut many = Schedule { failures: u32::MAX, ..Schedule::new(seconds(DAY)) };
        assert_eq!(many.failed(None, 0.0), seconds(3_600));
        let mut zone = Schedule::new(seconds(60));
        zone.paces(seconds(DAY), seconds(7_200));
        let waits: Vec<u64> = (0..3).map(|_failure| zone.failed(None, 0.0).as_secs()).collect();
        assert_eq!(waits, [7_200, 7_200, 7_200], "no sooner than it wants");
        assert_eq!(zone.failed(None, 1.0), seconds(7_200), "nor by chance");
        zone.paces(seconds(60), seconds(7_200));
        assert_eq!(zone.failed(None, 1.0), seconds(60));
    }
}
