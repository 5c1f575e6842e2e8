//! Verdicts over small policies, case by case.

use super::*;

#[test]
fn a_name_bans_itself_and_all_below_it_and_nothing_that_only_looks_like_it() {
    let policy = World::new().ban(Ban::named("v"), "geo.example").build();
    check(&policy, "geo.example", "nxdomain v/geo.example soa geo.example");
    check(&policy, "GEO.Example", "nxdomain v/geo.example soa geo.example");
    check(&policy, "a.b.geo.example", "nxdomain v/geo.example soa geo.example");
    check(&policy, "cybergeo.example", "pass");
    check(&policy, "geo.example.org", "pass");
    check(&policy, r"a\.geo.example", "pass");
    check(&policy, "example", "pass");
    check(&policy, ".", "pass");
}

#[test]
fn each_pattern_kind_matches_its_names_only() {
    let policy = World::new()
        .ban(Ban::named("v"), "=exact.example\n*.below.example\nksn-*.glob.example\nftp.d*.x.example")
        .build();
    check(&policy, "exact.example", "nxdomain-as-nodata v/=exact.example soa exact.example");
    check(&policy, "a.exact.example", "pass");
    check(&policy, "below.example", "pass");
    check(&policy, "a.below.example", "nxdomain v/*.below.example soa a.below.example");
    check(&policy, "b.a.below.example", "nxdomain v/*.below.example soa a.below.example");
    check(&policy, "ksn-a.glob.example", "nxdomain-as-nodata v/ksn-*.glob.example soa glob.example");
    check(&policy, "a.ksn-a.glob.example", "pass");
    check(&policy, "ksn.glob.example", "pass");
    check(&policy, "ftp.d1.x.example", "nxdomain-as-nodata v/ftp.d*.x.example soa d1.x.example");
    check(&policy, "d1.x.example", "pass");
}

#[test]
fn within_a_ban_labels_then_kind_then_allow_decide() {
    let rules = "a.example\n!b.a.example\nc.b.a.example\n=d.a.example c none observe\nd.a.example\n*.d.a.example c none sinkhole\n\
                 e.a.example\n!e.a.example\n*f.a.example c none refuse\nff.a.example c none drop\n!g*.a.example\ng*.a.example";
    let policy = World::new().ban(Ban::named("v"), rules).build();
    check(&policy, "b.a.example", "allow v/!b.a.example");
    check(&policy, "x.b.a.example", "allow v/!b.a.example");
    check(&policy, "x.c.b.a.example", "nxdomain v/c.b.a.example soa a.example");
    check(&policy, "d.a.example", "observe v/=d.a.example");
    check(&policy, "x.d.a.example", "sinkhole v/*.d.a.example soa a.example");
    check(&policy, "e.a.example", "allow v/!e.a.example");
    check(&policy, "ff.a.example", "drop v/ff.a.example soa a.example");
    check(&policy, "xf.a.example", "refuse v/*f.a.example soa a.example");
    check(&policy, "y.xf.a.example", "nxdomain v/a.example soa a.example");
    check(&policy, "g1.a.example", "allow v/!g*.a.example");
}

#[test]
fn of_two_equal_globs_the_longer_wins_and_then_the_first_by_octets() {
    let policy = World::new()
        .ban(Ban::named("v"), "ab*.x.example\na*.x.example\n*b.x.example\nab.*.y.example\na*.c.y.example")
        .build();
    check(&policy, "ab.x.example", "nxdomain-as-nodata v/ab*.x.example soa x.example");
    check(&policy, "acb.x.example", "nxdomain-as-nodata v/*b.x.example soa x.example");
    check(&policy, "ab.c.y.example", "nxdomain-as-nodata v/a*.c.y.example soa c.y.example");
}

#[test]
fn the_fourth_column_and_the_evidence_say_what_is_done() {
    let rules = "a.example c installed\nb.example c visit\nc.example c none\nd.example c visit enforce\ne.example c none drop\n\
                 f.example c installed off\ng.example c likely observe\nh.example c likely nodata";
    let policy = World::new().ban(taking(Stance { action: Action::Refuse, ..Stance::default() }, "v"), rules).build();
    check(&policy, "a.example", "refuse v/a.example soa a.example");
    check(&policy, "b.example", "observe v/b.example");
    check(&policy, "c.example", "observe v/c.example");
    check(&policy, "d.example", "refuse v/d.example soa d.example");
    check(&policy, "e.example", "drop v/e.example soa e.example");
    check(&policy, "f.example", "pass");
    check(&policy, "g.example", "observe v/g.example");
    check(&policy, "h.example", "nodata v/h.example soa h.example");
}

#[test]
fn a_rule_that_is_off_leaves_the_name_to_the_rule_above_it() {
    let policy =
        World::new().ban(Ban::named("v"), "a.example\nb.a.example c none off\n!c.a.example c none off").build();
    check(&policy, "b.a.example", "nxdomain v/a.example soa a.example");
    check(&policy, "c.a.example", "nxdomain v/a.example soa a.example");
}

#[test]
fn a_ban_caps_its_rules() {
    let rules = "a.example\nb.example c none drop\n!c.a.example";
    let off = World::new().ban(taking(Stance { mode: Mode::Off, ..Stance::default() }, "v"), rules).build();
    let observe = World::new().ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "v"), rules).build();
    for (name, capped) in [
        ("a.example", "observe v/a.example"),
        ("b.example", "observe v/b.example"),
        ("c.a.example", "allow v/!c.a.example"),
    ] {
        check(&off, name, "pass");
        check(&observe, name, capped);
    }
}

#[test]
fn bans_are_decided_apart_and_the_enforcing_one_goes_first() {
    let policy = World::new()
        .ban(Ban::named("m"), "a.example\nb.example c none observe\n!c.example\n!d.example\ne.example")
        .ban(Ban::named("z"), "a.example c none sinkhole\nb.example\nc.example\nd.example c none observe\n!e.example")
        .ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "b"), "a.example\nx.b.example")
        .build();
    check(&policy, "a.example", "nxdomain m/a.example soa a.example, sinkhole z/a.example, observe b/a.example");
    check(&policy, "x.b.example", "nxdomain z/b.example soa b.example, observe b/x.b.example, observe m/b.example");
    check(&policy, "c.example", "nxdomain z/c.example soa c.example");
    check(&policy, "d.example", "observe z/d.example");
    check(&policy, "e.example", "nxdomain m/e.example soa e.example");
}

#[test]
fn allow_is_said_only_when_no_ban_has_a_say_and_by_the_first_ban() {
    let policy = World::new()
        .ban(Ban::named("z"), "!a.example")
        .ban(Ban::named("b"), "!a.example\n!b.example")
        .ban(Ban::named("c"), "b.example c none observe")
        .build();
    check(&policy, "a.example", "allow b/!a.example");
    check(&policy, "b.example", "observe c/b.example");
}

#[test]
fn dates_lift_a_ban_from_off_to_observe_to_enforce() {
    let (observe_from, enforce_from) = (Some(time("2024-06-20T00:00:00Z")), Some(time("2024-09-29T00:00:00Z")));
    let stance = Stance { observe_from, enforce_from, ..Stance::default() };
    let dated = Ban { ttl: Duration::from_secs(3600), ..taking(stance, "v") };
    let policy = World::new().ban(dated, "a.example\nb.example c visit\n!c.a.example").build();
    let verdict = |text: &str, at: &str| {
        let cap = policy.decide(&name(text), qtype::A, &CLIENT, time(at)).ttl_cap;
        (shown(&policy, text, qtype::A, time(at)), cap)
    };
    let says = |text: &str, cap| (text.to_owned(), cap);
    let enforced = "nxdomain-as-nodata v/a.example soa a.example";
    assert_eq!(verdict("a.example", "2024-06-01T00:00:00Z"), says("pass", Some(19 * 86_400)));
    assert_eq!(verdict("a.example", "2024-06-19T23:59:58.5Z"), says("pass", Some(1)));
    assert_eq!(verdict("a.example", "2024-06-20T00:00:00Z"), says("observe v/a.example", Some(300)));
    assert_eq!(verdict("a.example", "2024-09-28T23:59:00Z"), says("observe v/a.example", Some(60)));
    assert_eq!(verdict("a.example", "2024-09-28T23:59:59.999Z"), says("observe v/a.example", Some(0)));
    assert_eq!(verdict("a.example", "2024-09-29T00:00:00Z"), says(enforced, None));
    assert_eq!(verdict("b.example", "2024-09-28T23:59:00Z"), says("observe v/b.example", Some(300)));
    assert_eq!(verdict("b.example", "2024-10-01T00:00:00Z"), says("observe v/b.example", Some(300)));
    assert_eq!(verdict("c.a.example", "2024-06-19T23:59:00Z"), says("pass", None));
    assert_eq!(verdict("c.a.example", "2024-06-20T00:00:00Z"), says("allow v/!c.a.example", None));
    assert_eq!(verdict("x.example", "2024-06-19T00:00:00Z"), says("pass", None));
}

#[test]
fn the_ttl_of_a_blocked_answer_ends_where_another_ban_takes_over() {
    let later = taking(Stance { enforce_from: Some(time("2030-01-01T00:00:10Z")), ..Stance::default() }, "a");
    let policy = World::new().ban(Ban::named("v"), "a.example").ban(later, "a.example").build();
    let ttl = |at: &str| match policy.decide(&name("a.example"), qtype::A, &CLIENT, time(at)).decision {
        Decision::Enforce(_, blocked) => blocked.ttl,
        other => panic!("{other:?}"),
    };
    assert_eq!(ttl("2029-12-31T23:00:00Z"), 30);
    assert_eq!(ttl("2030-01-01T00:00:00Z"), 10);
    assert_eq!(ttl("2030-01-01T00:00:10Z"), 30);
}

#[test]
fn nxdomain_is_said_only_where_every_name_below_gets_it() {
    let rules = "a.example\n!x.y.a.example\nb.example\nwww.b.example c visit\nc.example\nx.c.example c none sinkhole\n\
                 f.example\n!a*.z.f.example\ng.example\nx.g.example c none off\nh.example\n!a.b*.h.example";
    let policy = World::new().ban(Ban::named("v"), rules).build();
    check(&policy, "a.example", "nxdomain-as-nodata v/a.example soa a.example");
    check(&policy, "y.a.example", "nxdomain-as-nodata v/a.example soa a.example");
    check(&policy, "z.a.example", "nxdomain v/a.example soa a.example");
    check(&policy, "z.y.a.example", "nxdomain v/a.example soa a.example");
    check(&policy, "b.example", "nxdomain-as-nodata v/b.example soa b.example");
    check(&policy, "ww.b.example", "nxdomain v/b.example soa b.example");
    check(&policy, "c.example", "nxdomain-as-nodata v/c.example soa c.example");
    check(&policy, "f.example", "nxdomain-as-nodata v/f.example soa f.example");
    check(&policy, "z.f.example", "nxdomain-as-nodata v/f.example soa f.example");
    check(&policy, "b.z.f.example", "nxdomain v/f.example soa f.example");
    check(&policy, "g.example", "nxdomain v/g.example soa g.example");
    check(&policy, "h.example", "nxdomain-as-nodata v/h.example soa h.example");
    check(&policy, "b1.h.example", "nxdomain-as-nodata v/h.example soa h.example");
}

#[test]
fn what_another_ban_observes_below_leaves_nxdomain_standing_and_what_it_answers_does_not() {
    let policy = World::new()
        .ban(Ban::named("m"), "a.example\nb.example\nc.example")
        .ban(Ban::named("n"), "x.a.example c none observe\n!y.a.example\nx.b.example c none nodata\nx.c.example")
        .build();
    check(&policy, "a.example", "nxdomain m/a.example soa a.example");
    check(&policy, "b.example", "nxdomain-as-nodata m/b.example soa b.example");
    check(&policy, "c.example", "nxdomain m/c.example soa c.example");
}

#[test]
fn one_ban_that_answers_everything_below_with_nxdomain_is_enough() {
    let policy =
        World::new().ban(Ban::named("c"), "a.example\n!x.y.a.example").ban(Ban::named("d"), "a.example").build();
    check(&policy, "a.example", "nxdomain c/a.example soa a.example, nxdomain d/a.example");
    check(&policy, "x.y.a.example", "nxdomain d/a.example soa a.example");
}

#[test]
fn a_dated_ban_below_an_enforced_one_lifts_nothing() {
    let later = taking(Stance { enforce_from: Some(time("2040-01-01T00:00:00Z")), ..Stance::default() }, "a");
    let policy = World::new().ban(Ban::named("m"), "a.example").ban(later, "x.a.example").build();
    check(&policy, "a.example", "nxdomain m/a.example soa a.example");
    check(&policy, "x.a.example", "nxdomain m/a.example soa a.example, observe a/x.a.example");
}

#[test]
fn the_soa_is_owned_by_the_topmost_name_that_the_ban_enforces() {
    let rules = "a.example c none observe\nc.b.a.example\ne.d.c.b.a.example\n=f.example\n*.f.example\ng*.example.com\nh*.co.uk\nh*.x.co.uk";
    let policy = World::new()
        .ban(Ban::named("v"), rules)
        .ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "w"), "com\nuk")
        .build();
    check(&policy, "x.e.d.c.b.a.example", "nxdomain v/e.d.c.b.a.example soa c.b.a.example");
    check(&policy, "x.f.example", "nxdomain v/*.f.example soa f.example");
    let between = World::new().ban(Ban::named("v"), "*.a.example\n=b.a.example c none observe").build();
    check(&between, "d.c.b.a.example", "nxdomain v/*.a.example soa c.b.a.example");
    check(&policy, "g1.example.com", "nxdomain-as-nodata v/g*.example.com soa example.com, observe w/com");
    check(&policy, "h1.co.uk", "nxdomain-as-nodata v/h*.co.uk soa h1.co.uk, observe w/uk");
    check(&policy, "h1.x.co.uk", "nxdomain-as-nodata v/h*.x.co.uk soa x.co.uk, observe w/uk");
}

#[test]
fn ds_directly_below_a_public_suffix_is_asked_of_the_parent() {
    let policy = World::new()
        .ban(
            Ban::named("v"),
            "vendor.com\nvendor.co.uk\n=vendor.org c none observe\ngithub.io\n=a.github.io\nb.example",
        )
        .build();
    let at = time("2030-01-01T00:00:00Z");
    let ds = |text: &str| shown(&policy, text, qtype::DS, at);
    assert_eq!(ds("vendor.com"), "pass");
    assert_eq!(ds("vendor.co.uk"), "pass");
    assert_eq!(ds("vendor.org"), "pass");
    assert_eq!(ds("b.example"), "pass");
    assert_eq!(ds("a.vendor.com"), "nxdomain v/vendor.com soa vendor.com");
    assert_eq!(ds("a.github.io"), "nxdomain v/=a.github.io soa github.io");
    assert_eq!(ds("b.github.io"), "nxdomain v/github.io soa github.io");
    assert_eq!(shown(&policy, "vendor.com", qtype::DNSKEY, at), "nxdomain v/vendor.com soa vendor.com");
    assert_eq!(policy.decide(&name("vendor.com"), qtype::DS, &CLIENT, at).ttl_cap, None);
    let apart = World::new().ban(Ban::named("a"), "=a.github.io").ban(Ban::named("b"), "github.io").build();
    let expected = "nxdomain a/=a.github.io soa a.github.io, nxdomain b/github.io";
    assert_eq!(shown(&apart, "a.github.io", qtype::DS, at), expected);
}

#[test]
fn a_hit_says_what_the_record_needs() {
    let policy = World::new()
        .ban(Ban::named("v"), "a.example update installed\nb.example update installed\nc.example web visit")
        .build();
    let verdict = policy.decide(&name("x.b.example"), qtype::A, &CLIENT, time("2030-01-01T00:00:00Z"));
    let hit = verdict.decision.hit().unwrap();
    assert_eq!((&**hit.category, hit.evidence, hit.allow), ("update", Evidence::Installed, false));
    assert_eq!((&*hit.list.name, hit.ban_index, &*hit.ban.id), ("v/rules.txt", BanIndex(0), "v"));
    let series = Series { ban: "v".into(), category: "update".into(), evidence: Evidence::Installed };
    assert_eq!(policy.series()[hit.series], series);
    assert_eq!(policy.series().len(), 2);
}
