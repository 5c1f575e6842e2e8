//! One connection from its first octet to its end: for whom it speaks, what is said on it, and who goes on with it when this
//! server ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::metrics::Cut;
use crate::policy::Entrance;
use crate::serve::client::Client;
use crate::serve::door::Door;
use crate::serve::https;
use crate::serve::next::Next;

use super::conversation::{converse, shut_down};
use super::line::{Line, greet};
use super::places::Place;
use super::{Carried, Places, StreamConfig, introduction};

/// A connection that is there.
pub(super) struct Arrival {
    stream: TcpStream,
    /// What is spoken on it.
    line: Line,
    /// Its other end.
    peer: Client,
    /// Whether that is a proxy, which has to say for whom it speaks.
    is_proxy: bool,
    /// Whether it stands for many clients, of which none can be told yet.
    is_many: bool,
    /// What was read of it before.
    begun: Vec<u8>,
}

impl Arrival {
    /// A connection from `source`, just accepted.
    pub(super) fn now<N: Next>(door: &Door<N>, line: &Line, stream: TcpStream, source: SocketAddr) -> Self {
        let peer = arrived(&stream, Client::new(source, line.transport()));
        let (view, address) = (door.view(), peer.address());
        let is_proxy = view.admission.is_proxy(address);
        let is_many = is_proxy || matches!(line, Line::Https(..)) && view.admission.is_web_proxy(address);
        Self { stream, line: line.clone(), peer, is_proxy, is_many, begun: Vec::new() }
    }
}

/// Goes on with a connection that another server began.
///
/// # Errors
/// The runtime's, when it can't take the stream.
pub(in crate::serve) fn adopt<N: Next>(door: &Arc<Door<N>>, places: &Arc<Places>, carried: Carried) -> io::Result<()> {
    let Carried { stream, client, unread } = carried;
    stream.set_nonblocking(true)?;
    // Whom a proxy speaks for is not carried over: its connections end with the server that they were made to.
    let stream = TcpStream::from_std(stream)?;
    let peer = arrived(&stream, Client::new(client, Line::Dns.transport()));
    let arrival = Arrival { stream, line: Line::Dns, peer, is_proxy: false, is_many: false, begun: unread };
    attend(door, places, arrival);
    Ok(())
}

/// The other end of a connection, which was made to this end of it.
fn arrived(stream: &TcpStream, peer: Client) -> Client {
    stream.local_addr().map_or(peer, |listener| peer.by(Entrance::UNKNOWN.at(listener)))
}

/// Leads a connection to its end, which comes at once when it has to make way for another one, in a task of its own.
pub(super) fn attend<N: Next>(door: &Arc<Door<N>>, places: &Arc<Places>, arrival: Arrival) {
    let client = (!arrival.is_many).then(|| arrival.peer.address());
    let Some(place) = places.place(arrival.peer.transport, client) else { return };
    let (config, owner) = (places.config, Arc::clone(door));
    door.tasks.spawn(async move {
        let place = Arc::new(place);
        tokio::select! {
            biased;
            () = place.has_to_make_way() => (),
            () = lead(&owner, arrival, &config, &place) => (),
        }
    });
}

async fn lead<N: Next>(door: &Arc<Door<N>>, arrival: Arrival, config: &StreamConfig, place: &Arc<Place>) {
    let Arrival { mut stream, line, peer, is_proxy, begun, is_many: _ } = arrival;
    // A response is one write of one segment; it must not wait for an acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let mut client = peer;
    if is_proxy {
        let Some(introduced) = introduced(door, &mut stream, peer, config, place).await else { return };
        client = introduced;
    }
    match line {
        Line::Dns => {
            let Some((stream, unread)) = plain(door, stream, &begun, client, config, place).await else { return };
            hand_on(door, stream, unread, client, is_proxy, config).await;
        }
        // In a box, or every connection in clear would take as much memory.
        Line::Dot(tls) => Box::pin(private(door, stream, &tls, client, config, place)).await,
        Line::Https(tls, path) => Box::pin(web(door, stream, tls.as_ref(), path, client, config, place)).await,
    }
}

/// Leads a conversation in clear; what is left of it when the door stops.
async fn plain<N: Next>(
    door: &Arc<Door<N>>,
    stream: TcpStream,
    begun: &[u8],
    client: Client,
    config: &StreamConfig,
    place: &Place,
) -> Option<(TcpStream, Vec<u8>)> {
    let (mut reader, mut writer) = stream.into_split();
    let unread = converse(door, begun, &mut reader, &mut writer, client, config, place).await?;
    Some((reader.reunite(writer).ok()?, unread))
}

/// Gives a connection to whoever goes on in this server's place, or ends it.
async fn hand_on<N: Next>(
    door: &Door<N>,
    mut stream: TcpStream,
    unread: Vec<u8>,
    client: Client,
    is_proxy: bool,
    config: &StreamConfig,
) {
    match door.heir.get() {
        Some(heir) if !is_proxy => {
            let Ok(stream) = stream.into_std() else { return };
            // If there is no heir any more, the connection ends here.
            let _ended = heir.send(Carried { stream, client: client.socket, unread }).await;
        }
        _ => shut_down(&mut stream, config.slow).await,
    }
}

/// Leads a conversation inside TLS. It ends with the server: another process has not the keys to go on with it.
async fn private<N: Next>(
    door: &Arc<Door<N>>,
    stream: TcpStream,
    tls: &TlsAcceptor,
    client: Client,
    config: &StreamConfig,
    place: &Place,
) {
    let Some(stream) = greet(door, tls, stream, config, place).await else { return };
    let client = client.by_tls_name(stream.get_ref().1.server_name());
    let (mut reader, mut writer) = tokio::io::split(stream);
    if converse(door, &[], &mut reader, &mut writer, client, config, place).await.is_some() {
        shut_down(&mut writer, config.slow).await;
    }
}

/// Answers requests of HTTP; in clear those of reverse proxies alone: what anybody else says there could be read and changed on
/// the way.
async fn web<N: Next>(
    door: &Arc<Door<N>>,
    stream: TcpStream,
    tls: Option<&TlsAcceptor>,
    path: Arc<str>,
    client: Client,
    config: &StreamConfig,
    place: &Arc<Place>,
) {
    match tls {
        Some(tls) => {
            let Some(stream) = greet(door, tls, stream, config, place).await else { return };
            let client = client.by_tls_name(stream.get_ref().1.server_name());
            https::converse(door, stream, client, path, config, place).await;
        }
        None if door.view().admission.is_web_proxy(client.address()) => {
            https::converse(door, stream, client, path, config, place).await;
        }
        None => door.metrics().connections.cut(Cut::Clear).inc(),
    }
}

/// Whom a proxy speaks for, if it says so and that client may have another connection.
async fn introduced<N: Next>(
    door: &Door<N>,
    stream: &mut TcpStream,
    proxy: Client,
    config: &StreamConfig,
    place: &Place,
) -> Option<Client> {
    let client = match door.stop.run_until_cancelled(introduction::read(stream, config.slow)).await? {
        Ok(proxied) => proxy.speaks_for(proxied),
        Err(introduction::Fault::Silent) => return None,
        Err(introduction::Fault::NoHeader) => {
            door.metrics().connections.cut(Cut::ProxyHeader).inc();
            return None;
        }
    };
    // A proxy's own connections are bounded by the limit of all: it is many clients.
    (client.is_health_check() || place.is_of(client.address())).then_some(client)
}
