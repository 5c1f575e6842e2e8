//! The mean time that an upstream takes to answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest round trip in the mean (RFC 6298 §2).
const SMOOTHING: f64 = 0.125;
/// The same where it took less than half of the mean.
const RECOVERY: f64 = 0.5;

/// A moving mean in seconds, as the bits of an `f64`; not a number before the first response.
pub(super) struct RoundTrip(AtomicU64);

impl Default for RoundTrip {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl RoundTrip {
    /// Of two that are added at the same moment one may be lost, which a mean can bear.
    pub(super) fn add(&self, took: Duration) {
        let (mean, seconds) = (f64::from_bits(self.0.load(Ordering::Relaxed)), took.as_secs_f64());
        // Much faster than it was is more than a lucky moment: it has recovered, and must not be passed over for long.
        let weight = if seconds < mean / 2.0 { RECOVERY } else { SMOOTHING };
        let mean = if mean.is_nan() { seconds } else { mean + (seconds - mean) * weight };
        self.0.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// In seconds; `None` before the first response.
    pub(super) fn seconds(&self) -> Option<f64> {
        let mean = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!mean.is_nan()).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_is_a_moving_mean() {
        let mean = RoundTrip::default();
        assert_eq!(mean.seconds(), None);
        for (took, expected) in [(80, 0.08), (160, 0.09)] {
            mean.add(Duration::from_millis(took));
            assert!((mean.seconds().unwrap() - expected).abs() < 1e-9);
        }
        mean.add(Duration::from_millis(10));
        assert!((mean.seconds().unwrap() - 0.05).abs() < 1e-9, "an upstream that has become fast is soon seen to be");
    }
}
