//! A record made of lookups at given times.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::Devices;
use crate::journal::{Attempt, Config, Journal, Series, Store};
use crate::metrics::{Did, Metrics};
use crate::policy::{Evidence, Pattern};
use crate::time::{Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport, qtype};

const PATIENCE: Duration = Duration::from_secs(60);

/// A lookup: what of it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) client: u8,
    pub(super) at: &'static str,
    pub(super) site: &'static str,
    pub(super) evidence: Evidence,
    pub(super) verified: bool,
    pub(super) action: Did,
}

impl Tried {
    pub(super) fn by(client: u8, at: &'static str) -> Self {
        Self { client, at, site: "berlin", evidence: Evidence::Installed, verified: false, action: Did::Nxdomain }
    }
}

/// A record in a directory of its own.
pub(super) struct Record(tempfile::TempDir);

impl Record {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn write(&self, tried: &[Tried]) {
        self.write_of(&Arc::default(), tried);
    }

    /// The same where these devices are known.
    pub(super) fn write_of(&self, devices: &Arc<Devices>, tried: &[Tried]) {
        let wall = "2026-03-31T00:00:00Z".parse().unwrap();
        let (clock, _hands) = Clock::manual(Now { wall, mono: Mono(0) });
        let config = Config { devices: Arc::clone(devices), ..Config::new(self.0.path()) };
        let journal = Journal::start(config, Arc::new(Metrics::new()), clock).unwrap();
        for tried in tried {
            let (ban, category, site) = (Arc::from("acme"), Arc::from("update"), Arc::from(tried.site));
            journal.record(&Attempt {
                at: tried.at.parse().unwrap(),
                client: [192, 0, 2, tried.client].into(),
                told: None,
                series: journal.series(Series { ban, category, evidence: tried.evidence, site }),
                qname: &LowerName::parse("n.upd.example").unwrap(),
                qtype: qtype::A,
                pattern: Pattern::parse("*.upd.example").unwrap().as_ref(),
                action: tried.action,
                transport: Transport::Udp,
                verified: tried.verified,
            });
        }
        journal.close(PATIENCE).unwrap();
    }

    /// Notes that a client asked for anything at noon of so many days from the one given on.
    pub(super) fn active(&self, client: u8, from: &str, days: u32) {
        let start: Timestamp = format!("{from}T12:00:00Z").parse().unwrap();
        let (clock, _hands) = Clock::manual(Now { wall: start, mono: Mono(0) });
        let journal = Journal::start(Config::new(self.0.path()), Arc::new(Metrics::new()), clock).unwrap();
        for day in 0..days {
            let at = start + Duration::from_secs(86_400 * u64::from(day));
            journal.note_active(([192, 0, 2, client].into(), None), at, || Arc::from("berlin"));
        }
        journal.close(PATIENCE).unwrap();
    }

    pub(super) fn store(&self) -> Store {
        Store::open_read_only(self.0.path()).unwrap()
    }
}
