//! DNS over QUIC.

use std::net::SocketAddr;
use std::time::Duration;

use embargo::wire::Transport;
use futures_util::future::join_all;
use tokio::net::UdpSocket;

use super::client::{Quic, framed};
use super::{World, address};
use crate::harness::{Question, Response};
use crate::upstream_fake::A;

/// A query as it is sent over QUIC: its id is 0.
fn message(name: &str) -> Vec<u8> {
    let mut octets = Question::new(name, A).octets();
    octets[..2].fill(0);
    octets
}

#[tokio::test]
async fn queries_on_one_connection_are_answered_each_on_its_stream_in_the_order_in_which_they_are_ready() {
    let world = World::new("").await;
    world.upstream.now_does(address);
    let client = world.doq().await;
    let slow = async {
        let answer = client.ask(&message("slow.example")).await.unwrap();
        (tokio::time::Instant::now(), answer)
    };
    let quick = async {
        let names = (0..20).map(|number| format!("quick-{number}.example")).collect::<Vec<_>>();
        let answers = join_all(names.iter().map(|name| async { client.ask(&message(name)).await.unwrap() })).await;
        (tokio::time::Instant::now(), answers)
    };
    let ((slow_at, slow), (quick_at, quick)) = tokio::join!(slow, quick);
    assert!(quick_at < slow_at);
    for answer in quick.into_iter().chain([slow]) {
        assert_eq!(Response::read(answer).answers()[0].3, [192, 0, 2, 1]);
    }
    assert_eq!(world.server.metric("dns_requests_total", &[("proto", "doq")]).await, 21);
    assert_eq!(world.server.metric("dns_connections", &[("proto", "doq")]).await, 1);
}

#[tokio::test]
async fn a_banned_name_is_blocked_and_recorded_as_asked_over_quic_by_a_proven_address() {
    let world = World::new("").await;
    let answer = world.doq().await.ask(&message("a.geo.example")).await.unwrap();
    world.has_blocked(answer, [127, 0, 0, 1], Transport::Doq).await;
}

#[tokio::test]
async fn what_breaks_the_rules_of_the_transport_ends_the_connection_and_a_banned_name_in_it_is_recorded() {
    let world = World::new("").await;
    let good = message("geo.example");
    let with_id = [&[0, 7], &good[2..]].concat();
    let mut keepalive = Question::new("free.example", A).option(11, &[]).octets();
    keepalive[..2].fill(0);
    let bad: [Vec<u8>; 8] = [
        framed(&with_id),
        framed(&keepalive),
        Vec::new(),
        vec![0],
        framed(&good)[..20].to_vec(),
        [framed(&good), vec![0]].concat(),
        [framed(&good), framed(&good)].concat(),
        framed(&[0; 5]),
    ];
    for octets in bad {
        let client = world.doq().await;
        assert!(client.raw(&octets).await.is_err(), "{octets:?}");
        assert_eq!(client.closed_with().await, 2, "DOQ_PROTOCOL_ERROR for {octets:?}");
    }
    assert_eq!(world.server.metric("dns_dropped_total", &[("reason", "breach")]).await, 2);
    assert_eq!(world.upstream.queries_seen(), 0);
    assert_eq!(world.server.attempts().await.len(), 1);
    assert!(world.doq().await.ask(&message("free.example")).await.is_ok(), "others see nothing of it");
}

#[tokio::test]
async fn streams_taken_back_again_and_again_are_no_queries_and_others_see_nothing_of_them() {
    let world = World::new("").await;
    let client = world.doq().await;
    for _stream in 0..2000 {
        let (mut send, mut receive) = client.connection.open_bi().await.unwrap();
        send.write_all(&framed(&message("free.example"))[..9]).await.unwrap();
        send.reset(0_u32.into()).unwrap();
        drop(receive.stop(0_u32.into()));
    }
    assert!(client.ask(&message("free.example")).await.is_ok());
    assert!(world.doq().await.ask(&message("free.example")).await.is_ok());
    assert_eq!(world.server.metric("dns_requests_total", &[]).await, 2);
}

#[tokio::test]
async fn a_connection_that_moves_to_another_address_is_not_heard_from_there() {
    let world = World::new("").await;
    let client = world.doq().await;
    assert!(client.ask(&message("free.example")).await.is_ok());
    client.moves_to([127, 0, 0, 9]);
    let unheard = tokio::time::timeout(Duration::from_millis(300), client.ask(&message("geo.example"))).await;
    assert!(unheard.is_err(), "{unheard:?}");
    assert!(world.doq().await.ask(&message("free.example")).await.is_ok());
    let heard: Vec<_> = world.server.attempts().await.iter().map(|row| row.client).collect();
    assert!(!heard.contains(&Some([127, 0, 0, 9].into())), "{heard:?}");
}

#[tokio::test]
async fn who_wants_to_speak_otherwise_is_turned_away() {
    let world = World::new("").await;
    assert!(Quic::offering(world.quic(), &world.authority.trust(), b"h3").await.is_err());
}

#[tokio::test]
async fn every_address_is_proven_before_anything_else_is_said() {
    let world = World::new("").await;
    let (relay, server) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), world.quic());
    let address = relay.local_addr().unwrap();
    let first = tokio::spawn(async move { first_words(relay, server).await });
    let client = Quic::connect(address, &world.authority.trust()).await.unwrap();
    assert!(client.ask(&message("free.example")).await.is_ok());
    drop(client);
    let first = first.await.unwrap();
    // A long header of the type Retry (RFC 9000 §17.2.5), and far shorter than what it answers.
    assert_eq!(first[0] & 0xF0, 0xF0);
    assert!(first.len() < 200, "{}", first.len());
}

/// Carries datagrams both ways until nothing comes for a second; returns the first that the server sent.
async fn first_words(relay: UdpSocket, server: SocketAddr) -> Vec<u8> {
    let (mut octets, mut client, mut first) = (vec![0; 65_535], server, Vec::new());
    while let Ok(came) = tokio::time::timeout(Duration::from_secs(1), relay.recv_from(&mut octets)).await {
        let (size, from) = came.unwrap();
        if from == server {
            if first.is_empty() {
                first = octets[..size].to_vec();
            }
            relay.send_to(&octets[..size], client).await.unwrap();
        } else {
            client = from;
            relay.send_to(&octets[..size], server).await.unwrap();
        }
    }
    first
}
