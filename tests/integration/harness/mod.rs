//! A whole server in the test's process, on loopback and free ports, with its files in a directory that vanishes.
//!
//! ```text
//! let server = TestServer::new().ban("kaspersky", "geo.example").upstream(&upstream).start().await;
//! let response = server.query("a.geo.example", A).await;
//! ```

mod guarded;
mod question;
mod response;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use embargo::app::{BlockPagePlaces, Endpoint, Server, control};
use embargo::clock::Clock;
use embargo::config::{self, Args, Environment};
use embargo::journal::{AttemptRow, ClientRow, Filter, Store};
use embargo::metrics::Metrics;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::upstream_fake::FakeUpstream;

pub(crate) use guarded::Guarded;
pub(crate) use question::Question;
pub(crate) use response::{Response, Row};

/// Looks at the page of metrics for a query to end.
const LOOKS: usize = 30;
/// Longer than any answer may take; only a fault lets a test wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server to be.
pub(crate) struct TestServer {
    directory: TempDir,
    upstreams: Vec<SocketAddr>,
    settings: String,
    resolv_conf: Vec<PathBuf>,
    clock: Clock,
}

impl TestServer {
    /// Without upstreams, and with one ban that no test asks for.
    pub(crate) fn new() -> Self {
        Self::after(tempfile::tempdir().unwrap())
    }

    /// The same with the files that another server has left.
    pub(crate) fn after(directory: TempDir) -> Self {
        // A server without any ban does not start; this one is in nobody's way.
        write_ban(directory.path(), "unrelated", "", "unrelated.test\n");
        Self {
            directory,
            upstreams: Vec::new(),
            settings: String::new(),
            resolv_conf: Vec::new(),
            clock: Clock::system(),
        }
    }

    /// Tells the time by this clock.
    pub(crate) fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Enforces `rules` (lines of a rule file) as a ban.
    pub(crate) fn ban(self, id: &str, rules: &str) -> Self {
        self.ban_with(id, "", rules)
    }

    /// The same with further lines in its `ban.toml`.
    pub(crate) fn ban_with(self, id: &str, declared: &str, rules: &str) -> Self {
        write_ban(self.directory.path(), id, declared, rules);
        self
    }

    /// Forwards to this upstream, after those named before.
    pub(crate) fn upstream(mut self, upstream: &FakeUpstream) -> Self {
        self.upstreams.push(upstream.address());
        self
    }

    /// Finds the servers of the system in this file.
    pub(crate) fn resolv_conf(mut self, path: &Path) -> Self {
        self.resolv_conf.push(path.to_path_buf());
        self
    }

    /// Adds lines to the configuration.
    pub(crate) fn setting(mut self, lines: &str) -> Self {
        writeln!(self.settings, "{lines}").unwrap();
        self
    }

    /// Starts it.
    pub(crate) async fn start(self) -> RunningServer {
        let root = self.directory.path();
        let config = root.join("embargo.toml");
        write_settings(root, &self.settings);
        let mut upstream: Vec<String> = self.upstreams.iter().map(ToString::to_string).collect();
        if upstream.is_empty() && !self.settings.contains("servers = ") {
            // Nobody is asked, and the servers of this machine are nobody's business here.
            upstream.push("192.0.2.53".to_owned());
        }
        let args = Args {
            config: Some(config),
            listen: vec!["127.0.0.1:0".to_owned()],
            admin: Some("127.0.0.1:0".to_owned()),
            upstream,
            state_dir: Some(root.join("state")),
            ..Args::default()
        };
        // The servers of this machine are nobody's business here; whoever asks for `system` is given one that nobody reaches.
        let mut resolv_conf = self.resolv_conf;
        if resolv_conf.is_empty() {
            resolv_conf.push(root.join("resolv.conf"));
            std::fs::write(&resolv_conf[0], "nameserver 192.0.2.53\n").unwrap();
        }
        let environment = Environment { resolv_conf, ..Environment::default() };
        let loaded = config::load(&args, &environment).unwrap();
        let prepared = Server::prepare_by(self.clock, args, loaded, Arc::new(Metrics::new()));
        let server = prepared.unwrap().with_verbs(embargo::cli::verbs()).start().await.unwrap();
        RunningServer { server, directory: self.directory }
    }
}

fn write_settings(root: &Path, lines: &str) {
    std::fs::write(root.join("embargo.toml"), format!("blocklists = \"blocklists\"\n{lines}\n")).unwrap();
}

fn write_ban(root: &Path, id: &str, declared: &str, rules: &str) {
    let folder = root.join("blocklists").join(id);
    std::fs::create_dir_all(&folder).unwrap();
    let own = |key: &str, value: &str| {
        let is_declared = declared.lines().any(|line| line.starts_with(&format!("{key} = ")));
        if is_declared { String::new() } else { format!("{key} = \"{value}\"\n") }
    };
    let (title, vendor) = (own("title", id), own("vendor", "Example"));
    let ban = format!("version = 1\nid = \"{id}\"\n{title}{vendor}lists = [\"rules.txt\"]\n{declared}");
    std::fs::write(folder.join("ban.toml"), ban).unwrap();
    std::fs::write(folder.join("rules.txt"), rules).unwrap();
}

/// A server that runs.
pub(crate) struct RunningServer {
    server: Server,
    directory: TempDir,
}

impl RunningServer {
    /// Where it serves DNS.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.listen()[0]
    }

    /// Where it serves DNS otherwise than in clear.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        self.server.endpoints()
    }

    /// Where its block page is.
    pub(crate) fn block_page(&self) -> &BlockPagePlaces {
        self.server.block_page()
    }

    /// Reads its files again.
    pub(crate) async fn reload(&self) {
        self.server.reload("test").await;
    }

    /// Its state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Asks over UDP with RD.
    pub(crate) async fn query(&self, name: &str, qtype: u16) -> Response {
        self.ask(&Question::new(name, qtype)).await
    }

    /// Asks as the question says, over UDP or TCP.
    pub(crate) async fn ask(&self, question: &Question) -> Response {
        let answer =
            if question.over_tcp { self.tcp(&question.octets()).await } else { self.udp(&question.octets()).await };
        Response::read(answer)
    }

    /// Sends one datagram and waits for one.
    pub(crate) async fn udp(&self, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address()).await.unwrap();
        socket.send(message).await.unwrap();
        receive(&socket).await
    }

    /// Sends a datagram that gets no response, which is known when a later one has its response first.
    pub(crate) async fn udp_silence(&self, message: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address()).await.unwrap();
        socket.send(message).await.unwrap();
        // An unknown opcode is answered at once, whatever the bans are.
        let marker = [0xFA, 0xCE, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        socket.send(&marker).await.unwrap();
        assert_eq!(receive(&socket).await[..2], marker[..2], "the message before was answered");
    }

    /// Sends one framed message on a connection of its own and reads one.
    pub(crate) async fn tcp(&self, message: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        write_frame(&mut stream, message).await;
        read_frame(&mut stream).await.unwrap()
    }

    /// The page that Prometheus scrapes. A response is counted once the kernel has it, so its client may be here before its
    /// counter: the page is looked at again while something is open, for a while, since some tests leave queries open.
    pub(crate) async fn metrics(&self) -> String {
        let mut page = self.http("/metrics").await.1;
        for _again in 0..LOOKS {
            let ended = sum(&page, "dns_responses_total", &[]) + sum(&page, "dns_dropped_total", &[]);
            if sum(&page, "dns_requests_total", &[]) == ended {
                break;
            }
            page = self.http("/metrics").await.1;
        }
        page
    }

    /// One value of the page: the sum over every series of this name (without `embargo_`) that has these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        sum(&self.metrics().await, name, labels)
    }

    /// Where its admin pages are.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.server.admin().unwrap()
    }

    /// Status code and body of an admin page.
    pub(crate) async fn http(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// What the record holds.
    pub(crate) async fn attempts(&self) -> Vec<AttemptRow> {
        self.control(control::Request::Flush).await;
        Store::open_read_only(&self.state_dir()).unwrap().attempts(&Filter::default()).unwrap()
    }

    /// Who is in the record.
    pub(crate) async fn clients(&self) -> Vec<ClientRow> {
        self.control(control::Request::Flush).await;
        Store::open_read_only(&self.state_dir()).unwrap().clients(&Filter::default()).unwrap()
    }

    /// Asks over the control socket.
    pub(crate) async fn control(&self, request: control::Request) -> serde_json::Value {
        let state_dir = self.state_dir();
        tokio::task::spawn_blocking(move || control::ask(&state_dir, &request, PATIENCE).unwrap()).await.unwrap()
    }

    /// Writes a ban's files anew and reloads.
    pub(crate) async fn change_ban(&self, id: &str, declared: &str, rules: &str) {
        write_ban(self.directory.path(), id, declared, rules);
        self.server.reload("test").await;
    }

    /// Writes the configuration anew, in place of every line given before, and reloads.
    pub(crate) async fn change_settings(&self, lines: &str) {
        write_settings(self.directory.path(), lines);
        self.server.reload("test").await;
    }

    /// Returns when configuration, lists or the hosts file have changed on disk.
    pub(crate) async fn files_changed(&self) {
        self.server.files_changed().await;
    }

    /// Reads what has changed on disk and has come to rest.
    pub(crate) async fn follow_files(&self) {
        self.server.follow_files().await;
    }

    /// Returns when a lease file has changed.
    pub(crate) async fn leases_changed(&self) {
        self.server.leases_changed().await;
    }

    /// Learns who holds which address once a lease file has changed.
    pub(crate) async fn follow_leases(&self) {
        tokio::time::timeout(3 * PATIENCE, self.server.leases_changed()).await.expect("a change");
        self.server.follow_leases().await;
    }

    /// Follows the next change of the system's list of its servers.
    pub(crate) async fn follow_network(&self) {
        tokio::time::timeout(3 * PATIENCE, self.server.network_changed()).await.expect("a change");
        self.server.follow_network().await;
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> TempDir {
        self.server.stop().await;
        self.directory
    }
}

/// The next datagram.
pub(crate) async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let size = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("a response").unwrap();
    buffer.truncate(size);
    buffer
}

/// Sends a message with its length in front.
pub(crate) async fn write_frame(stream: &mut TcpStream, message: &[u8]) {
    let mut octets = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(message);
    stream.write_all(&octets).await.unwrap();
}

/// The next message; `None`: the server has closed.
pub(crate) async fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let mut size = [0; 2];
        stream.read_exact(&mut size).await.ok()?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("a frame or the end")
}

/// The sum over every series of a metrics page with this name and these labels.
pub(crate) fn sum(page: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let fits = |line: &&str| {
        let series = line.strip_prefix("embargo_").and_then(|line| line.strip_prefix(name));
        let named = series.is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '));
        named && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    let values = page.lines().filter(fits).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters of a test are small")]
    {
        values.sum::<f64>() as u64
    }
}
