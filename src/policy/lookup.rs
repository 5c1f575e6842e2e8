//! Finding rules: all that stand on the way from the root to a name, in one pass, and the one of each ban that wins.
//!
//! Within a ban the pattern with most labels wins; then literal before glob; then exact, below-only, suffix; then allow
//! before ban; among equal globs the longest, then the first by octets. Dates and clients play no part: they change all
//! rules of a ban alike.

use std::cmp::Reverse;

use super::attributes::{self, Attributes};
use super::ban::Action;
use super::few::Few;
use super::pattern::{PatternKind, PatternRef};
use super::policy::{BanIndex, ListIndex, Policy};
use super::rule::Effect;
use super::stance::Asker;
use super::suffix;
use super::verdict::Hit;
use crate::wire::LowerName;

/// A rule that stands in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'p> {
    pub(super) attributes: &'p Attributes,
    /// The name part of its pattern, on the wire.
    pub(super) wire: &'p [u8],
    /// Labels of the pattern; of one about a network more than any name has, and the more the smaller it is.
    pub(super) labels: usize,
}

impl Found<'_> {
    /// The greater one wins within a ban; no two are equal.
    pub(super) fn rank(&self) -> impl Ord {
        let Attributes { kind, allow, .. } = *self.attributes;
        // Labels, kind and allow as one number: only two globs are ever compared further.
        (self.labels << 4 | (kind as usize) << 1 | usize::from(allow), self.wire.len(), Reverse(self.wire))
    }

    /// Whether the rule is for a name that has at least its labels, `labels`, and ends like it.
    #[inline]
    pub(super) fn covers(&self, labels: usize) -> bool {
        match self.attributes.kind {
            PatternKind::Suffix | PatternKind::Answer | PatternKind::Client => true,
            PatternKind::Below => labels > self.labels,
            PatternKind::Exact | PatternKind::Glob => labels == self.labels,
        }
    }
}

/// The rules on the way from the root to a name that are not off, each of which can win at the name, above it, or below:
/// all that a verdict is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Way<'p> {
    rules: Few<'p>,
    /// Labels of the name.
    labels: usize,
    /// The hash of the name; not known when no rule was found.
    pub(super) hash: u64,
}

impl<'p> Way<'p> {
    /// The rule, if there is but one.
    #[inline]
    pub(super) fn only(&self) -> Option<&Found<'p>> {
        self.rules.only()
    }

    /// The ban of all rules, if it is one, and does the same to everybody at every time.
    #[inline]
    pub(super) fn lasting_ban(&self) -> Option<usize> {
        let first = self.rules.iter().next()?.attributes;
        let alike = |found: &Found<'_>| found.attributes.ban == first.ban;
        (!first.varies && self.rules.iter().all(alike)).then_some(first.ban)
    }

    /// The greatest rule, of any ban, of those for a name of `labels` labels at or below this one.
    #[inline]
    pub(super) fn best_at(&self, labels: usize) -> Option<&Found<'p>> {
        greatest(self.rules.iter().filter(|found| found.covers(labels)))
    }

    /// Whether no rule was found.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.rules.is_empty()
    }

    /// The winning rule of each ban at the name.
    #[inline]
    pub(super) fn winners(&self) -> Few<'p> {
        self.winners_at(self.labels)
    }

    /// The winning rule of each ban at a name directly below of which no rule speaks by name; `None` when they are those
    /// of the name itself.
    #[inline]
    pub(super) fn winners_below(&self) -> Option<Few<'p>> {
        let below = self.labels + 1;
        let differs = |found: &Found<'_>| found.covers(self.labels) != found.covers(below);
        self.rules.iter().any(differs).then(|| self.winners_at(below))
    }

    fn winners_at(&self, labels: usize) -> Few<'p> {
        let mut winners = Few::default();
        for found in self.rules.iter().filter(|found| found.covers(labels)) {
            winners.push_above(*found, |older| older.attributes.ban == found.attributes.ban);
        }
        winners
    }

    /// Labels of the topmost name at or above the name at which the winning rule of this ban is `wanted`, and that rule.
    #[inline]
    pub(super) fn topmost(&self, ban: usize, wanted: impl Fn(&Found<'p>) -> bool) -> Option<(usize, &Found<'p>)> {
        let rules = || self.rules.iter().filter(|found| found.attributes.ban == ban);
        let first = rules().map(|found| found.labels).min()?;
        for labels in first..=self.labels {
            let here = rules().filter(|found| found.labels <= labels && found.covers(labels));
            if let Some(winner) = greatest(here).filter(|winner| wanted(winner)) {
                return Some((labels, winner));
            }
        }
        None
    }

    /// The same way without the rules of some bans.
    pub(super) fn without(&self, left_out: impl Fn(BanIndex) -> bool) -> Self {
        let stays = |found: &&Found<'_>| !left_out(BanIndex(found.attributes.ban));
        Self { rules: self.rules.iter().filter(stays).copied().collect(), ..*self }
    }

    /// Adds a rule about a network. Of those of one ban the one that wins is enough.
    pub(super) fn add_network(&mut self, found: Found<'p>) {
        let place = |found: &Found<'_>| (found.attributes.ban, found.attributes.kind);
        self.rules.push_above(found, |older| place(older) == place(&found));
    }

    /// Adds a glob. Of globs that match the same name for the same ban, the one that wins is enough: so there are few rules,
    /// however many globs match.
    fn add_glob(&mut self, glob: Found<'p>) {
        let place = |found: &Found<'_>| (found.labels, found.attributes.ban, found.attributes.kind);
        self.rules.push_above(glob, |older| place(older) == place(&glob));
    }
}

impl Policy {
    /// The rules on the way to a name.
    #[inline]
    pub(super) fn way(&self, name: &LowerName) -> Way<'_> {
        let labels = name.labels();
        let mut way = Way { labels, ..Way::default() };
        let mut hash = self.key.root();
        for depth in 0..=labels {
            if depth > 0 {
                hash = self.key.below(hash, name, labels - depth);
            }
            let stands = self.depths.at(depth);
            if stands.has_literals() {
                self.literals_at(hash, name, depth, |found| {
                    if found.attributes.ceiling != Effect::Off {
                        way.rules.push(found);
                    }
                });
            }
            if stands.has_globs() {
                self.globs_at(hash, name, depth, |found| {
                    if found.attributes.ceiling != Effect::Off && !is_screened(&found, name) {
                        way.add_glob(found);
                    }
                });
            }
            if stands.is_last() && way.is_free() {
                return way;
            }
        }
        way.hash = hash;
        way
    }

    /// Visits the literal rules at the ancestor that has `depth` labels, off or not, for whatever names.
    /// (A visitor, because moving iterators of iterators costs more than the lookup.)
    #[inline]
    pub(super) fn literals_at<'p>(
        &'p self,
        hash: u64,
        name: &LowerName,
        depth: usize,
        mut visit: impl FnMut(Found<'p>),
    ) {
        for offset in self.literals.offsets(hash) {
            let Some((number, wire)) = self.literals.rule(offset, name.suffix(depth)) else { continue };
            visit(Found { attributes: &self.attributes[usize::from(number)], wire, labels: depth });
        }
    }

    /// Visits the globs, off or not, hanging on the ancestor that has `depth` labels, that match the name or one above it.
    pub(super) fn globs_at<'p>(&'p self, hash: u64, name: &LowerName, depth: usize, mut visit: impl FnMut(Found<'p>)) {
        for glob in self.globs.matching(hash, name, depth) {
            let attributes = &self.attributes[usize::from(glob.attributes)];
            visit(Found { attributes, wire: &glob.wire, labels: glob.labels });
        }
    }

    /// What a rule does to a client at a time.
    #[inline]
    pub(super) fn effect(&self, found: &Found<'_>, asker: &Asker<'_>) -> Effect {
        if found.attributes.varies { self.effect_for(found, asker) } else { found.attributes.ceiling }
    }

    #[cold]
    fn effect_for(&self, found: &Found<'_>, asker: &Asker<'_>) -> Effect {
        let Attributes { ban, does, allow, .. } = *found.attributes;
        let (ban, stance) = (&self.bans[ban], self.bans[ban].stance_for(asker.member));
        match attributes::effect(does, allow, stance.action).capped(stance.mode_for(&ban.id, asker.address, asker.at)) {
            // What it is for has been done.
            Effect::Enforce(Action::TcpOnly) if asker.over_stream => Effect::Observe,
            effect => effect,
        }
    }

    /// The rule as the world sees it, where it has this effect.
    #[inline]
    pub(super) fn hit<'p>(&'p self, found: &Found<'p>, effect: Effect) -> Hit<'p> {
        let attributes = found.attributes;
        Hit {
            ban: &self.bans[attributes.ban],
            ban_index: BanIndex(attributes.ban),
            list: &self.lists[attributes.list],
            list_index: ListIndex(attributes.list),
            series: attributes.series,
            pattern: PatternRef { wire: found.wire, kind: attributes.kind, allow: attributes.allow },
            category: &attributes.category,
            evidence: attributes.evidence,
            allow: attributes.allow,
            effect,
        }
    }
}

/// The rule of the greatest rank.
#[inline]
fn greatest<'f, 'p>(rules: impl Iterator<Item = &'f Found<'p>>) -> Option<&'f Found<'p>> {
    let mut best: Option<&Found<'_>> = None;
    for found in rules {
        if best.is_none_or(|best| found.rank() > best.rank()) {
            best = Some(found);
        }
    }
    best
}

/// Whether a rule is a glob that would enforce a public suffix, at `name` or above it; only the name asked can tell.
pub(super) fn is_screened(found: &Found<'_>, name: &LowerName) -> bool {
    found.attributes.kind == PatternKind::Glob
        && matches!(found.attributes.ceiling, Effect::Enforce(_))
        && suffix::is_registry(name, found.labels)
}
