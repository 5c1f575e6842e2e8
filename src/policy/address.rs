//! Verdicts by address: of what an answer leads to, and of who asks.
//!
//! Within a ban a rule about the client has its say first, then those about the name, then those about what the answer holds:
//! the order of response policy zones (draft-vixie-dnsop-dns-rpz §5). Of networks the smallest wins.

use std::iter;
use std::net::IpAddr;

use ipnet::IpNet;

use super::lookup::{Found, Way};
use super::networks::Row;
use super::pattern::PatternKind;
use super::policy::{BanIndex, Policy};
use super::rule::Effect;
use super::suffix;
use super::verdict::{Blocked, Client, Decision, Hit, Verdict};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// What a rule about an answer counts for beside its prefix, in labels: more than any name has.
const ANSWER_LABELS: usize = 256;
/// The same of a rule about a client.
const CLIENT_LABELS: usize = 512;

impl Policy {
    /// Whether any rule speaks of addresses in answers.
    #[inline]
    pub fn screens_addresses(&self) -> bool {
        self.answers.speaks()
    }

    /// What is to be done with an answer to `name` that leads to `address`, as if the bans that are `left_out` did not exist.
    /// It never is NXDOMAIN: the name exists, and has addresses or other records that are nobody's concern.
    pub fn decide_address<'a>(
        &'a self,
        address: IpAddr,
        name: &LowerName,
        client: &Client,
        at: Timestamp,
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Verdict<'a> {
        let mut way = Way::default();
        let rules = self.answer_rules(address);
        rules.filter(|found| found.attributes.ceiling != Effect::Off).for_each(|found| way.add_network(found));
        if way.is_free() {
            return Verdict::PASS;
        }
        self.add_client_rules(&mut way, name, client.address);
        let judge = |way: &Way<'a>| self.judge(name, qtype::A, &self.asker(client, at), way);
        let verdict = judge(&way.without(&left_out));
        match verdict.decision {
            // Nobody is kept from it; what other bans observe is seen all the same.
            Decision::Enforce(hit, _) if self.is_protected(name) => {
                let enforcing = enforcing(&hit, &verdict);
                judge(&way.without(|ban| left_out(ban) || enforcing.contains(&ban)))
            }
            Decision::Enforce(hit, blocked) => {
                Verdict { decision: Decision::Enforce(hit, Blocked { nxdomain: false, ..blocked }), ..verdict }
            }
            _ => verdict,
        }
    }

    /// [`Policy::decide_without`] of a name to which the answer about `asked` leads: a name that no list can block is not blocked
    /// by where it leads either.
    pub(super) fn decide_where<'a>(
        &'a self,
        (name, asked): (&LowerName, &LowerName),
        (qtype, client, at): (u16, &Client, Timestamp),
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Verdict<'a> {
        let verdict = self.decide_without(name, qtype, client, at, &left_out);
        match verdict.decision {
            Decision::Enforce(hit, _) if self.is_protected(asked) => {
                let enforcing = enforcing(&hit, &verdict);
                self.decide_without(name, qtype, client, at, |ban| left_out(ban) || enforcing.contains(&ban))
            }
            _ => verdict,
        }
    }

    /// Whether a rule of this ban is for the name or for whoever asks: then it has had its say, whatever it was.
    pub fn has_spoken(&self, ban: BanIndex, name: &LowerName, client: &Client) -> bool {
        let mut way = self.way(name);
        self.add_client_rules(&mut way, name, client.address);
        way.winners().iter().any(|found| found.attributes.ban == ban.0)
    }

    /// Adds the rules about a client to those on the way to a name, unless nobody may be kept from it.
    #[inline]
    pub(super) fn add_client_rules<'p>(&'p self, way: &mut Way<'p>, name: &LowerName, client: IpAddr) {
        if !self.clients.speaks() {
            return;
        }
        let is_protected = self.is_protected(name);
        for found in self.client_rules(client) {
            match found.attributes.ceiling {
                Effect::Off => (),
                Effect::Enforce(_) if is_protected => (),
                _ => way.add_network(found),
            }
        }
    }

    /// Whether no rule about a network can enforce the name: it would take it from everybody, by accident.
    pub(super) fn is_protected(&self, name: &LowerName) -> bool {
        suffix::is_registry(name, name.labels()) || name.labels() == 0 || self.protected.contains(name)
    }

    /// Whether all names below get NXDOMAIN where a rule about the client says so of all names.
    pub(super) fn is_nxdomain_for_all(&self, name: &LowerName) -> bool {
        !self.otherwise && !self.protected.iter().any(|protected| protected.is_below(name))
    }

    /// Every rule about a network that an address in an answer lies in, off or not.
    pub(super) fn answer_rules(&self, address: IpAddr) -> impl Iterator<Item = Found<'_>> {
        self.answers.around(address).map(|row| self.found(row, ANSWER_LABELS))
    }

    /// Every rule about a network that a client is in, off or not.
    pub(super) fn client_rules(&self, client: IpAddr) -> impl Iterator<Item = Found<'_>> {
        self.clients.around(client).map(|row| self.found(row, CLIENT_LABELS))
    }

    /// The verdict on all addresses in answers, or on all clients, of a network of which no rule about a smaller one speaks, as if
    /// the bans that are `left_out` did not exist.
    pub(super) fn judge_network(
        &self,
        kind: PatternKind,
        network: IpNet,
        at: Timestamp,
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Verdict<'_> {
        let is_client = kind == PatternKind::Client;
        let (table, base) = if is_client { (&self.clients, CLIENT_LABELS) } else { (&self.answers, ANSWER_LABELS) };
        let mut way = Way::default();
        let around = table.around(network.network()).filter(|row| row.network.prefix_len() <= network.prefix_len());
        let rules = around.map(|row| self.found(row, base));
        rules.filter(|found| found.attributes.ceiling != Effect::Off).for_each(|found| way.add_network(found));
        if way.is_free() {
            return Verdict::PASS;
        }
        // The verdict is that on any name but those that are protected, so it is none.
        self.judge(&LowerName::ROOT, qtype::A, &self.asker(&Client::NOBODY, at), &way.without(left_out))
    }

    fn found<'p>(&'p self, row: &'p Row, base: usize) -> Found<'p> {
        let attributes = &self.attributes[usize::from(row.attributes)];
        Found { attributes, wire: &row.wire, labels: base + usize::from(row.network.prefix_len()) }
    }
}

/// The bans that enforce something by a verdict that `first` decides.
fn enforcing(first: &Hit<'_>, verdict: &Verdict<'_>) -> Vec<BanIndex> {
    let enforces = |hit: &&Hit<'_>| matches!(hit.effect, Effect::Enforce(_));
    iter::once(first).chain(&verdict.also).filter(enforces).map(|hit| hit.ban_index).collect()
}
