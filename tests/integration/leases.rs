//! Who asked, by the lease that was in force then.

use std::path::Path;
use std::time::Duration;

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::whom::ask_from;

const CLIENT: [u8; 4] = [127, 0, 1, 7];

async fn try_it(server: &RunningServer) {
    let answer = ask_from(server, CLIENT, &Question::new("x.a.example", qtype::A)).await;
    assert_eq!(answer.rcode(), rcode::NXDOMAIN);
}

/// A server that follows the file; what it is asked is banned, so that no upstream is needed.
async fn following(file: &Path) -> RunningServer {
    let upstream = FakeUpstream::start().await;
    let settings = format!("[[leases]]\nfile = \"{}\"\nformat = \"dnsmasq\"\n", file.display());
    TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(&settings).start().await
}

/// Replaces the file as dnsmasq does not, by renaming, and has it say that a device holds the address.
fn lease(file: &Path, mac: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("0 {mac} 127.0.1.7 pc *\n")).unwrap();
    std::fs::rename(beside, file).unwrap();
}

/// The devices of the attempts, sorted.
async fn devices(server: &RunningServer) -> Vec<Option<String>> {
    let mut devices: Vec<_> = server.attempts().await.into_iter().map(|row| row.device).collect();
    devices.sort();
    devices
}

#[tokio::test]
async fn an_attempt_names_the_device_that_held_the_address_when_it_was_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dnsmasq.leases");
    lease(&file, "52:54:00:00:00:0a");
    let server = following(&file).await;
    try_it(&server).await;
    assert_eq!(devices(&server).await, [Some("mac:52:54:00:00:00:0a".to_owned())]);

    // The attempts of the first stay its own when another takes the address.
    lease(&file, "52:54:00:00:00:0b");
    server.follow_leases().await;
    try_it(&server).await;
    std::fs::write(&file, "").unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    let expected = [None, Some("mac:52:54:00:00:00:0a".to_owned()), Some("mac:52:54:00:00:00:0b".to_owned())];
    assert_eq!(devices(&server).await, expected);
}

#[tokio::test]
async fn a_lease_file_that_is_written_anew_is_waited_for_and_one_that_was_cut_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dnsmasq.leases");
    let whole = "0 52:54:00:00:00:0c 127.0.1.9 pc *\n0 52:54:00:00:00:0a 127.0.1.7 pc *\n";
    std::fs::write(&file, whole).unwrap();
    let server = following(&file).await;
    let one = Some("mac:52:54:00:00:00:0a".to_owned());
    try_it(&server).await;

    // Emptied, and written again after longer than any notice takes.
    std::fs::write(&file, "").unwrap();
    let waited_for = tokio::time::timeout(Duration::from_secs(1), server.leases_changed()).await;
    assert!(waited_for.is_err(), "it may be written again");
    std::fs::write(&file, whole).unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    // Cut for good, as by a full disk.
    std::fs::write(&file, whole.split_at(whole.len() - 10).0).unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    assert_eq!(devices(&server).await, std::slice::from_ref(&one));
    // Given back.
    std::fs::write(&file, "0 52:54:00:00:00:0c 127.0.1.9 pc *\n").unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    assert_eq!(devices(&server).await, [None, one]);
}

#[tokio::test]
async fn a_lease_file_that_can_not_be_read_changes_nothing_and_dns_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dnsmasq.leases");
    lease(&file, "52:54:00:00:00:0a");
    let server = following(&file).await;
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("x"), "").unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    assert_eq!(devices(&server).await, [Some("mac:52:54:00:00:00:0a".to_owned())]);
}
