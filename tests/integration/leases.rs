//! Who asked, by the lease that was in force then.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use embargo::wire::{qtype, rcode};
use tokio::net::UdpSocket;

use crate::harness::{Question, Response, RunningServer, TestServer, receive};
use crate::upstream_fake::FakeUpstream;

const CLIENT: [u8; 4] = [127, 0, 1, 7];

async fn try_it(server: &RunningServer) {
    let socket = UdpSocket::bind(SocketAddr::new(IpAddr::from(CLIENT), 0)).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    socket.send(&Question::new("x.a.example", qtype::A).octets()).await.unwrap();
    assert_eq!(Response::read(receive(&socket).await).rcode(), rcode::NXDOMAIN);
}

fn settings(file: &Path) -> String {
    format!("[[leases]]\nfile = \"{}\"\nformat = \"dnsmasq\"\n", file.display())
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
    let upstream = FakeUpstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dnsmasq.leases");
    lease(&file, "52:54:00:00:00:0a");
    let settings = settings(&file);
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(&settings).start().await;
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
async fn a_lease_file_that_can_not_be_read_changes_nothing_and_dns_goes_on() {
    let upstream = FakeUpstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dnsmasq.leases");
    lease(&file, "52:54:00:00:00:0a");
    let settings = settings(&file);
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(&settings).start().await;
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("x"), "").unwrap();
    server.follow_leases().await;
    try_it(&server).await;
    assert_eq!(devices(&server).await, [Some("mac:52:54:00:00:00:0a".to_owned())]);
}
