//! Attempts as dnstap, by programs that know nothing of our code: `fstrm_capture` (of the people who made Frame Streams) takes
//! them from a socket, `protoc` reads them by the official schema, and BIND's `dnstap-read` shows the queries in them.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::client::{A, ask};
use super::process::{Running, SOON, free_address, printed, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

const BANNED: [&str; 2] = ["downloads.upd.kaspersky.com", "www.kaspersky.com"];

/// Where a receiver listens.
enum At {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl At {
    /// What `fstrm_capture` is told.
    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Unix(path) => vec!["-u".to_owned(), path.display().to_string()],
            Self::Tcp(address) => {
                vec!["-a".to_owned(), address.ip().to_string(), "-p".to_owned(), address.port().to_string()]
            }
        }
    }

    /// What the sink is told.
    fn settings(&self) -> String {
        match self {
            Self::Unix(path) => format!("socket = \"{}\"", path.display()),
            Self::Tcp(address) => format!("server = \"{address}\"\ntransport = \"tcp\""),
        }
    }
}

fn capture(at: &At, to: &Path, directory: &Path) -> Running {
    let mut command = Command::new("fstrm_capture");
    command.args(["-t", "protobuf:dnstap.Dnstap", "-d", "-d", "-w"]).arg(to).args(at.arguments());
    let running = Running::start(&command, &directory.join("capture.log"));
    let listens = || match at {
        At::Unix(path) => path.exists().then_some(()),
        At::Tcp(address) => std::net::TcpListener::bind(address).is_err().then_some(()),
    };
    until("the receiver listens", SOON, listens);
    running
}

/// The data in a file of Frame Streams.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let word = |at: usize| Some(u32::from_be_bytes(*file.get(at..)?.first_chunk()?) as usize);
    let (mut at, mut frames) = (0, Vec::new());
    while let Some(length) = word(at) {
        if length == 0 {
            at += 8 + word(at + 4).unwrap();
        } else {
            frames.push(&file[at + 4..at + 4 + length]);
            at += 4 + length;
        }
    }
    frames
}

/// What the official schema says of a message.
fn decoded(message: &[u8]) -> String {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dnstap");
    let mut command = Command::new("protoc");
    command.arg("--decode=dnstap.Dnstap").arg("-I").arg(&schema).arg(schema.join("dnstap.proto"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn all_taken(server: &Server, attempts: u64) {
    until("everything is taken", SOON, || {
        (server.metrics().sum("embargo_sink_delivered_total") == attempts).then_some(())
    });
}

fn check(at: &At, directory: &Path) {
    let upstream = Unbound::start();
    let captured = directory.join("captured");
    let setup = Setup::new(&[upstream.address])
        .setting("[sink]", &format!("id = \"tap\"\nkind = \"dnstap\"\n{}", at.settings()));
    let server = setup.start();
    // While nobody listens it waits.
    ask(server.dns, BANNED[0], A).unwrap();
    until("nobody listens", SOON, || (server.metrics().sum("embargo_sink_failures_total") > 0).then_some(()));
    let mut receiver = capture(at, &captured, directory);
    ask(server.dns, BANNED[1], A).unwrap();
    all_taken(&server, 2);
    receiver.signal("TERM");
    assert!(receiver.ended(SOON).success(), "{}", receiver.log());

    let file = fs::read(&captured).unwrap();
    let messages: Vec<String> = frames(&file).into_iter().map(decoded).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for part in [
        "type: CLIENT_QUERY",
        "socket_protocol: UDP",
        r#"query_address: "\177\000\000\001""#,
        "query_time_sec: ",
        r#"type: "ban:kaspersky""#,
        "action: NXDOMAIN",
        "match: QNAME",
        r#"rule: "upd.kaspersky.com""#,
        r#"value: "\tdownloads\003upd\tkaspersky\003com\000""#,
        r#"version: "Embargo "#,
    ] {
        assert!(messages[0].contains(part), "{part}: {}", messages[0]);
    }
    let shown = printed("dnstap-read", [captured.to_str().unwrap()]);
    for (line, name) in shown.lines().zip(BANNED) {
        assert!(line.contains(" CQ 127.0.0.1:") && line.contains(&format!(" {name}/IN/A")), "{shown}");
    }
    assert_eq!(shown.lines().count(), BANNED.len(), "{shown}");
}

#[test]
fn a_receiver_of_dnstap_at_a_unix_socket_reads_what_the_policy_did() {
    let directory = TempDir::new().unwrap();
    check(&At::Unix(directory.path().join("tap.sock")), directory.path());
}

#[test]
fn a_receiver_of_dnstap_over_tcp_reads_what_the_policy_did() {
    let directory = TempDir::new().unwrap();
    check(&At::Tcp(free_address()), directory.path());
}
