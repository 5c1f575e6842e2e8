//! Who has come, for whoever wants to know more of them than their addresses.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Seen;
use crate::journal::asked::address;

/// Addresses that wait to be taken at most; who has no room comes again in an hour.
const WAITING_MAX: usize = 16_384;

/// Addresses of clients that were active, until they are taken.
#[derive(Debug, Default)]
pub(in super::super) struct Met {
    on: AtomicBool,
    waiting: Mutex<Vec<IpAddr>>,
}

impl Met {
    /// Whether anybody wants to know.
    pub(in super::super) fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Notes these; those that a server has named otherwise are known by that.
    pub(in super::super) fn add(&self, seen: &[Seen]) {
        if self.on.load(Ordering::Relaxed) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let room = WAITING_MAX.saturating_sub(waiting.len());
            let unnamed = seen.iter().filter(|seen| seen.told.is_none());
            waiting.extend(unnamed.take(room).map(|seen| address(seen.client)));
        }
    }

    /// Takes them.
    pub(in super::super) fn take(&self) -> Vec<IpAddr> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
