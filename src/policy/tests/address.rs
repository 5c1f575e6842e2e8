//! Rules about networks: of answers, and of clients.

use proptest::prelude::*;

use super::*;

const NOW: &str = "2030-01-01T00:00:00Z";

fn client(address: &str) -> Client {
    Client::at(address.parse().unwrap())
}

/// A verdict in a line: what is done, by which rule of which ban.
fn said(verdict: &Verdict<'_>) -> String {
    let rule = |hit: &Hit<'_>| format!("{}/{}", hit.ban.id, hit.pattern);
    let also: Vec<_> = verdict.also.iter().map(|hit| format!(", {} {}", hit.effect.as_str(), rule(hit))).collect();
    let also = also.concat();
    match &verdict.decision {
        Decision::Pass => "pass".to_owned(),
        Decision::Allow(hit) => format!("allow {}{also}", rule(hit)),
        Decision::Observe(hit) => format!("observe {}{also}", rule(hit)),
        Decision::Enforce(hit, blocked) => {
            assert!(!blocked.nxdomain);
            format!("{} {}{also}", blocked.action.as_str(), rule(hit))
        }
    }
}

fn answer(policy: &Policy, address: &str, name: &str, client: &Client) -> String {
    let name = super::name(name);
    said(&policy.decide_address(address.parse().unwrap(), &name, client, time(NOW), |_ban| false))
}

#[track_caller]
fn check_answer(policy: &Policy, address: &str, expected: &str) {
    assert_eq!(answer(policy, address, "a.example", &CLIENT), expected, "{address}");
}

#[test]
fn the_smallest_network_wins_within_a_ban_and_bans_are_decided_separately() {
    let policy = World::new()
        .ban(Ban::named("a"), "answer:192.0.2.0/24\n!answer:192.0.2.128/25\nanswer:192.0.2.200 x ambiguous sinkhole\n")
        .ban(
            Ban::named("b"),
            "answer:192.0.0.0/16 x ambiguous observe\nanswer:2001:db8::/32\nanswer:192.0.2.7 x ambiguous off\n",
        )
        .build();
    assert!(policy.screens_addresses());
    check_answer(&policy, "192.0.2.1", "nxdomain a/answer:192.0.2.0/24, observe b/answer:192.0.0.0/16");
    check_answer(&policy, "192.0.2.7", "nxdomain a/answer:192.0.2.0/24, observe b/answer:192.0.0.0/16");
    check_answer(&policy, "192.0.2.129", "observe b/answer:192.0.0.0/16");
    check_answer(&policy, "192.0.2.200", "sinkhole a/answer:192.0.2.200, observe b/answer:192.0.0.0/16");
    check_answer(&policy, "2001:db8::1", "nxdomain b/answer:2001:db8::/32");
    check_answer(&policy, "198.51.100.1", "pass");
    check(&policy, "a.example", "pass");
}

#[test]
fn an_exception_is_of_its_own_ban_and_of_two_rules_about_a_network_it_comes_first() {
    let policy = World::new().ban(Ban::named("a"), "answer:192.0.2.0/24\n!answer:192.0.2.0/24\n").build();
    check_answer(&policy, "192.0.2.1", "allow a/!answer:192.0.2.0/24");
}

#[test]
fn a_network_that_stands_twice_counts_once_and_a_ban_that_is_off_screens_nothing() {
    let off = taking(Stance { mode: Mode::Off, ..Stance::default() }, "a");
    let (policy, warnings) = World::new().ban(off, "answer:192.0.2.0/24\nanswer:192.0.2.0/24 other\n").warned();
    assert_eq!(
        warnings,
        ["a/rules.txt: warning: `answer:192.0.2.0/24` stands already with other columns; the first rule is in force"]
    );
    assert_eq!((policy.lists()[0].entries, policy.lists()[0].duplicates), (1, 1));
    assert!(!policy.screens_addresses());
    check_answer(&policy, "192.0.2.1", "pass");
}

#[test]
fn a_name_that_nobody_may_block_is_not_blocked_by_where_it_leads_or_who_asks() {
    let world = World::protecting(&["time.example.org"]);
    let policy = world.ban(Ban::named("a"), "answer:192.0.2.0/24\nclient:198.51.100.0/24\n").build();
    let asker = client("198.51.100.1");
    for name in ["time.example.org", "org", "."] {
        assert_eq!(answer(&policy, "192.0.2.1", name, &CLIENT), "pass", "{name}");
        assert_eq!(shown_to(&policy, name, qtype::A, &asker, time(NOW)), "pass", "{name}");
    }
    assert_eq!(answer(&policy, "192.0.2.1", "a.time.example.org", &CLIENT), "nxdomain a/answer:192.0.2.0/24");
    let above = shown_to(&policy, "example.org", qtype::A, &asker, time(NOW));
    assert_eq!(above, "nxdomain-as-nodata a/client:198.51.100.0/24 soa example.org", "a protected name is below");
    let beside = shown_to(&policy, "a.example.org", qtype::DS, &asker, time(NOW));
    assert_eq!(beside, "nxdomain a/client:198.51.100.0/24 soa a.example.org");
}

#[test]
fn what_others_observe_is_seen_where_a_name_that_nobody_may_block_leads_to_a_banned_network() {
    let policy = World::protecting(&["time.example.org"])
        .ban(Ban::named("a"), "answer:192.0.2.0/24\n")
        .ban(Ban::named("b"), "answer:192.0.2.0/25 x none observe\n")
        .ban(Ban::named("c"), "answer:192.0.2.0/26 x none drop\n")
        .ban(Ban::named("d"), "!answer:192.0.2.0/24\n")
        .build();
    let asked = |name| answer(&policy, "192.0.2.1", name, &CLIENT);
    assert_eq!(asked("time.example.org"), "observe b/answer:192.0.2.0/25");
    assert_eq!(
        asked("a.example"),
        "nxdomain a/answer:192.0.2.0/24, drop c/answer:192.0.2.0/26, observe b/answer:192.0.2.0/25"
    );
}

#[test]
fn a_rule_for_clients_comes_before_those_for_names_and_those_before_answers_within_a_ban() {
    let policy = World::new()
        .ban(
            Ban::named("a"),
            "geo.example\n!ok.example\nanswer:192.0.2.0/24\nclient:198.51.100.0/24\n!client:198.51.100.7\n\
             client:203.0.113.0/24 x none observe\nclient:203.0.113.9 x none drop\n",
        )
        .ban(Ban::named("b"), "b.geo.example")
        .build();
    let ask = |name: &str, address: &str| shown_to(&policy, name, qtype::A, &client(address), time(NOW));
    assert_eq!(ask("free.example", "198.51.100.1"), "nxdomain a/client:198.51.100.0/24 soa free.example");
    assert_eq!(ask("geo.example", "198.51.100.7"), "allow a/!client:198.51.100.7");
    assert_eq!(ask("b.geo.example", "198.51.100.7"), "nxdomain b/b.geo.example soa b.geo.example");
    assert_eq!(ask("geo.example", "203.0.113.1"), "observe a/client:203.0.113.0/24");
    assert_eq!(ask("geo.example", "203.0.113.9"), "drop a/client:203.0.113.9 soa geo.example");
    assert_eq!(ask("geo.example", "192.0.2.1"), "nxdomain a/geo.example soa geo.example");
    assert_eq!(ask("free.example", "192.0.2.1"), "pass");
    assert_eq!(answer(&policy, "192.0.2.1", "free.example", &client("198.51.100.7")), "allow a/!client:198.51.100.7");
    let spoken = |name: &str, address: &str| policy.has_spoken(BanIndex(0), &super::name(name), &client(address));
    assert!(spoken("ok.example", "192.0.2.1") && spoken("free.example", "198.51.100.7"));
    assert!(!spoken("free.example", "192.0.2.1"));
}

#[test]
fn a_client_gets_nodata_where_another_ban_answers_some_name_otherwise() {
    let policy = World::new()
        .ban(Ban::named("a"), "x.geo.example a likely drop")
        .ban(Ban::named("b"), "client:198.51.100.0/24")
        .build();
    let asked = shown_to(&policy, "geo.example", qtype::A, &client("198.51.100.1"), time(NOW));
    assert_eq!(asked, "nxdomain-as-nodata b/client:198.51.100.0/24 soa geo.example");
}

#[derive(Clone, Debug)]
struct Made {
    ban: usize,
    allow: bool,
    network: ipnet::IpNet,
    column: &'static str,
}

fn made() -> impl Strategy<Value = Made> {
    let columns = prop::sample::select(vec!["", " c ambiguous observe", " c ambiguous off", " c ambiguous nodata"]);
    (0..3_usize, any::<bool>(), 0..4_u8, 24..=32_u8, columns).prop_map(|(ban, allow, quarter, prefix, column)| {
        let network = ipnet::Ipv4Net::new([192, 0, 2, quarter * 64].into(), prefix).unwrap().trunc();
        Made { ban, allow, network: network.into(), column: if allow { "" } else { column } }
    })
}

proptest! {
    #[test]
    fn a_verdict_on_an_address_is_that_of_a_look_at_every_rule(
        rules in prop::collection::vec(made(), 0..12), last in any::<u8>(),
    ) {
        let mut seen = std::collections::HashSet::new();
        let rules: Vec<_> = rules.into_iter().filter(|rule| seen.insert((rule.ban, rule.network, rule.allow))).collect();
        let modes = [Mode::Enforce, Mode::Observe, Mode::Enforce];
        let policy = (0..3).fold(World::new(), |world, ban| {
            let lines = rules.iter().filter(|rule| rule.ban == ban).map(|rule| {
                format!("{}answer:{}{}\n", if rule.allow { "!" } else { "" }, rule.network, rule.column)
            });
            let lines = lines.collect::<Vec<_>>().concat();
            world.ban(taking(Stance { mode: modes[ban], ..Stance::default() }, ["a", "b", "c"][ban]), &lines)
        }).build();
        let address = IpAddr::from([192, 0, 2, last]);
        let effect = |rule: &Made| match (rule.allow, rule.column, modes[rule.ban]) {
            (_, " c ambiguous off", _) => "off",
            (true, _, _) => "allow",
            (_, " c ambiguous observe", _) | (_, _, Mode::Observe) => "observe",
            (_, " c ambiguous nodata", _) => "nodata",
            _ => "nxdomain",
        };
        let winner = |ban: usize| rules.iter()
            .filter(|rule| rule.ban == ban && rule.network.contains(&address) && effect(rule) != "off")
            .max_by_key(|rule| (rule.network.prefix_len(), rule.allow));
        let mut winners: Vec<_> = (0..3).filter_map(winner).collect();
        winners.sort_by_key(|rule| (["nodata", "nxdomain", "observe", "allow"].iter().position(|word| *word == effect(rule)).unwrap().max(1), rule.ban));
        let shown = |rule: &&Made| {
            let network = if rule.network.prefix_len() == 32 { rule.network.addr().to_string() } else { rule.network.to_string() };
            format!("{} {}/{}answer:{network}", effect(rule), ["a", "b", "c"][rule.ban], if rule.allow { "!" } else { "" })
        };
        let first = winners.first().map_or("pass".to_owned(), shown);
        let also = winners.iter().skip(1).filter(|rule| effect(rule) != "allow").map(shown);
        let expected = [first].into_iter().chain(also).collect::<Vec<_>>().join(", ");
        let found = policy.decide_address(address, &name("a.example"), &CLIENT, time(NOW), |_ban| false);
        prop_assert_eq!(said(&found), expected);
    }
}

#[test]
fn who_is_sent_to_tcp_is_answered_there_and_seen_in_both_places() {
    let policy = World::new()
        .ban(Ban::named("a"), "geo.example x likely tcp_only\nanswer:192.0.2.0/24 x ambiguous tcp_only\n")
        .ban(Ban::named("b"), "client:198.51.100.0/24 x none tcp_only\nx.geo.example x likely nxdomain\n")
        .build();
    let over_stream = |client: Client| Client { over_stream: true, ..client };
    let ask = |name: &str, client: &Client| shown_to(&policy, name, qtype::A, client, time(NOW));
    assert_eq!(ask("geo.example", &CLIENT), "tcp_only a/geo.example soa geo.example");
    assert_eq!(ask("geo.example", &over_stream(CLIENT)), "observe a/geo.example");
    let (udp, tcp) = (
        "tcp_only a/geo.example soa geo.example, nxdomain b/x.geo.example",
        "nxdomain b/x.geo.example soa x.geo.example, observe a/geo.example",
    );
    assert_eq!([ask("x.geo.example", &CLIENT), ask("x.geo.example", &over_stream(CLIENT))], [udp, tcp]);
    let asker = client("198.51.100.1");
    assert_eq!(ask("free.example", &asker), "tcp_only b/client:198.51.100.0/24 soa free.example");
    assert_eq!(ask("free.example", &over_stream(asker)), "observe b/client:198.51.100.0/24");
    let led = |client: &Client| answer(&policy, "192.0.2.1", "a.example", client);
    assert_eq!(
        [led(&CLIENT), led(&over_stream(CLIENT))],
        ["tcp_only a/answer:192.0.2.0/24", "observe a/answer:192.0.2.0/24"]
    );
}

#[test]
fn a_forwarder_that_keeps_answers_is_told_to_keep_none_that_another_client_may_not_get() {
    let world = |clients: &str| {
        let shared = Stance { rollout: Share::new(50), ..Stance::default() };
        let mut world = World::new();
        let who = Who::default().with_caching_forwarders(vec!["198.51.100.53/32".parse().unwrap()]);
        world.builder = world.builder.knowing(who);
        world.ban(taking(shared, "a"), "geo.example\n").ban(Ban::named("b"), &format!("all.example\n{clients}")).build()
    };
    let forwarder = client("198.51.100.53");
    let behind = Client { sender: forwarder.address, ..client("192.0.2.7") };
    let cap = |policy: &Policy, name: &str, client: &Client| {
        let verdict = policy.decide(&super::name(name), qtype::A, client, time(NOW));
        match verdict.decision {
            Decision::Enforce(_, blocked) => Some(blocked.ttl),
            _ => verdict.ttl_cap,
        }
    };
    let policy = world("");
    for asker in [&forwarder, &behind] {
        assert_eq!(cap(&policy, "geo.example", asker), Some(0));
        assert_eq!((cap(&policy, "all.example", asker), cap(&policy, "free.example", asker)), (Some(30), None));
    }
    assert_ne!(cap(&policy, "geo.example", &CLIENT), Some(0));
    let policy = world("client:203.0.113.0/24\n");
    for name in ["geo.example", "all.example", "free.example"] {
        assert_eq!((cap(&policy, name, &behind), cap(&policy, name, &CLIENT) == Some(0)), (Some(0), false), "{name}");
    }
}

#[test]
fn a_ban_that_is_off_and_on_for_one_group_is_shown_as_what_it_does_to_that_group() {
    let off = Stance { mode: Mode::Off, ..Stance::default() };
    let ban = Ban {
        terms: vec![Term { groups: vec![GroupIndex(1)], stance: Stance::default() }],
        ..taking(off.clone(), "a")
    };
    assert_eq!((ban.mode_at(time(NOW)), ban.spares_some_at(time(NOW))), (Mode::Enforce, true));
    let ban = taking(off, "a");
    assert_eq!((ban.mode_at(time(NOW)), ban.spares_some_at(time(NOW))), (Mode::Off, false));
    assert_eq!((Ban::named("a").mode_at(time(NOW)), Ban::named("a").spares_some_at(time(NOW))), (Mode::Enforce, false));
}
