//! The names that rules name, ancestors first, and what the policy says of each and below it.

use std::collections::{BTreeSet, HashSet};

use ipnet::IpNet;

use crate::policy::ban::{Action, Ban, Mode};
use crate::policy::network;
use crate::policy::networks::Row;
use crate::policy::pattern::{PatternKind, PatternRef};
use crate::policy::policy::{BanIndex, Policy};
use crate::policy::rule::{Does, Effect};
use crate::policy::verdict::{Blocked, Client, Decision};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// What is said of a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'p> {
    /// No rule speaks of it.
    Nothing,
    /// It is let through, by a rule.
    Passes,
    /// It is answered so, by this ban.
    Blocked(Action, &'p Ban),
}

/// A name that a rule names.
#[derive(Debug)]
pub(super) struct Entry<'p> {
    pub(super) name: LowerName,
    /// What is said of it.
    pub(super) here: Said<'p>,
    /// What is said of a name below it that no rule names.
    pub(super) below: Said<'p>,
    /// What would be said if no rule named it: as below the nearest name above it that one does.
    pub(super) inherited: Said<'p>,
    /// The weight of what was said there, if it has one.
    pub(super) weight: Option<u8>,
    /// Whether no network can take it from anybody.
    pub(super) shielded: bool,
}

/// A network that a rule is about.
#[derive(Debug)]
pub(super) struct NetworkEntry<'p> {
    pub(super) kind: PatternKind,
    /// As a response policy zone names it.
    pub(super) name: LowerName,
    /// What is said of its addresses or clients.
    pub(super) said: Said<'p>,
    /// What is said around it.
    pub(super) around: Said<'p>,
    /// Whether what is said is so for all exported bans: an exception of a client is one from its own ban.
    pub(super) of_all: bool,
}

/// A name above, and what was said below it.
#[derive(Debug)]
pub(super) struct Above<'p> {
    pub(super) name: LowerName,
    pub(super) below: Said<'p>,
    pub(super) weight: Option<u8>,
}

/// Some bans of a policy, at a time.
pub(super) struct Judge<'p, 'c> {
    policy: &'p Policy,
    at: Timestamp,
    chosen: &'c dyn Fn(BanIndex) -> bool,
    /// Whether the format has words for [`Action::TcpOnly`]; if not, it is no block.
    tcp_only: bool,
    /// Protected names on the wire, where the format speaks of networks of answers.
    shielded: HashSet<&'p [u8]>,
}

impl Said<'_> {
    /// Whether the name is blocked, by whatever action.
    pub(super) fn is_block(&self) -> bool {
        matches!(self, Self::Blocked(..))
    }
}

impl<'p, 'c> Judge<'p, 'c> {
    pub(super) fn new(policy: &'p Policy, at: Timestamp, chosen: &'c dyn Fn(BanIndex) -> bool, tcp_only: bool) -> Self {
        Self { policy, at, chosen, tcp_only, shielded: HashSet::new() }
    }

    /// Says from now on that no network of answers can take protected names from anybody.
    pub(super) fn shield(&mut self) {
        self.shielded = self.policy.protected.iter().map(LowerName::wire).collect();
    }

    /// Whether some rule does what the format has no words for: it sends clients to TCP.
    pub(super) fn leaves_out_tcp_only(&self) -> bool {
        let does = |does: Does, ban: &Ban| match does {
            Does::Action(action) => action == Action::TcpOnly,
            Does::Mode(_) => ban.stance.action == Action::TcpOnly,
        };
        let rules = self.policy.attributes.iter().filter(|rule| self.is_told(BanIndex(rule.ban)));
        !self.tcp_only && rules.into_iter().any(|rule| does(rule.does, &self.policy.bans[rule.ban]))
    }

    /// What rules do that is not to deny a name or its data.
    pub(super) fn actions(&self) -> BTreeSet<Action> {
        let enforces = |ban: usize| self.policy.bans[ban].stance.mode_at(self.at) == Mode::Enforce;
        let rules = self.policy.attributes.iter().filter(|rule| self.is_told(BanIndex(rule.ban)) && enforces(rule.ban));
        let actions = rules.filter_map(|rule| match rule.ceiling {
            Effect::Enforce(action @ (Action::Sinkhole | Action::Refuse | Action::Drop)) => Some(action),
            _otherwise => None,
        });
        actions.collect()
    }

    fn counts(&self, attributes: u16) -> bool {
        let attributes = &self.policy.attributes[usize::from(attributes)];
        attributes.ceiling != Effect::Off && self.is_told(BanIndex(attributes.ban))
    }

    /// Whether the ban is exported: another resolver can't tell the clients of a share from others.
    fn is_told(&self, ban: BanIndex) -> bool {
        (self.chosen)(ban) && self.policy.bans[ban.0].stance.rollout.is_none()
    }

    /// The globs, as they are written.
    pub(super) fn globs(&self) -> impl Iterator<Item = PatternRef<'p>> {
        let globs = self.policy.globs.groups().iter().flat_map(|group| &group.globs);
        globs.filter(|glob| self.counts(glob.attributes)).map(|glob| {
            let attributes = &self.policy.attributes[usize::from(glob.attributes)];
            PatternRef { wire: &glob.wire, kind: attributes.kind, allow: attributes.allow }
        })
    }

    /// The names of all other rules, each once, a name before those below it.
    pub(super) fn names(&self) -> impl Iterator<Item = LowerName> {
        let rules = self.policy.literals.entries().filter(|(attributes, _wire)| self.counts(*attributes));
        let rules = rules.map(|(_attributes, wire)| wire);
        let mut names: Vec<Box<[u8]>> = rules.chain(self.shielded.iter().copied()).map(reversed).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| {
            let mut wire = reversed(&name).into_vec();
            wire.push(0);
            LowerName::read(&wire, 0).ok().map(|(name, _end)| name)
        })
    }

    /// The networks that rules are about, each once, those of answers first.
    pub(super) fn networks(&self) -> impl Iterator<Item = NetworkEntry<'p>> {
        let of = |kind, rows: &'p [Row]| rows.iter().map(move |row| (kind, row));
        let answers = of(PatternKind::Answer, self.policy.answers.rows());
        let rows = answers.chain(of(PatternKind::Client, self.policy.clients.rows()));
        let mut counted: Vec<_> = rows.filter(|(_kind, row)| self.counts(row.attributes)).collect();
        // Two of the same network stand beside each other.
        counted.dedup_by_key(|(kind, row)| (*kind, row.network));
        let bans = (0..self.policy.bans.len()).filter(|ban| self.is_told(BanIndex(*ban))).count();
        counted.into_iter().map(move |(kind, row)| {
            let around = row.network.supernet().map_or(Said::Nothing, |around| self.said_of(kind, around));
            let name = network::to_name(row.network);
            NetworkEntry { kind, name, said: self.said_of(kind, row.network), around, of_all: bans == 1 }
        })
    }

    fn said_of(&self, kind: PatternKind, network: IpNet) -> Said<'p> {
        match self.policy.judge_network(kind, network, self.at, |ban| !self.is_told(ban)).decision {
            Decision::Pass => Said::Nothing,
            Decision::Allow(_) | Decision::Observe(_) => Said::Passes,
            Decision::Enforce(hit, Blocked { action: Action::Nxdomain, .. }) if kind == PatternKind::Answer => {
                Said::Blocked(Action::Nodata, hit.ban)
            }
            Decision::Enforce(hit, blocked) => Said::Blocked(blocked.action, hit.ban),
        }
    }

    /// What is said of a name and below it; `None`: nothing at all.
    pub(super) fn entry(&self, name: LowerName, above: Option<&Above<'p>>) -> Option<Entry<'p>> {
        let here = self.said(&name);
        // No rule names a label of one zero octet, and none that begins with `*` exists. Below a name that is too long there is
        // none.
        let child = [&[1, 0], name.wire()].concat();
        let below = LowerName::read(&child, 0).map_or(here, |(child, _end)| self.said(&child));
        let (inherited, weight) = above.map_or((Said::Nothing, None), |above| (above.below, above.weight));
        let shielded = self.shielded.contains(name.wire());
        let silent = matches!((here, below), (Said::Nothing, Said::Nothing)) && above.is_none() && !shielded;
        (!silent).then_some(Entry { name, here, below, inherited, weight, shielded })
    }

    /// The names between a name and the nearest one above it, where that one blocks what is below it: in a zone they are there
    /// too, without data, and hide its wildcard (RFC 4592 §2.2.2).
    pub(super) fn between(name: &LowerName, above: Option<&Above<'_>>) -> Vec<LowerName> {
        let Some(above) = above.filter(|above| above.below.is_block()) else { return Vec::new() };
        let depths = above.name.labels() + 1..name.labels();
        depths.filter_map(|depth| LowerName::read(name.suffix(depth), 0).ok().map(|(name, _end)| name)).collect()
    }

    fn said(&self, name: &LowerName) -> Said<'p> {
        let left_out = |ban| !self.is_told(ban);
        match self.policy.decide_without(name, qtype::A, &Client::NOBODY, self.at, left_out).decision {
            Decision::Pass => Said::Nothing,
            Decision::Allow(_) | Decision::Observe(_) => Said::Passes,
            Decision::Enforce(_, blocked) if blocked.action == Action::TcpOnly && !self.tcp_only => Said::Passes,
            Decision::Enforce(hit, blocked) => {
                let denies = blocked.action == Action::Nxdomain && !blocked.nxdomain;
                Said::Blocked(if denies { Action::Nodata } else { blocked.action }, hit.ban)
            }
        }
    }
}

/// The labels of a name from the right, without the root's zero: so a name is the beginning of those below it.
fn reversed(wire: &[u8]) -> Box<[u8]> {
    let mut labels: Vec<&[u8]> = Vec::new();
    let mut rest = wire;
    while let Some(size) = rest.first().map(|size| usize::from(*size)).filter(|size| *size > 0)
        && let Some((label, behind)) = rest.split_at_checked(1 + size)
    {
        labels.push(label);
        rest = behind;
    }
    labels.reverse();
    labels.concat().into()
}
