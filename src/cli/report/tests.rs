//! Reports as a shell makes and checks them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{Audit, Event, Merged};
use crate::cli::tests::{json_of, run};
use crate::clock::Clock;
use crate::journal::{self, Attempt, Did, Journal, Series};
use crate::metrics::Metrics;
use crate::policy::{Evidence, Pattern};
use crate::report::Format;
use crate::time::{Mono, Now};
use crate::wire::{LowerName, Transport, qtype};

const CONFIG: &str = "tests/fixtures/cli/embargo.toml";

/// A record in which one device was seen in September and in November of 2024, and another one in September only.
fn record(directory: &Path) {
    let now = Now { wall: "2024-12-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
    let journal =
        Journal::start(journal::Config::new(directory), Arc::new(Metrics::new()), Clock::manual(now).0).unwrap();
    for (client, at) in [(7, "2024-08-30T08:00:00Z"), (8, "2024-08-30T08:00:00Z"), (7, "2024-11-30T08:00:00Z")] {
        try_it(&journal, client, at);
    }
    journal.close(Duration::from_secs(60)).unwrap();
}

fn try_it(journal: &Journal, client: u8, at: &str) {
    let (ban, category, site) = (Arc::from("acme"), Arc::from("update"), Arc::from("berlin"));
    journal.record(&Attempt {
        at: at.parse().unwrap(),
        client: [192, 0, 2, client].into(),
        told: None,
        series: journal.series(Series { ban, category, evidence: Evidence::Installed, site }),
        qname: &LowerName::parse("upd.acme.example").unwrap(),
        qtype: qtype::A,
        pattern: Pattern::parse("acme.example").unwrap().as_ref(),
        action: Did::Nxdomain,
        transport: Transport::Udp,
        verified: false,
    });
}

/// The command line that asks for November against what was before September.
fn asked<'a>(state: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let window = ["--from", "2024-11-01", "--to", "2024-11-30", "--baseline", "2024-09-01"];
    [&["report", "--config", CONFIG, "--state-dir", state, "--ban", "acme"][..], &window, more].concat()
}

#[test]
fn a_report_is_made_from_the_record_and_is_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();
    let told = json_of(&asked(&state, &["--format", "json"]));
    assert_eq!((&told["figures"]["baseline"], &told["figures"]["now"]), (&json!(2), &json!(1)));
    assert_eq!((&told["figures"]["still_percent"], &told["lists"][0]["rules"]), (&json!(50.0), &json!(5)));
    for format in ["html", "csv", "md", "json"] {
        let (first, second) = (run(&asked(&state, &["--format", format])), run(&asked(&state, &["--format", format])));
        assert_eq!((first.code, first.err.as_str()), (0, ""), "{format}");
        assert!(first.out == second.out && first.out.contains("192.0.2.7"), "{format}");
    }
    assert!(run(&asked(&state, &[])).out.starts_with("<!DOCTYPE html>"));
    let store = journal::Store::open_read_only(dir.path()).unwrap();
    let days = |text: &str| text.parse::<crate::time::Timestamp>().unwrap();
    let all = (days("2024-08-01T00:00:00Z"), days("2024-11-30T08:00:00Z"));
    let rows = store.by_category("acme", all, None).unwrap();
    assert_eq!((rows.len(), rows[0].devices, rows[0].lookups), (1, 2, 2), "the end does not belong to it");
    assert_eq!(store.by_category("acme", all, Some("paris")).unwrap(), []);
    let of_site = json_of(&asked(&state, &["--format", "json", "--site", "berlin"]));
    assert_eq!((&of_site["about"]["site"], &of_site["figures"]["now"]), (&json!("berlin"), &json!(1)));
}

#[test]
fn what_cannot_be_meant_is_usage_and_no_record_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().display().to_string();
    let missing = run(&asked(&state, &[]));
    assert!(missing.code == 3 && missing.err.contains(&format!("{state}/embargo.db")), "{}", missing.err);
    record(dir.path());
    for (more, told) in [
        (&["--site", "x"][..], "unknown site `x`; known sites: berlin"),
        (&["--format", "pdf"], "invalid value 'pdf'"),
        (&["--site"], "a value is required"),
    ] {
        let ran = run(&asked(&state, more));
        assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(told), "{}", ran.err);
    }
    let base = ["report", "--config", CONFIG, "--state-dir", &state];
    for (arguments, told) in [
        (&["--ban", "acme"][..], "--from <DATE>"),
        (&["--ban", "x", "--from", "2024-11-01", "--to", "2024-11-02", "--baseline", "2024-11-01"], "unknown ban `x`"),
        (&["--ban", "acme", "--from", "2024-11-02", "--to", "2024-11-01", "--baseline", "2024-11-01"], "no window"),
        (&["--ban", "acme", "--from", "2024-11-01", "--to", "2024-11-02", "--baseline", "2024-11-02"], "no window"),
        (&["--ban", "acme", "--from", "2024-02-30", "--to", "2024-11-02", "--baseline", "2024-11-01"], "2024-02-30"),
    ] {
        let ran = run(&[&base[..], arguments].concat());
        assert!(ran.code == 2 && ran.err.contains(told), "{}", ran.err);
    }
}

#[test]
fn a_report_is_signed_once_there_is_a_key_and_any_change_is_found() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();
    let file = dir.path().join("report.html").display().to_string();
    let save = |text: &str| std::fs::write(&file, text).unwrap();

    save(&run(&asked(&state, &[])).out);
    let ran = run(&["report", "verify", &file]);
    assert_eq!((ran.code, ran.out), (0, format!("INTACT  {file}: integrity only: it is not signed\n")));

    let key = run(&["report", "key", "--state-dir", &state]).out.trim().to_owned();
    assert_eq!(json_of(&["report", "key", "--state-dir", &state, "--json"])["fingerprint"], json!(key));
    let signed = run(&asked(&state, &[])).out;
    assert!(signed == run(&asked(&state, &[])).out && signed.contains(&key), "signatures are the same each time too");
    save(&signed);
    let ran = run(&["report", "verify", &file, "--key", &key]);
    assert_eq!((ran.code, ran.out), (0, format!("AUTHENTIC  {file}: signed with the key {key}\n")));
    let ran = run(&["report", "verify", &file]);
    assert!(ran.code == 0 && ran.out.contains("integrity only"), "{}", ran.out);
    assert_eq!(run(&["report", "verify", &file, "--key", &"0".repeat(64)]).code, 1);
    assert_eq!(run(&["report", "verify", &file, "--key", "x"]).code, 2);

    // The signature cut off, and the digest made anew for what was changed.
    for format in [Format::Html, Format::Json, Format::Csv, Format::Markdown] {
        let signed = run(&asked(&state, &["--format", format.as_str()])).out;
        let (before, after) = format.around_seal();
        let (body, _seal) = signed.rsplit_once(before).unwrap();
        let body = if format == Format::Json { format!("{body}}}") } else { body.to_owned() };
        let forged = crate::report::seal(&body.replacen("2 devices", "3 devices", 1), format, None);
        assert!(forged.ends_with(after) && !forged.contains("ed25519"));
        save(&forged);
        let ran = run(&["report", "verify", &file]);
        assert!(ran.code == 1 && ran.out.contains("it is not signed"), "{format:?}: {}", ran.out);
    }

    save(&signed.replacen("2 devices", "3 devices", 1));
    let ran = run(&["report", "verify", &file, "--key", &key]);
    assert!(ran.code == 1 && ran.out.starts_with("BROKEN") && ran.err.is_empty(), "{}", ran.out);
    let ran = run(&["report", "verify", &file, "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["intact"], &told["signed_by"]), (1, &json!(false), &Value::Null));
    assert_eq!(run(&["report", "verify", &format!("{file}.none")]).code, 3);
}

#[test]
fn an_incident_is_what_the_record_has_of_one_device() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();
    let asked = ["report", "incident", "192.0.2.7", "--ban", "acme", "--config", CONFIG, "--state-dir", &state];
    let told = json_of(&[&asked[..], &["--format", "json"]].concat());
    assert_eq!((&told["lookups"], &told["blocked"], &told["state"]), (&json!(2), &json!(2), &json!("suspected")));
    // Seen on a Friday.
    assert_eq!((&told["report_by"], &told["sites"]), (&json!("2024-09-04"), &json!(["berlin"])));
    let page = run(&asked);
    assert!(page.code == 0 && page.out.starts_with("<!DOCTYPE html>") && page.out == run(&asked).out);
    let unknown = run(&["report", "incident", "x", "--ban", "acme", "--config", CONFIG, "--state-dir", &state]);
    assert!(unknown.code == 2 && unknown.err.contains("nothing on record of the device `x`"), "{}", unknown.err);
}

#[test]
fn an_incident_is_of_one_device_whoever_else_held_its_address_and_whatever_it_was_called() {
    let dir = tempfile::tempdir().unwrap();
    let now = Now { wall: "2024-12-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
    let leases = |rows: &str| {
        let source = crate::diag::Source::new("t", format!("address,mac,since,until\n{rows}"));
        crate::identity::LeaseFormat::Csv.leases(&source).0
    };
    let (first, second) = ("52:54:00:00:00:0a", "52:54:00:00:00:0b");
    let tried = [
        (first, ("2024-08-01", "2024-09-01"), "2024-08-30T08:00:00Z", &[7][..]),
        (second, ("2024-11-01", "2024-12-30"), "2024-11-30T08:00:00Z", &[7, 8]),
    ];
    // Each at its time: what held an address long ago is no longer at hand when something is recorded.
    for (mac, (since, until), at, clients) in tried {
        let config = journal::Config::new(dir.path());
        let row = format!("192.0.2.7,{mac},{since}T00:00:00Z,{until}T00:00:00Z\n");
        let then = Now { wall: at.parse().unwrap(), mono: Mono::default() };
        config.devices.take(&leases(&row), then.wall);
        let journal = Journal::start(config, Arc::new(Metrics::new()), Clock::manual(then).0).unwrap();
        for client in clients {
            try_it(&journal, *client, at);
        }
        journal.close(Duration::from_secs(60)).unwrap();
    }
    let state = dir.path().display().to_string();
    let of = |device: &str| {
        let asked = ["report", "incident", device, "--ban", "acme", "--config", CONFIG, "--state-dir", &state];
        run(&[&asked[..], &["--format", "json"]].concat())
    };
    let ran = of("192.0.2.7");
    assert_eq!(ran.code, 2, "{}", ran.out);
    let message = "2 devices held the address 192.0.2.7; name one of them: mac:52:54:00:00:00:0a, mac:52";
    assert!(ran.err.contains(message), "{}", ran.err);
    let told: Value = serde_json::from_str(&of(&format!("mac:{first}")).out).unwrap();
    assert_eq!((&told["lookups"], &told["report_by"]), (&json!(1), &json!("2024-09-04")));
    let told: Value = serde_json::from_str(&of("192.0.2.8").out).unwrap();
    assert_eq!((&told["lookups"], &told["device"]), (&json!(1), &json!("192.0.2.8")));
    // An operator says that they are one; by either name it is all of it.
    let (first, second) = (format!("mac:{first}"), format!("mac:{second}"));
    let merged = Merged { device: first.clone(), with: second.clone(), reason: "dock".to_owned() };
    Audit::new(dir.path()).say(Event::Merged(merged), None, now.wall).unwrap();
    for name in [first.as_str(), &second, "192.0.2.7"] {
        let told: Value = serde_json::from_str(&of(name).out).unwrap();
        assert_eq!((&told["lookups"], &told["report_by"]), (&json!(2), &json!("2024-09-04")), "{name}");
    }
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();
    assert_eq!(run(&["report", "key", "--state-dir", &state]).code, 0);
    let key = dir.path().join("report.key");
    let mode = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    mode(0o640);
    let ran = run(&asked(&state, &[]));
    assert!(ran.code == 3 && ran.out.is_empty() && ran.err.contains("report.key"), "{}", ran.err);
    mode(0o600);
    std::fs::write(&key, "nonsense").unwrap();
    assert_eq!(run(&asked(&state, &[])).code, 3);
}
