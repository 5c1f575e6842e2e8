//! Why policy says what it says.

use std::net::IpAddr;

use super::exempt::SparedHit;
use super::few::Few;
use super::lookup::{Found, is_screened};
use super::pattern::PatternKind;
use super::policy::{BanIndex, Policy};
use super::rule::{Does, Effect};
use super::stance::{Asker, Stance, Term};
use super::verdict::{Client, Decision, Hit, Verdict};
use super::{Mode, PatternRef};
use crate::time::Timestamp;
use crate::wire::LowerName;

/// A verdict with every rule that was considered for it.
#[derive(Clone, Debug)]
pub struct Explanation<'p> {
    /// The verdict.
    pub verdict: Verdict<'p>,
    /// Every rule that stands at the name, above it or as a glob beside it: the winner first, then by ban and rank.
    pub candidates: Vec<Candidate<'p>>,
}

/// One rule that was considered.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'p> {
    /// The rule.
    pub hit: Hit<'p>,
    /// Why it did not decide; `None` for the one that did.
    pub lost: Option<Lost>,
}

/// How a ban stands towards one client at a time.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'p> {
    /// What it does to clients of this kind.
    pub stance: &'p Stance,
    /// The term that says so; `None`: no term speaks of the client.
    pub term: Option<&'p Term>,
    /// The mode in force.
    pub mode: Mode,
}

/// Why a rule did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// `=name` above the name asked.
    ExactElsewhere,
    /// `*.name` at the name asked.
    OnlyBelow,
    /// The rule's fourth column is `off`.
    RuleOff,
    /// Its ban is `off`.
    BanOff,
    /// Its ban has a date that has not come, or does nothing to this client.
    NotInForce,
    /// A glob can't enforce a public suffix.
    PublicSuffix,
    /// A rule of the same ban is more specific, or equally specific and allows.
    LessSpecific,
    /// A ban that enforces goes first.
    OtherBanEnforced,
    /// A ban of the same effect whose id sorts first goes first.
    OtherBanFirst,
    /// Another ban enforces or observes what this rule allows in its own ban.
    AllowsOwnBanOnly,
    /// It is about an answer, and its ban has had its say on the name or the client.
    NameFirst,
    /// No rule about a network can enforce the name.
    Protected,
    /// An exemption spares the client of its ban.
    Exempt,
    /// DS at this name is asked of the parent zone, which is not the vendor's.
    ParentsBusiness,
}

impl Lost {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactElsewhere => "matches another name only",
            Self::OnlyBelow => "matches only below this name",
            Self::RuleOff => "rule off",
            Self::BanOff => "ban off",
            Self::NotInForce => "ban not in force then, or not for this client",
            Self::PublicSuffix => "a glob can't enforce a public suffix",
            Self::LessSpecific => "less specific",
            Self::OtherBanEnforced => "other ban enforced first",
            Self::OtherBanFirst => "other ban first",
            Self::AllowsOwnBanOnly => "allows in its own ban only",
            Self::NameFirst => "a rule for the name or the client comes first",
            Self::Protected => "the name is protected",
            Self::Exempt => "the client is exempt from it",
            Self::ParentsBusiness => "DS belongs to the parent zone",
        }
    }
}

impl Explanation<'_> {
    /// The same where exemptions spare the client of some rules, and this rule decides what is left.
    pub fn sparing(&mut self, spared: &[SparedHit<'_>], decides: &Hit<'_>) {
        let is = |hit: &Hit<'_>, other: &Hit<'_>| (hit.ban_index, hit.pattern) == (other.ban_index, other.pattern);
        for Candidate { hit, lost } in &mut self.candidates {
            if spared.iter().any(|spared| is(&spared.hit, hit)) {
                *lost = Some(Lost::Exempt);
            } else if is(hit, decides) {
                *lost = None;
            }
        }
        self.candidates.sort_by_key(|candidate| candidate.lost.is_some());
    }
}

impl Policy {
    /// How a ban stands towards a client at a time.
    pub fn standing(&self, ban: BanIndex, client: &Client, at: Timestamp) -> Standing<'_> {
        let (ban, member) = (&self.bans[ban.0], self.who.member(client));
        let (stance, term) = (ban.stance_for(member), ban.term_for(member));
        Standing { stance, term, mode: stance.mode_for(&ban.id, client.address, at) }
    }

    /// The verdict, with every rule that was considered for it.
    pub fn explain(&self, name: &LowerName, qtype: u16, client: &Client, at: Timestamp) -> Explanation<'_> {
        let mut way = self.way(name);
        self.add_client_rules(&mut way, name, client.address);
        let asker = self.asker(client, at);
        let verdict = self.judge(name, qtype, &asker, &way);
        let mut found = self.everything_at(name);
        found.extend(self.client_rules(client.address));
        self.explanation(name, &asker, &way.winners(), verdict, found)
    }

    /// The same of an answer to `name` that leads to an address, where the name itself is not blocked; a ban that has had its say
    /// on the name has none on that.
    pub fn explain_address(
        &self,
        address: IpAddr,
        name: &LowerName,
        client: &Client,
        at: Timestamp,
    ) -> Explanation<'_> {
        let spoken = |ban| self.has_spoken(ban, name, client);
        let verdict = self.decide_address(address, name, client, at, spoken);
        let found: Vec<_> = self.answer_rules(address).collect();
        let mut winners = Few::default();
        let in_force = found.iter().filter(|found| found.attributes.ceiling != Effect::Off);
        in_force.for_each(|rule| winners.push_above(*rule, |older| older.attributes.ban == rule.attributes.ban));
        let mut explanation = self.explanation(name, &self.asker(client, at), &winners, verdict, found);
        for candidate in explanation.candidates.iter_mut().filter(|candidate| candidate.lost.is_some()) {
            if spoken(candidate.hit.ban_index) {
                candidate.lost = Some(Lost::NameFirst);
            }
        }
        explanation
    }

    fn explanation<'p>(
        &'p self,
        name: &LowerName,
        asker: &Asker<'_>,
        winners: &Few<'p>,
        verdict: Verdict<'p>,
        mut found: Vec<Found<'p>>,
    ) -> Explanation<'p> {
        let decisive = |found: &Found<'_>| verdict.decision.hit().is_some_and(|hit| is_same(found, hit));
        found.sort_by(|a, b| {
            let place = |found: &Found<'_>| (!decisive(found), self.ranks[found.attributes.ban]);
            place(a).cmp(&place(b)).then_with(|| b.rank().cmp(&a.rank()))
        });
        let candidates = found.iter().map(|found| Candidate {
            hit: self.hit(found, self.effect(found, asker)),
            lost: self.lost(found, name, asker, winners, &verdict.decision),
        });
        let candidates = candidates.collect();
        Explanation { verdict, candidates }
    }

    /// Every rule at the name or above it, whether for this name or not, and every glob that matches it.
    fn everything_at(&self, name: &LowerName) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        for (depth, hash) in self.key.suffixes(name) {
            self.literals_at(hash, name, depth, |rule| found.push(rule));
            self.globs_at(hash, name, depth, |rule| {
                // Those above play their part only in who owns the SOA.
                if rule.labels == name.labels() {
                    found.push(rule);
                }
            });
        }
        found
    }

    fn lost(
        &self,
        found: &Found<'_>,
        name: &LowerName,
        asker: &Asker<'_>,
        winners: &Few<'_>,
        decision: &Decision<'_>,
    ) -> Option<Lost> {
        let wins = |winner: &Found<'_>| {
            std::ptr::eq(winner.wire, found.wire) && std::ptr::eq(winner.attributes, found.attributes)
        };
        if found.attributes.ceiling == Effect::Off {
            let rule_off = found.attributes.does == Does::Mode(Mode::Off);
            return Some(if rule_off { Lost::RuleOff } else { Lost::BanOff });
        }
        if !found.covers(name.labels()) {
            let exact = found.attributes.kind == PatternKind::Exact;
            return Some(if exact { Lost::ExactElsewhere } else { Lost::OnlyBelow });
        }
        if is_screened(found, name) {
            return Some(Lost::PublicSuffix);
        }
        let effect = self.effect(found, asker);
        if found.attributes.kind.is_network() && matches!(effect, Effect::Enforce(_)) && self.is_protected(name) {
            return Some(Lost::Protected);
        }
        if !winners.iter().any(wins) {
            return Some(Lost::LessSpecific);
        }
        match decision {
            _ if effect == Effect::Off => Some(Lost::NotInForce),
            Decision::Pass => Some(Lost::ParentsBusiness),
            Decision::Allow(hit) | Decision::Observe(hit) | Decision::Enforce(hit, _) if is_same(found, hit) => None,
            Decision::Observe(_) | Decision::Enforce(..) if effect == Effect::Allow => Some(Lost::AllowsOwnBanOnly),
            Decision::Enforce(..) => Some(Lost::OtherBanEnforced),
            Decision::Allow(_) | Decision::Observe(_) => Some(Lost::OtherBanFirst),
        }
    }
}

/// Whether a hit is of this rule: a pattern stands once in a ban.
fn is_same(found: &Found<'_>, hit: &Hit<'_>) -> bool {
    let Found { attributes, wire, .. } = *found;
    attributes.ban == hit.ban_index.0
        && hit.pattern == PatternRef { wire, kind: attributes.kind, allow: attributes.allow }
}
