//! How much an upstream is asked at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Config, Protocol, Server};

/// The limits of one upstream: on attempts of their own sockets or connections, and on all questions that are open there.
pub(super) struct Limits {
    /// Attempts within their patience.
    patient: Arc<Semaphore>,
    /// Attempts that stay open beyond it.
    late: Arc<Semaphore>,
    all: Arc<All>,
}

/// All questions open at an upstream, by whatever means.
struct All {
    max: usize,
    open: AtomicUsize,
}

/// The right to have one attempt open, given back when dropped.
pub(super) struct Permit {
    /// One of those within their patience, or of those beyond.
    own: OwnedSemaphorePermit,
    all: Arc<All>,
}

impl Limits {
    pub(super) fn new(server: &Server, config: &Config) -> Self {
        // A socket for each question is dear; a share of a connection is not.
        let (patient, late) = match server.protocol() {
            Protocol::Plain => (config.in_flight_max.get(), config.late_max),
            _ => (config.streams_max.get(), config.streams_max.get()),
        };
        let permits = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        let all = Arc::new(All { max: config.open_max, open: AtomicUsize::new(0) });
        Self { patient: permits(patient), late: permits(late), all }
    }

    /// The right to one attempt, if there is room for it.
    pub(super) fn permit(&self) -> Option<Permit> {
        let own = Arc::clone(&self.patient).try_acquire_owned().ok()?;
        self.enter().then(|| Permit { own, all: Arc::clone(&self.all) })
    }

    /// Counts an attempt among those beyond their patience from now on; `false` if there are enough of them.
    #[must_use]
    pub(super) fn outlasts_patience(&self, permit: &mut Permit) -> bool {
        let late = Arc::clone(&self.late).try_acquire_owned();
        late.map(|late| permit.own = late).is_ok()
    }

    /// Counts one question that has no permit; `false`, and not counted, when too many are open.
    #[must_use]
    pub(super) fn enter(&self) -> bool {
        let entered = self.all.open.fetch_add(1, Ordering::Relaxed) < self.all.max;
        if !entered {
            self.leave(1);
        }
        entered
    }

    /// So many questions of [`Limits::enter`] have ended.
    pub(super) fn leave(&self, questions: usize) {
        self.all.open.fetch_sub(questions, Ordering::Relaxed);
    }

    /// Questions open now.
    pub(super) fn open(&self) -> usize {
        self.all.open.load(Ordering::Relaxed)
    }

    /// Whether one more question may be open.
    pub(super) fn has_room(&self) -> bool {
        self.open() < self.all.max
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Servers;

    #[test]
    fn every_question_has_its_place_and_gives_it_back() {
        let server = Server::plain(([192, 0, 2, 1], 53).into());
        let servers = Servers::new(vec![server.clone()]).unwrap();
        let two = std::num::NonZeroUsize::new(2).unwrap();
        let limits =
            Limits::new(&server, &Config { in_flight_max: two, late_max: 1, open_max: 3, ..Config::new(servers) });
        let (mut first, mut second) = (limits.permit().unwrap(), limits.permit().unwrap());
        assert!(limits.permit().is_none() && limits.has_room(), "two of their own");
        assert!(limits.outlasts_patience(&mut first) && !limits.outlasts_patience(&mut second), "one beyond patience");
        let third = limits.permit().unwrap();
        assert!(!limits.has_room() && !limits.enter() && limits.open() == 3, "three in all");
        drop((first, second, third));
        assert!(limits.enter() && limits.open() == 1);
        limits.leave(1);
        assert_eq!(limits.open(), 0);
    }
}
