//! Datagrams without end, of every kind that no client should send: each has its reason in a counter, what is held stays
//! bounded, and good clients go on being answered.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use embargo::wire::{qtype, rcode};
use tokio::net::UdpSocket;

use crate::harness::{Question, RunningServer, TestServer, receive, sum};
use crate::upstream_fake::FakeUpstream;

/// Times that each kind of datagram is sent.
const ROUNDS: u64 = 150;
/// Addresses that a forger makes up.
const FORGED: u16 = 3_000;

/// A kind of datagram: what it is, and the counter that it ends in, by name, label and value.
type Kind = (Vec<u8>, &'static str, &'static str, &'static str);

/// Kinds of datagrams that end at once, every one of them.
fn kinds() -> Vec<Kind> {
    let good = || Question::new("geo.example", qtype::A).octets();
    let changed = |at: usize, value: u8| {
        let mut message = good();
        message[at] = value;
        message
    };
    let padded = |size: usize| [good(), vec![0; size]].concat();
    let responses = "dns_responses_total";
    let dropped = "dns_dropped_total";
    vec![
        (Vec::new(), dropped, "reason", "short"),
        (vec![0; 11], dropped, "reason", "short"),
        (changed(2, 0x81), dropped, "reason", "response_bit"),
        ([changed(2, 0x81), vec![0xFF; 4000]].concat(), dropped, "reason", "response_bit"),
        (changed(2, 0x28), responses, "rcode", "NOTIMP"),
        (changed(5, 0), responses, "rcode", "FORMERR"),
        (changed(7, 1), responses, "rcode", "FORMERR"),
        (changed(11, 255), responses, "rcode", "FORMERR"),
        (changed(12, 0xC0), responses, "rcode", "FORMERR"),
        (good()[..20].to_vec(), responses, "rcode", "FORMERR"),
        // Longer than a query may be, than what is read of a datagram, and as long as a datagram can be.
        (padded(4097), responses, "rcode", "FORMERR"),
        (padded(60_000), responses, "rcode", "FORMERR"),
        (Question::new("geo.example", qtype::A).edns_version(7).octets(), responses, "rcode", "BADVERS"),
        (Question::new("free.example", qtype::AXFR).octets(), responses, "rcode", "REFUSED"),
        (Question::new("free.example", qtype::TXT).class(3).octets(), responses, "rcode", "REFUSED"),
        (good(), responses, "rcode", "NXDOMAIN"),
    ]
}

async fn server() -> RunningServer {
    TestServer::new().ban("v", "geo.example").upstream(&FakeUpstream::start().await).start().await
}

/// Longer than it takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The metrics page when every message read has its end.
async fn at_rest(server: &RunningServer) -> String {
    let came_to_rest = async {
        loop {
            let page = server.metrics().await;
            let ended = sum(&page, "dns_responses_total", &[]) + sum(&page, "dns_dropped_total", &[]);
            if sum(&page, "dns_requests_total", &[]) == ended {
                return page;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, came_to_rest).await.expect("every message read has its end")
}

#[tokio::test]
async fn each_datagram_of_a_flood_ends_in_the_one_counter_of_its_reason() {
    let server = server().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.address()).await.unwrap();
    let mut expected: BTreeMap<[&str; 3], u64> = BTreeMap::new();
    for _round in 0..ROUNDS {
        let mut answers = 0;
        for (message, counter, label, value) in kinds() {
            socket.send(&message).await.unwrap();
            *expected.entry([counter, label, value]).or_default() += 1;
            answers += u64::from(counter == "dns_responses_total");
        }
        // Read before the next round, so that no buffer of the kernel is full and the counts can be exact.
        for _answer in 0..answers {
            let answer = receive(&socket).await;
            assert!(answer[2] & 0x80 != 0 && answer.len() <= 1232);
        }
    }
    let page = at_rest(&server).await;
    for ([counter, label, value], count) in &expected {
        assert_eq!(sum(&page, counter, &[(label, value)]), *count, "{counter} {value}");
    }
    let all = ROUNDS * u64::try_from(kinds().len()).unwrap();
    assert_eq!(expected.values().sum::<u64>(), all);
    assert_eq!((sum(&page, "dns_requests_total", &[]), sum(&page, "panics_total", &[])), (all, 0));
    assert_eq!(sum(&page, "attempts_total", &[]), ROUNDS, "only the query is an attempt");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_costs_nobody_else_theirs() {
    // One thread reads all of them in their order, so that each answer shows that what was sent before it has been read: no
    // buffer of the kernel is ever full, however slow the machine is.
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example").setting("workers = 1").upstream(&upstream).start().await;
    let greedy = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    // The kernel gives its least, a few datagrams; what does not fit is lost at the client.
    greedy.set_recv_buffer_size(1).unwrap();
    greedy.connect(&server.address().into()).unwrap();
    let question = Question::new("geo.example", qtype::A).edns(1232).octets();
    let mut sent = 0;
    for _burst in 0..40 {
        for _query in 0..50 {
            greedy.send(&question).unwrap();
            sent += 1;
        }
        assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
        sent += 1;
    }
    // Other threads than the one that has answered may still have some to read.
    let all_read = async {
        while server.metric("dns_requests_total", &[]).await < sent {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_read).await.expect("every datagram is read");
    let page = at_rest(&server).await;
    assert_eq!((sum(&page, "dns_requests_total", &[]), sum(&page, "dns_responses_total", &[])), (sent, sent));
}

#[tokio::test]
async fn a_network_of_forged_clients_leaves_a_bounded_record_with_exact_counts_for_each_ban() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new()
        .ban("v", "geo.example")
        .ban("w", "other.example")
        .setting("[journal]\nrows_in_memory_max = 1000\nrows_per_second_max = 100\n")
        .upstream(&upstream)
        .start()
        .await;
    let questions = ["geo.example", "a.other.example"].map(|name| Question::new(name, qtype::A).octets());
    for number in 0..FORGED {
        let [high, low] = number.to_be_bytes();
        let source = SocketAddr::from((Ipv4Addr::new(127, 9, high, low), 0));
        let socket = UdpSocket::bind(source).await.unwrap();
        socket.connect(server.address()).await.unwrap();
        // The second ban is tried by every third client, and twice.
        socket.send(&questions[0]).await.unwrap();
        for _twice in 0..if number % 3 == 0 { 2 } else { 0 } {
            socket.send(&questions[1]).await.unwrap();
        }
        // Nobody waits at a forged address; here its answer shows that its query was read.
        receive(&socket).await;
        if number % 500 == 0 {
            assert_eq!(server.query("free.example", qtype::A).await.rcode(), rcode::NOERROR);
            assert!(server.metric("journal_queue_length", &[]).await <= 1000 + 100, "rows in memory");
        }
    }
    at_rest(&server).await;
    let tried = [("v", u64::from(FORGED)), ("w", u64::from(FORGED) / 3 * 2)];
    let rows = server.attempts().await;
    let page = server.metrics().await;
    for (ban, count) in tried {
        assert_eq!(sum(&page, "attempts_total", &[("ban", ban)]), count, "{ban}");
        let stored: u64 = rows.iter().filter(|row| row.ban == ban).map(|row| row.count).sum();
        assert_eq!(stored, count, "{ban}: overflow is counted to its own ban");
    }
    assert!(sum(&page, "journal_overflow_total", &[]) > 0, "there were more clients than the record takes in");
    assert_eq!(sum(&page, "journal_lost_total", &[]), 0);
    assert!(rows.len() < usize::from(FORGED), "{} rows", rows.len());
}
