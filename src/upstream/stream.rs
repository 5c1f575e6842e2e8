//! Asking over TCP: one connection for each upstream, shared by all questions, made by hickory-resolver.
//!
//! hickory frames, multiplexes by id and reads; whether the response is ours to use is judged by [`Ask::judge`], as over
//! UDP, because hickory matches the id alone.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Message};
use hickory_resolver::{ConnectionProvider, PoolContext, TlsConfig};
use tokio::time::{Instant, timeout};

use super::FailReason;
use super::config::Config;
use super::message::{Ask, Judged};

type Exchange = DnsExchange<Provider>;
type Connecting = Shared<BoxFuture<'static, Result<Exchange, FailReason>>>;

/// The TCP side of one upstream.
pub(super) struct Stream {
    provider: Provider,
    connection: ConnectionConfig,
    context: Result<Arc<PoolContext>, FailReason>,
    connect_timeout: Duration,
    idle_max: Duration,
    patience: Duration,
    slot: Mutex<Slot>,
}

/// The connection that new questions take.
#[derive(Default)]
struct Slot {
    connecting: Option<Connecting>,
    /// Tells this connection from the ones before and after it.
    generation: u64,
    last_used: Option<Instant>,
}

/// A connection, perhaps still being made.
struct Taken {
    connecting: Connecting,
    generation: u64,
    /// It was made for another question, so it may have died since.
    reused: bool,
}

/// hickory's way to open sockets, with the scope of a link-local address, for which its own interface has no place.
#[derive(Clone)]
struct Provider {
    tokio: TokioRuntimeProvider,
    address: SocketAddr,
}

impl Stream {
    pub(super) fn new(address: SocketAddr, config: &Config) -> Self {
        let mut connection = ConnectionConfig::new(ProtocolConfig::Tcp);
        connection.port = address.port();
        let mut options = ResolverOpts::default();
        options.timeout = config.exchange_max;
        options.max_active_requests = config.in_flight_max.get().saturating_add(config.late_max);
        let context = TlsConfig::new().map(|tls| Arc::new(PoolContext::new(options, tls)));
        Self {
            provider: Provider { tokio: TokioRuntimeProvider::new(), address },
            connection,
            context: context.map_err(|_no_tls| FailReason::Local),
            connect_timeout: config.tcp_connect_timeout,
            idle_max: config.tcp_idle_max,
            patience: config.patience,
            slot: Mutex::default(),
        }
    }

    /// Asks and returns the response, whatever its RCODE. A connection that turns out to be dead is replaced once.
    pub(super) async fn exchange(&self, ask: &Ask, upstream: usize, edns: bool) -> Result<Judged, FailReason> {
        let query = Message::from_vec(&ask.query(0, edns)).map_err(|_unreadable| FailReason::Local)?;
        let mut replaced = false;
        loop {
            let taken = self.take()?;
            let failure = match taken.connecting.clone().await {
                Ok(exchange) => match self.send(&exchange, query.clone(), taken.generation).await {
                    Ok(octets) => return judge(ask, octets, upstream),
                    Err(error) => blame(&error),
                },
                Err(failure) => failure,
            };
            self.forget(taken.generation);
            if !taken.reused || replaced {
                return Err(failure);
            }
            replaced = true;
        }
    }

    async fn send(&self, exchange: &Exchange, query: Message, generation: u64) -> Result<Vec<u8>, NetError> {
        let mut answer = exchange.send(DnsRequest::new(query, DnsRequestOptions::default())).first_answer();
        let response = match timeout(self.patience, &mut answer).await {
            Ok(response) => response,
            Err(_silence) => {
                // A peer that has vanished sends no error: the next question shall try a new connection.
                self.forget(generation);
                answer.await
            }
        };
        response.map(|response| response.into_parts().1)
    }

    /// The connection to use: the one there is, unless it has been idle for too long, or one that all who ask now share.
    fn take(&self) -> Result<Taken, FailReason> {
        let now = Instant::now();
        let mut slot = self.slot();
        let idle = slot.last_used.replace(now).is_some_and(|used| now.duration_since(used) > self.idle_max);
        if let Some(connecting) = slot.connecting.clone().filter(|_connection| !idle) {
            return Ok(Taken { connecting, generation: slot.generation, reused: true });
        }
        let connecting = self.connect()?;
        slot.generation += 1;
        slot.connecting = Some(connecting.clone());
        Ok(Taken { connecting, generation: slot.generation, reused: false })
    }

    fn connect(&self) -> Result<Connecting, FailReason> {
        let context = self.context.as_ref().map_err(|failure| *failure)?;
        let connecting = self
            .provider
            .new_connection(self.provider.address.ip(), &self.connection, context)
            .map_err(|error| blame(&error))?;
        let limited = timeout(self.connect_timeout, connecting);
        Ok(async move {
            match limited.await {
                Ok(Ok(exchange)) => Ok(exchange),
                Ok(Err(error)) => Err(blame(&error)),
                Err(_elapsed) => Err(FailReason::Timeout),
            }
        }
        .boxed()
        .shared())
    }

    /// Leaves a connection to those who wait on it; the next question makes a new one.
    fn forget(&self, generation: u64) {
        let mut slot = self.slot();
        if slot.generation == generation {
            slot.connecting = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Over TCP nobody can slip in another packet, so a wrong one is the upstream's fault; and a truncated one is no answer
/// (never an empty NOERROR).
fn judge(ask: &Ask, octets: Vec<u8>, upstream: usize) -> Result<Judged, FailReason> {
    match ask.judge(octets, None, false, upstream) {
        Ok(Judged::Truncated) | Err(_) => Err(FailReason::Unusable),
        Ok(judged) => Ok(judged),
    }
}

fn blame(error: &NetError) -> FailReason {
    match error {
        NetError::Timeout => FailReason::Timeout,
        NetError::Io(error) => match error.kind() {
            io::ErrorKind::TimedOut => FailReason::Timeout,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                FailReason::Unreachable
            }
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => FailReason::Closed,
            _ => FailReason::Local,
        },
        // hickory says `Busy` when its task, and so the connection, is gone, and gives a text when it goes meanwhile.
        _ => FailReason::Closed,
    }
}

impl RuntimeProvider for Provider {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = <TokioRuntimeProvider as RuntimeProvider>::Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        _without_scope: SocketAddr,
        bind: Option<SocketAddr>,
        wait: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.tokio.connect_tcp(self.address, bind, wait)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        self.tokio.bind_udp(local, server)
    }
}
