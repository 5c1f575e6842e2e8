//! What the log says of an upstream's health. Whoever asks for names that nobody answers can change it many times a second:
//! the log then says the truth before long, and not each change.

use std::time::Duration;

use tokio::time::Instant;

/// An upstream is said to fail once in so long at most.
const APART: Duration = Duration::from_secs(10);

/// What was said last, and when it was said that the upstream fails.
#[derive(Debug)]
pub(super) struct Said {
    healthy: bool,
    failing_at: Option<Instant>,
}

impl Default for Said {
    fn default() -> Self {
        Self { healthy: true, failing_at: None }
    }
}

impl Said {
    /// Whether it is to be said now that the upstream is healthy, or that it is not; it then counts as said. To be asked at
    /// every change, and from time to time without one.
    pub(super) fn is_due(&mut self, healthy: bool, now: Instant) -> bool {
        let soon = !healthy && self.failing_at.is_some_and(|at| now.saturating_duration_since(at) < APART);
        if healthy == self.healthy || soon {
            return false;
        }
        self.healthy = healthy;
        if !healthy {
            self.failing_at = Some(now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_and_many_changes_are_said_as_one() {
        let (mut said, start) = (Said::default(), Instant::now());
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert!(!said.is_due(true, start), "that is what everyone expects");
        assert_eq!([false, true].map(|healthy| said.is_due(healthy, start)), [true, true]);
        let lines = (0..9_990).filter(|&at| said.is_due(at % 2 == 0, after(at))).count();
        assert_eq!(lines, 0);
        assert!(!said.is_due(false, after(9_999)));
        assert!(said.is_due(false, after(10_000)), "what lasts is said in the end");
        assert!(said.is_due(true, after(10_001)));
    }
}
