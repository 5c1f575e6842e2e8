//! Queries through the listeners' short way and through the one handler, and what is counted when a query goes wrong.

mod fresh;
mod listening;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::cache::{self, Cache, KeyRef, Lookup};
use crate::clock::Hands;
use crate::journal::{self, Journal};
use crate::metrics::{Family, Outcome};
use crate::policy::{
    Action, Ban, Does, Ede, Evidence, Exemption, ListFormat, ListInfo, Mode, Pattern, PolicyBuilder, Roster, Rule,
    Spares, Whom,
};
use crate::socket::udp as bind_udp;
use crate::time::{Mono, Now};
use crate::wire::{Answer, Layout, LowerName, Name, Query, Response, Secret, Transport, qtype, rcode};

const PATIENCE: Duration = Duration::from_secs(10);

/// Names and what a ban does to them.
const BANNED: [(&str, Does); 7] = [
    ("geo.example", Does::Action(Action::Nxdomain)),
    ("nodata.example", Does::Action(Action::Nodata)),
    ("sink.example", Does::Action(Action::Sinkhole)),
    ("refuse.example", Does::Action(Action::Refuse)),
    ("drop.example", Does::Action(Action::Drop)),
    ("tcp.example", Does::Action(Action::TcpOnly)),
    ("seen.example", Does::Mode(Mode::Observe)),
];
/// Rules about networks: of answers, and of clients other than the usual one.
const NETWORKS: [(&str, Does); 7] = [
    ("answer:198.51.100.0/24", Does::Mode(Mode::Enforce)),
    ("answer:198.51.100.64/26", Does::Mode(Mode::Observe)),
    ("answer:198.51.100.128/26", Does::Action(Action::Sinkhole)),
    ("answer:198.51.100.192/26", Does::Action(Action::Drop)),
    ("client:127.0.0.8/31", Does::Mode(Mode::Enforce)),
    ("client:127.0.0.10", Does::Action(Action::Drop)),
    ("client:127.0.0.11", Does::Mode(Mode::Observe)),
];
/// Names that lead to addresses of those networks, by the last octet.
const HOSTED: [(&str, u8); 4] = [
    ("block.hosted.example", 1),
    ("watch.hosted.example", 65),
    ("sink.hosted.example", 129),
    ("drop.hosted.example", 193),
];
/// Names that the cache knows, and the banned and the observed one that they lead to.
const ALIASES: [(&str, &str); 2] = [("alias.example", "geo.example"), ("aka.example", "seen.example")];
/// Names asked for: banned ones, ones that the cache knows, and ones that nobody knows.
const ASKED: [&str; 18] = [
    "tcp.example",
    "block.hosted.example",
    "watch.hosted.example",
    "sink.hosted.example",
    "drop.hosted.example",
    "geo.example",
    "wWw.GEO.example",
    "nodata.example",
    "sink.example",
    "a.refuse.example",
    "drop.example",
    "seen.example",
    "deep.seen.example",
    "free.example",
    "FREE.example",
    "alias.example",
    "aka.example",
    "unknown.example",
];

/// Who is spared the ban, and who one of its names.
const SPARED: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

/// Knows what the cache knows, finds nothing else, and panics at one name. `fresh`: it knows nothing, and finds that.
struct Known {
    cache: Cache,
    fresh: bool,
}

impl Next for Known {
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        assert_ne!(query.name.to_string(), "panic.example", "a fault, for once wanted");
        if self.fresh { Lookup::Miss } else { self.cache.get(&KeyRef::of(query), now.mono) }
    }

    async fn ask(&self, query: &Query<'_>, _client: &Client, now: Now) -> Result<Found, Failure> {
        match self.cache.get(&KeyRef::of(query), now.mono) {
            Lookup::Fresh(entry) if self.fresh => Ok(Found::kept(entry)),
            _ => Err(Failure::Unreachable),
        }
    }
}

/// A handler with all it stands on.
struct World {
    metrics: Arc<Metrics>,
    clock: Clock,
    hands: Hands,
    handler: Embargo<Known>,
    _directory: TempDir,
}

impl World {
    fn new() -> Self {
        Self::enforcing(policy(&BANNED))
    }

    fn enforcing(policy: crate::policy::Policy) -> Self {
        Self::knowing(policy, false)
    }

    /// `fresh`: what the cache of others knows is asked for.
    fn knowing(policy: crate::policy::Policy, fresh: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let wall = "2026-03-01T12:00:00Z".parse().unwrap();
        let (clock, hands) = Clock::manual(Now { wall, mono: Mono(0) });
        let config = journal::Config::new(directory.path());
        let journal = Arc::new(Journal::start(config, Arc::clone(&metrics), clock.clone()).unwrap());
        let served = Admission::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let guard = Arc::new(Guard::new(served, journal, Arc::clone(&metrics), clock.clone()));
        guard.enforce(policy);
        let exempt = vec![
            spares(SPARED[0], Spares::Ban("vendor".into())),
            spares(SPARED[1], Spares::Name(Box::new(LowerName::parse("refuse.example").unwrap()))),
        ];
        guard.exempt(exempt, Roster::default());
        // Two worlds give the same cookies.
        guard.show(HopConfig { cookie_secrets: vec![Secret([7; 16])], ..HopConfig::default() });
        Self {
            metrics,
            clock,
            hands,
            handler: Embargo::new(guard, Known { cache: cache(), fresh }),
            _directory: directory,
        }
    }

    fn door(&self) -> door::Door<Known> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        door::Door::new(self.handler.clone(), Arc::clone(&self.metrics), self.clock.clone(), 64, stop, tasks)
    }

    /// Listens on loopback.
    fn listen(&self, waiting_max: usize) -> (Running, SocketAddr, SocketAddr) {
        let udp = bind_udp("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN, LOOK_UP).unwrap().remove(0);
        let tcp = crate::socket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let (udp_at, tcp_at) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let limits = StreamConfig {
            connections_max: 8,
            connections_per_client_max: 8,
            queries_in_flight_max: 8,
            idle: PATIENCE,
            slow: PATIENCE,
        };
        let config = ListenConfig { waiting_max, streams: limits };
        let sockets = Sockets { udp: vec![udp], tcp: vec![tcp], ..Sockets::default() };
        let metrics = Arc::clone(&self.metrics);
        let running = start(self.handler.clone(), sockets, config, metrics, self.clock.clone()).unwrap();
        (running, udp_at, tcp_at)
    }

    /// The lines of the metrics page whose names begin so.
    fn page(&self, names: &str) -> Vec<String> {
        self.metrics.render().lines().filter(|line| line.starts_with(names)).map(str::to_owned).collect()
    }

    /// The sum over such lines that hold `label`.
    fn sum(&self, names: &str, label: &str) -> u64 {
        let page = self.page(names);
        let fits = page.iter().filter(|line| line.contains(label));
        fits.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn spares(client: Ipv4Addr, what: Spares) -> Arc<Exemption> {
    Arc::new(Exemption {
        id: client.to_string().into(),
        whom: Whom::Network(IpAddr::from(client).into()),
        what,
        until: None,
    })
}

fn policy(rules: &[(&str, Does)]) -> crate::policy::Policy {
    let ban = Ban {
        ede: Ede { code: 15, text: "banned".into() },
        sinkhole_v4: vec![Ipv4Addr::new(192, 0, 2, 80)],
        sinkhole_v6: vec!["2001:db8::80".parse().unwrap()],
        ..Ban::named("vendor")
    };
    let mut builder = PolicyBuilder::new(7, Vec::new());
    let index = builder.ban(ban);
    let list = builder.list(ListInfo::new("rules.txt", index, ListFormat::Rules, ""));
    for (pattern, does) in rules {
        let pattern = Pattern::parse(pattern).unwrap();
        let rule = Rule { pattern, category: "service".into(), evidence: Evidence::Installed, does: Some(*does) };
        builder.rule(list, &rule).unwrap();
    }
    builder.build(1).0
}

/// Holds the A records of what is not enforced and of aliases, with and without DO and CD.
fn cache() -> Cache {
    let cache = Cache::new(cache::Config::new(1 << 20));
    let led = ALIASES.map(|(alias, _target)| alias).into_iter().chain(HOSTED.map(|(name, _last)| name));
    for name in ["free.example", "seen.example", "tcp.example"].into_iter().chain(led) {
        for bits in 0..4_u8 {
            let message =
                Ask { name, flags: u16::from(bits & 1) << 4, dnssec_ok: bits & 2 != 0, ..Ask::PLAIN }.octets();
            let query = Query::read(&message).unwrap();
            let response = Response::to(&query);
            let target = ALIASES.iter().find(|(alias, _target)| *alias == name).map(|(_alias, target)| *target);
            let end = Name::parse(target.unwrap_or(name)).unwrap();
            let response =
                target.into_iter().fold(response, |response, _target| response.answer(qtype::CNAME, 3600, end.wire()));
            let hosted =
                HOSTED.iter().find(|(hosted, _last)| *hosted == name).map(|(_name, last)| [198, 51, 100, *last]);
            let addresses = (0..40).map(|last| [192, 0, 2, last]).chain(hosted);
            let response =
                addresses.fold(response, |response, address| response.answer_at(end.wire(), qtype::A, 3600, &address));
            let response = response.finish(65_535);
            let answer = Answer::keep(&response, &Layout::read(&response).unwrap()).unwrap();
            cache.insert(KeyRef::of(&query).to_key(), answer, true, Mono(0));
        }
    }
    cache
}

/// A message to be.
#[derive(Clone, Debug)]
struct Ask {
    name: &'static str,
    qtype: u16,
    qclass: u16,
    flags: u16,
    edns: bool,
    version: u8,
    payload: u16,
    dnssec_ok: bool,
    options: Vec<u8>,
    /// Octets put over others, and octets behind.
    spoilt: Vec<(usize, u8)>,
    behind: Vec<u8>,
}

impl Ask {
    const PLAIN: Self = Self {
        name: "free.example",
        qtype: qtype::A,
        qclass: 1,
        flags: 0x0100,
        edns: true,
        version: 0,
        payload: 1232,
        dnssec_ok: false,
        options: Vec::new(),
        spoilt: Vec::new(),
        behind: Vec::new(),
    };

    fn of(name: &'static str) -> Vec<u8> {
        Self { name, ..Self::PLAIN }.octets()
    }

    fn octets(&self) -> Vec<u8> {
        let mut message = vec![0xAB, 0xCD];
        message.extend(self.flags.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0, 0, u8::from(self.edns)]);
        for label in self.name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend([self.qtype.to_be_bytes(), self.qclass.to_be_bytes()].concat());
        if self.edns {
            message.extend([0, 0, 41]);
            message.extend(self.payload.to_be_bytes());
            message.extend([0, self.version, u8::from(self.dnssec_ok) << 7, 0]);
            message.extend(u16::try_from(self.options.len()).unwrap().to_be_bytes());
            message.extend(&self.options);
        }
        message.extend(&self.behind);
        for &(at, octet) in &self.spoilt {
            let at = at % message.len();
            message[at] = octet;
        }
        message
    }
}

/// Queries of every kind, some with octets that make them none.
fn asks() -> impl Strategy<Value = Ask> {
    let rubbish = || prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(any::<u8>(), 1..24)];
    let cookie = Just(vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let options = prop_oneof![4 => Just(Vec::new()), 2 => cookie, 1 => prop::collection::vec(any::<u8>(), 1..24)];
    let spoilt = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((any::<usize>(), any::<u8>()), 1..3)];
    // RD, AD and CD as they come; QR and the opcode only where octets are spoilt.
    let flags = any::<u16>().prop_map(|flags| flags & 0x0130);
    let types = prop::sample::select(vec![1_u16, 1, 1, 28, 43, 64, 65, 250, 251, 252, 255, 65_280]);
    let classes = prop::sample::select(vec![1_u16, 1, 1, 3, 255]);
    let edns = (any::<bool>(), prop::sample::select(vec![0_u8, 0, 0, 0, 1]), any::<u16>(), any::<bool>(), options);
    (prop::sample::select(ASKED.to_vec()), types, classes, flags, edns, spoilt, rubbish()).prop_map(
        |(name, qtype, qclass, flags, (edns, version, payload, dnssec_ok, options), spoilt, behind)| Ask {
            name,
            qtype,
            qclass,
            flags,
            edns,
            version,
            payload,
            dnssec_ok,
            options,
            spoilt,
            behind,
        },
    )
}

#[test]
fn the_short_way_says_and_counts_what_the_one_handler_does() {
    the_short_way_is_the_one_handlers(&BANNED);
}

#[test]
fn so_it_does_where_rules_are_about_networks() {
    the_short_way_is_the_one_handlers(&[BANNED.as_slice(), &NETWORKS].concat());
}

fn the_short_way_is_the_one_handlers(rules: &[(&str, Does)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (short, whole) = (World::enforcing(policy(rules)), World::enforcing(policy(rules)));
    for world in [&short, &whole] {
        world.hands.advance(Duration::from_secs(7));
    }
    let door = short.door();
    // Now and then a client that some of the rules are for, or that is spared.
    let sources = prop::sample::select(vec![1_u8, 1, 1, 1, 1, 2, 3, 8, 10, 11]);
    let (responses, silences, waits) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 1500, ..ProptestConfig::default() };
    let equal = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
    .run(&(asks(), prop::sample::select(Transport::ALL.to_vec()), sources), |(ask, transport, source)| {
        let message = ask.octets();
        let client = Client::new(SocketAddr::from(([127, 0, 0, source], 4242)), transport);
        let is_query = Query::read(&message).is_ok();
        let mut ledger = short.metrics.received(transport, Family::of(client.address()), Mono(0));
        // A buffer that held another client's answer.
        let mut room = vec![0xEE; 700];
        let ending = door.at_once(&door.view(), &message, &client, &mut ledger, short.clock.now(), &mut room);
        ledger.responded(Outcome::Local, 0, Mono(0));
        let ending = match ending {
            Ok(ending) => ending,
            Err(unanswered) => {
                waits.set(waits.get() + 1);
                prop_assert!(is_query);
                prop_assert_eq!(short.page("embargo_attempts_total"), whole.page("embargo_attempts_total"));
                let mut ledger = whole.metrics.received(transport, Family::of(client.address()), Mono(0));
                let other = runtime.block_on(whole.handler.end(&message, &client, &mut ledger, whole.clock.now()));
                // Nothing is recorded yet. Carried on it ends as with the one handler; shed, it is recorded as there.
                if waits.get() % 2 == 0 {
                    prop_assert_eq!(runtime.block_on(door.carry(&message, &unanswered)), other);
                } else {
                    let _shed = door.shed(&message, &unanswered, Failure::Overload);
                }
                prop_assert_eq!(short.page("embargo_attempts_total"), whole.page("embargo_attempts_total"));
                return Ok(());
            }
        };
        let mut ledger = whole.metrics.received(transport, Family::of(client.address()), Mono(0));
        let other = runtime.block_on(whole.handler.end(&message, &client, &mut ledger, whole.clock.now()));
        ledger.responded(Outcome::Local, 0, Mono(0));
        let count = if matches!(ending, Ending::Silence(_)) { &silences } else { &responses };
        count.set(count.get() + 1);
        prop_assert_eq!(ending, other);
        prop_assert_eq!(short.page("embargo_attempts_total"), whole.page("embargo_attempts_total"));
        Ok(())
    });
    equal.unwrap();
    assert!(responses.get() > 500 && silences.get() > 20 && waits.get() > 20, "{responses:?} {silences:?} {waits:?}");
    assert!(whole.sum("embargo_attempts_total", "") > 100);
    assert!(whole.sum("embargo_attempts_total", "exempt") > 20);
}

#[test]
fn an_answer_that_leads_to_an_observed_name_lives_no_longer_than_one_to_the_name_itself() {
    let world = World::new();
    let (door, client) = (world.door(), Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 4242)), Transport::Tcp));
    let ttl = |name| {
        let mut ledger = world.metrics.received(Transport::Tcp, Family::of(client.address()), Mono(0));
        let message = Ask::of(name);
        let ending = door.at_once(&door.view(), &message, &client, &mut ledger, world.clock.now(), &mut Vec::new());
        let Ok(Ending::Response { message, .. }) = ending else { panic!("{ending:?}") };
        Layout::read(&message).unwrap().records[0].ttl
    };
    assert_eq!((ttl("free.example"), ttl("seen.example"), ttl("aka.example")), (3600, 300, 300));
}
