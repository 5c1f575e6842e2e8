//! Figures of some moments ago: what is read of years of presence is kept for a while, since a page is looked at again and again.

use std::sync::{Arc, Mutex, PoisonError};

use super::trouble::Trouble;
use crate::journal::{Presence, Store};
use crate::policy::Evidence;
use crate::report::{Asked, Class, Inventory, Sort, Subject};
use crate::time::Timestamp;

/// Figures are read again when they are so old.
const FRESH_MS: i64 = 30_000;
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
pub(in crate::admin) struct Memo(Mutex<Vec<Arc<Kept>>>);

impl Memo {
    /// The figures, read now or some moments ago. Held while they are read: whoever wants the same waits for them.
    pub(super) fn figures(&self, store: &Store, of: &Of, now: Timestamp) -> Result<Arc<Kept>, Trouble> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |kept: &Kept| now.as_millisecond().saturating_sub(kept.read.as_millisecond());
        // A clock that was set back must not keep them for ever.
        all.retain(|kept| (0..FRESH_MS).contains(&age(kept)));
        if let Some(kept) = all.iter().find(|kept| kept.of == *of) {
            return Ok(Arc::clone(kept));
        }
        let inventory = Inventory::read(&store.presence()?, &of.subject())?;
        let kept = Arc::new(Kept { of: of.clone(), read: now, inventory, orders: Mutex::default() });
        all.truncate(KEPT_MAX - 1);
        all.insert(0, Arc::clone(&kept));
        Ok(kept)
    }
}
