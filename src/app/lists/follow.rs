//! Who follows one list at a URL: asks for it when it is due, and when somebody wants it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Wish;
use super::judge::{New, NothingNew, ask, intact, noted};
use crate::app::parts::Parts;
use crate::config::{Elsewhere, ListFile, Way};
use crate::lists::{Schedule, Store};
use crate::metrics::FetchResult;
use crate::upstream::Questions;

/// Follows the list until it is dropped.
pub(super) async fn follow(
    parts: Arc<Parts>,
    id: Arc<str>,
    list: ListFile,
    elsewhere: Elsewhere,
    mut wishes: mpsc::Receiver<Wish>,
) {
    let Way::Url(subscribed) = &elsewhere.way;
    let store = Store::new(&parts.first.state_dir);
    let mut schedule = Schedule::new(subscribed.subscription.refresh);
    let kept = intact(&list, &elsewhere.source).await;
    let now = parts.clock.now().wall;
    // A clock that was set back, or a copy from a machine that is ahead: nobody knows, and it is asked for in a while.
    let age = kept.map(|kept| Duration::try_from(now.duration_since(kept.checked)).unwrap_or_default());
    let mut wait = schedule.first(age, rand::random());
    loop {
        parts.lists.board.due(&id, parts.clock.now().wall.saturating_add(wait).unwrap_or(now));
        let wish = tokio::select! {
            () = tokio::time::sleep(wait) => None,
            wish = wishes.recv() => match wish {
                None => return,
                Some(wish) => Some(wish),
            },
        };
        let any_size = wish.as_ref().is_some_and(|wish| wish.any_size);
        wait = match fetch(&parts, (&store, &id), &list, &elsewhere, any_size).await {
            Ok(()) => schedule.succeeded(rand::random()),
            Err(retry_after) => schedule.failed(retry_after, rand::random()),
        };
    }
}

/// Asks once and sees what came in force; what is wrong goes to the board and the log.
async fn fetch(
    parts: &Parts,
    (store, id): (&Store, &Arc<str>),
    list: &ListFile,
    elsewhere: &Elsewhere,
    any_size: bool,
) -> Result<(), Option<Duration>> {
    let progress = parts.lists.board.began(id);
    let now = parts.clock.now().wall;
    let questions: &dyn Questions = &*parts.chain;
    let new = match ask((store, id), list, elsewhere, questions, (now, any_size), &progress).await {
        Ok(New::Changed(incoming, kept)) => {
            let arrived = parts.lists.arrived(id, incoming, kept.clone()).await;
            arrived.map(|()| (FetchResult::Changed, kept)).map_err(NothingNew::failed)
        }
        Ok(New::Unchanged(kept)) => {
            noted(store, id, &kept).await;
            Ok((FetchResult::Unchanged, kept))
        }
        Err(nothing) => Err(nothing),
    };
    match new {
        Ok((result, kept)) => {
            tracing::info!(list = %id, result = result.as_str(), rules = kept.rules, "A list was asked for.");
            parts.lists.board.show(id, &elsewhere.source, Some(&kept));
            parts.lists.board.ended(id, result, None);
            Ok(())
        }
        Err(NothingNew { result, why, retry_after }) => {
            tracing::warn!(list = %id, result = result.as_str(), why, "A list has not come; what is kept stays in force.");
            parts.lists.board.ended(id, result, Some(why));
            Err(retry_after)
        }
    }
}
