//! Connections of those who were sent to the block page.

use super::labels::BlockPageEnd;
use super::registry::Registry;
use super::table::Cell;

/// Metrics of the block page.
#[derive(Debug)]
pub struct BlockPage {
    ended: Vec<Cell>, // embargo_block_page_connections_total{result}
    /// Connections open now.
    pub open: Cell, // embargo_block_page_connections
    /// Connections by banned names that are in the store.
    pub stored: Cell, // embargo_block_page_stored_total
    /// Those that never will be.
    pub lost: Cell, // embargo_block_page_lost_total
}

impl BlockPage {
    pub(super) fn new(registry: &Registry) -> Self {
        let ended = registry.counters(
            "block_page_connections_total",
            "Connections to the block page, by what became of them.",
            ["result"],
        );
        Self {
            ended: BlockPageEnd::ALL.iter().map(|end| ended.fixed([end.as_str()])).collect(),
            open: registry.gauge("block_page_connections", "Connections to the block page open now."),
            stored: registry.counter(
                "block_page_stored_total",
                "Connections by banned names that this process added to the store, one for each ban.",
            ),
            lost: registry.counter(
                "block_page_lost_total",
                "Connections by banned names that will never be in the store, since there was no room or it could not be written.",
            ),
        }
    }

    /// Connections that ended so.
    pub fn ended(&self, end: BlockPageEnd) -> &Cell {
        &self.ended[end.index()]
    }
}
