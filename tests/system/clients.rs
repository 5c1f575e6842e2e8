//! Other clients than dig: each finds what is there and is told of what is banned.

use std::fs;
use std::net::TcpStream;
use std::time::Instant;

use tempfile::TempDir;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::dnsperf::Load;
use super::process::{SOON, run, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

const BANNED: &str = "downloads.upd.kaspersky.com";

fn port(server: &Server) -> String {
    server.dns.port().to_string()
}

/// What a program says, well or not.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn drill_finds_and_is_told_over_udp_and_tcp() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    for transport in ["-u", "-t"] {
        let found = said("drill", &[transport, "-p", &port(&server), "@127.0.0.1", "plain.test", "A"]);
        assert!(found.contains("rcode: NOERROR") && found.contains("192.0.2.10"), "{transport}: {found}");
        let told = said("drill", &[transport, "-p", &port(&server), "@127.0.0.1", BANNED, "HTTPS"]);
        assert!(told.contains("rcode: NXDOMAIN") && told.contains("SOA"), "{transport}: {told}");
    }
}

#[test]
fn delv_validates_through_the_server_and_finds_a_forged_record() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let directory = TempDir::new().unwrap();
    let anchors = directory.path().join("anchors");
    fs::write(&anchors, unbound.anchors_for_bind()).unwrap();
    let (port, anchors) = (port(&server), anchors.to_str().unwrap().to_owned());
    let delv = |zone: &str, name: &str| {
        let root = format!("+root={zone}");
        said("delv", &["@127.0.0.1", "-p", &port, "-a", &anchors, &root, name, "A"])
    };
    let good = delv("signed.test", "www.signed.test");
    assert!(good.contains("; fully validated") && good.contains("192.0.2.20"), "{good}");
    let forged = delv("bogus.test", "www.bogus.test");
    assert!(!forged.contains("; fully validated") && forged.contains("resolution failed"), "{forged}");
}

#[test]
fn with_64_open_files_and_200_connections_datagrams_are_answered_and_connections_again_once_those_are_gone() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).around(&["prlimit", "--nofile=64:64"]).start();
    let held: Vec<TcpStream> = (0..200).map(|_nth| TcpStream::connect(server.dns).unwrap()).collect();
    for number in 0..50 {
        assert_eq!(ask(server.dns, &format!("n{number}.many.test"), A).unwrap(), NOERROR);
        assert_eq!(ask(server.dns, &format!("n{number}.upd.kaspersky.com"), A).unwrap(), NXDOMAIN);
    }
    let (before, began) = (server.running().processor_ticks(), Instant::now());
    until("a second has passed", SOON, || (began.elapsed().as_secs() >= 1).then_some(()));
    let spent = server.running().processor_ticks() - before;
    assert!(spent < 50, "{spent} hundredths of a second of processor time while nobody asks");

    drop(held);
    let over_tcp = || said("dig", &["+tcp", "+short", "-p", &port(&server), "@127.0.0.1", "plain.test"]);
    until("connections are served again", SOON, || over_tcp().contains("192.0.2.10").then_some(()));
}

#[test]
fn a_storm_of_hangups_costs_no_query_and_the_last_edit_is_in_force() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    let questions: Vec<String> = (0..200).map(|number| format!("n{number}.many.test A")).collect();
    let load = Load::start(server.dns, &questions, 6, 2_000);
    for _hangup in 0..200 {
        server.running().signal("HUP");
    }
    let rules = server.list("kaspersky/rules.txt");
    fs::write(&rules, fs::read_to_string(&rules).unwrap() + "last.test\n").unwrap();
    server.running().signal("HUP");
    until("the last edit", SOON, || (ask(server.dns, "x.last.test", A).ok()? == NXDOMAIN).then_some(()));
    let report = load.report();
    assert_eq!((report.lost, report.completed), (0, report.sent), "{report:?}");
    assert_eq!(server.metrics().sum("embargo_config_last_reload_successful"), 1);
}
