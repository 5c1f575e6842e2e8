//! A policy zone that BIND serves: transferred, enforced, kept across a restart without BIND, and brought up to date within two
//! seconds of a change there.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::process::{Running, SOON, free_address, printed, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

const ZONE: &str =
    "$TTL 60\n@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\nplain.test CNAME .\n*.plain.test CNAME .\n";
/// A change is in force within this, the time of a transfer and a reload included.
const AT_ONCE: Duration = Duration::from_secs(2);

/// BIND as the primary of `rpz.partner`, which changes by update and tells `secondary` of it.
fn primary(directory: &Path, address: SocketAddr, secondary: SocketAddr, key: &str) -> Running {
    let (folder, port, notify) = (directory.display(), address.port(), secondary.port());
    fs::write(directory.join("partner.zone"), ZONE).unwrap();
    let text = format!(
        "{key}options {{ directory \"{folder}\"; recursion no; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; notify-delay 0; }};
controls {{ }};
zone \"rpz.partner\" {{ type primary; file \"{folder}/partner.zone\"; notify explicit;
  max-ixfr-ratio unlimited; allow-transfer {{ key \"transfer.example\"; }}; allow-update {{ key \"transfer.example\"; }};
  also-notify {{ 127.0.0.1 port {notify} key \"transfer.example\"; }}; }};
"
    );
    fs::write(directory.join("named.conf"), text).unwrap();
    let mut command = Command::new("named");
    command.args(["-g", "-c"]).arg(directory.join("named.conf"));
    Running::start(&command, &directory.join("named.log"))
}

/// Changes the zone at its primary.
fn update(primary: SocketAddr, key_file: &Path, lines: &str) {
    let mut nsupdate =
        Command::new("nsupdate").arg("-k").arg(key_file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = format!("server {} {}\nzone rpz.partner\n{lines}send\n", primary.ip(), primary.port());
    std::io::Write::write_all(&mut nsupdate.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(nsupdate.wait_with_output().unwrap().status.success());
}

#[test]
fn a_zone_of_bind_is_enforced_and_follows_its_changes_within_two_seconds() {
    let (upstream, directory) = (Unbound::start(), TempDir::new().unwrap());
    let key = printed("tsig-keygen", ["transfer.example"]);
    let key_file = directory.path().join("transfer.key");
    fs::write(&key_file, &key).unwrap();
    let (address, own) = (free_address(), free_address());
    let mut bind = primary(directory.path(), address, own, &key);
    let list = format!(
        "id = \"partner\"\nzone = \"rpz.partner\"\nprimaries = [\"{address}\"]\nkey_file = \"{}\"",
        key_file.display()
    );
    let mut server = Setup::new(&[upstream.address]).at(own).setting("[list]", &list).start();
    let is = |name: &str, code: u8| (ask(own, name, A).ok()? == code).then_some(());

    until("the zone is enforced", SOON, || is("plain.test", NXDOMAIN));
    assert_eq!(ask(own, "cyberkaspersky.com", A).unwrap(), NOERROR);
    let transfers = |server: &Server, result: &str| {
        server.metrics().sum_of("embargo_zone_transfers_total", &[("direction", "in"), ("result", result)])
    };
    assert_eq!((transfers(&server, "axfr"), transfers(&server, "ixfr")), (1, 0));

    let added = ["cyberkaspersky.com", "*.cyberkaspersky.com"]
        .map(|name| format!("update add {name}.rpz.partner 60 CNAME .\n"));
    let deleted = ["plain.test", "*.plain.test"].map(|name| format!("update delete {name}.rpz.partner\n"));
    update(address, &key_file, &[added.concat(), deleted.concat()].concat());
    until("the change is in force", AT_ONCE, || is("cyberkaspersky.com", NXDOMAIN));
    assert_eq!(ask(own, "plain.test", A).unwrap(), NOERROR, "what was deleted is no longer banned");
    assert_eq!((transfers(&server, "axfr"), transfers(&server, "ixfr")), (1, 1));

    // Without its primary it starts with what it has.
    bind.kill();
    assert!(server.stop().success());
    server.restart();
    until("the zone is enforced again", SOON, || is("cyberkaspersky.com", NXDOMAIN));
    let status = server.json(&["status"]);
    assert_eq!(status["sources"][0]["id"], "partner", "{status}");
}
