//! Names that the server answers by itself: behind every ban, before the cache, on every transport.

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, reply, wire};

/// The AA bit.
const AA: u16 = 0x0400;

#[tokio::test]
async fn special_use_names_are_answered_here_and_reach_no_upstream() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).start().await;

    for (name, code) in [
        ("x.test", rcode::NXDOMAIN),
        ("x.invalid", rcode::NXDOMAIN),
        ("secret.onion", rcode::NXDOMAIN),
        ("x.alt", rcode::NXDOMAIN),
        ("a.localhost", rcode::NOERROR),
        ("resolver.arpa", rcode::NOERROR),
        ("1.2.0.192.in-addr.arpa", rcode::NXDOMAIN),
    ] {
        for question in [Question::new(name, qtype::A), Question::new(name, qtype::A).tcp().dnssec_ok()] {
            let response = server.ask(&question).await;
            assert_eq!((response.rcode(), response.flags() & AA), (code, AA), "{name}");
            assert_eq!(response.question(), &question.octets()[12..][..response.question().len()], "{name}");
        }
    }

    assert_eq!(upstream.queries_seen(), 0);
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "local")]).await, 14);
}

#[tokio::test]
async fn a_negative_answer_can_be_cached_as_the_rfc_says() {
    let server = TestServer::new().start().await;
    let response = server.ask(&Question::new("1.2.3.10.in-addr.arpa", qtype::PTR).edns(1232)).await;
    assert_eq!(response.rcode(), rcode::NXDOMAIN);
    assert_eq!(response.soa(), Some(("10.in-addr.arpa".to_owned(), 10_800)));
    assert_eq!(response.edns_payload(), Some(1232));
}

#[tokio::test]
async fn no_record_of_our_own_lifts_a_ban() {
    let lines = "[local]\nrecords = [\"a.geo.example A 192.0.2.10\", \"www.own.example CNAME b.geo.example\", \"b.geo.example A 192.0.2.11\"]";
    let server = TestServer::new().ban("acme", "geo.example\n").setting(lines).start().await;

    let direct = server.query("a.geo.example", qtype::A).await;
    assert_eq!((direct.rcode(), direct.answers().len()), (rcode::NXDOMAIN, 0));
    let led = server.query("www.own.example", qtype::A).await;
    assert_eq!(led.rcode(), rcode::NXDOMAIN, "an alias of ours leads no client to a banned name");
    assert!(!led.answers().iter().any(|row| row.1 == qtype::A));

    let page = server.metrics().await;
    assert_eq!(crate::harness::sum(&page, "attempts_total", &[("ban", "acme"), ("action", "nxdomain")]), 2);
    assert_eq!(crate::harness::sum(&page, "dns_responses_total", &[("outcome", "policy")]), 2);
}

#[tokio::test]
async fn an_answer_below_an_observed_ban_is_recorded_and_kept_short() {
    let lines = "[local]\nrecords = [\"a.geo.example 86400 A 192.0.2.10\"]";
    let server =
        TestServer::new().ban_with("acme", "mode = \"observe\"\n", "geo.example\n").setting(lines).start().await;
    let response = server.query("a.geo.example", qtype::A).await;
    assert_eq!(response.answers(), [("a.geo.example".to_owned(), qtype::A, 300, vec![192, 0, 2, 10])]);
    assert_eq!(server.metric("attempts_total", &[("ban", "acme"), ("action", "observe")]).await, 1);
}

#[tokio::test]
async fn own_records_and_the_hosts_file_are_followed_live() {
    let upstream = FakeUpstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.20 printer.example\nrubbish\n").unwrap();
    let lines = |record: &str| format!("[local]\nrecords = [\"nas.example {record}\"]\nhosts = {hosts:?}\n");
    let server = TestServer::new().upstream(&upstream).setting(&lines("A 192.0.2.10")).start().await;

    assert_eq!(server.query("nas.example", qtype::A).await.answers()[0].3, [192, 0, 2, 10]);
    assert_eq!(server.query("printer.example", qtype::A).await.answers()[0].3, [192, 0, 2, 20]);
    let reverse = server.query("20.2.0.192.in-addr.arpa", qtype::PTR).await;
    assert_eq!(reverse.answers()[0].3, wire("printer.example"));
    assert_eq!(server.query("printer.example", qtype::AAAA).await.answers().len(), 0);
    assert_eq!(upstream.queries_seen(), 0);

    std::fs::write(&hosts, "192.0.2.21 printer.example\n").unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), server.files_changed()).await.unwrap();
    server.change_settings(&lines("A 192.0.2.11")).await;

    assert_eq!(server.query("nas.example", qtype::A).await.answers()[0].3, [192, 0, 2, 11]);
    assert_eq!(server.query("printer.example", qtype::A).await.answers()[0].3, [192, 0, 2, 21]);
}

#[tokio::test]
async fn data_of_our_own_is_given_also_to_who_asks_without_recursion() {
    let lines = "[local]\nrecords = [\"nas.example A 192.0.2.10\", \"nas.example TXT x\", \"big.example TXT y\"]";
    let server = TestServer::new().setting(lines).start().await;
    let response = server.ask(&Question::new("nas.example", qtype::A).no_recursion()).await;
    assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 1));
    let transfer = server.ask(&Question::new("nas.example", qtype::AXFR).tcp()).await;
    assert_eq!(transfer.rcode(), rcode::REFUSED);
}

#[tokio::test]
async fn an_answer_of_our_own_that_does_not_fit_is_told_to_be_asked_over_tcp() {
    let text = "x".repeat(200);
    let records: Vec<String> = (0..5).map(|number| format!("\"big.example TXT {number}{text}\"")).collect();
    let server = TestServer::new().setting(&format!("[local]\nrecords = [{}]", records.join(", "))).start().await;
    let short = server.query("big.example", qtype::TXT).await;
    assert_eq!((short.flags() & 0x0200, short.answers().len()), (0x0200, 0));
    assert_eq!(server.ask(&Question::new("big.example", qtype::TXT).tcp()).await.answers().len(), 5);
}

#[tokio::test]
async fn a_private_address_for_a_public_name_is_held_back_fresh_and_cached() {
    let upstream = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).a([192, 168, 0, 1]).octets())]).await;
    let lines = "[local]\nrebind_protection = true\nrebind_allow = [\"good.example\"]";
    let server = TestServer::new().upstream(&upstream).setting(lines).start().await;

    for _fresh_then_cached in 0..2 {
        let response = server.ask(&Question::new("evil.example", qtype::A).edns(1232)).await;
        assert_eq!((response.rcode(), response.answers().len()), (rcode::NOERROR, 0));
        assert_eq!((response.ede().unwrap().0, response.soa().unwrap().1), (15, 60));
        assert_eq!(server.query("a.good.example", qtype::A).await.answers().len(), 1);
        assert_eq!(server.query("nas.home.arpa", qtype::A).await.answers().len(), 1, "a private upstream knows it");
    }

    assert_eq!(server.metric("dns_rebinding_total", &[]).await, 2);
    server.change_settings("").await;
    assert_eq!(server.query("evil.example", qtype::A).await.answers().len(), 1, "the cache keeps what was said");
}

#[tokio::test]
async fn a_zone_with_servers_of_its_own_is_asked_there_though_its_name_is_special() {
    let upstream = FakeUpstream::start().await;
    let forward =
        format!("[[forward]]\nzones = [\"test\", \"2.0.192.in-addr.arpa\"]\nservers = [\"{}\"]", upstream.address());
    let server = TestServer::new().setting(&forward).start().await;
    for name in ["x.test", "1.2.0.192.in-addr.arpa"] {
        assert_eq!(server.query(name, qtype::A).await.answers().len(), 1, "{name}");
    }
    assert_eq!(server.query("x.alt", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(upstream.queries_seen(), 2);
}
