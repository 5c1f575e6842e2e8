//! Clients of HTTP/2 that want to do harm: what they can make the server hold is bounded, and others see nothing of it.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{self, Http, MESSAGE_TYPE, Quic, framed, post};
use super::{ANYBODY, World};
use crate::harness::{Question, Response};
use crate::upstream_fake::{A, Act, Seen, TC, reply};

/// Longer than anything here takes; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn others_are_served(world: &World) {
    let answer = world.http_2().await.post(&Question::new("free.example", A).octets()).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn requests_taken_back_again_and_again_end_the_connection() {
    let world = World::new("").await;
    let client = world.http_2().await;
    let mut send = client.send.clone();
    let flood = async {
        loop {
            let Ok(ready) = send.ready().await else { return };
            send = ready;
            let Ok((_response, mut stream)) = send.send_request(post("/dns-query", MESSAGE_TYPE), false) else {
                return;
            };
            stream.send_reset(Reason::CANCEL);
            // Or nothing of it would ever be sent.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("the server has enough");
    let ended = tokio::time::timeout(PATIENCE, client.ended).await.expect("the connection ends").unwrap();
    let error = ended.unwrap_err();
    assert!(error.is_go_away() || error.is_io(), "{error}");
    others_are_served(&world).await;
}

#[tokio::test]
async fn more_streams_than_may_be_open_are_not_begun() {
    let world = World::new("[tcp]\nqueries_in_flight_max = 8").await;
    let client = world.http_2().await;
    // The server's settings have come with this.
    client.post(&Question::new("free.example", A).octets()).await.unwrap();
    assert_eq!(client.send.current_max_send_streams(), 8);
    let mut open = Vec::new();
    for _stream in 0..8 {
        let mut send = client.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(post("/dns-query", MESSAGE_TYPE), false).unwrap();
        stream.send_data(Bytes::from_static(&[0]), false).unwrap();
        open.push((response, stream));
    }
    others_are_served(&world).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let world = World::new("").await;
    let tcp = client::tcp(ANYBODY, world.https()).await;
    let mut stream = client::tls(tcp, &world.authority.trust(), b"h2").await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    // HEADERS without END_HEADERS, then CONTINUATION for ever.
    stream.write_all(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]).await.unwrap();
    let name = [&[0x40, 0x7F, 0x81, 0x07][..], &[b'a'; 264], &[1, b'x']].concat();
    let size = u32::try_from(name.len()).unwrap().to_be_bytes();
    let frame = [&size[1..], &[9, 0, 0, 0, 0, 1], &name].concat();
    let flood = async {
        let mut sent = 0_usize;
        while stream.write_all(&frame).await.is_ok() && stream.flush().await.is_ok() {
            sent += frame.len();
            assert!(sent < 64 << 20, "it takes as much as comes");
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("the server hangs up");
    others_are_served(&world).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_over_http_1() {
    let world = World::new("").await;
    let tcp = client::tcp(ANYBODY, world.https()).await;
    let mut stream = client::tls(tcp, &world.authority.trust(), b"http/1.1").await.unwrap();
    let field = format!("x: {}\r\n", "y".repeat(1000));
    let sent = async {
        let _hung_up = stream.write_all(format!("GET / HTTP/1.1\r\n{}", field.repeat(64)).as_bytes()).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, sent).await.expect("the server hangs up");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    others_are_served(&world).await;
}

const TXT: u16 = 16;
/// Records of the large answer, each of them this large.
const RECORDS: usize = 200;
const RECORD: usize = 256;

/// Says something long about every name.
fn large(seen: &Seen) -> Vec<Act> {
    if !seen.tcp {
        return vec![Act::Send(reply(seen).with(TC).octets())];
    }
    let record = |answer: crate::upstream_fake::Reply, number: usize| {
        answer.answer(TXT, &[&[255, u8::try_from(number).unwrap()][..], &[b'x'; RECORD - 2]].concat())
    };
    vec![Act::Send((0..RECORDS).fold(reply(seen), record).octets())]
}

/// Asks for it, with the id that QUIC wants.
fn asks_for_much() -> Vec<u8> {
    let mut message = Question::new("large.example", TXT).octets();
    message[..2].fill(0);
    message
}

/// Returns when the server has given up large answers, and looks whether another client still gets its own.
async fn others_get_large_answers(world: &World) {
    let shed = async {
        while world.server.metric("dns_shed_total", &[("reason", "client_share")]).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shed).await.expect("one client has its share");
    let tcp = client::tcp([127, 0, 0, 7], world.https()).await;
    let other = Http::on(tcp, &world.authority.trust()).await.unwrap();
    let answer = other.post(&asks_for_much()).await.unwrap();
    assert_eq!(Response::read(answer.body).answers().len(), RECORDS);
    let modest = world.http_2().await.post(&Question::new("large.example", TXT).octets()).await.unwrap();
    assert_eq!(modest.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_that_one_client_never_takes_over_https_leave_room_for_those_of_others() {
    let world = World::new("").await;
    world.upstream.now_does(large);
    let mut held = Vec::new();
    for _connection in 0..16 {
        let stream = client::tls(client::tcp(ANYBODY, world.https()).await, &world.authority.trust(), b"h2").await;
        // It takes one octet of each answer, and the rest is for the server to keep.
        let mut takes_nothing = h2::client::Builder::new();
        takes_nothing.initial_window_size(1);
        let (mut send, connection) = takes_nothing.handshake::<_, Bytes>(stream.unwrap()).await.unwrap();
        let connection = tokio::spawn(connection);
        for _stream in 0..64 {
            send = send.ready().await.unwrap();
            let (response, mut body) = send.send_request(post("/dns-query", MESSAGE_TYPE), false).unwrap();
            body.send_data(Bytes::from(asks_for_much()), true).unwrap();
            held.push(response);
        }
        drop(connection);
    }
    others_get_large_answers(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_that_one_client_never_takes_over_quic_leave_room_for_those_of_others() {
    let world = World::new("").await;
    world.upstream.now_does(large);
    let (mut held, mut clients) = (Vec::new(), Vec::new());
    for _connection in 0..16 {
        let client = Quic::taking(world.quic(), &world.authority.trust(), 1).await.unwrap();
        for _stream in 0..64 {
            let (mut send, receive) = client.connection.open_bi().await.unwrap();
            send.write_all(&framed(&asks_for_much())).await.unwrap();
            send.finish().unwrap();
            held.push((send, receive));
        }
        clients.push(client);
    }
    others_get_large_answers(&world).await;
}
