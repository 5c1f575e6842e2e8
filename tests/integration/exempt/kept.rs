//! Exemptions across restarts, hand-overs, deaths and damage.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use embargo::audit::{self, Audit, Event};
use embargo::clock::Clock;
use embargo::wire::{qtype, rcode};

use super::{FREED, NEITHER, ONE, Request, add, ask, clock, freed, rcodes, refused};
use crate::harness::{Question, Response, TestServer, receive};
use crate::upstream_fake::FakeUpstream;

#[tokio::test]
async fn an_exemption_outlives_a_restart_and_ends_at_its_time_and_does_not_come_back() {
    let (upstream, (clock, hands)) = (FakeUpstream::start().await, clock());
    let start = async |directory| {
        let server = TestServer::after(directory).clock(&clock).ban("vendor", "a.example").upstream(&upstream);
        server.start().await
    };
    let server = start(tempfile::tempdir().unwrap()).await;
    add(&server, freed()).await;
    hands.advance(Duration::from_secs(10));
    let server = start(server.stop().await).await;
    assert_eq!(rcodes(&server).await, ONE);
    hands.advance(Duration::from_secs(10));
    assert_eq!(rcodes(&server).await, NEITHER);

    let server = start(server.stop().await).await;
    let mut before = clock.now();
    before.wall = "2027-01-31T12:00:01Z".parse().unwrap();
    hands.set(before);
    assert_eq!(rcodes(&server).await, NEITHER, "the clock was set back");
    let server = start(server.stop().await).await;
    assert_eq!(rcodes(&server).await, NEITHER);
}

#[tokio::test]
async fn a_broken_chain_frees_nobody_and_dns_goes_on() {
    let upstream = FakeUpstream::start().await;
    let start =
        async |directory| TestServer::after(directory).ban("vendor", "a.example").upstream(&upstream).start().await;
    let server = start(tempfile::tempdir().unwrap()).await;
    add(&server, freed()).await;
    assert_eq!(server.metric("audit_intact", &[]).await, 1);
    let file = audit::path(&server.state_dir());
    let directory = server.stop().await;
    let text = fs::read_to_string(&file).unwrap().replace("127.0.0.2", "127.0.0.0/8");
    fs::write(&file, &text).unwrap();

    let server = start(directory).await;
    assert_eq!(rcodes(&server).await, NEITHER);
    assert_eq!(server.query("open.example", qtype::A).await.rcode(), rcode::NOERROR);
    assert_eq!((server.metric("audit_intact", &[]).await, server.metric("exemptions", &[]).await), (0, 0));
    refused(ask(&server, Request::ExemptAdd(Box::new(freed()))).await, "the audit log is damaged at entry 2");
    let listed = ask(&server, Request::ExemptList { all: true }).await.unwrap();
    assert_eq!(listed, serde_json::json!([]), "nothing behind the damage is told as if it were true");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is evidence");
}

#[tokio::test]
async fn what_another_process_grants_is_in_force_within_a_moment() {
    let upstream = FakeUpstream::start().await;
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).start().await;
    let other = Audit::new(&server.state_dir());
    let terms = audit::Written { endless: true, ..freed().terms };
    let now = Clock::system().now().wall;
    let id = other.grant(terms.try_into().unwrap(), None, 0, now).unwrap().number;
    let seen = async |expected| while rcodes(&server).await != expected {};
    tokio::time::timeout(Duration::from_secs(10), seen(ONE)).await.expect("the grant is seen");
    other.revoke(id, None, now).unwrap();
    tokio::time::timeout(Duration::from_secs(10), seen(NEITHER)).await.expect("the revocation is seen");
}

#[tokio::test]
async fn a_policy_that_comes_into_force_is_in_the_audit_with_the_modes_of_its_bans() {
    let server = TestServer::new().ban("vendor", "a.example").start().await;
    server.reload().await;
    server.change_settings("[ban.vendor]\nmode = \"observe\"").await;
    let mut noted = Vec::new();
    let reading = audit::read(&server.state_dir(), |entry, _hash| match &entry.event {
        Event::Reloaded(reloaded) => noted.push((reloaded.why.clone(), reloaded.modes["vendor"].clone())),
        other => panic!("{other:?}"),
    });
    let entry = |why: &str, mode: &str| (why.to_owned(), mode.to_owned());
    assert_eq!(noted, [entry("start", "enforce"), entry("test", "observe")], "what changes nothing is not noted");
    assert_eq!(reading.unwrap().damage, None);
}

#[tokio::test]
async fn whom_the_configuration_spares_is_in_the_audit_and_so_is_each_other_change_of_it() {
    let (clock, hands) = clock();
    let server = TestServer::new().clock(&clock).ban("vendor", "a.example").start().await;
    let told = || {
        let mut told = Vec::new();
        let reading = audit::read(&server.state_dir(), |entry, _hash| {
            told.push(match &entry.event {
                Event::Reloaded(reloaded) => format!("by {}", reloaded.configuration),
                Event::Configured(terms) => format!("configured for {}", terms.owner),
                Event::Unconfigured(number) => format!("unconfigured {number}"),
                Event::Expired(number) => format!("expired {number}"),
                other => panic!("{other:?}"),
            });
        });
        assert_eq!(reading.unwrap().damage, None);
        told
    };
    let groups = "[[group]]\nid = \"lab\"\nnetworks = [\"127.0.2.0/24\"]\n";
    let exemption = "[[exemption]]\nclients = [\"127.0.0.2\"]\nban = \"vendor\"\nuntil = 2027-01-31T12:00:10Z\n";
    let exemption = format!("{groups}{exemption}owner = \"soc\"\nreason = \"test\"\n");
    server.change_settings(&exemption).await;
    let configuration = Path::new(&server.state_dir()).parent().unwrap().join("embargo.toml");
    let digest = embargo::digest::hex_digest(&fs::read(configuration).unwrap());
    assert_eq!(told()[1..], [format!("by {digest}"), "configured for soc".to_owned()]);
    server.reload().await;
    assert_eq!(told().len(), 3, "what changes nothing is not noted");

    hands.advance(Duration::from_secs(10));
    let over = async || {
        while told().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), over()).await.expect("its end is noted");
    assert_eq!(told()[3], "expired 3");
    let term = "[[ban.vendor.for]]\ngroups = [\"lab\"]\nmode = \"off\"\n";
    server.change_settings(&format!("{groups}{term}")).await;
    assert_eq!((&*told()[5], told().len()), ("unconfigured 3", 6), "a term alone is noted too");
}

/// A process of its own, and where it serves DNS.
fn start(directory: &Path) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.arg("--config").arg(directory.join("embargo.toml")).arg("--state-dir").arg(directory.join("state"));
    let mut child = command.env_clear().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| line.trim().strip_prefix("dns")?.split_whitespace().next()?.parse().ok());
    lines.find(|line| line.starts_with("Try:")).unwrap();
    (child, address.unwrap())
}

#[tokio::test]
async fn a_process_that_is_killed_right_after_it_has_answered_has_lost_nothing() {
    let (upstream, directory) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let servers = format!("[upstream]\nservers = [\"{}\"]\n[[list]]\nfile = \"vendor.txt\"\n", upstream.address());
    let settings = format!("listen = [\"127.0.0.1:0\"]\nadmin = \"off\"\n{servers}");
    fs::write(directory.path().join("embargo.toml"), settings).unwrap();
    fs::write(directory.path().join("vendor.txt"), "a.example\n").unwrap();
    let rcode_at = async |address: SocketAddr| {
        let socket = tokio::net::UdpSocket::bind((std::net::IpAddr::from(FREED), 0)).await.unwrap();
        socket.connect(address).await.unwrap();
        socket.send(&Question::new("a.example", qtype::A).octets()).await.unwrap();
        Response::read(receive(&socket).await).rcode()
    };
    let (mut server, address) = start(directory.path());
    assert_eq!(rcode_at(address).await, rcode::NXDOMAIN);

    let mut add = Command::new(env!("CARGO_BIN_EXE_embargo"));
    add.args([
        "exempt",
        "add",
        "--client",
        "127.0.0.2",
        "--ban",
        "vendor",
        "--for",
        "1h",
        "--owner",
        "o",
        "--reason",
        "r",
    ]);
    let added = add.arg("--state-dir").arg(directory.path().join("state")).env_clear().output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(added.status.success(), "{added:?}");

    let (mut server, address) = start(directory.path());
    let found = rcode_at(address).await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(found, rcode::NOERROR);
}
