//! From the rules that win in their bans to the verdict.

use super::ban::Action;
use super::lookup::{Found, Winners};
use super::mixed::Scope;
use super::pattern::PatternKind;
use super::policy::{BanIndex, Policy};
use super::rule::Effect;
use super::suffix;
use super::verdict::{Blocked, Client, Decision, Hit, Verdict};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// Seconds that an answer under an observed name lives at most: shorter, and more attempts are seen; longer, and fewer
/// queries go upstream.
const OBSERVED_TTL_MAX: u32 = 300;

impl Policy {
    /// What is to be done with a question. Allocates nothing unless rules of two bans or more match.
    /// No rule depends on the client yet.
    pub fn decide(&self, name: &LowerName, qtype: u16, client: &Client, at: Timestamp) -> Verdict<'_> {
        self.judge(name, qtype, client, at, &self.winners(name))
    }

    /// The same, as if the bans that are `left_out` did not exist.
    pub fn decide_without(
        &self,
        name: &LowerName,
        qtype: u16,
        client: &Client,
        at: Timestamp,
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Verdict<'_> {
        self.judge(name, qtype, client, at, &self.winners(name).without(left_out))
    }

    /// The verdict, given the winning rules at the name.
    pub(super) fn judge<'p>(
        &'p self,
        name: &LowerName,
        qtype: u16,
        _client: &Client,
        at: Timestamp,
        winners: &Winners<'p>,
    ) -> Verdict<'p> {
        let Some(leader) = winners.only().or_else(|| winners.iter().min_by_key(|found| self.turn(found, at))) else {
            return Verdict { decision: Decision::Pass, also: Vec::new(), ttl_cap: None };
        };
        let effect = self.effect(leader, at);
        if qtype == qtype::DS && self.is_parents_business(name, effect, winners, at) {
            return Verdict { decision: Decision::Pass, also: Vec::new(), ttl_cap: None };
        }
        let change = winners.iter().filter_map(|found| self.seconds_to_change(found, at)).min();
        let ttl_cap = match effect {
            Effect::Observe => Some(change.unwrap_or(OBSERVED_TTL_MAX).min(OBSERVED_TTL_MAX)),
            _ => change,
        };
        let decision = match effect {
            Effect::Off => Decision::Pass,
            Effect::Allow => Decision::Allow(self.hit(leader, at)),
            Effect::Observe => Decision::Observe(self.hit(leader, at)),
            Effect::Enforce(action) => {
                let nxdomain = action == Action::Nxdomain && self.is_nxdomain_below(name, winners, at);
                let ttl = self.bans[leader.attributes.ban].ttl.as_secs();
                let ttl = u32::try_from(ttl).unwrap_or(u32::MAX).min(ttl_cap.unwrap_or(u32::MAX));
                let soa_labels = self.soa_labels(name, leader, at);
                Decision::Enforce(self.hit(leader, at), Blocked { action, nxdomain, soa_labels, ttl })
            }
        };
        Verdict { decision, also: self.also(leader, at, winners), ttl_cap }
    }

    /// The winning rules that observe or enforce, but for the leader, in the order of their turns.
    fn also<'p>(&'p self, leader: &Found<'p>, at: Timestamp, winners: &Winners<'p>) -> Vec<Hit<'p>> {
        if winners.only().is_some() {
            return Vec::new();
        }
        let mut also: Vec<_> = winners.iter().filter(|found| !std::ptr::eq(*found, leader)).collect();
        also.retain(|found| self.effect(found, at).turn() <= Effect::Observe.turn());
        also.sort_by_key(|found| self.turn(found, at));
        also.into_iter().map(|found| self.hit(found, at)).collect()
    }

    /// The order in which bans have their say; the least first.
    pub(super) fn turn(&self, found: &Found<'_>, at: Timestamp) -> (u8, usize) {
        (self.effect(found, at).turn(), self.ranks[found.attributes.ban])
    }

    /// Whether a DS question about a banned name reaches a registry and not the vendor: the records belong to the parent
    /// zone (RFC 4035 §3.1.4.1). Blocked, a validator behind us would take our unsigned answers for forged ones.
    fn is_parents_business(&self, name: &LowerName, effect: Effect, winners: &Winners<'_>, at: Timestamp) -> bool {
        if effect.turn() > Effect::Observe.turn() || name.labels() < 2 || !suffix::is_public(name, name.labels() - 1) {
            return false;
        }
        // Of the list's private part, the parent may itself be banned.
        let banned = |found: &Found<'_>| self.effect(found, at).turn() <= effect.turn();
        let topmost =
            |found: &Found<'_>| self.topmost(name, found.attributes.ban, banned).map(|(labels, _rule)| labels);
        winners.iter().filter(|found| banned(found)).all(|found| topmost(found) == Some(name.labels()))
    }

    /// Labels of the SOA's owner: the topmost name that the leader's ban enforces; for a glob its parent, so that all
    /// names of the glob share one, unless that is a public suffix, about which we have no say.
    fn soa_labels(&self, name: &LowerName, leader: &Found<'_>, at: Timestamp) -> usize {
        let enforced = |found: &Found<'_>| matches!(self.effect(found, at), Effect::Enforce(_));
        let Some((labels, rule)) = self.topmost(name, leader.attributes.ban, enforced) else {
            return name.labels();
        };
        let is_glob = rule.attributes.kind == PatternKind::Glob;
        let parent = labels.saturating_sub(1);
        if is_glob && parent > 0 && !suffix::is_public(name, parent) { parent } else { labels }
    }

    /// Whether every name below gets NXDOMAIN too, whatever the name.
    ///
    /// Some ban must answer all of them so: it has its say before any ban that answers otherwise, and nothing below
    /// is marked for it or for all.
    fn is_nxdomain_below(&self, name: &LowerName, winners: &Winners<'_>, at: Timestamp) -> bool {
        let suffixes = || self.key.suffixes(name).map(|(_depth, hash)| hash);
        if self.mixed.holds(suffixes(), Scope::AnyBan) {
            return false;
        }
        let child;
        let below = if winners.child_may_differ {
            child = self.winners_at_child(name);
            &child
        } else {
            winners
        };
        let mut asked = None;
        loop {
            let turns = below.iter().map(|found| (self.turn(found, at), found));
            let Some((turn, found)) = turns
                .filter(|(turn, _found)| asked.is_none_or(|asked| *turn > asked))
                .min_by_key(|(turn, _found)| *turn)
            else {
                return false;
            };
            match self.effect(found, at) {
                Effect::Enforce(Action::Nxdomain)
                    if !self.mixed.holds(suffixes(), Scope::Ban(found.attributes.ban)) =>
                {
                    return true;
                }
                Effect::Enforce(Action::Nxdomain) => asked = Some(turn),
                _ => return false,
            }
        }
    }

    /// Whole seconds until this rule leads to another answer, as far as dates say.
    fn seconds_to_change(&self, found: &Found<'_>, at: Timestamp) -> Option<u32> {
        let ban = &self.bans[found.attributes.ban];
        let answer = |time| match found.attributes.ceiling.capped(ban.mode_at(time)) {
            Effect::Allow => Effect::Off,
            effect => effect,
        };
        let changes = std::iter::successors(ban.next_change(at), |change| ban.next_change(*change));
        let change = { changes }.find(|change| answer(*change) != answer(at))?;
        Some(u32::try_from(change.duration_since(at).as_secs()).unwrap_or(u32::MAX))
    }
}
