//! The figures that Bitsight published in December 2024, found again in a record of simulated lookups with the same course: from
//! April to November of that year organisations fell from 22,000 to 8,000 and addresses from seven to two millions; here all
//! of it by a hundredth, and addresses by a ten-thousandth. Some organisations come in between, so that the survivors of April
//! are fewer than those of November.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::journal::{Attempt, Config, Journal, Series};
use crate::metrics::Metrics;
use crate::policy::Pattern;
use crate::time::{Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport, qtype};

/// Organisations of a country: in April, and those of them that are left in November, and those that came in between.
const COUNTRIES: [(&str, u32, u32, u32); 5] =
    [("us", 50, 20, 1), ("de", 29, 8, 1), ("gb", 30, 9, 0), ("it", 20, 6, 1), ("xx", 91, 32, 2)];
/// Addresses in April and in November.
const ADDRESSES: (u32, u32) = (700, 200);

/// One organisation: its name, the days on which it is there, and how many addresses it has.
struct Organisation {
    site: Arc<str>,
    days: std::ops::Range<i32>,
    addresses: u32,
}

/// April to November. Who leaves does so from May to October, one after the other.
fn organisations() -> Vec<Organisation> {
    let (start, end) = (day("2024-04-01").0, day("2024-12-01").0);
    let mut all = Vec::new();
    for (country, april, left, new) in COUNTRIES {
        for number in 0..april + new {
            let days = if number < left {
                start..end
            } else if number < april {
                start..start + 30 + i32::try_from(number - left).unwrap() * 3
            } else {
                start + 100..end
            };
            all.push(Organisation { site: format!("{country}-{number:03}").into(), days, addresses: 2 });
        }
    }
    // What is missing to the sums goes to the first of those that stay and of those that leave.
    let count = |all: &[Organisation], of: &dyn Fn(&Organisation) -> bool| -> u32 {
        all.iter().filter(|one| of(one)).map(|one| one.addresses).sum()
    };
    let stays = |one: &Organisation| one.days.end == end;
    let more_now = ADDRESSES.1 - count(&all, &stays);
    all.iter_mut().find(|one| stays(one)).unwrap().addresses += more_now;
    let more_then = ADDRESSES.0 - count(&all, &|one| one.days.start == start);
    all.iter_mut().find(|one| !stays(one)).unwrap().addresses += more_then;
    all
}

fn day_at(day: i32, second: u32) -> Timestamp {
    Timestamp::from_second(i64::from(day) * 86_400 + i64::from(second)).unwrap()
}

/// Every lookup of the time: each address two days in three, in summer on every third of those days.
fn record() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let wall: Timestamp = "2024-12-01T00:00:00Z".parse().unwrap();
    let (clock, _hands) = Clock::manual(Now { wall, mono: Mono(0) });
    let config = Config { rows_per_second_max: u32::MAX, ..Config::new(directory.path()) };
    let journal = Journal::start(config, Arc::new(Metrics::new()), clock).unwrap();
    let (qname, pattern) = (LowerName::parse("n.upd.example").unwrap(), Pattern::parse("*.upd.example").unwrap());
    let organisations = organisations();
    let (april, november) = (day("2024-05-01").0, day("2024-11-01").0);
    for day in day("2024-04-01").0..day("2024-12-01").0 {
        let mut address = 0;
        for Organisation { site, days, addresses } in &organisations {
            let (ban, category) = (Arc::from("acme"), Arc::from("update"));
            // Who has none of the product asks for other things.
            let (at, client) = (day_at(day, 0), std::net::Ipv4Addr::from_bits(0x0B00_0000 + address));
            journal.note_active((client.into(), None), at, || Arc::clone(site));
            let series =
                journal.series(Series { ban, category, evidence: Evidence::Installed, site: Arc::clone(site) });
            for number in 0..*addresses {
                address += 1;
                let is_summer = (april..november).contains(&day) && day % 3 != 0;
                let is_at_home = (day + i32::try_from(number).unwrap()) % 3 != 0;
                if days.contains(&day) && is_at_home && !is_summer {
                    journal.record(&Attempt {
                        at: day_at(day, address),
                        told: None,
                        client: std::net::Ipv4Addr::from_bits(0x0A00_0000 + address).into(),
                        series,
                        qname: &qname,
                        qtype: qtype::A,
                        pattern: pattern.as_ref(),
                        action: Did::Observe,
                        transport: Transport::Udp,
                        verified: false,
                    });
                }
            }
        }
        if day % 30 == 0 {
            journal.flush(Duration::from_secs(60)).unwrap();
        }
    }
    journal.close(Duration::from_secs(60)).unwrap();
    directory
}

#[test]
fn the_published_figures_are_found_again_in_raw_lookups() {
    let directory = record();
    let store = crate::journal::Store::open_read_only(directory.path()).unwrap();
    let presence = store.presence().unwrap();
    let asked = Asked::new(day("2024-11-01"), day("2024-11-30"), day("2024-05-01")).unwrap();
    let subject = Subject { ban: "acme", evidence: Evidence::Installed, asked: &asked, site: None, spans: &[] };
    let figures = Figures::read(&presence, &subject).unwrap();
    let key = Key::of(&figures, &asked);
    assert_eq!((key.sites_baseline, key.sites_now, key.sites_decline_percent), (220, 80, Some(63.6)));
    assert_eq!((key.addresses_baseline, key.addresses_now, key.addresses_decline_percent), (700, 200, Some(71.4)));

    let of_country = |country: &str| {
        let sites = figures.sites.iter().filter(|(site, _)| site.starts_with(country)).map(|(_, counts)| counts);
        let with = |seen: fn(&Counts) -> u64| sites.clone().filter(|counts| seen(counts) > 0).count() as u64;
        (with(|counts| counts.baseline), with(|counts| counts.now), with(|counts| counts.still))
    };
    for (country, expected) in [("us", 58.0), ("de", 69.0), ("gb", 70.0), ("it", 65.0)] {
        let (april, november, _still) = of_country(country);
        assert_eq!(decline(april, november), Some(expected), "{country}");
    }
    // More than four in ten of the American organisations are still there; some of November's were not there in April.
    let (april, november, still) = of_country("us");
    assert_eq!((april, november, still, share(still, april)), (50, 21, 20, Some(40.0)));
    assert!(key.silent_sites == 0 && key.now == Some(key.still + key.new) && key.new > 0, "{key:?}");
}
