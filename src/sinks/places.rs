//! How far each sink has come.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::Mark;
use super::spool::Spool;

/// How far each sink has come, and with that what may be removed.
#[derive(Debug)]
pub(super) struct Places {
    spool: Arc<Spool>,
    places: Mutex<BTreeMap<Arc<str>, Mark>>,
}

impl Places {
    /// Of no sinks yet.
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, places: Mutex::default() }
    }

    /// Takes these sinks and no others from now on. One that is new begins here, one that was here before where it was then.
    pub(super) fn keep(&self, sinks: &[Arc<str>]) {
        let head = self.spool.head();
        let mut places = self.places();
        places.retain(|id, _place| sinks.contains(id));
        for id in sinks {
            places.entry(Arc::clone(id)).or_insert_with(|| {
                self.spool.place(id).unwrap_or_else(|| {
                    // Or the next start would take it for new again. What can't be written is written when it has taken something.
                    self.spool.note(id, head).unwrap_or_default();
                    head
                })
            });
        }
        drop(places);
        self.spool.forget_but(&sinks.iter().map(|id| &**id).collect::<Vec<_>>());
        self.trim();
    }

    /// How far this sink has come.
    pub(super) fn of(&self, id: &str) -> Option<Mark> {
        self.places().get(id).copied()
    }

    /// Notes how far it has come. Blocks.
    pub(super) fn note(&self, id: &Arc<str>, at: Mark) -> io::Result<()> {
        match self.places().get_mut(id) {
            Some(place) => *place = at,
            // It is none any more.
            None => return Ok(()),
        }
        let noted = self.spool.note(id, at);
        self.trim();
        noted
    }

    /// Attempts that wait for each sink.
    pub(super) fn waiting(&self) -> Vec<(Arc<str>, u64)> {
        let head = self.spool.head();
        let waiting = |(id, at): (&Arc<str>, &Mark)| (Arc::clone(id), head.attempts.saturating_sub(at.attempts));
        self.places().iter().map(waiting).collect()
    }

    fn trim(&self) {
        let unread = self.places().values().copied().min().unwrap_or_else(|| self.spool.head());
        self.spool.trim(unread);
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Mark>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
