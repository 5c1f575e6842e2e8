//! Takes over what arrives: to the disk, then one reload for all that has arrived by then.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::follow::follow;
use super::{Arrival, Follower, WISHES_MAX};
use crate::app::parts::Parts;
use crate::lists::Store;
use crate::priority::beside;

/// Has every list from elsewhere followed, and takes over what arrives, until `stop`.
pub(in crate::app) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let Some(mut arriving) = parts.lists.take_arriving() else { return };
    let store = Store::new(&parts.first.state_dir);
    let tidying = store.clone();
    drop(beside(move || tidying.tidy()).await);
    loop {
        parts.follow_lists();
        tokio::select! {
            () = stop.cancelled() => break,
            () = parts.lists.renamed.notified() => {}
            Some(arrival) = arriving.recv() => take_over(&parts, &store, arrival, &mut arriving).await,
        }
    }
    parts.lists.followers().clear();
}

/// Keeps what has arrived and reloads.
async fn take_over(parts: &Parts, store: &Store, first: Arrival, arriving: &mut mpsc::Receiver<Arrival>) {
    let mut arrivals = vec![first];
    while let Ok(arrival) = arriving.try_recv() {
        arrivals.push(arrival);
    }
    // Nobody reads a list while it is exchanged.
    let reloading = parts.reloading.lock().await;
    let (mut waiting, mut ids) = (Vec::new(), Vec::new());
    for Arrival { id, incoming, kept, done } in arrivals {
        let (store, name) = (store.clone(), Arc::clone(&id));
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

impl Parts {
    /// Has the lists followed that the configuration names, and no others; one that is named as before goes on as it is.
    fn follow_lists(self: &Arc<Self>) {
        let loaded = self.loaded.load_full();
        let named = loaded
            .settings
            .lists
            .iter()
            .filter_map(|list| Some((Arc::clone(&list.id.as_ref()?.value), list, list.elsewhere.as_ref()?)));
        let named: Vec<_> = named.collect();
        let ids: Vec<Arc<str>> = named.iter().map(|(id, ..)| Arc::clone(id)).collect();
        let mut followers = self.lists.followers();
        followers.retain(|id, follower| named.iter().any(|(other, list, _)| other == id && **list == follower.list));
        self.lists.board.retain(&ids);
        for (id, list, elsewhere) in named {
            if followers.contains_key(&id) {
                continue;
            }
            self.lists.board.show(&id, &elsewhere.source, Store::known(&list.path.value).as_ref());
            let (sender, wishes) = mpsc::channel(WISHES_MAX);
            let following = follow(Arc::clone(self), Arc::clone(&id), list.clone(), elsewhere.clone(), wishes);
            let task = AbortOnDropHandle::new(tokio::spawn(following));
            followers.insert(id, Follower { list: list.clone(), wishes: sender, _task: task });
        }
    }
}
