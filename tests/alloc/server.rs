//! A whole server on loopback with one reading thread, a client that asks it, and an upstream that knows every name.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use embargo::app::{self, control};
use embargo::config::{self, Args, Environment};
use embargo::metrics::Metrics;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const A: u16 = 1;
pub(crate) const HTTPS: u16 = 65;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is banned.
pub(crate) const RULES: &str = "geo.example telemetry installed nxdomain\nnodata.example update installed nodata\n\
                                sink.example update installed sinkhole\nrefuse.example a visit refuse\n\
                                drop.example a installed drop\nseen.example a visit observe\n";
/// The same where every answer of the upstream leads to a network that is watched, and one client may not ask.
pub(crate) const NETWORKS: &str = "answer:192.0.2.0/24 hosting ambiguous observe\nanswer:198.51.100.0/24\n\
                                   answer:2001:db8::/32\nclient:198.51.100.0/24\n";

/// One test at a time: a thread's name is all that tells its server from another test's.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server that runs, and its client.
pub(crate) struct Server {
    running: Option<app::Server>,
    runtime: Runtime,
    client: UdpSocket,
    upstream: Upstream,
    directory: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::enforcing(RULES)
    }

    pub(crate) fn enforcing(rules: &str) -> Self {
        let alone = alone();
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("blocklists/v");
        std::fs::create_dir_all(&folder).unwrap();
        let ban = "version = 1\nid = \"v\"\ntitle = \"v\"\nvendor = \"Example\"\nlists = [\"rules.txt\"]\n\
                   sinkhole = [\"192.0.2.80\", \"2001:db8::80\"]\n";
        std::fs::write(folder.join("ban.toml"), ban).unwrap();
        std::fs::write(folder.join("rules.txt"), rules).unwrap();
        let config = directory.path().join("embargo.toml");
        std::fs::write(&config, "blocklists = \"blocklists\"\nworkers = 1\n").unwrap();
        let upstream = Upstream::start();
        let args = Args {
            config: Some(config),
            listen: vec!["127.0.0.1:0".to_owned()],
            admin: Some("off".to_owned()),
            upstream: vec![upstream.address.to_string()],
            state_dir: Some(directory.path().join("state")),
            ..Args::default()
        };
        let loaded = config::load(&args, &Environment::default()).unwrap();
        assert_eq!(loaded.settings.workers, Some(NonZeroUsize::MIN));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let metrics = Arc::new(Metrics::new());
        let start = async { app::Server::prepare(args, loaded, metrics).unwrap().start().await.unwrap() };
        let server = runtime.block_on(start);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.listen()[0]).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { running: Some(server), runtime, client, upstream, directory, _alone: alone }
    }

    /// Sends a query and waits for its answer.
    pub(crate) fn answered(&self, message: &[u8]) {
        self.client.send(message).unwrap();
        let answer = self.receive();
        assert_eq!(answer[..2], message[..2]);
    }

    /// Sends a query and waits for nothing.
    pub(crate) fn send(&self, message: &[u8]) {
        self.client.send(message).unwrap();
    }

    /// Sends many queries, then reads their answers.
    pub(crate) fn burst(&self, messages: &[Vec<u8>]) {
        for message in messages {
            self.client.send(message).unwrap();
        }
        for _answer in messages {
            self.receive();
        }
    }

    fn receive(&self) -> [u8; 12] {
        let mut answer = [0; 1500];
        let size = self.client.recv(&mut answer).expect("an answer");
        assert!(size >= 12 && answer[2] & 0x80 != 0);
        *answer.first_chunk().unwrap()
    }

    /// How many queries the upstream has had.
    pub(crate) fn asked_upstream(&self) -> usize {
        self.upstream.asked.load(Ordering::Relaxed)
    }

    /// Returns when everything recorded is in the store.
    pub(crate) fn flush(&self) {
        control::ask(&self.directory.path().join("state"), &control::Request::Flush, PATIENCE).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.running.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// Answers every query with one address, on a thread called `upstream`.
struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (asked, stop) = (Arc::default(), Arc::default());
        let (count, ended) = (Arc::clone(&asked), Arc::clone(&stop));
        let answer = move || answer_all(&socket, &count, &ended);
        let thread = std::thread::Builder::new().name("upstream".to_owned()).spawn(answer).unwrap();
        Self { address, asked, stop, thread: Some(thread) }
    }
}

fn answer_all(socket: &UdpSocket, asked: &AtomicUsize, stop: &AtomicBool) {
    let mut message = [0; 1500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((size, from)) = socket.recv_from(&mut message) else { continue };
        asked.fetch_add(1, Ordering::Relaxed);
        let name = message[12..size].iter().position(|octet| *octet == 0).unwrap();
        let mut answer = message[..12 + name + 5].to_vec();
        (answer[2], answer[3]) = (0x81, 0x80);
        answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        answer.extend(*b"\xC0\x0C\0\x01\0\x01\0\0\x0E\x10\0\x04\xC0\0\x02\x01");
        socket.send_to(&answer, from).unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
    }
}

/// A query with RD, and EDNS with DO and this payload.
pub(crate) fn query(name: &str, qtype: u16, edns: Option<u16>) -> Vec<u8> {
    let mut message = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([qtype.to_be_bytes(), [0, 1]].concat());
    if let Some(payload) = edns {
        message.extend([0, 0, 41]);
        message.extend(payload.to_be_bytes());
        message.extend([0, 0, 0x80, 0, 0, 0]);
    }
    message
}
