//! A scan beside a server that writes the same record: nothing of either is lost or mixed up.

use std::process::Command;

use embargo::app::control::Request;
use embargo::journal::{Sign, Store, What};
use embargo::policy::Evidence;
use embargo::time::Day;
use embargo::wire::qtype;
use tokio::net::UdpSocket;

use super::BIND;
use crate::harness::{Question, RunningServer, TestServer, receive};

const RULES: &str = "*.upd.acme.example update installed\nwww.acme.example web installed\n";

/// Scans a log into the server's record.
async fn scan(server: &RunningServer, name: &str, log: String) {
    let root = server.state_dir().parent().unwrap().to_owned();
    let (path, state) = (root.join(name), server.state_dir());
    std::fs::write(&path, log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command
        .arg("scan")
        .arg(path)
        .arg("--config")
        .arg(root.join("embargo.toml"))
        .arg("--state-dir")
        .arg(state)
        .env_clear();
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Asks from another address of this host.
async fn ask_from(server: &RunningServer, client: &str) {
    let socket = UdpSocket::bind((client, 0)).await.unwrap();
    let question = Question::new("a.upd.acme.example", qtype::A);
    socket.send_to(&question.octets(), server.address()).await.unwrap();
    receive(&socket).await;
    server.control(Request::Flush).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_and_scan_write_one_record_by_turns() {
    let server = TestServer::new().ban("acme", RULES).start().await;
    ask_from(&server, "127.0.0.1").await;
    scan(&server, "a.log", BIND.to_owned()).await;
    ask_from(&server, "127.0.0.2").await;
    scan(&server, "b.log", BIND.replace("192.0.2.7", "192.0.2.17").replace("10:00", "11:00")).await;
    ask_from(&server, "127.0.0.3").await;

    assert_eq!(server.attempts().await.iter().map(|row| row.count).sum::<u64>(), 3 + 3 + 3);
    let clients: Vec<_> = server.clients().await.iter().map(|row| row.client.to_string()).collect();
    for client in ["127.0.0.1", "127.0.0.2", "127.0.0.3", "192.0.2.7", "192.0.2.17", "192.0.2.8"] {
        assert_eq!(clients.iter().filter(|known| *known == client).count(), 1, "{client} in {clients:?}");
    }
    let state = server.state_dir();
    let _directory = server.stop().await;
    // Each device has a number of its own, and the sets of both hold all that either has written.
    let store = Store::open_read_only(&state).unwrap();
    let presence = store.presence().unwrap();
    assert_eq!(
        presence.numbered().unwrap().iter().map(|range| range.end - range.first).sum::<u32>(),
        7,
        "and one that only asked"
    );
    let sign = Sign { ban: "acme", evidence: Some(Evidence::Installed), what: What::Seen };
    let days = presence.days(sign).unwrap().unwrap();
    let sets = presence.sets(sign, 0, &days).unwrap();
    let sizes: Vec<(Day, u64)> = sets.iter().map(|(day, set)| (*day, set.len())).collect();
    assert_eq!((sizes.len(), sizes[0], sizes[1].1), (2, ("2024-04-15".parse().unwrap(), 3), 3));
}
