//! Answers that lead to addresses in banned networks, and clients that rules are for.

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply, wire};

const TC: u16 = 0x0200;
const BANNED: [u8; 4] = [198, 51, 100, 7];
const FREE: [u8; 4] = [192, 0, 2, 1];
const RULES: &str =
    "answer:198.51.100.0/24 hosting ambiguous\nanswer:2001:db8::/32\n!answer:198.51.100.200\n!ok.example\n";

/// Every name leads to a free address and to a banned one; behind `alias.example` is one more name.
fn hosted(seen: &Seen) -> Vec<Act> {
    let reply = reply(seen);
    let reply = if seen.qname() == "alias.example" { reply.cname("end.example") } else { reply };
    let reply = match seen.qtype() {
        qtype::AAAA => reply.answer(qtype::AAAA, &[0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        qtype::HTTPS => {
            let mut rdata = b"\0\x01\0\0\x04\0\x08".to_vec();
            rdata.extend([FREE, BANNED].concat());
            reply.answer(qtype::HTTPS, &rdata)
        }
        _ if seen.dnssec_ok() => reply.a(FREE).a(BANNED).answer(qtype::RRSIG, &signature()),
        _ => reply.a(FREE).a(BANNED),
    };
    vec![Act::Send(reply.octets())]
}

/// An RRSIG over A records, whose signature nobody checks here.
fn signature() -> Vec<u8> {
    let fields = b"\0\x01\x08\x02\0\0\0\x3c\x7f\0\0\0\x01\0\0\0\x12\x34";
    [fields.as_slice(), &wire("example"), &[7; 64]].concat()
}

async fn start(declared: &str) -> (RunningServer, FakeUpstream) {
    let upstream = FakeUpstream::scripted(hosted).await;
    let server = TestServer::new().ban_with("v", declared, RULES).upstream(&upstream).start().await;
    (server, upstream)
}

#[tokio::test]
async fn an_answer_that_leads_to_a_banned_network_is_withheld_whole_fresh_and_cached_on_every_transport() {
    let (server, upstream) = start("").await;
    let plain = Question::new("innocent.example", qtype::A).edns(1232);
    let questions = [plain.clone(), plain.clone().tcp(), plain.clone().dnssec_ok(), plain.clone().dnssec_ok().tcp()];
    for question in questions.iter().chain(&questions) {
        let response = server.ask(question).await;
        assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 0), "{question:?}");
        assert_eq!(response.soa(), Some(("innocent.example".to_owned(), 30)));
        assert_eq!(response.ede(), Some((15, "v is blocked by policy of this network".to_owned())));
    }
    assert_eq!(upstream.queries_seen(), 2, "with and without DO");
    let rows = server.attempts().await;
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 8);
    assert!(rows.iter().all(|row| row.pattern.as_deref() == Some("answer:198.51.100.0/24")));
    assert!(rows.iter().all(|row| row.qname.as_deref() == Some("innocent.example")));
    let labels = [("category", "hosting"), ("evidence", "ambiguous"), ("action", "nxdomain")];
    assert_eq!(server.metric("attempts_total", &labels).await, 8);
    let list = [("list", "v/rules.txt")];
    assert_eq!(server.metric("list_hits_total", &list).await, 8);
    assert!(server.metric("list_entries", &list).await > 0, "it is called the same there");
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "policy")]).await, 8);
}

#[tokio::test]
async fn the_chain_to_a_banned_address_is_told_and_the_address_is_not() {
    let (server, _upstream) = start("").await;
    for _fresh_then_cached in 0..2 {
        let response = server.query("alias.example", qtype::A).await;
        let links = response.answers();
        assert_eq!((links.len(), links[0].0.as_str(), links[0].1), (1, "alias.example", qtype::CNAME));
        assert_eq!((response.rcode(), response.soa()), (rcode::NOERROR, Some(("end.example".to_owned(), 30))));
    }
}

#[tokio::test]
async fn a_hint_of_a_service_and_an_ipv6_address_are_seen_too() {
    let (server, _upstream) = start("").await;
    for qtype in [qtype::HTTPS, qtype::AAAA] {
        let response = server.query("innocent.example", qtype).await;
        assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 0), "{qtype}");
    }
    assert_eq!(server.metric("attempts_total", &[]).await, 2);
}

#[tokio::test]
async fn an_answer_that_a_ban_has_excepted_by_its_name_is_given_whole() {
    let (server, _upstream) = start("").await;
    let response = server.query("www.ok.example", qtype::A).await;
    assert_eq!(response.answers().len(), 2);
    assert_eq!(server.metric("attempts_total", &[]).await, 0);
}

#[tokio::test]
async fn each_action_answers_for_the_address_and_observing_changes_nothing_but_the_ttl() {
    let (server, _upstream) = start("action = \"sinkhole\"\nsinkhole = [\"192.0.2.80\"]\n").await;
    let response = server.query("alias.example", qtype::A).await;
    let rows: Vec<_> = response.answers().into_iter().map(|row| (row.0, row.3)).collect();
    assert_eq!(rows[1], ("end.example".to_owned(), vec![192, 0, 2, 80]));
    assert_eq!(rows.len(), 2);

    server.change_ban("v", "action = \"refuse\"\n", RULES).await;
    let response = server.query("alias.example", qtype::A).await;
    assert_eq!((response.rcode(), response.answers().len()), (rcode::REFUSED, 0));

    server.change_ban("v", "action = \"drop\"\n", RULES).await;
    server.udp_silence(&Question::new("alias.example", qtype::A).octets()).await;

    server.change_ban("v", "mode = \"observe\"\n", RULES).await;
    let response = server.query("alias.example", qtype::A).await;
    assert_eq!((response.answers().len(), response.answers().iter().all(|row| row.2 <= 300)), (3, true));
    assert_eq!(server.metric("attempts_total", &[("action", "observe")]).await, 1);
    assert_eq!(server.metric("attempts_total", &[]).await, 4);
}

#[tokio::test]
async fn a_response_policy_zone_blocks_by_address_and_by_client_and_excepts_both() {
    let upstream = FakeUpstream::scripted(hosted).await;
    let directory = tempfile::tempdir().unwrap();
    let zone = directory.path().join("feed.rpz");
    let head = "$TTL 30\n@ SOA localhost. root.localhost. 1 2 3 4 5\n";
    let rules =
        "24.0.100.51.198.rpz-ip CNAME .\nok.example CNAME rpz-passthru.\ngeo.example CNAME .\n*.geo.example CNAME .\n";
    std::fs::write(&zone, format!("{head}{rules}")).unwrap();
    let list = format!("[[list]]\nfile = \"{}\"\nformat = \"rpz\"\n", zone.display());
    let server = TestServer::new().setting(&list).upstream(&upstream).start().await;
    let outcome = async |name: &str| {
        let response = server.query(name, qtype::A).await;
        (response.rcode(), response.answers().len())
    };
    assert_eq!(outcome("innocent.example").await, (rcode::NOERROR, 0));
    assert_eq!(outcome("ok.example").await, (rcode::NOERROR, 2));
    assert_eq!(outcome("geo.example").await, (rcode::NXDOMAIN, 0));

    std::fs::write(&zone, format!("{head}{rules}8.0.0.0.127.rpz-client-ip CNAME .\n")).unwrap();
    server.reload().await;
    let before = upstream.queries_seen();
    assert_eq!(outcome("new.example").await, (rcode::NXDOMAIN, 0));
    assert_eq!(upstream.queries_seen(), before);
    let row = server.attempts().await.into_iter().find(|row| row.qname.as_deref() == Some("new.example")).unwrap();
    assert_eq!((row.pattern.as_deref(), row.evidence.as_str()), (Some("client:127.0.0.0/8"), "none"));

    let passthru = "8.0.0.0.127.rpz-client-ip CNAME .\n32.1.0.0.127.rpz-client-ip CNAME rpz-passthru.\n";
    std::fs::write(&zone, format!("{head}{rules}{passthru}")).unwrap();
    server.reload().await;
    assert_eq!(outcome("innocent.example").await, (rcode::NOERROR, 2));
    assert_eq!(outcome("geo.example").await, (rcode::NOERROR, 2));
}

#[tokio::test]
async fn a_client_that_a_rule_is_for_is_met_with_its_action_whatever_it_asks() {
    let upstream = FakeUpstream::start().await;
    let server =
        TestServer::new().ban("v", "client:127.0.0.1 quarantine none drop\n").upstream(&upstream).start().await;
    for name in ["free.example", "www.example.org"] {
        server.udp_silence(&Question::new(name, qtype::A).octets()).await;
    }
    assert_eq!(upstream.queries_seen(), 0);
    assert_eq!(server.metric("attempts_total", &[("category", "quarantine"), ("action", "drop")]).await, 2);
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "policy_drop")]).await, 2);
}

#[tokio::test]
async fn who_asks_over_udp_for_a_name_that_is_for_tcp_only_is_sent_there_and_answered() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example x ambiguous tcp_only\n").upstream(&upstream).start().await;
    let question = Question::new("a.geo.example", qtype::A);
    for _fresh_then_cached in 0..2 {
        let response = server.ask(&question).await;
        assert_eq!((response.flags() & TC, response.rcode(), response.answers().len()), (TC, rcode::NOERROR, 0));
        let response = server.ask(&question.clone().tcp()).await;
        assert_eq!((response.flags() & TC, response.answers().len()), (0, 1));
        assert!(response.answers()[0].2 <= 300);
    }
    assert_eq!(upstream.queries_seen(), 1);
    for action in ["tcp_only", "observe"] {
        assert_eq!(server.metric("attempts_total", &[("action", action)]).await, 2, "{action}");
    }
}

#[tokio::test]
async fn a_forwarder_keeps_nothing_that_depends_on_the_client() {
    let upstream = FakeUpstream::start().await;
    let settings = "caching_forwarders = [\"127.0.0.1\"]\n[[group]]\nid = \"lab\"\nnetworks = [\"192.0.2.0/24\"]\n\
                    [[ban.v.for]]\ngroups = [\"lab\"]\nmode = \"off\"\n";
    let server = TestServer::new().ban("v", "geo.example\n").ban("w", "all.example\n").upstream(&upstream);
    let server = server.setting(settings).start().await;
    let soa = async |name: &str| server.query(name, qtype::A).await.soa().unwrap().1;
    assert_eq!((soa("geo.example").await, soa("all.example").await), (0, 30));
    assert!(server.query("free.example", qtype::A).await.answers()[0].2 > 0);
    assert_eq!(server.metric("policy_enforcement", &[("ban", "v")]).await, 2);
}

#[tokio::test]
async fn a_ban_that_is_on_for_one_group_alone_is_shown_as_on() {
    let settings = "[[group]]\nid = \"lab\"\nnetworks = [\"192.0.2.0/24\"]\n[ban.v]\nmode = \"off\"\n\
                    [[ban.v.for]]\ngroups = [\"lab\"]\nmode = \"observe\"\n";
    let server = TestServer::new().ban("v", "geo.example\n").setting(settings).start().await;
    assert_eq!(server.metric("policy_enforcement", &[("ban", "v")]).await, 1);
    let status = server.control(embargo::app::control::Request::Status).await;
    let bans = status["policy"]["bans"].as_array().unwrap();
    let ban = bans.iter().find(|ban| ban["id"] == "v").unwrap();
    assert_eq!((&ban["mode"], &ban["spares_some"]), (&"observe".into(), &true.into()));
}

/// What was recorded: bans, rules and what was done, in order.
async fn recorded(server: &RunningServer) -> Vec<String> {
    let row = |row: embargo::journal::AttemptRow| {
        let (ban, pattern, action) = (&row.ban, row.pattern.as_deref().unwrap_or_default(), row.action.as_str());
        format!("{}x {ban}/{pattern} {action}", row.count)
    };
    let mut rows: Vec<_> = server.attempts().await.into_iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn every_ban_that_an_answer_leads_to_records_its_attempt_once() {
    let upstream = FakeUpstream::scripted(|seen| {
        let reply = reply(seen).cname("first.example").cname("second.example").cname("third.example");
        vec![Act::Send(reply.a(FREE).a(BANNED).octets())]
    })
    .await;
    let observe = "mode = \"observe\"\n";
    let server = TestServer::new()
        .ban_with("a", observe, "first.example\nthird.example\n")
        .ban_with("b", observe, "second.example\n")
        .ban_with("c", observe, "answer:198.51.100.0/24\n")
        .upstream(&upstream);
    let server = server.start().await;
    for _fresh_then_cached in 0..2 {
        assert_eq!(server.query("asked.example", qtype::A).await.answers().len(), 5);
    }
    let seen = ["2x a/first.example observe", "2x b/second.example observe", "2x c/answer:198.51.100.0/24 observe"];
    assert_eq!(recorded(&server).await, seen);

    server.change_ban("b", "", "second.example\n").await;
    assert_eq!(server.query("other.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    // What was done about the lookup was done about all of it; nobody went on to where the chain was cut off.
    let done = ["1x a/first.example nxdomain", "1x b/second.example nxdomain"];
    assert_eq!(recorded(&server).await, [&done, &seen[..]].concat());
}

#[tokio::test]
async fn a_ban_that_observes_one_name_of_a_chain_still_enforces_the_next() {
    let upstream = FakeUpstream::scripted(|seen| {
        vec![Act::Send(reply(seen).cname("seen.example").cname("geo.example").a(FREE).octets())]
    })
    .await;
    let rules = "seen.example x ambiguous observe\ngeo.example\n";
    let server = TestServer::new().ban("v", rules).upstream(&upstream).start().await;
    assert_eq!(server.query("asked.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(recorded(&server).await, ["1x v/geo.example nxdomain"]);
}
