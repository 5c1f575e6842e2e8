//! How long devices of the baseline went on: a time for those that are clean, and for the others that it is longer than what
//! was seen of them (right-censored).

use std::collections::BTreeMap;

use super::cohort::{Asked, Cohort, Sets};

/// Devices of the baseline by the days from its end to their last lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// By days: how many were clean then, and how many were last heard of then without that.
    by_days: BTreeMap<u32, (u64, u64)>,
}

impl Lifetimes {
    /// Adds the devices of a cohort.
    pub fn add(&mut self, sets: &Sets, cohort: &Cohort, asked: &Asked) {
        let (date, end) = (asked.date(), *asked.window.end());
        // The day after the last lookup; nought for whoever was last seen before the baseline ended.
        let days = |day: crate::time::Day| u32::try_from(day.since(date) + 1).unwrap_or(0);
        let mut left = cohort.baseline.clone();
        for (day, bits) in sets.seen.iter().rev().skip_while(|(day, _)| *day > end) {
            if left.is_empty() {
                break;
            }
            let last = bits & &left;
            left -= bits;
            let (clean, still) = (last.intersection_len(&cohort.clean), last.intersection_len(&cohort.still));
            self.count(days(*day), clean, last.len() - clean - still);
            // Seen at the end: nobody knows how much longer.
            self.count(days(end), 0, still);
        }
    }

    fn count(&mut self, days: u32, clean: u64, others: u64) {
        if clean + others > 0 {
            let at = self.by_days.entry(days).or_default();
            *at = (at.0 + clean, at.1 + others);
        }
    }

    /// How many are clean, and how many of which only the least time is known.
    pub fn counts(&self) -> (u64, u64) {
        self.by_days.values().fold((0, 0), |sum, at| (sum.0 + at.0, sum.1 + at.1))
    }

    /// The days after which that share of the devices was clean (Kaplan and Meier 1958); `None`: not within what was seen.
    #[expect(clippy::cast_precision_loss, reason = "shares of a count")]
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let (clean, others) = self.counts();
        let (mut left, mut going_on) = (clean + others, 1.0);
        for (&days, &(clean, others)) in &self.by_days {
            going_on *= 1.0 - clean as f64 / left.max(1) as f64;
            if clean > 0 && going_on <= 1.0 - share {
                return Some(days);
            }
            left -= clean + others;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(by_days: &[(u32, u64, u64)]) -> Lifetimes {
        Lifetimes { by_days: by_days.iter().map(|&(days, clean, others)| (days, (clean, others))).collect() }
    }

    #[test]
    fn half_of_all_are_clean_when_the_half_of_those_who_are_followed_is() {
        let all = lifetimes(&[(3, 2, 0), (10, 3, 0), (20, 5, 0)]);
        assert_eq!([all.quantile(0.2), all.quantile(0.5), all.quantile(1.0)], [Some(3), Some(10), Some(20)]);
    }

    #[test]
    fn whoever_was_lost_on_the_way_counts_as_long_as_he_was_seen() {
        // The example of the textbook: 1 - (1 - 1/10)(1 - 1/8)(1 - 3/6) is more than a half, the first two steps are less.
        let some = lifetimes(&[(1, 1, 1), (5, 1, 1), (9, 3, 3)]);
        assert_eq!([some.quantile(0.1), some.quantile(0.5), some.quantile(0.7)], [Some(1), Some(9), None]);
        assert_eq!(some.counts(), (5, 5));
        assert_eq!(lifetimes(&[(0, 0, 4)]).quantile(0.5), None);
    }
}
