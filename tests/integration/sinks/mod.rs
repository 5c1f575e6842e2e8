//! Where attempts go as they are recorded: to files and to receivers of syslog, also to those that are away, break off, or are
//! not whom we want.

mod receiver;
mod tapped;
mod webhook;

use std::path::Path;
use std::time::Duration;

use embargo::wire::qtype;

use crate::harness::{RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::upstream_fake::certificates::Authority;

use receiver::Receiver;

/// Longer than anything takes here; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks until it is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let looks = async { while !is().await {} };
    tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_elapsed| panic!("not in time: {what}"));
}

/// A server that bans `a.example`, with these settings.
async fn server(settings: &str) -> RunningServer {
    let upstream = FakeUpstream::start().await;
    TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(settings).start().await
}

/// Asks for so many banned names, each twice, and returns how many attempts that was in the record.
async fn try_names(server: &RunningServer, names: std::ops::Range<u32>) -> u64 {
    for name in names {
        for _twice in 0..2 {
            server.query(&format!("n{name}.a.example"), qtype::A).await;
        }
    }
    server.attempts().await.iter().map(|row| row.count).sum()
}

async fn lost(server: &RunningServer) -> u64 {
    server.metric("sink_lost_total", &[]).await
}

async fn all_taken(server: &RunningServer, attempts: u64) {
    until("everything is taken", async || server.metric("sink_delivered_total", &[]).await == attempts).await;
    assert_eq!((server.metric("sink_waiting", &[]).await, lost(server).await), (0, 0));
}

fn syslog(transport: &str, to: impl std::fmt::Display, more: &str) -> String {
    format!("[[sink]]\nid = \"siem\"\nkind = \"syslog\"\nserver = \"{to}\"\ntransport = \"{transport}\"\n{more}")
}

fn file(path: &Path) -> String {
    format!("[[sink]]\nid = \"file\"\nkind = \"file\"\nfile = \"{}\"\n", path.display())
}

/// The attempts in a file of our own JSON.
fn counted(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let count = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["count"].as_u64().unwrap();
    text.lines().map(count).sum()
}

#[tokio::test]
async fn a_file_counts_what_the_record_counts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempts.jsonl");
    let server = server(&file(&path)).await;
    let attempts = try_names(&server, 0..7).await;
    assert_eq!(attempts, 14);
    all_taken(&server, attempts).await;
    assert_eq!(counted(&path), attempts);
    // Whoever takes the file away need tell nobody.
    std::fs::rename(&path, directory.path().join("moved")).unwrap();
    let attempts = try_names(&server, 7..9).await;
    all_taken(&server, attempts).await;
    assert_eq!((counted(&path), attempts), (4, 18));
}

#[tokio::test]
async fn what_is_recorded_at_the_very_end_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempts.jsonl");
    let server = server(&file(&path)).await;
    server.query("x.a.example", qtype::A).await;
    drop(server.stop().await);
    assert_eq!(counted(&path), 1);
}

#[tokio::test]
async fn syslog_over_tcp_brings_every_attempt_once() {
    let receiver = Receiver::tcp().await;
    let server = server(&syslog("tcp", receiver.address(), "")).await;
    let attempts = try_names(&server, 0..5).await;
    all_taken(&server, attempts).await;
    assert_eq!(receiver.counts().values().sum::<u64>(), attempts);
    let messages = receiver.messages();
    assert_eq!(messages.len(), receiver.counts().len());
    assert!(messages[0].starts_with("<132>1 ") || messages[0].starts_with("<133>1 "), "{}", messages[0]);
    assert!(messages.iter().any(|message| message.contains(" qname=\"n4.a.example\" ")), "{messages:?}");
}

#[tokio::test]
async fn syslog_over_tls_brings_nothing_to_a_stranger_and_everything_to_whom_it_is_for() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, pem).unwrap();
        format!("ca_file = \"{}\"\n", path.display())
    };
    let (right, wrong) = (write("right.pem", authority.pem()), write("wrong.pem", stranger.pem()));
    let receiver = Receiver::tls(&authority.issue(&["127.0.0.1"])).await;
    let server = server(&syslog("tls", receiver.address(), &wrong)).await;
    let attempts = try_names(&server, 0..3).await;
    until("it is refused", async || server.metric("sink_failures_total", &[]).await > 0).await;
    assert_eq!(server.metric("sink_up", &[]).await, 0);
    assert_eq!(server.metric("sink_waiting", &[]).await, attempts);
    assert_eq!(receiver.messages(), Vec::<String>::new());
    server.change_settings(&syslog("tls", receiver.address(), &right)).await;
    all_taken(&server, attempts).await;
    assert_eq!(receiver.counts().values().sum::<u64>(), attempts);
    assert_eq!(server.metric("sink_up", &[]).await, 1);
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_after_also_across_a_restart() {
    let gone = Receiver::tcp().await.address();
    let settings = syslog("tcp", gone, "");
    let first = server(&settings).await;
    let before = try_names(&first, 0..4).await;
    until("it is away", async || first.metric("sink_failures_total", &[]).await > 0).await;
    let directory = first.stop().await;

    let second = TestServer::after(directory).ban("vendor", "a.example").setting(&settings).start().await;
    let attempts = try_names(&second, 4..6).await;
    assert!(attempts > before && before > 0);
    let receiver = Receiver::at(gone).await;
    all_taken(&second, attempts).await;
    assert_eq!(receiver.counts().values().sum::<u64>(), attempts);
    assert_eq!(receiver.messages().len(), receiver.counts().len());
    let ids: Vec<_> =
        receiver.messages().iter().map(|message| message.split_once(" id=").unwrap().1.to_owned()).collect();
    let number = |id: &String| id.split_once('-').unwrap().1.split_once('"').unwrap().0.parse::<u64>().unwrap();
    assert!(ids.iter().map(number).is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn what_was_on_the_way_when_a_connection_broke_comes_again_with_the_same_id() {
    let receiver = Receiver::tcp().await.cutting(2);
    let server = server(&syslog("tcp", receiver.address(), "")).await;
    let attempts = try_names(&server, 0..5).await;
    all_taken(&server, attempts).await;
    assert_eq!(receiver.counts().values().sum::<u64>(), attempts);
    assert!(receiver.messages().len() > receiver.counts().len(), "{:?}", receiver.messages());
}

#[tokio::test]
async fn a_sink_that_a_reload_adds_begins_then_and_one_that_it_removes_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    let server = server("").await;
    let before = try_names(&server, 0..2).await;
    server.change_settings(&file(&one)).await;
    let attempts = try_names(&server, 2..3).await;
    all_taken(&server, attempts - before).await;
    assert_eq!(counted(&one), attempts - before);

    // The same sink with another file goes on where it was.
    server.change_settings(&file(&other)).await;
    let more = try_names(&server, 3..4).await;
    all_taken(&server, more - before).await;
    assert_eq!((counted(&one), counted(&other)), (attempts - before, more - attempts));
    server.change_settings("").await;
    try_names(&server, 4..5).await;
    assert_eq!(counted(&other), more - attempts);
    assert_eq!(server.metric("sink_up", &[]).await, 0);
    let places = std::fs::read_dir(server.state_dir().join("spool")).unwrap();
    let places = places.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".at"));
    assert_eq!(places.count(), 0);
}
