//! Listeners at their limits: more queries than may wait, more connections than there may be, clients that take no answers,
//! sockets that die.
//! What stands behind the ban never answers, so that every limit is reached exactly and without a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use embargo::cache::{self, Cache, KeyRef, Lookup};
use embargo::clock::Clock;
use embargo::metrics::Metrics;
use embargo::serve::{
    Client, Embargo, Encrypted, Failure, Found, ListenConfig, Next, Running, Sockets, StreamConfig, start,
};
use embargo::time::Now;
use embargo::tls::{Identity, ServerTls};
use embargo::wire::{Answer, Layout, Query, Response, qtype, rcode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::harness::{Guarded, Question, read_frame, receive, sum, write_frame};

/// Queries that may wait at a time.
const WAITING_MAX: usize = 8;
/// Connections at most; one client may have them all.
const CONNECTIONS_MAX: usize = 16;
/// A client that takes no answer for so long is cut off.
const SLOW: Duration = Duration::from_millis(300);
/// Longer than anything here takes; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Knows `free.example`, and never finds anything else.
struct Silent(Cache);

impl Next for Silent {
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        self.0.get(&KeyRef::of(query), now.mono)
    }

    async fn ask(&self, _query: &Query<'_>, _client: &Client, _now: Now) -> Result<Found, Failure> {
        std::future::pending().await
    }
}

/// A running server.
struct World {
    metrics: Arc<Metrics>,
    address: std::net::SocketAddr,
    /// The listening socket.
    listener: std::net::TcpListener,
    _running: Running,
    _guarded: Guarded,
}

impl World {
    fn new() -> Self {
        Self::with(sockets())
    }

    fn with((sockets, address): (Sockets, std::net::SocketAddr)) -> Self {
        let guarded = Guarded::new();
        let (metrics, clock) = (Arc::clone(&guarded.metrics), guarded.clock.clone());
        let handler = Embargo::new(Arc::clone(&guarded.guard), Silent(cache(&clock)));
        let listener = sockets.tcp[0].try_clone().unwrap();
        let limits = StreamConfig {
            connections_max: CONNECTIONS_MAX,
            connections_per_client_max: CONNECTIONS_MAX,
            queries_in_flight_max: 4,
            idle: PATIENCE,
            slow: SLOW,
        };
        let config = ListenConfig { waiting_max: WAITING_MAX, streams: limits };
        let running = start(handler, sockets, config, Arc::clone(&metrics), clock).unwrap();
        Self { metrics, address, listener, _running: running, _guarded: guarded }
    }

    /// After this its listening socket accepts nothing any more.
    fn kill_listener(&self) {
        socket2::SockRef::from(&self.listener).shutdown(std::net::Shutdown::Both).unwrap();
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        sum(&self.metrics.render(), name, labels)
    }

    /// Returns when a count is as expected.
    async fn counts(&self, name: &str, labels: &[(&str, &str)], expected: u64) {
        let counted = async {
            while self.count(name, labels) != expected {
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, counted).await;
        assert!(seen.is_ok(), "{name} {labels:?}: {} and not {expected}", self.count(name, labels));
    }

    /// Returns when every query has its end.
    async fn at_rest(&self) {
        let balanced = async {
            loop {
                let page = self.metrics.render();
                let ended = sum(&page, "dns_responses_total", &[]) + sum(&page, "dns_dropped_total", &[]);
                if sum(&page, "dns_requests_total", &[]) == ended {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, balanced).await.expect("every query ends in a counter");
    }

    /// A banned and a cached name are answered.
    async fn answers(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        for (name, expected) in [("geo.example", rcode::NXDOMAIN), ("free.example", rcode::NOERROR)] {
            socket.send(&Question::new(name, qtype::A).octets()).await.unwrap();
            assert_eq!(u16::from(receive(&socket).await[3] & 15), expected, "{name}");
        }
    }
}

/// UDP and TCP on one free port.
fn sockets() -> (Sockets, std::net::SocketAddr) {
    for _choice in 0..50 {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let Ok(udp) = std::net::UdpSocket::bind(address) else { continue };
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        return (Sockets { udp: vec![udp], tcp: vec![tcp], ..Sockets::default() }, address);
    }
    panic!("no port is free for both UDP and TCP");
}

fn cache(clock: &Clock) -> Cache {
    let cache = Cache::new(cache::Config::new(1 << 20));
    let message = Question::new("free.example", qtype::A).octets();
    let query = Query::read(&message).unwrap();
    let response = Response::to(&query).answer(qtype::A, 3600, &[192, 0, 2, 1]).finish(512);
    let answer = Answer::keep(&response, &Layout::read(&response).unwrap()).unwrap();
    cache.insert(KeyRef::of(&query).to_key(), answer, true, clock.now().mono);
    cache
}

fn miss(number: usize) -> Vec<u8> {
    Question::new(&format!("n{number}.miss.example"), qtype::A).octets()
}

#[tokio::test]
async fn more_misses_than_may_wait_are_shed_and_counted_and_known_names_still_answered() {
    let world = World::new();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for number in 0..WAITING_MAX * 20 {
        // A client each: one alone would have its share.
        let client = [127, 0, 0, u8::try_from(number + 2).unwrap()];
        let socket = UdpSocket::bind(std::net::SocketAddr::from((client, 0))).await.unwrap();
        socket.send_to(&miss(number), world.address).await.unwrap();
    }
    let all = u64::try_from(WAITING_MAX * 20).unwrap();
    let waiting = u64::try_from(WAITING_MAX).unwrap();
    world.counts("dns_requests_total", &[], all).await;
    world.counts("dns_shed_total", &[("reason", "room")], all - waiting).await;
    // Permits are of the server, not of a listener.
    write_frame(&mut stream, &miss(0)).await;
    assert_eq!(u16::from(read_frame(&mut stream).await.unwrap()[3] & 15), rcode::SERVFAIL);
    world.counts("dns_shed_total", &[("reason", "room")], all - waiting + 1).await;

    world.answers().await;
    write_frame(&mut stream, &Question::new("geo.example", qtype::A).octets()).await;
    assert_eq!(u16::from(read_frame(&mut stream).await.unwrap()[3] & 15), rcode::NXDOMAIN);
    world.counts("dns_responses_total", &[], all - waiting + 4).await;
    world.counts("dns_requests_total", &[], all + 4).await;
}

/// Whether the server has closed this connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await.expect("an end"), Ok(0) | Err(_))
}

/// A connection whose banned query was answered.
async fn answered(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    write_frame(&mut stream, &Question::new("geo.example", qtype::A).octets()).await;
    assert!(read_frame(&mut stream).await.is_some());
    stream
}

#[tokio::test]
async fn at_the_limit_the_connection_that_is_idle_for_longest_makes_way_for_each_new_one() {
    const ATTEMPTS: usize = 500;
    let world = World::new();
    let mut held = VecDeque::new();
    for _connection in 0..CONNECTIONS_MAX {
        held.push_back(answered(&world).await);
    }
    for number in 1..=ATTEMPTS {
        held.push_back(answered(&world).await);
        assert!(is_closed(&mut held.pop_front().unwrap()).await);
        let number = u64::try_from(number).unwrap();
        world.counts("dns_connections_cut_total", &[("reason", "evicted")], number).await;
    }
    world.counts("dns_connections", &[("proto", "tcp")], u64::try_from(CONNECTIONS_MAX).unwrap()).await;
    world.answers().await;
    for stream in &mut held {
        write_frame(stream, &Question::new("geo.example", qtype::A).octets()).await;
        assert!(read_frame(stream).await.is_some(), "the others are served as before");
    }
    drop(held);
    world.counts("dns_connections", &[], 0).await;
    answered(&world).await;
}

#[tokio::test]
async fn half_a_query_does_not_hold_a_place_but_an_open_query_does() {
    let world = World::new();
    let mut waits = TcpStream::connect(world.address).await.unwrap();
    write_frame(&mut waits, &miss(0)).await;
    world.counts("dns_requests_total", &[], 1).await;
    let mut slow = Vec::new();
    for _connection in 1..CONNECTIONS_MAX {
        let mut stream = answered(&world).await;
        stream.write_all(&[0xFF]).await.unwrap();
        slow.push(stream);
    }
    answered(&world).await;
    assert!(is_closed(&mut slow[0]).await);
    write_frame(&mut waits, &Question::new("geo.example", qtype::A).octets()).await;
    assert!(read_frame(&mut waits).await.is_some(), "it was there first, and stays");
}

#[tokio::test]
async fn a_listener_whose_socket_dies_is_bound_again() {
    let world = World::new();
    let before = answered(&world).await;
    world.kill_listener();
    world.counts("dns_listeners_rebound_total", &[], 1).await;
    let again = async {
        while TcpStream::connect(world.address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it accepts again");
    answered(&world).await;
    drop(before);
}

#[tokio::test]
async fn a_udp_listener_whose_socket_is_none_is_bound_again_at_its_address() {
    let (mut sockets, address) = sockets();
    // A descriptor of another kind at the same address: it can be asked where it is, and never be read.
    sockets.udp = vec![std::os::fd::OwnedFd::from(sockets.tcp[0].try_clone().unwrap()).into()];
    let world = World::with((sockets, address));
    world.counts("dns_listeners_rebound_total", &[], 1).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.address).await.unwrap();
    let again = async {
        // Until it is bound nobody is there, which the kernel says.
        while socket.send(&Question::new("geo.example", qtype::A).octets()).await.is_err()
            || socket.recv(&mut [0; 512]).await.is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it reads again");
    world.answers().await;
    answered(&world).await;
}

#[tokio::test]
async fn a_stream_that_takes_no_answers_is_cut_off_in_time_and_others_see_nothing_of_it() {
    let world = World::new();
    let mut greedy = TcpStream::connect(world.address).await.unwrap();
    let mut frames = Vec::new();
    for _query in 0..64 {
        write_frame_to(&mut frames, &Question::new("geo.example", qtype::A).edns(4096).octets());
    }
    // Writes until the server reads no more, and on until it hangs up. It never reads.
    let pushing = async {
        let mut written = 0_u64;
        while let Ok(size) = greedy.write(&frames).await {
            written += u64::try_from(size).unwrap();
            world.answers().await;
        }
        written
    };
    let written = tokio::time::timeout(PATIENCE, pushing).await.expect("the server hangs up");
    assert!(written > 0);
    world.counts("dns_connections", &[], 0).await;
    assert!(world.count("dns_dropped_total", &[("reason", "client_gone")]) >= 1, "its last answers went nowhere");
    world.at_rest().await;
    world.answers().await;
}

#[tokio::test]
async fn a_stream_whose_answers_wait_is_read_no_further_than_its_limit() {
    let world = World::new();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for number in 0..200 {
        write_frame(&mut stream, &miss(number)).await;
    }
    // Four wait; the rest stays with the kernel, unread and uncounted, and takes no permits from others.
    world.counts("dns_requests_total", &[], 4).await;
    world.answers().await;
    world.counts("dns_requests_total", &[], 4 + 2).await;
    assert_eq!(world.count("dns_dropped_total", &[]), 0);
    drop(stream);
}

/// Appends a message with its length in front.
fn write_frame_to(frames: &mut Vec<u8>, message: &[u8]) {
    frames.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    frames.extend(message);
}

#[tokio::test]
async fn a_quic_listener_whose_socket_is_none_is_bound_again_at_its_address() {
    let (mut sockets, address) = sockets();
    let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
    // As above; its port over UDP is free.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let quic = other.local_addr().unwrap();
    other.set_nonblocking(true).unwrap();
    let (tls, none) = (ServerTls::new(&identity).unwrap(), std::os::fd::OwnedFd::from(other).into());
    sockets.encrypted = Some(Encrypted { tls, dot: Vec::new(), https: Vec::new(), quic: vec![none] });
    let world = World::with((sockets, address));
    // Now there is something to read.
    drop(TcpStream::connect(quic).await);
    world.counts("dns_listeners_rebound_total", &[], 1).await;

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(quic).await.unwrap();
    // Of a version that does not exist: whoever is there names those that do (RFC 9000 §6.1).
    let mut packet = b"\xC0\x1A\x2A\x3A\x4A\x0812345678\x0812345678".to_vec();
    packet.resize(1200, 0);
    let mut said = [0; 1200];
    let again = async {
        // Until it is bound nobody is there, which the kernel says.
        while socket.send(&packet).await.is_err() || socket.recv(&mut said).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it reads again");
    assert_eq!(said[1..5], [0; 4], "version negotiation");
    answered(&world).await;
}
