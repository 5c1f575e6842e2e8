//! Lists on the command line: what is told of them, and what is written for others.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::tests::{json_of, run};

const CONFIG: &str = "tests/fixtures/cli/embargo.toml";

fn written(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn lint_tells_the_format_and_every_bad_line_and_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let good = written(directory.path(), "good.txt", "0.0.0.0 a.example b.example\n");
    let bad = written(directory.path(), "bad.txt", "||a.example^\n||b.example^$third-party\n");

    let ran = run(&["lists", "lint", &good]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, format!("{good}: hosts, as its first lines tell; 2 rules, 0 lines not understood\n"));

    let ran = run(&["lists", "lint", &good, &bad, "--json"]);
    let linted: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &linted["ok"]), (1, &json!(false)));
    let file = &linted["files"][1];
    assert_eq!((&file["format"], &file["rules"], &file["bad_lines"]), (&json!("adblock"), &json!(1), &json!(1)));
    assert_eq!((&file["diagnostics"][0]["line"], &file["diagnostics"][0]["column"]), (&json!(2), &json!(14)));

    let ran = run(&["lists", "lint", &bad, "--format", "hosts"]);
    assert!(ran.code == 1 && ran.err.contains(&format!("{bad}:1:1: warning: ")), "{}", ran.err);
    for (name, text) in [("empty.txt", ""), ("page.txt", "<!DOCTYPE html>\n404\n")] {
        assert_eq!(run(&["lists", "lint", &written(directory.path(), name, text)]).code, 1, "{name}");
    }
    assert_eq!(run(&["lists", "lint", "/nowhere/x.txt"]).code, 1);
    assert_eq!(run(&["lists", "lint", &good, "--format", "host"]).code, 2);
}

#[test]
fn lint_tells_what_is_too_much_in_a_list_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        "www.a.example\na.example\n!b.example\nb.example\nA.example\nc.example x ambiguous drop\nc.example\nco.uk\n";
    let list = written(directory.path(), "list.txt", text);
    let ran = run(&["lists", "lint", &list]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.err.replace(&list, "list.txt"), @r"
    list.txt:8:1: warning: `co.uk` is a public suffix, which no list can enforce; the rule is left out
        8 | co.uk
          | ^^^^^
    list.txt:4:1: warning: line 3 says the opposite of the same pattern; the one that allows is in force
        4 | b.example
          | ^^^^^^^^^
    list.txt:7:1: warning: line 6 says something else of the same pattern; the first of them is in force
        7 | c.example
          | ^^^^^^^^^
    list.txt:5:1: warning: stands already in line 2
        5 | A.example
          | ^^^^^^^^^
    list.txt:1:1: warning: is covered by `a.example` in line 2
        1 | www.a.example
          | ^^^^^^^^^^^^^
    ");
    let expected = "list.txt: rules, as its first lines tell; 8 rules, 1 refused, 1 twice, 2 contradicted, 1 covered, \
                    0 lines not understood\n";
    assert_eq!(ran.out.replace(&list, "list.txt"), expected);

    let many: Vec<String> = (0..50).map(|number| format!("n{number}.example.org")).collect();
    let many = written(directory.path(), "many.txt", &format!("{}\nexample.org\n", many.join("\n")));
    let linted: Value = serde_json::from_str(&run(&["lists", "lint", &many, "--json"]).out).unwrap();
    let file = &linted["files"][0];
    assert_eq!((&file["covered"], &file["duplicates"]), (&json!(50), &json!(0)));
    assert_eq!(file["diagnostics"].as_array().unwrap().len(), 21);
    assert_eq!(file["diagnostics"][20]["message"], "30 more rules that a broader one covers");

    // One line for each family of addresses is no mistake.
    let both = written(directory.path(), "hosts", "0.0.0.0 a.example\n:: a.example\n");
    assert_eq!(run(&["lists", "lint", &both]).code, 0);
}

#[test]
fn lint_counts_as_refused_the_globs_that_a_policy_has_no_room_for() {
    let directory = tempfile::tempdir().unwrap();
    let text: Vec<_> = (0..3_000).map(|number| format!("n{number}*.a.example\n")).collect();
    let list = written(directory.path(), "globs.txt", &(text.concat() + "n0*.a.example\nx*.b.example\n"));
    let ran = run(&["lists", "lint", &list]);
    assert!(ran.out.contains("; 3002 rules, 1976 refused, 1 twice, 0 lines"), "{}", ran.out);
    assert!(ran.err.contains("globs.txt:1025:1: warning: more than 1024 globs below `a.example`;"), "{}", ran.err);
}

#[test]
fn lint_takes_the_addresses_of_a_name_in_a_policy_zone_as_one_rule() {
    let directory = tempfile::tempdir().unwrap();
    let head = "$TTL 30\n@ SOA localhost. root.localhost. 1 3600 600 86400 30\n@ NS localhost.\n";
    let both =
        "a.example A 0.0.0.0\na.example AAAA 2001:db8::1\na.example A 192.0.2.1\nb.example A 192.0.2.1\n  AAAA ::\n";
    let list = written(directory.path(), "zone.rpz", &format!("{head}{both}"));
    let ran = run(&["lists", "lint", &list, "--format", "rpz"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let other = format!("{head}a.example CNAME .\na.example A 192.0.2.1\n");
    let ran = run(&["lists", "lint", &written(directory.path(), "other.rpz", &other), "--format", "rpz"]);
    assert!(ran.code == 1 && ran.out.contains("1 contradicted"), "{} {}", ran.out, ran.err);
}

#[test]
fn export_writes_the_bans_in_force_and_tells_what_the_format_can_not_say() {
    let ran = run(&["lists", "export", "--format", "rpz", "--config", CONFIG, "--ban", "acme"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    ; Bans of Embargo as of 2025-03-10T12:00:00.123Z: acme
    ; Names that are observed or excepted are let through, but for those that a line here tells of. Clients that are exempt here are blocked there.
    $TTL 30
    @ SOA localhost. hostmaster.localhost. 1741608000 3600 600 86400 30
    @ NS localhost.
    acme.example CNAME *.
    *.acme.example CNAME .
    upd.acme.example CNAME .
    *.upd.acme.example CNAME .
    www.acme.example CNAME rpz-passthru.
    *.www.acme.example CNAME .
    status.acme.example CNAME rpz-passthru.
    *.status.acme.example CNAME rpz-passthru.
    ");
    let ran = run(&["lists", "export", "--format", "domains", "--config", CONFIG]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.starts_with("`domains` can't say all of it (2):\n"), "{}", ran.err);
    assert_eq!(ran.out.matches("# Not said here: ").count(), 2);
    let ran = run(&["lists", "export", "--format", "rpz", "--config", CONFIG, "--ban", "x"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("unknown ban `x`; known bans: acme, widgets"), "{}", ran.err);
}

#[test]
fn diff_shows_rules_and_the_names_for_which_something_else_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let old = written(directory.path(), "old.txt", "a.example\nb.example\nc.example web visit\n");
    let new = written(directory.path(), "new.txt", "a.example\n!ok.a.example\nc.example web ambiguous\nx.a.example\n");
    let ran = run(&["lists", "diff", &old, &new]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    - b.example uncategorised ambiguous enforce
    + x.a.example uncategorised ambiguous enforce
    + !ok.a.example uncategorised ambiguous allow
    < c.example web visit observe
    > c.example web ambiguous enforce
    = b.example: nxdomain -> none
    = *.b.example: nxdomain -> none
    = c.example: observe -> nxdomain
    = *.c.example: observe -> nxdomain
    = ok.a.example: nxdomain -> allow
    = *.ok.a.example: nxdomain -> allow
    2 rules added, 1 removed, 1 changed; 6 verdicts changed
    ");
    let different = json_of(&["lists", "diff", &old, &new, "--json"]);
    assert_eq!(different["removed"][0]["pattern"], "b.example");
    assert_eq!(different["verdicts"].as_array().unwrap().len(), 6);
    assert_eq!(run(&["lists", "diff", &old, "/nowhere"]).code, 1);
}

#[test]
fn diff_shows_what_a_glob_changes_and_takes_plain_names_for_rules_beside_rules() {
    let directory = tempfile::tempdir().unwrap();
    let old = written(directory.path(), "old.txt", "a.example\nb.example\n");
    let new = written(directory.path(), "new.txt", "a.example\nb.example\n!c*.a.example\n");
    let ran = run(&["lists", "diff", &old, &new]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    + !c*.a.example uncategorised ambiguous allow
    = c*.a.example: nxdomain -> allow
    1 rules added, 0 removed, 0 changed; 1 verdicts changed
    ");
}
