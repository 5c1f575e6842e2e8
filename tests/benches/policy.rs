//! What a decision costs, and what loading and linting a list cost: `cargo bench --bench policy`.
//!
//! A million names should load in half a second and hold at most 40 octets each (names of 20 characters), and two million
//! lines be linted in a second.
#![expect(clippy::expect_used, reason = "a bench that can't be set up has nothing to measure")]

mod lists;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use embargo::policy::{Client, ListFormat, Overlaps, Strictness};
use embargo::time::Timestamp;
use embargo::wire::{LowerName, qtype};

use lists::{list, load, name};

const SIZES: [u32; 3] = [100, 100_000, 1_000_000];
/// Lines of the list that is linted.
const LINTED: u32 = 1_000_000;

/// Names below the first `size` numbers of the list, from anywhere in it.
fn names(size: u32, first: u32) -> Vec<LowerName> {
    (0..4096).map(|step: u32| name(first + step.wrapping_mul(7919) % size)).collect()
}

fn decide(criterion: &mut Criterion) {
    let client = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for size in SIZES {
        let policy = load(&list(size));
        for (what, names) in [("hit", names(size, 0)), ("miss", names(size, size))] {
            let mut next = names.iter().cycle();
            criterion.bench_function(&format!("policy.decide/{what}/{size}"), |bench| {
                bench.iter(|| {
                    let name = next.next().expect("a cycle has no end");
                    black_box(policy.decide(black_box(name), qtype::A, &client, Timestamp::UNIX_EPOCH));
                });
            });
        }
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy.load");
    group.sample_size(10);
    for size in SIZES {
        let source = list(size);
        group.bench_function(size.to_string(), |bench| {
            bench.iter_batched(|| (), |()| load(&source), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// As `lists lint` reads a list: each rule is taken, then judged beside all others.
fn lint(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy.lint");
    group.sample_size(10).throughput(Throughput::Elements(LINTED.into()));
    let source = list(LINTED);
    group.bench_function(LINTED.to_string(), |bench| {
        bench.iter(|| {
            let mut overlaps = Overlaps::new(0x5EED, LINTED as usize);
            let mut found = 0;
            ListFormat::Domains.parse(&source, Strictness::Lenient, &mut |rule, line| overlaps.add(rule, line.number));
            ListFormat::Domains.parse(&source, Strictness::Lenient, &mut |rule, line| {
                found += usize::from(overlaps.judge(rule, line.number).is_some());
            });
            black_box(found)
        });
    });
    group.finish();
}

criterion_group!(benches, decide, build, lint);
criterion_main!(benches);
