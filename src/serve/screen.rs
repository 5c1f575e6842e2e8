//! Where an answer leads: a name that nobody banned may still point at one that is, or at an address in a banned network.
//!
//! Cached and fresh answers pass here alike. The upstream has already asked the servers behind the chain when it answers;
//! what screening stops is the client's connection, not that lookup.

use std::mem::take;

use smallvec::SmallVec;

use crate::cache::Entry;
use crate::metrics::{DropReason, Outcome};
use crate::policy::{Action, Blocked, Decision, Evidence, Hit, Spared, Spoken};
use crate::wire::{Held, LowerName, Response, Target, chain, qtype, rcode, whole_chain};

use super::blocked;
use super::ending::Ending;
use super::guard::Judged;

/// Where an answer leads, as far as bans have a say about it.
#[derive(Default)]
pub(super) struct Led<'p, 'e> {
    /// The winning rules, at most one of each ban, and whether the client is spared by it: each is an attempt.
    pub(super) hits: SmallVec<[(Hit<'p>, bool); 1]>,
    /// What is answered instead; `None`: all of them only observe, or spare the client.
    pub(super) enforced: Option<Enforced<'p, 'e>>,
    /// The TTL in seconds that no record may exceed, where policy on a target may change or attempts are to be seen.
    pub(super) ttl_cap: Option<u32>,
}

/// The first enforced name or address that an answer leads to.
pub(super) struct Enforced<'p, 'e> {
    hit: Hit<'p>,
    /// How to answer.
    pub(super) blocked: Blocked,
    to: To<'e>,
}

/// What an answer leads to.
#[derive(Clone, Copy)]
enum To<'e> {
    Name(&'e Target),
    Address(Held),
}

/// What a lookup proves when only the answer led to the vendor: the client asked for another name, so `ambiguous` at most.
pub(super) fn weakened(evidence: Evidence) -> Evidence {
    evidence.max(Evidence::Ambiguous)
}

/// Finds where `entry` leads: to an enforced name or address at last, names before addresses, and to observed ones before that.
/// A ban that had its say on the name asked for is not asked again: its rule for that name is the operator's word.
pub(super) fn find<'a, 'e>(judged: &Judged<'a>, entry: &'e Entry) -> Led<'a, 'e> {
    let mut led = Led::default();
    for target in entry.answer.targets() {
        let name = LowerName::from(&target.name);
        let verdict = judged.in_force.judge_led(judged, &name, |ban| spoken(judged).of_names(ban));
        if led.ends_with(verdict, To::Name(target)) {
            return led;
        }
    }
    if judged.in_force.policy.screens_addresses() {
        find_address(judged, entry, &mut led);
    }
    led
}

/// Goes on with the addresses of `entry`.
fn find_address<'a>(judged: &Judged<'a>, entry: &Entry, led: &mut Led<'a, '_>) {
    let Judged { in_force, query, client, .. } = judged;
    let (policy, client) = (&in_force.policy, client.for_policy());
    let names = || entry.answer.targets().iter().map(|target| LowerName::from(&target.name));
    let has_spoken = |ban| {
        let of_name = spoken(judged).of_addresses(policy, ban, &query.name, &client);
        of_name || names().any(|name| policy.has_spoken(ban, &name, &client))
    };
    for held in entry.answer.addresses() {
        let verdict = in_force.judge_address(judged, held.address, has_spoken);
        if led.ends_with(verdict, To::Address(held)) {
            return;
        }
    }
}

impl<'p, 'e> Led<'p, 'e> {
    /// Adds what policy says of one name or address; whether that settles it.
    fn ends_with(&mut self, judged: Spared<'p>, to: To<'e>) -> bool {
        let Spared { verdict, hits } = judged;
        self.ttl_cap = [self.ttl_cap, verdict.ttl_cap].into_iter().flatten().min();
        match verdict.decision {
            Decision::Enforce(hit, blocked) => {
                // What is said is what was done about it, whatever its ban thought of a name before.
                self.hits.retain(|(other, _spared)| other.ban_index != hit.ban_index);
                self.add(hit, false);
                self.enforced = Some(Enforced { hit, blocked, to });
            }
            Decision::Observe(hit) => self.add(hit, false),
            Decision::Allow(_) | Decision::Pass => (),
        }
        verdict.also.into_iter().for_each(|hit| self.add(hit, false));
        for spared in hits {
            self.add(spared.hit, true);
        }
        self.enforced.is_some()
    }

    /// Adds an attempt, unless its ban has one already.
    fn add(&mut self, hit: Hit<'p>, spared: bool) {
        if !self.hits.iter().any(|(other, _spared)| other.ban_index == hit.ban_index) {
            self.hits.push((hit, spared));
        }
    }
}

/// What was said of the name that was asked for.
fn spoken<'j, 'a>(judged: &'j Judged<'a>) -> Spoken<'j, 'a> {
    Spoken { verdict: &judged.verdict, spared: &judged.spared }
}

/// The answer in place of one that leads to an enforced name or address: the chain up to it, then what its ban demands. Record
/// sets are given whole or not at all: what is left of a signed one would be forged.
pub(super) fn answer(judged: &Judged<'_>, enforced: &Enforced<'_, '_>, entry: &Entry, room: &mut Vec<u8>) -> Ending {
    let Judged { query, client, now, .. } = *judged;
    let Enforced { hit, blocked, to } = enforced;
    let rtype = match to {
        To::Name(target) => target.rtype,
        To::Address(held) => held.rtype,
    };
    let is_service = matches!(rtype, qtype::SVCB | qtype::HTTPS);
    if blocked.action == Action::Drop && !is_service {
        return Ending::Silence(DropReason::PolicyDrop);
    }
    let age = entry.age(now.mono);
    let mut response = Response::within(take(room), query);
    if is_service {
        // The name asked for exists and is not banned, only this way to it is: no such record, for as long as the ban says.
        let ede = &hit.ban.ede;
        let none = response.soa(query.name.wire(), blocked.ttl).ede(ede.code, &ede.text);
        return Ending::response(query, client, none, Outcome::Policy, rcode::NOERROR);
    }
    let (links, name) = match to {
        To::Name(target) => (chain(&entry.answer, &target.name), target.name.clone()),
        To::Address(_) => whole_chain(&entry.answer),
    };
    let name = LowerName::from(&name);
    // About an address nothing is said above the name that has it.
    let soa_labels = if matches!(to, To::Address(_)) { name.labels() } else { blocked.soa_labels };
    for link in links {
        let ttl = link.ttl.saturating_sub(age).min(blocked.ttl);
        response = response.answer_at(link.owner.wire(), link.rtype, ttl, &link.rdata);
    }
    blocked::finish(query, client, hit, &Blocked { soa_labels, ..*blocked }, &name, response)
}
