//! Who follows one list that is a policy zone: looks at its serial when the zone says so and when a primary gives notice, and
//! transfers what is newer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::follow::settle;
use super::judge::{New, NothingNew, harmed, intact, judged};
use super::{Lists, Wish};
use crate::app::watch::Mark;
use crate::clock::Clock;
use crate::config::{Elsewhere, ListFile, ZoneList};
use crate::lists::{Kept, Schedule, Store};
use crate::metrics::{FetchResult, Metrics, TransferEnd};
use crate::priority::beside;
use crate::time::{Mono, Timestamp};
use crate::transfer::{Came, Fault, HeardOf, Held, Transferred, Triggers};
use crate::wire::{LowerName, Name};

/// Until a zone has come that says how often to look.
const FIRST_REFRESH: Duration = Duration::from_secs(60);
/// Between two looks for notices: whoever can pretend to be a primary may give as many as it likes. A look is one question about
/// the serial; longer, and a true notice right after a false one would wait too long.
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

    /// Shows in metrics and to who asks what is kept of a zone and how old that is, and says loudly once when the zone itself says
    /// that it is too old: it stays in force, since nobody has said that what it bans is allowed.
    fn show(&self, metrics: &Metrics, copy: &Copy, clock: &Clock) {
        let Copy { kept, held, triggers, .. } = copy;
        let ((refreshed, age), triggers) = (refreshed(kept, clock.now().wall), *triggers);
        let (name, serial) = (LowerName::from(&self.name).to_string(), held.soa.serial);
        let expired = age.is_some_and(|age| age > held.soa.expire());
        let told = self.state.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|before| before.expired);
        if let Some(age) = age.filter(|_age| expired && !told) {
            let age = age.as_secs();
            tracing::error!(zone = name, serial, age_seconds = age, "A zone has expired; it stays in force.");
        } else if told && !expired {
            tracing::info!(zone = name, serial, "A zone that had expired is refreshed.");
        }
        metrics.zones.received(&name).serial.set(u64::from(serial));
        metrics.zones.show_received(&name, &triggers.all());
        metrics.zones.show_age(&name, Some(refreshed), expired);
        let state = ZoneState { serial, triggers, refreshed, expired };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// Returns when a primary gives notice, or has given it since the last look at `looked`, but not too soon after that.
    async fn notified(&self, looked: Option<Mono>, clock: &Clock) {
        self.wake.notified().await;
        let since = looked.map_or(PAUSE, |looked| clock.now().mono.since(looked));
        tokio::time::sleep(PAUSE.saturating_sub(since)).await;
    }
}

/// When a primary last said that a zone is the newest, or else when it came; and how long ago the former was, if anybody knows: a
/// copy that was mended was checked nobody knows when, and is asked for soon.
fn refreshed(kept: &Kept, now: Timestamp) -> (Timestamp, Option<Duration>) {
    let age = kept.checked().map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    (kept.checked().unwrap_or(kept.fetched), age)
}

/// What is kept of a zone, read and found whole.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    kept: Kept,
    held: Held,
    triggers: Triggers,
    /// Of the file that was read.
    mark: Mark,
}

impl Copy {
    /// Looks at what is kept of a list. All of it is read only if it is not the file of `known`: it may be large, and a look
    /// costs whoever gives notice nothing.
    pub(super) async fn look(list: &ListFile, source: &str, known: Option<Self>) -> Option<Self> {
        let path = list.path.value.clone();
        let mark = Mark::of(&path)?;
        if let Some(known) = known.filter(|known| known.mark == mark)
            && let Some(kept) = Store::known(&path).filter(|kept| kept.digest == known.kept.digest)
        {
            return Some(Self { kept, ..known });
        }
        let kept = intact(list, source, None).await?;
        let read = beside(move || Some((Held::read(&path)?, Triggers::count(&path).ok()?))).await;
        let (held, triggers) = read.ok()??;
        Some(Self { kept, held, triggers, mark })
    }
}

/// Follows the zone until it is dropped.
pub(super) async fn follow(
    lists: Arc<Lists>,
    id: Arc<str>,
    list: ListFile,
    (elsewhere, zone): (Elsewhere, Box<ZoneList>),
    mut wishes: mpsc::Receiver<Wish>,
    watched: Watched,
) {
    let (clock, metrics) = (&lists.clock, &lists.metrics);
    let mut schedule = Schedule::new(FIRST_REFRESH);
    // At once, whatever is kept: it may have changed since, and who gave notice was not heard.
    let (mut copy, mut wait, mut looked) = (None, Duration::ZERO, None);
    loop {
        copy = Copy::look(&list, &elsewhere.source, copy).await;
        if let Some(copy) = &copy {
            watched.show(metrics, copy, clock);
            schedule.paces(copy.held.soa.refresh(), copy.held.soa.retry());
        }
        let now = clock.now().wall;
        lists.board.due(&id, now.saturating_add(wait).unwrap_or(now));
        let wish = tokio::select! {
            () = tokio::time::sleep(wait) => None,
            () = watched.notified(looked, clock) => None,
            () = harmed(&list, &elsewhere) => None,
            wish = wishes.recv() => match wish {
                None => return,
                Some(wish) => Some(wish),
            },
        };
        let met = wish.map(|wish| wish.and_waiting(&mut wishes)).unwrap_or_default();
        let any_size = met.iter().any(|wish| wish.any_size);
        let _progress = lists.board.began(&id);
        let source = (&elsewhere, &*zone);
        let asked = ask((&lists.store, &id), &list, source, copy.as_ref(), (clock, metrics), any_size).await;
        wait = match settle(&lists, &id, &elsewhere, asked).await {
            Ok(()) => schedule.succeeded(rand::random()),
            Err(retry_after) => schedule.failed(retry_after, rand::random()),
        };
        looked = Some(clock.now().mono);
    }
}

/// Asks the primaries of a zone, one after the other until one has it; `any_size`: an operator has looked at what they have.
pub(super) async fn ask(
    (store, id): (&Store, &Arc<str>),
    list: &ListFile,
    (elsewhere, zone): (&Elsewhere, &ZoneList),
    copy: Option<&Copy>,
    (clock, metrics): (&Clock, &Metrics),
    any_size: bool,
) -> Result<New, NothingNew> {
    let kept = copy.map(|copy| &copy.kept);
    // To take it whatever its size, it must come.
    let held = copy.filter(|_copy| !any_size).map(|copy| &copy.held);
    let cells = metrics.zones.received(&LowerName::from(&zone.wanted.zone).to_string());
    let mut faults = Vec::new();
    let mut refused = false;
    for &primary in &zone.wanted.primaries {
        let (wanted, held, clock_there) = (zone.keyed(), held.cloned(), clock.clone());
        let (store_there, id_there) = (store.clone(), Arc::clone(id));
        let fetched = beside(move || {
            let make = || store_there.receive(&id_there).map_err(std::io::Error::other);
            crate::transfer::fetch(&wanted, primary, held.as_ref(), &clock_there, make)
        });
        let fetched = fetched.await.map_err(|error| NothingNew::failed(error.to_string()))?;
        let now = clock.now().wall;
        let incoming = match (fetched, kept) {
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
        if let Some(kept) = kept.filter(|kept| kept.digest == digest) {
            return Ok(New::Unchanged(Kept { checked: now, ..kept.clone() }));
        }
        let rules = judged(list, elsewhere, &incoming, any_size).await?;
        let source = elsewhere.source.clone();
        let (fetched, checked, etag, last_modified) = (now, now, None, None);
        let (digest_before, signed_by) = (None, None);
        let kept =
            Kept { source, digest, digest_before, bytes, rules, fetched, checked, etag, last_modified, signed_by };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_was_mended_is_as_old_as_its_copy_and_not_expired() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let (came, now) = (at("2027-01-01T00:00:00Z"), at("2027-01-02T00:00:00Z"));
        let kept = Kept {
            source: "rpz.test".to_owned(),
            digest: "5f1c".to_owned(),
            digest_before: None,
            bytes: 1,
            rules: 1,
            fetched: came,
            checked: Kept::UNCHECKED,
            etag: None,
            last_modified: None,
            signed_by: None,
        };
        assert_eq!(refreshed(&kept, now), (came, None));
        let checked = at("2027-01-01T23:59:00Z");
        assert_eq!(refreshed(&Kept { checked, ..kept }, now), (checked, Some(Duration::from_secs(60))));
    }
}
