//! What the network of this host decides: the servers of the system, and the addresses that questions come from.

use std::sync::Arc;
use std::time::Duration;

use embargo::app::control::Request;
use embargo::wire::{ede, qtype, rcode};
use futures_util::future::join_all;

use crate::harness::{Question, Response, RunningServer, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, Seen, TC, reply};

const SYSTEM: &str = "[upstream]\nservers = [\"system\"]\n";

/// The upstreams that the server says it asks.
async fn asked(server: &RunningServer) -> Vec<String> {
    let status = server.control(Request::Status).await;
    let upstreams = status["upstreams"].as_array().unwrap();
    upstreams.iter().map(|upstream| upstream["address"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_servers_of_the_system_are_followed_as_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let [link, first, second] = ["resolv.conf", "first", "second"].map(|file| directory.path().join(file));
    std::fs::write(&first, "nameserver 127.0.0.71\n").unwrap();
    std::fs::write(&second, "nameserver 127.0.0.72\nnameserver ::2\n").unwrap();
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let server = TestServer::new().setting(SYSTEM).resolv_conf(&link).start().await;
    assert_eq!(asked(&server).await, ["127.0.0.71:53"]);

    // Written in place, behind the link.
    std::fs::write(&first, "nameserver 127.0.0.73\n").unwrap();
    server.follow_network().await;
    assert_eq!(asked(&server).await, ["127.0.0.73:53"]);

    // Another link.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&second, &link).unwrap();
    server.follow_network().await;
    assert_eq!(asked(&server).await, ["127.0.0.72:53", "[::2]:53"]);

    // No network for a while: what was known is asked on.
    std::fs::write(&second, "# no name servers known\n").unwrap();
    server.follow_network().await;
    assert_eq!(asked(&server).await, ["127.0.0.72:53", "[::2]:53"]);
}

#[tokio::test]
async fn a_list_of_servers_that_vanishes_keeps_no_ban_from_coming_into_force_and_is_followed_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.71\n").unwrap();
    let server = TestServer::new().setting(SYSTEM).resolv_conf(&file).start().await;

    std::fs::remove_file(&file).unwrap();
    server.follow_network().await;
    server.change_ban("late", "", "late.example\n").await;
    assert_eq!(server.query("late.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(asked(&server).await, ["127.0.0.71:53"]);

    std::fs::write(&file, "nameserver 127.0.0.72\n").unwrap();
    server.follow_network().await;
    assert_eq!(asked(&server).await, ["127.0.0.72:53"]);
}

#[tokio::test]
async fn names_of_a_private_network_stay_here_once_the_servers_of_the_system_are_public() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.71\n").unwrap();
    let server = TestServer::new().setting(SYSTEM).resolv_conf(&file).start().await;
    let asked = Question::new("printer.internal", qtype::A);
    assert_eq!(server.ask(&asked).await.rcode(), rcode::SERVFAIL, "it is asked for, and nobody is there");

    std::fs::write(&file, "nameserver 192.0.2.53\n").unwrap();
    server.follow_network().await;
    assert_eq!(server.ask(&asked).await.rcode(), rcode::NXDOMAIN);
}

#[tokio::test]
async fn questions_that_are_open_when_the_servers_change_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.71\n").unwrap();
    let upstream = FakeUpstream::silent().await;
    let servers = format!("[upstream]\nservers = [\"{}\", \"system\"]\ndeadline = \"8s\"\n", upstream.address());
    let server = Arc::new(TestServer::new().setting(&servers).resolv_conf(&file).start().await);
    let asking: Vec<_> = (0..20)
        .map(|number| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.query(&format!("n{number}.example"), qtype::A).await.rcode() })
        })
        .collect();
    upstream.has_seen(20).await;

    std::fs::write(&file, "nameserver 127.0.0.72\n").unwrap();
    server.follow_network().await;
    assert_eq!(asked(&server).await[1], "127.0.0.72:53");
    // What was asked before the change is asked again by those who began it.
    upstream.now_does(|seen: &Seen| vec![Act::Send(reply(seen).a([192, 0, 2, 9]).octets())]);

    let codes = join_all(asking).await;
    assert!(codes.into_iter().all(|code| code.unwrap() == rcode::NOERROR));
}

#[tokio::test]
async fn questions_come_from_the_address_and_the_ports_that_are_set() {
    let upstream = FakeUpstream::scripted(|seen| {
        let cut = seen.qname().starts_with("long") && !seen.tcp;
        let answer = if cut { reply(seen).with(TC) } else { reply(seen).a([192, 0, 2, 1]) };
        vec![Act::Send(answer.octets())]
    })
    .await;
    let settings = "[upstream]\nsource = [\"127.0.0.9\"]\nsource_ports = \"30000-31023\"\n";
    let server = TestServer::new().upstream(&upstream).setting(settings).start().await;
    for number in 0..40 {
        assert_eq!(server.query(&format!("n{number}.example"), qtype::A).await.rcode(), rcode::NOERROR);
    }
    assert_eq!(server.query("long.example", qtype::A).await.rcode(), rcode::NOERROR);
    let seen = upstream.queries();
    assert!(seen.iter().all(|seen| seen.from.ip().to_string() == "127.0.0.9"));
    assert!(seen.iter().filter(|seen| !seen.tcp).all(|seen| (30_000..=31_023).contains(&seen.from.port())));
    assert!(seen.iter().any(|seen| seen.tcp));
}

#[tokio::test]
async fn a_source_that_is_no_address_of_this_machine_is_refused_and_what_was_before_stays() {
    let upstream = FakeUpstream::start().await;
    let servers = format!("[upstream]\nservers = [\"{}\"]\n", upstream.address());
    let server = TestServer::new().setting(&servers).start().await;
    server.change_settings(&format!("{servers}source = [\"192.0.2.77\"]\n")).await;
    let status = server.control(Request::Status).await;
    let mistake = status["last_reload"]["mistakes"][0].as_str().unwrap();
    assert!(mistake.contains("embargo.toml:4:11: 192.0.2.77 is no address of this machine"), "{mistake}");
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NOERROR);
}

/// Two servers that ask each other.
async fn circle() -> (RunningServer, RunningServer) {
    let nobody = FakeUpstream::silent().await;
    let asking = |address: String| format!("[upstream]\nservers = [\"{address}\"]\n");
    let first = TestServer::new().setting(&asking(nobody.address().to_string())).start().await;
    let second = TestServer::new().setting(&asking(first.address().to_string())).start().await;
    first.change_settings(&asking(second.address().to_string())).await;
    (first, second)
}

/// Asks for names of their own until one is answered so.
async fn until(server: &RunningServer, prefix: &str, wanted: impl Fn(&Response) -> bool) {
    let asking = async {
        for number in 0_u32.. {
            let question = Question::new(&format!("{prefix}{number}.example"), qtype::A).edns(1232);
            if wanted(&server.ask(&question).await) {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(40), asking).await.is_ok(), "{prefix}: no such answer");
}

#[tokio::test]
async fn servers_that_forward_to_each_other_find_out_and_ask_again_when_the_circle_is_broken() {
    let (first, second) = circle().await;
    let is_loop = |answer: &Response| answer.ede().is_some_and(|(code, why)| code == 22 && why.contains("loop"));
    until(&first, "a", is_loop).await;
    let read = first.metric("dns_requests_total", &[]).await;
    assert!(read < 150, "{read} queries went round");
    // From here on a question goes nowhere.
    until(&first, "b", is_loop).await;
    let status = first.control(Request::Status).await;
    assert_eq!(status["upstreams"][0]["trouble"], "it forwards to this server", "{status}");

    let good = FakeUpstream::start().await;
    second.change_settings(&format!("[upstream]\nservers = [\"{}\"]\n", good.address())).await;
    until(&first, "c", |answer| answer.rcode() == rcode::NOERROR).await;
}

#[tokio::test]
async fn while_every_port_is_taken_clients_are_told_and_once_some_are_free_they_are_answered() {
    rlimit::increase_nofile_limit(4096).unwrap();
    let upstream = FakeUpstream::start().await;
    let settings = "[upstream]\nsource = [\"127.0.0.11\"]\nsource_ports = \"32000-33023\"\n";
    let server = TestServer::new().upstream(&upstream).setting(settings).start().await;
    let take = || (32_000..=33_023).filter_map(|port| std::net::UdpSocket::bind(("127.0.0.11", port)).ok());
    let mut taken: Vec<_> = take().collect();
    assert_eq!(taken.len(), 1024);
    for number in 0..3 {
        let told = server.ask(&Question::new(&format!("n{number}.example"), qtype::A).edns(1232)).await;
        assert_eq!((told.rcode(), told.ede().map(|ede| ede.0)), (rcode::SERVFAIL, Some(ede::NETWORK_ERROR)));
    }
    assert_eq!(upstream.queries_seen(), 0);
    // A few are enough, however long they are looked for.
    taken.truncate(1020);
    let again = async {
        let mut number = 0;
        while server.query(&format!("again{number}.example"), qtype::A).await.rcode() != rcode::NOERROR {
            number += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("it finds them");
}
