//! Faults that were found once: each stays found.

use std::time::Duration;

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, TestServer};
use crate::upstream_fake::{A, Act, FakeUpstream, RA, Seen, reply, wire};

const TRUE: [u8; 4] = [192, 0, 2, 1];
const FORGED: [u8; 4] = [198, 51, 100, 6];
const AAAA: u16 = 28;
const DNAME: u16 = 39;

#[tokio::test]
async fn what_an_upstream_says_of_other_names_and_types_reaches_no_client() {
    let upstream = FakeUpstream::scripted(|seen: &Seen| {
        let other = reply(seen).at("bank.example").a(FORGED);
        let answer = match seen.qname().as_str() {
            "owner.example" => other,
            "type.example" => reply(seen).answer(AAAA, &[0; 16]),
            "behind.example" => reply(seen).cname("end.example").a(TRUE).at("bank.example").a(FORGED),
            _ => reply(seen).a(TRUE),
        };
        vec![Act::Send(answer.octets())]
    })
    .await;
    let server = TestServer::new().upstream(&upstream).start().await;

    assert_eq!(server.query("owner.example", A).await.answers(), []);
    assert_eq!(server.query("type.example", A).await.answers(), []);
    let behind = server.query("behind.example", A).await;
    let owners: Vec<_> = behind.answers().into_iter().map(|row| row.0).collect();
    assert_eq!(owners, ["behind.example", "end.example"]);
    assert_eq!(server.query("bank.example", A).await.answers()[0].3, TRUE);
}

#[tokio::test]
async fn a_cname_that_leads_to_itself_is_a_failure_and_not_an_answer() {
    let script = |seen: &Seen| vec![Act::Send(reply(seen).cname(&seen.qname()).octets())];
    let upstream = FakeUpstream::scripted(script).await;
    let server = TestServer::new().upstream(&upstream).start().await;

    let response = server.query("a.example", A).await;

    assert_eq!((response.rcode(), response.answers()), (rcode::SERVFAIL, vec![]));
}

#[tokio::test]
async fn an_answer_of_no_use_is_no_reason_to_fail_while_another_upstream_has_a_good_one() {
    let circle =
        |seen: &Seen| vec![Act::Send(reply(seen).cname("b.example").cname("a.example").cname("b.example").octets())];
    let referral = |seen: &Seen| vec![Act::Send(reply(seen).referral("example").octets())];
    let nowhere = |seen: &Seen| vec![Act::Send(reply(seen).without(RA).octets())];
    for (what, useless) in [
        ("circle", FakeUpstream::scripted(circle).await),
        ("referral", FakeUpstream::scripted(referral).await),
        ("nothing", FakeUpstream::scripted(nowhere).await),
    ] {
        let good = FakeUpstream::start().await;
        let server = TestServer::new().upstream(&useless).upstream(&good).start().await;
        for question in [Question::new("a.example", A), Question::new("b.example", A).tcp()] {
            let response = server.ask(&question).await;
            assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 1), "{what}");
        }
        assert_eq!(server.metric("upstream_failures_total", &[("reason", "unusable")]).await, 2, "{what}");
        let alone = TestServer::new().upstream(&useless).start().await;
        assert_eq!(alone.query("a.example", A).await.rcode(), rcode::SERVFAIL, "{what}");
    }
}

#[tokio::test]
async fn an_answer_to_the_first_attempt_just_before_the_deadline_is_given() {
    // Whatever else is asked meets silence, so that only the first attempt can bring it.
    let upstream = FakeUpstream::scripted(|seen| {
        let late = vec![Act::Wait(Duration::from_millis(1700)), Act::Send(reply(seen).a(TRUE).octets())];
        if seen.nth == 0 { late } else { Vec::new() }
    })
    .await;
    let server = TestServer::new().upstream(&upstream).start().await;
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NOERROR);
}

#[tokio::test]
async fn a_dname_without_its_cname_still_leads_to_the_banned_name() {
    let script = |seen: &Seen| vec![Act::Send(reply(seen).at("example").answer(DNAME, &wire("geo.test")).octets())];
    let upstream = FakeUpstream::scripted(script).await;
    let server = TestServer::new().ban("vendor", "=a.geo.test\n").upstream(&upstream).start().await;

    assert_eq!(server.query("a.example", A).await.soa().unwrap().0, "a.geo.test");
    assert_eq!(server.query("b.example", A).await.soa(), None);
}

#[tokio::test]
async fn where_a_dname_points_is_judged_only_by_what_it_makes_of_the_name_asked() {
    // As nameservers do: the DNAME with the CNAME made of it.
    let script = |seen: &Seen| {
        let name = seen.qname();
        let below = name.strip_suffix(".dn.example").map(|below| format!("{below}.bad.example"));
        let reply = reply(seen).at("dn.example").answer(DNAME, &wire("bad.example"));
        let reply = match below {
            Some(target) => reply.at(&name).cname(&target),
            None => reply,
        };
        vec![Act::Send(reply.a(TRUE).octets())]
    };
    let upstream = FakeUpstream::scripted(script).await;
    let rules = "=bad.example\ndeep.bad.example\n!free.bad.example\n";
    let server = TestServer::new().ban("vendor", rules).upstream(&upstream).start().await;

    for name in ["free.dn.example", "other.dn.example"] {
        let response = server.query(name, A).await;
        assert_eq!((response.rcode(), response.soa()), (rcode::NOERROR, None), "{name}");
    }
    let response = server.query("x.deep.dn.example", A).await;
    assert_eq!((response.rcode(), response.soa().unwrap().0.as_str()), (rcode::NXDOMAIN, "bad.example"));
    let links: Vec<_> = response.answers().into_iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(links, [("dn.example".to_owned(), DNAME), ("x.deep.dn.example".to_owned(), qtype::CNAME)]);
    assert_eq!(server.query("dn.example", DNAME).await.soa(), None, "its owner is led nowhere");
}

#[tokio::test]
async fn a_protected_name_is_not_blocked_by_where_it_leads() {
    let script = |seen: &Seen| vec![Act::Send(reply(seen).cname("cdn.bad.example").a(TRUE).octets())];
    let upstream = FakeUpstream::scripted(script).await;
    let server = TestServer::new()
        .setting("protected = [\"vpn.example\"]")
        .ban("vendor", "bad.example\n")
        .ban_with("watch", "mode = \"observe\"\n", "cdn.bad.example\n")
        .upstream(&upstream)
        .start()
        .await;

    for _fresh_then_cached in 0..2 {
        let response = server.query("vpn.example", A).await;
        assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 2));
    }
    assert_eq!(server.query("other.example", A).await.rcode(), rcode::NXDOMAIN);
    let seen: u64 = server.attempts().await.iter().filter(|row| row.ban == "watch").map(|row| row.count).sum();
    assert_eq!(seen, 3, "what only observes does so there too");
}

#[tokio::test]
async fn a_ban_that_only_observes_the_name_asked_for_hides_no_other_ban_behind_it() {
    let script = |seen: &Seen| vec![Act::Send(reply(seen).cname("a.geo.example").a(TRUE).octets())];
    let upstream = FakeUpstream::scripted(script).await;
    let server = TestServer::new()
        .ban("first", "seen.example c visit observe\ngeo.example\n")
        .ban("second", "geo.example\n")
        .upstream(&upstream)
        .start()
        .await;

    let response = server.query("seen.example", A).await;

    assert_eq!(response.rcode(), rcode::NXDOMAIN);
    let bans: Vec<_> = server.attempts().await.into_iter().map(|row| (row.ban, row.action)).collect();
    assert_eq!(bans.len(), 2, "{bans:?}");
}

#[tokio::test]
async fn a_question_asked_while_the_upstream_was_dead_is_asked_again_when_it_is_back() {
    let upstream = FakeUpstream::silent().await;
    let settings = "[upstream]\ndeadline = \"500ms\"\nhedge_after = \"100ms\"\n";
    let server = TestServer::new().setting(settings).upstream(&upstream).start().await;
    assert_eq!(server.query("a.example", A).await.rcode(), rcode::SERVFAIL);

    upstream.now_does(|seen| vec![Act::Send(reply(seen).a(TRUE).octets())]);

    let again = tokio::time::timeout(Duration::from_secs(5), server.query("a.example", A)).await.unwrap();
    assert_eq!(again.rcode(), rcode::NOERROR);
}

#[tokio::test]
async fn no_name_that_a_client_can_know_beforehand_has_an_upstream_taken_for_one_that_leads_back_here() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;

    server.query("0000000000000000.loop.embargo.example", A).await;

    assert_eq!(server.query("a.example", A).await.rcode(), rcode::NOERROR);
}

#[tokio::test]
async fn an_option_or_record_that_only_hickory_looks_at_gets_the_same_answer_over_tcp_as_over_udp() {
    let upstream = FakeUpstream::start().await;
    let server =
        TestServer::new().ban_with("seen", "mode = \"observe\"\n", "seen.example\n").upstream(&upstream).start().await;
    // ECS of no family (RFC 7871 §6), which is passed over.
    let ecs = |name: &str| Question::new(name, qtype::A).option(8, b"\0\x07\x18\0\xC0\0\x02");
    for (number, name) in ["a.example", "b.example", "seen.example"].into_iter().enumerate() {
        let question = ecs(name);
        let question = if number == 0 { question } else { question.tcp() };
        assert_eq!(server.ask(&question).await.rcode(), rcode::NOERROR, "{name}");
    }
    assert_eq!(server.metric("attempts_total", &[("ban", "seen")]).await, 1);
    // A text that is longer than its record, behind the question.
    let mut message = Question::new("c.example", qtype::A).octets();
    message[11] = 1;
    message.extend_from_slice(b"\0\0\x10\0\x01\0\0\0\0\0\x02\x09a");
    assert_eq!(server.tcp(&message).await[3] & 0x0F, 0);
}
