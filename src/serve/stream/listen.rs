//! Accepting connections: whatever happens to the listening socket, clients that connect are served as soon as they can be.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpListener;

use crate::serve::RETRY_AFTER;
use crate::serve::door::Door;
use crate::serve::next::Next;
use crate::socket::{self, AcceptFault};

use super::Places;
use super::attend::{Arrival, attend};
use super::line::Line;

/// Accepts connections until the door stops. A socket that accepts no more is bound anew.
pub(in crate::serve) async fn listen<N: Next>(
    door: Arc<Door<N>>,
    mut listener: TcpListener,
    address: SocketAddr,
    line: Line,
    places: Arc<Places>,
) {
    loop {
        // A panic costs this socket and not the listener.
        let ended = AssertUnwindSafe(accept_all(&door, &listener, &line, &places)).catch_unwind().await;
        let Some(error) = ended.unwrap_or_else(|_panic| Some(io::Error::other("its task panicked"))) else { return };
        tracing::error!(%address, %error, "A TCP listener died; it is bound anew.");
        door.metrics().connections.rebound.inc();
        // Or its address would be taken.
        drop(listener);
        let Some(again) = rebind(&door, address).await else { return };
        tracing::info!(%address, "A TCP listener is bound again.");
        listener = again;
    }
}

/// Binds `address` as soon as it can be; `None` once the door stops.
async fn rebind<N: Next>(door: &Door<N>, address: SocketAddr) -> Option<TcpListener> {
    loop {
        if let Ok(listener) = socket::tcp(address).and_then(TcpListener::from_std) {
            return Some(listener);
        }
        let wait = tokio::time::sleep(RETRY_AFTER);
        door.stop.run_until_cancelled(wait).await?;
    }
}

/// Accepts until the door stops, or until the socket dies, which is the error returned.
async fn accept_all<N: Next>(
    door: &Arc<Door<N>>,
    listener: &TcpListener,
    line: &Line,
    places: &Arc<Places>,
) -> Option<io::Error> {
    let mut failing = false;
    loop {
        let accepted = door.stop.run_until_cancelled(listener.accept()).await?;
        let error = match accepted {
            Ok((stream, source)) => {
                failing = false;
                attend(door, places, Arrival::now(door, line, stream, source));
                // Whoever made way goes before the next one comes, or a flood would leave their descriptors piled up.
                if places.are_taken() {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            Err(error) => error,
        };
        let wait = match AcceptFault::of(&error) {
            AcceptFault::Socket => return Some(error),
            // An error that keeps coming must cost no processor, whatever it is.
            AcceptFault::Connection => Duration::from_millis(1),
            AcceptFault::Shortage => {
                // Once for as long as it lasts: clients could fill the log with it.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "TCP connections can't be accepted; it is tried again until they can.");
                }
                // Whoever waits in the kernel's queue need not wait until a client hangs up by itself.
                places.make_way();
                RETRY_AFTER
            }
        };
        tokio::time::sleep(wait).await;
    }
}
