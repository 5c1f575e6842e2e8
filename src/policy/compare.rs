//! Two policies beside each other: rules that are new or gone, and what that changes for the names they name.

use std::cmp::Ordering;
use std::sync::Arc;

use super::attributes::Attributes;
use super::ban::Evidence;
use super::pattern::{PatternKind, PatternRef};
use super::policy::{ListInfo, Policy};
use super::rule::Does;
use super::verdict::Client;
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rules of the newer alone.
    pub added: Vec<RuleRow>,
    /// Rules of the older alone.
    pub removed: Vec<RuleRow>,
    /// Rules of both whose columns differ, as they were and as they are.
    pub changed: Vec<(RuleRow, RuleRow)>,
    /// Names, of those that such a rule names, for which something else is done.
    pub verdicts: Vec<VerdictChange>,
}

/// A rule as it is written in our own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// What it matches.
    pub pattern: String,
    /// Its category.
    pub category: Arc<str>,
    /// What a match proves.
    pub evidence: Evidence,
    /// A mode or an action.
    pub does: &'static str,
}

/// A name for which something else is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictChange {
    /// The name; with `*.` in front, every name below it that no rule names; of a glob, every such name that it matches.
    pub name: String,
    /// `none`, `allow`, `observe` or an action.
    pub old: &'static str,
    /// The same.
    pub new: &'static str,
}

/// A rule in the order of its name.
struct Row<'p> {
    wire: &'p [u8],
    attributes: &'p Attributes,
}

impl Policy {
    /// What is different in `newer`, at a time.
    pub fn compare(&self, newer: &Self, at: Timestamp) -> Comparison {
        let (olds, news) = (self.rows(), newer.rows());
        let (mut olds, mut news) = (olds.iter().peekable(), news.iter().peekable());
        let mut comparison = Comparison::default();
        let (mut names, mut networks): (Vec<&[u8]>, Vec<PatternRef<'_>>) = (Vec::new(), Vec::new());
        let mut globs: Vec<&[u8]> = Vec::new();
        loop {
            let order = match (olds.peek(), news.peek()) {
                (Some(old), Some(new)) => old.order(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            match (old, new) {
                (Some(old), Some(new)) if old.attributes.same_columns(new.attributes) => continue,
                (Some(old), Some(new)) => comparison.changed.push((old.shown(), new.shown())),
                (Some(old), None) => comparison.removed.push(old.shown()),
                (None, Some(new)) => comparison.added.push(new.shown()),
                (None, None) => break,
            }
            for row in old.into_iter().chain(new) {
                match row.attributes.kind {
                    PatternKind::Glob => globs.push(row.wire),
                    kind if kind.is_network() => networks.push(PatternRef { wire: row.wire, kind, allow: false }),
                    _ => names.push(row.wire),
                }
            }
        }
        names.dedup();
        networks.dedup();
        globs.dedup();
        comparison.verdicts = names.into_iter().flat_map(|wire| self.verdict_changes(newer, wire, at)).collect();
        comparison.verdicts.extend(globs.into_iter().filter_map(|glob| self.glob_change(newer, glob, at)));
        let changes = networks.into_iter().filter_map(|pattern| self.network_change(newer, pattern, at));
        comparison.verdicts.extend(changes);
        comparison
    }

    /// Every rule about names, with the list that holds it.
    pub fn rules(&self) -> impl Iterator<Item = (&ListInfo, PatternRef<'_>)> {
        self.rows().into_iter().map(|Row { wire, attributes }| {
            let Attributes { list, kind, allow, .. } = *attributes;
            (&self.lists[list], PatternRef { wire, kind, allow })
        })
    }

    /// Every rule, by name.
    fn rows(&self) -> Vec<Row<'_>> {
        let attributes = |number: u16| &self.attributes[usize::from(number)];
        let literals = self.literals.entries().map(|(number, wire)| Row { wire, attributes: attributes(number) });
        let globs = self.globs.groups().iter().flat_map(|group| &group.globs);
        let globs = globs.map(|glob| Row { wire: &glob.wire, attributes: attributes(glob.attributes) });
        let networks = self.answers.rows().iter().chain(self.clients.rows());
        let networks = networks.map(|row| Row { wire: &row.wire, attributes: attributes(row.attributes) });
        let mut rows: Vec<_> = literals.chain(globs).chain(networks).collect();
        rows.sort_unstable_by(Row::order);
        rows
    }

    fn verdict_changes(&self, newer: &Self, wire: &[u8], at: Timestamp) -> Vec<VerdictChange> {
        // No rule names a label of one zero octet.
        let below = [&[1, 0], wire].concat();
        let both = [("", wire), ("*.", &below)];
        let changes = both.into_iter().filter_map(|(prefix, asked)| {
            let (asked, _end) = LowerName::read(asked, 0).ok()?;
            let (old, new) = (self.in_a_word(&asked, at), newer.in_a_word(&asked, at));
            let (name, _end) = LowerName::read(wire, 0).ok()?;
            (old != new).then(|| VerdictChange { name: format!("{prefix}{name}"), old, new })
        });
        changes.collect()
    }

    /// What is different for a name of a glob of which no other rule speaks.
    fn glob_change(&self, newer: &Self, glob: &[u8], at: Timestamp) -> Option<VerdictChange> {
        let (name, _end) = LowerName::read(glob, 0).ok()?;
        // No rule names a zero octet.
        let mut wire = Vec::with_capacity(glob.len());
        for label in (0..name.labels()).map(|index| name.label(index)) {
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend(label.iter().map(|octet| if *octet == b'*' { 0 } else { *octet }));
        }
        wire.push(0);
        let (asked, _end) = LowerName::read(&wire, 0).ok()?;
        let (old, new) = (self.in_a_word(&asked, at), newer.in_a_word(&asked, at));
        (old != new).then(|| VerdictChange { name: name.to_string(), old, new })
    }

    fn in_a_word(&self, name: &LowerName, at: Timestamp) -> &'static str {
        self.decide(name, qtype::A, &Client::NOBODY, at).decision.as_str()
    }

    /// What is different for addresses, or clients, of a network of which no rule about a smaller one speaks.
    fn network_change(&self, newer: &Self, pattern: PatternRef<'_>, at: Timestamp) -> Option<VerdictChange> {
        let network = pattern.network()?;
        let [old, new] = [self, newer].map(|policy| policy.judge_network(pattern.kind, network, at, |_ban| false));
        let (old, new) = (old.decision.as_str(), new.decision.as_str());
        (old != new).then(|| VerdictChange { name: pattern.to_string(), old, new })
    }
}

impl Row<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let Attributes { kind, allow, .. } = self.attributes;
        let Attributes { kind: other_kind, allow: other_allow, .. } = other.attributes;
        (self.wire, kind, allow).cmp(&(other.wire, other_kind, other_allow))
    }

    fn shown(&self) -> RuleRow {
        let Attributes { kind, allow, category, evidence, does, .. } = self.attributes;
        RuleRow {
            pattern: PatternRef { wire: self.wire, kind: *kind, allow: *allow }.to_string(),
            category: Arc::clone(category),
            evidence: *evidence,
            does: match does {
                _ if *allow => "allow",
                Does::Mode(mode) => mode.as_str(),
                Does::Action(action) => action.as_str(),
            },
        }
    }
}
