//! EDNS client subnet (RFC 7871): told to whom the operator says, and an answer for one network is for no other.

use std::time::Duration;

use embargo::wire::{ede, qtype, rcode};
use tokio::net::UdpSocket;

use crate::harness::{Question, Response, RunningServer, TestServer, receive};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply};

const SUBNET: u16 = 8;
/// What an upstream says that is not told for whom it is.
const GENERAL: [u8; 4] = [192, 0, 2, 1];
/// Two networks, as a query has them: 198.51.100.0/24 and 203.0.113.0/25.
const ONE: &[u8] = &[0, 1, 24, 0, 198, 51, 100];
const OTHER: &[u8] = &[0, 1, 25, 0, 203, 0, 113, 0];
/// The client that may tell its network.
const LISTED: &str = "[upstream]\necs_from = [\"127.0.0.1\"]\n";

/// Answers with the first octets of the network that it is told, for that much of it that `scope` says.
fn tailored(scope: u8) -> impl Fn(&Seen) -> Vec<Act> {
    move |seen| {
        let Some(asked) = seen.option(SUBNET) else { return vec![Act::Send(reply(seen).a(GENERAL).octets())] };
        let mut told = asked.to_vec();
        told[3] = scope;
        vec![Act::Send(reply(seen).a([asked[4], asked[5], asked[6], scope]).option(SUBNET, &told).octets())]
    }
}

fn asks(subnet: &[u8]) -> Question {
    Question::new("free.example", qtype::A).option(SUBNET, subnet)
}

/// The address and the subnet of an answer.
fn said(response: &Response) -> (Vec<u8>, Option<Vec<u8>>) {
    (response.answers()[0].3.clone(), response.option(SUBNET))
}

async fn ask(server: &RunningServer, question: Question) -> (Vec<u8>, Option<Vec<u8>>) {
    said(&server.ask(&question).await)
}

/// As [`ask`], from another address than that of all other clients.
async fn ask_from_elsewhere(server: &RunningServer, question: Question) -> (Vec<u8>, Option<Vec<u8>>) {
    let socket = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    socket.send_to(&question.octets(), server.address()).await.unwrap();
    said(&Response::read(receive(&socket).await))
}

#[tokio::test]
async fn an_answer_for_one_network_reaches_no_other_whoever_asks_in_which_order_and_over_what() {
    for scope in [24, 0] {
        let upstream = FakeUpstream::scripted(tailored(scope)).await;
        let server = TestServer::new().upstream(&upstream).setting(LISTED).start().await;
        let for_one = (vec![198, 51, 100, scope], Some(vec![0, 1, 24, scope, 198, 51, 100]));
        let for_other = (vec![203, 0, 113, scope], Some(vec![0, 1, 25, scope, 203, 0, 113, 0]));
        let general = (GENERAL.to_vec(), None);
        for _again in 0..2 {
            assert_eq!(ask(&server, asks(ONE)).await, for_one);
            assert_eq!(ask(&server, asks(OTHER)).await, for_other);
            assert_eq!(ask(&server, asks(OTHER).tcp()).await, for_other);
            assert_eq!(ask(&server, asks(ONE).tcp()).await, for_one);
            assert_eq!(ask(&server, Question::new("free.example", qtype::A)).await, general);
            assert_eq!(ask_from_elsewhere(&server, asks(ONE)).await, general);
        }
        let told = upstream.queries().iter().filter(|seen| seen.option(SUBNET).is_some()).count();
        assert_eq!((told, upstream.queries_seen()), (8, 9), "only what is for all is kept");
    }
}

#[tokio::test]
async fn equal_questions_for_two_networks_that_wait_at_the_same_time_get_each_its_own_answer() {
    let slow = |seen: &Seen| [vec![Act::Wait(Duration::from_millis(100))], tailored(24)(seen)].concat();
    let upstream = FakeUpstream::scripted(slow).await;
    let server = TestServer::new().upstream(&upstream).setting(LISTED).start().await;
    let plain = Question::new("free.example", qtype::A);
    let (one, other, general, again) = tokio::join!(
        ask(&server, asks(ONE)),
        ask(&server, asks(OTHER)),
        ask(&server, plain.clone()),
        ask(&server, asks(ONE).tcp()),
    );
    assert_eq!(
        [one.0, other.0, general.0, again.0],
        [vec![198, 51, 100, 24], vec![203, 0, 113, 24], GENERAL.to_vec(), vec![198, 51, 100, 24]]
    );
}

#[tokio::test]
async fn an_answer_for_another_network_is_none_and_one_for_no_network_in_particular_is_passed_on() {
    let wrong_first = |seen: &Seen| {
        let wrong = reply(seen).a([192, 0, 2, 66]).option(SUBNET, &[0, 1, 24, 24, 192, 0, 2]).octets();
        let broken = reply(seen).a([192, 0, 2, 67]).option(SUBNET, &[0, 1, 24]).octets();
        [vec![Act::Send(wrong), Act::Send(broken)], tailored(24)(seen)].concat()
    };
    let upstream = FakeUpstream::scripted(wrong_first).await;
    let server = TestServer::new().upstream(&upstream).setting(LISTED).start().await;
    assert_eq!(ask(&server, asks(ONE)).await.0, [198, 51, 100, 24]);
    upstream.now_does(|seen| vec![Act::Send(reply(seen).a(GENERAL).octets())]);
    assert_eq!(ask(&server, asks(ONE)).await, (GENERAL.to_vec(), None));
}

#[tokio::test]
async fn what_is_no_network_is_left_out_and_a_network_of_no_bits_is_passed_on() {
    let upstream = FakeUpstream::scripted(tailored(0)).await;
    let server = TestServer::new().upstream(&upstream).setting(LISTED).start().await;
    for bad in
        [&[0, 1, 24, 24, 198, 51, 100][..], &[0, 1, 24, 0, 198, 51], &[0, 1, 23, 0, 198, 51, 101], &[], &[0, 9, 0, 0]]
    {
        assert_eq!(ask(&server, asks(bad)).await, (GENERAL.to_vec(), None), "{bad:?}");
    }
    upstream.now_does(|seen| {
        let told = seen.option(SUBNET).unwrap().to_vec();
        vec![Act::Send(reply(seen).a([192, 0, 2, 9]).option(SUBNET, &told).octets())]
    });
    let none = [0, 2, 0, 0];
    assert_eq!(ask(&server, asks(&none)).await, (vec![192, 0, 2, 9], Some(none.to_vec())));
}

#[tokio::test]
async fn a_zone_with_servers_of_its_own_says_for_itself_whose_network_they_are_told() {
    let (root, corp) = (FakeUpstream::scripted(tailored(24)).await, FakeUpstream::scripted(tailored(24)).await);
    let zone = format!(
        "[[forward]]\nzones = [\"corp.example\"]\nservers = [\"{}\"]\necs_from = [\"127.0.0.0/8\"]\n",
        corp.address()
    );
    let server = TestServer::new().upstream(&root).setting(&zone).start().await;
    assert_eq!(ask(&server, asks(ONE)).await.0, GENERAL);
    let below = || Question::new("a.corp.example", qtype::A).option(SUBNET, ONE);
    assert_eq!(ask(&server, below()).await.0, [198, 51, 100, 24]);
    assert_eq!(ask_from_elsewhere(&server, below()).await.0, [198, 51, 100, 24]);
    server.change_settings(&zone.replace("127.0.0.0/8", "127.0.0.2")).await;
    assert_eq!(ask(&server, below()).await.0, GENERAL);
    assert_eq!(ask_from_elsewhere(&server, below()).await.0, [198, 51, 100, 24]);
}

#[tokio::test]
async fn no_network_lifts_a_ban_and_dead_upstreams_are_servfail_in_time() {
    let upstream = FakeUpstream::scripted(|seen| {
        if seen.qname().starts_with("dead") {
            return Vec::new();
        }
        vec![Act::Send(reply(seen).cname("a.geo.example").a(GENERAL).octets())]
    })
    .await;
    let settings = LISTED.to_owned() + "hedge_after = \"50ms\"\ndeadline = \"300ms\"\n";
    let server =
        TestServer::new().ban("kaspersky", "geo.example\n").upstream(&upstream).setting(&settings).start().await;
    let banned = server.ask(&Question::new("geo.example", qtype::A).option(SUBNET, ONE)).await;
    assert_eq!((banned.rcode(), upstream.queries_seen()), (rcode::NXDOMAIN, 0));
    assert_eq!(server.ask(&asks(ONE)).await.rcode(), rcode::NXDOMAIN, "it leads to a banned name");
    assert_eq!(server.attempts().await.len(), 2);
    let dead = server.ask(&Question::new("dead.example", qtype::A).option(SUBNET, ONE)).await;
    assert_eq!((dead.rcode(), dead.ede().map(|ede| ede.0)), (rcode::SERVFAIL, Some(ede::NO_REACHABLE_AUTHORITY)));
}
