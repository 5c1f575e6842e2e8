//! One upstream of the set: its address, its health, how much it is asked at once, its TCP connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::config::Config;
use super::health::{Change, Health};
use super::message::{Judged, is_answer};
use super::stream::Stream;
use super::{BadPacket, FailReason, Observer, Protocol, Server};
use crate::wire::{Name, rcode};

/// One upstream as it is now, for people and health checks.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamStatus {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is asked.
    pub protocol: Protocol,
    /// Whether it is asked in its turn, rather than after all others.
    pub healthy: bool,
    /// Attempts open now.
    pub in_flight: usize,
    /// Attempts made, probes left out.
    pub queries: u64,
    /// Attempts that met silence or an error, and answers that another upstream had to give.
    pub failures: u64,
    /// Mean round trip in milliseconds; `None` before the first response.
    pub srtt_ms: Option<f64>,
}

/// One upstream.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) server: Server,
    pub(super) stream: Stream,
    pub(super) patience: Duration,
    health: Mutex<Health>,
    in_flight: Limit,
    late: Limit,
    observer: Arc<dyn Observer>,
    probe: Arc<Notify>,
}

/// So many at once.
struct Limit {
    max: usize,
    free: Arc<Semaphore>,
}

/// The right to have one attempt open, given back when dropped.
pub(super) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Member {
    /// `probe` is rung when the upstream falls ill.
    pub(super) fn new(
        index: usize,
        server: Server,
        config: &Config,
        observer: Arc<dyn Observer>,
        probe: Arc<Notify>,
    ) -> Self {
        observer.health(index, true);
        Self {
            index,
            server,
            stream: Stream::new(server.address, config),
            patience: config.patience,
            health: Mutex::default(),
            in_flight: Limit::new(config.in_flight_max.get()),
            late: Limit::new(config.late_max),
            observer,
            probe,
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health().is_healthy()
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let health = self.health();
        UpstreamStatus {
            address: self.server.address,
            protocol: self.server.protocol,
            healthy: health.is_healthy(),
            in_flight: self.in_flight.taken() + self.late.taken(),
            queries: health.queries,
            failures: health.failures,
            srtt_ms: health.round_trip_ms(),
        }
    }

    /// The right to make one attempt; `None`, and counted, when too many are open.
    pub(super) fn admit(&self) -> Option<Permit> {
        let Some(held) = self.in_flight.take() else {
            self.observer.failed(self.index, FailReason::Busy);
            return None;
        };
        self.health().queries += 1;
        Some(Permit(held))
    }

    /// A response came.
    pub(super) fn answered(&self, rcode: u16, after: Duration) {
        self.observer.answered(self.index, rcode, after.as_secs_f64());
        self.responded(rcode, after);
    }

    /// A response came to a query that is nobody's: it counts for health only.
    pub(super) fn responded(&self, rcode: u16, after: Duration) {
        let change = self.health().responded(is_answer(rcode), after);
        self.tell(change);
    }

    /// An attempt failed.
    pub(super) fn failed(&self, reason: FailReason, name: &Name) {
        self.observer.failed(self.index, reason);
        if reason.blames_upstream() {
            let change = self.health().failed(name);
            self.tell(change);
        }
    }

    /// Another upstream answered what this one would not.
    pub(super) fn was_outvoted(&self, name: &Name) {
        let change = self.health().was_outvoted(name);
        self.tell(change);
    }

    /// A packet was no response.
    pub(super) fn ignored(&self, reason: BadPacket) {
        self.observer.ignored(self.index, reason);
    }

    /// Waits for the end of an attempt with patience from `since` on, and counts it. When patience ends, the silence is
    /// counted; then the wait goes on if few enough others wait so, for as long as the caller likes.
    pub(super) async fn patiently(
        &self,
        permit: &mut Permit,
        since: Instant,
        name: &Name,
        attempt: impl Future<Output = Result<Judged, FailReason>>,
    ) -> Result<Judged, FailReason> {
        let mut attempt = pin!(attempt);
        let result = if let Ok(result) = timeout_at(since + self.patience, &mut attempt).await {
            result
        } else {
            self.failed(FailReason::Timeout, name);
            *permit = Permit(self.late.take().ok_or(FailReason::Timeout)?);
            attempt.await
        };
        match &result {
            Ok(Judged::Whole(response)) => self.answered(response.rcode, since.elapsed()),
            Ok(Judged::Bare(rcode)) => self.answered(*rcode, since.elapsed()),
            // The answer itself is yet to come, over TCP; that somebody is there is known already.
            Ok(Judged::Truncated) => self.responded(rcode::NOERROR, since.elapsed()),
            Err(reason) => self.failed(*reason, name),
        }
        result
    }

    fn tell(&self, change: Change) {
        let server = self.server;
        match change {
            Change::Nothing => return,
            Change::Ailing => {
                warn!(%server, "Upstream fails for several names; others are asked first.");
                self.probe.notify_one();
            }
            Change::Recovered => info!(%server, "Upstream answers again."),
        }
        self.observer.health(self.index, change == Change::Recovered);
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { max, free: Arc::new(Semaphore::new(max)) }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    fn taken(&self) -> usize {
        self.max - self.free.available_permits()
    }
}
