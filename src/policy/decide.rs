//! From the rules that win in their bans to the verdict.

use super::ban::{Action, Ban};
use super::few::Few;
use super::lookup::{Found, Way};
use super::mixed::Scope;
use super::pattern::PatternKind;
use super::policy::{BanIndex, Policy};
use super::rule::Effect;
use super::stance::Asker;
use super::suffix;
use super::verdict::{Blocked, Client, Decision, Hit, Verdict};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// Seconds that an answer under an observed name lives at most: shorter, and more attempts are seen; longer, and fewer
/// queries go upstream.
pub(super) const OBSERVED_TTL_MAX: u32 = 300;
/// Changes of a ban that are looked at for one that changes the answer: two dates, and hours that open and close for ever.
const CHANGES_MAX: usize = 4;

impl Policy {
    /// What is to be done with a question. Allocates nothing unless rules of two bans match, or more than six
    /// rules in all.
    #[inline]
    pub fn decide(&self, name: &LowerName, qtype: u16, client: &Client, at: Timestamp) -> Verdict<'_> {
        if self.clients.speaks() {
            return self.decide_without(name, qtype, client, at, |_ban| false);
        }
        let way = self.way(name);
        if way.is_free() {
            return Verdict::PASS;
        }
        match way.lasting_ban().filter(|_ban| qtype != qtype::DS) {
            Some(ban) => self.judge_alone(name, &way).unwrap_or_else(|| self.judge_ban(name, &way, ban)),
            None => self.judge(name, qtype, &self.asker(client, at), &way),
        }
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
        let mut way = self.way(name);
        self.add_client_rules(&mut way, name, client.address);
        if way.is_free() {
            let is_others_too = !self.clients.speaks() || !self.who.is_caching_forwarder(client.sender);
            return if is_others_too { Verdict::PASS } else { Verdict::of(Decision::Pass, Some(0)) };
        }
        self.judge(name, qtype, &self.asker(client, at), &way.without(left_out))
    }

    /// From when on a ban keeps this client from its names, if that has a beginning.
    pub fn enforced_from(&self, ban: &Ban, client: &Client) -> Option<Timestamp> {
        ban.stance_for(self.who.member(client)).enforce_from
    }

    /// Whether what these rules, which won, do is something else for other clients.
    fn is_by_client(&self, winners: &Few<'_>) -> bool {
        self.clients.speaks() || winners.iter().any(|found| self.bans[found.attributes.ban].is_by_client())
    }

    /// The verdict that [`Policy::judge_ban`] gives where a single rule stands on the way, one that enforces all below it, as
    /// on most names of long lists; `None` for others.
    #[inline]
    fn judge_alone<'p>(&'p self, name: &LowerName, way: &Way<'p>) -> Option<Verdict<'p>> {
        let only = way.only()?;
        let soa_labels = match only.attributes.kind {
            PatternKind::Suffix => only.labels,
            PatternKind::Below => only.labels + 1,
            PatternKind::Exact | PatternKind::Glob | PatternKind::Answer | PatternKind::Client => return None,
        };
        let Effect::Enforce(action) = only.attributes.ceiling else { return None };
        let nxdomain = action == Action::Nxdomain && !self.is_mixed_below(name, way, only.attributes.ban);
        let blocked = Blocked { action, nxdomain, soa_labels, ttl: only.attributes.ttl };
        let decision = Decision::Enforce(self.hit(only, only.attributes.ceiling), blocked);
        (soa_labels <= name.labels()).then(|| Verdict::of(decision, None))
    }

    /// The verdict that [`Policy::judge`] gives on a question that is not about DS where all rules on the way are of one ban
    /// that does the same to everybody at every time: nearly all that is blocked. There is one winner then, whose turn it is, and no other hour.
    fn judge_ban<'p>(&'p self, name: &LowerName, way: &Way<'p>, ban: usize) -> Verdict<'p> {
        let Some(winner) = way.best_at(name.labels()) else { return Verdict::PASS };
        let effect = winner.attributes.ceiling;
        let action = match effect {
            Effect::Off => return Verdict::PASS,
            Effect::Allow => return Verdict::of(Decision::Allow(self.hit(winner, effect)), None),
            Effect::Observe => {
                return Verdict::of(Decision::Observe(self.hit(winner, effect)), Some(OBSERVED_TTL_MAX));
            }
            Effect::Enforce(action) => action,
        };
        let is_cover = |below: &Found<'_>| below.attributes.ceiling == Effect::Enforce(Action::Nxdomain);
        let nxdomain = action == Action::Nxdomain
            && way.best_at(name.labels() + 1).is_some_and(is_cover)
            && !self.is_mixed_below(name, way, ban);
        let enforced = |found: &Found<'_>| matches!(found.attributes.ceiling, Effect::Enforce(_));
        let soa_labels = soa_labels(name, way.topmost(ban, enforced));
        let blocked = Blocked { action, nxdomain, soa_labels, ttl: winner.attributes.ttl };
        Verdict::of(Decision::Enforce(self.hit(winner, effect), blocked), None)
    }

    /// Whether some name below, of which a rule speaks, is answered otherwise by this ban or another.
    #[inline]
    fn is_mixed_below(&self, name: &LowerName, way: &Way<'_>, ban: usize) -> bool {
        let is_mixed = |scope| self.mixed.holds(self.key, name, way.hash, scope);
        is_mixed(Scope::AnyBan) || is_mixed(Scope::Ban(ban))
    }

    /// Who asks when, with the groups that it is of.
    pub(super) fn asker(&self, client: &Client, at: Timestamp) -> Asker<'_> {
        let Client { address, sender, over_stream, entrance: _, device: _ } = *client;
        let (member, forwards) = (self.who.member(client), self.who.is_caching_forwarder(sender));
        Asker { address, member, over_stream, forwards, at }
    }

    /// The verdict, given the rules on the way to the name.
    pub(super) fn judge<'p>(&'p self, name: &LowerName, qtype: u16, asker: &Asker<'_>, way: &Way<'p>) -> Verdict<'p> {
        let winners = way.winners();
        let Some(leader) = winners.only().or_else(|| winners.iter().min_by_key(|found| self.turn(found, asker))) else {
            return Verdict::PASS;
        };
        let effect = self.effect(leader, asker);
        // Who is banned as a client is not told what others have signed either.
        let of_name = leader.attributes.kind != PatternKind::Client;
        if qtype == qtype::DS && of_name && self.is_parents_business(name, effect, way, &winners, asker) {
            return Verdict::PASS;
        }
        let change = winners.iter().filter_map(|found| self.seconds_to_change(found, asker)).min();
        // Another client of the forwarder may be due another answer.
        let change = if asker.forwards && self.is_by_client(&winners) { Some(0) } else { change };
        let ttl_cap = match effect {
            Effect::Observe => Some(change.unwrap_or(OBSERVED_TTL_MAX).min(OBSERVED_TTL_MAX)),
            _ => change,
        };
        let decision = match effect {
            Effect::Off => Decision::Pass,
            Effect::Allow => Decision::Allow(self.hit(leader, effect)),
            Effect::Observe => Decision::Observe(self.hit(leader, effect)),
            Effect::Enforce(action) => {
                let nxdomain = action == Action::Nxdomain && self.is_nxdomain_below(name, way, &winners, asker);
                let ttl = leader.attributes.ttl.min(ttl_cap.unwrap_or(u32::MAX));
                let enforced = |found: &Found<'_>| matches!(self.effect(found, asker), Effect::Enforce(_));
                let soa_labels = soa_labels(name, way.topmost(leader.attributes.ban, enforced));
                Decision::Enforce(self.hit(leader, effect), Blocked { action, nxdomain, soa_labels, ttl })
            }
        };
        Verdict { decision, also: self.also(leader, asker, &winners), ttl_cap }
    }

    /// The winning rules that observe or enforce, but for the leader, in the order of their turns.
    fn also<'p>(&'p self, leader: &Found<'p>, asker: &Asker<'_>, winners: &Few<'p>) -> Vec<Hit<'p>> {
        if winners.only().is_some() {
            return Vec::new();
        }
        let mut also: Vec<_> = winners.iter().filter(|found| !std::ptr::eq(*found, leader)).collect();
        also.retain(|found| self.effect(found, asker).turn() <= Effect::Observe.turn());
        also.sort_by_key(|found| self.turn(found, asker));
        also.into_iter().map(|found| self.hit(found, self.effect(found, asker))).collect()
    }

    /// The order in which bans have their say; the least first.
    pub(super) fn turn(&self, found: &Found<'_>, asker: &Asker<'_>) -> (u8, usize) {
        (self.effect(found, asker).turn(), self.ranks[found.attributes.ban])
    }

    /// Whether a DS question about a banned name reaches a registry and not the vendor: the records belong to the parent
    /// zone (RFC 4035 §3.1.4.1). Blocked, a validator behind us would take our unsigned answers for forged ones.
    #[cold]
    fn is_parents_business(
        &self,
        name: &LowerName,
        effect: Effect,
        way: &Way<'_>,
        winners: &Few<'_>,
        asker: &Asker<'_>,
    ) -> bool {
        if effect.turn() > Effect::Observe.turn() || name.labels() < 2 || !suffix::is_public(name, name.labels() - 1) {
            return false;
        }
        // Of the list's private part, the parent may itself be banned.
        let banned = |found: &Found<'_>| self.effect(found, asker).turn() <= effect.turn();
        let topmost = |found: &Found<'_>| way.topmost(found.attributes.ban, banned).map(|(labels, _rule)| labels);
        winners.iter().filter(|found| banned(found)).all(|found| topmost(found) == Some(name.labels()))
    }

    /// Whether every name below gets NXDOMAIN too, whatever the name.
    ///
    /// Some ban must answer all of them so: it has its say before any ban that answers otherwise, and nothing below
    /// is marked for it or for all.
    fn is_nxdomain_below(&self, name: &LowerName, way: &Way<'_>, winners: &Few<'_>, asker: &Asker<'_>) -> bool {
        let is_mixed = |scope| self.mixed.holds(self.key, name, way.hash, scope);
        if is_mixed(Scope::AnyBan) {
            return false;
        }
        let child = way.winners_below();
        let below = child.as_ref().unwrap_or(winners);
        let mut heard = None;
        loop {
            let turns = below.iter().map(|found| (self.turn(found, asker), found));
            let Some((turn, found)) = turns
                .filter(|(turn, _found)| heard.is_none_or(|heard| *turn > heard))
                .min_by_key(|(turn, _found)| *turn)
            else {
                return false;
            };
            match self.effect(found, asker) {
                Effect::Enforce(Action::Nxdomain) if found.attributes.kind == PatternKind::Client => {
                    return self.is_nxdomain_for_all(name);
                }
                Effect::Enforce(Action::Nxdomain) if !is_mixed(Scope::Ban(found.attributes.ban)) => {
                    return true;
                }
                Effect::Enforce(Action::Nxdomain) => heard = Some(turn),
                _ => return false,
            }
        }
    }

    /// Whole seconds until this rule leads to another answer, as far as dates and hours say.
    #[inline]
    fn seconds_to_change(&self, found: &Found<'_>, asker: &Asker<'_>) -> Option<u32> {
        if found.attributes.varies { self.seconds_to_date(found, asker) } else { None }
    }

    #[cold]
    fn seconds_to_date(&self, found: &Found<'_>, asker: &Asker<'_>) -> Option<u32> {
        let stance = self.bans[found.attributes.ban].stance_for(asker.member);
        let answer = |at| match self.effect(found, &Asker { at, ..*asker }) {
            Effect::Allow => Effect::Off,
            effect => effect,
        };
        let changes = std::iter::successors(stance.next_change(asker.at), |change| stance.next_change(*change));
        let change = changes.take(CHANGES_MAX).find(|change| answer(*change) != answer(asker.at))?;
        Some(u32::try_from(change.duration_since(asker.at).as_secs()).unwrap_or(u32::MAX))
    }
}

/// Labels of the SOA's owner, given the topmost name that the leader's ban enforces and the rule that does; for a glob its
/// parent, so that all names of the glob share one, unless that is a public suffix, about which we have no say.
#[inline]
fn soa_labels(name: &LowerName, topmost: Option<(usize, &Found<'_>)>) -> usize {
    match topmost {
        None => name.labels(),
        Some((labels, rule)) if rule.attributes.kind != PatternKind::Glob => labels,
        Some((labels, _glob)) => {
            let parent = labels.saturating_sub(1);
            if parent > 0 && !suffix::is_public(name, parent) { parent } else { labels }
        }
    }
}
