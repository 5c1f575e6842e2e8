//! What no client should send: each gets its rcode or its silence, and each is counted once.

use embargo::wire::{qtype, rcode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Question, RunningServer, TestServer, read_frame, sum, write_frame};
use crate::upstream_fake::FakeUpstream;

async fn server() -> RunningServer {
    TestServer::new().ban("v", "geo.example").upstream(&FakeUpstream::start().await).start().await
}

/// Requests received, and where they ended.
async fn ledger(server: &RunningServer) -> (u64, u64) {
    let page = server.metrics().await;
    let ended = sum(&page, "dns_responses_total", &[]) + sum(&page, "dns_dropped_total", &[]);
    (sum(&page, "dns_requests_total", &[]), ended)
}

#[tokio::test]
async fn silence_meets_what_is_too_short_or_a_response() {
    let server = server().await;
    server.udp_silence(&[]).await;
    server.udp_silence(&[0; 11]).await;
    server.udp_silence(&[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    let mut banned = Question::new("geo.example", qtype::A).octets();
    banned[2] |= 0x80;
    server.udp_silence(&banned).await;
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "short")]).await, 2);
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "response_bit")]).await, 2);
    assert_eq!(server.metric("attempts_total", &[]).await, 0);
}

#[tokio::test]
async fn a_response_from_a_client_that_is_not_served_meets_silence_too() {
    let server =
        TestServer::new().setting("allow = [\"192.0.2.0/24\"]").upstream(&FakeUpstream::start().await).start().await;
    server.udp_silence(&[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn malformed_queries_get_formerr_and_unknown_ones_notimp_or_badvers() {
    let server = server().await;
    let good = Question::new("geo.example", qtype::A).octets();
    let changed = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        message
    };
    let mut trailing = good.clone();
    trailing.push(0);
    let mut two_opts = Question::new("geo.example", qtype::A).edns(1232).octets();
    let opt: Vec<u8> = two_opts[two_opts.len() - 11..].to_vec();
    two_opts.extend(opt);
    two_opts[11] = 2;
    let formerr = [
        changed(5, 0),
        changed(5, 2),
        changed(12, 0xC0),
        changed(12, 64),
        changed(12, 63),
        changed(11, 1),
        trailing,
        two_opts,
        good[..20].to_vec(),
    ];
    for message in &formerr {
        let answer = server.udp(message).await;
        assert_eq!((answer[3] & 15, &answer[..2]), (1, &message[..2]), "{message:02x?}");
    }
    // Its first 4096 octets, or 4097, would be a query.
    for size in [4096, 4097] {
        let mut cut_off = Question::new("geo.example", qtype::A).edns(1232).octets();
        let padding = u16::try_from(size - cut_off.len()).unwrap();
        let size_at = cut_off.len() - 2;
        cut_off[size_at..].copy_from_slice(&padding.to_be_bytes());
        cut_off.extend([0, 12]);
        cut_off.extend((padding - 4).to_be_bytes());
        cut_off.resize(size + 9, 0);
        assert_eq!(server.udp(&cut_off).await[3] & 15, 1);
        assert_eq!(server.tcp(&cut_off).await[3] & 15, 1);
    }
    assert_eq!(server.udp(&changed(2, 0x28)).await[3] & 15, 4);
    let response = server.ask(&Question::new("geo.example", qtype::A).edns_version(1)).await;
    assert_eq!(response.rcode(), rcode::BADVERS);
    assert_eq!(server.metric("attempts_total", &[]).await, 0);
}

#[tokio::test]
async fn a_cookie_without_a_question_gets_an_empty_noerror() {
    let server = server().await;
    let mut message = vec![7, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
    message.extend([1; 8]);
    let answer = server.udp(&message).await;
    assert_eq!((answer[3] & 15, answer[5]), (0, 0));
}

#[tokio::test]
async fn a_count_of_65535_costs_nothing() {
    let server = server().await;
    let answer = server.udp(&[9, 9, 1, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(answer[3] & 15, 1);
    let answer = server.udp(&[9, 9, 1, 0, 0, 1, 0xFF, 0xFF, 0, 0, 0, 0]).await;
    assert_eq!(answer[3] & 15, 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_harms_nobody() {
    let server = server().await;
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(&[0, 40, 1, 2, 3]).await.unwrap();
    half.shutdown().await.unwrap();
    assert_eq!(read_frame(&mut half).await, None);
    let mut empty = TcpStream::connect(server.address()).await.unwrap();
    write_frame(&mut empty, &[]).await;
    write_frame(&mut empty, &Question::new("geo.example", qtype::A).octets()).await;
    assert_eq!(read_frame(&mut empty).await.unwrap()[3] & 15, 3);
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "short")]).await, 1);
}

#[tokio::test]
async fn one_client_gets_no_more_connections_than_its_share() {
    let server = TestServer::new()
        .ban("v", "geo.example")
        .setting("[tcp]\nconnections_per_client_max = 2\n")
        .upstream(&FakeUpstream::start().await)
        .start()
        .await;
    let mut held = Vec::new();
    for _two in 0..2 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        write_frame(&mut stream, &Question::new("geo.example", qtype::A).octets()).await;
        assert!(read_frame(&mut stream).await.is_some());
        held.push(stream);
    }
    let mut third = TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(read_frame(&mut held[0]).await, None, "its oldest makes way");
    write_frame(&mut third, &Question::new("geo.example", qtype::A).octets()).await;
    assert!(read_frame(&mut third).await.is_some());
    assert_eq!(server.metric("dns_connections_cut_total", &[("reason", "evicted")]).await, 1);
}

#[tokio::test]
async fn every_message_ends_in_exactly_one_counter() {
    let server = server().await;
    let (sender, address) = (tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap(), server.address());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let rubbish = proptest::collection::vec(any::<u8>(), 0..80);
    let good = Question::new("geo.example", qtype::A).octets();
    let mut sent = 0;
    for number in 0..600_usize {
        let mut message = rubbish.new_tree(&mut runner).unwrap().current();
        if number % 3 == 0 {
            message = [&good[..number % good.len()], &message].concat();
        }
        // A datagram larger than a loopback buffer's share would be lost before it is read; these are small.
        sender.send_to(&message, address).await.unwrap();
        sent += 1;
        if number % 50 == 0 {
            server.query("geo.example", qtype::A).await;
            sent += 1;
        }
    }
    // Datagrams of one sender are read in order, so this answer says that all before it were read.
    server.query("last.example", qtype::A).await;
    let (received, ended) = loop {
        let (received, ended) = ledger(&server).await;
        if received > sent && received == ended {
            break (received, ended);
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((received, ended), (sent + 1, sent + 1));
}
