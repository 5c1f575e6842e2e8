//! The way of one query: listeners, the one handler, and what it asks in turn.
//!
//! [`Embargo`] is hickory-server's `RequestHandler`: policy and record in front, a [`Next`] behind. Embargo's own server puts
//! its [`Forwarder`] behind; any other server built on hickory-server can put its own handler there by [`Wrapped`], which
//! is then asked whatever policy lets through, zone transfers, signed messages and opcodes other than QUERY left out:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use embargo::clock::Clock;
//! use embargo::journal::{self, Journal};
//! use embargo::metrics::Metrics;
//! use embargo::serve::{Admission, Embargo, Guard, Wrapped};
//! use hickory_server::Server;
//! use hickory_server::zone_handler::Catalog;
//!
//! # async fn run(policy: embargo::policy::Policy) -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
//! let config = journal::Config::new("/var/lib/example");
//! let journal = Arc::new(Journal::start(config, Arc::clone(&metrics), clock.clone())?);
//! let served = Admission::new(vec!["192.0.2.0/24".parse()?]);
//! let guard = Arc::new(Guard::new(served, journal, metrics, clock));
//! guard.enforce(policy);
//!
//! let catalog = Catalog::new(); // whatever the server answered with so far
//! let mut server = Server::new(Embargo::new(guard, Wrapped::new(catalog)));
//! server.register_socket(tokio::net::UdpSocket::bind("192.0.2.53:53").await?);
//! # Ok(())
//! # }
//! ```
//!
//! UDP and TCP listeners are our own, since hickory's answer malformed messages and responses before any handler sees them
//! and abort what is in flight when they stop. What a message costs shapes them:
//!
//! ```text
//! udp        one thread for each socket: reads a batch, answers at once what can be, sends a batch
//!  pipeline    admission, policy, own data, cache, and the record: the same function for every listener and the one handler
//!  waiting     a datagram whose answer is asked for; it ends as part of a batch, or alone
//!  flight      equal questions, asked once, whoever waits for them: datagrams, tasks
//!  misses      the thread's own questions to upstreams (`upstream::Outside`); what they don't settle goes on in a task
//! stream     a task for each connection, in clear or inside TLS; what has to wait does so in a task of its own
//!  https       the same for requests of HTTP in place of messages with their length
//! quic       a task for each connection and each query on it
//! ```
//! `tests` holds by property that what needs no waiting gets the same octets by the short way as by the one handler, and so do
//! the fuzz targets through real sockets; the integration tests hold it for what has to be asked for.

mod blocked;
mod capture;
mod client;
mod crowds;
mod door;
mod flight;
mod foreign;
mod forwarder;
mod guard;
mod handler;
mod hop;
mod https;
mod knock;
mod misses;
mod next;
mod pipeline;
mod proof;
mod quic;
mod rates;
mod ending;
mod room;
mod screen;
mod stream;
#[cfg(test)]
mod tests;
mod udp;
mod waiting;
mod wrapped;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use client::{Admission, Client};
pub use crowds::Crowd;
pub use ending::Ending;
pub use foreign::Foreign;
pub use forwarder::{Forwarder, ForwarderConfig};
pub use guard::{Guard, InForce};
pub use hop::{AnyAnswer, HopConfig};
pub use knock::Knock;
pub use next::{Failure, Found, Next};
pub use pipeline::Embargo;
pub use proof::Chain;
pub use rates::RateConfig;
pub use stream::{Carried, StreamConfig};
pub use wrapped::Wrapped;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::tls::{ServerTls, Speech};

use stream::Line;

/// A thread that reads a socket looks up this often to see whether it is to stop.
pub const LOOK_UP: Duration = Duration::from_millis(100);

/// Time to wait when the operating system refuses a socket operation, so that a lasting fault costs no processor.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Limits of the listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Queries that may wait for an answer at a time, over all listeners; more are shed and counted.
    pub waiting_max: usize,
    /// Limits of connections.
    pub streams: StreamConfig,
}

/// Sockets that are bound but not read yet.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UDP sockets that block for [`LOOK_UP`] at most, each read by a thread of its own.
    pub udp: Vec<UdpSocket>,
    /// Non-blocking TCP listeners.
    pub tcp: Vec<TcpListener>,
    /// The same for HTTP in clear, from reverse proxies.
    pub http: Vec<TcpListener>,
    /// The path that is asked over HTTP and HTTPS.
    pub path: Arc<str>,
    /// Those on which nobody on the way can read what is said.
    pub encrypted: Option<Encrypted>,
}

/// Sockets for encrypted transports.
#[derive(Debug)]
pub struct Encrypted {
    /// As whom the server shows itself on them.
    pub tls: ServerTls,
    /// Non-blocking TCP listeners for DNS over TLS.
    pub dot: Vec<TcpListener>,
    /// The same for DNS over HTTPS.
    pub https: Vec<TcpListener>,
    /// UDP sockets for DNS over QUIC.
    pub quic: Vec<UdpSocket>,
}

impl Sockets {
    /// Every one of them.
    pub fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let encrypted = self.encrypted.iter().flat_map(|encrypted| encrypted.dot.iter().chain(&encrypted.https));
        let tcp = self.tcp.iter().chain(&self.http).chain(encrypted);
        let udp = self.udp.iter().chain(self.encrypted.iter().flat_map(|encrypted| &encrypted.quic));
        udp.map(AsFd::as_fd).chain(tcp.map(AsFd::as_fd))
    }

    /// The TCP listeners, each with what is spoken on it.
    fn lines(&mut self) -> io::Result<Vec<(TcpListener, Line)>> {
        let mut lines = Vec::new();
        let mut speak = |line: &Line, listeners: &mut Vec<TcpListener>| {
            lines.extend(listeners.drain(..).map(|listener| (listener, line.clone())));
        };
        speak(&Line::Dns, &mut self.tcp);
        speak(&Line::Https(None, Arc::clone(&self.path)), &mut self.http);
        if let Some(Encrypted { tls, dot, https, quic: _ }) = &mut self.encrypted {
            let acceptor = |speech| tls.acceptor(speech).map_err(io::Error::other);
            speak(&Line::Dot(acceptor(Speech::Dot)?), dot);
            speak(&Line::Https(Some(acceptor(Speech::Https)?), Arc::clone(&self.path)), https);
        }
        Ok(lines)
    }
}

/// Listeners that run, until this is drained or dropped.
pub struct Running {
    stop: DropGuard,
    tasks: TaskTracker,
    heir: Arc<door::Heir>,
    adopt: Arc<Adopt>,
}

/// Goes on with a connection that another server began.
type Adopt = dyn Fn(Carried) -> io::Result<()> + Send + Sync;

/// Reads `sockets` and leads every message to `handler`. To be called within a tokio runtime.
///
/// # Errors
/// The runtime's, when it can't take a socket, or rustls's.
pub fn start<N: Next>(
    handler: Embargo<N>,
    mut sockets: Sockets,
    config: ListenConfig,
    metrics: Arc<Metrics>,
    clock: Clock,
) -> io::Result<Running> {
    let stop = CancellationToken::new();
    let (guard, tasks) = (stop.clone().drop_guard(), TaskTracker::new());
    let door = Arc::new(door::Door::new(
        handler,
        Arc::clone(&metrics),
        clock.clone(),
        config.waiting_max,
        stop,
        tasks.clone(),
    ));
    for (number, socket) in sockets.udp.drain(..).enumerate() {
        let (door, address) = (Arc::clone(&door), socket.local_addr()?);
        let listener = udp::Listener { door, socket: Arc::new(socket), address, runtime: Handle::current() };
        // The tracker waits for the thread as for a task, so that the end finds no datagram half answered.
        let token = tasks.token();
        std::thread::Builder::new().name(format!("udp-{number}")).spawn(move || {
            listener.listen();
            drop(token);
        })?;
    }
    let places = stream::Places::new(config.streams, metrics, clock);
    for (listener, line) in sockets.lines()? {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tasks.spawn(stream::listen(Arc::clone(&door), listener, address, line, Arc::clone(&places)));
    }
    if let Some(Encrypted { tls, quic, .. }) = sockets.encrypted {
        for socket in quic {
            let listener = quic::Listener::new(socket, &tls, &places)?;
            tasks.spawn(listener.listen(Arc::clone(&door)));
        }
    }
    let heir = Arc::clone(&door.heir);
    let runtime = Handle::current();
    let adopt = move |carried| {
        let _on_it = runtime.enter();
        stream::adopt(&door, &places, carried)
    };
    Ok(Running { stop: guard, tasks, heir, adopt: Arc::new(adopt) })
}

impl Running {
    /// How to go on, from any thread, with TCP connections that another server of these sockets began.
    pub fn adopter(&self) -> impl Fn(Carried) -> io::Result<()> + Send + use<> {
        let adopt = Arc::clone(&self.adopt);
        move |carried| adopt(carried)
    }

    /// [`Running::drain`], where the TCP connections that are open go to `heir` once every query read has its answer.
    pub async fn drain_to(self, within: Duration, heir: mpsc::Sender<Carried>) -> usize {
        // It is set once: draining takes all there is of this.
        let _set = self.heir.set(heir);
        self.drain(within).await
    }

    /// Stops reading and waits for the queries in flight, at most `within`; says how many were given up.
    pub async fn drain(self, within: Duration) -> usize {
        drop(self.stop);
        self.tasks.close();
        let _elapsed = tokio::time::timeout(within, self.tasks.wait()).await;
        self.tasks.len()
    }
}
