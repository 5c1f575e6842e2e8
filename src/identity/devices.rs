//! Who holds which address, shared by whoever learns of it and whoever writes the record.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Binding, Bindings, Lease};
use crate::time::Timestamp;

/// Bindings as they are, and those of them that have changed since somebody took note.
#[derive(Debug, Default)]
pub struct Devices(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bindings: Bindings,
    /// A binding that changes often is noted once, as it is now.
    changed: HashMap<(IpAddr, Timestamp), Binding>,
}

impl Devices {
    /// Adds what was known before.
    pub fn restore(&self, known: impl IntoIterator<Item = Binding>) {
        self.lock().bindings.restore(known);
    }

    /// Whether [`Devices::take`] would end a binding that goes on ([`Bindings::ends`]).
    pub fn ends<'l>(&self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) -> bool {
        self.lock().bindings.ends(leases, now)
    }

    /// Takes over what all lease files say now ([`Bindings::take`]).
    pub fn take<'l>(&self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) {
        let mut inner = self.lock();
        for binding in inner.bindings.take(leases, now) {
            inner.changed.insert((binding.address, binding.from), binding);
        }
    }

    /// What tells best who held each address at its moment, in words; an empty text where that is not known.
    pub fn who<T>(&self, asked: impl Iterator<Item = (IpAddr, Timestamp)>, tell: impl FnMut(&str) -> T) -> Vec<T> {
        let (inner, mut tell) = (self.lock(), tell);
        asked
            .map(|(address, at)| {
                let holder = inner.bindings.at(address, at).and_then(Binding::strongest);
                tell(&holder.map(ToString::to_string).unwrap_or_default())
            })
            .collect()
    }

    /// Whether anything at all is known.
    pub fn is_empty(&self) -> bool {
        self.lock().bindings.is_empty()
    }

    /// Bindings that have begun or changed since the last call, each as it is now.
    pub fn changed(&self) -> Vec<Binding> {
        std::mem::take(&mut self.lock().changed).into_values().collect()
    }

    /// Gives back what could not be noted; what has changed since stays as it is.
    pub fn give_back(&self, changed: Vec<Binding>) {
        let mut inner = self.lock();
        for binding in changed {
            inner.changed.entry((binding.address, binding.from)).or_insert(binding);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
