//! The pieces of the page that Prometheus reads.

use prometheus::core::Desc;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};

/// Whether a family's values only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// All series of one name.
pub(super) fn family(desc: &Desc, kind: MetricType, series: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(series);
    family
}

impl Kind {
    /// The word for it on the page.
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Gauge => MetricType::GAUGE,
        }
    }

    /// A series with its value.
    pub(super) fn series<const N: usize>(self, names: &[&str; N], values: &[impl AsRef<str>; N], count: u64) -> Metric {
        let mut series = labelled(names, values);
        // The text format has only 64-bit floats: exact up to 2^53, 28,000 years of 10,000 a second.
        #[expect(clippy::cast_precision_loss, reason = "the exposition format is a float")]
        let value = count as f64;
        match self {
            Self::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                series.set_counter(counter);
            }
            Self::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                series.set_gauge(gauge);
            }
        }
        series
    }
}

/// A series that has no value yet.
pub(super) fn labelled<const N: usize>(names: &[&str; N], values: &[impl AsRef<str>; N]) -> Metric {
    let labels = names.iter().zip(values).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.as_ref().to_owned());
        pair
    });
    Metric::from_label(labels.collect())
}
