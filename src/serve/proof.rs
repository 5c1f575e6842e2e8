//! The questions of DNSSEC validation: kept in the cache, asked once however many answers need them, and never about a name
//! that is banned.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::cache::{Cache, Entry, Key, KeyRef, KeyRest, Lookup};
use crate::clock::Clock;
use crate::policy::{self, Decision};
use crate::upstream::{Ask, Questions, Tree, UpstreamError};
use crate::wire::{Answer, LowerName, Name};

use super::flight::{Flights, Joined};
use super::guard::Guard;
use super::room::{Full, Room};

/// Keys and proofs that may be asked for at a time: as many as there may be questions of clients, of which each client has its
/// share, so that whoever asks for zones whose keys nobody answers for leaves room for others.
const OPEN_MAX: usize = 4096;

/// Asks for the keys between an anchor and an answer.
pub struct Chain {
    guard: Arc<Guard>,
    cache: Arc<Cache>,
    tree: Arc<ArcSwap<Tree>>,
    clock: Clock,
    open: Arc<Flights<Key, oneshot::Sender<Kept>>>,
    room: Arc<Room>,
}

/// An answer as the cache has it.
type Kept = Result<Arc<Entry>, UpstreamError>;

impl Chain {
    /// Asks the upstreams of `tree` for what `cache` does not know, whatever `guard` has nothing against.
    pub fn new(guard: Arc<Guard>, cache: Arc<Cache>, tree: Arc<ArcSwap<Tree>>, clock: Clock) -> Self {
        Self { guard, cache, tree, clock, open: Arc::new(Flights::new()), room: Room::new(OPEN_MAX) }
    }

    async fn find(&self, ask: Ask) -> Kept {
        let name = LowerName::from(&ask.name);
        let Ask { qtype, qclass, dnssec_ok, checking_disabled, .. } = ask;
        let key = KeyRef { name: &name, rest: KeyRest { qtype, qclass, dnssec_ok, checking_disabled } };
        if let Lookup::Fresh(entry) = self.cache.get(&key, self.clock.now().mono) {
            return Ok(entry);
        }
        let key = key.to_key();
        let (sender, found) = oneshot::channel();
        match self.open.join(&key, sender, || self.room.any().ok_or(Full::Room)) {
            Joined::First(_flight) => drop(tokio::spawn(self.fetch(ask, key))),
            Joined::Later => (),
            Joined::Full(..) => return Err(UpstreamError::Busy),
        }
        found.await.unwrap_or(Err(UpstreamError::Busy))
    }

    /// Asks, keeps and tells. A task of its own: whoever began to wait may give up, the others go on waiting.
    fn fetch(&self, ask: Ask, key: Key) -> impl Future<Output = ()> + Send + use<> {
        let upstreams = Arc::clone(&self.tree.load().branch(ask.name.wire(), ask.qtype).upstreams);
        let (cache, clock) = (Arc::clone(&self.cache), self.clock.clone());
        let landing = Landing { open: Arc::clone(&self.open), key, kept: Err(UpstreamError::Busy) };
        async move {
            let kept = upstreams.ask(&ask).await.and_then(|heard| {
                let answer =
                    Answer::keep(&heard.message, &heard.layout).map_err(|_malformed| UpstreamError::Unusable)?;
                Ok(cache.insert(landing.key.clone(), answer, false, clock.now().mono))
            });
            landing.land(kept);
        }
    }
}

/// Tells those who wait for an answer, however asking for it ended: its task may be aborted or panic.
struct Landing {
    open: Arc<Flights<Key, oneshot::Sender<Kept>>>,
    key: Key,
    kept: Kept,
}

impl Landing {
    /// Tells them this.
    fn land(mut self, kept: Kept) {
        self.kept = kept;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        for waiting in self.open.land(&self.key) {
            // Who has gone needs no answer.
            drop(waiting.send(self.kept.clone()));
        }
    }
}

impl Questions for Chain {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Vec<u8>, UpstreamError>> {
        async move { self.find(ask).await.map(|entry| entry.answer.body().to_vec()) }.boxed()
    }

    fn bars(&self, name: &Name, qtype: u16) -> bool {
        // Without policy nothing is asked: fail closed.
        let Some(in_force) = self.guard.in_force() else { return true };
        let (name, now) = (LowerName::from(name), self.clock.now().wall);
        // Nobody's question, so no client's exception applies.
        matches!(in_force.policy.decide(&name, qtype, &policy::Client::NOBODY, now).decision, Decision::Enforce(..))
    }
}
