//! The listeners against the one handler: a datagram, and a frame of a stream, get the answer that the handler gives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use embargo::cache::{self, Cache, KeyRef, Lookup};
use embargo::clock::Clock;
use embargo::config::{self, Args, Environment};
use embargo::journal::{self, Journal};
use embargo::metrics::Metrics;
use embargo::serve::{
    Admission, Client, Embargo, Ending, Failure, Found, Guard, HopConfig, ListenConfig, Next, Running, Sockets,
    StreamConfig, start,
};
use embargo::time::{Mono, Now, Timestamp};
use embargo::wire::{
    Answer, Asked, CLASS_IN, Cookies, Extras, Layout, LowerName, Query, Response, Secret, Transport, Unfit, qtype,
    rcode,
};
use tokio::runtime::Runtime;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// An unknown opcode is answered at once, so an answer to this says that every datagram before it was read.
const MARKER: [u8; 12] = [0xFA, 0xCE, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A connection may be idle for longer than the option that tells it can say.
const IDLE: Duration = Duration::from_secs(86_400);
/// What server cookies are made with.
const SECRET: Secret = Secret(*b"sixteen octets..");
/// What is banned.
const RULES: &str = "geo.example telemetry installed\nsink.example update installed nodata\nno.example a none refuse\n\
                     drop.example a installed drop\nseen.example a visit observe\n";
/// What the cache knows.
const KNOWN: [&str; 3] = ["free.example", "seen.example", "a"];

/// Holds the property for one message.
pub(crate) fn check(octets: &[u8]) {
    static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| Mutex::new(Server::start()));
    if octets.len() > 65_000 || octets.starts_with(&MARKER[..2]) {
        return;
    }
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.over_udp(octets);
    server.over_tcp(octets);
}

/// Knows what the cache knows, and finds nothing else.
struct Known(Cache);

impl Next for Known {
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        self.0.get(&KeyRef::of(query), now.mono)
    }

    async fn ask(&self, _query: &Query<'_>, _client: &Client, _now: Now) -> Result<Found, Failure> {
        Err(Failure::Unreachable)
    }
}

/// Listeners, and the handler behind them.
struct Server {
    handler: Embargo<Known>,
    now: Now,
    runtime: Runtime,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    tcp_address: SocketAddr,
    _running: Running,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let list = directory.path().join("mine.txt");
        std::fs::write(&list, RULES).expect("a list");
        let settings = format!("[[list]]\nfile = \"{}\"\nformat = \"rules\"\n", list.display());
        let config = directory.path().join("embargo.toml");
        std::fs::write(&config, settings).expect("a configuration");
        let state_dir = Some(directory.path().join("state"));
        let args = Args { config: Some(config), state_dir, ..Args::default() };
        let loaded = config::load(&args, &Environment::default()).expect("no mistakes");
        let policy = config::policy(&loaded.settings, 1).policy.expect("a policy");
        let now = Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(7_000_000) };
        let (clock, _hands) = Clock::manual(now);
        let metrics = Arc::new(Metrics::new());
        let record = journal::Config::new(&loaded.state_dir);
        let journal = Arc::new(Journal::start(record, Arc::clone(&metrics), clock.clone()).expect("a journal"));
        let served = Admission::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let guard = Arc::new(Guard::new(served, journal, Arc::clone(&metrics), clock.clone()));
        guard.enforce(policy);
        guard.show(HopConfig { cookie_secrets: vec![SECRET], ..HopConfig::default() });
        let handler = Embargo::new(guard, Known(cache()));

        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a socket");
        tcp.set_nonblocking(true).expect("a socket of the runtime");
        let (udp_address, tcp_address) = (address(udp.local_addr()), address(tcp.local_addr()));
        let limits = StreamConfig {
            connections_max: 64,
            connections_per_client_max: 64,
            queries_in_flight_max: 8,
            idle: IDLE,
            slow: PATIENCE,
        };
        let config = ListenConfig { waiting_max: 64, streams: limits };
        let runtime = Runtime::new().expect("a runtime");
        let inside = runtime.enter();
        let sockets = Sockets { udp: vec![udp], tcp: vec![tcp], ..Sockets::default() };
        let running = start(handler.clone(), sockets, config, metrics, clock).expect("listeners");
        drop(inside);
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        udp.connect(udp_address).expect("loopback");
        udp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { handler, now, runtime, udp, tcp: None, tcp_address, _running: running, _directory: directory }
    }

    /// What the handler says to a message over this transport; `None`: nothing at all.
    fn expected(&self, octets: &[u8], client: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let client = match transport {
            Transport::Udp => Client::new(client, transport),
            _ => Client::new(client, transport).with_idle(IDLE),
        };
        let query = match Query::read(octets) {
            Err(Unfit::Short | Unfit::Response) => return None,
            Err(Unfit::Opcode) => return Some(Response::to_unfit(octets, 4)),
            Err(Unfit::FormErr) => return Some(Response::to_unfit(octets, 1)),
            Err(Unfit::CookieOnly(asked)) => return Some(cookie_only(octets, &asked, &client)),
            Ok(query) => query,
        };
        match self.runtime.block_on(self.handler.answer(&query, &client, self.now)) {
            Ending::Silence(_reason) => None,
            Ending::Response { message, .. } => Some(message),
            Ending::Transfer(_) => panic!("no zone is published"),
        }
    }

    fn over_udp(&mut self, octets: &[u8]) {
        let expected = self.expected(octets, address(self.udp.local_addr()), Transport::Udp);
        self.udp.send(octets).expect("loopback takes it");
        self.udp.send(&MARKER).expect("loopback takes it");
        let (mut answer, mut marked) = (None, false);
        // What has to wait may come after the marker; what is silent must not come before it.
        while !marked || (expected.is_some() && answer.is_none()) {
            let mut buffer = [0; 2048];
            let size = self.udp.recv(&mut buffer).expect("the listener answers");
            if buffer[..2] == MARKER[..2] {
                marked = true;
            } else {
                assert_eq!(answer.replace(buffer[..size].to_vec()), None, "one answer");
            }
        }
        assert_eq!(answer, expected, "{octets:02x?}");
    }

    fn over_tcp(&mut self, octets: &[u8]) {
        let mut stream = self.tcp.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(self.tcp_address).expect("loopback");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.set_nodelay(true).expect("an option");
            stream
        });
        let expected = self.expected(octets, address(stream.local_addr()), Transport::Tcp);
        let mut frames = Vec::new();
        for message in [octets, &MARKER] {
            frames.extend(u16::try_from(message.len()).expect("16 bits").to_be_bytes());
            frames.extend(message);
        }
        stream.write_all(&frames).expect("loopback takes it");
        let (mut answer, mut marked) = (None, false);
        while !marked || (expected.is_some() && answer.is_none()) {
            let mut size = [0; 2];
            if stream.read_exact(&mut size).is_err() {
                // A banned name whose ban is silence closes the stream.
                return assert_eq!((answer, expected), (None, None), "{octets:02x?}");
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
            stream.read_exact(&mut message).expect("a whole frame");
            if message[..2] == MARKER[..2] {
                marked = true;
            } else {
                assert_eq!(answer.replace(message), None, "one answer");
            }
        }
        assert_eq!(answer, expected, "{octets:02x?}");
        self.tcp = Some(stream);
    }
}

/// What a cookie without a question gets, at the time zero.
fn cookie_only(octets: &[u8], asked: &Asked, client: &Client) -> Vec<u8> {
    let keepalive = client.idle.filter(|_idle| asked.keepalive).map(|_longer| u16::MAX);
    let mut extras = Extras { keepalive, ..Extras::default() };
    let Ok(cookie) = asked.cookie(octets) else { return Response::to_cookie_only(octets, rcode::FORMERR, &extras) };
    let cookie = cookie.expect("there is one");
    let (good, both) = Cookies::new(SECRET, Vec::new()).meet(&cookie, client.address(), 0);
    extras.cookie = Some(both);
    let rcode = if cookie.has_server_part() && !good { rcode::BADCOOKIE } else { rcode::NOERROR };
    Response::to_cookie_only(octets, rcode, &extras)
}

fn address(bound: std::io::Result<SocketAddr>) -> SocketAddr {
    bound.expect("a bound socket")
}

/// Holds an A record for each name that is known, with and without DO and CD.
fn cache() -> Cache {
    let cache = Cache::new(cache::Config::new(1 << 20));
    for name in KNOWN.map(|name| LowerName::parse(name).expect("a name")) {
        let head = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let message = [&head, name.wire(), &qtype::A.to_be_bytes(), &CLASS_IN.to_be_bytes()].concat();
        let query = Query::read(&message).expect("a query");
        // More than fits in 512 octets.
        let response =
            (0..40).fold(Response::to(&query), |response, last| response.answer(qtype::A, 60, &[192, 0, 2, last]));
        let response = response.finish(65_535);
        let layout = Layout::read(&response).expect("a message");
        for (dnssec_ok, checking_disabled) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut key = KeyRef::of(&query).to_key();
            (key.rest.dnssec_ok, key.rest.checking_disabled) = (dnssec_ok, checking_disabled);
            cache.insert(key, Answer::keep(&response, &layout).expect("an answer"), true, Mono(0));
        }
    }
    cache
}
