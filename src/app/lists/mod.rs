//! Lists that come from elsewhere: each has somebody who follows its source, and what arrives is put in force by one door.
//!
//! ```text
//! follow   asks for one list when it is due or somebody wants it     one task for each list
//! zone     the same for a policy zone, by its own pace and when a primary gives notice
//! judge    whether what came is a list that may be kept
//! mend     a kept list that is damaged, by the last good copy of it
//! keep     takes what arrives over: to the disk, then a reload       one task for all
//! alone    the same from the command line, without a server
//! ```

mod alone;
mod follow;
mod judge;
mod keep;
mod mend;
mod zone;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::config::{Elsewhere, ListFile, Way};
use crate::lists::{Board, Incoming, Kept, Store};
use crate::metrics::{FetchResult, Metrics};
use crate::serve::Chain;
use crate::transfer::Notices;
use crate::wire::Name;

pub(crate) use alone::{fetch_alone, kept_lists};
use follow::follow;
use judge::NothingNew;
pub(super) use keep::keep;
pub(super) use mend::mend;
use zone::Watched;
pub(super) use zone::ZoneState;

/// Lists that wait to be taken over at a time.
const ARRIVALS_MAX: usize = 16;
/// Wishes for one list that wait at a time.
const WISHES_MAX: usize = 4;

/// All lists from elsewhere of a server.
pub(super) struct Lists {
    /// How each is doing.
    pub(super) board: Board,
    store: Store,
    /// Who knows where their sources are.
    chain: Arc<Chain>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Who waits for notices of primaries.
    pub(super) notices: Arc<Notices>,
    followers: Mutex<BTreeMap<Arc<str>, Follower>>,
    /// What is kept and could not be put in force, by list.
    unenforced: Mutex<BTreeMap<Arc<str>, Kept>>,
    arrivals: mpsc::Sender<Arrival>,
    /// Until somebody takes over what arrives.
    arriving: Mutex<Option<mpsc::Receiver<Arrival>>>,
}

/// Who follows the source of one list.
struct Follower {
    list: ListFile,
    wishes: mpsc::Sender<Wish>,
    /// What is heard and known of it, if it is a zone.
    zone: Option<Watched>,
    _task: AbortOnDropHandle<()>,
}

/// A list by its id, and where to say that it is wanted.
type Wanted = (Arc<str>, mpsc::Sender<Wish>);

/// Somebody wants a list now.
pub(super) struct Wish {
    /// Whatever its size: an operator has looked at it.
    any_size: bool,
    /// Dropped when it is done, however it went.
    _done: oneshot::Sender<()>,
}

impl Wish {
    /// This one and all that wait behind it: to ask once is enough for all of them.
    fn and_waiting(self, wishes: &mut mpsc::Receiver<Self>) -> Vec<Self> {
        let waiting = std::iter::from_fn(|| wishes.try_recv().ok());
        std::iter::once(self).chain(waiting).take(WISHES_MAX).collect()
    }
}

/// A version of a list that is to be kept and put in force.
pub(super) struct Arrival {
    id: Arc<str>,
    /// `None`: it is kept already, and has to be in force.
    incoming: Option<Incoming>,
    kept: Kept,
    /// Told when it is in force, or why it is not.
    done: oneshot::Sender<Result<(), String>>,
}

impl Lists {
    /// None yet. Their names are asked of `chain`.
    pub(super) fn new(state_dir: &Path, metrics: &Arc<Metrics>, chain: &Arc<Chain>, clock: &Clock) -> Self {
        let (arrivals, arriving) = mpsc::channel(ARRIVALS_MAX);
        Self {
            board: Board::new(Arc::clone(metrics)),
            store: Store::new(state_dir),
            chain: Arc::clone(chain),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            notices: Arc::new(Notices::new(metrics, clock.clone())),
            followers: Mutex::default(),
            unenforced: Mutex::default(),
            arrivals,
            arriving: Mutex::new(Some(arriving)),
        }
    }

    /// Has the lists followed that the configuration names, and no others; one that is named as before goes on as it is. To be
    /// called in a tokio runtime.
    pub(super) fn follow(self: &Arc<Self>, lists: &[ListFile]) {
        let named = lists.iter().filter_map(|list| Some((&list.id.as_ref()?.value, list, list.elsewhere.as_ref()?)));
        let named: Vec<_> = named.collect();
        let mut followers = self.followers();
        let before: Vec<Arc<str>> = followers.keys().cloned().collect();
        for id in before.iter().filter(|id| !named.iter().any(|(other, ..)| other == id)) {
            // Whoever follows it is called off first.
            followers.remove(id);
            self.store.forget(id);
        }
        followers.retain(|id, follower| named.iter().any(|(other, list, _)| *other == id && **list == follower.list));
        self.unenforced().retain(|id, _kept| named.iter().any(|(other, ..)| *other == id));
        self.board.retain(&named.iter().map(|(id, ..)| Arc::clone(id)).collect::<Vec<_>>());
        for (id, list, elsewhere) in named {
            if followers.contains_key(id) {
                continue;
            }
            self.board.show(id, &elsewhere.source, Store::known(&list.path.value).as_ref());
            let (sender, wishes) = mpsc::channel(WISHES_MAX);
            let (zone, task) = self.begin(id, list, elsewhere, wishes);
            followers.insert(Arc::clone(id), Follower { list: list.clone(), wishes: sender, zone, _task: task });
        }
        self.notices
            .hear_of(followers.values().filter_map(|follower| follower.zone.as_ref()).map(Watched::heard).collect());
    }

    /// The zones among them, and what is known of each.
    pub(super) fn zones(&self) -> Vec<(Name, Option<ZoneState>)> {
        self.followers().values().filter_map(|follower| follower.zone.as_ref()).map(Watched::state).collect()
    }

    /// Has somebody follow a list in its way.
    fn begin(
        self: &Arc<Self>,
        id: &Arc<str>,
        list: &ListFile,
        elsewhere: &Elsewhere,
        wishes: mpsc::Receiver<Wish>,
    ) -> (Option<Watched>, AbortOnDropHandle<()>) {
        let (lists, id, list, elsewhere) = (Arc::clone(self), Arc::clone(id), list.clone(), elsewhere.clone());
        match elsewhere.way.clone() {
            Way::Url(subscribed) => {
                let following = follow(lists, id, list, (elsewhere, subscribed), wishes);
                (None, AbortOnDropHandle::new(tokio::spawn(following)))
            }
            Way::Zone(zone) => {
                let watched = Watched::new(&zone, &self.metrics);
                let following = zone::follow(lists, id, list, (elsewhere, zone), wishes, watched.clone());
                (Some(watched), AbortOnDropHandle::new(tokio::spawn(following)))
            }
        }
    }

    /// Keeps a version that has been judged, unless it is kept already, puts it in force, and returns when it is: what has changed
    /// by that.
    ///
    /// # Errors
    /// Why it is not.
    async fn put_in_force(
        &self,
        id: &Arc<str>,
        incoming: Option<Incoming>,
        kept: Kept,
    ) -> Result<(FetchResult, Kept), NothingNew> {
        // One that has waited for a good reload comes into force only now, though its source has nothing new.
        let waited = self.unenforced().remove(id).is_some();
        let result = if waited || incoming.is_some() { FetchResult::Changed } else { FetchResult::Unchanged };
        match self.arrived(id, incoming, kept.clone()).await {
            Ok(()) => Ok((result, kept)),
            Err(why) => {
                self.unenforced().insert(Arc::clone(id), kept);
                Err(NothingNew::failed(why))
            }
        }
    }

    /// Shows the lists that have come into force by a reload that was not theirs; `is_enforced`: whether the policy has this version.
    pub(super) fn show_enforced(&self, is_enforced: impl Fn(&Arc<str>, &Kept) -> bool) {
        self.unenforced().retain(|id, kept| {
            let enforced = is_enforced(id, kept);
            if enforced {
                self.board.show(id, &kept.source, Some(kept));
                self.board.mended(id, FetchResult::Changed);
            }
            !enforced
        });
    }

    async fn arrived(&self, id: &Arc<str>, incoming: Option<Incoming>, kept: Kept) -> Result<(), String> {
        let (done, told) = oneshot::channel();
        let arrival = Arrival { id: Arc::clone(id), incoming, kept, done };
        let stopping = || "the server is stopping".to_owned();
        self.arrivals.send(arrival).await.map_err(|_nobody| stopping())?;
        told.await.unwrap_or_else(|_nobody| Err(stopping()))
    }

    /// Has these lists asked for now, all of them if none is named, and returns when that is done.
    ///
    /// # Errors
    /// An id that no list has.
    pub(super) async fn fetch(&self, ids: &[String], any_size: bool) -> Result<(), String> {
        let mut wished = JoinSet::new();
        for (_id, wishes) in self.wanted(ids)? {
            wished.spawn(async move {
                let (done, told) = oneshot::channel();
                // Where many wait already there is room once those have been taken. A list that is followed no longer is done with.
                if wishes.send(Wish { any_size, _done: done }).await.is_ok() {
                    // Dropped, which is an error to the channel and the sign to us.
                    drop(told.await);
                }
            });
        }
        wished.join_all().await;
        Ok(())
    }

    fn wanted(&self, ids: &[String]) -> Result<Vec<Wanted>, String> {
        let followers = self.followers();
        if let Some(unknown) = ids.iter().find(|id| !followers.contains_key(id.as_str())) {
            let known: Vec<&str> = followers.keys().map(|id| &**id).collect();
            return Err(no_such_list(unknown, &known));
        }
        let wanted =
            followers.iter().filter(|(id, _follower)| ids.is_empty() || ids.iter().any(|other| **other == ***id));
        Ok(wanted.map(|(id, follower)| (Arc::clone(id), follower.wishes.clone())).collect())
    }

    fn take_arriving(&self) -> Option<mpsc::Receiver<Arrival>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn unenforced(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Kept>> {
        self.unenforced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn followers(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Follower>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of an id that no list from elsewhere has.
fn no_such_list(id: &str, known: &[&str]) -> String {
    if known.is_empty() {
        format!("no list comes from elsewhere, so there is no `{id}`; a [[list]] with a `url` would")
    } else {
        format!("no list `{id}` comes from elsewhere; those that do: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_that_wait_are_met_together_and_one_of_an_operator_who_has_looked_counts_for_all() {
        let (sender, mut wishes) = mpsc::channel(WISHES_MAX);
        let mut told = Vec::new();
        for any_size in [false, true, false] {
            let (done, end) = oneshot::channel();
            assert!(sender.try_send(Wish { any_size, _done: done }).is_ok());
            told.push(end);
        }
        let first = wishes.recv().await.unwrap();
        let all = first.and_waiting(&mut wishes);
        assert!(wishes.is_empty() && all.iter().any(|wish| wish.any_size));
        assert!(told.iter_mut().all(|end| end.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
        drop(all);
        assert!(told.iter_mut().all(|end| end.try_recv() == Err(oneshot::error::TryRecvError::Closed)));
    }
}
