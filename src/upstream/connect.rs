//! How a connection to an upstream is made, by hickory-resolver: over TCP, TLS, HTTP/2 or QUIC.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::runtime::{QuicSocketBinder, RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::net::xfer::DnsExchange;
use hickory_resolver::{ConnectionProvider, PoolContext, TlsConfig};
use tokio::time::timeout;

use super::blame::{Failure, blame_connecting};
use super::config::Config;
use super::{FailReason, Protocol, Server, Source};

/// One address is tried for so long before the next one is too (RFC 8305 §8).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection that questions are sent over.
pub(super) type Exchange = DnsExchange<Provider>;

/// Makes connections to one upstream.
pub(super) struct Connector {
    tokio: TokioRuntimeProvider,
    protocol: Protocol,
    settings: ProtocolConfig,
    source: Source,
    context: Result<Arc<PoolContext>, Failure>,
    timeout: Duration,
}

impl Connector {
    /// `questions` may be open on one connection.
    pub(super) fn new(server: &Server, config: &Config, questions: usize) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = config.exchange_max;
        options.max_active_requests = questions;
        let context = tls(server, config).map(|tls| Arc::new(PoolContext::new(options, tls)));
        Self {
            tokio: TokioRuntimeProvider::new(),
            protocol: server.protocol(),
            settings: settings(server),
            source: config.source.clone(),
            context,
            timeout: config.connect_timeout,
        }
    }

    /// Connects to one of these addresses: each is tried after a head start for the one before, or when that has failed, and
    /// the first connection counts (RFC 8305 §5). Returns where it leads, or the first failure.
    pub(super) async fn connect_to_any(&self, addresses: &[SocketAddr]) -> Result<(SocketAddr, Exchange), Failure> {
        let mut open = FuturesUnordered::new();
        let (mut untried, mut failure) = (addresses.iter().copied(), None);
        loop {
            let next = untried.next();
            if let Some(address) = next {
                let connecting = self.connect(address);
                open.push(async move { (address, connecting.await) });
            }
            let head_start = next.map_or(self.timeout, |_address| HEAD_START);
            match timeout(head_start, open.next()).await {
                Ok(Some((address, Ok(exchange)))) => return Ok((address, exchange)),
                Ok(Some((_address, Err(failed)))) => _ = failure.get_or_insert(failed),
                Ok(None) => return Err(failure.unwrap_or(Failure::silent(FailReason::Unreachable))),
                Err(_head_start_is_over) => (),
            }
        }
    }

    /// How long is waited for one connection.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Begins to connect to this address.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = Result<Exchange, Failure>> + use<> {
        let mut connection = ConnectionConfig::new(self.settings.clone());
        connection.port = address.port();
        connection.bind_addr = Some(self.source.at(address, 0));
        let provider = Provider { tokio: self.tokio.clone(), address };
        let (context, limit, protocol) = (self.context.clone(), self.timeout, self.protocol);
        async move {
            let connecting = provider.new_connection(address.ip(), &connection, &*context?);
            let connecting = connecting.map_err(|error| blame_connecting(&error, protocol))?;
            match timeout(limit, connecting).await {
                Ok(made) => made.map_err(|error| blame_connecting(&error, protocol)),
                Err(_elapsed) => Err(Failure::silent(FailReason::Timeout)),
            }
        }
    }
}

/// What hickory is told of the upstream. Its one name is checked against the certificate, shown in the handshake (but not over
/// plain TLS, where hickory leaves it out), and the host of HTTP requests.
fn settings(server: &Server) -> ProtocolConfig {
    let name = || -> Arc<str> {
        let named = server.peer().and_then(|peer| peer.name().cloned());
        // Without a name the pin decides, and some name there must be; an address is shown to nobody.
        named
            .unwrap_or_else(|| server.address().map_or(IpAddr::from([0; 4]), |address| address.ip()).to_string().into())
    };
    match server.protocol() {
        Protocol::Plain | Protocol::Tcp => ProtocolConfig::Tcp,
        Protocol::Tls => ProtocolConfig::Tls { server_name: name() },
        Protocol::Https => {
            let path = server.peer().map_or_else(|| "/".into(), |peer| Arc::clone(peer.path()));
            ProtocolConfig::Https { server_name: name(), path }
        }
        Protocol::Quic => ProtocolConfig::Quic { server_name: name() },
    }
}

fn tls(server: &Server, config: &Config) -> Result<TlsConfig, Failure> {
    let Some(peer) = server.peer() else {
        return TlsConfig::new().map_err(|error| Failure::said(FailReason::Local, &error));
    };
    let client = config.trust.client(peer.name().is_some(), peer.pins());
    let client = client.map_err(|error| Failure::said(FailReason::Tls, &error))?;
    Ok(TlsConfig { config: client.into_inner() })
}

/// hickory's way to open sockets, with the scope of a link-local address, for which its own interface has no place.
#[derive(Clone)]
pub(super) struct Provider {
    tokio: TokioRuntimeProvider,
    address: SocketAddr,
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

    fn quic_binder(&self) -> Option<&dyn QuicSocketBinder> {
        self.tokio.quic_binder()
    }
}
