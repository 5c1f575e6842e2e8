//! What recording an attempt costs a query: one that is known, one that is new, and one past every limit; and what writing
//! the rows costs beside it.

#![allow(missing_docs, reason = "the macros of criterion make public items")]
#![expect(clippy::unwrap_used, reason = "a bench that can't start has nothing to tell")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use embargo::clock::Clock;
use embargo::journal::{Attempt, Config, Did, Journal, Series, SeriesId};
use embargo::metrics::Metrics;
use embargo::policy::{Evidence, Pattern};
use embargo::time::{Mono, Now, Timestamp};
use embargo::wire::{LowerName, Transport, qtype};

/// Attempts of one measurement: fewer than are kept in memory.
const ATTEMPTS: u32 = 10_000;

/// A journal without a disk: what it folds stays in memory.
fn journal(rows_per_second_max: u32) -> Journal {
    let config = Config { rows_per_second_max, ..Config::new("/dev/null/none") };
    start(config)
}

fn start(config: Config) -> Journal {
    let (clock, _hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
    let config = Config { commit_interval: Duration::from_secs(3600), ..config };
    Journal::start(config, Arc::new(Metrics::new()), clock).unwrap()
}

/// What an attempt borrows.
struct Tried {
    pattern: Pattern,
    qname: LowerName,
}

impl Tried {
    fn new() -> Self {
        let qname = LowerName::parse("downloads.upd.acme.example").unwrap();
        Self { pattern: Pattern::parse("*.upd.acme.example").unwrap(), qname }
    }

    fn by(&self, client: u32, series: SeriesId) -> Attempt<'_> {
        Attempt {
            at: Timestamp::UNIX_EPOCH,
            client: IpAddr::V4(Ipv4Addr::from_bits(0xC000_0200 + client)),
            told: None,
            series,
            qname: &self.qname,
            qtype: qtype::A,
            pattern: self.pattern.as_ref(),
            action: Did::Nxdomain,
            transport: Transport::Udp,
            verified: false,
        }
    }

    /// Attempts of as many clients.
    fn record(&self, journal: &Journal) {
        let series = series(journal);
        (0..ATTEMPTS).for_each(|client| journal.record(black_box(&self.by(client, series))));
    }
}

fn series(journal: &Journal) -> SeriesId {
    let (site, ban, category) = (Arc::from("default"), Arc::from("acme"), Arc::from("update"));
    journal.series(Series { ban, category, evidence: Evidence::Installed, site })
}

fn record(criterion: &mut Criterion) {
    let tried = Tried::new();
    let mut group = criterion.benchmark_group("journal.record");
    group.throughput(Throughput::Elements(u64::from(ATTEMPTS)));
    group.bench_function("known", |bencher| {
        let journal = journal(u32::MAX);
        let series = series(&journal);
        bencher.iter(|| (0..ATTEMPTS).for_each(|client| journal.record(black_box(&tried.by(client % 1000, series)))));
    });
    let record = |journal: Journal| {
        tried.record(&journal);
        journal
    };
    group.bench_function("new", |bencher| bencher.iter_batched(|| journal(u32::MAX), record, BatchSize::PerIteration));
    group.bench_function("overflow", |bencher| {
        bencher.iter_batched(|| journal(0), record, BatchSize::PerIteration);
    });
    group.finish();
}

/// What the writer needs for rows of as many clients, the transaction and its way to the disk included.
fn write(criterion: &mut Criterion) {
    let tried = Tried::new();
    let directory = tempfile::tempdir().unwrap();
    let journal = start(Config { rows_per_second_max: u32::MAX, ..Config::new(directory.path()) });
    let mut group = criterion.benchmark_group("journal.write");
    group.throughput(Throughput::Elements(u64::from(ATTEMPTS))).sample_size(10);
    group.bench_function("rows", |bencher| {
        let flush = |()| journal.flush(Duration::from_secs(60)).unwrap();
        bencher.iter_batched(|| tried.record(&journal), flush, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, record, write);
criterion_main!(benches);
