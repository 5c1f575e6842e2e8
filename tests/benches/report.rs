//! The report over as many devices as Bitsight counted in 2024: 22,000 organisations with seven million addresses in April, 8,000
//! with two million in November, each active two days in three. Tells the size of their presence, the time and the memory of
//! the report, and whether it finds the published figures again.
//!
//! The sets are made from a course for each device and day, and written to the store as the journal would have. That it would have
//! is shown with fewer devices: `raw` records every lookup of that course through the journal, and both must tell the same.
//!
//! ```text
//! cargo bench --bench report                 all devices, the sets written
//! cargo bench --bench report -- raw 0.01     a hundredth of them, every lookup recorded
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that can't start has nothing to tell, and what it measures is time"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of devices are small"
)]

#[path = "report_raw.rs"]
mod raw;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embargo::clock::Clock;
use embargo::journal::{BLOCK, Config, Journal, Store};
use embargo::metrics::Metrics;
use embargo::policy::{Ban, Evidence};
use embargo::report::{Asked, Document, Figures, Format, Grouping, History, Inputs, Subject, decline};
use embargo::time::{Day, Mono, Now, Timestamp};
use roaring::RoaringBitmap;
use rusqlite::{Connection, params};

/// Organisations of a country: in April, those of them that are left in November, and those that came in between.
const COUNTRIES: [(&str, u32, u32, u32); 5] = [
    ("us", 2_540, 1_016, 51),
    ("de", 2_000, 600, 20),
    ("gb", 1_000, 290, 10),
    ("it", 1_000, 340, 10),
    ("xx", 15_460, 5_454, 209),
];
/// The first day, and the one after the last.
const DAYS: (&str, &str) = ("2024-04-01", "2024-12-01");
/// Addresses in April and in November.
const ADDRESSES: (f64, f64) = (7e6, 2e6);

/// Numbers that get a row of who they are.
const NAMED: u32 = 1 << 17;

/// Devices of one organisation: numbers that follow each other.
struct Organisation {
    site: String,
    numbers: std::ops::Range<u32>,
    /// Days on which they are there.
    days: std::ops::Range<i32>,
}

fn day(text: &str) -> i32 {
    text.parse::<Day>().unwrap().0
}

/// The organisations, one after the other; `scale`: how many of the devices.
fn organisations(scale: f64) -> Vec<Organisation> {
    let (start, end) = (day(DAYS.0), day(DAYS.1));
    let (april, left, new) = COUNTRIES.iter().fold((0, 0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2, sum.2 + row.3));
    let each = |addresses: f64, of: u32| addresses * scale / f64::from(of);
    let staying = each(ADDRESSES.1, left + new);
    let leaving = each(ADDRESSES.0 - staying * f64::from(left) / scale, april - left);
    let (mut all, mut next, mut owed) = (Vec::new(), 0, [0.0; 2]);
    for (country, april, left, new) in COUNTRIES {
        for number in 0..april + new {
            let stays = number < left || number >= april;
            // Whole devices, without losing the rest.
            let owed = &mut owed[usize::from(stays)];
            *owed += if stays { staying } else { leaving };
            let devices = owed.round().max(1.0);
            *owed -= devices;
            let days = match number {
                _ if number < left => start..end,
                _ if number < april => start..start + 30 + (number - left) as i32 % 184,
                _ => start + 100..end,
            };
            let site = format!("{country}-{number:05}");
            all.push(Organisation { site, numbers: next..next + devices as u32, days });
            next += devices as u32;
        }
    }
    all
}

/// Whether a device asks anything on a day: two days in three, by a hash of both (that of splitmix64).
fn is_present(number: u32, day: i32) -> bool {
    let mut mixed = (u64::from(number) << 32 | u64::from(day as u32)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % 3 != 0
}

/// Writes the presence of all of them; octets of all sets.
fn write(directory: &Path, organisations: &[Organisation]) -> u64 {
    let (clock, _hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
    let journal = Journal::start(Config::new(directory), Arc::new(Metrics::new()), clock).unwrap();
    journal.close(Duration::from_secs(60)).unwrap();
    let mut connection = Connection::open(directory.join("embargo.db")).unwrap();
    // The journal itself was active.
    connection
        .execute_batch("PRAGMA synchronous = OFF; DELETE FROM signs; DELETE FROM sites; DELETE FROM blocks")
        .unwrap();
    let transaction = connection.transaction().unwrap();
    let add = |sql: &str, row: &dyn Fn(usize, &Organisation) -> Vec<rusqlite::types::Value>| {
        let mut add = transaction.prepare(sql).unwrap();
        for (at, organisation) in organisations.iter().enumerate() {
            add.execute(rusqlite::params_from_iter(row(at, organisation))).unwrap();
        }
    };
    add("INSERT INTO sites VALUES (?1, ?2)", &|at, one| vec![(at as i64 + 1).into(), one.site.clone().into()]);
    add("INSERT INTO blocks VALUES (?1, ?2, ?2, ?3, 0)", &|at, one| {
        vec![one.numbers.start.into(), (one.numbers.end - one.numbers.start).into(), (at as i64 + 1).into()]
    });
    for (sign, (ban, evidence, what)) in
        (1..).zip([("acme", "installed", "seen"), ("", "", "active"), ("acme", "installed", "verified")])
    {
        transaction.execute("INSERT INTO signs VALUES (?1, ?2, ?3, ?4)", params![sign, ban, evidence, what]).unwrap();
    }
    // Only of those whose names a page may tell: the others are numbers here.
    for (at, one) in organisations.iter().enumerate() {
        for number in one.numbers.start..one.numbers.end.min(NAMED) {
            let (site, name) = (at as i64 + 1, Ipv4Addr::from_bits(0x0A00_0000 + number).to_string());
            transaction.execute("INSERT INTO devices VALUES (?1, ?2, ?3, '', 0)", params![number, site, name]).unwrap();
        }
    }
    let mut octets = 0;
    let mut put = transaction.prepare("INSERT INTO presence VALUES (?1, ?2, ?3, ?4)").unwrap();
    let last = organisations.last().unwrap().numbers.end.div_ceil(BLOCK);
    for block in 0..last {
        let (from, until) = (block * BLOCK, (block + 1) * BLOCK);
        let first = organisations.partition_point(|one| one.numbers.end <= from);
        let here = organisations[first..].iter().take_while(|one| one.numbers.start < until);
        let here: Vec<_> = here.collect();
        for day in day(DAYS.0)..day(DAYS.1) {
            let mut sets = [RoaringBitmap::new(), RoaringBitmap::new()];
            for one in &here {
                let numbers = one.numbers.start.max(from) - from..one.numbers.end.min(until) - from;
                // Whoever has removed the product is still there, two days in three.
                let present: RoaringBitmap = numbers.filter(|number| is_present(from + number, day)).collect();
                if one.days.contains(&day) {
                    sets[0] |= &present;
                }
                if one.days.start <= day {
                    sets[1] |= &present;
                }
            }
            // Half of the sources are verified.
            let verified: RoaringBitmap = sets[0].iter().filter(|number| number % 2 == 0).collect();
            for (sign, set) in [(1, &sets[0]), (2, &sets[1]), (3, &verified)] {
                let mut bits = Vec::new();
                set.serialize_into(&mut bits).unwrap();
                octets += bits.len() as u64;
                put.execute(params![sign, block, day, bits]).unwrap();
            }
        }
    }
    drop(put);
    transaction.commit().unwrap();
    octets
}

/// The most memory that the process has held, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// What a report finds.
#[derive(Debug, PartialEq)]
struct Found {
    /// Organisations, addresses and devices: before, now, and the decline in percent.
    organisations: (u64, u64, Option<f64>),
    addresses: (u64, u64, Option<f64>),
    devices: (u64, u64),
    /// Devices of the baseline that are still there, and new ones.
    still: u64,
    new: u64,
    /// Organisations of each country, before and now.
    countries: BTreeMap<String, (u64, u64)>,
}

/// Asks a store for the report, and tells time and memory.
fn report(directory: &Path) -> Found {
    // From here on the most is counted anew.
    fs::write("/proc/self/clear_refs", "5").unwrap_or_default();
    let asked = Asked::new(Day(day("2024-11-01")), Day(day("2024-11-30")), Day(day("2024-05-01"))).unwrap();
    let store = Store::open_read_only(directory).unwrap();
    let (ban, history) = (Ban::named("acme"), History::default());
    let began = Instant::now();
    let presence = store.presence().unwrap();
    let inputs = Inputs {
        ban: &ban,
        lists: Vec::new(),
        asked: &asked,
        site: None,
        grouping: Grouping::default(),
        inventory: Default::default(),
        lookups_since: None,
        today: asked.window.end().plus(1),
        flows: false,
        history: &history,
        windows: Vec::new(),
        signals: Vec::new(),
        configured: Vec::new(),
        signed_by: None,
        rows_max: Format::Html.rows_max(),
    };
    let document = Document::build(&presence, &inputs).unwrap();
    let page = Format::Html.render(&document);
    let spent = began.elapsed();
    println!("report             {:>12.2} s (must be <= 2), {} octets", spent.as_secs_f64(), page.len());
    println!("memory             {:>12} MiB (must be <= 1,024)", peak());
    let subject = Subject { ban: "acme", evidence: Evidence::Installed, asked: &asked, site: None, spans: &[] };
    let mut countries = BTreeMap::<String, (u64, u64)>::new();
    let figures = Figures::read(&presence, &subject).unwrap();
    for (site, counts) in &figures.sites {
        let sum = countries.entry(site.split('-').next().unwrap().to_owned()).or_default();
        *sum = (sum.0 + u64::from(counts.baseline > 0), sum.1 + u64::from(counts.now > 0));
    }
    let key = &document.figures;
    Found {
        organisations: (key.sites_baseline, key.sites_now, key.sites_decline_percent),
        addresses: (key.addresses_baseline, key.addresses_now, key.addresses_decline_percent),
        devices: (key.baseline, key.now.unwrap_or_default()),
        still: key.still,
        new: key.new,
        countries,
    }
}

fn print(found: &Found) {
    for (what, (before, now, percent)) in [("organisations", found.organisations), ("addresses", found.addresses)] {
        println!("{what:<18} {before:>12} -> {now}, {percent:?} %");
    }
    println!("survivors          {:>12} of {}, new {}", found.still, found.devices.0, found.new);
    for (country, (april, november)) in &found.countries {
        println!("  {country}               {april:>12} -> {november}, {:?} %", decline(*april, *november));
    }
}

fn main() {
    // Cargo hands `--bench`.
    let scale = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let organisations = |scale| {
        let organisations = organisations(scale);
        println!("devices            {:>12}", organisations.last().unwrap().numbers.end);
        organisations
    };
    let directory = tempfile::tempdir().unwrap();
    if std::env::args().any(|argument| argument == "raw") {
        let organisations = organisations(scale.unwrap_or(0.01));
        let (lookups, took) = raw::record(directory.path(), &organisations);
        let per_second = lookups as f64 / took.as_secs_f64();
        println!("lookups            {lookups:>12} recorded in {:.0} s, {per_second:.0} a second", took.as_secs_f64());
        let recorded = report(directory.path());
        print(&recorded);
        let written = tempfile::tempdir().unwrap();
        write(written.path(), &organisations);
        assert_eq!(recorded, report(written.path()), "what the journal has is what is written for all devices");
        return;
    }
    let octets = write(directory.path(), &organisations(scale.unwrap_or(1.0)));
    println!("presence           {:>12} MiB (must be <= 1,024)", octets >> 20);
    print(&report(directory.path()));
}
