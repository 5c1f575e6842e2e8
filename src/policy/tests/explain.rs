//! Which rules are named beside a verdict, and why each of them lost.

use super::*;

/// The candidates in order: `ban/pattern effect: why it lost`, the winner without a reason.
#[track_caller]
fn check(policy: &Policy, text: &str, qtype: u16, at: &str, expected: &[&str]) {
    let asked = name(text);
    let explanation = policy.explain(&asked, qtype, &CLIENT, time(at));
    let line = |candidate: &Candidate<'_>| {
        let Candidate { hit, lost } = candidate;
        let lost = lost.map_or(String::new(), |lost| format!(": {}", lost.as_str()));
        format!("{}/{} {}{lost}", hit.ban.id, hit.pattern, hit.effect.as_str())
    };
    assert_eq!(explanation.candidates.iter().map(line).collect::<Vec<_>>(), expected, "{text}");
    let decided = explanation.verdict.decision.hit().is_some();
    assert_eq!(
        explanation.candidates.iter().filter(|candidate| candidate.lost.is_none()).count(),
        usize::from(decided)
    );
}

#[test]
fn every_rule_is_shown_with_the_reason_it_lost() {
    let rules = "a.example\nb.a.example\n=a.example\n*.b.a.example\nb*.a.example\n!b*.a.example\nb.a.example c none off\n=b.a.example c none off";
    let (policy, _warnings) = World::new()
        .ban(Ban::named("v"), rules)
        .ban(taking(Stance { mode: Mode::Off, ..Stance::default() }, "o"), "a.example")
        .ban(taking(Stance { observe_from: Some(time("2040-01-01T00:00:00Z")), ..Stance::default() }, "n"), "a.example")
        .ban(Ban::named("w"), "!b.a.example\na.example")
        .ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "x"), "a.example")
        .ban(Ban::named("y"), "a.example c none drop")
        .warned();
    check(
        &policy,
        "b.a.example",
        qtype::A,
        "2030-01-01T00:00:00Z",
        &[
            "v/b.a.example nxdomain",
            "n/a.example off: ban not in force then, or not for this client",
            "o/a.example off: ban off",
            "v/=b.a.example off: rule off",
            "v/*.b.a.example nxdomain: matches only below this name",
            "v/!b*.a.example allow: less specific",
            "v/b*.a.example nxdomain: less specific",
            "v/=a.example nxdomain: matches another name only",
            "v/a.example nxdomain: less specific",
            "w/!b.a.example allow: allows in its own ban only",
            "w/a.example nxdomain: less specific",
            "x/a.example observe: other ban enforced first",
            "y/a.example drop: other ban enforced first",
        ],
    );
}

#[test]
fn a_verdict_that_is_no_block_is_explained_too() {
    let policy = World::new()
        .ban(Ban::named("a"), "!x.example\nc*.uk\nvendor.com")
        .ban(Ban::named("b"), "!x.example")
        .ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "c"), "y.example")
        .ban(taking(Stance { mode: Mode::Observe, ..Stance::default() }, "d"), "y.example")
        .build();
    let at = "2030-01-01T00:00:00Z";
    check(&policy, "x.example", qtype::A, at, &["a/!x.example allow", "b/!x.example allow: other ban first"]);
    check(&policy, "y.example", qtype::A, at, &["c/y.example observe", "d/y.example observe: other ban first"]);
    check(&policy, "co.uk", qtype::A, at, &["a/c*.uk nxdomain: a glob can't enforce a public suffix"]);
    check(&policy, "vendor.com", qtype::DS, at, &["a/vendor.com nxdomain: DS belongs to the parent zone"]);
    check(&policy, "z.example", qtype::A, at, &[]);
}

#[test]
fn a_policy_about_one_name_says_of_it_what_the_whole_one_says() {
    let rules = "a.example\nb.a.example\n!c.b.a.example\n=a.example x visit\n*.d.example\nk*.a.example\nother.test\nx.other.test";
    for asked in [
        "a.example",
        "b.a.example",
        "x.c.b.a.example",
        "d.example",
        "y.d.example",
        "k1.a.example",
        "other.test",
        "test",
    ] {
        let mut few = World::new();
        few.builder = PolicyBuilder::new(1, Vec::new()).about(Some(name(asked)));
        let (few, whole) = (few.ban(Ban::named("v"), rules).build(), World::new().ban(Ban::named("v"), rules).build());
        let told = |policy: &Policy| {
            let explanation = policy.explain(&name(asked), qtype::A, &CLIENT, time("2030-01-01T00:00:00Z"));
            let blocked = match explanation.verdict.decision {
                Decision::Enforce(_, blocked) => Some(blocked),
                _ => None,
            };
            let line = |candidate: &Candidate<'_>| format!("{} {:?}", candidate.hit.pattern, candidate.lost);
            (
                explanation.verdict.decision.as_str(),
                blocked,
                explanation.candidates.iter().map(line).collect::<Vec<_>>(),
            )
        };
        assert_eq!(told(&few), told(&whole), "{asked}");
    }
}
