//! Exemptions: who is spared by a ban, in what, until when.
//!
//! A spared lookup is still an attempt; it is answered as if there were no ban. An exemption speaks of one client, network,
//! device or group, and of one ban, category or name; where several speak of a lookup, any of them will do.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::decide::OBSERVED_TTL_MAX;
use super::policy::{BanIndex, Policy};
use super::roster::Roster;
use super::verdict::{Client, Decision, Hit, Verdict};
use super::who::{Group, GroupIndex, GroupKind, Member, Who};
use crate::time::Timestamp;
use crate::wire::LowerName;

/// One exemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// What commands, the audit and messages call it.
    pub id: Arc<str>,
    /// Who is spared.
    pub whom: Whom,
    /// In what.
    pub what: Spares,
    /// From this moment on it holds no longer; `None`: without end.
    pub until: Option<Timestamp>,
}

/// Who is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Every client in this network; one client is one of a single address.
    Network(IpNet),
    /// Every client of the site, department or group with this id.
    Group(Arc<str>),
    /// The device with this identifier, whatever its address.
    Device(Arc<str>),
}

/// What somebody is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spares {
    /// The whole ban with this id.
    Ban(Arc<str>),
    /// Rules of this category, whatever their ban.
    Category(Arc<str>),
    /// This name and all below it, and what their answers lead to, whatever the ban.
    Name(Box<LowerName>),
}

/// Exemptions as a policy sees them.
#[derive(Debug, Default)]
pub struct Exemptions {
    all: Vec<Compiled>,
    /// By network: the group with a number is the exemption that stands at its place in `by_network`.
    networks: Who,
    by_network: Vec<usize>,
    by_group: Vec<(GroupIndex, usize)>,
    /// By its number in the roster.
    by_device: Vec<(u16, usize)>,
}

#[derive(Debug)]
struct Compiled {
    exemption: Arc<Exemption>,
    /// The ban, if it is one that this policy has.
    ban: Option<BanIndex>,
}

/// What is to be done with a question where somebody may be spared.
#[derive(Clone, Debug)]
pub struct Spared<'p> {
    /// What is left when the bans that spare are left out.
    pub verdict: Verdict<'p>,
    /// The winning rules of those that spare: each is an attempt.
    pub hits: Vec<SparedHit<'p>>,
}

/// What was said of the name that was asked for, as far as it settles which bans have their say on where its answer leads: one
/// that had its say on the name has none there, since its rule for that name is the operator's word. One that spares the client in
/// a category has not had it: where the name leads may be of another.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'s, 'p> {
    /// What is done with the name.
    pub verdict: &'s Verdict<'p>,
    /// The winning rules of the bans that spare.
    pub spared: &'s [SparedHit<'p>],
}

/// A rule that would have observed or enforced.
#[derive(Clone, Debug)]
pub struct SparedHit<'p> {
    /// The rule.
    pub hit: Hit<'p>,
    /// The exemption that holds for longest.
    pub by: Arc<Exemption>,
}

impl Exemption {
    /// Whether it holds at this moment.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    /// What it speaks of and a policy does not have, in words: then it spares nobody. Categories come and go with the lists.
    pub fn missing_in(&self, policy: &Policy) -> Option<String> {
        if let Whom::Group(id) = &self.whom
            && !policy.who.groups().iter().any(|group| group.id == *id)
        {
            return Some(format!("group `{id}`"));
        }
        match &self.what {
            Spares::Ban(id) if !policy.bans.iter().any(|ban| ban.id == *id) => Some(format!("ban `{id}`")),
            Spares::Ban(_) | Spares::Category(_) | Spares::Name(_) => None,
        }
    }
}

impl<'p> Spared<'p> {
    /// What it says of the name as far as it is heard of where the answer leads.
    pub fn spoken<'s>(&'s self) -> Spoken<'s, 'p> {
        Spoken { verdict: &self.verdict, spared: &self.hits }
    }
}

impl Spoken<'_, '_> {
    /// Whether a ban has no say on names that the answer leads to.
    pub fn of_names(self, ban: BanIndex) -> bool {
        let spared = self.spared.iter().filter(|spared| !spared.is_by_category()).map(|spared| &spared.hit);
        attempts(self.verdict).chain(self.verdict.decision.hit()).chain(spared).any(|hit| hit.ban_index == ban)
    }

    /// Whether a ban has no say on addresses in the answer to `name`.
    pub fn of_addresses(self, policy: &Policy, ban: BanIndex, name: &LowerName, client: &Client) -> bool {
        let in_category = || self.spared.iter().any(|spared| spared.hit.ban_index == ban && spared.is_by_category());
        policy.has_spoken(ban, name, client) && !in_category()
    }
}

impl SparedHit<'_> {
    fn is_by_category(&self) -> bool {
        matches!(self.by.what, Spares::Category(_))
    }
}

impl Exemptions {
    /// Exemptions at most; beyond, the rest spares nobody: whoever adds them has to refuse.
    pub const MAX: usize = 1_024;

    /// These as `policy` sees them. What speaks of a ban or a group that it does not have, or of a device, spares nobody.
    pub fn new(all: &[Arc<Exemption>], policy: &Policy) -> Self {
        Self::with_devices(all, policy, &Roster::default())
    }

    /// The same where those who are in the roster are known as devices.
    pub fn with_devices(all: &[Arc<Exemption>], policy: &Policy, roster: &Roster) -> Self {
        let (mut compiled, mut groups) = (Vec::new(), Vec::new());
        let (mut by_network, mut by_group, mut by_device) = (Vec::new(), Vec::new(), Vec::new());
        for exemption in all.iter().take(Self::MAX) {
            let place = compiled.len();
            match &exemption.whom {
                Whom::Network(network) => {
                    by_network.push(place);
                    let (id, kind) = (Arc::clone(&exemption.id), GroupKind::Group);
                    groups.push(Group { id, kind, networks: vec![*network], devices: Vec::new() });
                }
                Whom::Group(id) => {
                    let found = policy.who.groups().iter().position(|group| group.id == *id);
                    let index = found.and_then(|at| u16::try_from(at).ok()).map(GroupIndex);
                    by_group.extend(index.map(|index| (index, place)));
                }
                Whom::Device(name) => by_device.extend(roster.number(name).map(|number| (number, place))),
            }
            let ban = match &exemption.what {
                Spares::Ban(id) => policy.bans.iter().position(|ban| ban.id == *id).map(BanIndex),
                Spares::Category(_) | Spares::Name(_) => None,
            };
            compiled.push(Compiled { exemption: Arc::clone(exemption), ban });
        }
        Self { all: compiled, networks: Who::new(groups), by_network, by_group, by_device }
    }

    /// Whether nobody is spared anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When each of them ends, where it does.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> {
        self.all.iter().filter_map(|compiled| compiled.exemption.until)
    }

    /// Those that hold for a client at a moment.
    fn of(&self, client: &Client, member: Member<'_>, at: Timestamp) -> Vec<&Compiled> {
        let by_network =
            self.networks.of(client.address).iter().map(|GroupIndex(number)| self.by_network[usize::from(number)]);
        let is_of = |group: GroupIndex| member.is_of_any(&[group]);
        let by_group = self.by_group.iter().filter(|(group, _place)| is_of(*group)).map(|(_group, place)| *place);
        let is_it = |number: u16| client.device.number() == Some(number);
        let by_device = self.by_device.iter().filter(|(number, _place)| is_it(*number)).map(|(_number, place)| *place);
        let found = by_network.chain(by_group).chain(by_device).filter_map(|place| self.all.get(place));
        found.filter(|found| found.exemption.holds_at(at)).collect()
    }
}

impl Compiled {
    /// Whether it speaks of this rule, which `name` has met on the way from `asked`.
    fn spares(&self, hit: &Hit<'_>, name: &LowerName, asked: &LowerName) -> bool {
        match &self.exemption.what {
            Spares::Ban(_) => self.ban == Some(hit.ban_index),
            Spares::Category(category) => category == hit.category,
            Spares::Name(spared) => name.is_below(spared) || asked.is_below(spared),
        }
    }

    /// Whether some name below `name` may be answered otherwise by it than `name` itself.
    fn divides(&self, name: &LowerName) -> bool {
        match &self.exemption.what {
            Spares::Ban(_) => false,
            Spares::Category(_) => true,
            Spares::Name(spared) => spared.is_below(name),
        }
    }
}

impl Policy {
    /// [`Policy::decide`] where clients may be spared.
    #[inline]
    pub fn decide_sparing(
        &self,
        exemptions: &Exemptions,
        name: &LowerName,
        qtype: u16,
        client: &Client,
        at: Timestamp,
    ) -> Spared<'_> {
        let verdict = self.decide(name, qtype, client, at);
        if exemptions.is_empty() || verdict.is_pass() {
            return Spared { verdict, hits: Vec::new() };
        }
        let judge = |left_out: &dyn Fn(BanIndex) -> bool| self.decide_without(name, qtype, client, at, left_out);
        self.spare(exemptions, verdict, (name, name), (client, at), judge)
    }

    /// [`Policy::decide_without`] where clients may be spared: of `name`, to which the answer about `asked` leads.
    pub fn decide_led(
        &self,
        exemptions: &Exemptions,
        (name, asked): (&LowerName, &LowerName),
        (qtype, client, at): (u16, &Client, Timestamp),
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Spared<'_> {
        let asking = (qtype, client, at);
        let verdict = self.decide_where((name, asked), asking, &left_out);
        if exemptions.is_empty() || verdict.is_pass() {
            return Spared { verdict, hits: Vec::new() };
        }
        let judge = |spared: &dyn Fn(BanIndex) -> bool| {
            self.decide_where((name, asked), asking, |ban| left_out(ban) || spared(ban))
        };
        self.spare(exemptions, verdict, (name, asked), (client, at), judge)
    }

    /// [`Policy::decide_address`] where clients may be spared.
    pub fn decide_address_sparing(
        &self,
        exemptions: &Exemptions,
        address: IpAddr,
        name: &LowerName,
        (client, at): (&Client, Timestamp),
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Spared<'_> {
        let verdict = self.decide_address(address, name, client, at, &left_out);
        if exemptions.is_empty() || verdict.is_pass() {
            return Spared { verdict, hits: Vec::new() };
        }
        let judge = |spared: &dyn Fn(BanIndex) -> bool| {
            self.decide_address(address, name, client, at, |ban| left_out(ban) || spared(ban))
        };
        self.spare(exemptions, verdict, (name, name), (client, at), judge)
    }

    /// The verdict without the bans that spare the client, and their rules. `judge` gives it, told which bans to leave out.
    #[cold]
    fn spare<'p>(
        &'p self,
        exemptions: &Exemptions,
        verdict: Verdict<'p>,
        (name, asked): (&LowerName, &LowerName),
        (client, at): (&Client, Timestamp),
        judge: impl Fn(&dyn Fn(BanIndex) -> bool) -> Verdict<'p>,
    ) -> Spared<'p> {
        let of_client = exemptions.of(client, self.who.member(client), at);
        let forwards = self.who.is_caching_forwarder(client.sender);
        if of_client.is_empty() {
            let verdict = if forwards { verdict.kept_for(0) } else { verdict };
            return Spared { verdict, hits: Vec::new() };
        }
        let hits: Vec<_> = attempts(&verdict)
            .filter_map(|hit| {
                let by = of_client.iter().filter(|compiled| compiled.spares(hit, name, asked));
                // Without end is the longest.
                let longest = by.max_by_key(|compiled| compiled.exemption.until.unwrap_or(Timestamp::MAX))?;
                Some(SparedHit { hit: *hit, by: Arc::clone(&longest.exemption) })
            })
            .collect();
        let is_spared = |ban| {
            hits.iter().any(|spared| spared.hit.ban_index == ban)
                || of_client.iter().any(|compiled| compiled.ban == Some(ban))
        };
        let mut verdict = judge(&is_spared);
        if let Decision::Enforce(_hit, blocked) = &mut verdict.decision {
            // It would be true of the names that are spared below as well (RFC 8020 §2).
            blocked.nxdomain &= !of_client.iter().any(|compiled| compiled.divides(name));
        }
        let rests = hits.iter().filter_map(|spared| spared.by.until).map(|until| whole_seconds(at, until));
        let observed = (!hits.is_empty()).then_some(OBSERVED_TTL_MAX);
        // Another client of a forwarder may not be spared.
        let forwarded = forwards.then_some(0);
        let verdict = match rests.chain(observed).chain(forwarded).min() {
            Some(cap) => verdict.kept_for(cap),
            None => verdict,
        };
        Spared { verdict, hits }
    }
}

/// The rules of a verdict that are attempts.
fn attempts<'v, 'p>(verdict: &'v Verdict<'p>) -> impl Iterator<Item = &'v Hit<'p>> {
    let first = match &verdict.decision {
        Decision::Observe(hit) | Decision::Enforce(hit, _) => Some(hit),
        Decision::Pass | Decision::Allow(_) => None,
    };
    first.into_iter().chain(&verdict.also)
}

fn whole_seconds(at: Timestamp, until: Timestamp) -> u32 {
    u32::try_from(until.duration_since(at).as_secs()).unwrap_or(u32::MAX)
}
