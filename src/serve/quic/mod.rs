//! DNS over dedicated QUIC connections (RFC 9250): one query on each stream.
//!
//! Every address is proven by a Retry before anything is kept for it, there is no early data, and a connection stays at the
//! address it was made from: so each query's client is who it seems to be.

mod exchange;
mod socket;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio_util::task::TaskTracker;

use super::RETRY_AFTER;
use super::client::Client;
use super::door::Door;
use super::next::Next;
use super::stream::{Place, Places, StreamConfig};
use crate::metrics::Cut;
use crate::policy::Entrance;
use crate::socket::plain_udp;
use crate::tls::{ServerTls, quic_server_name};
use crate::wire::Transport;

/// Error codes of RFC 9250 §4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);

/// Octets that a client may send ahead on one stream: few queries have more than a hundred.
const STREAM_WINDOW: u32 = 16 << 10;
/// The same on all streams of a connection.
const CONNECTION_WINDOW: u32 = 64 << 10;
/// Octets of responses on their way, of one connection.
const SEND_WINDOW: u64 = 256 << 10;
/// Connections that begin and are not looked at yet, and octets kept for each.
const BEGINNING_MAX: usize = 256;
const BEGINNING_OCTETS: u64 = 16 << 10;

/// What is listened on.
pub(super) struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
    server: ServerConfig,
    places: Arc<Places>,
}

impl Listener {
    /// Makes a bound UDP socket ready.
    ///
    /// # Errors
    /// The runtime's, or rustls's.
    pub(super) fn new(socket: UdpSocket, tls: &ServerTls, places: &Arc<Places>) -> io::Result<Self> {
        let mut server = ServerConfig::with_crypto(tls.quic().map_err(io::Error::other)?);
        server.transport_config(Arc::new(transport(&places.config)));
        // Else a client could move on to the address of another one, and ask in its name before that is found out.
        server.migration(false);
        server.max_incoming(BEGINNING_MAX).incoming_buffer_size(BEGINNING_OCTETS);
        server.incoming_buffer_size_total(BEGINNING_OCTETS * BEGINNING_MAX as u64);
        let address = socket.local_addr()?;
        let (endpoint, places) = (open(socket, &server)?, Arc::clone(places));
        Ok(Self { endpoint, address, server, places })
    }

    /// Takes connections until the door stops. A socket that dies is bound anew.
    pub(super) async fn listen<N: Next>(mut self, door: Arc<Door<N>>) {
        loop {
            while let Some(Some(incoming)) = door.stop.run_until_cancelled(self.endpoint.accept()).await {
                receive(&door, &self.places, self.address, incoming);
            }
            if door.stop.is_cancelled() {
                break;
            }
            tracing::error!(address = %self.address, "A QUIC listener died; it is bound anew.");
            door.metrics().connections.rebound.inc();
            let Some(again) = self.rebind(&door).await else { break };
            self.endpoint = again;
        }
        // Those that are open go on until their last answer is taken, and are told of the end.
        self.endpoint.set_server_config(None);
        self.endpoint.wait_idle().await;
    }

    /// Binds the address as soon as it can be; `None` once the door stops.
    async fn rebind<N: Next>(&self, door: &Door<N>) -> Option<Endpoint> {
        loop {
            if let Ok(endpoint) = plain_udp(self.address).and_then(|socket| open(socket, &self.server)) {
                return Some(endpoint);
            }
            door.stop.run_until_cancelled(tokio::time::sleep(RETRY_AFTER)).await?;
        }
    }
}

fn open(socket: UdpSocket, server: &ServerConfig) -> io::Result<Endpoint> {
    let socket = Arc::new(socket::Socket::new(socket)?);
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), Some(server.clone()), socket, Arc::new(TokioRuntime))
}

fn transport(config: &StreamConfig) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(u32::try_from(config.queries_in_flight_max).unwrap_or(u32::MAX).into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(config.idle).ok());
    transport
}

/// Hears a client out that wants to connect, once it is known to be where it says: nobody is to take places in the name of
/// others.
fn receive<N: Next>(door: &Arc<Door<N>>, places: &Arc<Places>, bound: SocketAddr, incoming: Incoming) {
    if !incoming.remote_address_validated() {
        // One that can't be sent back is of no use to anybody.
        return drop(incoming.retry());
    }
    let listener = SocketAddr::new(incoming.local_ip().unwrap_or(bound.ip()), bound.port());
    let client = Client::new(incoming.remote_address(), Transport::Doq).by(Entrance::UNKNOWN.at(listener));
    if door.view().admission.is_proxy(client.address()) {
        // There is no PROXY header inside QUIC.
        door.metrics().connections.cut(Cut::ProxyHeader).inc();
        return incoming.refuse();
    }
    let Some(place) = places.place(Transport::Doq, Some(client.address())) else { return incoming.refuse() };
    door.tasks.spawn(attend(Arc::clone(door), incoming, client, places.config, place));
}

/// Leads one connection from its handshake to its end.
async fn attend<N: Next>(door: Arc<Door<N>>, incoming: Incoming, client: Client, config: StreamConfig, place: Place) {
    let Some(connection) = greet(&door, incoming, &config, &place).await else { return };
    let client = client.by_tls_name(connection.handshake_data().and_then(quic_server_name).as_deref());
    let (place, open) = (Arc::new(place), TaskTracker::new());
    loop {
        let (send, receive) = tokio::select! {
            biased;
            () = door.stop.cancelled() => break,
            () = place.has_to_make_way() => return connection.close(EXCESSIVE_LOAD, b"another client needs the place"),
            () = place.idle_out(config.idle) => return connection.close(NO_ERROR, b"idle"),
            accepted = connection.accept_bi() => match accepted {
                Ok(stream) => stream,
                // How a client ends its connection is its own affair.
                Err(_ended) => return,
            },
        };
        let exchange = exchange::Exchange {
            door: Arc::clone(&door),
            connection: connection.clone(),
            client,
            slow: config.slow,
            place: Arc::clone(&place),
        };
        let token = open.token();
        door.tasks.spawn(async move {
            exchange.lead(send, receive).await;
            drop(token);
        });
    }
    open.close();
    let _gave_up = tokio::time::timeout(config.slow, open.wait()).await;
    connection.close(NO_ERROR, b"the server ends");
}

/// The connection, if its client wants what we speak and says so in time.
async fn greet<N: Next>(
    door: &Door<N>,
    incoming: Incoming,
    config: &StreamConfig,
    place: &Place,
) -> Option<Connection> {
    let handshake = place.handshake();
    let connecting = incoming.accept().ok()?;
    let greeted = tokio::select! {
        biased;
        () = handshake.has_to_make_way() => return None,
        () = place.has_to_make_way() => return None,
        () = door.stop.cancelled() => return None,
        greeted = tokio::time::timeout(config.slow, connecting) => greeted,
    };
    let connection = greeted.ok().and_then(Result::ok);
    if connection.is_none() {
        door.metrics().connections.cut(Cut::Handshake).inc();
    }
    connection
}
