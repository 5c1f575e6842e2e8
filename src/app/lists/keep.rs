//! Takes over what arrives: to the disk, then one reload for all that has arrived by then.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Arrival;
use crate::app::parts::Parts;
use crate::lists::{Incoming, Kept};
use crate::policy::{ListInfo, Policy};
use crate::priority::beside;

/// Takes over what arrives until `stop`; then nobody follows a list any longer.
pub(in crate::app) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let Some(mut arriving) = parts.lists.take_arriving() else { return };
    let (store, named, now) = (parts.lists.store.clone(), named(&parts), parts.clock.now().wall);
    drop(beside(move || store.tidy(&named, now)).await);
    while let Some(Some(arrival)) = stop.run_until_cancelled(arriving.recv()).await {
        take_over(&parts, arrival, &mut arriving).await;
    }
    parts.lists.followers().clear();
}

/// The lists that come from elsewhere by the configuration.
fn named(parts: &Parts) -> Vec<Arc<str>> {
    let loaded = parts.loaded.load();
    let from_elsewhere = loaded.settings.lists.iter().filter(|list| list.elsewhere.is_some());
    from_elsewhere.filter_map(|list| Some(Arc::clone(&list.id.as_ref()?.value))).collect()
}

/// Keeps what has arrived and reloads, unless all of it is in force already.
async fn take_over(parts: &Parts, first: Arrival, arriving: &mut mpsc::Receiver<Arrival>) {
    let mut arrivals = vec![first];
    while let Ok(arrival) = arriving.try_recv() {
        arrivals.push(arrival);
    }
    // Nobody reads a list while it is exchanged; and files of the operator's are not read while they are written.
    let at_rest = parts.at_rest().await;
    let reloading = parts.reloading.lock().await;
    let (mut waiting, mut ids) = (Vec::new(), Vec::new());
    for Arrival { id, incoming, kept, done } in arrivals {
        let (digest, is_new) = (kept.digest.clone(), incoming.is_some());
        match store(parts, &id, incoming, kept).await {
            Ok(()) => {
                if is_new || !enforces(parts, &id, &digest) {
                    ids.push(Arc::clone(&id));
                }
                waiting.push((id, digest, done));
            }
            // Whoever waits may have gone.
            Err(why) => drop(done.send(Err(why))),
        }
    }
    if !ids.is_empty() {
        let why = format!("lists came: {}", ids.join(", "));
        drop(parts.reload_at_rest(&why, at_rest, reloading).await);
    }
    for (id, digest, done) in waiting {
        // What is in force counts, not how the reload went: a certificate that can't be read keeps no list out.
        let told = if enforces(parts, &id, &digest) { Ok(()) } else { Err(not_in_force(parts)) };
        drop(done.send(told));
    }
}

/// Puts a new version on the disk.
async fn store(parts: &Parts, id: &Arc<str>, incoming: Option<Incoming>, kept: Kept) -> Result<(), String> {
    let Some(incoming) = incoming else { return Ok(()) };
    let (store, name) = (parts.lists.store.clone(), Arc::clone(id));
    let stored = beside(move || store.keep(&name, incoming, &kept).map_err(|error| error.to_string())).await;
    stored.unwrap_or_else(|error| Err(error.to_string()))
}

/// Whether the policy in force has this version of a list.
fn enforces(parts: &Parts, id: &Arc<str>, digest: &str) -> bool {
    let is_it = |policy: &Policy, list: &ListInfo| {
        list.digest == digest && policy.bans().get(list.ban.0).is_some_and(|ban| ban.id == *id)
    };
    parts.guard.in_force().is_some_and(|force| force.policy.lists().iter().any(|list| is_it(&force.policy, list)))
}

impl Parts {
    /// After a reload: lists that it has put in force are no longer shown as wanting.
    pub(in crate::app) fn show_enforced_lists(&self) {
        self.lists.show_enforced(|id, kept| enforces(self, id, &kept.digest));
    }
}

fn not_in_force(parts: &Parts) -> String {
    let mistakes = &parts.last_reload().mistakes;
    let first = mistakes.first().map_or("no reason is known", String::as_str);
    format!(
        "it is kept, but not in force: the last reload took nothing, for {} mistakes; the first: {first}",
        mistakes.len()
    )
}
