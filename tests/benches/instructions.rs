//! How many instructions a decision, an answer and a recorded attempt take, counted by Callgrind: figures that a busy machine
//! does not change. `cargo bench --bench instructions`; see README.md beside this file for what it needs.

#![allow(missing_docs, unused_qualifications, clippy::exit, reason = "the macros of gungraun write it so")]
#![expect(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to measure")]

mod lists;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use embargo::cache::{self, Cache, KeyRef, Lookup};
use embargo::clock::Clock;
use embargo::journal::{self, Attempt, Did, Journal, Series, SeriesId};
use embargo::metrics::Metrics;
use embargo::policy::{self, Evidence, Pattern, Policy, Verdict};
use embargo::serve::{Admission, Client, Embargo, Ending, Failure, Found, Guard, Next};
use embargo::time::{Mono, Now, Timestamp};
use embargo::wire::{Answer, Layout, LowerName, Name, Query, Response, Transport, qtype};
use gungraun::{library_benchmark, library_benchmark_group, main};

/// Names in the list: enough that the table is of the kind that a long list makes, and few enough to be set up in seconds.
const LISTED: u32 = 100_000;
const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(7_000_000) };
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

/// Knows what the cache knows and finds nothing else.
struct Known(Cache);

impl Next for Known {
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        self.0.get(&KeyRef::of(query), now.mono)
    }

    async fn ask(&self, _query: &Query<'_>, _client: &Client, _now: Now) -> Result<Found, Failure> {
        Err(Failure::Unreachable)
    }
}

/// A journal without a disk: what it folds stays in memory.
fn journal() -> (Arc<Journal>, Arc<Metrics>, Clock) {
    let (clock, _hands) = Clock::manual(NOW);
    let metrics = Arc::new(Metrics::new());
    let config =
        journal::Config { commit_interval: Duration::from_secs(3600), ..journal::Config::new("/dev/null/none") };
    (Arc::new(Journal::start(config, Arc::clone(&metrics), clock.clone()).unwrap()), metrics, clock)
}

fn question(name: &LowerName) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
    message.extend_from_slice(Name::parse(&name.to_string()).unwrap().wire());
    message.extend_from_slice(b"\0\x01\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\0");
    message
}

/// A server whose list has `name(0)` and whose cache has `name(LISTED)`, both asked once before, and a question for one.
fn server(number: u32) -> (Embargo<Known>, Vec<u8>) {
    let (journal, metrics, clock) = journal();
    let guard = Guard::new(Admission::new(vec!["192.0.2.0/24".parse().unwrap()]), journal, metrics, clock);
    guard.enforce(lists::load(&lists::list(LISTED)));
    let cache = Cache::new(cache::Config::new(1 << 20));
    let cached = question(&lists::name(LISTED));
    let query = Query::read(&cached).unwrap();
    let response = Response::to(&query).answer(qtype::A, 300, &[192, 0, 2, 1]).finish(1232);
    let answer = Answer::keep(&response, &Layout::read(&response).unwrap()).unwrap();
    cache.insert(KeyRef::of(&query).to_key(), answer, true, Mono(0));
    let server = Embargo::new(Arc::new(guard), Known(cache));
    let asked = question(&lists::name(number));
    assert!(matches!(answered(&server, &asked), Ending::Response { .. }));
    (server, asked)
}

/// What is answered to these octets at once.
fn answered(server: &Embargo<Known>, message: &[u8]) -> Ending {
    let client = Client::new(SocketAddr::from((CLIENT, 5300)), Transport::Udp);
    let query = Query::read(message).unwrap();
    let answer = pin!(server.answer(&query, &client, NOW));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ending) => ending,
        Poll::Pending => unreachable!("what is banned or cached waits for nothing"),
    }
}

#[library_benchmark]
#[bench::banned(server(0))]
#[bench::cached(server(LISTED))]
fn answer((server, message): (Embargo<Known>, Vec<u8>)) -> (Ending, Embargo<Known>) {
    let ending = answered(&server, black_box(&message));
    // Given back, so that taking it all down is not counted.
    (ending, server)
}

/// A policy that was asked once before, and a question for it.
fn decision(number: u32) -> (&'static Policy, &'static LowerName, policy::Client) {
    let policy = Box::leak(Box::new(lists::load(&lists::list(LISTED))));
    let (name, client) = (Box::leak(Box::new(lists::name(number))), policy::Client::at(IpAddr::V4(CLIENT)));
    black_box(policy.decide(name, qtype::A, &client, NOW.wall));
    (policy, name, client)
}

#[library_benchmark]
#[bench::hit(decision(0))]
#[bench::miss(decision(LISTED))]
fn decide((policy, name, client): (&'static Policy, &'static LowerName, policy::Client)) -> Verdict<'static> {
    policy.decide(black_box(name), qtype::A, &client, NOW.wall)
}

/// A journal that knows the attempts of 1,000 clients.
fn recorder() -> (Arc<Journal>, Tried) {
    let (journal, ..) = journal();
    let (site, ban, category) = ("default".into(), "acme".into(), "update".into());
    let tried = Tried {
        series: journal.series(Series { ban, category, evidence: Evidence::Installed, site }),
        pattern: Pattern::parse("*.upd.acme.example").unwrap(),
        qname: LowerName::parse("downloads.upd.acme.example").unwrap(),
    };
    (0..1000).for_each(|client| journal.record(&tried.by(client)));
    (journal, tried)
}

/// What an attempt borrows.
struct Tried {
    series: SeriesId,
    pattern: Pattern,
    qname: LowerName,
}

impl Tried {
    fn by(&self, client: u32) -> Attempt<'_> {
        Attempt {
            at: Timestamp::UNIX_EPOCH,
            client: IpAddr::V4(Ipv4Addr::from_bits(0xC000_0200 + client)),
            told: None,
            series: self.series,
            qname: &self.qname,
            qtype: qtype::A,
            pattern: self.pattern.as_ref(),
            action: Did::Nxdomain,
            transport: Transport::Udp,
            verified: false,
        }
    }
}

#[library_benchmark]
#[bench::known(recorder(), 500)]
#[bench::new(recorder(), 5000)]
fn record((journal, tried): (Arc<Journal>, Tried), client: u32) -> (Arc<Journal>, Tried) {
    journal.record(black_box(&tried.by(client)));
    (journal, tried)
}

library_benchmark_group!(name = parts, benchmarks = [decide, answer, record]);
main!(library_benchmark_groups = parts);
