//! A disk that is full: DNS goes on, and what is lost is counted exactly.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::figures::count;
use super::process::{SOON, http_get, not_tested, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Mounts a small file system over `$0` that nobody else sees, then becomes the rest.
const ON_SMALL_DISK: &str = "mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"";

/// No file may grow past this, in units of 512 octets; writing further is an error, not a signal.
const WITH_SMALL_FILES: &str = "trap '' XFSZ; ulimit -S -f 300; exec \"$@\"";

/// Banned names asked for, each a row of its own.
const ASKED: u64 = 3_000;

fn ask_banned(server: &Server) {
    for number in 0..ASKED {
        let name = format!("n{number}.{}.upd.kaspersky.com", "x".repeat(50));
        assert_eq!(ask(server.dns, &name, A).unwrap(), NXDOMAIN, "{name}");
    }
}

#[track_caller]
fn check_goes_on(server: &Server) {
    until("the store is seen not to be writable", SOON, || {
        let page = server.metrics();
        (page.sum("embargo_journal_writable") == 0).then_some(page)
    });
    assert_eq!(ask(server.dns, "plain.test", A).unwrap(), NOERROR);
    assert_eq!(server.metrics().sum("embargo_attempts_total"), ASKED + 1, "every attempt is counted");
    let (status, text) = http_get(server.admin, "/readyz?verbose").unwrap();
    assert_eq!(status, 200, "a full disk is a warning: {text}");
    let (status, _) = http_get(server.admin, "/livez").unwrap();
    assert_eq!(status, 200);
}

#[track_caller]
fn check_ledger(server: &Server, state: &Path) {
    let page = server.at_rest();
    let (stored, lost) = (page.sum("embargo_journal_stored_total"), page.sum("embargo_journal_lost_total"));
    assert_eq!(stored + lost, ASKED + 1);
    let attempts = server.json(&["attempts", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(count(&attempts, &[]), stored, "what is not in the store is exactly what was counted as lost");
    until("the store is seen to be writable", SOON, || {
        (server.metrics().sum("embargo_journal_writable") == 1).then_some(())
    });
}

#[test]
fn a_full_disk_stops_no_query_and_the_loss_is_exact() {
    if !Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .status()
        .is_ok_and(|s| s.success())
    {
        not_tested("a full disk: this machine lets nobody mount one");
        return;
    }
    let unbound = Unbound::start();
    let setup = Setup::new(&[unbound.address]).setting("journal", "rows_in_memory_max = 1000");
    let state = setup.state().to_owned();
    fs::create_dir_all(&state).unwrap();
    let mut server = setup.around(&["unshare", "-m", "sh", "-c", ON_SMALL_DISK, state.to_str().unwrap()]).start();
    // What the server sees there.
    let process = server.running().child.id();
    let seen = PathBuf::from(format!("/proc/{process}/root{}", state.display()));
    ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap();
    server.at_rest();
    assert!(seen.join("embargo.db").exists(), "the record is on the small disk");

    let ballast = seen.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
    ask_banned(&server);
    check_goes_on(&server);
    fs::remove_file(&ballast).unwrap();
    drop(file);

    check_ledger(&server, &seen);
}

#[test]
fn files_that_cannot_grow_stop_no_query_and_the_loss_is_exact() {
    let unbound = Unbound::start();
    let setup = Setup::new(&[unbound.address]).setting("journal", "rows_in_memory_max = 1000");
    let mut server = setup.around(&["sh", "-c", WITH_SMALL_FILES, "sh"]).start();
    ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap();
    server.at_rest();

    ask_banned(&server);
    check_goes_on(&server);
    let process = server.running().child.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status().unwrap().success());

    check_ledger(&server, &server.state);
}
