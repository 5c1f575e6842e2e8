//! Whether the record keeps up: attempts at a rate, for some time, into a store on a disk. It says how far behind the rate it fell,
//! how long the longest and nearly all calls took, and the memory it had at most; and it fails unless the store has every one.
//!
//! ```text
//! SUSTAINED_RATE=100000 SUSTAINED_SECONDS=60 cargo bench --bench sustained
//! ```

#![allow(missing_docs, reason = "a bench has no public items")]
#![expect(clippy::unwrap_used, reason = "a bench that can't start has nothing to tell")]
#![expect(clippy::print_stdout, reason = "this is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use embargo::clock::Clock;
use embargo::journal::{Attempt, Config, Did, Filter, Journal, Series, SeriesId, Store};
use embargo::metrics::Metrics;
use embargo::policy::{Evidence, Pattern};
use embargo::wire::{LowerName, Transport, qtype};

/// Threads that record, each at a part of the rate.
const THREADS: u64 = 2;
/// Calls between two looks at the time.
const BURST: u64 = 100;

/// Who tries what.
struct Load {
    what: &'static str,
    clients: u64,
    names: u64,
}

const LOADS: [Load; 3] = [
    Load { what: "a site: 2,000 clients, 20 names", clients: 2_000, names: 20 },
    Load { what: "an agency: 500,000 clients, 20 names", clients: 500_000, names: 20 },
    Load { what: "an attack: no client and no name twice", clients: u64::MAX, names: u64::MAX },
];

struct Told {
    sent: u64,
    late: Duration,
    calls: Vec<Duration>,
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Memory that this process has now, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// Numbers that look like chance and come once each.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn record(journal: &Journal, series: SeriesId, load: &Load, thread: u64, (rate, seconds): (u64, u64)) -> Told {
    let clock = Clock::system();
    let pattern = Pattern::parse("upd.acme.example").unwrap();
    let known: Vec<LowerName> = (0..load.names.min(1_000))
        .map(|name| LowerName::parse(&format!("n{name}.upd.acme.example")).unwrap())
        .collect();
    let (all, began) = (rate / THREADS * seconds, Instant::now());
    let mut told = Told { sent: 0, late: Duration::ZERO, calls: Vec::new() };
    while told.sent < all {
        let due = Duration::from_nanos(told.sent * 1_000_000_000 / (rate / THREADS));
        match due.checked_sub(began.elapsed()) {
            Some(early) => thread::sleep(early),
            None => told.late = told.late.max(began.elapsed().saturating_sub(due)),
        }
        let at = clock.now().wall;
        for place in 0..BURST {
            let number = scattered((told.sent + place) * THREADS + thread);
            let client = Ipv4Addr::from_bits(u32::try_from(number % load.clients % (1 << 32)).unwrap());
            let fresh;
            let qname = if load.names == u64::MAX {
                fresh = LowerName::parse(&format!("n{number}.upd.acme.example")).unwrap();
                &fresh
            } else {
                &known[usize::try_from(number / load.clients % load.names).unwrap()]
            };
            let attempt = Attempt {
                at,
                client: IpAddr::V4(client),
                told: None,
                series,
                qname,
                qtype: qtype::A,
                pattern: pattern.as_ref(),
                action: Did::Nxdomain,
                transport: Transport::Udp,
                verified: false,
            };
            let begins = Instant::now();
            journal.record(&attempt);
            if place % 10 == 0 {
                told.calls.push(begins.elapsed());
            }
        }
        told.sent += BURST;
    }
    told
}

/// The attempts in the store, without reading its rows into memory.
fn stored(state: &Path) -> u64 {
    let store = Store::open_read_only(state).unwrap();
    store.attempts(&Filter::default()).unwrap().iter().map(|row| row.count).sum()
}

fn run(load: &Load, rate: u64, seconds: u64) -> bool {
    let state = tempfile::tempdir().unwrap();
    let journal = Journal::start(Config::new(state.path()), Arc::new(Metrics::new()), Clock::system()).unwrap();
    let (site, ban, category) = (Arc::from("default"), Arc::from("acme"), Arc::from("update"));
    let series = journal.series(Series { ban, category, evidence: Evidence::Installed, site });
    let (mut memory, began) = (0, Instant::now());
    let told: Vec<Told> = thread::scope(|scope| {
        let (journal, timing) = (&journal, (rate, seconds));
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || record(journal, series, load, thread, timing))).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            memory = memory.max(resident());
            thread::sleep(Duration::from_millis(100));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let took = began.elapsed();
    journal.flush(Duration::from_secs(120)).unwrap();
    let (flushed, status) = (began.elapsed().saturating_sub(took), journal.status());
    journal.close(Duration::from_secs(120)).unwrap();
    let sent: u64 = told.iter().map(|told| told.sent).sum();
    let late = told.iter().map(|told| told.late).max().unwrap_or_default();
    let mut calls: Vec<Duration> = told.into_iter().flat_map(|told| told.calls).collect();
    calls.sort_unstable();
    let (p999, longest) = (calls[calls.len() * 999 / 1000], calls[calls.len() - 1]);
    let per_second = u128::from(sent) * 1000 / took.as_millis().max(1);
    println!("{}", load.what);
    println!("  {sent} attempts, {per_second} a second, at most {late:?} behind");
    println!("  a call: {p999:?} for 999 of 1,000, {longest:?} the longest");
    println!("  memory {memory} MiB, {} MiB on the disk, the last written within {flushed:?}", status.size_bytes >> 20);
    let kept = stored(state.path());
    println!("  {kept} stored, {} lost\n", status.lost);
    kept == sent && status.lost == 0
}

fn main() {
    let (rate, seconds) = (number("SUSTAINED_RATE", 100_000), number("SUSTAINED_SECONDS", 20));
    // Every one is run, whatever became of those before.
    let kept: Vec<bool> = LOADS.iter().map(|load| run(load, rate, seconds)).collect();
    let all_kept = kept.into_iter().all(|kept| kept);
    assert!(all_kept, "attempts are missing, or there are too many");
}
