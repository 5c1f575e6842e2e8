//! Takes over what arrives: to the disk, then one reload for all that has arrived by then.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Arrival;
use crate::app::parts::Parts;
use crate::priority::beside;

/// Takes over what arrives until `stop`; then nobody follows a list any longer.
pub(in crate::app) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let Some(mut arriving) = parts.lists.take_arriving() else { return };
    let store = parts.lists.store.clone();
    drop(beside(move || store.tidy()).await);
    while let Some(Some(arrival)) = stop.run_until_cancelled(arriving.recv()).await {
        take_over(&parts, arrival, &mut arriving).await;
    }
    parts.lists.followers().clear();
}

/// Keeps what has arrived and reloads.
async fn take_over(parts: &Parts, first: Arrival, arriving: &mut mpsc::Receiver<Arrival>) {
    let mut arrivals = vec![first];
    while let Ok(arrival) = arriving.try_recv() {
        arrivals.push(arrival);
    }
    // Nobody reads a list while it is exchanged.
    let reloading = parts.reloading.lock().await;
    let (mut waiting, mut ids) = (Vec::new(), Vec::new());
    for Arrival { id, incoming, kept, done } in arrivals {
        let (store, name) = (parts.lists.store.clone(), Arc::clone(&id));
        let stored = beside(move || store.keep(&name, incoming, &kept).map_err(|error| error.to_string())).await;
        match stored.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => {
                waiting.push(done);
                ids.push(id);
            }
            // Whoever waits may have gone.
            Err(why) => drop(done.send(Err(why))),
        }
    }
    if !ids.is_empty() {
        parts.reload_alone(&format!("lists came: {}", ids.join(", ")), &reloading).await;
    }
    let reload = parts.last_reload().clone();
    for done in waiting {
        let told = if reload.ok {
            Ok(())
        } else {
            Err(format!(
                "it is kept, and in force when the mistakes of the last reload are gone ({})",
                reload.mistakes.len()
            ))
        };
        drop(done.send(told));
    }
}
