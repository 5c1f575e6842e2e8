//! Durations in buckets: 0.25 ms, doubling to 8.192 s, and what is longer.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};

use super::block::{Blocks, Sums};
use super::labels::Outcome;
use super::page::{family, labelled};
use super::place::Place;

/// The upper bound of the first bucket, in microseconds; each further one is twice the one before.
const FIRST_BOUND: u64 = 250;
/// Buckets with an upper bound.
pub(super) const BOUND_COUNT: usize = 16;
/// All buckets: the last one has no bound.
pub(super) const BUCKET_COUNT: usize = BOUND_COUNT + 1;

/// The bucket of a duration in microseconds: the first whose bound it does not exceed.
pub(super) fn bucket(micros: u64) -> usize {
    // 250 * 2^n >= micros exactly when 2^n > (micros - 1) / 250 without its fraction: n is the number of its binary digits.
    let times = micros.saturating_sub(1) / FIRST_BOUND;
    ((u64::BITS - times.leading_zeros()) as usize).min(BOUND_COUNT)
}

/// The upper bounds in seconds.
pub(super) fn bounds() -> [f64; BOUND_COUNT] {
    std::array::from_fn(|bucket| seconds(FIRST_BOUND << bucket))
}

/// Microseconds as the page shows them.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 microseconds, 285 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The histogram of the time to a response, by outcome, summed over the blocks when it is read.
#[derive(Debug)]
pub(super) struct Latencies {
    desc: Desc,
    label: &'static str,
    blocks: Arc<Blocks>,
}

impl Latencies {
    /// `desc` was made with `label` as its only one.
    pub(super) fn new(desc: Desc, label: &'static str, blocks: Arc<Blocks>) -> Self {
        Self { desc, label, blocks }
    }

    fn series(&self, outcome: Outcome, sums: &Sums<'_>) -> proto::Metric {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUND_COUNT);
        for (bucket, bound) in bounds().into_iter().enumerate() {
            count += sums.of(Place::bucket(outcome, bucket));
            let mut shown = proto::Bucket::default();
            shown.set_upper_bound(bound);
            shown.set_cumulative_count(count);
            buckets.push(shown);
        }
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count + sums.of(Place::bucket(outcome, BOUND_COUNT)));
        histogram.set_sample_sum(seconds(sums.of(Place::micros(outcome))));
        let mut series = labelled(&[self.label], &[outcome.as_str()]);
        series.set_histogram(histogram);
        series
    }
}

impl Collector for Latencies {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sums = self.blocks.sums();
        let series = Outcome::ALL.iter().map(|&outcome| self.series(outcome, &sums));
        vec![family(&self.desc, MetricType::HISTOGRAM, series.collect())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_on_a_bound_is_in_the_bucket_below_it() {
        assert_eq!([0, 1, 250, 251, 500, 501].map(bucket), [0, 0, 0, 1, 1, 2]);
        assert_eq!([8_192_000, 8_192_001, u64::MAX].map(bucket), [15, 16, 16]);
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_first_whose_bound_is_not_exceeded(micros in prop_oneof![0..20_000_u64, 0..20_000_000_u64]) {
            let expected = bounds().iter().position(|&bound| seconds(micros) <= bound).unwrap_or(BOUND_COUNT);
            prop_assert_eq!(bucket(micros), expected);
        }
    }
}
