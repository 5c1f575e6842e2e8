//! Proxies in front of the server (PROXY protocol, version 2): whom they speak for is who is judged, recorded and limited, and
//! nobody but a listed proxy is believed. 127.0.0.2 is the proxy here, 127.0.0.3 anybody.

use std::net::{IpAddr, SocketAddr};

use embargo::metrics::Did;
use embargo::wire::{PROXY_SIGNATURE, Transport, qtype, rcode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::harness::{Question, RunningServer, TestServer, read_frame, receive, write_frame};
use crate::upstream_fake::FakeUpstream;

/// Where a sender is, and whether it is a listed proxy.
type From = (&'static str, bool);

const PROXY: From = ("127.0.0.2:0", true);
const ANYBODY: From = ("127.0.0.3:0", false);

/// How a client reached its proxy.
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

const SETTINGS: &str = "allow = [\"127.0.0.0/8\", \"192.0.2.0/24\", \"2001:db8::/32\"]\nproxies = [\"127.0.0.2/32\"]\n";

async fn server_with(settings: &str) -> RunningServer {
    let server = TestServer::new().ban("v", "geo.example").upstream(&FakeUpstream::start().await);
    server.setting(settings).start().await
}

/// A header that speaks for `client`, which came so.
fn header(client: &str, came: u8) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let (family, addresses) = match client.ip() {
        IpAddr::V4(it) => (0x10, [&it.octets()[..], &[127, 0, 0, 1]].concat()),
        IpAddr::V6(it) => (0x20, [it.octets(), [1; 16]].concat()),
    };
    let ports = [client.port().to_be_bytes(), [0, 53]].concat();
    let size = u16::try_from(addresses.len() + ports.len()).unwrap().to_be_bytes();
    [&PROXY_SIGNATURE[..], &[0x21, family | came], &size, &addresses, &ports].concat()
}

/// A header that speaks for nobody.
fn local() -> Vec<u8> {
    [&PROXY_SIGNATURE[..], &[0x20, 0, 0, 0]].concat()
}

fn banned() -> Vec<u8> {
    Question::new("geo.example", qtype::A).octets()
}

/// The rcode that a datagram from this address gets; `None`: nothing comes, since a later one is answered first.
async fn udp(server: &RunningServer, (from, is_proxy): From, datagram: &[u8]) -> Option<u16> {
    let socket = UdpSocket::bind(from).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket.send(datagram).await.unwrap();
    // An unknown opcode is answered at once.
    let marker = [0xFA, 0xCE, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let end = if is_proxy { [local(), marker.to_vec()].concat() } else { marker.to_vec() };
    socket.send(&end).await.unwrap();
    let first = receive(&socket).await;
    (first[..2] != marker[..2]).then(|| u16::from(first[3] & 15))
}

async fn connect(server: &RunningServer, (from, _is_proxy): From) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(server.address()).await.unwrap()
}

/// A connection of the proxy for this client, and the rcode of a banned query on it.
async fn tcp(server: &RunningServer, header: &[u8]) -> (TcpStream, Option<u16>) {
    let mut stream = connect(server, PROXY).await;
    stream.write_all(header).await.unwrap();
    write_frame(&mut stream, &banned()).await;
    let rcode = read_frame(&mut stream).await.map(|answer| u16::from(answer[3] & 15));
    (stream, rcode)
}

#[tokio::test]
async fn whom_a_proxy_speaks_for_is_recorded_over_udp_and_over_tcp() {
    let server = server_with(SETTINGS).await;
    let datagram = [header("192.0.2.7:4242", DATAGRAM), banned()].concat();
    assert_eq!(udp(&server, PROXY, &datagram).await, Some(rcode::NXDOMAIN));
    let datagram = [header("[2001:db8::7]:4242", STREAM), banned()].concat();
    assert_eq!(udp(&server, PROXY, &datagram).await, Some(rcode::NXDOMAIN));
    let (_stream, answered) = tcp(&server, &header("[::ffff:192.0.2.8]:4242", STREAM)).await;
    assert_eq!(answered, Some(rcode::NXDOMAIN));
    let (_stream, answered) = tcp(&server, &header("192.0.2.9:4242", DATAGRAM)).await;
    assert_eq!(answered, Some(rcode::NXDOMAIN));

    let attempts = server.attempts().await;
    let mut seen: Vec<_> = attempts
        .iter()
        .map(|row| (row.client.unwrap().to_string(), row.transport.unwrap(), row.verified, row.action, row.count))
        .collect();
    seen.sort();
    let row = |client: &str, transport, verified| (client.to_owned(), transport, verified, Did::Nxdomain, 1);
    let expected = [
        row("192.0.2.7", Transport::Udp, false),
        row("192.0.2.8", Transport::Tcp, true),
        // The proxy's address is proven to us, and the client's to nobody.
        row("192.0.2.9", Transport::Tcp, false),
        row("2001:db8::7", Transport::Udp, false),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_miss_by_way_of_a_proxy_goes_back_by_the_proxy() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().upstream(&upstream).setting(SETTINGS).start().await;
    let socket = UdpSocket::bind(PROXY.0).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    for number in 0..3 {
        let question = Question::new(&format!("miss-{number}.example"), qtype::A).octets();
        socket.send(&[header("192.0.2.7:4242", DATAGRAM), question.clone()].concat()).await.unwrap();
        let answer = receive(&socket).await;
        assert_eq!((answer[3] & 15, &answer[12..question.len()]), (0, &question[12..]));
    }
    assert_eq!(server.metric("dns_requests_total", &[("proto", "udp"), ("family", "1")]).await, 3);
}

#[tokio::test]
async fn a_proxy_that_does_not_say_for_whom_it_speaks_gets_no_answer_and_nobody_else_may_say_it() {
    let server = server_with(SETTINGS).await;
    let spoken_for = [header("192.0.2.7:4242", DATAGRAM), banned()].concat();
    assert_eq!(udp(&server, PROXY, &banned()).await, None);
    assert_eq!(udp(&server, PROXY, &spoken_for[..20]).await, None);
    assert_eq!(udp(&server, ANYBODY, &spoken_for).await, None);
    assert_eq!(udp(&server, ANYBODY, &banned()).await, Some(rcode::NXDOMAIN));
    assert_eq!(server.metric("dns_dropped_total", &[("reason", "proxy_header")]).await, 3);

    let (mut stream, answered) = tcp(&server, &[]).await;
    assert_eq!((answered, read_frame(&mut stream).await), (None, None));
    let unknown = [&PROXY_SIGNATURE[..], &[0x21, 0, 0, 0]].concat();
    for other in
        [&b"PROXY TCP4 192.0.2.7 127.0.0.1 4242 53\r\n"[..], &unknown, &[&PROXY_SIGNATURE[..], &[0xFF; 4]].concat()]
    {
        assert_eq!(tcp(&server, other).await.1, None, "{other:?}");
    }
    // A health check that only looks whether somebody accepts is no fault.
    drop(connect(&server, PROXY).await);
    assert_eq!(server.metric("dns_connections_cut_total", &[("reason", "proxy_header")]).await, 4);

    // To anybody else a header is the length of a message that never comes whole.
    let mut stream = connect(&server, ANYBODY).await;
    stream.write_all(&header("192.0.2.7:4242", STREAM)).await.unwrap();
    write_frame(&mut stream, &banned()).await;
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    let clients: Vec<_> = server.attempts().await.into_iter().map(|row| row.client.unwrap().to_string()).collect();
    assert_eq!(clients, ["127.0.0.3"], "nobody was named by who may not");
}

#[tokio::test]
async fn a_proxy_that_asks_for_itself_is_answered_and_is_no_client() {
    let server = server_with(SETTINGS).await;
    assert_eq!(udp(&server, PROXY, &[local(), banned()].concat()).await, Some(rcode::NXDOMAIN));
    assert_eq!(tcp(&server, &local()).await.1, Some(rcode::NXDOMAIN), "policy spares nobody");
    assert_eq!(server.metric("dns_responses_total", &[("outcome", "policy")]).await, 2);
    assert_eq!(server.metric("attempts_total", &[]).await, 0);
    assert!(server.clients().await.is_empty());
}

#[tokio::test]
async fn a_client_behind_a_proxy_is_served_only_if_both_are() {
    let server = server_with(SETTINGS).await;
    let refused = [header("198.51.100.7:4242", DATAGRAM), banned()].concat();
    assert_eq!(udp(&server, PROXY, &refused).await, Some(rcode::REFUSED));
    assert_eq!(tcp(&server, &header("198.51.100.7:4242", STREAM)).await.1, Some(rcode::REFUSED));

    server.change_settings("allow = [\"192.0.2.0/24\"]\nproxies = [\"127.0.0.2/32\"]\n").await;
    let allowed = [header("192.0.2.7:4242", DATAGRAM), banned()].concat();
    assert_eq!(udp(&server, PROXY, &allowed).await, Some(rcode::REFUSED), "its proxy is not served any more");
    let cookie_alone = b"\0\0\x01\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\x0C\0\x0A\0\x0812345678".to_vec();
    let cookie_alone = [header("192.0.2.7:4242", DATAGRAM), cookie_alone].concat();
    assert_eq!(udp(&server, PROXY, &cookie_alone).await, Some(rcode::REFUSED), "not even for a cookie");
    assert_eq!(server.metric("attempts_total", &[]).await, 0);

    server.change_settings("allow = [\"127.0.0.0/8\", \"192.0.2.0/24\"]\nproxies = [\"127.0.0.3\"]\n").await;
    assert_eq!(udp(&server, (PROXY.0, false), &banned()).await, Some(rcode::NXDOMAIN), "it is no proxy any more");
    assert_eq!(udp(&server, (ANYBODY.0, true), &banned()).await, None, "it is one now");
}

#[tokio::test]
async fn connections_are_counted_by_the_client_that_a_proxy_speaks_for() {
    let server = server_with(&format!("{SETTINGS}[tcp]\nconnections_per_client_max = 1\n")).await;
    let (mut first, _) = tcp(&server, &header("192.0.2.7:1", STREAM)).await;
    let (mut other, _) = tcp(&server, &header("192.0.2.8:1", STREAM)).await;
    let (mut second, _) = tcp(&server, &header("192.0.2.7:2", STREAM)).await;
    assert_eq!(read_frame(&mut first).await, None, "the one idle for longest makes way for another of the same client");
    for stream in [&mut other, &mut second] {
        write_frame(stream, &banned()).await;
        assert!(read_frame(stream).await.is_some());
    }
    // Health checks of one proxy are no client's.
    let mut checks = vec![tcp(&server, &local()).await.0, tcp(&server, &local()).await.0];
    for stream in &mut checks {
        write_frame(stream, &banned()).await;
        assert!(read_frame(stream).await.is_some());
    }
    assert_eq!(server.metric("dns_connections_cut_total", &[]).await, 1);
}
