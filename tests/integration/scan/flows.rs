//! Connections in the logs of routers and watchers: those to the fallback resolvers of a ban's product are signals.

use serde_json::{Value, json};

use super::place::Place;

const CONN: &str = "\
#separator \\x09
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tconn_state
1795860000.000000\tC1\t192.0.2.7\t5353\t198.51.100.53\t53\tudp\tdns\tSF
1795860001.000000\tC2\t192.0.2.7\t5354\t198.51.100.53\t443\ttcp\tssl\tSF
1795860002.000000\tC3\t192.0.2.8\t5355\t198.51.100.99\t53\tudp\tdns\tSF
1795860003.000000\tC4\t192.0.2.9\t5356\t198.51.100.53\t853\ttcp\t-\tS0
";

fn place() -> Place {
    let place = Place::new();
    let ban = "version = 1\nid = \"acme\"\ntitle = \"Acme\"\nvendor = \"Example\"\nlists = [\"rules.txt\"]\n\
               fallback_resolvers = [\"198.51.100.53\"]\n";
    place.write("blocklists/acme/ban.toml", ban.as_bytes());
    place
}

/// The report's signals, and whether it says that fallback resolvers were measured.
fn reported(place: &Place) -> (Value, bool) {
    let asked = ["report", "--ban", "acme", "--from", "2026-11-01", "--to", "2026-11-30", "--baseline", "2026-10-01"];
    let output = place.run(&[&asked[..], &["--format", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let limits = report["limits"].as_array().unwrap().clone();
    let is_measured = !limits.iter().any(|limit| limit.as_str().unwrap().contains("not measured"));
    (report["signals"].clone(), is_measured)
}

#[test]
fn connections_to_fallback_resolvers_are_signals_beside_the_device_and_the_report_says_that_they_were_measured() {
    let place = place();
    place.write("query.log", super::BIND.as_bytes());
    place.scan(&["query.log"]);
    assert_eq!(reported(&place), (json!([]), false));

    place.write("conn.log", CONN.as_bytes());
    let file = place.scan(&["conn.log"]);
    assert_eq!(
        (&file["format"], &file["queries"], &file["attempts"]),
        (&json!("zeek-conn"), &json!(4), &json!(2)),
        "{file}"
    );
    let rows = place.json(&["attempts", "--client", "192.0.2.9"]);
    let row = &rows[0];
    assert_eq!(
        (&row["qname"], &row["category"], &row["evidence"], &row["transport"], &row["action"]),
        (
            &json!("53.100.51.198.in-addr.arpa"),
            &json!("fallback_resolver"),
            &json!("none"),
            &json!("tcp"),
            &json!("observe")
        )
    );
    let signal =
        json!([{"ban": "acme", "category": "fallback_resolver", "meaning": "may_bypass", "devices": 2, "lookups": 2}]);
    assert_eq!(reported(&place), (signal, true));
    // It proves no installation.
    assert!(
        place
            .json(&["clients"])
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["client"] != "192.0.2.9" || row["evidence"] == "none")
    );
    assert_eq!(place.scan(&["conn.log"])["attempts"], 0, "read twice, it adds nothing");
}

#[test]
fn the_kernels_lines_and_zeeks_json_tell_the_same() {
    let kernel = "Nov 28 10:00:00 gw kernel: embargo-fallback IN=lan OUT=wan SRC=192.0.2.7 DST=198.51.100.53 LEN=60 PROTO=UDP SPT=5353 DPT=53 LEN=40\n";
    let zeek = "{\"ts\":1795860000.0,\"id.orig_h\":\"192.0.2.7\",\"id.orig_p\":5353,\"id.resp_h\":\"198.51.100.53\",\"id.resp_p\":53,\"proto\":\"udp\",\"conn_state\":\"SF\"}\n";
    for (log, format) in [(kernel, "nftables"), (zeek, "zeek-conn")] {
        let place = place();
        place.write("flows", log.as_bytes());
        let file = place.scan(&["--year", "2026", "flows"]);
        assert_eq!(
            (&file["format"], &file["attempts"], &file["rejects"]),
            (&json!(format), &json!(1), &json!(0)),
            "{file}"
        );
        let rows = place.json(&["attempts"]);
        assert_eq!((&rows[0]["first"], &rows[0]["client"]), (&json!("2026-11-28T10:00:00.000Z"), &json!("192.0.2.7")));
    }
}
