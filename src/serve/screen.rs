//! Where an answer leads: a name that nobody banned may still point at one that is.
//!
//! Cached and fresh answers pass here alike. The upstream has already asked the servers behind the chain when it answers;
//! what screening stops is the client's connection, not that lookup.

use crate::cache::Entry;
use crate::metrics::Outcome;
use crate::policy::{BanIndex, Blocked, Decision, Evidence, Hit, Spared, SparedHit, Spares};
use crate::wire::{LowerName, Response, Target, chain, qtype, rcode};

use super::blocked;
use super::ending::Ending;
use super::guard::Judged;

/// The first banned name that an answer leads to.
pub(super) struct Led<'p, 'e> {
    /// The winning rule.
    pub(super) hit: Hit<'p>,
    /// The winning rules of further bans that hold the same name.
    pub(super) also: Vec<Hit<'p>>,
    /// How to answer; `None` where the ban only observes, or spares the client.
    pub(super) blocked: Option<Blocked>,
    /// Whether the client is spared.
    pub(super) spared: bool,
    /// The target.
    target: &'e Target,
    name: LowerName,
}

/// What a lookup proves when only the answer led to the vendor: the client asked for another name, so `ambiguous` at most.
pub(super) fn weakened(evidence: Evidence) -> Evidence {
    evidence.max(Evidence::Ambiguous)
}

/// Finds where `entry` leads to a banned name: the first enforced target, else the first observed one. A ban that had its
/// say on the name itself is not asked again: its rule for that name is the operator's word. Also the TTL in seconds
/// that no record may exceed, where policy on a target may change or attempts are to be seen.
pub(super) fn find<'a, 'e>(judged: &Judged<'a>, entry: &'e Entry) -> (Option<Led<'a, 'e>>, Option<u32>) {
    let (mut observed, mut ttl_cap) = (None, None);
    for target in entry.answer.targets() {
        let name = LowerName::from(&target.name);
        let Spared { verdict, hits } = judged.in_force.judge_led(judged, &name, |ban| has_spoken(judged, ban));
        ttl_cap = [ttl_cap, verdict.ttl_cap].into_iter().flatten().min();
        let mut spared = hits.into_iter().map(|spared| spared.hit);
        let is_spared = matches!(verdict.decision, Decision::Allow(_) | Decision::Pass);
        let (hit, blocked) = match verdict.decision {
            Decision::Enforce(hit, blocked) => (hit, Some(blocked)),
            Decision::Observe(hit) => (hit, None),
            Decision::Allow(_) | Decision::Pass => match spared.next() {
                Some(hit) => (hit, None),
                None => continue,
            },
        };
        let enforced = blocked.is_some();
        let also = verdict.also.into_iter().chain(spared).collect();
        let led = Led { hit, also, blocked, spared: is_spared, target, name };
        if enforced {
            return (Some(led), ttl_cap);
        }
        observed = observed.or(Some(led));
    }
    (observed, ttl_cap)
}

/// Whether `ban` already had its say on the name that was asked for. One that spares the client in a category has not: where
/// the name leads may be of another.
fn has_spoken(judged: &Judged<'_>, ban: BanIndex) -> bool {
    let own = &judged.verdict;
    let in_all = |spared: &&SparedHit<'_>| !matches!(spared.by.what, Spares::Category(_));
    let spared = judged.spared.iter().filter(in_all).map(|spared| &spared.hit);
    own.decision.hit().into_iter().chain(&own.also).chain(spared).any(|own| own.ban_index == ban)
}

/// The answer in place of one that leads to an enforced name: the chain up to it, then what its ban demands.
pub(super) fn answer(
    judged: &Judged<'_>,
    led: &Led<'_, '_>,
    blocked: &Blocked,
    entry: &Entry,
    room: Vec<u8>,
) -> Ending {
    let Judged { query, client, now, .. } = *judged;
    let age = entry.age(now.mono);
    let mut response = Response::within(room, query);
    if matches!(led.target.rtype, qtype::SVCB | qtype::HTTPS) {
        // The name asked for exists and is not banned, only this way to it is: no such record, for as long as the ban says.
        let ede = &led.hit.ban.ede;
        let none = response.soa(query.name.wire(), blocked.ttl).ede(ede.code, &ede.text);
        return Ending::response(query, client, none, Outcome::Policy, rcode::NOERROR);
    }
    for link in chain(&entry.answer, &led.target.name) {
        let ttl = link.ttl.saturating_sub(age).min(blocked.ttl);
        response = response.answer_at(link.owner.wire(), link.rtype, ttl, &link.rdata);
    }
    blocked::finish(query, client, &led.hit, blocked, &led.name, response)
}
