//! DNS over TLS (RFC 7858).

use std::io;
use std::time::Duration;

use embargo::wire::{PROXY_SIGNATURE, Transport, rcode};
use tokio::io::AsyncWriteExt;

use super::client::{self, Dot, end};
use super::{ANYBODY, PROXY, World, address};
use crate::harness::{Question, Response};
use crate::upstream_fake::{A, Act, reply};

const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

fn asks(name: &str) -> Vec<u8> {
    Question::new(name, A).octets()
}

#[tokio::test]
async fn queries_sent_at_once_are_answered_in_the_order_in_which_their_answers_are_ready() {
    let world = World::new("").await;
    world.upstream.now_does(address);
    let mut client = world.dot().await;
    let mut asked = ["slow.example", "quick.example", "geo.example"].map(asks);
    for (query, id) in asked.iter_mut().zip(1..) {
        query[1] = id;
    }
    client.send(&asked).await;
    let mut answered = Vec::new();
    for _answer in 0..3 {
        answered.push(client.receive().await.unwrap()[1]);
    }
    assert_eq!(answered, [3, 2, 1]);
    assert_eq!(world.server.metric("dns_requests_total", &[("proto", "dot")]).await, 3);
    assert_eq!(world.server.metric("dns_responses_total", &[]).await, 3);
    assert_eq!(world.server.metric("dns_connections", &[("proto", "dot")]).await, 1);
}

#[tokio::test]
async fn a_banned_name_is_blocked_and_recorded_as_asked_over_tls_by_a_proven_address() {
    let world = World::new("").await;
    let answer = world.dot().await.ask(&asks("a.geo.example")).await.unwrap();
    world.has_blocked(answer, ANYBODY, Transport::Dot).await;
}

#[tokio::test]
async fn the_length_of_an_answer_says_nothing_to_who_pads_and_the_idle_time_is_told_to_who_asks() {
    let world = World::new("[tcp]\nidle = \"7s\"").await;
    let mut client = world.dot().await;
    for name in ["free.example", "much-longer-than-that.free.example", "geo.example"] {
        let padded = Question::new(name, A).option(PADDING, &[0; 31]).octets();
        assert_eq!(client.ask(&padded).await.unwrap().len(), 468, "{name}");
    }
    let asked = client.ask(&Question::new("free.example", A).option(KEEPALIVE, &[]).octets()).await.unwrap();
    let told = [&KEEPALIVE.to_be_bytes()[..], &[0, 2], &70_u16.to_be_bytes()].concat();
    assert!(asked.ends_with(&told), "{asked:?}");
    assert!(client.ask(&asks("free.example")).await.unwrap().len() < 100);
}

#[tokio::test]
async fn a_proxy_says_for_whom_it_speaks_before_tls_begins_or_is_not_heard() {
    let world = World::new("").await;
    let header = [&PROXY_SIGNATURE[..], &[0x21, 0x11, 0, 12, 192, 0, 2, 7, 127, 0, 0, 1, 16, 146, 3, 85]].concat();
    let mut stream = client::tcp(PROXY, world.tls()).await;
    stream.write_all(&header).await.unwrap();
    let mut proxied = Dot::on(stream, &world.authority.trust()).await.unwrap();
    assert_eq!(Response::read(proxied.ask(&asks("geo.example")).await.unwrap()).rcode(), rcode::NXDOMAIN);
    let attempts = world.server.attempts().await;
    assert_eq!((attempts[0].client, attempts[0].verified), (Some([192, 0, 2, 7].into()), true));

    let silent = client::tcp(PROXY, world.tls()).await;
    assert!(Dot::on(silent, &world.authority.trust()).await.is_err());
    let mut stranger = client::tcp(ANYBODY, world.tls()).await;
    stranger.write_all(&header).await.unwrap();
    assert!(Dot::on(stranger, &world.authority.trust()).await.is_err());
    for reason in ["proxy_header", "handshake"] {
        assert_eq!(world.server.metric("dns_connections_cut_total", &[("reason", reason)]).await, 1, "{reason}");
    }
}

#[tokio::test]
async fn who_does_not_speak_it_is_turned_away_and_counted_and_others_see_nothing_of_it() {
    let world = World::new("").await;
    let trust = world.authority.trust();
    assert!(client::tls(client::tcp(ANYBODY, world.tls()).await, &trust, b"h2").await.is_err());
    for rubbish in [&b"GET / HTTP/1.1\r\n\r\n"[..], &asks("geo.example"), &[0xFF; 2000], b"\x16\x03\x01\xFF\xFF\x01"] {
        let mut stream = client::tcp(ANYBODY, world.tls()).await;
        stream.write_all(rubbish).await.unwrap();
        end(&mut stream).await;
    }
    // One that was only to see whether somebody is there is no failure.
    let mut probe = client::tcp(ANYBODY, world.tls()).await;
    probe.shutdown().await.unwrap();
    end(&mut probe).await;
    assert_eq!(world.server.metric("dns_connections_cut_total", &[("reason", "handshake")]).await, 5);
    assert!(world.dot().await.ask(&asks("free.example")).await.is_ok());
    assert_eq!(world.server.metric("dns_requests_total", &[]).await, 1);
}

#[tokio::test]
async fn at_the_limit_of_handshakes_the_oldest_goes_and_no_connection_that_is_through_with_it() {
    // A quarter of the places, which are two.
    let world = World::new("[tcp]\nconnections_max = 8").await;
    let mut through = world.dot().await;
    let mut silent = Vec::new();
    for _stranger in 0..3 {
        silent.push(client::tcp(ANYBODY, world.tls()).await);
        // Else the order in which they come is the kernel's.
        let open = 1 + silent.len() as u64;
        while world.server.metric("dns_connections", &[("proto", "dot")]).await < open.min(3) {}
    }
    end(&mut silent[0]).await;
    assert_eq!(world.server.metric("dns_connections_cut_total", &[("reason", "evicted")]).await, 1);
    assert!(through.ask(&asks("free.example")).await.is_ok());
    assert!(world.dot().await.ask(&asks("free.example")).await.is_ok(), "the next of the oldest went for it");
}

#[tokio::test]
async fn a_connection_is_ended_in_order_when_the_server_ends() {
    let world = World::new("").await;
    world.upstream.now_does(|seen| {
        vec![Act::Wait(Duration::from_millis(300)), Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]
    });
    let mut client = world.dot().await;
    client.send(&[asks("slow.example")]).await;
    world.upstream.has_seen(1).await;
    let ((), answered) = tokio::join!(
        async {
            world.server.stop().await;
        },
        async {
            let answer = client.receive().await.unwrap();
            (Response::read(answer).answers()[0].3.clone(), client.receive().await.unwrap_err().kind())
        }
    );
    assert_eq!(answered, (vec![192, 0, 2, 1], io::ErrorKind::NotConnected));
}
