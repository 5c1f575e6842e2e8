//! Reload and restart: what changes at once, what is kept when the change is broken, and what outlives the process.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use embargo::app::control::Request;
use embargo::journal::{Filter, Store};
use embargo::wire::{qtype, rcode};
use serde_json::json;

use crate::harness::{Question, TestServer};
use crate::upstream_fake::FakeUpstream;

#[tokio::test]
async fn a_changed_list_is_in_force_at_once_and_needs_no_flush() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example\n").upstream(&upstream).start().await;
    assert_eq!(server.query("new.example", qtype::A).await.rcode(), rcode::NOERROR);

    server.change_ban("v", "", "new.example\n").await;

    assert_eq!(
        server.query("new.example", qtype::A).await.rcode(),
        rcode::NXDOMAIN,
        "the answer is cached, the ban is new"
    );
    assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!(server.metric("list_entries", &[]).await, 2, "one rule of this ban, one of the unrelated one");
}

#[tokio::test]
async fn a_broken_list_changes_nothing_and_is_explained() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example\n").upstream(&upstream).start().await;

    server.change_ban("v", "", "ok.example\nbad..example\n").await;

    assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.query("ok.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 0);
    let status = server.control(Request::Status).await;
    let mistake = status["last_reload"]["mistakes"][0].as_str().unwrap();
    assert!(mistake.contains("rules.txt:2:5: "), "{mistake}");
    let (code, page) = server.http("/readyz?verbose").await;
    assert!(code == 200 && page.contains("reload"), "{page}");

    server.change_ban("v", "", "ok.example\n").await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);
    assert_eq!(server.query("ok.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_configuration_that_is_empty_while_it_is_saved_is_no_configuration() {
    let server = TestServer::new().ban("v", "geo.example\n").start().await;
    let file = server.state_dir().with_file_name("embargo.toml");
    let saved = std::fs::read(&file).unwrap();

    std::fs::write(&file, "\n").unwrap();
    server.control(Request::Reload).await;
    assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 0);
    let status = server.control(Request::Status).await;
    let mistake = status["last_reload"]["mistakes"][0].as_str().unwrap();
    assert!(mistake.contains("is empty, as it is while it is being saved"), "{mistake}");

    std::fs::write(&file, saved).unwrap();
    server.control(Request::Reload).await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);
}

#[tokio::test]
async fn a_configuration_that_was_cut_at_a_line_is_waited_for_and_never_in_force_by_itself() {
    let upstream = FakeUpstream::start().await;
    let settings = "[[exemption]]\nclients = [\"192.0.2.7\"]\nban = \"v\"\nendless = true\nowner = \"o\"\nreason = \"r\"\n\
                    [ban.v]\nmode = \"observe\"\n";
    let server = TestServer::new().ban("v", "geo.example\n").upstream(&upstream).setting(settings).start().await;
    let rules = server.state_dir().with_file_name("blocklists").join("v/rules.txt");
    let file = server.state_dir().with_file_name("embargo.toml");
    let whole = std::fs::read(&file).unwrap();
    let observes = async || server.query("geo.example", qtype::A).await.rcode() == rcode::NOERROR;
    let cut = |open: &mut std::fs::File| {
        let end = whole.windows(7).position(|at| at == b"[ban.v]").unwrap();
        open.write_all(&whole[..end]).unwrap();
    };

    // Whoever saves it has got so far.
    let mut open = std::fs::File::create(&file).unwrap();
    cut(&mut open);
    std::fs::write(&rules, "geo.example\nnew.example\n").unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(3), server.files_changed()).await.is_err(), "it is waited for");
    let got = usize::try_from(open.stream_position().unwrap()).unwrap();
    open.write_all(&whole[got..]).unwrap();
    drop(open);
    tokio::time::timeout(Duration::from_secs(10), server.files_changed()).await.expect("a change");
    server.follow_files().await;
    assert!(observes().await);
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 1);

    // In the middle of a line it is refused, whoever wants it; at a line, it counts at once if somebody says so.
    std::fs::write(&file, &whole[..whole.len() - 4]).unwrap();
    server.reload().await;
    let status = server.control(Request::Status).await;
    let mistake = status["last_reload"]["mistakes"][0].as_str().unwrap();
    assert!(mistake.contains("ends within a line and has"), "{mistake}");
    assert!(observes().await);
    cut(&mut std::fs::File::create(&file).unwrap());
    server.reload().await;
    assert!(!observes().await);
}

#[tokio::test]
async fn what_waits_for_a_restart_is_told_until_it_is_undone() {
    let server = TestServer::new().ban("v", "geo.example\n").start().await;
    let waits = async |settings: &str| {
        server.change_settings(settings).await;
        server.control(Request::Status).await["last_reload"]["needs_restart"].clone()
    };
    assert_eq!(waits("[cache]\nsize = \"8MiB\"").await, json!(["cache"]));
    assert_eq!(waits("[cache]\nsize = \"8MiB\"").await, json!(["cache"]), "another reload is no restart");
    assert_eq!(waits("").await, json!([]), "as it was at the start");
}

#[tokio::test]
async fn upstreams_are_swapped_by_a_reload_or_stay_all_as_they_were() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let servers = |addresses: &[String]| format!("[upstream]\nservers = {addresses:?}");
    let server =
        TestServer::new().ban("v", "geo.example\n").setting(&servers(&[first.address().to_string()])).start().await;

    server.change_settings(&servers(&[second.address().to_string()])).await;
    assert_eq!(server.query("a.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!((first.queries_seen(), second.queries_seen()), (0, 1));

    // There is no such interface: nothing of this reload is taken, and the next good one is.
    server.change_settings(&servers(&["fe80::1%none".to_owned()])).await;
    assert_eq!(server.metric("config_last_reload_successful", &[]).await, 0);
    let status = server.control(Request::Status).await;
    assert!(status["last_reload"]["mistakes"][0].as_str().unwrap().contains("no network interface `none`"), "{status}");
    assert_eq!(server.query("b.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!((first.queries_seen(), second.queries_seen()), (0, 2));
}

#[tokio::test]
async fn no_query_is_lost_and_none_is_unjudged_while_lists_are_reloaded() {
    let upstream = FakeUpstream::start().await;
    let server = Arc::new(TestServer::new().ban("v", "geo.example\n").upstream(&upstream).start().await);
    let asking = Arc::clone(&server);
    let clients = tokio::spawn(async move {
        for _query in 0..500 {
            assert_eq!(asking.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
        }
    });
    while !clients.is_finished() {
        server.change_ban("v", "", "geo.example\n").await;
    }
    clients.await.unwrap();
    assert_eq!(upstream.queries_seen(), 0);
}

#[tokio::test]
async fn attempts_are_in_the_store_after_an_orderly_end() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("v", "geo.example\n").upstream(&upstream).start().await;
    for _query in 0..20 {
        server.query("geo.example", qtype::A).await;
    }
    let state = server.state_dir();
    let _directory = server.stop().await;
    let rows = Store::open_read_only(&state).unwrap().attempts(&Filter::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 20);
}

#[tokio::test]
async fn attempts_counted_are_attempts_stored_or_lost() {
    let upstream = FakeUpstream::start().await;
    let rules = "geo.example update installed\nwww.geo.example web visit\n";
    let server = TestServer::new().ban("v", rules).upstream(&upstream).start().await;
    for name in ["geo.example", "a.geo.example", "www.geo.example", "x.example"] {
        for question in [Question::new(name, qtype::A), Question::new(name, qtype::HTTPS).tcp()] {
            server.ask(&question).await;
        }
    }
    let stored: u64 = server.attempts().await.iter().map(|row| row.count).sum();
    let lost = server.metric("journal_lost_total", &[]).await;
    assert_eq!((server.metric("attempts_total", &[]).await, stored + lost), (6, 6));
    assert_eq!(server.metric("attempts_total", &[("evidence", "installed")]).await, 4);
    assert_eq!(server.metric("clients", &[("ban", "v"), ("evidence", "installed"), ("window", "1d")]).await, 1);
    let verified = server.attempts().await.iter().filter(|row| row.verified).map(|row| row.count).sum::<u64>();
    assert_eq!(verified, 3, "TCP proves the address");
}
