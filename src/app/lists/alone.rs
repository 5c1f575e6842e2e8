//! Lists fetched from the command line when no server runs: kept for the next start.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::judge::{New, NothingNew, ask, noted};
use super::{no_such_list, zone};
use crate::app::map;
use crate::app::upstreams::Wanted;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Loaded, Way};
use crate::lists::{Board, Row, Store};
use crate::metrics::{FetchResult, Metrics};
use crate::priority::beside;
use crate::upstream::{Ask, Questions, Tree, UpstreamError};
use crate::wire::Name;

/// Asks the upstreams themselves. There is no policy in force, and no client's question.
struct Straight(Arc<Tree>);

impl Questions for Straight {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Vec<u8>, UpstreamError>> {
        let upstreams = Arc::clone(&self.0.branch(ask.name.wire(), ask.qtype).upstreams);
        async move { upstreams.ask(&ask).await.map(|response| response.message) }.boxed()
    }

    fn bars(&self, _name: &Name, _qtype: u16) -> bool {
        false
    }
}

/// What is kept of the lists that come from elsewhere.
pub(crate) fn kept_lists(loaded: &Loaded) -> Vec<Row> {
    let board = Board::new(Arc::new(Metrics::new()));
    for list in &loaded.settings.lists {
        if let (Some(id), Some(elsewhere)) = (&list.id, &list.elsewhere) {
            board.show(&id.value, &elsewhere.source, Store::known(&list.path.value).as_ref());
        }
    }
    board.all()
}

/// Fetches these lists, all if none is named, and keeps what is new; `show` is called with the board before they begin.
///
/// # Errors
/// An id that no list has, or no upstream to ask.
pub(crate) async fn fetch_alone(
    loaded: &Loaded,
    ids: &[String],
    any_size: bool,
    show: impl FnOnce(Arc<Board>),
) -> Result<Vec<Row>, String> {
    let (metrics, clock) = (Arc::new(Metrics::new()), Clock::system());
    let lists =
        loaded.settings.lists.iter().filter_map(|list| Some((list, list.id.as_ref()?, list.elsewhere.as_ref()?)));
    let lists: Vec<_> = lists.collect();
    let known: Vec<&str> = lists.iter().map(|(_list, id, _elsewhere)| &*id.value).collect();
    if let Some(unknown) = ids.iter().find(|id| !known.contains(&id.as_str())) {
        return Err(no_such_list(unknown, &known));
    }
    let wanted = Wanted::read(&loaded.settings, loaded).map_err(|unknown| unknown.mistake.message)?;
    let cache = Arc::new(Cache::new(map::cache(&loaded.settings)));
    let questions = Straight(wanted.grow(None, &metrics, &cache, &clock));
    let (board, store) = (Arc::new(Board::new(Arc::clone(&metrics))), Store::new(&loaded.state_dir));
    show(Arc::clone(&board));
    for (list, id, elsewhere) in lists {
        let id = &id.value;
        if !ids.is_empty() && !ids.iter().any(|other| **other == **id) {
            continue;
        }
        board.show(id, &elsewhere.source, Store::known(&list.path.value).as_ref());
        let (progress, now) = (board.began(id), clock.now().wall);
        let new = match &elsewhere.way {
            Way::Url(subscribed) => {
                ask((&store, id), list, (elsewhere, subscribed), &questions, (now, any_size), &progress).await
            }
            Way::Zone(zone) => {
                let copy = zone::Copy::look(list, &elsewhere.source, None).await;
                let source = (elsewhere, &**zone);
                zone::ask((&store, id), list, source, copy.as_ref(), (&clock, &metrics), any_size).await
            }
        };
        let kept = match new {
            Ok(New::Unchanged(kept)) => {
                noted(&store, id, &kept).await;
                Ok((FetchResult::Unchanged, kept))
            }
            Ok(New::Changed(incoming, kept)) => {
                let (store, name, known) = (store.clone(), Arc::clone(id), kept.clone());
                let stored = beside(move || store.keep(&name, incoming, &known)).await;
                match stored {
                    Ok(Ok(())) => Ok((FetchResult::Changed, kept)),
                    Ok(Err(error)) => Err(NothingNew::failed(error.to_string())),
                    Err(error) => Err(NothingNew::failed(error.to_string())),
                }
            }
            Err(nothing) => Err(nothing),
        };
        match kept {
            Ok((result, kept)) => {
                board.show(id, &elsewhere.source, Some(&kept));
                board.ended(id, result, None);
            }
            Err(nothing) => board.ended(id, nothing.result, Some(nothing.why)),
        }
    }
    Ok(board.all())
}
