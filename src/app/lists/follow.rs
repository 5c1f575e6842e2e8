//! Who follows one list at a URL: asks for it when it is due, and when somebody wants it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::judge::{New, NothingNew, ask, harmed, intact, noted};
use super::{Lists, Wish};
use crate::config::{Elsewhere, ListFile, Subscribed};
use crate::lists::Schedule;
use crate::upstream::Questions;

/// Follows the list until it is dropped.
pub(super) async fn follow(
    lists: Arc<Lists>,
    id: Arc<str>,
    list: ListFile,
    (elsewhere, subscribed): (Elsewhere, Box<Subscribed>),
    mut wishes: mpsc::Receiver<Wish>,
) {
    let mut schedule = Schedule::new(subscribed.subscription.refresh);
    let kept = intact(&list, &elsewhere.source, elsewhere.signed_by()).await;
    let now = lists.clock.now().wall;
    // A clock that was set back, or a copy from a machine that is ahead: nobody knows, and it is asked for in a while.
    let age = kept.map(|kept| Duration::try_from(now.duration_since(kept.checked)).unwrap_or_default());
    let mut wait = schedule.first(age, rand::random());
    loop {
        lists.board.due(&id, lists.clock.now().wall.saturating_add(wait).unwrap_or(now));
        let wish = tokio::select! {
            () = tokio::time::sleep(wait) => None,
            () = harmed(&list, &elsewhere) => None,
            wish = wishes.recv() => match wish {
                None => return,
                Some(wish) => Some(wish),
            },
        };
        let met = wish.map(|wish| wish.and_waiting(&mut wishes)).unwrap_or_default();
        let any_size = met.iter().any(|wish| wish.any_size);
        wait = match fetch(&lists, &id, &list, (&elsewhere, &subscribed), any_size).await {
            Ok(()) => schedule.succeeded(rand::random()),
            Err(retry_after) => schedule.failed(retry_after, rand::random()),
        };
    }
}

/// Asks once and sees what came in force.
async fn fetch(
    lists: &Lists,
    id: &Arc<str>,
    list: &ListFile,
    source: (&Elsewhere, &Subscribed),
    any_size: bool,
) -> Result<(), Option<Duration>> {
    let progress = lists.board.began(id);
    let now = lists.clock.now().wall;
    let questions: &dyn Questions = &*lists.chain;
    let asked = ask((&lists.store, id), list, source, questions, (now, any_size), &progress).await;
    settle(lists, id, source.0, asked).await
}

/// Sees what came in force; what is wrong goes to the board and the log.
pub(super) async fn settle(
    lists: &Lists,
    id: &Arc<str>,
    elsewhere: &Elsewhere,
    asked: Result<New, NothingNew>,
) -> Result<(), Option<Duration>> {
    let new = match asked {
        Ok(New::Changed(incoming, kept)) => lists.put_in_force(id, Some(incoming), kept).await,
        Ok(New::Unchanged(kept)) => {
            noted(&lists.store, id, &kept).await;
            // It may have come while a mistake elsewhere kept everything out of force.
            lists.put_in_force(id, None, kept).await
        }
        Err(nothing) => Err(nothing),
    };
    match new {
        Ok((result, kept)) => {
            tracing::info!(list = %id, result = result.as_str(), rules = kept.rules, "A list was asked for.");
            lists.board.show(id, &elsewhere.source, Some(&kept));
            lists.board.ended(id, result, None);
            Ok(())
        }
        Err(NothingNew { result, why, retry_after }) => {
            tracing::warn!(list = %id, result = result.as_str(), why, "A list has not come; what is kept stays in force.");
            lists.board.ended(id, result, Some(why));
            Err(retry_after)
        }
    }
}
