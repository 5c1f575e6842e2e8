//! Figures of some moments ago: what is read of years of presence is kept for a while, since a page is looked at again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pasted::Pasted;
use super::trouble::Trouble;
use crate::journal::{Presence, Store};
use crate::policy::Evidence;
use crate::priority::yield_to_serving;
use crate::report::{Asked, Class, Inventory, Sort, Subject};
use crate::time::Timestamp;

/// Figures are read again when they are so old, …
const FRESH_MS: i64 = 30_000;
/// … and not shown any more when they are so old.
const OLD_MS: i64 = 600_000;
/// Figures that are kept at most: each holds some megabytes where there are a million devices.
const KEPT_MAX: usize = 6;

/// What figures are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) ban: String,
    pub(super) evidence: Evidence,
    pub(super) asked: Asked,
    pub(super) site: Option<String>,
}

impl Of {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { ban: &self.ban, evidence: self.evidence, asked: &self.asked, site: self.site.as_deref(), spans: &[] }
    }
}

/// An order of devices.
type Order = (Class, Sort, bool);

/// Figures, and the orders that were asked for.
pub(super) struct Kept {
    pub(super) of: Of,
    pub(super) read: Timestamp,
    pub(super) inventory: Inventory,
    orders: Mutex<Vec<(Order, Arc<Vec<u32>>)>>,
}

impl Kept {
    /// All devices of a class in an order.
    pub(super) fn numbers(&self, presence: &Presence<'_>, order: Order) -> Result<Arc<Vec<u32>>, Trouble> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_order, numbers)) = orders.iter().find(|(known, _numbers)| *known == order) {
            return Ok(Arc::clone(numbers));
        }
        let (class, sort, falling) = order;
        let numbers = Arc::new(self.inventory.numbers(presence, &self.of.subject(), class, (sort, falling))?);
        orders.truncate(3);
        orders.insert(0, (order, Arc::clone(&numbers)));
        Ok(numbers)
    }
}

/// The figures that are kept, the newest first.
#[derive(Default)]
pub(in crate::admin) struct Memo {
    kept: Mutex<Vec<Arc<Kept>>>,
    /// Lists to be previewed.
    pub(super) pasted: Pasted,
    /// Whether some are being read beside those who look.
    renewing: AtomicBool,
}

impl Memo {
    /// The figures, read now or some moments ago: old ones are shown once more while new ones are read, so that nobody waits
    /// but the first who asks for them. Held while that one reads them: whoever wants the same waits too.
    pub(super) fn figures(self: &Arc<Self>, store: &Store, of: &Of, now: Timestamp) -> Result<Arc<Kept>, Trouble> {
        let mut all = self.lock();
        // A clock that was set back must not keep them for ever.
        all.retain(|kept| (0..OLD_MS).contains(&age(kept, now)));
        if let Some(kept) = all.iter().find(|kept| kept.of == *of) {
            let kept = Arc::clone(kept);
            drop(all);
            if age(&kept, now) >= FRESH_MS {
                self.renew(store, of, now);
            }
            return Ok(kept);
        }
        let kept = Arc::new(read(store, of, now)?);
        keep(&mut all, Arc::clone(&kept));
        Ok(kept)
    }

    /// Reads them anew on a thread that makes way for others, one at a time.
    fn renew(self: &Arc<Self>, store: &Store, of: &Of, now: Timestamp) {
        if self.renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (memo, directory, of) = (Arc::clone(self), store.directory(), of.clone());
        let work = move || {
            yield_to_serving();
            let kept =
                Store::open_read_only(&directory).map_err(Trouble::from).and_then(|store| read(&store, &of, now));
            // What can't be read now is told to whoever asks when these are too old.
            if let Ok(kept) = kept {
                let mut all = memo.lock();
                all.retain(|kept| kept.of != of);
                keep(&mut all, Arc::new(kept));
            }
            memo.renewing.store(false, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("figures".to_owned()).spawn(work).is_err() {
            self.renewing.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age(kept: &Kept, now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(kept.read.as_millisecond())
}

fn keep(all: &mut Vec<Arc<Kept>>, kept: Arc<Kept>) {
    all.truncate(KEPT_MAX - 1);
    all.insert(0, kept);
}

fn read(store: &Store, of: &Of, now: Timestamp) -> Result<Kept, Trouble> {
    let inventory = Inventory::read(&store.presence()?, &of.subject())?;
    Ok(Kept { of: of.clone(), read: now, inventory, orders: Mutex::default() })
}
