//! Logs and captures of others in the record, as a shell sees it.

mod active;
mod again;
mod beside;
mod capture;
mod flows;
mod formats;
mod packed;
mod place;

use serde_json::json;

use place::Place;

/// Two clients, of which one runs the product and one reads about it.
const BIND: &str = "\
15-Apr-2024 10:00:00.123 queries: info: client @0x7f0c 192.0.2.7#53124 (a.upd.acme.example): query: a.upd.acme.example IN A +E(0)K (192.0.2.53)
15-Apr-2024 10:00:01.000 queries: info: client @0x7f0c 192.0.2.7#53125 (a.upd.acme.example): query: A.upd.acme.example IN A +E(0)T (192.0.2.53)
15-Apr-2024 10:00:02.000 general: info: zone example.org/IN: loaded serial 7
15-Apr-2024 10:00:03.000 queries: info: client @0x7f0c 192.0.2.8#53126 (www.acme.example): query: www.acme.example IN AAAA + (192.0.2.53)
15-Apr-2024 10:00:04.000 queries: info: client @0x7f0c 192.0.2.9#53127 (www.example.org): query: www.example.org IN A + (192.0.2.53)
";

#[test]
fn what_a_log_tells_is_shown_as_what_clients_ask_us_is() {
    let place = Place::new();
    place.write("query.log", BIND.as_bytes());
    let file = place.scan(&["query.log"]);
    assert_eq!((&file["format"], &file["standing"]), (&json!("bind"), &json!("new")));
    assert_eq!(
        (&file["lines"], &file["queries"], &file["attempts"], &file["rejects"]),
        (&json!(5), &json!(4), &json!(3), &json!(0))
    );
    assert_eq!(file["first"], "2024-04-15T10:00:00.123Z");
    assert_eq!(
        place.json(&["clients"]),
        json!([
            {"client": "192.0.2.8", "device": null, "site": "default", "ban": "acme", "evidence": "visit",
             "first_seen": "2024-04-15T10:00:03.000Z", "last_seen": "2024-04-15T10:00:03.000Z", "count": 1, "many": false, "connected": null},
            {"client": "192.0.2.7", "device": null, "site": "default", "ban": "acme", "evidence": "installed",
             "first_seen": "2024-04-15T10:00:00.123Z", "last_seen": "2024-04-15T10:00:01.000Z", "count": 2, "many": false, "connected": null},
        ])
    );
    let attempts = place.json(&["attempts", "--client", "192.0.2.7"]);
    assert_eq!(attempts.as_array().unwrap().len(), 2, "{attempts}");
    let newest = &attempts[0];
    assert_eq!(
        (&newest["qname"], &newest["action"], &newest["transport"], &newest["verified"], &newest["pattern"]),
        (&json!("a.upd.acme.example"), &json!("observe"), &json!("tcp"), &json!(true), &json!("*.upd.acme.example"))
    );
}

#[test]
fn a_line_that_is_broken_is_told_with_its_number_and_can_not_steer_the_terminal() {
    let place = Place::new();
    let broken = b"15-Apr-2024 10:00:05.000 client @0x1 \x1b[31m\xff#5 (x): query: x IN A +\n";
    place.write("query.log", &[BIND.as_bytes(), broken].concat());
    let output = place.run(&["scan", "query.log"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.starts_with("query.log:6: the client's address can't be read: 15-Apr-2024"), "{told}");
    assert!(!told.contains('\x1b') && told.contains(r"\u{1b}[31m"), "{told}");
    assert!(told.contains("older than the 400 days"), "{told}");
}

#[test]
fn a_file_that_is_no_log_is_told_and_the_others_are_read() {
    let place = Place::new();
    place.write("query.log", BIND.as_bytes());
    place.write("empty", b"");
    place.write("poem", b"roses are red\n");
    let output = place.run(&["scan", "empty", "poem", "missing", "query.log"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    for said in ["empty: it is empty", "poem: no query is in its first lines", "missing: can't be read: No such file"] {
        assert!(told.contains(said), "{told}");
    }
    assert_eq!(place.attempts(), 3);
}
