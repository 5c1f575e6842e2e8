//! Zones that are sent to servers of their own, beside everything else.

use std::sync::Arc;

use embargo::app::control::Request;
use embargo::wire::{qtype, rcode};

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, reply};

const DS: u16 = 43;
const ROOT: [u8; 4] = [192, 0, 2, 1];
const CORP: [u8; 4] = [192, 0, 2, 2];
const LAB: [u8; 4] = [192, 0, 2, 3];

/// An upstream that says of every name that it is at this address.
async fn upstream(address: [u8; 4]) -> FakeUpstream {
    FakeUpstream::scripted(move |seen| vec![Act::Send(reply(seen).a(address).octets())]).await
}

fn forward(zones: &[&str], upstreams: &[&FakeUpstream]) -> String {
    let servers: Vec<String> = upstreams.iter().map(|upstream| upstream.address().to_string()).collect();
    format!("[[forward]]\nzones = {zones:?}\nservers = {servers:?}\n")
}

async fn address(server: &RunningServer, name: &str) -> Vec<u8> {
    server.query(name, qtype::A).await.answers()[0].3.clone()
}

#[tokio::test]
async fn each_name_is_asked_of_the_servers_of_its_longest_zone_alone() {
    let (root, corp, lab) = (upstream(ROOT).await, upstream(CORP).await, upstream(LAB).await);
    let zones = forward(&["corp.example", "10.in-addr.arpa"], &[&corp]) + &forward(&["lab.corp.example"], &[&lab]);
    let server = TestServer::new().upstream(&root).setting(&zones).start().await;

    for (name, expected) in [
        ("www.example", ROOT),
        ("notcorp.example", ROOT),
        ("corp.example", CORP),
        ("MAIL.Corp.Example", CORP),
        ("lab.corp.example", LAB),
        ("a.lab.corp.example", LAB),
        ("7.0.0.10.in-addr.arpa", CORP),
    ] {
        assert_eq!(address(&server, name).await, expected, "{name}");
        let over_tcp = server.ask(&Question::new(&format!("tcp.{name}"), qtype::A).tcp()).await;
        assert_eq!(over_tcp.answers()[0].3, expected, "{name} over TCP");
    }
    let leaked =
        |upstream: &FakeUpstream, zone: &str| upstream.queries().iter().any(|seen| seen.qname().ends_with(zone));
    assert!(
        !leaked(&root, ".corp.example") && !leaked(&root, ".10.in-addr.arpa") && !leaked(&corp, "lab.corp.example")
    );
    server.query("corp.example", DS).await;
    assert!(root.queries().iter().any(|seen| seen.qtype() == DS), "the parent has the DS record of a zone");
}

#[tokio::test]
async fn a_ban_comes_before_a_zone() {
    let (root, corp) = (upstream(ROOT).await, upstream(CORP).await);
    let server = TestServer::new()
        .ban("v", "geo.corp.example")
        .upstream(&root)
        .setting(&forward(&["corp.example"], &[&corp]))
        .start()
        .await;
    assert_eq!(server.query("a.geo.corp.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!((root.queries_seen(), corp.queries_seen()), (0, 0));
}

#[tokio::test]
async fn a_zone_fails_over_among_its_own_servers_and_never_to_those_of_others() {
    let root = upstream(ROOT).await;
    let refusing = FakeUpstream::scripted(|seen| vec![Act::Send(reply(seen).rcode(5).octets())]).await;
    let corp = upstream(CORP).await;
    let zones = forward(&["corp.example"], &[&refusing, &corp]) + &forward(&["dead.example"], &[&refusing]);
    let server = TestServer::new().upstream(&root).setting(&zones).start().await;

    assert_eq!(address(&server, "a.corp.example").await, CORP);
    assert_eq!(server.query("a.dead.example", qtype::A).await.rcode(), rcode::SERVFAIL);
    assert_eq!(root.queries_seen(), 0, "a name of the organisation is nobody else's business");
}

#[tokio::test]
async fn zones_follow_a_reload_and_no_query_is_lost_meanwhile() {
    let (root, corp, lab) = (upstream(ROOT).await, upstream(CORP).await, upstream(LAB).await);
    let servers = format!("[upstream]\nservers = [\"{}\"]\n", root.address());
    let with = |zones: &str| format!("{servers}{zones}");
    let server = Arc::new(TestServer::new().setting(&servers).start().await);
    assert_eq!(address(&server, "a.corp.example").await, ROOT);

    server.change_settings(&with(&forward(&["corp.example"], &[&corp]))).await;
    assert_eq!(address(&server, "b.corp.example").await, CORP);
    let status = server.control(Request::Status).await;
    assert_eq!(status["upstreams"][1]["zone"], "corp.example", "{status}");
    assert_eq!(status["upstreams"][1]["queries"], 1);

    // A change beside it leaves the group as it is, with what is known of its servers.
    server.change_settings(&with(&(forward(&["corp.example"], &[&corp]) + &forward(&["x.example"], &[&lab])))).await;
    assert_eq!(server.control(Request::Status).await["upstreams"][1]["queries"], 1);

    let asking = Arc::clone(&server);
    let client = tokio::spawn(async move {
        for number in 0..300 {
            assert_eq!(asking.query(&format!("n{number}.corp.example"), qtype::A).await.answers().len(), 1);
        }
    });
    let mut turn = 0;
    while !client.is_finished() {
        turn += 1;
        let to = if turn % 2 == 0 { &corp } else { &lab };
        server.change_settings(&with(&forward(&["corp.example"], &[to]))).await;
    }
    client.await.unwrap();
    server.change_settings(&servers).await;
    assert_eq!(address(&server, "c.corp.example").await, ROOT);
}

#[tokio::test]
async fn what_is_known_of_a_zone_is_forgotten_when_it_is_sent_elsewhere_and_nothing_else_is() {
    let (root, corp, lab) = (upstream(ROOT).await, upstream(CORP).await, upstream(LAB).await);
    let servers = format!("[upstream]\nservers = [\"{}\"]\n", root.address());
    let with = |zones: &str| format!("{servers}{zones}");
    let server = TestServer::new().setting(&servers).start().await;
    let both =
        async |name: &str| (address(&server, &format!("{name}.corp.example")).await, address(&server, name).await);
    assert_eq!(both("a").await, (ROOT.to_vec(), ROOT.to_vec()));

    for (zones, expected) in [
        (forward(&["corp.example"], &[&corp]), CORP),
        // Another zone beside it, another order: its servers are the same.
        (forward(&["corp.example"], &[&corp]) + "order = \"fastest\"\n" + &forward(&["x.example"], &[&lab]), CORP),
        (forward(&["corp.example"], &[&lab]), LAB),
        (String::new(), ROOT),
    ] {
        let seen = root.queries_seen() + corp.queries_seen() + lab.queries_seen();
        let known = address(&server, "a.corp.example").await == expected;
        server.change_settings(&with(&zones)).await;
        assert_eq!(both("a").await, (expected.to_vec(), ROOT.to_vec()), "{zones}");
        let asked = root.queries_seen() + corp.queries_seen() + lab.queries_seen() - seen;
        assert_eq!(asked, usize::from(!known), "one question, if any: {zones}");
    }
    assert!(server.metric("cache_flushed_total", &[]).await >= 3);
}

#[tokio::test]
async fn a_server_in_two_groups_is_counted_for_each() {
    let both = upstream(ROOT).await;
    let server = TestServer::new().upstream(&both).setting(&forward(&["corp.example"], &[&both])).start().await;
    server.query("a.corp.example", qtype::A).await;
    server.query("a.example", qtype::A).await;
    let (root, corp) = (both.address().to_string(), format!("{} for corp.example", both.address()));
    for upstream in [root, corp] {
        assert_eq!(server.metric("upstream_healthy", &[("upstream", &upstream)]).await, 1, "{upstream}");
        let answers = server.metric("upstream_request_duration_seconds_count", &[("upstream", &upstream)]).await;
        assert_eq!(answers, 1, "{upstream}");
    }
}
