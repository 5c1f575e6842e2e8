//! The command beside a running server: the two share a state directory and nothing else.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use embargo::wire::qtype;
use serde_json::Value;

use crate::harness::{RunningServer, TestServer};

/// Runs the command with the server's state directory.
async fn embargo(server: &RunningServer, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).arg("--state-dir").arg(server.state_dir()).env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn json_of(server: &RunningServer, arguments: &[&str]) -> Value {
    let output = embargo(server, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_is_in_the_lists_at_once() {
    let server = TestServer::new().ban("acme", "upd.acme.example update installed\n").start().await;
    for _ in 0..3 {
        server.query("a.upd.acme.example", qtype::A).await;
    }

    let attempts = json_of(&server, &["attempts", "--client", "127.0.0.1"]).await;
    let clients = json_of(&server, &["clients"]).await;

    assert_eq!((attempts[0]["qname"].as_str(), attempts[0]["count"].as_u64()), (Some("a.upd.acme.example"), Some(3)));
    assert_eq!((clients[0]["evidence"].as_str(), clients[0]["count"].as_u64()), (Some("installed"), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_tells_how_it_is_and_reloads() {
    let server = TestServer::new().ban("acme", "acme.example\n").start().await;

    let status = json_of(&server, &["status"]).await;
    assert_eq!(status["policy"]["bans"][0]["id"], "acme");
    assert_eq!(status["policy"]["lists"][0]["rules"], 1);
    let page = String::from_utf8(embargo(&server, &["status"]).await.stdout).unwrap();
    assert!(page.contains("is ready") && page.contains("\nacme "), "{page}");

    assert_eq!(json_of(&server, &["reload"]).await["ok"], true);
    assert!(
        json_of(&server, &["status"]).await["policy"]["generation"].as_u64() > status["policy"]["generation"].as_u64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_healthy() {
    let server = TestServer::new().ban("acme", "acme.example\n").start().await;
    let status = json_of(&server, &["status"]).await;
    let (listen, admin) = (status["listen"][0].as_str().unwrap(), status["admin"].as_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(["healthcheck", "--listen", listen, "--admin", admin]).env_clear();

    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(server.attempts().await.is_empty());
}

#[test]
fn what_is_wrong_with_the_record_at_the_start_is_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("embargo.toml");
    std::fs::write(&config, "listen = [\"127.0.0.1:0\"]\nadmin = \"off\"\n[upstream]\nservers = [\"192.0.2.53\"]\n")
        .unwrap();
    std::fs::write(directory.path().join("embargo.db"), "another program's file").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.arg("--config").arg(&config).arg("--state-dir").arg(directory.path()).env_clear();
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let announced = BufReader::new(server.stdout.take().unwrap()).lines().any(|line| line.unwrap().starts_with("Try:"));
    server.kill().unwrap();
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    server.wait().unwrap();

    assert!(announced, "it serves all the same: {log}");
    assert!(log.contains("The journal can't be written") && log.contains("embargo.db"), "{log}");
}
