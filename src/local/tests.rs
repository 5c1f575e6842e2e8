//! What is answered here and what is left to others, also against a naive model.

use proptest::prelude::*;

use super::*;
use crate::wire::{Section, be32};

/// The answer to one question: rcode and records as `owner TYPE ttl`, SOA included.
fn answer(local: &Local, name: &str, rtype: u16) -> Option<String> {
    answer_in(local, name, rtype, CLASS_IN)
}

fn answer_in(local: &Local, name: &str, rtype: u16, class: u16) -> Option<String> {
    let mut question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    question.extend_from_slice(Name::parse(name).unwrap().wire());
    question.extend_from_slice(&[rtype.to_be_bytes(), class.to_be_bytes()].concat());
    let query = Query::read(&question).unwrap();
    let answer = local.answer(&query)?;
    let layout = Layout::read(answer.body()).unwrap();
    let records = layout.records.iter().map(|record| {
        let (owner, _end) = LowerName::read_compressed(answer.body(), record.start).unwrap();
        let minimum = (record.rtype == qtype::SOA && record.section == Section::Authority)
            .then(|| be32(answer.body(), record.rdata.end - 4).unwrap());
        assert!(minimum.is_none_or(|minimum| minimum == record.ttl));
        format!(" {owner} {} {}", crate::wire::rtype::mnemonic(record.rtype), record.ttl)
    });
    Some(format!("{}{}", answer.rcode(), records.collect::<Vec<_>>().join(",")))
}

#[track_caller]
fn check(local: &Local, name: &str, rtype: u16, expected: Option<&str>) {
    assert_eq!(answer(local, name, rtype).as_deref(), expected, "{name} {rtype}");
}

fn with(records: &[&str]) -> Config {
    Config { records: records.iter().map(|line| Record::parse(line).unwrap()).collect(), ..Config::default() }
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::parse(name).unwrap()).collect()
}

#[test]
fn localhost_and_all_below_it_are_the_loopback_addresses_and_nothing_else() {
    let local = Local::default();
    check(&local, "localhost", qtype::A, Some("0 localhost A 10800"));
    check(&local, "a.b.LOCALHOST", qtype::AAAA, Some("0 a.b.localhost AAAA 10800"));
    check(&local, "localhost", qtype::ANY, Some("0 localhost A 10800, localhost AAAA 10800"));
    check(&local, "localhost", qtype::MX, Some("0 localhost SOA 10800"));
    check(&local, "a.localhost", qtype::NS, Some("0 localhost SOA 10800"));
    check(&local, "1.0.0.127.in-addr.arpa", qtype::PTR, Some("0 1.0.0.127.in-addr.arpa PTR 10800"));
    check(&local, "notlocalhost", qtype::A, None);
}

#[test]
fn an_empty_zone_has_its_apex_and_no_name_below_it() {
    let local = Local::default();
    for zone in ["invalid", "test", "onion", "alt", "local", "internal", "home.arpa", "10.in-addr.arpa", "d.f.ip6.arpa"]
    {
        check(&local, zone, qtype::SOA, Some(&format!("0 {zone} SOA 10800")));
        check(&local, zone, qtype::NS, Some(&format!("0 {zone} NS 10800")));
        check(&local, zone, qtype::A, Some(&format!("0 {zone} SOA 10800")));
        check(&local, &format!("x.{zone}"), qtype::A, Some(&format!("3 {zone} SOA 10800")));
        check(&local, &format!("x.y.{zone}"), qtype::SOA, Some(&format!("3 {zone} SOA 10800")));
    }
    for name in [
        "example",
        "example.com",
        "arpa",
        "in-addr.arpa",
        "11.in-addr.arpa",
        "15.172.in-addr.arpa",
        "32.172.in-addr.arpa",
        "ipv4only.arpa",
        "128.100.in-addr.arpa",
        "e.f.ip6.arpa",
    ] {
        check(&local, name, qtype::A, None);
    }
}

#[test]
fn ds_is_asked_of_the_zone_above_where_the_public_dns_delegates() {
    let local = Local::default();
    check(&local, "home.arpa", qtype::DS, None);
    check(&local, "10.in-addr.arpa", qtype::DS, None);
    check(&local, "x.home.arpa", qtype::DS, Some("3 home.arpa SOA 10800"));
    check(&local, "onion", qtype::DS, Some("0 onion SOA 10800"));
    check(&local, "resolver.arpa", qtype::DS, Some("0 resolver.arpa SOA 300"));
}

#[test]
fn own_records_make_their_name_ours_whatever_the_type() {
    let local = Local::new(with(&[
        "a.example 60 A 192.0.2.1",
        "a.example 90 A 192.0.2.2",
        "a.example TXT x",
        "n.y.home.arpa A 192.0.2.3",
    ]));
    check(&local, "A.example", qtype::A, Some("0 a.example A 60, a.example A 60"));
    check(&local, "a.example", qtype::AAAA, Some("0 a.example SOA 60"));
    check(&local, "a.example", qtype::ANY, Some("0 a.example A 60, a.example A 60"));
    check(&local, "b.a.example", qtype::A, None);
    check(&local, "n.y.home.arpa", qtype::A, Some("0 n.y.home.arpa A 300"));
    check(&local, "n.y.home.arpa", qtype::MX, Some("0 home.arpa SOA 300"));
    check(&local, "y.home.arpa", qtype::A, Some("0 home.arpa SOA 300"));
    check(&local, "x.y.home.arpa", qtype::A, Some("3 home.arpa SOA 300"));
}

#[test]
fn an_alias_is_followed_as_far_as_names_are_ours() {
    let local = Local::new(with(&[
        "www.example CNAME a.example",
        "a.example CNAME b.example",
        "b.example A 192.0.2.1",
        "out.example CNAME x.org",
        "loop.example CNAME pool.example",
        "pool.example CNAME loop.example",
    ]));
    check(&local, "www.example", qtype::A, Some("0 www.example CNAME 300, a.example CNAME 300, b.example A 300"));
    check(&local, "www.example", qtype::CNAME, Some("0 www.example CNAME 300"));
    check(&local, "out.example", qtype::A, Some("0 out.example CNAME 300"));
    // The configuration refuses one; here it is no answer.
    check(&local, "loop.example", qtype::A, None);
}

#[test]
fn a_hosts_file_gives_addresses_and_names_and_own_records_go_before_it() {
    let hosts = |names: &[&str], address: &str| Host { address: address.parse().unwrap(), names: self::names(names) };
    let mut config = with(&["own.example A 192.0.2.9"]);
    config.hosts = vec![
        hosts(&["nas.example", "nas"], "10.0.0.1"),
        hosts(&["second.example", "own.example"], "10.0.0.1"),
        hosts(&["nas.example"], "2001:db8::1"),
    ];
    let local = Local::new(config);
    check(&local, "nas", qtype::A, Some("0 nas A 300"));
    check(&local, "nas.example", qtype::AAAA, Some("0 nas.example AAAA 300"));
    check(&local, "own.example", qtype::A, Some("0 own.example A 300"));
    check(&local, "1.0.0.10.in-addr.arpa", qtype::PTR, Some("0 1.0.0.10.in-addr.arpa PTR 300"));
    check(&local, "0.0.10.in-addr.arpa", qtype::PTR, Some("0 10.in-addr.arpa SOA 300"));
    check(&local, "2.0.0.10.in-addr.arpa", qtype::PTR, Some("3 10.in-addr.arpa SOA 300"));
}

#[test]
fn forward_zones_and_settings_take_special_use_names_away_but_two() {
    let config = Config {
        forwarded: names(&["test", "resolver.arpa", "onion", "corp.internal", "in-addr.arpa"]),
        passed: names(&["alt", "onion", "resolver.arpa"]),
        ..with(&["own.test A 192.0.2.1"])
    };
    let local = Local::new(config);
    for name in ["x.test", "test", "x.alt", "y.corp.internal", "1.10.in-addr.arpa"] {
        check(&local, name, qtype::A, None);
    }
    check(&local, "own.test", qtype::A, Some("0 own.test A 300"));
    check(&local, "own.test", qtype::MX, Some("0 own.test SOA 300"));
    check(&local, "x.onion", qtype::A, Some("3 onion SOA 10800"));
    check(&local, "x.internal", qtype::A, Some("3 internal SOA 10800"));
    check(&local, "_dns.resolver.arpa", qtype::SVCB, Some("0 resolver.arpa SOA 300"));
}

#[test]
fn the_least_is_what_no_setting_takes_away() {
    let local = Local::least();
    check(&local, "x.onion", qtype::A, Some("3 onion SOA 10800"));
    check(&local, "_dns.resolver.arpa", qtype::SVCB, Some("0 resolver.arpa SOA 300"));
    for name in ["localhost", "x.test", "1.0.0.127.in-addr.arpa", "1.0.0.10.in-addr.arpa"] {
        check(&local, name, qtype::A, None);
    }
}

#[test]
fn private_upstreams_are_asked_about_their_own_network() {
    let local = Local::new(Config { private_upstreams: true, ..Config::default() });
    for name in
        ["nas.local", "x.internal", "x.home.arpa", "1.0.0.10.in-addr.arpa", "1.d.f.ip6.arpa", "1.1.64.100.in-addr.arpa"]
    {
        check(&local, name, qtype::A, None);
    }
    check(&local, "x.test", qtype::A, Some("3 test SOA 10800"));
    check(&local, "1.0.0.127.in-addr.arpa", qtype::PTR, Some("0 1.0.0.127.in-addr.arpa PTR 10800"));
    check(&local, "1.2.0.192.in-addr.arpa", qtype::PTR, Some("3 2.0.192.in-addr.arpa SOA 10800"));
}

#[test]
fn no_class_leads_a_name_of_ours_past_this_server() {
    let local = Local::new(Config { forwarded: names(&["corp.internal"]), ..with(&["own.example A 192.0.2.1"]) });
    for (name, any, other) in [
        ("x.onion", Some("3 onion SOA 10800"), Some("0 onion SOA 10800")),
        ("own.example", Some("0 own.example A 300"), Some("0 own.example SOA 10800")),
        ("_dns.resolver.arpa", Some("0 resolver.arpa SOA 300"), Some("0 resolver.arpa SOA 10800")),
        ("x.corp.internal", None, None),
        ("www.example", None, None),
    ] {
        assert_eq!(answer_in(&local, name, qtype::A, CLASS_ANY).as_deref(), any, "{name}");
        for class in [2, 4, 254, 65_535] {
            assert_eq!(answer_in(&local, name, qtype::A, class).as_deref(), other, "{name} {class}");
        }
    }
}

#[test]
fn resolver_arpa_leads_to_our_own_endpoints_and_nowhere_else() {
    let endpoint = |encrypted, port| Endpoint {
        name: Name::parse("dns.example").unwrap(),
        encrypted,
        port,
        addresses: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
    };
    let endpoints = vec![endpoint(Encrypted::Doh("/dns-query".into()), 443), endpoint(Encrypted::Dot, 8853)];
    let local = Local::new(Config::default()).designating(endpoints);
    let told = "0 _dns.resolver.arpa SVCB 300, _dns.resolver.arpa SVCB 300, dns.example A 300, dns.example AAAA 300";
    check(&local, "_dns.resolver.arpa", qtype::SVCB, Some(told));
    check(&local, "_dns.resolver.arpa", qtype::A, Some("0 resolver.arpa SOA 300"));
    check(&local, "x.resolver.arpa", qtype::SVCB, Some("0 resolver.arpa SOA 300"));
    check(&local, "x._dns.resolver.arpa", qtype::SVCB, Some("0 resolver.arpa SOA 300"));
    check(&Local::default(), "_dns.resolver.arpa", qtype::SVCB, Some("0 resolver.arpa SOA 300"));
    let parameters = ddr::parameters_of(&endpoint(Encrypted::Dot, 8853));
    assert_eq!(parameters[..2], [(1, b"\x03dot".to_vec()), (3, 8853_u16.to_be_bytes().to_vec())]);
    let parameters = ddr::parameters_of(&endpoint(Encrypted::Doh("/q".into()), 443));
    assert_eq!(parameters.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 4, 6, 7]);
    assert_eq!(parameters[3].1, b"/q{?dns}");
}

#[test]
fn only_a_public_name_with_a_private_address_is_rebinding_and_only_if_that_is_looked_for() {
    let address = |octets: [u8; 4]| {
        let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let message = Response::to(&Query::read(question).unwrap()).answer(qtype::A, 60, &octets).finish(512);
        Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap()
    };
    let (private, public) = (address([192, 168, 0, 1]), address([192, 0, 2, 1]));
    let config = Config {
        rebinding: Some(names(&["intranet.example"])),
        forwarded: names(&["corp.example"]),
        ..Config::default()
    };
    let local = Local::new(config);
    let rebinds = |local: &Local, name: &str, answer| local.is_rebinding(&LowerName::parse(name).unwrap(), answer);
    assert!(rebinds(&local, "a.example", &private) && !rebinds(&local, "a.example", &public));
    for name in ["x.intranet.example", "intranet.example", "x.corp.example", "x.home.arpa", "x.local", "x.internal"] {
        assert!(!rebinds(&local, name, &private), "{name}");
    }
    assert!(rebinds(&local, "xintranet.example", &private));
    assert!(!rebinds(&Local::default(), "a.example", &private));
}

/// What a naive reader of the RFCs would say: whether a name is answered here and with which rcode.
fn model(config: &Config, name: &str) -> Option<u16> {
    let below = |zone: &str| name == zone || name.ends_with(&format!(".{zone}"));
    let own: Vec<String> = config.records.iter().map(|record| record.owner.to_string()).collect();
    if below("resolver.arpa") || own.iter().any(|owner| owner == name) || own_reverse(name) {
        return Some(rcode::NOERROR);
    }
    let forwarded = config.forwarded.iter().any(|zone| below(&zone.to_string()));
    let all = special_use();
    let zone = all.iter().filter(|zone| below(zone)).max_by_key(|zone| zone.split('.').count())?;
    let fixed = FIXED.contains(&zone.as_str());
    let passed = config.passed.iter().any(|passed| passed.to_string() == *zone);
    if !fixed && (forwarded || passed) {
        return None;
    }
    if zone == "localhost" || name == zone {
        return Some(rcode::NOERROR);
    }
    let loopback = ["1.0.0.127.in-addr.arpa".to_owned()];
    let above = |owner: &String| owner.ends_with(&format!(".{name}"));
    Some(if own.iter().chain(&loopback).any(above) { rcode::NOERROR } else { rcode::NXDOMAIN })
}

/// Names that exist without being written by anybody. The settings of the property leave their zones alone.
fn own_reverse(name: &str) -> bool {
    name == "1.0.0.127.in-addr.arpa"
}

const LABELS: [&str; 14] = [
    "a",
    "b",
    "test",
    "onion",
    "home",
    "arpa",
    "internal",
    "localhost",
    "10",
    "127",
    "0",
    "in-addr",
    "resolver",
    "example",
];

fn any_name() -> impl Strategy<Value = String> {
    let ends = prop_oneof![
        Just(""),
        Just(".test"),
        Just(".onion"),
        Just(".home.arpa"),
        Just(".internal"),
        Just(".10.in-addr.arpa"),
        Just(".127.in-addr.arpa"),
        Just(".example"),
        Just(".resolver.arpa"),
        Just(".localhost"),
    ];
    (proptest::collection::vec(proptest::sample::select(&LABELS[..]), 1..4), ends)
        .prop_map(|(labels, end)| labels.join(".") + end)
}

proptest! {
    #[test]
    fn special_use_names_are_decided_as_by_a_naive_reader_of_the_rfcs(
        asked in proptest::collection::vec(any_name(), 1..20),
        own in proptest::collection::vec(any_name(), 0..6),
        forwarded in proptest::collection::vec(proptest::sample::select(&["test", "onion", "home.arpa", "a.internal", "10.in-addr.arpa", "b.test"][..]), 0..3),
        passed in proptest::collection::vec(proptest::sample::select(&["internal", "onion", "10.in-addr.arpa", "resolver.arpa"][..]), 0..3),
    ) {
        let records = own.iter().filter_map(|name| Record::parse(&format!("{name} A 192.0.2.1")).ok()).collect();
        let config = Config { records, forwarded: names(&forwarded), passed: names(&passed), ..Config::default() };
        let local = Local::new(config.clone());
        for name in asked.iter().chain(&own) {
            let said = answer(&local, name, qtype::TXT).map(|text| text.split(' ').next().unwrap().parse().unwrap());
            prop_assert_eq!(said, model(&config, name), "{}", name);
        }
    }
}
