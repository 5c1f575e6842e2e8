//! What no list can enforce: the root, public suffixes, protected names, and more than the limits allow.

use super::*;

/// Rules of an enforcing ban, with the protected name `ns.own.example`, and the messages they meet.
#[track_caller]
fn check(rules: &str, expected: &[&str]) {
    let (_policy, warnings) = World::protecting(&["ns.own.example"]).ban(Ban::named("v"), rules).warned();
    let messages: Vec<_> =
        warnings.iter().filter_map(|warning| warning.split("warning: ").nth(1)?.lines().next()).collect();
    assert_eq!(messages, expected, "{rules}");
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_list_enforces_the_root_a_public_suffix_or_a_protected_name() {
    check(".", &["no list can enforce the root; the rule is left out"]);
    check("=.", &["no list can enforce the root; the rule is left out"]);
    check("com", &["`com` is a public suffix, which no list can enforce; the rule is left out"]);
    check("*.co.uk", &["`co.uk` is a public suffix, which no list can enforce; the rule is left out"]);
    check("=example", &["`example` is a public suffix, which no list can enforce; the rule is left out"]);
    let protected = "this would block `ns.own.example`, which is protected; the rule is left out";
    check("own.example", &[protected]);
    check("*.own.example", &[protected]);
    check("ns.own.example", &[protected]);
    check("=ns.own.example", &[protected]);
    check("n*.own.example", &[protected]);
}

#[test]
fn no_list_enforces_a_rule_for_nearly_every_client_or_address() {
    let wide = |network: &str, least: u8| {
        format!(
            "`{network}` is nearly everybody: no list can enforce a rule for more than a /{least}; the rule is left out"
        )
    };
    for (network, least) in [("128.0.0.0/1", 8), ("192.0.0.0/7", 8), ("::/1", 16), ("2000::/3", 16), ("2000::/15", 16)]
    {
        check(&format!("client:{network}"), &[&wide(network, least)]);
    }
    check("answer:128.0.0.0/1", &[&wide("128.0.0.0/1", 4)]);
    check("answer:2000::/3", &[&wide("2000::/3", 7)]);
    check(
        "client:192.0.0.0/8\nclient:2001::/16\nanswer:224.0.0.0/4\nanswer:fc00::/7\nclient:128.0.0.0/1 c none observe",
        &[],
    );
    check("!client:128.0.0.0/1", &[]);
}

#[test]
fn rules_that_only_look_dangerous_stand() {
    let rules = "*.ns.own.example\n=own.example\nn*.a.own.example\nother.example\ngithub.io\n!own.example\n!com\n\
                 own.example c none off\n=. c none observe\n. c none observe\ncom c visit\nown.example c visit";
    check(rules, &["`own.example` stands already with other columns; the first rule is in force"]);
}

#[test]
fn a_ban_that_only_observes_may_match_anything() {
    let observing = taking(Stance { mode: Mode::Observe, ..Stance::default() }, "v");
    let policy = World::protecting(&["ns.own.example"]).ban(observing, ".\ncom\nown.example").build();
    super::check(&policy, "ns.own.example", "observe v/own.example");
    super::check(&policy, "a.com", "observe v/com");
    super::check(&policy, ".", "observe v/.");
}

#[test]
fn a_warning_points_at_the_line_and_the_rest_of_the_list_stands() {
    let (policy, warnings) = World::new().ban(Ban::named("v"), "a.example\n  com # oops\nb.example").warned();
    let shown = "v/rules.txt:2:3: warning: `com` is a public suffix, which no list can enforce; the rule is left out\n    \
                 2 |   com # oops\n      |   ^^^";
    assert_eq!(warnings, [shown]);
    super::check(&policy, "a.com", "pass");
    super::check(&policy, "b.example", "nxdomain v/b.example soa b.example");
    assert_eq!(policy.lists()[0].entries, 2);
}

#[test]
fn a_glob_enforces_names_and_never_a_public_suffix() {
    let policy = World::new().ban(Ban::named("v"), "c*.uk\nc*.example.uk\n!c*.jp").build();
    super::check(&policy, "co.uk", "pass");
    super::check(&policy, "cyber.uk", "nxdomain-as-nodata v/c*.uk soa cyber.uk");
    super::check(&policy, "co.jp", "allow v/!c*.jp");
    let observing = World::new().ban(Ban::named("v"), "c*.uk c visit").build();
    super::check(&observing, "co.uk", "observe v/c*.uk");
}

#[test]
fn globs_are_bounded_per_suffix() {
    let rules = |count: usize| lines(count, |index| format!("a{index}*.x.example"));
    check(&rules(1024), &[]);
    let refused = "more than 1024 globs below `x.example`; the rule is left out";
    check(&rules(1026), &[refused, refused]);
}

#[test]
fn attributes_are_bounded() {
    let rules = lines(65_537, |index| format!("a{index}.example c{index}"));
    let refused =
        "more than 65536 combinations of list, pattern kind, category, evidence and action; the rule is left out";
    check(&rules, &[refused]);
}

#[test]
fn a_pattern_that_stands_already_is_dropped_and_counted() {
    let rules = "a.example\nA.example.\na.example uncategorised ambiguous # again\nk*.example\nk*.example\n!a.example\n=a.example";
    let (policy, warnings) = World::new().ban(Ban::named("v"), rules).warned();
    assert_eq!(warnings, [""; 0]);
    assert_eq!((policy.lists()[0].entries, policy.lists()[0].duplicates), (4, 3));
}

#[test]
fn the_same_pattern_with_other_columns_is_dropped_and_said() {
    let mut world = World::new();
    let index = world.builder.ban(Ban::named("v"));
    world.list(index, "one", "a.example update installed\nk*.example");
    world.list(index, "two", "a.example\nb.example\nb.example web\nk*.example web");
    let (policy, warnings) = world.warned();
    assert_eq!(
        warnings,
        ["two: warning: 3 patterns stand already with other columns, `k*.example` first; the first rules are in force"]
    );
    let entries: Vec<_> = policy.lists().iter().map(|list| (list.entries, list.duplicates)).collect();
    assert_eq!(entries, [(2, 0), (1, 3)]);
    let verdict = policy.decide(&name("a.example"), qtype::A, &CLIENT, time("2030-01-01T00:00:00Z"));
    assert_eq!(verdict.decision.hit().unwrap().evidence, Evidence::Installed);
}
