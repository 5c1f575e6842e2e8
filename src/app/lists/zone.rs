//! Who follows one list that is a policy zone: looks at its serial when the zone says so and when a primary gives notice, and
//! transfers what is newer.

use std::sync::Arc;
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
use crate::transfer::{Came, Fault, Held, Triggers};
use crate::wire::LowerName;

/// Until a zone has come that says how often to look.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// Between two looks for notices: a primary may give as many as it likes.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the zone until it is dropped.
pub(super) async fn follow(
    lists: Arc<Lists>,
    id: Arc<str>,
    list: ListFile,
    (elsewhere, zone): (Elsewhere, Box<ZoneList>),
    mut wishes: mpsc::Receiver<Wish>,
    notices: Arc<Notify>,
) {
    let name = LowerName::from(&zone.wanted.zone).to_string();
    let kept = intact(&list, &elsewhere.source).await;
    // What came before the start is shown; it may have changed since, whatever it says itself.
    shown(&lists.metrics, &name, &list, kept.as_ref(), &lists.clock).await;
    let mut wait = Duration::ZERO;
    loop {
        let now = lists.clock.now().wall;
        lists.board.due(&id, now.saturating_add(wait).unwrap_or(now));
        let wish = tokio::select! {
            () = tokio::time::sleep(wait) => None,
            () = notices.notified() => None,
            wish = wishes.recv() => match wish {
                None => return,
                Some(wish) => Some(wish),
            },
        };
        let any_size = wish.as_ref().is_some_and(|wish| wish.any_size);
        let fetched = fetch(&lists, &id, &list, &elsewhere, any_size).await;
        let kept = Store::known(&list.path.value).filter(|kept| kept.source == elsewhere.source);
        let held = shown(&lists.metrics, &name, &list, kept.as_ref(), &lists.clock).await;
        let pace = held.map(|held| if fetched.is_ok() { held.soa.refresh() } else { held.soa.retry() });
        // Spread, so that those who were started together do not ask together for ever.
        wait = pace.unwrap_or(FIRST_RETRY).mul_f64(1.0 - rand::random::<f64>() / 10.0);
        drop(wish);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Shows in metrics what is kept of a zone and how old that is, and says loudly when the zone itself says that it is too old: it
/// stays in force, since nobody has said that what it bans is allowed.
async fn shown(
    metrics: &Arc<Metrics>,
    name: &str,
    list: &ListFile,
    kept: Option<&Kept>,
    clock: &Clock,
) -> Option<Held> {
    let (path, checked) = (list.path.value.clone(), kept?.checked);
    let counted = beside(move || Some((Held::read(&path)?, Triggers::count(&path).ok()?))).await;
    let (held, triggers) = counted.ok()??;
    let age = Duration::try_from(clock.now().wall.duration_since(checked)).unwrap_or_default();
    let expired = age > held.soa.expire();
    if expired {
        tracing::error!(
            zone = name,
            serial = held.soa.serial,
            age_seconds = age.as_secs(),
            "A zone has not been refreshed for longer than it says itself; it stays in force."
        );
    }
    metrics.zones.received(name).serial.set(u64::from(held.soa.serial));
    metrics.zones.show_records(name, &triggers.all());
    metrics.zones.show_age(name, Some(checked), expired);
    Some(held)
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
        Came::Whole(_) => TransferEnd::Axfr,
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
