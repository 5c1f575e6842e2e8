//! A log that is read again adds nothing, whatever has become of it meanwhile.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::BIND;
use super::place::Place;

pub(super) fn packed(octets: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(octets).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn the_same_log_adds_nothing_under_another_name_or_packed() {
    let place = Place::new();
    place.write("query.log", BIND.as_bytes());
    place.scan(&["query.log"]);
    let before = place.json(&["attempts"]);
    place.write("query.log.1.gz", &packed(BIND.as_bytes()));
    for name in ["query.log", "query.log.1.gz"] {
        let file = place.scan(&[name]);
        assert_eq!(
            (&file["standing"], &file["attempts"], &file["error"]),
            (&json!("known"), &json!(0), &json!(null)),
            "{file}"
        );
    }
    assert_eq!(place.json(&["attempts"]), before);
}

#[test]
fn a_log_that_has_grown_is_read_on_and_a_line_that_is_being_written_waits() {
    let place = Place::new();
    let half = BIND.len() - 20;
    place.write("query.log", &BIND.as_bytes()[..half]);
    let file = place.scan(&["query.log"]);
    assert_eq!((file["queries"].as_u64(), file["attempts"].as_u64()), (Some(3), Some(3)));
    assert_eq!(file["unfinished"], half - BIND.rfind("15-Apr").unwrap());

    let more = BIND.replace("15-Apr", "16-Apr");
    place.write("query.log", [BIND, &more].concat().as_bytes());
    let file = place.scan(&["query.log"]);
    assert_eq!(
        (&file["standing"], file["queries"].as_u64(), file["attempts"].as_u64()),
        (&json!("continued"), Some(5), Some(3))
    );
    assert_eq!(place.attempts(), 6);
    // Faults are told by their line in the file.
    place.write("query.log", [BIND, &more, "client: query: x\n"].concat().as_bytes());
    assert_eq!(place.scan(&["query.log"])["faults"][0]["line"], 11);
}

#[test]
fn an_older_copy_of_a_log_that_was_read_further_adds_nothing_and_is_told() {
    let place = Place::new();
    let lines: String = (0..100).map(|second| BIND.replace("10:00:0", &format!("10:{:02}:0", second % 60))).collect();
    place.write("query.log", lines.as_bytes());
    place.scan(&["query.log"]);
    let before = place.attempts();
    place.write("copy.log", &lines.as_bytes()[..lines.len() / 2]);
    let output = place.run(&["scan", "copy.log"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("it begins as query.log, which was read further"));
    assert_eq!(place.attempts(), before);
}

#[test]
fn a_ban_that_is_new_is_looked_for_from_the_beginning_and_the_others_are_not_counted_twice() {
    let place = Place::new();
    place.write("query.log", BIND.as_bytes());
    place.scan(&["query.log"]);
    place.ban("other", "www.example.org\n");
    let file = place.scan(&["query.log"]);
    assert_eq!(
        (&file["standing"], file["read_from"].as_u64(), file["attempts"].as_u64()),
        (&json!("continued"), Some(0), Some(1))
    );
    assert_eq!(place.attempts(), 4);
    assert_eq!(place.scan(&["query.log"])["standing"], "known");
}

#[test]
fn a_log_of_another_beginning_is_another_log() {
    let place = Place::new();
    place.write("query.log", BIND.as_bytes());
    place.scan(&["query.log"]);
    place.write("query.log", BIND.replace("15-Apr", "16-Apr").as_bytes());
    assert_eq!(place.scan(&["query.log"])["standing"], "new");
    assert_eq!(place.attempts(), 6);
    assert!(fs::metadata(place.state().join("embargo.db")).is_ok() && place.root().is_dir());
}
