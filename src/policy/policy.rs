//! The compiled policy, immutable.

use std::sync::Arc;

use super::ban::{Ban, Evidence};
use super::explain::Explanation;
use super::list::ListFormat;
use super::verdict::{Client, Decision, Verdict};
use crate::time::Timestamp;
use crate::wire::LowerName;

/// A ban, as an index into [`Policy::bans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BanIndex(pub usize);

/// A list, as an index into [`Policy::lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListIndex(pub usize);

/// A list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInfo {
    /// What messages call it: a path, or `<embedded>/kaspersky/rules.txt`.
    pub name: Arc<str>,
    /// The ban it belongs to.
    pub ban: BanIndex,
    /// How to read it again.
    pub format: ListFormat,
    /// SHA-256 of its octets, in hexadecimal.
    pub digest: String,
    /// Rules in force.
    pub entries: u64,
    /// Rules dropped because they stand already, in this list or one before it.
    pub duplicates: u64,
}

impl ListInfo {
    /// A list whose rules are still to come.
    pub fn new(name: impl Into<Arc<str>>, ban: BanIndex, format: ListFormat, digest: impl Into<String>) -> Self {
        Self { name: name.into(), ban, format, digest: digest.into(), entries: 0, duplicates: 0 }
    }
}

/// What attempts are counted by: the label values of one metric series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The ban's id.
    pub ban: Arc<str>,
    /// The rule's category.
    pub category: Arc<str>,
    /// The rule's evidence.
    pub evidence: Evidence,
}

/// The compiled policy.
#[derive(Debug)]
pub struct Policy {
    pub(super) generation: u64,
    pub(super) bans: Vec<Arc<Ban>>,
    pub(super) lists: Vec<ListInfo>,
    pub(super) series: Vec<Series>,
}

impl Policy {
    /// What is to be done with a question. Allocates nothing unless rules of two bans or more match.
    pub fn decide(&self, name: &LowerName, qtype: u16, client: &Client, at: Timestamp) -> Verdict<'_> {
        let _ = (name, qtype, client, at);
        Verdict { decision: Decision::Pass, also: Vec::new(), ttl_cap: None }
    }

    /// The same, with every rule that was considered.
    pub fn explain(&self, name: &LowerName, qtype: u16, client: &Client, at: Timestamp) -> Explanation<'_> {
        Explanation { verdict: self.decide(name, qtype, client, at), candidates: Vec::new() }
    }

    /// The bans, in the order they were added.
    pub fn bans(&self) -> &[Arc<Ban>] {
        &self.bans
    }

    /// The lists, in the order they were added.
    pub fn lists(&self) -> &[ListInfo] {
        &self.lists
    }

    /// Every series that a hit can count in.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The number given to [`PolicyBuilder::build`](super::PolicyBuilder::build).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Octets held by the compiled rules.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
    }
}
