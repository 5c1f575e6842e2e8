//! DNS over TCP (RFC 7766): two octets of length before each message, many messages on one connection, answers in the order
//! in which they are ready.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::metrics::{DropReason, Ledger, Metrics, Outcome};
use crate::wire::Transport;

use super::client::Client;
use super::door::{Door, End};
use super::ending::Ending;
use super::next::Next;

/// Responses that wait for a client to take them; with more, its queries are not read.
const UNTAKEN_MAX: usize = 4;

/// Limits of stream connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// Connections at most.
    pub connections_max: usize,
    /// Connections of one client address at most.
    pub connections_per_client_max: usize,
    /// Queries of one connection that may wait for their answers at a time; beyond it the connection is not read.
    pub queries_in_flight_max: usize,
    /// A connection without an open query is closed after this.
    pub idle: Duration,
    /// A message that has begun must be whole, and a response taken, within this.
    pub slow: Duration,
}

/// The connections there are.
#[derive(Debug)]
pub(super) struct Connections {
    config: TcpConfig,
    all: Arc<Semaphore>,
    by_client: DashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(config: TcpConfig) -> Self {
        Self { config, all: Arc::new(Semaphore::new(config.connections_max)), by_client: DashMap::new() }
    }

    /// A place for a connection of `client`, if both limits allow it.
    fn place(self: &Arc<Self>, client: IpAddr, metrics: &Arc<Metrics>) -> Option<Place> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut held = self.by_client.entry(client).or_insert(0);
        if *held >= self.config.connections_per_client_max {
            return None;
        }
        *held += 1;
        metrics.dns.tcp_connections.inc();
        Some(Place { connections: Arc::clone(self), client, metrics: Arc::clone(metrics), _permit: permit })
    }
}

/// The place of one open connection, counted; given back when it ends, however it ends.
struct Place {
    connections: Arc<Connections>,
    client: IpAddr,
    metrics: Arc<Metrics>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.dns.tcp_connections.dec();
        if let dashmap::Entry::Occupied(mut held) = self.connections.by_client.entry(self.client) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

/// Accepts connections until the door stops.
pub(super) async fn listen<N: Next>(door: Arc<Door<N>>, listener: TcpListener, connections: Arc<Connections>) {
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => {
                failing = false;
                admit(&door, &connections, stream, source);
            }
            // The client went away before it was accepted: its affair, and no reason to stop listening.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => (),
            // No file descriptor is left, most likely: one is free again when a connection ends.
            Err(error) => {
                // Once for as long as it lasts: clients could fill the log with it.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "TCP connections can't be accepted; it is tried again until they can.");
                }
                tokio::time::sleep(super::RETRY_AFTER).await;
            }
        }
    }
}

fn admit<N: Next>(door: &Arc<Door<N>>, connections: &Arc<Connections>, stream: TcpStream, source: SocketAddr) {
    let client = Client::new(source, Transport::Tcp);
    let Some(place) = connections.place(client.address(), door.shared_metrics()) else {
        return door.metrics().dns.tcp_refused.inc();
    };
    let (config, owner) = (connections.config, Arc::clone(door));
    door.tasks.spawn(async move {
        converse(&owner, stream, client, &config).await;
        drop(place);
    });
}

/// One response on its way to the connection's writer.
struct Framed {
    message: Vec<u8>,
    ledger: Ledger,
    outcome: Outcome,
    rcode: u16,
}

/// Reads, answers and writes one connection until either side has enough.
async fn converse<N: Next>(door: &Arc<Door<N>>, stream: TcpStream, client: Client, config: &TcpConfig) {
    // A response is one write of one segment; it must not wait for an acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let (sender, receiver) = mpsc::channel(UNTAKEN_MAX);
    let hang_up = CancellationToken::new();
    let writing = tokio::spawn(write(Arc::clone(door), writer, receiver, config.slow, hang_up.clone()));
    read(door, reader, &sender, client, config, &hang_up).await;
    // Queries still open hold senders of their own: the writer ends after the last of them.
    drop(sender);
    let _ended = writing.await;
}

/// Reads queries. What needs no waiting is answered before the next one is read, so a client that takes no answers is soon
/// not read any more and costs no memory; what has to wait goes on in a task of its own and overtakes nothing.
async fn read<N: Next>(
    door: &Arc<Door<N>>,
    mut reader: OwnedReadHalf,
    sender: &mpsc::Sender<Framed>,
    client: Client,
    config: &TcpConfig,
    hang_up: &CancellationToken,
) {
    let open = Arc::new(Semaphore::new(config.queries_in_flight_max));
    loop {
        // Closed only ever by this function's caller going away, so this can't fail; to stop reading is right if it does.
        let Ok(slot) = Arc::clone(&open).acquire_owned().await else { return };
        let idle = open.available_permits() + 1 == config.queries_in_flight_max;
        let message = tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            () = hang_up.cancelled() => return,
            message = frame(&mut reader, config, idle) => message,
        };
        let Some(message) = message else { return };
        let mut ledger = door.opened(&client);
        // A query that makes the server panic costs itself and not the connection: its ledger counts it as dropped.
        let at_once = catch_unwind(AssertUnwindSafe(|| {
            door.at_once(&door.view(), &message, &client, &mut ledger, door.now(), &mut Vec::new())
        }));
        match at_once {
            Err(_panic) => continue,
            Ok(Ok(ending)) => {
                hand_over(door, ending, ledger, sender, hang_up).await;
                continue;
            }
            Ok(Err(_unanswered)) => (),
        }
        let Some(permit) = door.permit() else {
            door.shed(&message, &client);
            ledger.dropped(DropReason::Shed);
            continue;
        };
        let (owner, sender, hang_up) = (Arc::clone(door), sender.clone(), hang_up.clone());
        door.tasks.spawn(async move {
            let ending = owner.carry(message, client, &mut ledger).await;
            // The answer is there: that its client may be slow to take it is no reason to keep others from asking.
            drop(permit);
            hand_over(&owner, ending, ledger, &sender, &hang_up).await;
            drop(slot);
        });
    }
}

/// Gives a response to the connection's writer, or ends the message without one.
async fn hand_over<N: Next>(
    door: &Door<N>,
    ending: Ending,
    ledger: Ledger,
    sender: &mpsc::Sender<Framed>,
    hang_up: &CancellationToken,
) {
    match ending {
        Ending::Silence(reason) => {
            door.closed(ledger, End::Dropped(reason));
            // To drop one answer of a stream is to leave its client guessing, so the stream is closed.
            if reason == DropReason::PolicyDrop {
                hang_up.cancel();
            }
        }
        Ending::Response { message, outcome, rcode } => {
            // The writer may be gone: the ledger goes with the frame and counts the client as gone.
            let _gone = sender.send(Framed { message, ledger, outcome, rcode }).await;
        }
    }
}

/// The next message. `None`: the client closed, was idle or slow for too long, or sent half a message.
async fn frame(reader: &mut OwnedReadHalf, config: &TcpConfig, idle: bool) -> Option<Vec<u8>> {
    let mut size = [0; 2];
    let first = reader.read(&mut size[..1]);
    // While answers are open, the client may well be waiting for them in silence.
    let patience = if idle { config.idle } else { config.idle.max(config.slow) };
    let octets = tokio::time::timeout(patience, first).await.ok()?.ok()?;
    if octets == 0 {
        return None;
    }
    let rest = async {
        reader.read_exact(&mut size[1..]).await?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        reader.read_exact(&mut message).await?;
        io::Result::Ok(message)
    };
    tokio::time::timeout(config.slow, rest).await.ok()?.ok()
}

async fn write<N: Next>(
    door: Arc<Door<N>>,
    mut writer: OwnedWriteHalf,
    mut receiver: mpsc::Receiver<Framed>,
    slow: Duration,
    hang_up: CancellationToken,
) {
    while let Some(framed) = receiver.recv().await {
        // Length and message in one write (RFC 7766 §8).
        let mut octets = Vec::with_capacity(framed.message.len() + 2);
        octets.extend_from_slice(&u16::try_from(framed.message.len()).unwrap_or(u16::MAX).to_be_bytes());
        octets.extend_from_slice(&framed.message);
        let written = tokio::time::timeout(slow, writer.write_all(&octets)).await;
        let end = match written {
            Ok(Ok(())) => End::Sent { outcome: framed.outcome, rcode: framed.rcode },
            Ok(Err(_)) | Err(_) => End::Dropped(DropReason::ClientGone),
        };
        door.closed(framed.ledger, end);
        if matches!(end, End::Dropped(_)) {
            hang_up.cancel();
            return;
        }
    }
    let _best_effort = writer.shutdown().await;
}
