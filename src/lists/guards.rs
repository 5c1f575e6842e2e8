//! Whether a new version of a list is to be believed: less than half of what it was is more often a fault of its source than
//! meant, and so is many times as much.

/// Lists of up to so many rules may grow as they like: the first hundred names of a new list are no accident.
const MAY_GROW_TO: u64 = 1_000;

/// Lists of an operator's own of up to so many rules may lose them as they like: whoever edits a short one means it.
const MAY_SHRINK_FROM: u64 = 1_000;

/// What is taken of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Octets of a list at most, unpacked.
    pub size_max_bytes: u64,
    /// Percent of its rules that a list may lose at once.
    pub shrink_max_percent: u32,
    /// Percent of its rules that a list may gain at once.
    pub growth_max_percent: u32,
}

/// Why a new version is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// Much less than before.
    #[error("it has shrunk from {before} to {now} rules, more than shrink_max = \"{percent}%\" allows")]
    Shrunk {
        /// Rules before.
        before: u64,
        /// Rules now.
        now: u64,
        /// The limit.
        percent: u32,
    },
    /// Much more than before.
    #[error("it has grown from {before} to {now} rules, more than growth_max = \"{percent}%\" allows")]
    Grown {
        /// Rules before.
        before: u64,
        /// Rules now.
        now: u64,
        /// The limit.
        percent: u32,
    },
}

impl Default for Guards {
    fn default() -> Self {
        Self { size_max_bytes: 64 << 20, shrink_max_percent: 50, growth_max_percent: 400 }
    }
}

impl Guards {
    /// Judges a version of an operator's own list: only whether so much of a long one is gone that it may have been cut, or still
    /// be on its way to the disk.
    ///
    /// # Errors
    /// [`Suspicion::Shrunk`].
    pub fn judge_own(&self, before: u64, now: u64) -> Result<(), Suspicion> {
        if before <= MAY_SHRINK_FROM || now >= before { Ok(()) } else { self.judge(before, now) }
    }

    /// Judges a version with `now` rules after one with `before`.
    ///
    /// # Errors
    /// [`Suspicion`].
    pub fn judge(&self, before: u64, now: u64) -> Result<(), Suspicion> {
        let percent_of_before = |percent: u32| u128::from(before) * u128::from(percent);
        let gone = u128::from(before.saturating_sub(now)) * 100;
        if gone > percent_of_before(self.shrink_max_percent) {
            return Err(Suspicion::Shrunk { before, now, percent: self.shrink_max_percent });
        }
        let new = u128::from(now.saturating_sub(before)) * 100;
        if now > MAY_GROW_TO && new > percent_of_before(self.growth_max_percent) {
            return Err(Suspicion::Grown { before, now, percent: self.growth_max_percent });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_may_go_and_five_times_as_much_may_come() {
        let check =
            |before, now, fine| assert_eq!(Guards::default().judge(before, now).is_ok(), fine, "{before} {now}");
        check(1_000, 500, true);
        check(1_000, 499, false);
        check(1, 0, false);
        check(1_000, 5_000, true);
        check(1_000, 5_001, false);
        check(1, 1_000, true);
        check(10, 1_001, false);
        check(u64::MAX, u64::MAX, true);
    }

    #[test]
    fn an_operator_s_own_list_may_lose_what_it_likes_while_it_is_short() {
        let check =
            |before, now, fine| assert_eq!(Guards::default().judge_own(before, now).is_ok(), fine, "{before} {now}");
        check(1_000, 1, true);
        check(1_001, 1, false);
        check(1_001, 501, true);
        check(10, 1_000_000, true);
    }

    #[test]
    fn a_hundred_percent_lets_a_list_lose_everything() {
        let guards = Guards { shrink_max_percent: 100, ..Guards::default() };
        assert_eq!(guards.judge(1_000_000, 1), Ok(()));
        assert_eq!(
            Guards::default().judge(3, 1).unwrap_err().to_string(),
            "it has shrunk from 3 to 1 rules, more than shrink_max = \"50%\" allows"
        );
    }
}
