//! Count and times of attempts that became one row.

/// Count and times of attempts that became one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many.
    pub(super) count: u64,
    /// The first, in milliseconds since 1970.
    pub(super) first: i64,
    /// The last, in milliseconds since 1970.
    pub(super) last: i64,
}

impl Tally {
    /// One attempt at `at` milliseconds.
    pub(super) fn one(at: i64) -> Self {
        Self { count: 1, first: at, last: at }
    }

    /// Adds one attempt at `at` milliseconds to those that are there.
    #[inline]
    pub(super) fn add(&mut self, at: i64) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    /// Adds the attempts of another tally.
    pub(super) fn merge(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            self.count += other.count;
            self.first = self.first.min(other.first);
            self.last = self.last.max(other.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_merge_in_any_order_to_the_sum_and_the_outermost_times() {
        let merged = |times: &[i64]| {
            let mut sum = Tally::default();
            for &at in times {
                sum.merge(Tally::one(at));
            }
            sum.merge(Tally::default());
            sum
        };
        let expected = Tally { count: 3, first: -5, last: 9 };
        for times in [[-5, 0, 9], [9, -5, 0], [0, 9, -5]] {
            assert_eq!(merged(&times), expected);
        }
        assert_eq!(merged(&[]), Tally::default());
    }
}
