//! Names that this server answers by itself: own records, a hosts file, special-use names, and what leads clients to its own
//! encrypted endpoints.
//!
//! ```text
//! own records, hosts   a name with a record here is answered here, whatever its type
//! resolver.arpa        our own encrypted endpoints, or nothing (RFC 9462); never forwarded
//! forward zones        leave what is below them to their servers, special-use names too, all but `.onion`
//! special-use names    localhost, invalid, test, onion, alt, local, internal, home.arpa, private reverse zones
//! ```
//! Values in, values out: an [`Answer`] as an upstream could have given it, so that it is screened and cut to size like any
//! other. Leaves reading the hosts file to `config`, and its place among policy and cache to `serve`.

mod ddr;
mod hosts;
mod rdata;
mod record;
mod special;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

pub use ddr::{Encrypted, Endpoint};
pub use hosts::{HOSTS_MAX, Host, hosts};
pub use record::{Record, RecordError, TTL_MAX, clashes, endless, reverse};
pub use special::{FIXED, special_use};

use crate::wire::{Answer, CLASS_ANY, CLASS_IN, Layout, LowerName, Name, Query, Response, qtype, rcode};
use special::{Kind, Zone};

/// TTL of the zones that are empty, in seconds (RFC 6303 §3).
const EMPTY_TTL: u32 = 10_800;
/// TTL of own records unless something else is said, in seconds.
pub const TTL: u32 = 300;
/// Names of a chain of own aliases at most.
const CHAIN_MAX: usize = 8;

/// What is answered here.
#[derive(Clone, Debug)]
pub struct Config {
    /// Own records.
    pub records: Vec<Record>,
    /// Lines of a hosts file.
    pub hosts: Vec<Host>,
    /// TTL of what has none of its own, in seconds.
    pub ttl: u32,
    /// Special-use zones that are forwarded like any other name; those of [`FIXED`] are not.
    pub passed: Vec<Name>,
    /// Zones that have servers of their own.
    pub forwarded: Vec<Name>,
    /// Whether every upstream is within a private network: then it may know the names of that network.
    pub private_upstreams: bool,
    /// Whether no public name may have a private address, and the names that may none the less, with all below them.
    pub rebinding: Option<Vec<Name>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            hosts: Vec::new(),
            ttl: TTL,
            passed: Vec::new(),
            forwarded: Vec::new(),
            private_upstreams: false,
            rebinding: None,
        }
    }
}

/// A table by names on the wire in lower case.
type ByName<T> = HashMap<Box<[u8]>, T, RandomState>;

/// What is answered here, made ready.
#[derive(Debug)]
pub struct Local {
    names: ByName<Node>,
    /// Names in special-use zones that exist only because others stand below them (RFC 8020 §2).
    above: HashSet<Box<[u8]>, RandomState>,
    zones: ByName<Zone>,
    /// The last labels of all zones, to tell in a few comparisons that a name is in none.
    ends: Vec<Box<[u8]>>,
    forwarded: HashSet<Box<[u8]>, RandomState>,
    endpoints: Vec<Endpoint>,
    ttl: u32,
    /// Names that may have private addresses; `None`: all may.
    rebinding: Option<HashSet<Box<[u8]>, RandomState>>,
}

/// The records of one name.
#[derive(Debug, Default)]
struct Node {
    /// Type, TTL, data, in the order of types; those of one type have one TTL (RFC 2181 §5.2).
    records: Vec<(u16, u32, Box<[u8]>)>,
}

/// What there is to say about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said<'l> {
    /// Our own endpoints.
    Endpoints,
    /// A loopback address.
    Loopback,
    /// The SOA or NS record of an empty zone.
    Apex(&'l [u8]),
    /// Records of our own: at the name, or led to by an alias there.
    Own,
    /// The name exists, such a record does not; with the owner and TTL of the SOA that says so.
    NoData(&'l [u8], u32),
    /// The name does not exist.
    NxDomain(&'l [u8], u32),
}

impl Local {
    /// Makes `config` ready.
    pub fn new(config: Config) -> Self {
        let zones: ByName<Zone> = special::zones()
            .into_iter()
            .filter(|zone| zone.fixed || !config.passed.contains(&zone.name))
            .filter(|zone| !(zone.private && config.private_upstreams))
            .map(|zone| (zone.name.wire().into(), zone))
            .collect();
        let mut ends: Vec<Box<[u8]>> =
            zones.values().map(|zone| LowerName::from(&zone.name).suffix(1).into()).collect();
        ends.sort();
        ends.dedup();
        let forwarded = config.forwarded.iter().map(|zone| zone.wire().into()).collect();
        let excepted = |names: Vec<Name>| names.iter().map(|name| name.wire().into()).collect();
        let mut local = Self {
            names: ByName::default(),
            above: HashSet::default(),
            zones,
            ends,
            forwarded,
            endpoints: Vec::new(),
            ttl: config.ttl,
            rebinding: config.rebinding.map(excepted),
        };
        config.records.iter().for_each(|record| local.add(&record.owner, record.rtype, record.ttl, &record.rdata));
        local.add_hosts(&config.hosts);
        local.add_loopback();
        local.note_those_above();
        local
    }

    /// Leads clients that ask for encrypted endpoints of ours to these.
    #[must_use]
    pub fn designating(self, endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints, ..self }
    }

    /// Only what no setting takes away.
    pub fn least() -> Self {
        let passed = special::zones().into_iter().map(|zone| zone.name).collect();
        Self::new(Config { passed, ..Config::default() })
    }

    /// The answer to a query if it is given here.
    pub fn answer(&self, query: &Query<'_>) -> Option<Answer> {
        let said = self.said(query)?;
        // Without EDNS: that is between this server and each client.
        let mut bare = query.clone();
        bare.edns = None;
        let response = self.respond(&bare, said);
        let message = response.finish(usize::from(u16::MAX));
        let layout = Layout::read(&message).ok()?;
        Answer::keep(&message, &layout).ok()
    }

    /// Whether the answer to a query for `name` has a browser take somebody else's page for one of this network (DNS
    /// rebinding): a public name with a private address. The name asked for decides, not the one that an alias leads to:
    /// by that name the browser knows the page.
    pub fn is_rebinding(&self, name: &LowerName, answer: &Answer) -> bool {
        let Some(excepted) = self.rebinding.as_ref().filter(|_on| answer.holds_private_address()) else { return false };
        let of_this_network = special::is_private(name) || self.is_forwarded(name);
        !of_this_network && !is_in(excepted, name)
    }

    fn add(&mut self, owner: &Name, rtype: u16, ttl: Option<u32>, rdata: &[u8]) {
        let ttl = ttl.unwrap_or(self.ttl);
        let records = &mut self.names.entry(owner.wire().into()).or_default().records;
        if records.iter().any(|(known, _ttl, octets)| *known == rtype && **octets == *rdata) {
            return;
        }
        // The least of an RRset is that of all.
        let least = records.iter().filter(|(known, ..)| *known == rtype).map(|(_, ttl, _)| *ttl).fold(ttl, u32::min);
        records.iter_mut().filter(|(known, ..)| *known == rtype).for_each(|(_, ttl, _)| *ttl = least);
        records.push((rtype, least, rdata.into()));
        records.sort_by_key(|(rtype, ..)| *rtype);
    }

    /// Own records go before the file: a name that has one has nothing from it.
    fn add_hosts(&mut self, hosts: &[Host]) {
        let own: HashSet<Box<[u8]>> = self.names.keys().cloned().collect();
        let mut named = HashSet::new();
        for host in hosts {
            let (rtype, rdata) = record::address(host.address);
            for name in host.names.iter().filter(|name| !own.contains(name.wire())) {
                self.add(name, rtype, None, &rdata);
            }
            let reverse = reverse(host.address);
            // The first name of its first line is what an address is called (hosts(5)).
            if let (Some(name), false) = (host.names.first(), own.contains(reverse.wire()))
                && named.insert(host.address)
            {
                self.add(&reverse, qtype::PTR, None, name.wire());
            }
        }
    }

    /// The loopback addresses are called `localhost` unless they are called otherwise.
    fn add_loopback(&mut self) {
        for address in special::LOOPBACK {
            let (reverse, localhost) = (reverse(address), b"\x09localhost\0");
            let served = self.zone(&LowerName::from(&reverse)).is_some();
            if served && !self.names.contains_key(reverse.wire()) {
                self.add(&reverse, qtype::PTR, Some(EMPTY_TTL), localhost);
            }
        }
    }

    fn note_those_above(&mut self) {
        let names: Vec<LowerName> =
            self.names.keys().filter_map(|wire| LowerName::read(wire, 0).ok()).map(|(name, _end)| name).collect();
        for name in names {
            let Some(zone) = self.zone(&name) else { continue };
            let apex = LowerName::from(&zone.name).labels();
            for labels in apex..name.labels() {
                self.above.insert(name.suffix(labels).into());
            }
        }
    }

    /// The special-use zone that a name is in.
    fn zone(&self, name: &LowerName) -> Option<&Zone> {
        let end = name.suffix(1);
        if !self.ends.iter().any(|known| **known == *end) {
            return None;
        }
        (1..=name.labels()).rev().find_map(|labels| self.zones.get(name.suffix(labels)))
    }

    fn is_forwarded(&self, name: &LowerName) -> bool {
        is_in(&self.forwarded, name)
    }

    fn said(&self, query: &Query<'_>) -> Option<Said<'_>> {
        if !matches!(query.qclass, CLASS_IN | CLASS_ANY) {
            return self.of_other_class(&query.name);
        }
        let zone = self.zone(&query.name);
        if let Some(zone) = zone.filter(|zone| zone.kind == Kind::Resolver) {
            return Some(self.of_resolver(zone, query));
        }
        let zone = zone.filter(|zone| zone.fixed || !self.is_forwarded(&query.name));
        if let Some((owner, node)) = self.own(&query.name) {
            let soa = zone.map_or(owner, |zone| zone.name.wire());
            return Some(if node.has(query.qtype) { Said::Own } else { Said::NoData(soa, node.ttl()) });
        }
        let zone = zone?;
        let (apex, at_apex) = (zone.name.wire(), zone.name.wire() == query.name.wire());
        // A zone with names of ours gets more of them, which is to be seen soon.
        let ttl = if self.above.contains(apex) { self.ttl.min(EMPTY_TTL) } else { EMPTY_TTL };
        match (zone.kind, query.qtype) {
            // It stands in the zone above, which is signed and says that there is none: without that proof a validator
            // behind us takes every name below for forged (RFC 8375 §4, RFC 4035 §5.2).
            (Kind::Empty { delegated: true }, qtype::DS) if at_apex => None,
            (Kind::Localhost, qtype::A | qtype::AAAA | qtype::ANY) => Some(Said::Loopback),
            (Kind::Localhost, _) => Some(Said::NoData(apex, ttl)),
            (_, qtype::SOA | qtype::NS | qtype::ANY) if at_apex => Some(Said::Apex(apex)),
            _ if at_apex || self.above.contains(query.name.wire()) => Some(Said::NoData(apex, ttl)),
            _ => Some(Said::NxDomain(apex, ttl)),
        }
    }

    /// Our names are of class IN. To hand a question for one on in another would tell it to whoever is upstream all the same.
    fn of_other_class(&self, name: &LowerName) -> Option<Said<'_>> {
        let zone = self.zone(name).filter(|zone| zone.fixed || !self.is_forwarded(name));
        let owner = zone.map(|zone| zone.name.wire()).or_else(|| self.own(name).map(|(owner, _node)| owner));
        owner.map(|owner| Said::NoData(owner, EMPTY_TTL))
    }

    /// Only SVCB at `_dns` is of use to anybody; for the rest there is no such type, whatever the name (RFC 9462 §6.4).
    fn of_resolver<'l>(&self, zone: &'l Zone, query: &Query<'_>) -> Said<'l> {
        let apex = zone.name.wire();
        let asked_for_endpoints = query.name.labels() == 3 && query.name.label(0) == b"_dns";
        match query.qtype {
            qtype::SVCB if asked_for_endpoints && !self.endpoints.is_empty() => Said::Endpoints,
            qtype::SOA | qtype::NS if query.name.wire() == apex => Said::Apex(apex),
            // As short as theirs: one may be set up.
            _ => Said::NoData(apex, ddr::TTL),
        }
    }

    fn own(&self, name: &LowerName) -> Option<(&[u8], &Node)> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get_key_value(name.wire()).map(|(owner, node)| (&**owner, node))
    }

    fn respond<'t>(&self, query: &Query<'t>, said: Said<'_>) -> Response<'t> {
        let response = Response::to(query);
        match said {
            Said::Endpoints => ddr::respond(response, &self.endpoints),
            Said::Loopback => loopback(response, query.qtype),
            Said::Apex(apex) if query.qtype == qtype::NS => response.answer(qtype::NS, EMPTY_TTL, apex),
            Said::Apex(apex) => response.answer(qtype::SOA, EMPTY_TTL, &special::soa(apex)),
            Said::Own => self.own_records(response, query),
            Said::NoData(owner, ttl) => response.soa(owner, ttl),
            Said::NxDomain(owner, ttl) => response.soa(owner, ttl).rcode(rcode::NXDOMAIN),
        }
    }

    /// The records of the asked type, behind the aliases that lead to them as far as they are ours.
    fn own_records<'t>(&self, mut response: Response<'t>, query: &Query<'_>) -> Response<'t> {
        let mut name = query.name.clone();
        for _ in 0..CHAIN_MAX {
            let Some((owner, node)) = self.own(&name) else { break };
            let found = node.of(query.qtype);
            let alias = found.is_empty().then(|| node.alias()).flatten();
            for (rtype, ttl, rdata) in found {
                response = response.answer_at(owner, *rtype, *ttl, rdata);
            }
            let Some((ttl, target)) = alias else { break };
            response = response.answer_at(owner, qtype::CNAME, ttl, target);
            match LowerName::read(target, 0) {
                Ok((target, _end)) => name = target,
                Err(_no_name) => break,
            }
        }
        response
    }
}

impl Default for Local {
    /// Special-use names only.
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Node {
    /// The records to give for a type; for ANY those of one type (RFC 8482 §4.1).
    fn of(&self, asked: u16) -> &[(u16, u32, Box<[u8]>)] {
        let wanted = match (asked, self.records.first()) {
            (qtype::ANY, Some((first, ..))) => *first,
            _ => asked,
        };
        let start = self.records.partition_point(|(rtype, ..)| *rtype < wanted);
        let end = self.records.partition_point(|(rtype, ..)| *rtype <= wanted);
        &self.records[start..end]
    }

    fn has(&self, asked: u16) -> bool {
        !self.of(asked).is_empty() || self.alias().is_some()
    }

    fn alias(&self) -> Option<(u32, &[u8])> {
        let alias = self.records.iter().find(|(rtype, ..)| *rtype == qtype::CNAME);
        alias.map(|(_rtype, ttl, target)| (*ttl, &**target))
    }

    /// How long it may be believed that the rest does not exist.
    fn ttl(&self) -> u32 {
        self.records.iter().map(|(_rtype, ttl, _rdata)| *ttl).min().unwrap_or_default()
    }
}

/// Whether a name is one of these or below one.
fn is_in(zones: &HashSet<Box<[u8]>, RandomState>, name: &LowerName) -> bool {
    !zones.is_empty() && (1..=name.labels()).any(|labels| zones.contains(name.suffix(labels)))
}

/// Both families for ANY.
fn loopback(mut response: Response<'_>, asked: u16) -> Response<'_> {
    for address in special::LOOPBACK {
        let (rtype, rdata) = record::address(address);
        if asked == rtype || asked == qtype::ANY {
            response = response.answer(rtype, EMPTY_TTL, &rdata);
        }
    }
    response
}
