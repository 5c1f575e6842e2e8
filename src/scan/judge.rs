//! A chunk judged: which of its queries some ban has a say about, as it would have one about those that clients ask us.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::identity::Identifier;
use crate::metrics::Did;
use crate::policy::{AskedElsewhere, BanIndex, Hit, Met, PatternKind, PatternRef, SiteIndex};
use crate::time::Timestamp;
use crate::wire::Transport;

use super::binary::{Capture, Sink, read_dnstap};
use super::cut::Chunk;
use super::entry::{Entry, Fault};
use super::format::Format;
use super::rules::Rules;
use super::text::Context;

/// Faults of a chunk that are told one by one.
pub(super) const FAULTS_MAX: usize = 10;
/// Ports at which resolvers are asked, in clear and over TLS or QUIC; web pages come from the same addresses at others.
const DNS_PORTS: [u16; 2] = [53, 853];
/// Octets of a line that are shown.
const EXCERPT: usize = 120;

/// A query that is an attempt.
pub(super) struct Found<'p> {
    /// Where in the chunk its line begins.
    pub(super) at: usize,
    pub(super) when: Timestamp,
    pub(super) client: IpAddr,
    pub(super) device: Option<Identifier>,
    /// Its name among those of the chunk.
    pub(super) name: Range<usize>,
    pub(super) qtype: u16,
    pub(super) transport: Option<Transport>,
    pub(super) verified: bool,
    pub(super) did: Did,
    pub(super) ban: BanIndex,
    /// Index into the policy's series; `None`: a connection to a fallback resolver.
    pub(super) series: Option<usize>,
    pub(super) site: Option<SiteIndex>,
    pub(super) pattern: PatternRef<'p>,
}

/// A client, the device that the log names, and an hour since 1970.
pub(super) type Asker = (IpAddr, Option<Identifier>, i64);

/// Something that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAt {
    /// The line, frame or packet, from 1.
    pub line: u64,
    /// Why.
    pub fault: Fault,
    /// How it begins, if it is text.
    pub excerpt: String,
}

/// What a chunk holds, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines, frames or packets.
    pub lines: u64,
    /// Queries among them.
    pub queries: u64,
    /// What was not understood.
    pub rejects: u64,
    /// The first and the last moment of a query.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// A chunk and what came of it.
pub(super) struct Judged<'p> {
    pub(super) chunk: Chunk,
    rules: &'p Rules<'p>,
    now: Timestamp,
    /// When each first asked for anything.
    pub(super) active: HashMap<Asker, Timestamp>,
    pub(super) found: Vec<Found<'p>>,
    /// The names of what was found, on the wire, one behind the other.
    pub(super) names: Vec<u8>,
    pub(super) counts: Counts,
    pub(super) faults: Vec<FaultAt>,
}

impl Counts {
    /// Adds those of what comes behind.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.queries += other.queries;
        self.rejects += other.rejects;
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (times, other) => times.or(other),
        };
    }
}

/// Judges every line, frame or packet of a chunk by the policy as it is at `now`. `capture`: what is known of the packets
/// before.
pub(super) fn judge<'p>(chunk: Chunk, rules: &'p Rules<'p>, now: Timestamp, capture: &mut Capture) -> Judged<'p> {
    let (found, names, counts, faults) = (Vec::new(), Vec::new(), Counts::default(), Vec::new());
    let active = HashMap::new();
    let mut judged = Judged { chunk, rules, now, active, found, names, counts, faults };
    let context = Arc::clone(&judged.chunk.context);
    let octets = std::mem::take(&mut judged.chunk.octets);
    match judged.chunk.long {
        Some(true) => judged.fault_at(1, Fault::Long, &octets),
        // What is behind its beginning; its end is where the line ends.
        Some(false) => judged.counts.lines += u64::from(octets.ends_with(b"\n")),
        None => match context.format {
            Format::Dnstap => read_dnstap(&octets, &context.times, context.replies, &mut judged),
            Format::Pcap => capture.pcap(&octets, judged.chunk.start == 0, &context.times, &mut judged),
            Format::Pcapng => capture.pcapng(&octets, &context.times, &mut judged),
            _ => judged.lines(&octets, &context),
        },
    }
    judged.chunk.octets = octets;
    judged
}

impl Judged<'_> {
    fn lines(&mut self, octets: &[u8], context: &Context) {
        let mut start = 0;
        while start < octets.len() {
            let end = memchr::memchr(b'\n', &octets[start..]).map_or(octets.len(), |end| start + end);
            let line = &octets[start..end];
            self.counts.lines += 1;
            match context.read(line) {
                Ok(None) => (),
                Ok(Some(entry)) => self.judge(start, &entry),
                Err(fault) => self.fault_at(self.counts.lines, fault, line),
            }
            start = end + 1;
        }
    }

    /// Judges a query.
    fn judge(&mut self, at: usize, entry: &Entry) {
        self.counts.add(&Counts { queries: 1, times: Some((entry.at, entry.at)), ..Counts::default() });
        if let Some(to) = entry.to {
            return self.flow(at, entry, to);
        }
        let &Entry { at: when, client, ref name, qtype, transport, .. } = entry;
        let who = (client, entry.device.clone(), when.as_second().div_euclid(3_600));
        let first = self.active.entry(who).or_insert(when);
        *first = when.min(*first);
        let rules = self.rules;
        let over_stream = transport.is_some_and(Transport::proves_address);
        let asked = AskedElsewhere { client, device: rules.device(client, when), over_stream, name, qtype };
        let mut met = rules.policy.met_elsewhere(rules.exemptions, &asked, self.now).peekable();
        if met.peek().is_none() {
            return;
        }
        let start = self.names.len();
        self.names.extend_from_slice(name.wire());
        let name = start..self.names.len();
        let site = rules.policy.who().of(client).site();
        self.found.extend(met.map(|met| found(at, entry, name.clone(), site, &met)));
    }

    /// Judges a connection: of those to a ban's fallback resolvers it is a signal.
    fn flow(&mut self, at: usize, entry: &Entry, to: SocketAddr) {
        if !DNS_PORTS.contains(&to.port()) {
            return;
        }
        let policy = self.rules.policy;
        let bans = policy.bans().iter().enumerate().filter(|(_at, ban)| ban.fallback.contains(&to.ip()));
        for (ban, _named) in bans {
            let start = self.names.len();
            self.names.extend_from_slice(entry.name.wire());
            let &Entry { at: when, client, qtype, transport, did, .. } = entry;
            let site = policy.who().of(client).site();
            let pattern = PatternRef { wire: b"\0", kind: PatternKind::Exact, allow: false };
            let (name, ban) = (start..self.names.len(), BanIndex(ban));
            let (verified, series) = (false, None);
            self.found.push(Found {
                at,
                when,
                client,
                device: None,
                name,
                qtype,
                transport,
                verified,
                did,
                ban,
                series,
                site,
                pattern,
            });
        }
    }

    fn fault_at(&mut self, number: u64, fault: Fault, line: &[u8]) {
        self.counts.rejects += 1;
        if self.faults.len() < FAULTS_MAX {
            let excerpt = String::from_utf8_lossy(line.get(..EXCERPT.min(line.len())).unwrap_or_default()).into_owned();
            self.faults.push(FaultAt { line: number, fault, excerpt });
        }
    }
}

impl Sink for Judged<'_> {
    fn unit(&mut self) {
        self.counts.lines += 1;
    }

    fn query(&mut self, at: usize, entry: &Entry) {
        self.judge(at, entry);
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_at(self.counts.lines, fault, b"");
    }
}

fn found<'p>(at: usize, entry: &Entry, name: Range<usize>, site: Option<SiteIndex>, met: &Met<'p>) -> Found<'p> {
    let &Entry { at: when, client, qtype, transport, verified, did, .. } = entry;
    let Hit { ban_index: ban, series, pattern, .. } = met.hit;
    let (series, did) = (Some(series), if met.spared { did.spared_here() } else { did });
    let device = entry.device.clone();
    Found { at, when, client, device, name, qtype, transport, verified, did, ban, series, site, pattern }
}
