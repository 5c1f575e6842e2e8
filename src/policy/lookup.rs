//! Finding rules: for each ban the one that wins at a name.
//!
//! Within a ban the pattern with most labels wins; then literal before glob; then exact, below-only, suffix; then allow
//! before ban; among equal globs the longest, then the first by octets. Dates play no part: they hold for all rules of a ban alike.

use std::cmp::Reverse;

use super::attributes::Attributes;
use super::pattern::{PatternKind, PatternRef};
use super::policy::{BanIndex, Policy};
use super::rule::Effect;
use super::suffix;
use super::verdict::Hit;
use crate::time::Timestamp;
use crate::wire::LowerName;

/// A rule that stands in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'p> {
    pub(super) attributes: &'p Attributes,
    /// The name part of its pattern, on the wire.
    pub(super) wire: &'p [u8],
    /// Labels of the pattern.
    pub(super) labels: usize,
}

impl Found<'_> {
    /// The greater one wins within a ban; no two are equal.
    pub(super) fn rank(&self) -> impl Ord {
        let Attributes { kind, allow, .. } = *self.attributes;
        (self.labels, kind, allow, self.wire.len(), Reverse(self.wire))
    }

    /// Whether the rule is for a name that has `labels` labels and ends like it.
    pub(super) fn covers(&self, labels: usize) -> bool {
        match self.attributes.kind {
            PatternKind::Suffix => true,
            PatternKind::Below => labels > self.labels,
            PatternKind::Exact | PatternKind::Glob => labels == self.labels,
        }
    }
}

/// The winning rule of every ban that has one; no allocation for the first.
#[derive(Debug, Default)]
pub(super) struct Winners<'p> {
    first: Option<Found<'p>>,
    more: Vec<Found<'p>>,
    /// Whether a name below, of which no rule speaks, may have other winners.
    pub(super) child_may_differ: bool,
}

impl<'p> Winners<'p> {
    /// The winners, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Found<'p>> {
        self.first.iter().chain(&self.more)
    }

    /// The only winner.
    pub(super) fn only(&self) -> Option<&Found<'p>> {
        self.first.as_ref().filter(|_first| self.more.is_empty())
    }

    /// The winners of the other bans.
    pub(super) fn without(self, left_out: impl Fn(BanIndex) -> bool) -> Self {
        let stays = |found: &Found<'_>| !left_out(BanIndex(found.attributes.ban));
        let mut staying = self.first.into_iter().chain(self.more).filter(stays);
        Self { first: staying.next(), more: staying.collect(), child_may_differ: self.child_may_differ }
    }

    fn add(&mut self, found: Found<'p>) {
        let Some(first) = &mut self.first else {
            self.first = Some(found);
            return;
        };
        let same_ban = |other: &&mut Found<'p>| other.attributes.ban == found.attributes.ban;
        match std::iter::once(first).chain(&mut self.more).find(same_ban) {
            Some(older) if found.rank() > older.rank() => *older = found,
            Some(_) => (),
            None => self.more.push(found),
        }
    }
}

impl Policy {
    /// The winning rules at a name.
    pub(super) fn winners(&self, name: &LowerName) -> Winners<'_> {
        let labels = name.labels();
        let mut winners = Winners::default();
        for (depth, hash) in self.key.suffixes(name) {
            self.literals_at(hash, name, depth, |found| {
                if found.attributes.ceiling == Effect::Off {
                    return;
                }
                // A name below sees neither an exact rule here, nor this one only.
                winners.child_may_differ |= depth == labels && found.attributes.kind != PatternKind::Suffix;
                if found.covers(labels) {
                    winners.add(found);
                }
            });
            self.globs_at(hash, name, depth, labels, |found| {
                if found.attributes.ceiling != Effect::Off && !is_screened(&found, name, labels) {
                    winners.child_may_differ = true;
                    winners.add(found);
                }
            });
        }
        winners
    }

    /// The winning rules at a name directly below `name` of which no rule speaks by name.
    pub(super) fn winners_at_child(&self, name: &LowerName) -> Winners<'_> {
        let mut winners = Winners::default();
        for (depth, hash) in self.key.suffixes(name) {
            self.literals_at(hash, name, depth, |found| {
                if found.attributes.ceiling != Effect::Off && found.covers(name.labels() + 1) {
                    winners.add(found);
                }
            });
        }
        winners
    }

    /// Labels of the topmost name at or above `name` at which the winning rule of this ban is `wanted`, and that rule.
    pub(super) fn topmost(
        &self,
        name: &LowerName,
        ban: usize,
        wanted: impl Fn(&Found<'_>) -> bool,
    ) -> Option<(usize, Found<'_>)> {
        let mut above: Option<Found<'_>> = None;
        for (depth, hash) in self.key.suffixes(name) {
            let (mut here, mut below) = (None, None);
            self.literals_at(hash, name, depth, |found| {
                if found.attributes.ban == ban && found.attributes.ceiling != Effect::Off {
                    better(&mut here, found, depth);
                    better(&mut below, found, depth + 1);
                }
            });
            let winner = here.or_else(|| self.glob_of(name, depth, ban)).or(above);
            if let Some(winner) = winner.filter(&wanted) {
                return Some((depth, winner));
            }
            above = below.or(above);
        }
        None
    }

    /// Visits the literal rules at the ancestor that has `depth` labels, off or not, for whatever names.
    /// (A visitor, because moving iterators of iterators costs more than the lookup.)
    pub(super) fn literals_at<'p>(
        &'p self,
        hash: u64,
        name: &LowerName,
        depth: usize,
        mut visit: impl FnMut(Found<'p>),
    ) {
        if !self.literals.stand_at(depth) {
            return;
        }
        for (number, wire) in self.literals.at(hash, name.suffix(depth)) {
            visit(Found { attributes: &self.attributes[usize::from(number)], wire, labels: depth });
        }
    }

    /// Visits the globs, off or not, hanging on the ancestor that has `depth` labels, that match the one that has
    /// `labels`.
    pub(super) fn globs_at<'p>(
        &'p self,
        hash: u64,
        name: &LowerName,
        depth: usize,
        labels: usize,
        mut visit: impl FnMut(Found<'p>),
    ) {
        if !self.globs.stand_at(depth) {
            return;
        }
        for glob in self.globs.matching(hash, name.suffix(depth), name.suffix(labels), labels) {
            visit(Found { attributes: &self.attributes[usize::from(glob.attributes)], wire: &glob.wire, labels });
        }
    }

    /// The winning glob of a ban at the ancestor that has `labels` labels.
    fn glob_of(&self, name: &LowerName, labels: usize, ban: usize) -> Option<Found<'_>> {
        if !(0..labels).any(|depth| self.globs.stand_at(depth)) {
            return None;
        }
        let mut best: Option<Found<'_>> = None;
        for (depth, hash) in self.key.suffixes(name).take(labels) {
            self.globs_at(hash, name, depth, labels, |found| {
                let in_force = found.attributes.ceiling != Effect::Off && !is_screened(&found, name, labels);
                if found.attributes.ban == ban && in_force {
                    better(&mut best, found, labels);
                }
            });
        }
        best
    }

    /// What a rule does at a time.
    pub(super) fn effect(&self, found: &Found<'_>, at: Timestamp) -> Effect {
        found.attributes.ceiling.capped(self.bans[found.attributes.ban].mode_at(at))
    }

    /// The rule as the world sees it.
    pub(super) fn hit<'p>(&'p self, found: &Found<'p>, at: Timestamp) -> Hit<'p> {
        let attributes = found.attributes;
        Hit {
            ban: &self.bans[attributes.ban],
            ban_index: BanIndex(attributes.ban),
            list: &self.lists[attributes.list],
            series: attributes.series,
            pattern: PatternRef { wire: found.wire, kind: attributes.kind, allow: attributes.allow },
            category: &attributes.category,
            evidence: attributes.evidence,
            allow: attributes.allow,
            effect: self.effect(found, at),
        }
    }
}

/// Whether a glob would enforce a public suffix; only the name asked can tell.
pub(super) fn is_screened(found: &Found<'_>, name: &LowerName, labels: usize) -> bool {
    matches!(found.attributes.ceiling, Effect::Enforce(_)) && suffix::is_registry(name, labels)
}

/// Keeps the rule of the greater rank among those that cover a name of `labels` labels.
fn better<'p>(best: &mut Option<Found<'p>>, found: Found<'p>, labels: usize) {
    if found.covers(labels) && best.is_none_or(|best| found.rank() > best.rank()) {
        *best = Some(found);
    }
}
