//! Whom a change would touch, as the command line tells it.

mod served;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::tests::{json_of, run};
use crate::clock::Clock;
use crate::journal::{Attempt, Config, Did, Journal, NamesConfig, Series};
use crate::metrics::Metrics;
use crate::policy::{Evidence, Pattern};
use crate::time::{Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport, qtype};

/// What clients have asked: attempts as (client, name, pattern), names as (client, name).
fn record(directory: &Path, attempts: &[(&str, &str, &str)], names: Option<&[(&str, &str)]>) {
    let at: Timestamp = "2025-03-10T11:00:00Z".parse().unwrap();
    let (clock, _hands) = Clock::manual(Now { wall: at, mono: Mono(0) });
    let journal = Journal::start(Config::new(directory), Arc::new(Metrics::new()), clock).unwrap();
    journal.keep_names(NamesConfig { enabled: names.is_some(), ..NamesConfig::default() });
    let series = journal.series(Series {
        ban: "acme".into(),
        category: "update".into(),
        evidence: Evidence::Installed,
        site: "default".into(),
    });
    for (client, name, pattern) in attempts {
        let (name, pattern) = (LowerName::parse(name).unwrap(), Pattern::parse(pattern).unwrap());
        journal.record(&Attempt {
            at,
            client: client.parse().unwrap(),
            told: None,
            series,
            qname: &name,
            qtype: qtype::A,
            pattern: pattern.as_ref(),
            action: Did::Nxdomain,
            transport: Transport::Udp,
            verified: false,
        });
    }
    for (client, name) in names.unwrap_or_default() {
        let client: IpAddr = client.parse().unwrap();
        journal.note_name(&LowerName::parse(name).unwrap(), client, at);
    }
    journal.close(Duration::from_secs(60)).unwrap();
}

/// A configuration with the ban `acme`, which observes `acme.example` and enforces nothing.
fn configured(directory: &Path, rules: &str, mode: &str) -> String {
    let folder = directory.join("bans/acme");
    std::fs::create_dir_all(&folder).unwrap();
    let ban = format!(
        "version = 1\nid = \"acme\"\ntitle = \"Acme\"\nvendor = \"Acme\"\nlists = [\"rules.txt\"]\nmode = \"{mode}\"\n"
    );
    std::fs::write(folder.join("ban.toml"), ban).unwrap();
    std::fs::write(folder.join("rules.txt"), rules).unwrap();
    let config = directory.join("embargo.toml");
    let group = "[[group]]\nid = \"lab\"\nkind = \"site\"\nnetworks = [\"192.0.2.0/24\"]\n";
    std::fs::write(&config, format!("blocklists = \"bans\"\nstate_dir = \"state\"\n{group}")).unwrap();
    config.display().to_string()
}

#[test]
fn a_candidate_list_names_exactly_the_clients_that_asked_at_or_below_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "observe");
    let names = [
        ("192.0.2.1", "www.example.com"),
        ("192.0.2.1", "www.example.com"),
        ("192.0.2.1", "cdn.example.com"),
        ("2001:db8::7", "EXAMPLE.com"),
        ("192.0.2.3", "example.com.example.org"),
        ("192.0.2.3", "notexample.com"),
    ];
    record(&directory.path().join("state"), &[("192.0.2.9", "acme.example", "acme.example")], Some(&names));
    let list = directory.path().join("more.txt");
    std::fs::write(&list, "example.com\n").unwrap();
    let list = list.display().to_string();

    let ran = run(&["preview", "--config", &config, "--list", &list]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    Would block 3 names that 2 clients asked for (4 queries).
    Would release nobody.

    LAST SEEN             CLIENT       EFFECT  QUERIES  NAMES  AMONG THEM
    2025-03-10 11:00:00Z  192.0.2.1    block         3      2  cdn.example.com, www.example.com
    2025-03-10 11:00:00Z  2001:db8::7  block         1      1  example.com

    BAN   RULE         EFFECT  CLIENTS  NAMES  QUERIES
    more  example.com  block         2      3        4

    Judged on attempts, and on names asked since 2025-03-10T11:00:00.000Z.
    What answers held is not recorded; some may lead to what is banned among 2 names that 1 client asked for (2 queries).
    ");

    let previewed = json_of(&["preview", "--config", &config, "--list", &list, "--json"]);
    assert_eq!(previewed["blocks"], json!({"clients": 2, "names": 3, "queries": 4, "at_least": false}));
    assert_eq!(previewed["releases"]["clients"], 0);
    let clients: Vec<_> = previewed["clients"].as_array().unwrap().iter().map(|row| row["client"].clone()).collect();
    assert_eq!(clients, [json!("192.0.2.1"), json!("2001:db8::7")]);
    let first: &Value = &previewed["clients"][0];
    assert_eq!((&first["groups"], &first["queries"]), (&json!(["lab"]), &json!(3)));
    assert_eq!(
        first["names"][1],
        json!({"name": "www.example.com", "effect": "block", "old": "none", "new": "nxdomain", "ban": "more",
               "pattern": "example.com", "queries": 2, "last_seen": "2025-03-10T11:00:00.000Z"})
    );
    let future = run(&["preview", "--config", &config, "--list", &list, "--since", "2099-01-01"]);
    assert_eq!(future.code, 2, "{}", future.err);
    assert!(future.err.contains("--since 2099-01-01T00:00:00.000Z is yet to come"), "{}", future.err);
    let later = json_of(&["preview", "--config", &config, "--list", &list, "--json", "--since", "30m"]);
    assert_eq!(later["blocks"]["clients"], 0);
}

#[test]
fn a_mode_is_previewed_from_attempts_and_figures_that_may_be_more_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "observe");
    let attempts = [
        ("192.0.2.1", "a.acme.example", "acme.example"),
        ("192.0.2.1", "a.acme.example", "acme.example"),
        // An answer of this name led to the banned one.
        ("192.0.2.2", "shop.example", "acme.example"),
    ];
    record(&directory.path().join("state"), &attempts, None);
    let preview = |arguments: &[&str]| json_of(&[&["preview", "--config", &config, "--json"], arguments].concat());
    let enforced = preview(&["--ban", "acme", "--mode", "enforce"]);
    assert_eq!(enforced["blocks"], json!({"clients": 2, "names": 2, "queries": 3, "at_least": true}));
    assert_eq!(enforced["names"], json!({"recorded": false, "since": null, "not_recorded": 0}));
    let off = preview(&["--ban", "acme", "--mode", "off"]);
    assert_eq!((&off["changes"]["clients"], &off["blocks"]["clients"]), (&json!(2), &json!(0)));

    let config = configured(directory.path(), "acme.example\n", "enforce");
    let released = json_of(&["preview", "--config", &config, "--json", "--ban", "acme", "--mode", "observe"]);
    assert_eq!(released["releases"], json!({"clients": 2, "names": 2, "queries": 3, "at_least": false}));
    let ran = run(&["preview", "--config", &config, "--ban", "acme", "--mode", "observe"]);
    insta::assert_snapshot!(ran.out, @r"
    Would block nobody who is recorded.
    Would release 2 names that 2 clients asked for (3 queries).

    LAST SEEN             CLIENT     EFFECT   QUERIES  NAMES  AMONG THEM
    2025-03-10 11:00:00Z  192.0.2.1  release        2      1  a.acme.example
    2025-03-10 11:00:00Z  192.0.2.2  release        1      1  shop.example

    BAN   RULE          EFFECT   CLIENTS  NAMES  QUERIES
    acme  acme.example  release        2      2        3

    Judged on attempts alone: names of no rule are not recorded here ([names] in the configuration).
    Who asked only for such names is not counted.
    ");
}

#[test]
fn hits_are_counted_by_rule_and_list_and_rules_without_any_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n*.other.example\nk*.acme.test\n", "enforce");
    let attempts = [
        ("192.0.2.1", "a.acme.example", "acme.example"),
        ("192.0.2.2", "b.acme.example", "acme.example"),
        ("192.0.2.2", "b.acme.example", "acme.example"),
        ("192.0.2.2", "k1.acme.test", "k*.acme.test"),
        ("192.0.2.2", "gone.example", "gone.example"),
    ];
    let state = directory.path().join("state");
    record(&state, &attempts, None);
    let state = state.display().to_string();
    let hits = json_of(&["lists", "hits", "--config", &config, "--state-dir", &state, "--json", "--never"]);
    let rules: Vec<_> = hits["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["pattern"].clone(), row["attempts"].clone(), row["clients"].clone()))
        .collect();
    assert_eq!(rules, [(json!("acme.example"), json!(3), json!(2)), (json!("k*.acme.test"), json!(1), json!(1)),]);
    let list = &hits["lists"][0];
    assert_eq!((&list["rules"], &list["hit"], &list["attempts"]), (&json!(3), &json!(2), &json!(4)));
    assert_eq!((&hits["never"][0]["pattern"], &hits["others"]), (&json!("*.other.example"), &json!(1)));
    let ran = run(&["lists", "hits", "--config", &config, "--state-dir", &state, "--since", "30m"]);
    assert!(ran.code == 0 && !ran.out.contains("acme.example"), "{}{}", ran.out, ran.err);
}

#[test]
fn rules_that_others_shadow_are_named_with_both_places() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "# ours\nacme.example\n", "observe");
    let (state, list) = (directory.path().join("state"), directory.path().join("more.txt"));
    record(&state, &[("192.0.2.1", "a.acme.example", "acme.example")], None);
    std::fs::write(&list, "free.example\n\nacme.example\n").unwrap();
    let (state, list) = (state.display().to_string(), list.display().to_string());
    let arguments = ["lists", "hits", "--config", &config, "--state-dir", &state, "--list", &list, "--shadowed"];
    let hits = json_of(&[&arguments[..], &["--json"]].concat());
    let ours = directory.path().join("bans/acme/rules.txt").display().to_string();
    let by = json!({"ban": "more", "pattern": "acme.example", "list": list, "line": 3});
    let row = json!({"ban": "acme", "pattern": "acme.example", "list": ours, "line": 2, "why": "other_ban", "by": by});
    assert_eq!(hits["shadowed"], json!({"rules": [row], "more": 0}));
    let told = format!("{ours}:2: before `acme.example`, `acme.example` of the ban `more` decides, in {list}:3\n");
    let ran = run(&arguments);
    assert!(ran.out.contains(&format!("Shadowed by rules of other lists and bans (1):\n{told}")), "{}", ran.out);
    assert_eq!(json_of(&[&arguments[..8], &["--json"]].concat())["shadowed"], Value::Null);
}

#[test]
fn a_query_in_both_records_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "enforce");
    let led = [("192.0.2.2", "shop.example", "acme.example"); 3];
    let names = [("192.0.2.2", "shop.example"); 5];
    record(&directory.path().join("state"), &led, Some(&names));
    let list = directory.path().join("shop.txt");
    std::fs::write(&list, "shop.example\n").unwrap();
    let list = list.display().to_string();
    let previewed = json_of(&["preview", "--config", &config, "--list", &list, "--json"]);
    // Three of the five were blocked already for where the answer led.
    assert_eq!(previewed["blocks"]["queries"], 2);
    let config = configured(directory.path(), "acme.example\n", "observe");
    let previewed = json_of(&["preview", "--config", &config, "--list", &list, "--json"]);
    assert_eq!(previewed["blocks"]["queries"], 5);
}

#[test]
fn without_a_change_a_record_or_such_a_ban_there_is_no_preview() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "enforce");
    assert_eq!(run(&["preview", "--config", &config]).code, 2);
    assert_eq!(run(&["preview", "--config", &config, "--ban", "acme"]).code, 2);
    let ran = run(&["preview", "--config", &config, "--ban", "x", "--mode", "off"]);
    assert!(ran.code == 2 && ran.err.contains("unknown ban `x`; known bans: acme"), "{}", ran.err);
    let ran = run(&["preview", "--config", &config, "--ban", "acme", "--mode", "off"]);
    assert!(ran.code == 3 && ran.err.contains("no record here"), "{}", ran.err);
    assert_eq!(run(&["preview", "--config", &config, "--list", "/nowhere.txt"]).code, 1);
}
