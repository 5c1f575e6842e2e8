//! DNS over UDP: datagrams in, datagrams out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hickory_server::server::RequestHandler;
use tokio::net::UdpSocket;

use crate::metrics::{DropReason, Ledger};
use crate::wire::Transport;

use super::client::Client;
use super::door::{Door, End};
use super::said::Said;

/// Octets of a datagram at most (RFC 768); a longer one can't exist.
const DATAGRAM_MAX: usize = 65_535;

/// Reads `socket` until the door stops.
pub(super) async fn listen<H: RequestHandler>(door: Arc<Door<H>>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let read = tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            read = socket.recv_from(&mut buffer) => read,
        };
        match read {
            Ok((size, source)) => take(&door, &socket, &buffer[..size], source),
            // An ICMP error of an earlier response comes back here; it is that client's affair.
            Err(error) if passing(&error) => (),
            Err(error) => {
                tracing::warn!(%error, "A UDP socket could not be read.");
                tokio::time::sleep(super::RETRY_AFTER).await;
            }
        }
    }
}

/// Whether a read error says nothing about the socket itself.
fn passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | Interrupted | WouldBlock)
}

/// Answers one datagram: at once if nothing has to be waited for, else in a task of its own.
fn take<H: RequestHandler>(door: &Arc<Door<H>>, socket: &Arc<UdpSocket>, datagram: &[u8], source: SocketAddr) {
    let client = Client::new(source, Transport::Udp);
    let ledger = door.opened(&client);
    // Nobody can be answered at port 0, and such a source is forged.
    if source.port() == 0 {
        return ledger.dropped(DropReason::NotServed);
    }
    let Some(permit) = door.permit() else { return ledger.dropped(DropReason::Shed) };
    let (door, socket) = (Arc::clone(door), Arc::clone(socket));
    let tasks = door.tasks.clone();
    let mut answer = Box::pin(answer(door, socket, datagram.to_vec(), source, client, ledger));
    // A banned or cached name is answered by the first poll, without a task; a waker that does nothing is right for that
    // poll, since the task that goes on polls again and leaves its own.
    let mut context = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(&mut context)));
    // A query that makes the server panic costs itself and not the socket: its ledger counts it as dropped.
    if matches!(polled, Ok(Poll::Pending)) {
        tasks.spawn(async move {
            answer.await;
            drop(permit);
        });
    }
}

async fn answer<H: RequestHandler>(
    door: Arc<Door<H>>,
    socket: Arc<UdpSocket>,
    datagram: Vec<u8>,
    source: SocketAddr,
    client: Client,
    mut ledger: Ledger,
) {
    let end = match door.carry(datagram, client, &mut ledger).await {
        Said::Silence(reason) => End::Dropped(reason),
        Said::Response { message, outcome, rcode } => match socket.send_to(&message, source).await {
            Ok(_octets) => End::Sent { outcome, rcode },
            Err(_unreachable) => End::Dropped(DropReason::SendFailure),
        },
    };
    door.closed(ledger, end);
}
