//! Addresses that stood for many, until it is written.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Seen;
use crate::journal::StoreError;
use crate::journal::database::Database;
use crate::journal::presence;
use crate::time::Timestamp;

/// Addresses that wait at most: of one hour there is hardly ever more than one.
const WAITING_MAX: usize = 64;

/// Those that wait.
#[derive(Debug, Default)]
pub(in super::super) struct Crowds(Mutex<Vec<Seen>>);

impl Crowds {
    pub(in super::super) fn add(&self, address: IpAddr, at: Timestamp, site: Arc<str>) {
        self.give_back(vec![Seen { client: super::fold::bits(address), told: None, at, site }]);
    }

    pub(in super::super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.lock())
    }

    /// Gives back what could not be written.
    pub(in super::super) fn give_back(&self, seen: Vec<Seen>) {
        let mut waiting = self.lock();
        let room = WAITING_MAX.saturating_sub(waiting.len());
        waiting.extend(seen.into_iter().take(room));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    /// Adds who stood for many.
    pub(in super::super) fn add_crowds(&mut self, seen: &[Seen]) -> Result<(), StoreError> {
        let (devices, privacy) = (Arc::clone(&self.devices), Arc::clone(&self.privacy));
        let mut known = std::mem::take(&mut self.known);
        let added =
            self.transaction(|transaction| presence::add_crowds(transaction, seen, (&devices, &privacy), &mut known));
        if added.is_ok() {
            self.known = known;
        }
        added
    }
}
