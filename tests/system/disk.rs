//! A disk that is full or read-only: DNS goes on, and what is lost is counted exactly.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::figures::count;
use super::process::{SOON, http_get, not_tested, printed, until};
use super::server::{Server, Setup, binary};
use super::unbound::Unbound;

/// Mounts a small file system over `$0` that nobody else sees, then becomes the rest.
const ON_SMALL_DISK: &str = "mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"";

/// The same, read-only.
const ON_READ_ONLY_DISK: &str = "mount -t tmpfs -o ro tmpfs \"$0\" && exec \"$@\"";

/// Makes writing past a limit of file size an error, not a signal.
const WITHOUT_SIGNAL: &str = "trap '' XFSZ; exec \"$@\"";

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

/// Waits until everything is settled; returns how many attempts are in the store.
#[track_caller]
fn check_ledger(server: &Server) -> u64 {
    let page = server.at_rest();
    let (stored, lost) = (page.sum("embargo_journal_stored_total"), page.sum("embargo_journal_lost_total"));
    assert_eq!(stored + lost, ASKED + 1);
    let writable = || server.metrics().sum("embargo_journal_writable") == 1;
    until("the store is seen to be writable", SOON, || writable().then_some(()));
    stored
}

/// Whether this machine lets us mount a disk that nobody else sees.
fn can_mount() -> bool {
    let mount = ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    Command::new("unshare").args(mount).status().is_ok_and(|status| status.success())
}

#[test]
fn a_read_only_state_directory_at_the_start_stops_no_query() {
    if !can_mount() {
        not_tested("a read-only disk: this machine lets nobody mount one");
        return;
    }
    let unbound = Unbound::start();
    let setup = Setup::new(&[unbound.address]);
    let state = setup.state().to_owned();
    fs::create_dir_all(&state).unwrap();
    let server = setup.around(&["unshare", "-m", "sh", "-c", ON_READ_ONLY_DISK, state.to_str().unwrap()]).start();

    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    assert_eq!(ask(server.dns, "plain.test", A).unwrap(), NOERROR);
    let (status, text) = http_get(server.admin, "/readyz?verbose").unwrap();
    assert!(status == 200 && text.contains("[!]journal"), "{text}");
    let log = server.log();
    assert!(log.contains("The state directory can't be written"), "{log}");
}

#[test]
fn a_full_disk_stops_no_query_and_the_loss_is_exact() {
    if !can_mount() {
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

    let stored = check_ledger(&server);
    // Only from where the server is can its disk be seen.
    let program = binary();
    let words = ["-t", &process.to_string(), "-m", program.to_str().unwrap(), "attempts", "--json", "--state-dir"];
    let rows = printed("nsenter", words.iter().copied().chain([state.to_str().unwrap()]));
    let rows = serde_json::from_str(&rows).unwrap();
    assert_eq!(count(&rows, &[]), stored, "what is not in the store is exactly what was counted as lost");
}

#[test]
fn files_that_cannot_grow_stop_no_query_and_the_loss_is_exact() {
    let unbound = Unbound::start();
    let setup = Setup::new(&[unbound.address]).setting("journal", "rows_in_memory_max = 1000");
    let mut server = setup.around(&["sh", "-c", WITHOUT_SIGNAL, "sh"]).start();
    ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap();
    server.at_rest();
    let process = server.running().child.id().to_string();
    let limit = |bytes: &str| drop(printed("prlimit", ["--pid", &process, &format!("--fsize={bytes}:unlimited")]));
    let length = |name: &str| fs::metadata(server.state.join(name)).unwrap().len();

    limit(&length("embargo.db").max(length("embargo.db-wal")).to_string());
    ask_banned(&server);
    check_goes_on(&server);
    limit("unlimited");

    let stored = check_ledger(&server);
    let attempts = server.json(&["attempts"]);
    assert_eq!(count(&attempts, &[]), stored, "what is not in the store is exactly what was counted as lost");

    // It ends while nothing can be written: now there is a loss, and the log says how much.
    // Less than the files have, since SQLite writes over what it needs no more; enough for the log.
    limit("16384");
    ask_banned(&server);
    assert_eq!(server.stop().code(), Some(0));
    let log = server.log();
    let lost = log.lines().find(|line| line.contains("lost")).and_then(|line| line.split("attempts=").nth(1));
    let lost: u64 = lost.map_or(0, |rest| rest.split(' ').next().unwrap().parse().unwrap());
    let kept = count(&server.json(&["attempts"]), &[]) - stored;
    assert!(lost > 0 && kept + lost == ASKED, "{kept} kept and {lost} lost of {ASKED}: {log}");
}
