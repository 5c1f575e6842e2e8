//! What a process that is killed under load leaves behind.
//!
//! Two things are promised, however busy the machine is. What `embargo_journal_stored_total` had counted is in the store.
//! And so is every lookup that was answered before `embargo_journal_last_commit_timestamp_seconds`, as long as its rows
//! were no more than one commit takes. The writer begins to write once a second and yields to those who answer, so a kill takes a
//! second and what the commit takes: more where other programs want the processor too. By how much is printed, not judged.
//!
//! ```text
//! EMBARGO_KILLS=200 EMBARGO_BINARY=target/release/embargo cargo test --test system -- --nocapture killed::
//! ```

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::client::{A, NXDOMAIN, next_id, query, rcode};
use super::figures::count;
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Clients that ask as fast as they are answered.
const CLIENTS: u8 = 4;
/// Names that each of them asks for: more than are kept apart.
const NAMES: usize = 100;

/// What one client did until its server was gone.
struct Asked {
    client: Ipv4Addr,
    sent: u64,
    /// When each answer came.
    answered: Vec<SystemTime>,
}

impl Asked {
    /// Asks one question after the other.
    fn until(stop: &AtomicBool, client: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.connect(server).unwrap();
        // So long only when the server is gone: an answer that comes later still does not count as one.
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut asked = Self { client, sent: 0, answered: Vec::new() };
        let mut buffer = [0; 4096];
        while !stop.load(Ordering::Relaxed) {
            let first = format!("n{}", asked.answered.len() % NAMES);
            let message = query(next_id(), &[first.as_bytes(), b"upd", b"kaspersky", b"com"], A);
            asked.sent += 1;
            let answer = socket.send(&message).and_then(|_octets| socket.recv(&mut buffer));
            if answer.is_ok() && buffer[..2] == message[..2] && rcode(&buffer) == NXDOMAIN {
                asked.answered.push(SystemTime::now());
            }
        }
        asked
    }

    fn before(&self, moment: SystemTime) -> u64 {
        self.answered.iter().filter(|at| **at < moment).count() as u64
    }
}

/// The clients, until they are told to stop.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Asked>>,
}

impl Crowd {
    fn of(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let theirs = Arc::clone(&stop);
            thread::spawn(move || Asked::until(&theirs, Ipv4Addr::new(127, 0, 0, 10 + number), server))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), stop }
    }

    fn end(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

/// What the metrics page promised at the last look.
#[derive(Clone, Copy, Debug)]
struct Promised {
    stored: u64,
    committed: SystemTime,
}

impl Promised {
    fn by(server: &Server) -> Self {
        let page = server.metrics();
        let committed =
            Duration::try_from_secs_f64(page.value("embargo_journal_last_commit_timestamp_seconds")).unwrap();
        // The page does not say it to the nanosecond.
        let committed = SystemTime::UNIX_EPOCH + committed.saturating_sub(Duration::from_millis(1));
        Self { stored: page.sum("embargo_journal_stored_total"), committed }
    }
}

/// How many lookups of each client are in the store.
fn kept(server: &Server) -> Vec<u64> {
    let attempts = server.json(&["attempts"]);
    let of = |number| count(&attempts, &[("client", &Ipv4Addr::new(127, 0, 0, 10 + number).to_string())]);
    (0..CLIENTS).map(of).collect()
}

/// Lets the clients ask for a while, kills the server, and holds what is left to what was promised. By how much of the time
/// before the kill something is missing.
fn round(server: &mut Server) -> Duration {
    let before = kept(server);
    let crowd = Crowd::of(server.dns);
    // Not in step with the commits.
    let moment = SystemTime::now() + Duration::from_millis(1_000 + rand::random::<u64>() % 2_000);
    let mut promised = Promised::by(server);
    while SystemTime::now() < moment {
        // Seldom enough that the looks themselves do not keep the server from its commits.
        thread::sleep(Duration::from_millis(50));
        promised = Promised::by(server);
    }
    let killed = SystemTime::now();
    server.kill();
    let all = crowd.end();

    let kept: Vec<u64> = kept(server).into_iter().zip(before).map(|(now, before)| now - before).collect();
    let mut missing = Duration::ZERO;
    for (asked, &kept) in all.iter().zip(&kept) {
        let (client, in_time) = (asked.client, asked.before(promised.committed));
        assert!(kept >= in_time, "{client}: {kept} kept, {in_time} answered before the last commit: {promised:?}");
        assert!(kept <= asked.sent, "{client}: {kept} kept, {} sent", asked.sent);
        if let Some(first) = asked.answered.get(usize::try_from(kept).unwrap()) {
            missing = missing.max(killed.duration_since(*first).unwrap_or_default());
        }
    }
    let in_all = kept.iter().sum::<u64>();
    assert!(in_all >= promised.stored, "{in_all} kept: {promised:?}");
    let store = rusqlite::Connection::open(server.state.join("embargo.db")).unwrap();
    let found: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    missing
}

#[test]
fn what_was_said_to_be_stored_outlives_kills_at_any_moment_and_nothing_is_made_up() {
    let unbound = Unbound::start();
    // A disk in memory: how long a real one takes to say that it has written is not what is tested.
    let memory = TempDir::new_in("/dev/shm").unwrap();
    let mut server = Setup::new(&[unbound.address]).state_in(memory.path()).start();
    let rounds = std::env::var("EMBARGO_KILLS").map_or(10, |rounds| rounds.parse::<usize>().unwrap());

    let mut missing = Vec::new();
    for number in 0..rounds {
        missing.push(round(&mut server));
        eprintln!("kill {number}: {:?} before it are missing", missing[number]);
        server.restart();
    }

    missing.sort_unstable();
    eprintln!("{rounds} kills: {:?} are missing at the median, {:?} at most", missing[rounds / 2], missing[rounds - 1]);
    assert_eq!(kept(&server).len(), usize::from(CLIENTS));
}
