//! What a decision costs, and what loading a list costs: `cargo bench --bench policy`.
//!
//! A million names should load in half a second and hold at most 40 octets each (names of 20 characters).
#![expect(clippy::expect_used, reason = "a bench that can't be set up has nothing to measure")]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use embargo::diag::Source;
use embargo::policy::{
    Action, Ban, BanKind, Client, Ede, ListFormat, ListInfo, Mode, Policy, PolicyBuilder, Strictness,
};
use embargo::time::Timestamp;
use embargo::wire::{LowerName, qtype};

const SIZES: [u32; 3] = [100, 100_000, 1_000_000];

fn ban() -> Ban {
    Ban {
        id: "list".into(),
        kind: BanKind::Ban,
        title: "List".into(),
        vendor: "List".into(),
        mode: Mode::Enforce,
        observe_from: None,
        enforce_from: None,
        action: Action::Nxdomain,
        ede: Ede { code: 15, text: "".into() },
        ttl: Duration::from_secs(30),
        sinkhole_v4: Vec::new(),
        sinkhole_v6: Vec::new(),
        contact: "".into(),
        alternatives: "".into(),
        laws: Vec::new(),
        bound_by: Vec::new(),
        milestones: Vec::new(),
    }
}

/// Spreads numbers, so that neighbours in a list are none in the table.
fn spread(number: u32) -> u32 {
    number.wrapping_mul(0x9E37_79B1)
}

fn list(size: u32) -> Source {
    let mut text = String::new();
    for number in 0..size {
        writeln!(text, "n{:010}.example", spread(number)).expect("a string takes all that is written");
    }
    Source::new("list", text)
}

fn load(source: &Source) -> Policy {
    let mut builder = PolicyBuilder::new(0x5EED, Vec::new());
    let ban = builder.ban(ban());
    let list = builder.list(ListInfo::new("list", ban, ListFormat::Domains, ""));
    ListFormat::Domains.parse(source, Strictness::Lenient, &mut |rule, _line| {
        builder.rule(list, rule).expect("nothing here is protected");
    });
    builder.build(1).0
}

/// Names below the first `size` numbers of the list, from anywhere in it.
fn names(size: u32, first: u32) -> Vec<LowerName> {
    let numbers = (0..4096).map(|step: u32| first + step.wrapping_mul(7919) % size);
    numbers.map(|number| LowerName::parse(&format!("www.n{:010}.example", spread(number))).expect("a name")).collect()
}

fn decide(criterion: &mut Criterion) {
    let client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST) };
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

criterion_group!(benches, decide, build);
criterion_main!(benches);
