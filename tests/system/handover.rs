//! A new process in the place of a running one: no query is lost, and every attempt is in the record once.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::client::{A, NOERROR, NXDOMAIN, ask, next_id, query, rcode};
use super::dnsperf::{Load, Report};
use super::figures::count;
use super::process::{SOON, free_address, until};
use super::server::{Server, Setup, binary};
use super::unbound::Unbound;

/// Names that exist, names that are banned, and one in twenty that nobody has asked for yet.
fn questions() -> Vec<String> {
    let open = (0..300).map(|number| format!("n{number}.many.test A"));
    let banned = (0..100).map(|number| format!("n{number}.upd.kaspersky.com A"));
    open.chain(banned).collect()
}

fn pid(server: &Server) -> u64 {
    server.json(&["status"])["pid"].as_u64().unwrap()
}

fn nothing_lost(report: &Report) {
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(report.completed, report.sent, "{report:?}");
}

#[test]
fn through_five_hand_overs_under_load_no_query_is_lost_and_every_attempt_is_recorded_once() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    let mut udp = Load::start(server.dns, &questions(), 25, 6_000);
    let mut tcp = Load::start_over("tcp", server.dns, &questions(), 25, 4_000);

    for nth in 0..5 {
        let before = pid(&server);
        assert_eq!(server.take_over().code(), Some(0), "hand-over {nth}");
        assert_ne!(pid(&server), before, "hand-over {nth}");
    }
    assert!(udp.goes_on() && tcp.goes_on(), "the hand-overs were under load");
    let (udp, tcp) = (udp.report(), tcp.report());

    nothing_lost(&udp);
    nothing_lost(&tcp);
    assert!(server.stop().success());
    let blocked = udp.rcode("NXDOMAIN") + tcp.rcode("NXDOMAIN");
    assert!(blocked > 10_000, "{blocked}");
    assert_eq!(count(&server.json(&["attempts"]), &[]), blocked);
}

#[test]
fn a_connection_outlives_the_process_that_accepted_it_with_half_a_query_in_it() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    let mut stream = TcpStream::connect(server.dns).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let framed = |message: &[u8]| [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat();
    let (first, second) =
        (query(next_id(), &[b"one", b"many", b"test"], A), query(next_id(), &[b"two", b"many", b"test"], A));
    let (first, second) = (framed(&first), framed(&second));
    let answer = |stream: &mut TcpStream| {
        let mut size = [0; 2];
        stream.read_exact(&mut size).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut message).unwrap();
        message
    };
    stream.write_all(&first).unwrap();
    assert_eq!(answer(&mut stream)[..2], first[2..4]);

    for half in [1, second.len() / 2] {
        stream.write_all(&second[..half]).unwrap();
        assert_eq!(server.take_over().code(), Some(0));
        stream.write_all(&second[half..]).unwrap();
        assert_eq!(answer(&mut stream)[..2], second[2..4], "after {half} octets");
    }
    assert_eq!(server.metrics().sum_of("embargo_dns_dropped_total", &[]), 0);
}

#[test]
fn the_process_that_takes_over_knows_what_the_one_before_it_knew() {
    let mut unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    for number in 0..100 {
        assert_eq!(ask(server.dns, &format!("known{number}.many.test"), A).unwrap(), NOERROR);
    }

    assert_eq!(server.take_over().code(), Some(0));

    until("the newest answers are read", SOON, || {
        (server.metrics().sum("embargo_cache_restored_total") >= 100).then_some(())
    });
    unbound.kill();
    for number in 0..100 {
        assert_eq!(ask(server.dns, &format!("known{number}.many.test"), A).unwrap(), NOERROR, "{number}");
    }
    assert_eq!(server.metrics().sum_of("embargo_dns_responses_total", &[("outcome", "stale")]), 0);
}

#[test]
fn a_process_that_can_not_start_takes_nothing_over() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let before = pid(&server);
    let taken = TcpListener::bind(free_address()).unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let mut new = server.start_beside(&["--take-over", "--listen", &address]);

    assert_eq!(new.ended(SOON).code(), Some(3), "{}", new.log());
    assert!(new.log().contains(&format!("{address} is taken")), "{}", new.log());
    assert_eq!(pid(&server), before);
    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    let mut second = server.start_beside(&[]);
    assert_eq!(second.ended(SOON).code(), Some(3), "{}", second.log());
    assert!(second.log().contains("--take-over"), "the way out: {}", second.log());
}

#[test]
fn an_address_that_the_new_configuration_adds_is_bound_and_one_that_it_drops_is_closed() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    let added = free_address();

    let new = server.start_beside(&["--take-over", "--listen", &added.to_string()]);
    assert_eq!(server.running().ended(SOON).code(), Some(0));

    until("the new address answers", SOON, || (ask(added, "a.upd.kaspersky.com", A).ok()? == NXDOMAIN).then_some(()));
    assert!(TcpStream::connect(server.dns).is_err(), "nobody listens there any more");
    drop(new);
}

#[test]
fn to_take_over_where_no_server_runs_is_to_start() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    server.kill();
    let new = server.start_beside(&["--take-over"]);
    until("it answers", SOON, || (ask(server.dns, "a.upd.kaspersky.com", A).ok()? == NXDOMAIN).then_some(()));
    assert!(new.log().contains("none to take over from"), "{}", new.log());
}

/// Sockets that outlive the servers that read them, as systemd holds them.
struct SocketUnit {
    udp: UdpSocket,
    tcp: TcpListener,
    directory: TempDir,
}

impl SocketUnit {
    fn new(upstream: SocketAddr) -> Self {
        let address = free_address();
        let directory = TempDir::new().unwrap();
        let config = format!(
            "listen = [\"{address}\"]\nadmin = \"{}\"\nstate_dir = \"state\"\n\
             [local]\nspecial_use_off = [\"test\"]\n[upstream]\nservers = [\"{upstream}\"]\n",
            free_address()
        );
        fs::write(directory.path().join("embargo.toml"), config).unwrap();
        Self { udp: UdpSocket::bind(address).unwrap(), tcp: TcpListener::bind(address).unwrap(), directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a server on them. They are passed as its standard input and output, the only way that needs no `unsafe`.
    fn start(&self) -> Child {
        let script = format!(
            "exec 3<&0 4<&1 </dev/null >>log 2>&1; LISTEN_FDS=2 LISTEN_FDNAMES=dns:dns LISTEN_PID=$$ exec {} run --config embargo.toml",
            binary().display()
        );
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "sh", "-c", &script]).current_dir(self.path());
        command.env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::from(OwnedFd::from(self.udp.try_clone().unwrap())));
        command.stdout(Stdio::from(OwnedFd::from(self.tcp.try_clone().unwrap())));
        command.stderr(Stdio::null()).spawn().unwrap()
    }

    fn stop(&self, mut child: Child) {
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        let status = until("its end", SOON, || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", fs::read_to_string(self.path().join("log")).unwrap());
    }
}

#[test]
fn what_comes_between_two_servers_waits_in_sockets_that_somebody_holds() {
    let unbound = Unbound::start();
    let unit = SocketUnit::new(unbound.address);
    let address = unit.udp.local_addr().unwrap();
    let first = unit.start();
    until("it answers", SOON, || (ask(address, "a.upd.kaspersky.com", A).ok()? == NXDOMAIN).then_some(()));
    unit.stop(first);

    let client = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    client.connect(address).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    for number in 0..50 {
        let label = format!("n{number}");
        client.send(&query(next_id(), &[label.as_bytes(), b"upd", b"kaspersky", b"com"], A)).unwrap();
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let message = query(next_id(), &[b"tcp", b"upd", b"kaspersky", b"com"], A);
    stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()).unwrap();

    let second = unit.start();
    let mut octets = [0; 1500];
    for number in 0..50 {
        let size = client.recv(&mut octets).unwrap_or_else(|error| panic!("answer {number}: {error}"));
        assert!(size > 12 && rcode(&octets) == NXDOMAIN);
    }
    stream.read_exact(&mut octets[..4]).unwrap();
    assert_eq!(octets[2..4], message[..2]);
    unit.stop(second);
}

#[test]
fn restarts_under_load_on_held_sockets_lose_no_datagram() {
    let unbound = Unbound::start();
    let unit = SocketUnit::new(unbound.address);
    let address = unit.udp.local_addr().unwrap();
    let mut child = unit.start();
    until("it answers", SOON, || (ask(address, "a.upd.kaspersky.com", A).ok()? == NXDOMAIN).then_some(()));
    let mut load = Load::start(address, &questions(), 12, 5_000);
    for _restart in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        unit.stop(child);
        child = unit.start();
        until("it answers", SOON, || (ask(address, "a.upd.kaspersky.com", A).ok()? == NXDOMAIN).then_some(()));
    }
    assert!(load.goes_on(), "the restarts were under load");
    nothing_lost(&load.report());
    unit.stop(child);
}
