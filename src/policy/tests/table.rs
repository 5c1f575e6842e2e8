//! The compiled table: what a name costs, that every one is found, and that the same list twice costs once.

use super::*;

/// A policy of one plain list with this many names of 20 characters.
fn plain(count: usize) -> Policy {
    let mut builder = PolicyBuilder::new(3, Vec::new());
    let index = builder.ban(Ban::named("list"));
    let list = builder.list(ListInfo::new("list", index, ListFormat::Domains, "00"));
    for number in 0..count {
        let pattern = Pattern::parse(&format!("n{number:011}.example")).unwrap();
        let rule = Rule { pattern, category: LISTED.into(), evidence: Evidence::Ambiguous, does: None };
        builder.rule(list, &rule).unwrap();
    }
    builder.build(1).0
}

#[test]
fn a_name_of_20_characters_costs_at_most_40_octets() {
    for count in [10_000, 100_000] {
        let policy = plain(count);
        let each = policy.memory_bytes() / count;
        assert!(each <= 40, "{each} octets a name at {count}");
    }
}

#[test]
fn every_name_of_a_large_list_is_found_and_its_neighbours_are_not() {
    let policy = plain(100_000);
    let at = time("2030-01-01T00:00:00Z");
    for number in 0..100_000 {
        let banned = name(&format!("x.n{number:011}.example"));
        assert!(matches!(policy.decide(&banned, qtype::A, &CLIENT, at).decision, Decision::Enforce(..)), "{banned}");
    }
    for number in 100_000..200_000 {
        let other = name(&format!("n{number:011}.example"));
        assert!(matches!(policy.decide(&other, qtype::A, &CLIENT, at).decision, Decision::Pass), "{other}");
    }
}

#[test]
fn looking_ahead_reads_the_rule_of_each_name_and_never_more_than_it_has_room_for() {
    let policy = plain(100_000);
    let listed = |count: usize| (0..count).map(|number| name(&format!("x.n{:011}.example", number * 97)));
    let mut ahead = Ahead::default();
    assert_eq!(policy.look_ahead(listed(64), &mut ahead), 64);
    assert_eq!(policy.look_ahead([name("n1.example"), name("."), name("example")].into_iter(), &mut ahead), 0);
    let most = policy.look_ahead(listed(1_000), &mut ahead);
    assert!((64..1_000).contains(&most), "{most}");
}

#[test]
fn no_name_is_asked_for_ahead_of_a_small_table() {
    let names = std::iter::from_fn(|| -> Option<LowerName> { panic!("a name was asked for") });
    assert_eq!(plain(1_000).look_ahead(names, &mut Ahead::default()), 0);
}

#[test]
fn a_list_that_stands_twice_costs_its_memory_once() {
    let mut builder = PolicyBuilder::new(3, Vec::new());
    let index = builder.ban(Ban::named("list"));
    for round in 0..2 {
        let list = builder.list(ListInfo::new(format!("list {round}"), index, ListFormat::Domains, "00"));
        for number in 0..50_000 {
            let pattern = Pattern::parse(&format!("n{number:011}.example")).unwrap();
            let rule = Rule { pattern, category: LISTED.into(), evidence: Evidence::Ambiguous, does: None };
            builder.rule(list, &rule).unwrap();
        }
    }
    let (policy, _warnings) = builder.build(7);
    assert_eq!(
        policy.lists().iter().map(|list| (list.entries, list.duplicates)).collect::<Vec<_>>(),
        [(50_000, 0), (0, 50_000)]
    );
    // The slots are made before the duplicates are known.
    assert!(policy.memory_bytes() <= 50_000 * 50, "{}", policy.memory_bytes());
    assert_eq!(policy.generation(), 7);
}

#[test]
fn a_policy_without_rules_passes_everything() {
    let policy = World::new().ban(Ban::named("v"), "").build();
    check(&policy, "a.example", "pass");
    check(&policy, ".", "pass");
    check(&PolicyBuilder::new(0, Vec::new()).build(1).0, "a.example", "pass");
}

#[test]
fn names_of_127_labels_are_rules_too() {
    let of = |labels: usize| vec!["a"; labels].join(".");
    assert!(Pattern::parse(&of(128)).is_err());
    let rules = format!("{} c none observe\na.a.a\n!b.{}", of(127), of(125));
    let policy = World::new().ban(Ban::named("v"), &rules).build();
    let at = time("2030-01-01T00:00:00Z");
    assert_eq!(shown(&policy, &of(127), qtype::A, at), format!("observe v/{}", of(127)));
    assert_eq!(shown(&policy, &of(126), qtype::A, at), "nxdomain-as-nodata v/a.a.a soa a.a.a");
    assert_eq!(shown(&policy, &format!("b.{}", of(125)), qtype::A, at), format!("allow v/!b.{}", of(125)));
}

#[test]
fn rules_at_every_label_of_a_name_are_all_found() {
    let names: Vec<_> = (2..=40).map(|labels| vec!["a"; labels].join(".")).collect();
    let policy = World::new()
        .ban(Ban::named("v"), &names.join("\n"))
        .ban(Ban::named("w"), &names.join(" c none observe\n"))
        .build();
    check(&policy, "a.a", "nxdomain v/a.a soa a.a, observe w/a.a");
    let deepest = names.last().unwrap();
    check(&policy, &format!("b.{deepest}"), &format!("nxdomain v/{deepest} soa a.a, nxdomain w/{deepest}"));
    let explained = policy.explain(&name(deepest), qtype::A, &CLIENT, time("2030-01-01T00:00:00Z"));
    assert_eq!(explained.candidates.len(), 2 * names.len());
}
