//! What recording an attempt costs a query: one that is known, and one that is new.

#![allow(missing_docs, reason = "the macros of criterion make public items")]
#![expect(clippy::unwrap_used, reason = "a bench that can't start has nothing to tell")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use embargo::clock::Clock;
use embargo::journal::{Attempt, Config, Did, Journal};
use embargo::metrics::Metrics;
use embargo::policy::{Evidence, Pattern};
use embargo::time::{Mono, Now, Timestamp};
use embargo::wire::{LowerName, Transport, qtype};

/// New attempts of one measurement: fewer than are kept in memory.
const NEW: u32 = 10_000;

/// A journal without a disk: what it folds stays in memory.
fn journal() -> Journal {
    let (clock, _hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
    let config = Config {
        rows_per_second_max: u32::MAX,
        commit_interval: Duration::from_secs(3600),
        ..Config::new("/dev/null/none")
    };
    Journal::start(config, Arc::new(Metrics::new()), clock).unwrap()
}

fn record(criterion: &mut Criterion) {
    let (site, ban, category) = (Arc::from("default"), Arc::from("acme"), Arc::from("update"));
    let pattern = Pattern::parse("*.upd.acme.example").unwrap();
    let qname = LowerName::parse("downloads.upd.acme.example").unwrap();
    let attempt = |client: u32| Attempt {
        at: Timestamp::UNIX_EPOCH,
        client: IpAddr::V4(Ipv4Addr::from_bits(0xC000_0200 + client)),
        site: &site,
        qname: &qname,
        qtype: qtype::A,
        ban: &ban,
        category: &category,
        evidence: Evidence::Installed,
        pattern: pattern.as_ref(),
        action: Did::Nxdomain,
        transport: Transport::Udp,
        verified: false,
    };
    let mut group = criterion.benchmark_group("journal.record");
    group.throughput(Throughput::Elements(u64::from(NEW)));
    group.bench_function("known", |bencher| {
        let journal = journal();
        bencher.iter(|| (0..NEW).for_each(|client| journal.record(black_box(&attempt(client % 1000)))));
    });
    group.bench_function("new", |bencher| {
        let record = |journal: Journal| {
            (0..NEW).for_each(|client| journal.record(black_box(&attempt(client))));
            journal
        };
        bencher.iter_batched(journal, record, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
