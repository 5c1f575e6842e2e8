//! Every format of lines, told by its first lines, makes the same record of the same queries; `tests/fixtures/scan` says where
//! each is from.

use std::fs;

use serde_json::{Value, json};

use super::place::Place;
use crate::tidy::root;

/// Files, their formats, and what they say of how queries came.
const LOGS: [(&str, &str, Option<&str>); 10] = [
    ("bind.log", "bind", Some("udp")),
    ("unbound.log", "unbound", None),
    ("dnsmasq.log", "dnsmasq", None),
    ("windows.log", "windows", Some("udp")),
    ("zeek.log", "zeek", Some("udp")),
    ("zeek.json", "json", Some("udp")),
    ("eve.json", "json", Some("udp")),
    ("route53.json", "json", Some("udp")),
    ("adguard.json", "json", None),
    ("umbrella.csv", "umbrella", None),
];

/// What each makes of it.
fn expected(transport: Option<&str>) -> Vec<Value> {
    let row = |second: u8, client: &str, qname: &str, qtype: &str, evidence: &str| {
        json!([
            format!("2026-11-28T10:00:0{second}.000Z"),
            client,
            qname,
            qtype,
            evidence,
            "observe",
            transport,
            false,
            1
        ])
    };
    vec![
        row(2, "192.0.2.8", "www.acme.example", "A", "visit"),
        row(1, "192.0.2.8", "a.upd.acme.example", "AAAA", "installed"),
        row(0, "192.0.2.7", "a.upd.acme.example", "A", "installed"),
    ]
}

#[test]
fn the_same_queries_make_the_same_record_whoever_logged_them() {
    for (name, format, transport) in LOGS {
        let place = Place::new();
        place.write(name, &fs::read(root().join("tests/fixtures/scan").join(name)).unwrap());
        let file = place.scan(&["--year", "2026", name]);
        assert_eq!(
            (&file["format"], &file["queries"], &file["rejects"]),
            (&json!(format), &json!(4), &json!(0)),
            "{name}: {file}"
        );
        let rows: Vec<Value> = place.json(&["attempts"]).as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, expected(transport), "{name}");
    }
}

fn row(attempt: &Value) -> Value {
    let fields = ["first", "client", "qname", "qtype", "evidence", "action", "transport", "verified", "count"];
    fields.map(|field| attempt[field].clone()).into_iter().collect()
}

#[test]
fn logs_of_zeek_one_behind_the_other_have_the_columns_that_each_names() {
    let place = Place::new();
    let line = |name: &str| format!("1795860000.5\t192.0.2.7\t53\tudp\t{name}\t1\n");
    let turned = |name: &str| format!("{name}\t1\t53\t1795860060.5\t192.0.2.8\ttcp\n");
    let (head, other) = (
        "#fields\tts\tid.orig_h\tid.resp_p\tproto\tquery\tqtype\n",
        "#fields\tquery\tqtype\tid.resp_p\tts\tid.orig_h\tproto\n",
    );
    let (first, second) = (line("a.upd.acme.example"), turned("b.upd.acme.example"));
    let log = [head, &first, head, &first, other, &second, "broken\n", other, &second, head, &first].concat();
    place.write("dns.log", log.as_bytes());
    let file = place.scan(&["dns.log"]);
    assert_eq!((&file["queries"], &file["attempts"], &file["rejects"]), (&json!(5), &json!(5), &json!(1)), "{file}");
    assert_eq!((&file["faults"][0]["line"], &file["lines"]), (&json!(7), &json!(11)));
    let clients = place.json(&["clients"]);
    assert_eq!((&clients[0]["client"], &clients[0]["count"]), (&json!("192.0.2.8"), &json!(2)));
    assert_eq!((&clients[1]["client"], &clients[1]["count"]), (&json!("192.0.2.7"), &json!(3)));
}
