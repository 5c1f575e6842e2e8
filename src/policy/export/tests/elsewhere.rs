//! What other resolvers do with what is written, in their words and not in ours.

use std::collections::HashMap;

use super::*;

/// What a resolver that searches a policy zone finds for a name: the record of the name, or else that of the wildcard at the
/// closest name that is there, if only because one below it is (RFC 4592 §2.2, §3.3).
fn found(text: &str, name: &str) -> Option<String> {
    let mut records: HashMap<String, String> = HashMap::new();
    for line in text.lines().filter(|line| !line.starts_with([';', '$', '@'])) {
        let (owner, data) = line.split_once(' ').unwrap();
        let mut above = Some(owner);
        while let Some(name) = above {
            records.entry(name.to_owned()).or_default();
            above = name.split_once('.').map(|(_first, rest)| rest);
        }
        records.insert(owner.to_owned(), data.to_owned());
    }
    let mut closest = name;
    while !records.contains_key(closest) {
        closest = closest.split_once('.').map_or("", |(_first, rest)| rest);
        if closest.is_empty() {
            break;
        }
    }
    let wildcard = if closest.is_empty() { "*".to_owned() } else { format!("*.{closest}") };
    let at = if closest == name { name } else { &wildcard };
    records.get(at).filter(|data| !data.is_empty() && *data != "CNAME rpz-passthru.").cloned()
}

#[track_caller]
fn check_zone(rules: &str, name: &str) {
    let original = policy(ListFormat::Rules, rules);
    let text = export(&original, ExportFormat::Rpz).0;
    let here = answer(&original, &LowerName::parse(name).unwrap()).is_some();
    assert_eq!(found(&text, name).is_some(), here, "{name} {rules}\n{text}");
}

#[test]
fn no_name_between_two_rules_falls_out_of_a_policy_zone() {
    for name in ["y.ent.example", "z.y.ent.example", "x.y.ent.example", "w.ent.example", "a.x.y.ent.example"] {
        check_zone("*.ent.example\n=x.y.ent.example\n", name);
        check_zone("ent.example\n!x.y.ent.example\n=v.y.ent.example\n", name);
        check_zone("ent.example\n!y.ent.example\nw.v.x.y.ent.example\n", name);
    }
    let text =
        export(&policy(ListFormat::Rules, "ent.example\n=x.y.ent.example c none observe\n"), ExportFormat::Rpz).0;
    assert!(text.contains("\ny.ent.example CNAME *.\n*.y.ent.example CNAME .\n"), "{text}");
}

proptest! {
    #[test]
    fn a_policy_zone_is_searched_with_the_same_verdicts(
        rules in prop::collection::vec(("!?(=|\\*\\.)?", "([ab]\\.){0,4}geo\\.example"), 1..8),
        names in prop::collection::vec("([abc]\\.){0,5}geo\\.example", 20),
    ) {
        let rules = rules.iter().map(|(kind, name)| format!("{kind}{name}\n")).collect::<Vec<_>>().concat();
        for name in names {
            check_zone(&rules, &name);
        }
    }
}

#[test]
fn no_name_of_a_list_becomes_another_kind_of_trigger_in_a_policy_zone() {
    for name in [
        "8.0.0.0.127.rpz-client-ip",
        "32.5.113.0.203.rpz-ip",
        "gtld-servers.net.rpz-nsdname",
        "32.5.113.0.203.rpz-nsip",
        "a.rpz-log",
    ] {
        let (text, exported) = export(&policy(ListFormat::Rules, &format!("a.example\n{name}\n")), ExportFormat::Rpz);
        assert_eq!((exported.names, exported.unsaid), (1, 1), "{text}");
        assert!(text.contains(&format!("; Not said here: `{name}`: in a policy zone it would be no name\n")), "{text}");
        assert!(!text.lines().any(|line| line.starts_with(name) || line.starts_with(&format!("*.{name}"))), "{text}");
    }
    let text = export(&policy(ListFormat::Rules, "rpz-ip.example\nrpz.ip\n*.a.rpz-nsdname\n"), ExportFormat::Rpz).0;
    assert!(text.contains("\nrpz-ip.example CNAME .\n") && text.contains("\nrpz.ip CNAME .\n"), "{text}");
    assert!(!text.contains("rpz-nsdname CNAME"), "{text}");
}

#[test]
fn a_name_with_a_sign_of_the_format_is_said_to_be_left_out() {
    for (format, sign) in [(ExportFormat::Dnsmasq, "#"), (ExportFormat::Adblock, "!")] {
        let expected = format!("{sign} Not said here: `com/b.example`: no such name");
        check("com/b.example\n", format, &[&expected]);
    }
}

#[test]
fn what_a_format_can_not_let_through_is_said_to_be_blocked_there() {
    let rules =
        "bad.example\n!=apex.bad.example\n=seen.bad.example c none observe\n=only.bad.example\n!*.only.bad.example\n";
    let let_through = |name: &str| format!("# Not said here: `{name}` is let through");
    let (apex, seen) = (let_through("apex.bad.example"), let_through("seen.bad.example"));
    let below = "# Not said here: names below `only.bad.example` are let through";
    check(rules, ExportFormat::Dnsmasq, &["address=/bad.example/", &apex, below, &seen]);
    let only = [
        "local-zone: \"only.bad.example.\" transparent",
        "local-data: \"only.bad.example. A 0.0.0.0\"",
        "local-data: \"only.bad.example. AAAA ::\"",
    ];
    let zone = "local-zone: \"bad.example.\" always_nxdomain";
    check(rules, ExportFormat::Unbound, &[zone, &apex, only[0], only[1], only[2], &seen]);
    for format in ExportFormat::ALL {
        let head = export(&policy(ListFormat::Rules, rules), format).0;
        let told = "Names that are observed or excepted are let through, but for those that a line here tells of. Clients that are exempt here are blocked there.";
        assert!(head.contains(told), "{head}");
    }
}
