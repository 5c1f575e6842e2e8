//! Counters of one name that stand in the blocks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::block::Blocks;
use super::page::{Kind, family};
use super::place::Place;
use super::table::Key;

/// All series of one name, each at its place in every block. A clone is the same family.
#[derive(Clone, Debug)]
pub(super) struct Tallied<const N: usize> {
    shared: Arc<Shared<N>>,
}

#[derive(Debug)]
struct Shared<const N: usize> {
    desc: Desc,
    labels: [&'static str; N],
    blocks: Arc<Blocks>,
    series: RwLock<BTreeMap<Key<N>, Place>>,
}

impl<const N: usize> Tallied<N> {
    /// An empty family; `desc` was made from the same label names.
    pub(super) fn new(desc: Desc, labels: [&'static str; N], blocks: Arc<Blocks>) -> Self {
        Self { shared: Arc::new(Shared { desc, labels, blocks, series: RwLock::default() }) }
    }

    /// Shows what is counted at `place` as the series of these label values.
    pub(super) fn show(&self, values: [&str; N], place: Place) {
        let mut series = self.shared.series.write().unwrap_or_else(PoisonError::into_inner);
        series.insert(values.map(Arc::from), place);
    }

    /// The place of the series of these label values; a new one is taken if there is none.
    pub(super) fn place(&self, values: [&str; N]) -> Place {
        let mut series = self.shared.series.write().unwrap_or_else(PoisonError::into_inner);
        *series.entry(values.map(Arc::from)).or_insert_with(|| self.shared.blocks.take())
    }
}

impl<const N: usize> Collector for Tallied<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.shared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Shared { desc, labels, blocks, series } = &*self.shared;
        let series = series.read().unwrap_or_else(PoisonError::into_inner);
        let sums = blocks.sums();
        let series = series.iter().map(|(key, &place)| Kind::Counter.series(labels, key, sums.of(place)));
        vec![family(desc, Kind::Counter.metric_type(), series.collect())]
    }
}

/// One count without labels that stands in the blocks.
#[derive(Clone, Debug)]
pub struct Total {
    pub(super) place: Place,
    pub(super) blocks: Arc<Blocks>,
}

impl Total {
    /// The value now, of all blocks.
    pub fn value(&self) -> u64 {
        self.blocks.sums().of(self.place)
    }
}
