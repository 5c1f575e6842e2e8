//! What Embargo does with 500 names, and what BIND, Unbound and the recursor of `PowerDNS` do that have loaded its bans as a response policy
//! zone: the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::client::{A, exchange, next_id, query};
use super::process::{Running, SOON, free_address, printed, until};
use super::server::Setup;
use super::unbound::Unbound;

const NAMES: &str = include_str!("../fixtures/config/kaspersky-names.txt");
const QUESTIONS: usize = 500;

/// Every name exists.
const ROOT: &str = "$TTL 300\n. SOA ns. hostmaster. 1 3600 600 86400 300\n. NS ns.\nns. A 127.0.0.1\n* A 192.0.2.200\n";

/// The names of the fixture and some below and beside them. What a glob stands for is left out: the export says that it can't say
/// that.
fn names() -> Vec<String> {
    let listed = NAMES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next());
    let listed = listed.map(|name| name.trim_start_matches(['!', '=']).trim_start_matches("*."));
    let mut names = BTreeSet::new();
    for name in listed.filter(|name| !name.contains('*')) {
        names.extend([name.to_owned(), format!("a.{name}"), format!("b.c.{name}"), format!("x{name}")]);
    }
    names.into_iter().take(QUESTIONS).collect()
}

/// Whether the server lets the name through; every name has an address.
fn passes(server: SocketAddr, name: &str) -> Option<bool> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    let answer = exchange(server, &query(next_id(), &labels, A)).ok()?;
    Some(answer[7] > 0)
}

/// Where a peer has the zone from.
#[derive(Clone, Copy)]
enum From<'k> {
    /// The file `embargo.rpz`.
    File,
    /// A primary, with the file of the key that is shared with it.
    Primary(SocketAddr, &'k str),
}

fn bind(directory: &Path, address: SocketAddr, from: From<'_>) -> Running {
    let (folder, port) = (directory.display(), address.port());
    let (zone, key) = match from {
        From::File => (format!("type primary; file \"{folder}/embargo.rpz\";"), ""),
        From::Primary(primary, key) => {
            let (ip, port) = (primary.ip(), primary.port());
            (format!("type secondary; primaries {{ {ip} port {port} key \"transfer.example\"; }};"), key)
        }
    };
    let text = format!(
        "{key}options {{ directory \"{folder}\"; recursion yes; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; dnssec-validation no; empty-zones-enable no; allow-query {{ any; }};
  response-policy {{ zone \"rpz.embargo\"; }} break-dnssec yes qname-wait-recurse no recursive-only no min-update-interval 0; }};
controls {{ }};
zone \"rpz.embargo\" {{ {zone} allow-query {{ none; }}; }};
zone \".\" {{ type primary; file \"{folder}/root.zone\"; }};
"
    );
    fs::write(directory.join("named.conf"), text).unwrap();
    let mut command = Command::new("named");
    command.args(["-f", "-c"]).arg(directory.join("named.conf"));
    Running::start(&command, &directory.join("named.log"))
}

fn unbound(directory: &Path, address: SocketAddr, from: From<'_>) -> Running {
    let (folder, port) = (directory.display(), address.port());
    let zone = match from {
        From::File => "zonefile: embargo.rpz".to_owned(),
        // It signs nothing.
        From::Primary(primary, _key) => format!("primary: {}@{}", primary.ip(), primary.port()),
    };
    let text = format!(
        "server:\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"\"
 interface: 127.0.0.1@{port}\n outgoing-interface: 127.0.0.1\n access-control: 127.0.0.0/8 allow
 module-config: \"respip validator iterator\"\n local-zone: \"test.\" nodefault\nrpz:\n name: rpz.embargo\n {zone}
auth-zone:\n name: \".\"\n zonefile: root.zone\n for-downstream: no\n for-upstream: yes\n fallback-enabled: no
remote-control:\n control-enable: no\n"
    );
    fs::write(directory.join("peer.conf"), text).unwrap();
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(directory.join("peer.conf"));
    Running::start(&command, &directory.join("peer.log"))
}

fn powerdns(directory: &Path, address: SocketAddr, from: From<'_>) -> Running {
    let (folder, port) = (directory.display(), address.port());
    let zone = match from {
        From::File => format!("rpzFile(\"{folder}/embargo.rpz\", {{ policyName = \"embargo\" }})\n"),
        From::Primary(primary, key) => {
            let secret = key.split('"').nth(3).unwrap();
            format!(
                "rpzPrimary(\"{primary}\", \"rpz.embargo\", {{ policyName = \"embargo\", refresh = 1, \
                 tsigname = \"transfer.example\", tsigalgo = \"hmac-sha256\", tsigsecret = \"{secret}\" }})\n"
            )
        }
    };
    fs::write(directory.join("embargo.lua"), zone).unwrap();
    let mut text = String::new();
    for (key, value) in [
        ("socket-dir", directory.display().to_string()),
        ("local-address", "127.0.0.1".to_owned()),
        ("local-port", port.to_string()),
        ("allow-from", "127.0.0.0/8".to_owned()),
        ("query-local-address", "127.0.0.1".to_owned()),
        ("lua-config-file", format!("{folder}/embargo.lua")),
        ("auth-zones", format!(".={folder}/root.zone")),
        ("daemon", "no".to_owned()),
        ("dnssec", "off".to_owned()),
        ("write-pid", "no".to_owned()),
        ("security-poll-suffix", String::new()),
        ("threads", "1".to_owned()),
    ] {
        writeln!(text, "{key}={value}").unwrap();
    }
    fs::write(directory.join("recursor.conf"), text).unwrap();
    let mut command = Command::new("pdns_recursor");
    command.arg(format!("--config-dir={folder}"));
    Running::start(&command, &directory.join("recursor.log"))
}

/// Asks until a name below this one is blocked; always for another name, since peers remember what they let through.
fn until_blocked(peer: &str, address: SocketAddr, below: &str) {
    let mut number = 0;
    until(peer, SOON, || {
        number += 1;
        (passes(address, &format!("n{number}.{below}")) == Some(false)).then_some(())
    });
}

/// Asks until all verdicts are ours: a peer answers while it still loads the zone.
fn same_verdicts(peer: &str, address: SocketAddr, names: &[String], ours: &[bool], running: &Running) {
    until_blocked(peer, address, "upd.kaspersky.com");
    let mut others = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SOON {
        let other = |(name, ours): &(&String, &bool)| passes(address, name) != Some(**ours);
        others = names.iter().zip(ours).filter(other).map(|(name, _ours)| name).collect();
        if others.is_empty() {
            return;
        }
    }
    panic!("{peer} does otherwise: {others:?}\n{}", running.log());
}

type Start = fn(&Path, SocketAddr, From<'_>) -> Running;

/// The three, by their names.
const PEERS: [(&str, Start); 3] = [("BIND", bind), ("Unbound", unbound), ("PowerDNS Recursor", powerdns)];

/// What resolves every name.
pub(super) fn upstream() -> Unbound {
    Unbound::with(&[(".", "root.zone")], |directory| {
        fs::write(directory.join("root.zone"), ROOT).unwrap();
        fs::write(directory.join("anchors"), "").unwrap();
    })
}

/// What the server does with each name: some are blocked and some are not.
fn verdicts(server: SocketAddr, names: &[String]) -> Vec<bool> {
    assert_eq!(names.len(), QUESTIONS);
    let ours: Vec<_> = names.iter().map(|name| passes(server, name).unwrap()).collect();
    let blocked = ours.iter().filter(|passes| !**passes).count();
    assert!((100..QUESTIONS - 50).contains(&blocked), "{blocked}");
    ours
}

#[test]
fn other_resolvers_with_the_exported_zone_block_the_same_names() {
    let upstream = upstream();
    let server = Setup::new(&[upstream.address]).start();
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("root.zone"), ROOT).unwrap();
    let exported = server.command(&["lists", "export", "--format", "rpz"]);
    assert!(exported.status.success());
    fs::write(directory.path().join("embargo.rpz"), &exported.stdout).unwrap();
    let names = names();
    let ours = verdicts(server.dns, &names);

    for (peer, start) in PEERS {
        let address = free_address();
        let running = start(directory.path(), address, From::File);
        same_verdicts(peer, address, &names, &ours, &running);
    }
}

#[test]
fn other_resolvers_transfer_the_zone_and_follow_its_changes() {
    let (upstream, directory) = (upstream(), TempDir::new().unwrap());
    fs::write(directory.path().join("root.zone"), ROOT).unwrap();
    let key = printed("tsig-keygen", ["transfer.example"]);
    let key_file = directory.path().join("transfer.key");
    fs::write(&key_file, &key).unwrap();
    let addresses: Vec<SocketAddr> = PEERS.iter().map(|_peer| free_address()).collect();
    // Unbound can't sign, so it has a server of its own that lets it in by its address.
    let export = |admit: &str| {
        let notify: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        let lines = format!("zone = \"rpz.embargo\"\n{admit}\nnotify = [{}]", notify.join(", "));
        Setup::new(&[upstream.address]).setting("[export]", &lines).start()
    };
    let signed = export(&format!("key_file = \"{}\"", key_file.display()));
    let open = export("allow = [\"127.0.0.1\"]");
    let names = names();
    let ours = verdicts(signed.dns, &names);

    let mut peers = Vec::new();
    for ((peer, start), address) in PEERS.into_iter().zip(&addresses) {
        let primary = if peer == "Unbound" { open.dns } else { signed.dns };
        let running = start(directory.path(), *address, From::Primary(primary, &key));
        same_verdicts(peer, *address, &names, &ours, &running);
        peers.push(running);
    }

    for server in [&signed, &open] {
        let list = server.list("kaspersky/rules.txt");
        let rules = fs::read_to_string(&list).unwrap();
        fs::write(list, format!("{rules}new-name.test update installed\n")).unwrap();
    }
    for ((peer, _start), address) in PEERS.into_iter().zip(addresses) {
        until_blocked(peer, address, "new-name.test");
    }
    assert!(signed.metrics().sum("embargo_zone_transfers_total") > 0);
}
