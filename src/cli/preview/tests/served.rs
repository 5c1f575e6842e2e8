//! A preview says what a server with the changed policy would do.

use std::path::Path;

use serde_json::{Value, json};

use super::{configured, record};
use crate::cli::tests::{json_of, run};

/// Adds settings to a configuration.
fn with(config: &str, more: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(config, text + more).unwrap();
}

fn preview(config: &str, arguments: &[&str]) -> Value {
    json_of(&[&["preview", "--config", config, "--json"], arguments].concat())
}

/// Who is touched how.
fn touched(previewed: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = previewed["clients"].as_array().unwrap().iter().flat_map(|row| {
        let names = row["names"].as_array().unwrap().iter();
        names.map(|name| (text(&row["client"]), text(&name["name"]), text(&name["effect"]))).collect::<Vec<_>>()
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

fn row(client: &str, name: &str, effect: &str) -> (String, String, String) {
    (client.to_owned(), name.to_owned(), effect.to_owned())
}

fn list(directory: &Path, text: &str) -> String {
    let list = directory.join("more.txt");
    std::fs::write(&list, text).unwrap();
    list.display().to_string()
}

#[test]
fn who_may_stay_blocked_by_where_an_answer_led_is_not_called_released() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let config = configured(&old, "bad.example\n", "enforce");
    // Of what the first one asked, the answer led to `bad.example` or below it; to which, the record does not tell.
    let attempts = [("192.0.2.1", "shop.example", "bad.example"), ("192.0.2.2", "www.bad.example", "bad.example")];
    record(&old.join("state"), &attempts, None);

    let narrower = configured(&new, "tracker.bad.example\n", "enforce");
    let previewed = preview(&config, &["--new-config", &narrower]);
    assert_eq!(touched(&previewed), [row("192.0.2.2", "www.bad.example", "release")]);
    assert_eq!((&previewed["releases"]["names"], &previewed["releases"]["at_least"]), (&json!(1), &json!(true)));
    assert_eq!(previewed["not_judged"]["answers"], json!({"clients": 1, "names": 1, "queries": 1}));
    assert_eq!(previewed["blocks"]["at_least"], true, "answers were not judged");

    // Nothing below is enforced: whatever it was, it is released.
    for other in ["elsewhere.example\n", "!tracker.bad.example\n", "tracker.bad.example x visit observe\n"] {
        let previewed = preview(&config, &["--new-config", &configured(&new, other, "enforce")]);
        assert_eq!(touched(&previewed).len(), 2, "{other}");
        assert_eq!(previewed["releases"]["at_least"], false, "{other}");
    }
}

#[test]
fn who_is_exempt_is_not_blocked_and_who_is_no_longer_is() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "observe");
    let attempts =
        [("192.0.2.1", "a.acme.example", "acme.example"), ("198.51.100.2", "a.acme.example", "acme.example")];
    record(&directory.path().join("state"), &attempts, Some(&[("192.0.2.1", "b.example"), ("192.0.2.2", "b.example")]));
    let exemption = |more: &str, until: &str| {
        format!("[[exemption]]\n{more}\nuntil = {until}\nowner = \"J. Doe\"\nreason = \"removal\"\n")
    };
    with(&config, &exemption("clients = [\"192.0.2.1\"]\nban = \"acme\"", "2025-03-10T13:00:00Z"));
    with(&config, &exemption("clients = [\"192.0.2.1\"]\nname = \"b.example\"", "2025-03-10T13:00:00Z"));
    let enforced = preview(&config, &["--ban", "acme", "--mode", "enforce"]);
    assert_eq!(touched(&enforced), [row("198.51.100.2", "a.acme.example", "block")]);
    // An hour later it ends, and the change touches that client too.
    assert_eq!(
        (&enforced["later"]["clients"], &enforced["later"]["first"]),
        (&json!(1), &json!("2025-03-10T13:00:00.000Z"))
    );
    let then = preview(&config, &["--ban", "acme", "--mode", "enforce", "--at", "2025-03-10T13:00:00Z"]);
    assert_eq!(then["blocks"]["clients"], 2);

    let list = list(directory.path(), "b.example\n");
    let listed = preview(&config, &["--list", &list]);
    assert_eq!(touched(&listed), [row("192.0.2.1", "b.example", "change"), row("192.0.2.2", "b.example", "block")]);
    assert_eq!(
        listed["clients"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row["names"].as_array().unwrap())
            .find(|name| name["effect"] == "change")
            .unwrap()["new"],
        "exempt"
    );

    // A configuration without them blocks who was spared.
    let text = std::fs::read_to_string(&config).unwrap();
    let without = directory.path().join("new.toml");
    std::fs::write(&without, text.split("[[exemption]]").next().unwrap()).unwrap();
    configured(directory.path(), "acme.example\n", "enforce");
    with(&config, text.split_at(text.find("[[exemption]]").unwrap()).1);
    let gone = preview(&config, &["--new-config", &without.display().to_string()]);
    assert_eq!(touched(&gone), [row("192.0.2.1", "a.acme.example", "block")]);
}

#[test]
fn hours_of_the_week_to_come_are_counted_apart() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "observe");
    record(&directory.path().join("state"), &[], Some(&[("192.0.2.1", "b.example"), ("192.0.2.1", "b.example")]));
    // It is Monday noon.
    let new = directory.path().join("new.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&new, text + "[ban.acme]\nmode = \"enforce\"\nschedule = [\"tue 08:00-18:00\"]\n").unwrap();
    let rules = directory.path().join("bans/acme/rules.txt");
    std::fs::write(rules, "acme.example\nb.example\n").unwrap();
    let previewed = preview(&config, &["--new-config", &new.display().to_string()]);
    assert_eq!(previewed["blocks"]["clients"], 0);
    assert_eq!(
        previewed["later"],
        json!({"clients": 1, "names": 1, "queries": 2, "first": "2025-03-11T08:00:00.000Z"})
    );
    let ran = run(&["preview", "--config", &config, "--new-config", &new.display().to_string()]);
    let told = "At other hours within a week, first at 2025-03-11T08:00:00.000Z, it would touch 1 name that 1 client asked \
                for (2 queries).\n";
    assert!(ran.out.contains(told), "{}", ran.out);
}

#[test]
fn what_depends_on_the_door_that_a_query_came_by_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\n", "observe");
    let attempts = [("192.0.2.1", "a.acme.example", "acme.example"), ("192.0.2.2", "a.acme.example", "acme.example")];
    record(&directory.path().join("state"), &attempts, Some(&[("192.0.2.1", "b.example")]));
    let new = directory.path().join("new.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let more = "[[group]]\nid = \"kids\"\ntls_names = [\"kids.example\"]\n[ban.acme]\n\
                [[ban.acme.for]]\ngroups = [\"kids\"]\nmode = \"enforce\"\n";
    std::fs::write(&new, text + more).unwrap();
    let previewed = preview(&config, &["--new-config", &new.display().to_string()]);
    assert_eq!(previewed["blocks"]["clients"], 0);
    assert_eq!(previewed["not_judged"]["doors"], json!({"clients": 2, "names": 1, "queries": 2}));
    assert_eq!(previewed["not_judged"]["answers"], json!({"clients": 1, "names": 1, "queries": 1}));
    let ran = run(&["preview", "--config", &config, "--new-config", &new.display().to_string()]);
    let told = "By what listener, path or TLS name they came is not recorded; it may be otherwise for 1 name that 2 clients \
                asked for (2 queries).\n\
                What answers held is not recorded; some may lead to what is banned among 1 name that 1 client asked for \
                (1 query).\n";
    assert!(ran.out.ends_with(told), "{}", ran.out);
}

#[test]
fn where_answers_led_is_judged_by_the_rule_that_they_met() {
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), "acme.example\nanswer:203.0.113.0/24\n", "enforce");
    let attempts = [
        ("192.0.2.1", "shop.example", "acme.example"),
        ("192.0.2.2", "cloud.example", "answer:203.0.113.0/24"),
        ("192.0.2.2", "gone.example", "no.rule.any.more.example"),
    ];
    record(&directory.path().join("state"), &attempts, None);
    let off = preview(&config, &["--ban", "acme", "--mode", "observe"]);
    assert_eq!(
        touched(&off),
        [row("192.0.2.1", "shop.example", "release"), row("192.0.2.2", "cloud.example", "release")]
    );
    let names = off["clients"].as_array().unwrap().iter().map(|row| row["names"][0]["pattern"].clone());
    assert!(names.collect::<Vec<_>>().contains(&json!("answer:203.0.113.0/24")));
    // A list that bans the name itself finds it blocked as it is.
    let listed = preview(&config, &["--list", &list(directory.path(), "shop.example\n")]);
    assert_eq!(touched(&listed), []);
}
