//! Whom a change would touch: judged on what clients asked of a whole server.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use embargo::app::control;
use embargo::wire::{qtype, rcode};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::harness::{Question, Response, RunningServer, TestServer, receive};
use crate::upstream_fake::FakeUpstream;

const NAMES: &str = "[names]\nenabled = true\n";

/// Asks from an address of this host.
async fn ask_from(server: &RunningServer, client: [u8; 4], name: &str) -> u16 {
    let socket = UdpSocket::bind(SocketAddr::new(IpAddr::from(client), 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket.send(&Question::new(name, qtype::A).octets()).await.unwrap();
    Response::read(receive(&socket).await).rcode()
}

/// What `embargo preview --json` says of the list in the server's directory.
async fn preview(root: &Path, arguments: &[&str]) -> Value {
    let list = root.join("candidate.txt");
    std::fs::write(&list, "example.com\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.arg("preview").arg("--json").arg("--config").arg(root.join("embargo.toml"));
    command.arg("--state-dir").arg(root.join("state")).args(arguments);
    if arguments.is_empty() {
        command.arg("--list").arg(list);
    }
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// Who is named, with which names, and how many queries that were.
fn clients(previewed: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = previewed["clients"].as_array().unwrap().iter().map(|row| {
        let names: Vec<_> = row["names"].as_array().unwrap().iter().map(|name| text(&name["name"])).collect();
        (text(&row["client"]), names.join(" "), row["queries"].as_u64().unwrap())
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

fn row(client: &str, names: &str, queries: u64) -> (String, String, u64) {
    (client.to_owned(), names.to_owned(), queries)
}

#[tokio::test]
async fn a_list_that_adds_a_name_names_exactly_the_clients_that_asked_below_it_before_and_after_a_restart() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "vendor.test\n").upstream(&upstream).setting(NAMES).start().await;
    let root = server.state_dir().parent().unwrap().to_owned();
    for (client, name) in [
        ([127, 0, 0, 1], "www.Example.com"),
        // From the cache this time: it is asked all the same.
        ([127, 0, 0, 1], "www.example.com"),
        ([127, 0, 0, 2], "a.b.example.com"),
        ([127, 0, 0, 3], "example.com.example.org"),
        ([127, 0, 0, 3], "notexample.com"),
    ] {
        assert_eq!(ask_from(&server, client, name).await, rcode::NOERROR);
    }
    assert_eq!(ask_from(&server, [127, 0, 0, 3], "vendor.test").await, rcode::NXDOMAIN);
    let over_tcp = Question::new("tcp.example.com", qtype::A).tcp();
    assert_eq!(server.ask(&over_tcp).await.rcode(), rcode::NOERROR);

    let expected = [row("127.0.0.1", "tcp.example.com www.example.com", 3), row("127.0.0.2", "a.b.example.com", 1)];
    let previewed = preview(&root, &[]).await;
    assert_eq!(clients(&previewed), expected);
    assert_eq!(previewed["blocks"], json!({"clients": 2, "names": 3, "queries": 4, "at_least": false}));
    let released = preview(&root, &["--ban", "vendor", "--mode", "off"]).await;
    assert_eq!(clients(&released), [row("127.0.0.3", "vendor.test", 1)]);
    assert_eq!(server.metric("names_stored_total", &[]).await, 6, "the attempt is not among them");

    let directory = server.stop().await;
    assert_eq!(clients(&preview(&root, &[]).await), expected, "without a server");
    let server =
        TestServer::after(directory).ban("vendor", "vendor.test\n").upstream(&upstream).setting(NAMES).start().await;
    assert_eq!(ask_from(&server, [127, 0, 0, 2], "a.b.example.com").await, rcode::NOERROR);
    assert_eq!(clients(&preview(&root, &[]).await)[1].2, 2);
}

#[tokio::test]
async fn by_default_no_name_that_is_no_attempt_is_written_anywhere_and_a_reload_turns_the_record_on_and_off() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new()
        .ban("vendor", "vendor.test\n")
        .upstream(&upstream)
        .setting("[cache]\nsave = false")
        .start()
        .await;
    let root = server.state_dir().parent().unwrap().to_owned();
    assert_eq!(server.query("private.example.com", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!(server.query("vendor.test", qtype::A).await.rcode(), rcode::NXDOMAIN);
    let previewed = preview(&root, &[]).await;
    assert_eq!(previewed["blocks"], json!({"clients": 0, "names": 0, "queries": 0, "at_least": true}));
    assert_eq!(previewed["names"]["recorded"], json!(false));

    server.change_settings(NAMES).await;
    assert_eq!(server.query("public.example.com", qtype::A).await.rcode(), rcode::NOERROR);
    server.change_settings("").await;
    assert_eq!(server.query("again.example.com", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!(clients(&preview(&root, &[]).await), [row("127.0.0.1", "public.example.com", 1)]);
    server.control(control::Request::Flush).await;
    let state = server.state_dir();
    let _directory = server.stop().await;
    for name in [&b"private"[..], b"again"] {
        for file in std::fs::read_dir(&state).unwrap() {
            let path = file.unwrap().path();
            let octets = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            assert!(!octets.windows(name.len()).any(|window| window == name), "{}", path.display());
        }
    }
}
