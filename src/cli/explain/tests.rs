//! Explanations of a small policy, as people and scripts read them.

use serde_json::{Value, json};

use super::*;
use crate::audit::{Audit, Written};
use crate::cli::console::Look;
use crate::cli::tests::run;
use crate::config::Environment;

const CONFIG: &str = "tests/fixtures/cli/embargo.toml";

fn explain(look: Look, arguments: &[&str]) -> String {
    let mut out = Vec::new();
    let mut console = Console {
        out: &mut out,
        err: &mut Vec::new(),
        look,
        now: "2025-03-10T12:00:00Z".parse().unwrap(),
        environment: Environment::default(),
    };
    let arguments = [&["embargo", "explain", "--config", CONFIG], arguments].concat();
    crate::cli::execute(arguments.iter().map(Into::into), &mut console).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(arguments: &[&str]) -> String {
    explain(Look::default(), arguments)
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&text(&[arguments, &["--json"]].concat())).unwrap()
}

#[track_caller]
fn verdict(arguments: &[&str], expected: &str) {
    assert_eq!(json_of(arguments)["verdict"], expected, "{arguments:?}");
}

#[test]
fn an_enforced_name_is_told_with_its_rule_law_and_what_else_stood_there() {
    insta::assert_snapshot!(text(&["X.upd.ACME.example."]), @r"
    ENFORCE  x.upd.acme.example A  at 2025-03-10T12:00:00.000Z
    It is answered NXDOMAIN, for 30 s; it is never sent upstream, and recorded as an attempt.

      rule      upd.acme.example
      file      tests/fixtures/cli/blocklists/acme/rules.txt:3
      category  update
      evidence  installed: only the vendor's software makes this lookup
      ban       acme: Acme (Acme Security Ltd.)
      mode      enforce since 2024-08-31T22:00:00.000Z
      basis     Act 7 (XX, XX Gazette 7): prohibits supply, not use; binds suppliers, in effect from 2024-09-01
                on file, not declared to bind this network: act-8
      contact   it-security@example.org
      instead   Anything else.

    Rules that did not decide:
    RULE              FILE                                               BAN      EVIDENCE   EFFECT    WHY
    acme.example      tests/fixtures/cli/blocklists/acme/rules.txt:2     acme     ambiguous  nxdomain  less specific
    upd.acme.example  tests/fixtures/cli/blocklists/widgets/rules.txt:1  widgets  service    observe   other ban enforced first; an attempt of its ban all the same
    ");
}

#[test]
fn each_verdict_says_what_happens() {
    insta::assert_snapshot!(text(&["www.acme.example", "--type", "https"]), @r"
    OBSERVE  www.acme.example HTTPS  at 2025-03-10T12:00:00.000Z
    It is answered normally, and recorded as an attempt: the rule only observes.

      rule      =www.acme.example
      file      tests/fixtures/cli/blocklists/acme/rules.txt:4
      category  web
      evidence  visit: a browser
      ban       acme: Acme (Acme Security Ltd.)
      mode      enforce since 2024-08-31T22:00:00.000Z
      basis     Act 7 (XX, XX Gazette 7): prohibits supply, not use; binds suppliers, in effect from 2024-09-01
                on file, not declared to bind this network: act-8
      contact   it-security@example.org
      instead   Anything else.

    Rules that did not decide:
    RULE          FILE                                            BAN   EVIDENCE   EFFECT    WHY
    acme.example  tests/fixtures/cli/blocklists/acme/rules.txt:2  acme  ambiguous  nxdomain  less specific
    ");
    insta::assert_snapshot!(text(&["status.acme.example"]), @r"
    ALLOW  status.acme.example A  at 2025-03-10T12:00:00.000Z
    An allow rule lifts the ban: it is answered as if there were none, and nothing is recorded.

      rule      !status.acme.example
      file      tests/fixtures/cli/blocklists/acme/rules.txt:5
      ban       acme: Acme (Acme Security Ltd.)
      mode      enforce since 2024-08-31T22:00:00.000Z
      basis     Act 7 (XX, XX Gazette 7): prohibits supply, not use; binds suppliers, in effect from 2024-09-01
                on file, not declared to bind this network: act-8
      contact   it-security@example.org
      instead   Anything else.

    Rules that did not decide:
    RULE          FILE                                            BAN   EVIDENCE   EFFECT    WHY
    acme.example  tests/fixtures/cli/blocklists/acme/rules.txt:2  acme  ambiguous  nxdomain  less specific
    ");
    insta::assert_snapshot!(text(&["other.example"]), @r"
    NONE  other.example A  at 2025-03-10T12:00:00.000Z
    No ban has a say: it is answered as if there were none, and nothing is recorded.
    ");
    insta::assert_snapshot!(text(&["acme.example", "--at", "2024-07-01"]), @r"
    OBSERVE  acme.example A  at 2024-06-30T22:00:00.000Z
    It is answered normally, and recorded as an attempt: the ban, at that time, only observes.

      rule      acme.example
      file      tests/fixtures/cli/blocklists/acme/rules.txt:2
      category  web
      evidence  ambiguous: the product or a person
      ban       acme: Acme (Acme Security Ltd.)
      mode      observe since 2024-05-31T22:00:00.000Z, enforce from 2024-08-31T22:00:00.000Z
      basis     Act 7 (XX, XX Gazette 7): prohibits supply, not use; binds suppliers, in effect from 2024-09-01
                on file, not declared to bind this network: act-8
      contact   it-security@example.org
      instead   Anything else.
    ");
}

#[test]
fn a_table_fits_the_terminal_and_a_verdict_is_coloured_only_there() {
    let narrow = explain(Look { colour: true, width: Some(60) }, &["upd.acme.example"]);
    assert!(narrow.starts_with("\u{1b}[1;31mENFORCE\u{1b}[0m"));
    let table = narrow.split("Rules that did not decide:\n").nth(1).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
    assert!(!text(&["upd.acme.example"]).contains('\u{1b}'));
}

#[test]
fn json_has_the_names_that_scripts_know() {
    let explained = json_of(&["upd.acme.example", "--client", "192.0.2.7", "--at", "2025-01-01T00:00:00Z"]);
    let law = |id: &str, number: u8, end_use: &str, bound: bool| {
        json!({
            "id": id, "citation": format!("XX Gazette {number}"), "instrument": format!("Act {number}"),
            "end_use": end_use, "bound": bound,
        })
    };
    let list = |vendor: &str| format!("tests/fixtures/cli/blocklists/{vendor}/rules.txt");
    let expected = json!({
        "name": "upd.acme.example", "type": "A", "client": "192.0.2.7", "answer": null, "device": null, "groups": [], "at": "2025-01-01T00:00:00.000Z",
        "verdict": "enforce", "ban": "acme", "pattern": "upd.acme.example", "file": list("acme"), "line": 3,
        "category": "update", "evidence": "installed", "action": "nxdomain", "mode": "enforce", "exemption": null,
        "others": [
            {
                "ban": "acme", "pattern": "acme.example", "file": list("acme"), "line": 2, "category": "web",
                "evidence": "ambiguous", "effect": "nxdomain", "why": "less specific", "recorded": false,
            },
            {
                "ban": "widgets", "pattern": "upd.acme.example", "file": list("widgets"), "line": 1,
                "category": "shared", "evidence": "service", "effect": "observe", "why": "other ban enforced first",
                "recorded": true,
            },
        ],
        "law": [law("act-7", 7, "no", true), law("act-8", 8, "yes", false)],
    });
    assert_eq!(explained, expected);
}

#[test]
fn what_does_not_apply_is_null() {
    let explained = json_of(&["other.example"]);
    for field in ["client", "ban", "pattern", "file", "line", "category", "evidence", "action", "mode"] {
        assert_eq!(explained.get(field), Some(&Value::Null), "{field}");
    }
    let allowed = json_of(&["status.acme.example"]);
    assert_eq!((&allowed["line"], &allowed["action"], &allowed["evidence"]), (&json!(5), &Value::Null, &Value::Null));
}

#[test]
fn a_date_is_midnight_of_the_configured_zone() {
    verdict(&["acme.example", "--at", "2024-08-31"], "observe");
    verdict(&["acme.example", "--at", "2024-09-01"], "enforce");
    verdict(&["acme.example", "--at", "2024-08-31T21:59:59Z"], "observe");
    verdict(&["acme.example", "--at", "2024-05-31"], "none");
    verdict(&["acme.example", "--at", "52w"], "none");
}

#[test]
fn a_name_or_list_that_is_hostile_is_printed_inert() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("x\u{1b}[31m.txt");
    std::fs::write(&list, "\\027\\010.example\n").unwrap();
    let text = text(&["\\027\\010.example", "--list", &list.display().to_string()]);
    assert!(text.starts_with("ENFORCE  \\027\\010.example A"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn an_answer_is_judged_as_the_server_does() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("mine.txt");
    std::fs::write(&list, "bad.example\n!free.bad.example\nanswer:198.51.100.0/24\n").unwrap();
    let list = list.display().to_string();
    let check = |name: &str, answer: &str, expected: &str| {
        verdict(&[name, "--list", &list, "--answer", answer], expected);
    };
    check("free.bad.example", "198.51.100.7", "allow");
    check("www.other.example", "198.51.100.7", "enforce");
    // Packets go to the IPv4 address within.
    check("www.other.example", "::ffff:198.51.100.30", "enforce");
    check("www.other.example", "64:ff9b::198.51.100.30", "enforce");
    check("www.other.example", "64:ff9b::192.0.2.30", "none");
}

#[test]
fn two_exemptions_free_until_the_first_of_them_ends() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("mine.txt");
    std::fs::write(&list, "acme.example\n").unwrap();
    let audit = Audit::new(dir.path());
    for (ban, until) in [("acme", "2025-03-10T18:00:00Z"), ("mine", "2025-03-10T13:00:00Z")] {
        let text = |text: &str| Some(text.to_owned());
        let (owner, reason) = ("J. Doe".to_owned(), "removal tool".to_owned());
        let written = Written {
            client: text("192.0.2.7"),
            ban: text(ban),
            until: text(until),
            owner,
            reason,
            ..Written::default()
        };
        audit.grant(written.try_into().unwrap(), None, 0, "2025-03-10T11:00:00Z".parse().unwrap()).unwrap();
    }
    let (state, list) = (dir.path().display().to_string(), list.display().to_string());
    let asked = ["upd.acme.example", "--state-dir", &state, "--client", "192.0.2.7", "--list", &list];
    let explained = json_of(&asked);
    assert_eq!((&explained["verdict"], &explained["exemption"]["id"]), (&json!("exempt"), &json!("2")));
    assert_eq!(explained["exemption"]["until"], "2025-03-10T13:00:00.000Z");
    let after = [&asked[..], &["--at", "2025-03-10T13:00:00Z"]].concat();
    assert_eq!(json_of(&after)["verdict"], "enforce");
}

#[test]
fn an_exemption_of_the_state_directory_frees_its_client_until_its_end_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let owned = |text: &str| text.to_owned();
    let written = Written {
        client: Some(owned("192.0.2.7")),
        ban: Some(owned("acme")),
        until: Some(owned("2025-03-10T13:00:00Z")),
        owner: owned("J. Doe"),
        reason: owned("removal tool"),
        ..Written::default()
    };
    let granted = "2025-03-10T11:00:00Z".parse().unwrap();
    Audit::new(dir.path()).grant(written.try_into().unwrap(), None, 0, granted).unwrap();
    let state = dir.path().display().to_string();
    let of = |arguments: &[&str]| json_of(&[&["upd.acme.example", "--state-dir", &state], arguments].concat());

    let freed = of(&["--client", "192.0.2.7"]);
    assert_eq!(
        (&freed["verdict"], &freed["action"], &freed["ban"]),
        (&json!("exempt"), &json!("exempt"), &json!("acme"))
    );
    let exemption = json!({
        "id": "1", "until": "2025-03-10T13:00:00.000Z", "owner": "J. Doe", "reason": "removal tool", "ticket": null,
    });
    assert_eq!(freed["exemption"], exemption);
    for others in [&["--client", "192.0.2.8"][..], &[], &["--client", "192.0.2.7", "--at", "2025-03-10T13:00:00Z"]] {
        let other = of(others);
        assert_eq!((&other["verdict"], &other["exemption"]), (&json!("enforce"), &Value::Null), "{others:?}");
    }
    let told = text(&["upd.acme.example", "--state-dir", &state, "--client", "192.0.2.7"]);
    assert!(told.starts_with("EXEMPT  upd.acme.example A"), "{told}");
    assert!(told.contains("Exemption 1 frees the client: it is answered as if there were no ban"), "{told}");
    assert!(told.contains("  exempt    1 until 2025-03-10T13:00:00.000Z; J. Doe: removal tool\n"), "{told}");
}

#[test]
fn at_a_time_that_has_passed_those_are_exempt_who_were_then() {
    let dir = tempfile::tempdir().unwrap();
    let terms = |client: &str| -> Terms {
        let (client, ban) = (Some(client.to_owned()), Some("acme".to_owned()));
        let (owner, reason) = ("o".to_owned(), "r".to_owned());
        Written { client, ban, endless: true, owner, reason, ..Written::default() }.try_into().unwrap()
    };
    let at = |time: &str| format!("2025-03-10T{time}:00Z").parse().unwrap();
    let audit = Audit::new(dir.path());
    audit.configured(&[terms("192.0.2.8")], at("10:00")).unwrap();
    audit.grant(terms("192.0.2.7"), None, 0, at("11:00")).unwrap();
    audit.configured(&[], at("11:15")).unwrap();
    audit.revoke(2, None, at("11:30")).unwrap();
    let state = dir.path().display().to_string();
    let check = |client: &str, time: &str, expected: &str| {
        let at = format!("2025-03-10T{time}:00Z");
        verdict(&["upd.acme.example", "--state-dir", &state, "--client", client, "--at", &at], expected);
    };
    check("192.0.2.7", "10:59", "enforce");
    check("192.0.2.7", "11:00", "exempt");
    check("192.0.2.7", "11:29", "exempt");
    check("192.0.2.7", "11:30", "enforce");
    check("192.0.2.7", "13:00", "enforce");
    check("192.0.2.8", "09:59", "enforce");
    check("192.0.2.8", "11:14", "exempt");
    check("192.0.2.8", "11:15", "enforce");
}

#[test]
fn a_client_that_is_exempt_from_one_ban_is_told_which_other_one_blocks_it() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("mine.txt");
    std::fs::write(&list, "acme.example\n").unwrap();
    let written = Written {
        client: Some("192.0.2.7".to_owned()),
        ban: Some("acme".to_owned()),
        endless: true,
        owner: "J. Doe".to_owned(),
        reason: "removal tool".to_owned(),
        ..Written::default()
    };
    let granted = "2025-03-10T11:00:00Z".parse().unwrap();
    Audit::new(dir.path()).grant(written.try_into().unwrap(), None, 0, granted).unwrap();
    let (state, list) = (dir.path().display().to_string(), list.display().to_string());
    let asked = ["upd.acme.example", "--state-dir", &state, "--client", "192.0.2.7", "--list", &list];

    let explained = json_of(&asked);
    assert_eq!((&explained["verdict"], &explained["ban"]), (&json!("enforce"), &json!("mine")));
    let others: Vec<_> = explained["others"].as_array().unwrap().iter().collect();
    let row = |other: &Value| [&other["ban"], &other["pattern"], &other["why"]].map(|v| v.as_str().unwrap().to_owned());
    assert_eq!(row(others[0]), ["acme", "upd.acme.example", "the client is exempt from it"]);
    assert!(others.iter().all(|other| other["ban"] != "mine"), "{others:?}");
    let recorded: Vec<_> = others.iter().filter(|other| other["recorded"] == true).map(|other| &other["ban"]).collect();
    assert_eq!(recorded, ["acme", "widgets"]);
    let told = text(&asked);
    assert!(told.contains("  exempt    from acme alone: 1 without end; J. Doe: removal tool\n"), "{told}");
}

#[test]
fn without_a_client_no_clients_share_of_a_rollout_is_told_as_everybodys() {
    let dir = tempfile::tempdir().unwrap();
    let (config, list) = (dir.path().join("embargo.toml"), dir.path().join("mine.txt"));
    std::fs::write(&list, "b.example\n").unwrap();
    std::fs::write(&config, "state_dir = \"state\"\n[ban.mine]\nrollout = 1\n").unwrap();
    let (config, list) = (config.display().to_string(), list.display().to_string());
    let explain = |more: &[&str]| {
        let ran = run(&[&["explain", "b.example", "--config", &config, "--list", &list], more].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out
    };
    let told = explain(&[]);
    assert!(told.starts_with("ENFORCE"), "{told}");
    assert!(told.contains("  mode      enforce on 1% of clients; --client tells which\n"), "{told}");
    let told = explain(&["--client", "127.0.0.1"]);
    assert!(told.contains("the client is not among the 1% that the ban is enforced on"), "{told}");
}

#[test]
fn every_moment_that_can_be_written_is_explained() {
    for at in ["9999-12-29", "9999-12-30T22:00:00Z", "0000-01-01", "1970-01-01", "4294967295w", "0s"] {
        let expected = if at.starts_with('9') || at == "0s" { "enforce" } else { "none" };
        verdict(&["acme.example", "--at", at], expected);
        verdict(&["acme.example", "--at", at, "--answer", "192.0.2.1", "--client", "2001:db8::1"], expected);
    }
}
