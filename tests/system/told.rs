//! What real resolvers tell live: Unbound and BIND with a response policy zone, and dnsdist, each before the server under test,
//! which answers none of their clients. Attempts are in the record within a second, with what the client got.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::process::{Running, SOON, free_address, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// A response policy zone that blocks one of two banned names.
const POLICY_ZONE: &str = "$TTL 60\n@ IN SOA localhost. root.localhost. 1 60 60 60 60\n@ IN NS localhost.\n\
                           downloads.upd.kaspersky.com CNAME .\n";
const BLOCKED: &str = "downloads.upd.kaspersky.com";
const OPEN: &str = "www.kaspersky.com";
/// From the question to the record.
const PROMISED: Duration = Duration::from_secs(1);
/// dnsdist keeps what it has to tell for as long as this, however much it is.
const KEEPS: Duration = Duration::from_secs(1);
/// Queries that fill any buffer of a resolver that tells.
const BATCH: usize = 100;

/// A resolver that tells.
struct Peer {
    address: SocketAddr,
    _running: Running,
}

fn peer(program: &str, arguments: &[&str], address: SocketAddr, directory: &Path) -> Peer {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    let running = Running::start(&command, &directory.join("peer.log"));
    let answers = || ask(address, "plain.test", A).ok().filter(|rcode| *rcode == NOERROR);
    until("the resolver answers", SOON, answers);
    Peer { address, _running: running }
}

fn unbound(directory: &Path, upstream: SocketAddr, tap: &str) -> Peer {
    let address = free_address();
    fs::write(directory.join("policy.zone"), POLICY_ZONE).unwrap();
    let text = format!(
        r#"server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    interface: 127.0.0.1@{port}
    outgoing-interface: 127.0.0.1
    do-not-query-localhost: no
    module-config: "respip iterator"
    local-zone: "test." nodefault
rpz:
    name: "policy.test"
    zonefile: "policy.zone"
forward-zone:
    name: "."
    forward-addr: {host}@{upstream_port}
dnstap:
    dnstap-enable: yes
    {tap}
    dnstap-log-client-query-messages: yes
    dnstap-log-client-response-messages: yes
"#,
        directory = directory.display(),
        port = address.port(),
        host = upstream.ip(),
        upstream_port = upstream.port(),
    );
    fs::write(directory.join("peer.conf"), text).unwrap();
    peer("unbound", &["-d", "-c", "peer.conf"], address, directory)
}

fn bind(directory: &Path, upstream: SocketAddr, socket: &Path) -> Peer {
    let address = free_address();
    fs::write(directory.join("policy.zone"), POLICY_ZONE).unwrap();
    let text = format!(
        r#"options {{
    directory "{directory}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    dnssec-validation no;
    allow-query {{ any; }};
    allow-recursion {{ any; }};
    forward only;
    forwarders port {upstream_port} {{ {host}; }};
    response-policy {{ zone "policy.test"; }} qname-wait-recurse no;
    dnstap {{ client query; client response; }};
    dnstap-output unix "{socket}";
    disable-empty-zone "test";
}};
controls {{ }};
zone "policy.test" {{ type primary; file "policy.zone"; }};
"#,
        directory = directory.display(),
        port = address.port(),
        host = upstream.ip(),
        upstream_port = upstream.port(),
        socket = socket.display(),
    );
    fs::write(directory.join("named.conf"), text).unwrap();
    peer("named", &["-g", "-c", "named.conf"], address, directory)
}

fn dnsdist(directory: &Path, upstream: SocketAddr, to: SocketAddr) -> Peer {
    let address = free_address();
    // What a rule of its own answers it does not tell as a response: the query is all there is, and shows nothing of it.
    let text = format!(
        r#"setLocal("{address}")
newServer({{address="{upstream}", healthCheckMode="up"}})
setSecurityPollSuffix("")
tap = newFrameStreamTcpLogger("{to}")
addAction(AllRule(), DnstapLogAction("dnsdist", tap))
addAction(QNameRule("{BLOCKED}"), RCodeAction(DNSRCode.NXDOMAIN))
addResponseAction(AllRule(), DnstapLogResponseAction("dnsdist", tap))
"#
    );
    fs::write(directory.join("dnsdist.conf"), text).unwrap();
    peer("dnsdist", &["--supervised", "-C", "dnsdist.conf"], address, directory)
}

/// Names and what was done.
fn attempts(server: &Server) -> BTreeSet<(String, String)> {
    let rows = server.json(&["attempts"]);
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(row, "qname"), text(row, "action"))).collect()
}

fn server(upstream: &Unbound, intake: &str) -> Server {
    Setup::new(&[upstream.address]).setting("[intake]", &format!("id = \"tap\"\n{intake}")).start()
}

/// Asks the resolver for a banned name that it blocks and one that it does not, and looks for them in the record.
fn check(server: &Server, peer: &Peer, blocked: &str, keeps: Duration) {
    until("it is connected", SOON, || (server.metrics().sum("embargo_intake_connections") > 0).then_some(()));
    // Counted the moment it is told: within the promise also where a look at the store takes long.
    let told = |count: u64| (server.metrics().sum("embargo_attempts_total") >= count).then(Instant::now);
    assert_eq!(ask(peer.address, BLOCKED, A).unwrap(), NXDOMAIN);
    assert_eq!(ask(peer.address, OPEN, A).unwrap(), NOERROR);
    let asked = Instant::now();
    // Resolvers tell in batches, or after a second when they have little to tell.
    (0..BATCH).for_each(|_more| drop(ask(peer.address, "plain.test", A)));
    let seen = until("attempts are told", SOON, || told(2));
    let expected = BTreeSet::from([(BLOCKED.to_owned(), blocked.to_owned()), (OPEN.to_owned(), "observe".to_owned())]);
    until("they are in the record", SOON, || (attempts(server) == expected).then_some(()));
    assert!(seen - asked < PROMISED + keeps, "{:?}", seen - asked);
    let page = server.at_rest();
    assert_eq!(page.sum("embargo_journal_stored_total"), 2);
    assert_eq!(page.sum("embargo_dns_queries_total"), 0);
    for row in server.json(&["attempts"]).as_array().unwrap() {
        assert_eq!(row["client"].as_str(), Some("127.0.0.1"), "{row}");
    }
}

#[test]
fn unbound_tells_what_its_clients_try_over_a_unix_socket() {
    let directory = TempDir::new().unwrap();
    let (upstream, socket) = (Unbound::start(), directory.path().join("tap.sock"));
    let server = server(&upstream, &format!("socket = \"{}\"", socket.display()));
    let tap = format!("dnstap-socket-path: \"{}\"", socket.display());
    check(&server, &unbound(directory.path(), upstream.address, &tap), "nxdomain", Duration::ZERO);
}

#[test]
fn unbound_tells_what_its_clients_try_over_tcp() {
    let directory = TempDir::new().unwrap();
    let (upstream, address) = (Unbound::start(), free_address());
    let server = server(&upstream, &format!("listen = \"{address}\""));
    let tap = format!("dnstap-ip: \"127.0.0.1@{}\"\n    dnstap-tls: no", address.port());
    check(&server, &unbound(directory.path(), upstream.address, &tap), "nxdomain", Duration::ZERO);
}

#[test]
fn bind_tells_what_its_clients_try() {
    let directory = TempDir::new().unwrap();
    let (upstream, socket) = (Unbound::start(), directory.path().join("tap.sock"));
    let server = server(&upstream, &format!("socket = \"{}\"", socket.display()));
    check(&server, &bind(directory.path(), upstream.address, &socket), "nxdomain", Duration::ZERO);
}

#[test]
fn dnsdist_tells_what_its_clients_try() {
    let directory = TempDir::new().unwrap();
    let (upstream, address) = (Unbound::start(), free_address());
    let server = server(&upstream, &format!("listen = \"{address}\""));
    check(&server, &dnsdist(directory.path(), upstream.address, address), "observe", KEEPS);
}
