//! Listening: who may connect, how many at once, and again when the socket could not be had or dies.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Around;
use super::bind::{Listener, Stream};
use super::config::{IntakeConfig, IntakeDoor};
use super::talk;
use crate::metrics::{IntakeCells, IntakeRefusal};

/// After a socket could not be had, it is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// After a connection could not be accepted, as without free descriptors, so long nothing is accepted.
const BREATH: Duration = Duration::from_millis(100);

/// Takes what senders tell until told to stop.
pub(super) async fn listen(config: IntakeConfig, cells: IntakeCells, around: Around, stop: CancellationToken) {
    let config = Arc::new(config);
    let mut trouble = false;
    let mut open = JoinSet::new();
    while !stop.is_cancelled() {
        match Listener::open(&config.door) {
            Ok(listener) => {
                trouble = false;
                cells.up.set(1);
                tracing::info!(intake = &*config.id, address = ?listener.address(), "Other resolvers can tell what they are asked.");
                let accepting = accept(&listener, &config, &cells, &around, &mut open, &stop);
                stop.run_until_cancelled(accepting).await;
                cells.up.set(0);
            }
            Err(error) => {
                cells.up.set(0);
                if !std::mem::replace(&mut trouble, true) {
                    tracing::error!(intake = &*config.id, %error, "The socket of an intake can't be had; it is tried again.");
                }
                stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        }
    }
    // Each of them hears it too, and records what it was told.
    while open.join_next().await.is_some() {}
}

async fn accept(
    listener: &Listener,
    config: &Arc<IntakeConfig>,
    cells: &IntakeCells,
    around: &Around,
    open: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(intake = &*config.id, %error, "A connection could not be accepted.");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        if let Some(refusal) = refusal(config, from, open.len()) {
            cells.refused(refusal).inc();
            tracing::warn!(
                intake = &*config.id,
                ?from,
                reason = refusal.as_str(),
                "A sender may not connect to an intake."
            );
            continue;
        }
        open.spawn(one(stream, Arc::clone(config), cells.clone(), around.clone(), stop.clone()));
    }
}

fn refusal(config: &IntakeConfig, from: Option<IpAddr>, open: usize) -> Option<IntakeRefusal> {
    let may = match (&config.door, from) {
        (IntakeDoor::Tcp { from: networks, .. }, Some(address)) => {
            networks.iter().any(|network| network.contains(&address))
        }
        _ => true,
    };
    if !may {
        return Some(IntakeRefusal::Address);
    }
    (open >= config.connections_max).then_some(IntakeRefusal::Places)
}

async fn one(
    stream: Box<dyn Stream>,
    config: Arc<IntakeConfig>,
    cells: IntakeCells,
    around: Around,
    stop: CancellationToken,
) {
    cells.connections.inc();
    let ended = talk::hear(stream, &config, &cells, &around, &stop).await;
    cells.connections.dec();
    match ended {
        Ok(()) => tracing::debug!(intake = &*config.id, "A sender has told everything."),
        Err(error) => {
            if error.is_refusal() {
                cells.refused(IntakeRefusal::Protocol).inc();
            }
            tracing::warn!(intake = &*config.id, %error, "The connection of a sender to an intake has ended.");
        }
    }
}
