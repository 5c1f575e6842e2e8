//! Logs that are packed.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use super::BIND;
use super::place::Place;

fn zstd(octets: &[u8]) -> Vec<u8> {
    compress_to_vec(octets, CompressionLevel::Fastest)
}

#[test]
fn frames_of_zstandard_are_read_one_behind_the_other() {
    let place = Place::new();
    let (front, back) = BIND.as_bytes().split_at(BIND.len() / 3);
    // A frame between them that holds nobody's content.
    let skipped = [&[0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    place.write("query.log.zst", &[zstd(front), skipped, zstd(back)].concat());
    let file = place.scan(&["query.log.zst"]);
    assert_eq!(
        (&file["packing"], &file["queries"], &file["attempts"]),
        (&json!("zstd"), &json!(4), &json!(3)),
        "{file}"
    );
    place.write("query.log", BIND.as_bytes());
    assert_eq!(place.scan(&["query.log"])["standing"], "known");
}

#[test]
fn what_is_before_a_break_is_recorded_and_the_whole_is_read_on() {
    let place = Place::new();
    let lines: Vec<String> = (0..6_000)
        .map(|line| {
            format!(
                "15-Apr-2024 10:00:00.123 client @0x1 192.0.2.7#{line} (x): query: n{:x}.upd.acme.example IN A +\n",
                line * 7_919
            )
        })
        .collect();
    let lines = lines.concat();
    let packed = super::again::packed(lines.as_bytes());
    place.write("query.log.gz", &packed[..packed.len() / 2]);
    let output = place.run(&["scan", "query.log.gz", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let before = told["attempts"].as_u64().unwrap();
    assert!(before > 1_000 && told["files"][0]["error"].as_str().unwrap().starts_with("it breaks off"), "{told}");
    place.write("query.log.gz", &packed);
    let file = place.scan(&["query.log.gz"]);
    assert_eq!((&file["standing"], file["attempts"].as_u64().unwrap()), (&json!("continued"), 6_000 - before));
    assert_eq!(place.attempts(), 6_000);
}
