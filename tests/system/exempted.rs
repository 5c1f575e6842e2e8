//! Exemptions through what servers go through: another process in the place of this one, and a disk that takes no more.

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::exported::upstream;
use super::process::printed;
use super::server::{Server, Setup};

/// Names that are banned, and exist.
const BANNED: &str = "downloads.upd.kaspersky.com";
const OTHER: &str = "geo.kaspersky.com";
/// Makes writing past a limit of file size an error, not a signal.
const WITHOUT_SIGNAL: &str = "trap '' XFSZ; exec \"$@\"";

/// Asks that this client be spared a name for an hour; whether it is.
fn spare(server: &Server, name: &str) -> bool {
    let whom = ["exempt", "add", "--client", "127.0.0.1", "--name", name, "--for", "1h"];
    let added = server.command(&[&whom[..], &["--owner", "system test", "--reason", "to see"]].concat());
    added.status.success()
}

#[test]
fn an_exemption_outlives_a_hand_over_and_one_that_is_taken_back_stays_so() {
    let upstream = upstream();
    let mut server = Setup::new(&[upstream.address]).start();
    assert!(spare(&server, BANNED) && spare(&server, OTHER));
    let listed = server.json(&["exempt", "list"]);
    let id = listed[1]["id"].as_str().unwrap();
    assert!(server.command(&["exempt", "revoke", id]).status.success());
    let revoked = listed[1]["name"].as_str().unwrap().to_owned();
    let spared = if revoked == BANNED { OTHER } else { BANNED };

    for _hand_over in 0..2 {
        assert_eq!(server.take_over().code(), Some(0));
        assert_eq!(ask(server.dns, spared, A).unwrap(), NOERROR);
        assert_eq!(ask(server.dns, &revoked, A).unwrap(), NXDOMAIN);
    }
    assert!(server.command(&["audit"]).status.success(), "its chain is whole");
}

#[test]
fn a_full_disk_grants_nothing_that_is_not_written_down_and_takes_nothing_back() {
    let upstream = upstream();
    let mut server = Setup::new(&[upstream.address]).around(&["sh", "-c", WITHOUT_SIGNAL, "sh"]).start();
    assert!(spare(&server, BANNED));
    let process = server.running().child.id().to_string();
    let limit = |bytes: &str| drop(printed("prlimit", ["--pid", &process, &format!("--fsize={bytes}:unlimited")]));

    limit("64");
    assert!(!spare(&server, OTHER), "nobody could say later who granted it");
    assert_eq!(ask(server.dns, OTHER, A).unwrap(), NXDOMAIN);
    assert_eq!(ask(server.dns, BANNED, A).unwrap(), NOERROR, "what was granted before");

    limit("unlimited");
    assert!(spare(&server, OTHER));
    assert_eq!(ask(server.dns, OTHER, A).unwrap(), NOERROR);
    server.restart();
    for name in [BANNED, OTHER] {
        assert_eq!(ask(server.dns, name, A).unwrap(), NOERROR, "{name}");
    }
    assert!(server.command(&["audit"]).status.success(), "its chain is whole");
}
