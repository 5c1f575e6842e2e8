//! What one client takes of the upstreams, and what is left for the others.

use std::collections::HashSet;
use std::time::Duration;

use embargo::app::control::Request;
use embargo::clock::Clock;
use embargo::time::{Mono, Now};
use embargo::wire::{ede, qtype, rcode};
use tokio::net::UdpSocket;

use crate::harness::{Question, Response, RunningServer, TestServer, receive, sum};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply};

/// Answers every name but those below `dead.example`.
fn all_but_dead(seen: &Seen) -> Vec<Act> {
    if seen.qname().ends_with("dead.example") {
        return Vec::new();
    }
    vec![Act::Send(reply(seen).a([192, 0, 2, 1]).octets())]
}

/// A client at an address of its own.
async fn client(server: &RunningServer, address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket
}

async fn ask(client: &UdpSocket, name: &str) -> u16 {
    client.send(&Question::new(name, qtype::A).octets()).await.unwrap();
    u16::from(receive(client).await[3] & 0xF)
}

#[tokio::test]
async fn a_client_that_asks_for_dead_names_without_end_costs_no_other_client_an_answer() {
    let upstream = FakeUpstream::scripted(all_but_dead).await;
    // The clock stands, so that nothing it asks for ends while the others ask; and one thread reads all in their order, so that
    // each answer shows that what was sent before it has been read.
    let (clock, _hands) = Clock::manual(Now { wall: "2026-03-01T08:00:00Z".parse().unwrap(), mono: Mono(1_000_000) });
    let server = TestServer::new().clock(&clock).upstream(&upstream).setting("workers = 1").start().await;
    let (greedy, modest) = (client(&server, "127.0.0.1").await, client(&server, "127.0.0.2").await);
    for number in 0..6_000 {
        greedy.send(&Question::new(&format!("n{number}.dead.example"), qtype::A).octets()).await.unwrap();
        // More would not fit the kernel's buffer.
        if number % 100 == 0 {
            assert_eq!(ask(&modest, &format!("between{number}.example")).await, rcode::NOERROR);
        }
    }
    for number in 0..200 {
        assert_eq!(ask(&modest, &format!("after{number}.example")).await, rcode::NOERROR, "{number}");
    }
    // It is told at once what it gets no more of.
    let again = client(&server, "127.0.0.1").await;
    again.send(&Question::new("full.dead.example", qtype::A).edns(1232).octets()).await.unwrap();
    let told = Response::read(receive(&again).await);
    assert_eq!((told.rcode(), told.ede().map(|ede| ede.0)), (rcode::SERVFAIL, Some(ede::OTHER)));
    let page = server.metrics().await;
    let shed = sum(&page, "dns_shed_total", &[("reason", "client_share")]);
    assert!(shed > 2_000, "{shed}");
    assert_eq!(sum(&page, "dns_shed_total", &[]) + sum(&page, "dns_dropped_total", &[]), shed, "nothing else is lost");
    // What was not shed waits still.
    assert_eq!(sum(&page, "dns_requests_total", &[]), 6_000 + 60 + 200 + 1);
    assert_eq!(sum(&page, "dns_responses_total", &[]), 60 + 200 + shed);
}

#[tokio::test]
async fn an_upstream_at_its_limit_is_passed_over_and_where_all_are_it_is_servfail_at_once() {
    let (first, second) = (FakeUpstream::scripted(all_but_dead).await, FakeUpstream::scripted(all_but_dead).await);
    let limits = "[upstream]\nin_flight_max = 20\nhedge_after = \"7s\"\ndeadline = \"8s\"\n";
    let server = TestServer::new().upstream(&first).upstream(&second).setting(limits).start().await;
    let greedy = client(&server, "127.0.0.1").await;
    let dead = |number: u32| Question::new(&format!("n{number}.dead.example"), qtype::A).edns(1232).octets();
    for number in 0..20 {
        greedy.send(&dead(number)).await.unwrap();
    }
    first.has_seen(20).await;

    // The second is asked without a word from the first.
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!((first.queries_seen(), second.queries_seen()), (20, 1));

    for number in 20..40 {
        greedy.send(&dead(number)).await.unwrap();
    }
    second.has_seen(21).await;
    let names: HashSet<String> = second.queries().iter().map(Seen::qname).collect();
    assert_eq!(names.len(), 21);
    let full = server.ask(&Question::new("b.example", qtype::A).edns(1232)).await;
    assert_eq!((full.rcode(), full.ede().map(|ede| ede.0)), (rcode::SERVFAIL, Some(22)));
    assert!(server.metric("upstream_failures_total", &[("reason", "busy")]).await >= 2);
    let status = server.control(Request::Status).await;
    assert!(status["upstreams"].as_array().unwrap().iter().all(|upstream| upstream["in_flight"] == 20), "{status}");
}

#[tokio::test]
async fn answers_that_an_upstream_holds_back_and_lets_go_at_once_are_no_blow_to_whoever_seems_to_have_asked() {
    const QUESTIONS: usize = 100;
    let held = |seen: &Seen| {
        let answer = Act::Send(reply(seen).a([192, 0, 2, 1]).octets());
        if seen.qname().ends_with("held.example") {
            vec![Act::Wait(Duration::from_millis(400)), answer]
        } else {
            vec![answer]
        }
    };
    let upstream = FakeUpstream::scripted(held).await;
    let (clock, hands) = Clock::manual(Now { wall: "2026-03-01T08:00:00Z".parse().unwrap(), mono: Mono(1_000_000) });
    let server = TestServer::new().clock(&clock).upstream(&upstream).setting("workers = 1").start().await;
    let victim = client(&server, "127.0.0.3").await;
    for number in 0..QUESTIONS {
        victim.send(&Question::new(&format!("n{number:03}.held.example"), qtype::A).octets()).await.unwrap();
    }
    upstream.has_seen(QUESTIONS).await;

    // Its deadline passes before anything is let go, if the machine is not too slow for that.
    hands.advance(Duration::from_secs(2));
    let mut told = HashSet::new();
    for _question in 0..QUESTIONS {
        let answer = receive(&victim).await;
        told.insert(answer[12..12 + 23].to_vec());
    }
    assert_eq!(told.len(), QUESTIONS, "one answer to each question");
    // Asked after the others, answered after them: by then they are on their way.
    let other = client(&server, "127.0.0.4").await;
    assert_eq!(ask(&other, "later.held.example").await, rcode::NOERROR);

    // Nobody is sent them late: the next datagram is the next answer.
    let next = Question::new("next.example", qtype::A).octets();
    victim.send(&next).await.unwrap();
    let received = receive(&victim).await;
    assert!(received[12..].starts_with(&next[12..]), "the answer to the question that was asked last");
}
