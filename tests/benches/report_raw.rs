//! The same course as the lookups that a server would have met: one for each device and day, through the journal, in the order of
//! time. What it then has of devices, days and sites it has found out by itself.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embargo::clock::Clock;
use embargo::journal::{Attempt, Config, Did, Journal, Series};
use embargo::metrics::Metrics;
use embargo::policy::{Evidence, Pattern};
use embargo::time::{Mono, Now, Timestamp};
use embargo::wire::{LowerName, Transport, qtype};

use crate::{DAYS, Organisation, day, is_present};

/// Lookups between two commits: fewer than the journal keeps in memory, and than become new in some seconds of a server.
const BATCH: u64 = 40_000;
const DAY_MS: u64 = 86_400_000;

/// Records all of it; how many lookups that were, and how long it took.
pub(crate) fn record(directory: &Path, organisations: &[Organisation]) -> (u64, Duration) {
    let (first, last) = (day(DAYS.0), day(DAYS.1));
    let now = |day: i32, ms: u64| {
        let wall = Timestamp::from_millisecond(i64::from(day) * DAY_MS as i64 + ms as i64).unwrap();
        Now { wall, mono: Mono(((day - first) as u64 * DAY_MS + ms) * 1_000_000) }
    };
    let (clock, hands) = Clock::manual(now(first, 0));
    // The year of a country on one disk.
    let config = Config { size_max_bytes: 64 << 30, ..Config::new(directory) };
    let journal = Journal::start(config, Arc::new(Metrics::new()), clock).unwrap();
    let (ban, category) = (Arc::<str>::from("acme"), Arc::<str>::from("update"));
    let (pattern, qname) = (Pattern::parse("upd.acme.example").unwrap(), "n.upd.acme.example");
    let qname = LowerName::parse(qname).unwrap();
    let sites: Vec<_> = organisations
        .iter()
        .map(|one| {
            let (ban, category, site) = (Arc::clone(&ban), Arc::clone(&category), Arc::<str>::from(&*one.site));
            let of_site = Series { ban, category, evidence: Evidence::Installed, site: Arc::clone(&site) };
            (journal.series(of_site), site)
        })
        .collect();
    let devices = u64::from(organisations.last().unwrap().numbers.end);
    let (mut lookups, mut noted, began) = (0, 0, Instant::now());
    for day in first..last {
        for (one, (series, site)) in organisations.iter().zip(&sites) {
            for number in one.numbers.clone().filter(|number| one.days.start <= day && is_present(*number, day)) {
                let at = now(day, u64::from(number) * (DAY_MS - 1) / devices);
                let client = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + number));
                journal.note_active((client, None), at.wall, || Arc::clone(site));
                noted += 1;
                if one.days.contains(&day) {
                    lookups += 1;
                    journal.record(&Attempt {
                        at: at.wall,
                        client,
                        told: None,
                        series: *series,
                        qname: &qname,
                        qtype: qtype::A,
                        pattern: pattern.as_ref(),
                        action: Did::Nxdomain,
                        transport: Transport::Udp,
                        verified: number % 2 == 0,
                    });
                }
                if noted % BATCH == 0 {
                    hands.set(at);
                    journal.flush(Duration::from_secs(600)).unwrap();
                }
            }
        }
    }
    hands.set(now(last, 0));
    journal.close(Duration::from_secs(600)).unwrap();
    assert_eq!(journal.status().lost, 0);
    (lookups, began.elapsed())
}
