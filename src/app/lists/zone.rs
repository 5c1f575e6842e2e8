//! Who follows one list that is a policy zone: looks at its serial when the zone says so and when a primary gives notice, and
//! transfers what is newer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::follow::fetch;
use super::judge::{New, NothingNew, intact, judged};
use super::{Lists, Wish};
use crate::clock::Clock;
use crate::config::{Elsewhere, ListFile, ZoneList};
use crate::lists::{Kept, Store};
use crate::metrics::{FetchResult, Metrics, TransferEnd};
use crate::priority::beside;
use crate::time::Timestamp;
use crate::transfer::{Came, Fault, HeardOf, Held, Transferred, Triggers};
use crate::wire::{LowerName, Name};

/// Until a zone has come that says how often to look.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// Between two looks for notices: a primary may give as many as it likes.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a zone that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct ZoneState {
    /// Its version.
    pub(in crate::app) serial: u32,
    /// Its records.
    pub(in crate::app) triggers: Triggers,
    /// When a primary last said that this is the newest version.
    pub(in crate::app) refreshed: Timestamp,
    /// Whether that is longer ago than the zone says itself.
    pub(in crate::app) expired: bool,
}

/// A zone that is followed: how its notices are heard, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    heard: HeardOf,
    wake: Arc<Notify>,
    name: Name,
    state: Arc<Mutex<Option<ZoneState>>>,
}

impl Watched {
    /// Nothing is known of it yet.
    pub(super) fn new(zone: &ZoneList, metrics: &Metrics) -> Self {
        let (wake, Transferred { zone, primaries, key, .. }) = (Arc::new(Notify::new()), zone.keyed());
        let heard = HeardOf::new(&zone, &primaries, key, Arc::clone(&wake), metrics);
        Self { heard, wake, name: zone, state: Arc::default() }
    }

    /// How its notices are heard.
    pub(super) fn heard(&self) -> HeardOf {
        self.heard.clone()
    }

    /// Its name, and what is known of it.
    pub(super) fn state(&self) -> (Name, Option<ZoneState>) {
        (self.name.clone(), *self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows in metrics and to who asks what is kept of a zone and how old that is, and says loudly when the zone itself says that
    /// it is too old: it stays in force, since nobody has said that what it bans is allowed.
    async fn show(&self, metrics: &Metrics, list: &ListFile, kept: Option<&Kept>, clock: &Clock) -> Option<Held> {
        let (path, refreshed) = (list.path.value.clone(), kept?.checked);
        let counted = beside(move || Some((Held::read(&path)?, Triggers::count(&path).ok()?))).await;
        let (held, triggers) = counted.ok()??;
        let age = Duration::try_from(clock.now().wall.duration_since(refreshed)).unwrap_or_default();
        let (name, serial) = (LowerName::from(&self.name).to_string(), held.soa.serial);
        let expired = age > held.soa.expire();
        if expired {
            let age = age.as_secs();
            tracing::error!(zone = name, serial, age_seconds = age, "A zone has expired; it stays in force.");
        }
        metrics.zones.received(&name).serial.set(u64::from(serial));
        metrics.zones.show_received(&name, &triggers.all());
        metrics.zones.show_age(&name, Some(refreshed), expired);
        let state = ZoneState { serial, triggers, refreshed, expired };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Some(held)
    }
}

/// Follows the zone until it is dropped.
pub(super) async fn follow(
    lists: Arc<Lists>,
    id: Arc<str>,
    list: ListFile,
    elsewhere: Elsewhere,
    mut wishes: mpsc::Receiver<Wish>,
    watched: Watched,
) {
    let kept = intact(&list, &elsewhere.source).await;
    // What came before the start is shown; it may have changed since, whatever it says itself.
    watched.show(&lists.metrics, &list, kept.as_ref(), &lists.clock).await;
    let mut wait = Duration::ZERO;
    loop {
        let now = lists.clock.now().wall;
        lists.board.due(&id, now.saturating_add(wait).unwrap_or(now));
        let wish = tokio::select! {
            () = tokio::time::sleep(wait) => None,
            () = watched.wake.notified() => None,
            wish = wishes.recv() => match wish {
                None => return,
                Some(wish) => Some(wish),
            },
        };
        let any_size = wish.as_ref().is_some_and(|wish| wish.any_size);
        let fetched = fetch(&lists, &id, &list, &elsewhere, any_size).await;
        let kept = Store::known(&list.path.value).filter(|kept| kept.source == elsewhere.source);
        let held = watched.show(&lists.metrics, &list, kept.as_ref(), &lists.clock).await;
        let pace = held.map(|held| if fetched.is_ok() { held.soa.refresh() } else { held.soa.retry() });
        // Spread, so that those who were started together do not ask together for ever.
        wait = pace.unwrap_or(FIRST_RETRY).mul_f64(1.0 - rand::random::<f64>() / 10.0);
        drop(wish);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the primaries of a zone, one after the other until one has it; `any_size`: an operator has looked at what they have.
pub(super) async fn ask(
    (store, id): (&Store, &Arc<str>),
    list: &ListFile,
    (elsewhere, zone): (&Elsewhere, &ZoneList),
    (clock, metrics): (&Clock, &Metrics),
    any_size: bool,
) -> Result<New, NothingNew> {
    let kept = intact(list, &elsewhere.source).await;
    let held = kept.as_ref().filter(|_kept| !any_size).and_then(|_intact| Held::read(&list.path.value));
    let cells = metrics.zones.received(&LowerName::from(&zone.wanted.zone).to_string());
    let mut faults = Vec::new();
    let mut refused = false;
    for &primary in &zone.wanted.primaries {
        let (wanted, held, clock_there) = (zone.keyed(), held.clone(), clock.clone());
        let (store_there, id_there) = (store.clone(), Arc::clone(id));
        let fetched = beside(move || {
            let make = || store_there.receive(&id_there).map_err(std::io::Error::other);
            crate::transfer::fetch(&wanted, primary, held.as_ref(), &clock_there, make)
        });
        let fetched = fetched.await.map_err(|error| NothingNew::failed(error.to_string()))?;
        let now = clock.now().wall;
        let incoming = match (fetched, &kept) {
            (Ok((came, Some(incoming))), _) => {
                if let Came::Whole { instead: Some(fault), .. } = &came {
                    cells.ended(fault.end()).inc();
                }
                cells.ended(end(&came)).inc();
                incoming
            }
            (Ok((came, None)), Some(kept)) => {
                cells.ended(end(&came)).inc();
                return Ok(New::Unchanged(Kept { checked: now, ..kept.clone() }));
            }
            (Ok((_came, None)), None) => return Err(NothingNew::failed("nothing has come".to_owned())),
            (Err(fault), _) => {
                cells.ended(fault.end()).inc();
                refused |= is_refusal(&fault);
                faults.push(format!("{primary}: {fault}"));
                continue;
            }
        };
        let (digest, bytes) = (incoming.digest(), incoming.bytes());
        let rules = judged(list, elsewhere, &incoming, any_size).await?;
        let source = elsewhere.source.clone();
        let (fetched, checked, etag, last_modified) = (now, now, None, None);
        let kept = Kept { source, digest, digest_before: None, bytes, rules, fetched, checked, etag, last_modified };
        return Ok(New::Changed(incoming, kept));
    }
    let result = if refused { FetchResult::Refused } else { FetchResult::Failed };
    Err(NothingNew { result, why: faults.join("; "), retry_after: None })
}

fn end(came: &Came) -> TransferEnd {
    match came {
        Came::Current(_) => TransferEnd::Current,
        Came::Whole { .. } => TransferEnd::Axfr,
        Came::Changed { .. } => TransferEnd::Ixfr,
    }
}

/// Whether something came that is not believed.
fn is_refusal(fault: &Fault) -> bool {
    match fault {
        Fault::Signature(_) | Fault::Malformed(_) | Fault::Foreign(_) | Fault::TooLarge | Fault::Older { .. } => true,
        Fault::Io(_) | Fault::Cut { .. } | Fault::Slow { .. } | Fault::Rcode(_) | Fault::Unfit => false,
    }
}
