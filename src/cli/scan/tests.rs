//! Whose the attempts of a log are.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Audit, Event, Merged};
use crate::cli::tests::run;
use crate::clock::Clock;
use crate::diag::Source;
use crate::identity::LeaseFormat;
use crate::journal::{self, Filter, Journal, Store};
use crate::metrics::Metrics;
use crate::time::{Mono, Now};

const CONFIG: &str = "tests/fixtures/cli/embargo.toml";

#[test]
fn an_attempt_of_a_log_is_of_the_device_as_operators_have_said() {
    let dir = tempfile::tempdir().unwrap();
    let now = Now { wall: "2024-12-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
    let config = journal::Config::new(dir.path());
    let row = "address,mac,since,until\n192.0.2.7,52:54:00:00:00:0a,2024-11-01T00:00:00Z,2024-12-30T00:00:00Z\n";
    let leases = LeaseFormat::Csv.leases(&Source::new("t", row.to_owned())).0;
    config.devices.take(&leases, now.wall);
    let journal = Journal::start(config, Arc::new(Metrics::new()), Clock::manual(now).0).unwrap();
    journal.close(Duration::from_secs(60)).unwrap();
    let (device, with) = ("mac:52:54:00:00:00:0a".to_owned(), "asset:INV-7".to_owned());
    let merged = Merged { device, with, reason: "inventory".to_owned() };
    Audit::new(dir.path()).say(Event::Merged(merged), None, now.wall).unwrap();

    let log = dir.path().join("log").display().to_string();
    std::fs::write(&log, "2024-12-01T09:00:00+00:00 gw dnsmasq[1]: query[A] upd.acme.example from 192.0.2.7\n")
        .unwrap();
    let state = dir.path().display().to_string();
    let ran = run(&["scan", "--config", CONFIG, "--state-dir", &state, &log]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = Store::open_read_only(dir.path())
        .unwrap()
        .attempts(&Filter { ban: Some("acme".to_owned()), ..Filter::default() })
        .unwrap();
    assert_eq!(rows.iter().map(|row| row.device.as_deref()).collect::<Vec<_>>(), [Some("asset:INV-7")], "{rows:?}");
}
