//! What is written is read again as the same verdicts, in every format that can say them.

mod elsewhere;

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::diag::Source;
use crate::policy::{Action, Ban, Client, Decision, ListFormat, ListInfo, PolicyBuilder, Share, Stance, Strictness};
use crate::wire::{LowerName, Name, qtype};

fn policy(format: ListFormat, text: &str) -> Policy {
    protecting(&[], format, text)
}

fn protecting(protected: &[&str], format: ListFormat, text: &str) -> Policy {
    let protected = protected.iter().map(|name| Name::parse(name).unwrap()).collect();
    let ban = Ban {
        sinkhole_v4: vec![Ipv4Addr::new(192, 0, 2, 1)],
        sinkhole_v6: vec!["2001:db8::1".parse().unwrap()],
        ..Ban::named("v")
    };
    let mut builder = PolicyBuilder::new(0x5EED, protected);
    let ban = builder.ban(ban);
    let list = builder.list(ListInfo::new("list", ban, format, ""));
    let parsed = format.parse(&Source::new("list", text), Strictness::Strict, &mut |rule, _line| {
        builder.rule(list, rule).unwrap();
    });
    assert_eq!(parsed.diagnostics, [], "{text}");
    builder.build(1).0
}

fn export(policy: &Policy, format: ExportFormat) -> (String, Exported) {
    let mut out = Vec::new();
    let exported = policy.export(format, Timestamp::UNIX_EPOCH, &|_ban| true, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), exported)
}

/// How a name is answered; `None`: it is let through.
fn answer(policy: &Policy, name: &LowerName) -> Option<&'static str> {
    let client = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
    match policy.decide(name, qtype::A, &client, Timestamp::UNIX_EPOCH).decision {
        Decision::Pass | Decision::Allow(_) | Decision::Observe(_) => None,
        Decision::Enforce(_, blocked) if blocked.action == Action::Nxdomain && !blocked.nxdomain => Some("nodata"),
        Decision::Enforce(_, blocked) => Some(blocked.action.as_str()),
    }
}

/// The text without its head.
#[track_caller]
fn check(rules: &str, format: ExportFormat, expected: &[&str]) {
    let (text, exported) = export(&policy(ListFormat::Rules, rules), format);
    let lines: Vec<_> = text.lines().skip(if format == ExportFormat::Rpz { 5 } else { 2 }).collect();
    assert_eq!(lines, expected, "{rules}");
    assert_eq!(exported.unsaid, lines.iter().filter(|line| line.contains("Not said here: ")).count());
    assert_eq!(exported.shown.len(), exported.unsaid.min(20));
}

const RULES: &str = "\
geo.example
!ok.geo.example
=one.example c none sinkhole
*.sub.example
off.geo.example c none off
seen.example c visit
";

#[test]
fn a_policy_zone_has_every_name_and_what_is_below_it() {
    check(
        RULES,
        ExportFormat::Rpz,
        &[
            "geo.example CNAME *.",
            "*.geo.example CNAME .",
            "ok.geo.example CNAME rpz-passthru.",
            "*.ok.geo.example CNAME rpz-passthru.",
            "one.example A 192.0.2.1",
            "one.example AAAA 2001:db8::1",
            "*.sub.example CNAME .",
        ],
    );
    check(
        "a.example c none drop\nb.example c none refuse\nksn-*.geo.example\n",
        ExportFormat::Rpz,
        &[
            "; Not said here: `ksn-*.geo.example`: no `*` inside a label",
            "a.example CNAME rpz-drop.",
            "*.a.example CNAME rpz-drop.",
            "; Not said here: `b.example` is refused here; there it does not exist",
            "b.example CNAME .",
            "; Not said here: `*.b.example` is refused here; there it does not exist",
            "*.b.example CNAME .",
        ],
    );
}

const NETWORKS: &str = "\
answer:192.0.2.0/24
!answer:192.0.2.128/25
answer:192.0.2.7 c none observe
answer:2001:db8::/32 c none sinkhole
!answer:198.51.100.0/24
client:203.0.113.0/24
!client:203.0.113.9
!client:198.51.100.9
client:2001:db8::9 c none drop
";

#[test]
fn a_protected_name_stands_in_front_of_networks_of_answers_in_a_policy_zone() {
    let names = ["time.example", "vpn.geo.example", "a.example"];
    let rules = "answer:192.0.2.0/24\n*.time.example\n=geo.example\na.example c none observe\n";
    let policy = protecting(&names, ListFormat::Rules, rules);
    let (text, exported) = export(&policy, ExportFormat::Rpz);
    let lines: Vec<_> = text.lines().skip(5).collect();
    let expected = [
        "; Protected names are let through, by zones behind this one too.",
        "; Not said here: public suffixes that lead to a network of these: they are let through here",
        "a.example CNAME rpz-passthru.",
        "geo.example CNAME *.",
        "vpn.geo.example CNAME rpz-passthru.",
        "time.example CNAME rpz-passthru.",
        "*.time.example CNAME .",
        "24.0.2.0.192.rpz-ip CNAME *.",
    ];
    assert_eq!((lines.as_slice(), exported.unsaid), (&expected[..], 1));
    // Who reads it judges the same.
    let read = self::policy(ListFormat::Rpz, &text);
    for name in ["time.example", "x.time.example", "vpn.geo.example", "a.example", "www.example"] {
        let name = LowerName::parse(name).unwrap();
        let judge = |policy: &Policy| {
            let (address, client) = ("192.0.2.7".parse().unwrap(), Client::NOBODY);
            let spoken = |ban| policy.has_spoken(ban, &name, &client);
            let of_answer = policy.decide_address(address, &name, &client, Timestamp::UNIX_EPOCH, spoken);
            (answer(policy, &name), matches!(of_answer.decision, Decision::Enforce(..)))
        };
        assert_eq!(judge(&read), judge(&policy), "{name}");
    }
    let none = export(&protecting(&names, ListFormat::Rules, "other.example\n"), ExportFormat::Rpz).0;
    assert!(!none.contains("passthru"), "nothing takes them from anybody: {none}");
}

#[test]
fn networks_of_answers_and_clients_stand_in_a_policy_zone_and_in_no_other_format() {
    let lines = [
        "; Protected names are let through, by zones behind this one too.",
        "; Not said here: public suffixes that lead to a network of these: they are let through here",
        "; Not said here: protected names for clients that are blocked: they are let through here",
        "24.0.2.0.192.rpz-ip CNAME *.",
        "32.7.2.0.192.rpz-ip CNAME rpz-passthru.",
        "25.128.2.0.192.rpz-ip CNAME rpz-passthru.",
        "32.zz.db8.2001.rpz-ip A 192.0.2.1",
        "32.zz.db8.2001.rpz-ip AAAA 2001:db8::1",
        "32.9.100.51.198.rpz-client-ip CNAME rpz-passthru.",
        "24.0.113.0.203.rpz-client-ip CNAME .",
        "32.9.113.0.203.rpz-client-ip CNAME rpz-passthru.",
        "128.9.zz.db8.2001.rpz-client-ip CNAME rpz-drop.",
    ];
    check(NETWORKS, ExportFormat::Rpz, &lines);
    check("answer:192.0.2.1\n", ExportFormat::Hosts, &["# Not said here: `answer:192.0.2.1`: no networks"]);
}

#[test]
fn networks_that_are_read_again_give_the_same_verdicts() {
    let original = policy(ListFormat::Rules, NETWORKS);
    let again = policy(ListFormat::Rpz, &export(&original, ExportFormat::Rpz).0);
    let name = LowerName::parse("a.example").unwrap();
    let blocks = |policy: &Policy, address: &str| {
        let address = address.parse().unwrap();
        let client = Client::at(address);
        let asked = policy.decide(&name, qtype::A, &client, Timestamp::UNIX_EPOCH).decision;
        let nobody = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let led = policy.decide_address(address, &name, &nobody, Timestamp::UNIX_EPOCH, |_ban| false).decision;
        [asked, led].map(|decision| matches!(decision, Decision::Enforce(..)))
    };
    for address in
        ["192.0.2.1", "192.0.2.7", "192.0.2.200", "198.51.100.1", "198.51.100.9", "203.0.113.1", "203.0.113.9"]
    {
        assert_eq!(blocks(&original, address), blocks(&again, address), "{address}");
    }
    assert_eq!(blocks(&again, "2001:db8::9"), [true, true]);
}

#[test]
fn what_a_format_can_not_say_is_a_comment_and_never_left_out() {
    check(
        RULES,
        ExportFormat::Hosts,
        &[
            "# Not said here: some names are answered by `sinkhole` here: there as all others are",
            "0.0.0.0 geo.example",
            "# Not said here: names below `geo.example`",
            "0.0.0.0 one.example",
            "# Not said here: names below `sub.example`",
        ],
    );
    check(
        RULES,
        ExportFormat::Domains,
        &[
            "# Not said here: some names are answered by `sinkhole` here: there as all others are",
            "geo.example",
            "# Not said here: `ok.geo.example` and names below it are let through",
            "# Not said here: `one.example` alone",
            "# Not said here: names below `sub.example` without itself",
        ],
    );
    check(
        RULES,
        ExportFormat::Dnsmasq,
        &[
            "address=/geo.example/",
            "server=/ok.geo.example/#",
            "# Not said here: `one.example` alone",
            "# Not said here: names below `sub.example` without itself",
        ],
    );
    check(
        RULES,
        ExportFormat::Unbound,
        &[
            "local-zone: \"geo.example.\" always_nxdomain",
            "local-zone: \"ok.geo.example.\" always_transparent",
            "# Not said here: `one.example` alone by sinkhole; there it is 0.0.0.0",
            "local-zone: \"one.example.\" transparent",
            "local-data: \"one.example. A 0.0.0.0\"",
            "local-data: \"one.example. AAAA ::\"",
            "# Not said here: names below `sub.example` without itself",
        ],
    );
    check(
        "geo.example\n!ok.geo.example\nbad.ok.geo.example\n!=x.bad.ok.geo.example\n=one.example\n*.sub.example\n",
        ExportFormat::Adblock,
        &[
            "||geo.example^",
            "@@||ok.geo.example^",
            "||bad.ok.geo.example^$important",
            "@@|x.bad.ok.geo.example^$important",
            "|one.example^",
            "||*.sub.example^",
        ],
    );
    let lost = |action| format!("! Not said here: some names are answered by `{action}` here: there as all others are");
    let rules = "a.example c none drop\nb.example c none refuse\n=c.example c none nodata\n";
    check(
        rules,
        ExportFormat::Adblock,
        &[&lost("refuse"), &lost("drop"), "||a.example^", "||b.example^", "|c.example^"],
    );
}

fn rule(suffixes: bool) -> impl Strategy<Value = String> {
    let kinds = if suffixes { vec!["", "", "!"] } else { vec!["", "=", "*.", "!", "!=", "!*."] };
    let does = vec![
        "",
        "",
        " c none nodata",
        " c none drop",
        " c none sinkhole",
        " c none observe",
        " c none off",
        " c none refuse",
    ];
    (prop::sample::select(kinds), "([abc]\\.){0,3}geo\\.example", prop::sample::select(does))
        .prop_map(|(kind, name, does)| format!("{kind}{name}{}\n", if kind.starts_with('!') { "" } else { does }))
}

fn rules() -> impl Strategy<Value = String> {
    any::<bool>().prop_flat_map(|suffixes| prop::collection::vec(rule(suffixes), 1..9)).prop_map(|rules| rules.concat())
}

/// The formats, and what reads each.
const FORMATS: [(ExportFormat, ListFormat); 6] = [
    (ExportFormat::Rpz, ListFormat::Rpz),
    (ExportFormat::Hosts, ListFormat::Hosts),
    (ExportFormat::Domains, ListFormat::Domains),
    (ExportFormat::Unbound, ListFormat::Unbound),
    (ExportFormat::Dnsmasq, ListFormat::Dnsmasq),
    (ExportFormat::Adblock, ListFormat::Adblock),
];

/// Names of which something is not said.
fn unsaid(text: &str) -> Vec<LowerName> {
    let lines = text.lines().filter_map(|line| line.split_once("Not said here: "));
    let names = lines.filter_map(|(_comment, rest)| rest.split('`').nth(1));
    let plain = |name: &str| name.trim_matches(['@', '|', '^', '*', '.']).to_owned();
    names.map(|name| LowerName::parse(&plain(name)).unwrap()).collect()
}

/// A policy in every format, read again: the same verdicts, but for what the text says that it does not say.
fn check_every_format(original: &Policy, names: &[String]) -> Result<(), TestCaseError> {
    for (format, read_as) in FORMATS {
        let (text, exported) = export(original, format);
        let again = policy(read_as, &text);
        let unsaid = unsaid(&text);
        prop_assert!(unsaid.len() == exported.unsaid, "{}", text);
        for name in names {
            let name = LowerName::parse(name).unwrap();
            let (old, new) = (answer(original, &name), answer(&again, &name));
            let is_said = !unsaid.iter().any(|unsaid| name.is_below(unsaid));
            match format {
                ExportFormat::Rpz if is_said => prop_assert_eq!(old, new, "{} {}", name, text),
                // Refused there, it does not exist here.
                ExportFormat::Rpz => prop_assert_eq!(old.is_some(), new.is_some(), "{} {}", name, text),
                _ if is_said => prop_assert_eq!(old.is_some(), new.is_some(), "{:?} {} {}", format, name, text),
                // What is only for itself there blocks no more than it should.
                ExportFormat::Hosts => prop_assert!(new.is_none() || old.is_some(), "{} {}", name, text),
                _ => (),
            }
        }
    }
    Ok(())
}

/// Lists as others write them, in a format each.
fn foreign() -> impl Strategy<Value = (ListFormat, String)> {
    const LINES: [(ListFormat, &[&str]); 6] = [
        (ListFormat::Domains, &["%"]),
        (ListFormat::Hosts, &["0.0.0.0 %", ":: %", "127.0.0.1 x.% %"]),
        (
            ListFormat::Adblock,
            &[
                "||%^",
                "|%^",
                "||*.%^",
                "@@||%^",
                "@@|%^|",
                "||%^$important",
                "||%^$denyallow=a.%|x.test",
                "||%^$dnsrewrite=NXDOMAIN",
                "||%^$dnsrewrite=REFUSED",
                "||%^$dnsrewrite=NOERROR",
                "||%^$important,dnsrewrite=192.0.2.5",
            ],
        ),
        (
            ListFormat::Dnsmasq,
            &["address=/%/", "address=/%/192.0.2.5", "address=/%/0.0.0.0", "server=/%/#", "local=/%/"],
        ),
        (
            ListFormat::Unbound,
            &[
                "local-zone: \"%.\" always_nxdomain",
                "local-zone: \"%.\" always_nodata",
                "local-zone: \"%.\" always_refuse",
                "local-zone: \"%.\" always_transparent",
                "local-zone: \"%\" static",
            ],
        ),
        (
            ListFormat::Rpz,
            &[
                "% CNAME .",
                "*.% CNAME .",
                "% CNAME *.",
                "*.% CNAME *.",
                "% CNAME rpz-passthru.",
                "*.% CNAME rpz-passthru.",
                "*.% CNAME rpz-drop.",
                "% A 192.0.2.5",
            ],
        ),
    ];
    prop::sample::select(LINES.to_vec()).prop_flat_map(|(format, lines)| {
        let line = (prop::sample::select(lines.to_vec()), "([abc]\\.){0,3}geo\\.example");
        let line = line.prop_map(|(line, name)| format!("{}\n", line.replace('%', &name)));
        prop::collection::vec(line, 1..9).prop_map(move |lines| (format, lines.concat()))
    })
}

proptest! {
    #[test]
    fn every_format_is_read_again_as_the_same_verdicts(
        rules in rules(),
        names in prop::collection::vec("([abc]\\.){0,4}(geo\\.example|example|other\\.example)", 20),
    ) {
        check_every_format(&policy(ListFormat::Rules, &rules), &names)?;
    }

    #[test]
    fn lists_of_others_are_written_in_every_format_as_they_were_meant(
        (format, text) in foreign(),
        names in prop::collection::vec("([abcx]\\.){0,4}(geo\\.example|other\\.example)", 20),
    ) {
        check_every_format(&policy(format, &text), &names)?;
    }
}

#[test]
fn a_ban_that_is_rolled_out_is_left_out_and_said_to_be() {
    let mut builder = PolicyBuilder::new(0x5EED, Vec::new());
    let stance = Stance { rollout: Share::new(99), ..Stance::default() };
    let ban = builder.ban(Ban { stance, ..Ban::named("v") });
    let list = builder.list(ListInfo::new("list", ban, ListFormat::Domains, ""));
    let source = Source::new("list", "a.example\n");
    ListFormat::Domains.parse(&source, Strictness::Strict, &mut |rule, _line| builder.rule(list, rule).unwrap());
    let (policy, _warnings) = builder.build(1);
    for format in ExportFormat::ALL {
        let (text, exported) = export(&policy, format);
        assert!(!text.contains("a.example"), "{text}");
        assert!(text.contains("`v` is enforced on a share of clients only") && exported.unsaid == 1, "{text}");
    }
}
