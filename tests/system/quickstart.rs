//! The quick start of README, word for word, in a network of its own: there its fixed ports are free, and nothing leaves.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::process::{Running, SOON, not_tested, run, until};
use super::server::{binary, embargo};

/// Brings up loopback, then becomes the rest.
const WITH_LOOPBACK: &str = "ip link set lo up && exec \"$@\"";

/// The line that README and the server tell a newcomer to type.
const LINE: &str = "dig @127.0.0.1 -p 5300 downloads.upd.kaspersky.com";

fn networks_are_permitted() -> bool {
    let permitted =
        Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).status().is_ok_and(|s| s.success());
    if !permitted {
        not_tested("the quick start: this machine lets nobody make a network");
    }
    permitted
}

/// The server as `cargo run` starts it in this folder.
fn start(folder: &Path, state: &TempDir, arguments: &[&str]) -> Running {
    let plain = embargo();
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", WITH_LOOPBACK, "sh"]).arg(plain.get_program()).args(arguments).current_dir(folder);
    command.env("XDG_STATE_HOME", state.path());
    Running::start(&command, &state.path().join("log"))
}

/// Runs a line in the server's network.
fn output_inside(server: &Running, line: &str) -> Output {
    let process = server.child.id().to_string();
    run("nsenter", ["-t", &process, "-n"].into_iter().chain(line.split(' ')))
}

fn inside(server: &Running, line: &str) -> Option<String> {
    let output = output_inside(server, line);
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn check(folder: &Path) {
    if !networks_are_permitted() {
        return;
    }
    let state = TempDir::new().unwrap();
    let server = start(folder, &state, &[]);

    let answer = until("the first answer", SOON, || inside(&server, &format!("{LINE} +tries=1 +time=1")));

    assert!(answer.contains("status: NXDOMAIN") && answer.contains("SOA"), "{answer}");
    assert!(answer.contains("; EDE: 15 (Blocked): (Kaspersky"), "{answer}");
    let six = inside(&server, "dig @::1 -p 5300 downloads.upd.kaspersky.com +tcp").unwrap();
    assert!(six.contains("status: NXDOMAIN"), "{six}");
    let log = server.log();
    assert!(log.contains(LINE), "the server says what to type: {log}");
    for said in ["127.0.0.1:5300", "[::1]:5300", "127.0.0.1:8053", "kaspersky"] {
        assert!(log.contains(said), "the server says {said}: {log}");
    }
    assert!(state.path().join("embargo/embargo.db").exists());
    let resident = server.resident_kib();
    assert!(resident <= 64 << 10, "{resident} KiB with the shipped lists, more than 64 MiB");
}

#[test]
fn the_quick_start_works_in_a_checkout() {
    check(Path::new(env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn it_works_from_any_other_folder_too() {
    check(TempDir::new().unwrap().path());
}

#[test]
fn who_holds_the_port_of_dns_is_guessed_well() {
    if !networks_are_permitted() {
        return;
    }
    let (state, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let holder = start(state.path(), &state, &["--listen", "127.0.0.53:53", "--admin", "off"]);
    until("the port is taken", SOON, || {
        inside(&holder, "dig @127.0.0.53 downloads.upd.kaspersky.com +tries=1 +time=1")
    });

    let line =
        format!("{} --listen 127.0.0.53:53 --admin off --state-dir {}", binary().display(), other.path().display());
    let output = output_inside(&holder, &line);

    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("127.0.0.53:53") && said.contains("systemd-resolved"), "{said}");
    assert!(said.contains("DNSStubListener=no") && said.contains("--listen"), "the way out: {said}");
}
