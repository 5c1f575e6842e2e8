//! Floods where the kernel has its part: datagrams that nobody reads in time, sources that can't be answered, and as many
//! connections as there are ports.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::client::{A, NXDOMAIN, ask, next_id, query};
use super::figures::Page;
use super::process::{SOON, not_tested, until};
use super::server::{Server, Setup};

/// Datagrams sent to a server that does not read: more than any receive buffer of it holds.
const UNREAD: u64 = 40_000;
/// Attempts to connect: one for each port of a client address.
const ATTEMPTS: u32 = 65_535;
/// Connections that the server takes; each is a descriptor, and so is an exchange with an upstream.
const CONNECTIONS_MAX: u64 = 64;
/// Descriptors of a server that has as many connections as it takes, at most.
const DESCRIPTORS_MAX: usize = 64 + 128;

/// Nobody is asked in these tests.
fn setup() -> Setup {
    Setup::new(&[SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), 53))])
}

fn banned() -> Vec<u8> {
    query(next_id(), &[b"downloads", b"upd", b"kaspersky", b"com"], A)
}

/// Datagrams that the kernel says it threw away at the server's port.
fn thrown_away(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let drops = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words[1].ends_with(&format!(":{port:04X}"));
        ours.then(|| words.last().unwrap().parse::<u64>().unwrap())
    };
    table.lines().skip(1).filter_map(drops).sum()
}

fn good_clients_are_answered(server: &Server) {
    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
}

#[test]
fn what_the_kernel_throws_away_unread_is_counted_to_the_last_datagram() {
    let mut server = setup().start();
    let (dns, message) = (server.dns, banned());
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(dns).unwrap();
    server.running().signal("STOP");
    for _datagram in 0..UNREAD {
        socket.send(&message).unwrap();
    }
    server.running().signal("CONT");
    // While the buffer is full, a good client's query is thrown away like any other.
    let mut asked = 0;
    until("a good client is answered again", SOON, || {
        asked += 1;
        ask(dns, "downloads.upd.kaspersky.com", A).ok()
    });

    let lost = |page: &Page| page.sum("embargo_dns_receive_overflow_total");
    let page = until("the losses are counted", SOON, || {
        let page = server.metrics();
        (lost(&page) > 0 && lost(&page) == thrown_away(dns.port()) && page.balance() == 0).then_some(page)
    });
    assert_eq!(page.sum("embargo_dns_requests_total") + lost(&page), UNREAD + asked, "read or thrown away");
    assert_eq!(page.sum("embargo_attempts_total"), page.sum("embargo_dns_requests_total"));
    server.at_rest();
}

/// A UDP header and what it carries, from and to these ports; without a checksum, as IPv4 allows.
fn datagram(from: u16, to: u16, octets: &[u8]) -> Vec<u8> {
    let size = u16::try_from(8 + octets.len()).unwrap();
    let mut datagram = [from, to, size, 0].map(u16::to_be_bytes).concat();
    datagram.extend(octets);
    datagram
}

/// The same behind an IPv4 header; the kernel fills in length and checksum.
fn packet(source: Ipv4Addr, to: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let IpAddr::V4(destination) = to.ip() else { panic!("an IPv4 address") };
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(datagram(4242, to.port(), octets));
    packet
}

#[test]
fn sources_that_no_answer_can_reach_get_none_and_each_has_its_reason() {
    let Ok(raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) else {
        return not_tested("forged packets: only root makes them");
    };
    let server = setup().start();
    let message = banned();
    for _packet in 0..500 {
        raw.send_to(&datagram(0, server.dns.port(), &message), &server.dns.into()).unwrap();
    }
    let refused = |page: &Page| page.sum_of("embargo_dns_dropped_total", &[("reason", "not_served")]);
    until("port 0 is counted", SOON, || (refused(&server.metrics()) == 500).then_some(()));

    raw.set_header_included_v4(true).unwrap();
    // Broadcast, multicast, the broadcast address of loopback, and a network that is not served.
    let sources = [[255, 255, 255, 255], [224, 0, 0, 1], [127, 255, 255, 255], [192, 0, 2, 1]];
    for _round in 0..100 {
        for source in sources {
            // The kernel may refuse to send such a packet; what it sends, it may throw away before the server reads it.
            drop(raw.send_to(&packet(source.into(), server.dns, &message), &server.dns.into()));
        }
    }
    good_clients_are_answered(&server);
    let page = server.at_rest();
    let of = |name: &str, label: &str, value: &str| page.sum_of(name, &[(label, value)]);
    assert_eq!(of("embargo_dns_responses_total", "rcode", "NXDOMAIN"), 1, "only the good client is told");
    // What the kernel let through was answered to nobody, or with a refusal that goes nowhere.
    let read = page.sum("embargo_dns_requests_total") - 500 - 1;
    let failed = of("embargo_dns_dropped_total", "reason", "send_failure");
    assert_eq!(failed + of("embargo_dns_responses_total", "rcode", "REFUSED"), read);
    assert_eq!(page.sum("embargo_panics_total"), 0);
}

#[test]
fn a_connection_attempt_from_every_port_takes_nothing_from_those_who_ask() {
    let mut server = setup()
        .setting("tcp", &format!("connections_max = {CONNECTIONS_MAX}"))
        .setting("tcp", "idle = \"300s\"")
        .start();
    let process = server.running().child.id();
    let descriptors = || fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let before = server.running().resident_kib();
    let held: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_place| connect(Ipv4Addr::LOCALHOST, server.dns)).collect();
    let connections = |page: &Page| page.sum("embargo_dns_connections");
    until("every place is taken", SOON, || (connections(&server.metrics()) == CONNECTIONS_MAX).then_some(()));
    let mut lasting = Vec::new();
    for number in 0..ATTEMPTS {
        // A client address has no more ports than the system gives to outgoing sockets, so there are several.
        let [.., high, low] = (number / 4096 + 1).to_be_bytes();
        let stream = connect(Ipv4Addr::new(127, 7, high, low), server.dns);
        // One in eight stays open on the client's side, whatever the server thinks of it.
        if number % 8 == 0 {
            lasting.push(stream);
        }
        if number % 4096 == 0 {
            good_clients_are_answered(&server);
            assert!(descriptors() <= DESCRIPTORS_MAX, "{} descriptors", descriptors());
        }
    }
    good_clients_are_answered(&server);
    let evicted = server.metrics().sum("embargo_dns_connections_cut_total");
    assert!(evicted >= CONNECTIONS_MAX, "the idle ones that were there before made way: {evicted}");
    assert!(connections(&server.metrics()) <= CONNECTIONS_MAX);
    assert!(descriptors() <= DESCRIPTORS_MAX, "{} descriptors", descriptors());
    let grown = server.running().resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    drop((held, lasting));
    until("their places are free", SOON, || (connections(&server.metrics()) == 0).then_some(()));
}

/// A connection from this address; there are more attempts than the queue of the server's kernel has places, so it waits.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect_timeout(&to.into(), Duration::from_secs(10)).unwrap();
    // Closed with a reset, so that no port is kept after it.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.into()
}
