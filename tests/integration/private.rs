//! What a whole server keeps of clients, what it shows and erases of one, and who looked; and reports by themselves.

use std::path::Path;
use std::process::{Command, Output};

use embargo::app::control::Request;
use embargo::clock::Clock;
use embargo::time::{Mono, Now};
use embargo::wire::{qtype, rcode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{RunningServer, TestServer};

/// Everybody on this host is of a site.
const SITE: &str = "[[group]]\nid = \"here\"\nkind = \"site\"\nnetworks = [\"127.0.0.0/8\"]\n";
const NAME: &str = "a.upd.vendor.example";

fn server() -> TestServer {
    TestServer::new().ban("vendor", "upd.vendor.example update installed")
}

async fn embargo(server: &RunningServer, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).arg("--state-dir").arg(server.state_dir()).env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn json_of(server: &RunningServer, arguments: &[&str]) -> Value {
    let output = embargo(server, arguments).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether a file below a directory holds this text.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let octets = std::fs::read(&path).unwrap_or_default();
        octets.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_pseudonyms_keeps_no_address_and_one_with_counts_keeps_nobody() {
    let server = server().setting(&format!("{SITE}privacy = \"hashed\"")).start().await;
    assert_eq!(server.query(NAME, qtype::A).await.rcode(), rcode::NXDOMAIN);
    let rows = json_of(&server, &["attempts", "--json"]).await;
    let pseudonym = rows[0]["client"].as_str().unwrap().to_owned();
    assert!(pseudonym.starts_with("100::"), "{rows}");
    assert!(!holds(&server.state_dir(), "127.0.0.1"));

    // From now on it is only counted. What the pseudonym did is still there, and can be erased by the address.
    server.change_settings(&format!("{SITE}privacy = \"counts\"")).await;
    assert_eq!(server.query(NAME, qtype::AAAA).await.rcode(), rcode::NXDOMAIN);
    let rows = json_of(&server, &["attempts", "--json"]).await;
    let told: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (row["client"].clone(), row["qname"].clone())).collect();
    assert!(told.contains(&(json!(null), json!(null))) && told.contains(&(json!(pseudonym), json!(NAME))), "{rows}");
    let erased = json_of(&server, &["privacy", "erase", "--client", "127.0.0.1", "--json"]).await;
    assert_eq!((&erased["attempts"], &erased["not_overwritten"]), (&json!(1), &json!(null)), "{erased}");
    assert!(!holds(&server.state_dir(), &pseudonym));
    assert_eq!(server.metric("attempts_total", &[("ban", "vendor")]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_client_is_shown_and_erased_beside_a_server_that_answers() {
    // A receiver that is away, so that what it is owed waits.
    let sink = "[[sink]]\nid = \"away\"\nkind = \"dnstap\"\nsocket = \"away.sock\"";
    let server = server().setting(sink).setting("[names]\nenabled = true").start().await;
    for _again in 0..3 {
        server.query(NAME, qtype::A).await;
    }
    let kept = json_of(&server, &["privacy", "export", "--client", "127.0.0.1"]).await;
    assert_eq!((&kept["attempts"][0]["client"], &kept["attempts"][0]["count"]), (&json!("127.0.0.1"), &json!(3)));
    assert!(kept["presence"].as_array().unwrap().iter().any(|set| set["what"] == "active"), "{kept}");
    let erased = json_of(&server, &["privacy", "erase", "--client", "127.0.0.1", "--ticket", "DSR-4", "--json"]).await;
    assert_eq!((&erased["attempts"], &erased["not_overwritten"]), (&json!(3), &json!(null)), "{erased}");
    assert_eq!(erased["waiting"], 1, "{erased}");
    assert!(!holds(&server.state_dir(), "127.0.0.1"));
    let audit = json_of(&server, &["audit", "--json"]).await;
    let last = audit["entries"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["erased"]["attempts"], &last["erased"]["ticket"]), (&json!(3), &json!("DSR-4")), "{last}");

    // Whoever goes on asking is recorded anew.
    assert_eq!(server.query(NAME, qtype::A).await.rcode(), rcode::NXDOMAIN);
    assert_eq!(server.attempts().await.iter().map(|row| row.count).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looked_at_clients_is_noted_while_that_is_wanted() {
    let server = server().start().await;
    server.query(NAME, qtype::A).await;
    let looks = async |server: &RunningServer| {
        let audit = json_of(server, &["audit", "--json"]).await;
        let entries = audit["entries"].as_array().unwrap().clone();
        entries.into_iter().filter(|entry| entry.get("looked").is_some()).collect::<Vec<_>>()
    };
    json_of(&server, &["attempts", "--json"]).await;
    assert_eq!(looks(&server).await, Vec::<Value>::new());
    server.change_settings("[audit]\nreads = true").await;
    json_of(&server, &["attempts", "--json", "--client", "127.0.0.1", "--ban", "vendor"]).await;
    json_of(&server, &["clients", "--json"]).await;
    let looked = looks(&server).await;
    let told: Vec<_> = looked.iter().map(|entry| (&entry["looked"]["by"], &entry["looked"]["at"])).collect();
    assert_eq!(told, [(&json!("attempts"), &json!("of one client, ban vendor")), (&json!("clients"), &json!(""))]);
    assert!(looked.iter().all(|entry| entry["uid"].is_u64()) && !holds(&server.state_dir(), "of 127"), "{looked:?}");

    // Over the network: by whoever has shown a token.
    let request = Request::TokenAdd { name: "siem".to_owned(), scopes: "read".parse().unwrap(), lasts_ms: None };
    let made = server.control(request).await;
    let token = made["token"].as_str().unwrap();
    for path in ["/api/v1/attempts?client=127.0.0.1", "/devices", "/api/v1/status"] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut stream = tokio::net::TcpStream::connect(server.admin()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
    }
    let looked = looks(&server).await.split_off(2);
    let told: Vec<_> =
        looked.iter().map(|entry| (&entry["looked"]["by"], &entry["looked"]["at"], &entry["by"])).collect();
    let (api, page, by) = (json!("api attempts"), json!("page devices"), json!("token:siem"));
    assert_eq!(told, [(&api, &json!("of one client"), &by), (&page, &json!(""), &by)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_due_is_made_at_a_start_with_those_that_were_missed_and_the_oldest_go() {
    let (clock, _hands) = Clock::manual(Now { wall: "2024-12-02T12:00:00Z".parse().unwrap(), mono: Mono(1_000_000) });
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().display();
    for month in ["2024-07-01-to-2024-07-31", "2024-08-01-to-2024-08-31"] {
        std::fs::write(place.path().join(format!("monthly-{month}.json")), "before").unwrap();
    }
    let report = format!(
        "[[report]]\nid = \"monthly\"\nban = \"vendor\"\nevery = \"month\"\nbaseline = 2024-06-20\n\
         formats = [\"json\"]\ndirectory = \"{directory}\"\nkeep = 4"
    );
    let server = server().clock(&clock).setting(&report).start().await;
    let names = || {
        let files = std::fs::read_dir(place.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let made = async || server.metric("reports_total", &[("report", "monthly"), ("result", "made")]).await;
    while made().await < 3 {
        assert_eq!(server.metric("reports_total", &[("result", "failed")]).await, 0);
        tokio::task::yield_now().await;
    }
    let expected = [
        "2024-08-01-to-2024-08-31",
        "2024-09-01-to-2024-09-30",
        "2024-10-01-to-2024-10-31",
        "2024-11-01-to-2024-11-30",
    ];
    assert_eq!(names(), expected.map(|days| format!("monthly-{days}.json")));
    let last = place.path().join("monthly-2024-11-01-to-2024-11-30.json");
    let verified = embargo_alone(&["report", "verify", last.to_str().unwrap()]).await;
    assert!(verified.status.success(), "{verified:?}");
    let told: Value = serde_json::from_slice(&std::fs::read(&last).unwrap()).unwrap();
    assert_eq!((&told["about"]["from"], &told["about"]["ban"]), (&json!("2024-11-01"), &json!("vendor")));
}

async fn embargo_alone(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.args(arguments).env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
