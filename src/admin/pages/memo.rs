//! Figures of some moments ago: what is read of years of presence of many devices is kept for a while, since a page is looked at
//! again and again. Those of few devices are read anew each time: whoever tries the server out sees at once what it has recorded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pasted::Pasted;
use super::trouble::Trouble;
use crate::identity::Devices;
use crate::journal::{Presence, Store};
use crate::policy::Evidence;
use crate::priority::yield_to_serving;
use crate::report::{Asked, Class, Inventory, Sort, Subject};
use crate::time::Timestamp;

/// Figures are read again when they are so old, …
const FRESH_MS: i64 = 30_000;
/// … and not shown any more when they are so old.
const OLD_MS: i64 = 600_000;
/// Those that are to be there before anybody asks are read again when they are so old.
const WARM_MS: i64 = 300_000;
/// Figures are kept from so many devices on; those of fewer are read in some hundredths of a second.
const DEVICES_MIN: u32 = 20_000;
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
pub(super) type Order = (Class, Sort, bool);

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

/// The figures that are kept.
pub(in crate::admin) struct Memo {
    shelf: Mutex<Shelf>,
    /// From how many devices on.
    devices_min: u32,
    /// Held by whoever reads figures that were not there, so that nobody reads the same beside it; nobody else waits for it.
    reads: Mutex<()>,
    /// Whether some are being read beside those who look.
    renewing: AtomicBool,
    /// Lists to be previewed.
    pub(super) pasted: Pasted,
}

/// What is kept, the newest first, and what always is.
#[derive(Default)]
struct Shelf {
    kept: Vec<Arc<Kept>>,
    first: Option<Of>,
}

impl Shelf {
    fn find(&self, of: &Of) -> Option<Arc<Kept>> {
        self.kept.iter().find(|kept| kept.of == *of).map(Arc::clone)
    }

    /// Keeps these in place of those before; the oldest make room for them.
    fn put(&mut self, kept: &Arc<Kept>) {
        self.kept.retain(|known| known.of != kept.of);
        if self.kept.len() >= KEPT_MAX
            && let Some(oldest) = self.kept.iter().rposition(|known| Some(&known.of) != self.first.as_ref())
        {
            self.kept.remove(oldest);
        }
        self.kept.insert(0, Arc::clone(kept));
    }
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            shelf: Mutex::default(),
            devices_min: DEVICES_MIN,
            reads: Mutex::default(),
            renewing: AtomicBool::default(),
            pasted: Pasted::default(),
        }
    }
}

/// The record, and which names in it are of one device.
type Known<'r> = (&'r Store, &'r Arc<Devices>);

impl Memo {
    /// The figures, read now or some moments ago: old ones are shown once more while new ones are read, so that nobody waits
    /// but the first who asks for them.
    pub(super) fn figures(self: &Arc<Self>, record: Known<'_>, of: &Of, now: Timestamp) -> Result<Arc<Kept>, Trouble> {
        if let Some(kept) = self.known(of, now) {
            if age(&kept, now) >= FRESH_MS {
                self.renew(record, of, now);
            }
            return Ok(kept);
        }
        let _alone = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have read them meanwhile.
        match self.known(of, now) {
            Some(kept) => Ok(kept),
            None => self.read(record, of, now),
        }
    }

    /// The figures that are to be there before anybody asks, read now unless they are fresh. They never make room for others.
    /// Whoever asks for them meanwhile waits for them.
    pub(super) fn warm(&self, record: Known<'_>, of: &Of, now: Timestamp) -> Result<Arc<Kept>, Trouble> {
        self.shelf().first = Some(of.clone());
        let _alone = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        match self.known(of, now).filter(|kept| age(kept, now) < WARM_MS) {
            Some(kept) => Ok(kept),
            None => self.read(record, of, now),
        }
    }

    /// What is kept of these, unless it is too old.
    fn known(&self, of: &Of, now: Timestamp) -> Option<Arc<Kept>> {
        let mut all = self.shelf();
        // A clock that was set back must not keep them for ever.
        all.kept.retain(|kept| (0..OLD_MS).contains(&age(kept, now)));
        all.find(of)
    }

    fn read(&self, (store, devices): Known<'_>, of: &Of, now: Timestamp) -> Result<Arc<Kept>, Trouble> {
        let presence = store.presence()?.uniting(devices)?;
        let numbers =
            presence.numbered()?.iter().fold(0, |sum: u32, range| sum.saturating_add(range.end - range.first));
        let inventory = Inventory::read(&presence, &of.subject())?;
        let kept = Arc::new(Kept { of: of.clone(), read: now, inventory, orders: Mutex::default() });
        if numbers >= self.devices_min {
            self.shelf().put(&kept);
        }
        Ok(kept)
    }

    /// Reads them anew on a thread that makes way for others, one at a time.
    fn renew(self: &Arc<Self>, (store, devices): Known<'_>, of: &Of, now: Timestamp) {
        if self.renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (memo, directory, of, devices) = (Arc::clone(self), store.directory(), of.clone(), Arc::clone(devices));
        let work = move || {
            yield_to_serving();
            let store = Store::open_read_only(&directory).map_err(Trouble::from);
            // What can't be read now is told to whoever asks when these are too old.
            drop(store.and_then(|store| memo.read((&store, &devices), &of, now)));
            memo.renewing.store(false, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("figures".to_owned()).spawn(work).is_err() {
            self.renewing.store(false, Ordering::Relaxed);
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age(kept: &Kept, now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(kept.read.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Day;

    fn of(ban: usize) -> Of {
        let asked = Asked::new(Day(40), Day(49), Day(30)).unwrap();
        Of { ban: ban.to_string(), evidence: Evidence::Installed, asked, site: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_772_000_000 + second).unwrap()
    }

    #[test]
    fn what_is_to_be_there_stays_whatever_else_is_looked_at_and_is_read_again_when_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let (clock, _hands) = crate::clock::Clock::manual(crate::time::Now { wall: at(0), mono: crate::time::Mono(0) });
        let config = crate::journal::Config::new(directory.path());
        let journal = crate::journal::Journal::start(config, Arc::default(), clock).unwrap();
        journal.close(std::time::Duration::from_secs(20)).unwrap();
        let devices = Arc::default();
        let (memo, store) =
            (Arc::new(Memo { devices_min: 0, ..Memo::default() }), Store::open_read_only(directory.path()).unwrap());
        let warm = |second| memo.warm((&store, &devices), &of(0), at(second)).unwrap().read;
        assert_eq!((warm(0), warm(299), warm(300)), (at(0), at(0), at(300)));
        for other in 1..=2 * KEPT_MAX {
            memo.figures((&store, &devices), &of(other), at(310)).unwrap();
        }
        assert_eq!(memo.figures((&store, &devices), &of(0), at(320)).unwrap().read, at(300), "it was not read again");
        assert_eq!(memo.shelf().kept.len(), KEPT_MAX);
        assert_eq!(memo.figures((&store, &devices), &of(1), at(320)).unwrap().read, at(320), "it had made room");
        assert_eq!(memo.figures((&store, &devices), &of(0), at(200)).unwrap().read, at(200), "the clock was set back");
        assert_eq!(
            memo.figures((&store, &devices), &of(0), at(1_000)).unwrap().read,
            at(1_000),
            "it was too old to be shown"
        );
        let memo = Arc::new(Memo::default());
        assert_eq!(memo.warm((&store, &devices), &of(0), at(0)).unwrap().read, at(0));
        assert_eq!(
            memo.figures((&store, &devices), &of(0), at(1)).unwrap().read,
            at(1),
            "so few are read anew each time"
        );
    }
}
