//! A log tells who was there, whatever they asked: silence of those who were is what shows that a product is gone.

use std::fmt::Write;

use serde_json::{Value, json};

use super::place::Place;

/// A line of a BIND log.
fn line(day: u32, client: u8, name: &str) -> String {
    format!(
        "{day:02}-Apr-2024 10:00:00.123 queries: client @0x7f 192.0.2.{client}#53124 ({name}): query: {name} IN A + (192.0.2.53)\n"
    )
}

/// Three clients that run the product on the first day. Later one goes on, one asks for other things, and one is silent.
fn log() -> String {
    let mut log: String = (7..10).map(|client| line(1, client, "a.upd.acme.example")).collect();
    for day in 2..=20 {
        log.write_str(&line(day, 7, "a.upd.acme.example")).unwrap();
        log.write_str(&line(day, 8, "www.example.org")).unwrap();
    }
    log
}

fn report(place: &Place, window: (&str, &str)) -> Value {
    let asked = ["report", "--ban", "acme", "--from", window.0, "--to", window.1, "--baseline", "2024-04-02"];
    let output = place.run(&[&asked[..], &["--format", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn whoever_asks_for_other_things_for_long_enough_is_clean_and_whoever_is_silent_is_unknown() {
    let place = Place::new();
    place.write("query.log", log().as_bytes());
    place.scan(&["query.log"]);
    let told = report(&place, ("2024-04-20", "2024-04-20"));
    let figures = ["baseline", "still", "clean", "quiet", "unknown", "active_baseline", "active_now"];
    let counts = figures.map(|name| told["figures"][name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 0, 1, 3, 2]);
    assert_eq!(told["figures"]["panel_sites"], 1);
    // Read again, it tells the same.
    place.scan(&["query.log"]);
    assert_eq!(report(&place, ("2024-04-20", "2024-04-20"))["figures"], told["figures"]);
}

#[test]
fn a_record_of_logs_that_were_read_before_activity_was_noted_gets_it_when_they_are_read_again() {
    let place = Place::new();
    place.write("query.log", log().as_bytes());
    place.scan(&["query.log"]);
    let attempts = place.attempts();
    // As an earlier version left it.
    let store = rusqlite::Connection::open(place.state().join("embargo.db")).unwrap();
    let earlier = "DELETE FROM presence WHERE sign IN (SELECT id FROM signs WHERE what = 'active'); \
                   DELETE FROM scanned_bans WHERE ban = ''";
    store.execute_batch(earlier).unwrap();
    drop(store);
    assert_eq!(report(&place, ("2024-04-20", "2024-04-20"))["figures"]["active_now"], json!(null));
    let file = place.scan(&["query.log"]);
    assert_eq!((&file["standing"], &file["attempts"]), (&json!("continued"), &json!(0)));
    assert_eq!(report(&place, ("2024-04-20", "2024-04-20"))["figures"]["active_now"], 2);
    assert_eq!(place.attempts(), attempts);
    assert_eq!(place.scan(&["query.log"])["standing"], "known");
}

#[test]
fn who_is_exempt_here_is_exempt_in_logs() {
    let place = Place::new();
    let exemption = "blocklists = \"blocklists\"\n\n[[exemption]]\nclients = [\"192.0.2.7\"]\nban = \"acme\"\n\
                     owner = \"it\"\nreason = \"laboratory\"\nendless = true\n";
    place.write("embargo.toml", exemption.as_bytes());
    place.write("query.log", log().as_bytes());
    place.scan(&["query.log"]);
    let attempts = place.json(&["attempts"]);
    let actions = |client: &str| {
        let rows = attempts.as_array().unwrap().iter().filter(|row| row["client"] == client);
        rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(actions("192.0.2.7"), ["exempt".to_owned()].into());
    assert_eq!(actions("192.0.2.8"), ["observe".to_owned()].into());
    assert_eq!(report(&place, ("2024-04-20", "2024-04-20"))["figures"]["exempt"], 1);
}
