//! One upstream of a group, and all that is known of it: whoever asks it tells it here what came of that.

use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::casing::Casing;
use super::config::Config;
use super::echo::Echo;
use super::health::{Change, Health, Spoken};
use super::limit::{Limits, Permit};
use super::message::{Judged, is_answer};
use super::order::Candidate;
use super::round_trip::RoundTrip;
use super::said::Said;
use super::source::Source;
use super::stream::Stream;
use super::{BadPacket, FailReason, Observer, Server};
use crate::wire::Name;

/// What is said of an upstream that leads back here.
const LOOPS: &str = "it forwards to this server";

/// One upstream as it is now, for people and health checks.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamStatus {
    /// The upstream.
    pub server: Server,
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
    /// Why it can't be asked at present, as far as there is more to say than that it is silent.
    pub trouble: Option<Arc<str>>,
}

/// One upstream.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) server: Server,
    /// Whether its AD bit is believed.
    pub(super) vouches: bool,
    pub(super) stream: Stream,
    pub(super) source: Source,
    pub(super) patience: Duration,
    hedge: Duration,
    pub(super) casing: Casing,
    pub(super) echo: Echo,
    /// Whether it has been silent since it was last sought in a circle.
    suspect: AtomicBool,
    queries: AtomicU64,
    round_trip: RoundTrip,
    health: Mutex<Health>,
    /// What `health` says of itself, for those who only ask: whether it is healthy, and whether an answer changes anything.
    healthy: AtomicBool,
    calm: AtomicBool,
    said: Mutex<Said>,
    limits: Limits,
    observer: Arc<dyn Observer>,
    probe: Arc<Notify>,
}

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
            stream: Stream::new(&server, config),
            limits: Limits::new(&server, config),
            vouches: config.trust_ad && server.is_out_of_reach(),
            server,
            source: config.source.clone(),
            patience: config.patience,
            hedge: config.hedge,
            casing: Casing::default(),
            echo: Echo::default(),
            suspect: AtomicBool::new(false),
            queries: AtomicU64::new(0),
            round_trip: RoundTrip::default(),
            health: Mutex::default(),
            healthy: AtomicBool::new(true),
            calm: AtomicBool::new(true),
            said: Mutex::default(),
            observer,
            probe,
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// What its turn depends on.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { index: self.index, healthy: self.is_healthy(), mean: self.round_trip.seconds() }
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let health = self.health();
        UpstreamStatus {
            server: self.server.clone(),
            healthy: health.is_healthy(),
            in_flight: self.limits.open(),
            queries: self.queries.load(Ordering::Relaxed),
            failures: health.failures,
            srtt_ms: self.round_trip.seconds().map(|mean| mean * 1000.0),
            trouble: if self.echo.loops() { Some(LOOPS.into()) } else { self.stream.trouble() },
        }
    }

    /// The right to make one attempt; `None`, and counted, when too many are open.
    pub(super) fn admit(&self) -> Option<Permit> {
        let permit = self.admit_again()?;
        self.queries.fetch_add(1, Ordering::Relaxed);
        Some(permit)
    }

    /// The same for an attempt that goes on by other means and was counted when it began.
    pub(super) fn admit_again(&self) -> Option<Permit> {
        let permit = self.limits.permit();
        if permit.is_none() {
            self.was_busy();
        }
        permit
    }

    /// Whether one more question may be open here.
    pub(super) fn has_room(&self) -> bool {
        self.limits.has_room()
    }

    /// An attempt was not made because too many are open.
    pub(super) fn was_busy(&self) {
        self.observer.failed(self.index, FailReason::Busy);
    }

    /// Counts one attempt over a socket that many share; `false`, and not counted, when too many are open. To be given
    /// back with [`Member::leave`].
    #[must_use]
    pub(super) fn enter(&self) -> bool {
        let entered = self.limits.enter();
        if entered {
            self.queries.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// So many attempts of [`Member::enter`] have ended.
    pub(super) fn leave(&self, attempts: usize) {
        self.limits.leave(attempts);
    }

    /// A response came.
    pub(super) fn answered(&self, rcode: u16, after: Duration) {
        self.observer.answered(self.index, rcode, after.as_secs_f64());
        self.responded(rcode, after);
    }

    /// The same, counted elsewhere or later.
    pub(super) fn responded(&self, rcode: u16, after: Duration) {
        self.spoke(is_answer(rcode), after);
    }

    /// A response came that is of no use.
    pub(super) fn was_useless(&self, after: Duration) {
        self.observer.failed(self.index, FailReason::Unusable);
        self.spoke(false, after);
    }

    /// The beginning of a response came: the rest is yet to come, over TCP, and with it whatever is to be said of health. Of one
    /// that is silent there, clients have nothing.
    pub(super) fn was_truncated(&self, after: Duration) {
        self.round_trip.add(after);
    }

    fn spoke(&self, answer: bool, after: Duration) {
        self.round_trip.add(after);
        // Nearly always, so that threads that ask the same upstream don't wait for each other.
        if answer && self.calm.load(Ordering::Relaxed) {
            return;
        }
        self.change(|health| health.responded(Spoken { answer, quick: after < self.hedge }, Instant::now()));
    }

    /// A response came to a probe; `usual` is what the best of the others takes for theirs.
    pub(super) fn probed(&self, answer: bool, after: Duration, usual: Duration) {
        self.round_trip.add(after);
        let quick = after < self.hedge || after < 2 * usual;
        self.change(|health| health.probed(Spoken { answer, quick }, Instant::now()));
    }

    /// The mean time of its answers.
    pub(super) fn mean(&self) -> Option<Duration> {
        self.round_trip.seconds().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// An attempt failed.
    pub(super) fn failed(&self, reason: FailReason, name: &Name) {
        self.observer.failed(self.index, reason);
        if reason == FailReason::Timeout {
            self.suspect.store(true, Ordering::Relaxed);
        }
        if reason.blames_upstream() {
            self.change(|health| health.failed(name, Instant::now()));
        }
    }

    /// Another upstream answered what this one would not.
    pub(super) fn was_outvoted(&self, name: &Name) {
        self.change(|health| health.was_outvoted(name, Instant::now()));
    }

    /// Another upstream, asked later, has answered before this one.
    pub(super) fn was_outrun(&self, name: &Name) {
        self.change(|health| health.was_outrun(name, Instant::now()));
    }

    /// Takes in that a number came here as a query; says whether it was made up for this upstream.
    pub(super) fn hears(&self, number: NonZeroU64) -> bool {
        let heard = self.echo.hears(number);
        if heard == Some(true) {
            tracing::error!(server = %self.server, "Upstream forwards to this server: it is not asked until it no longer does.");
        }
        heard.is_some()
    }

    /// Whether it may lead back here, since something was wrong since this was last asked.
    pub(super) fn takes_suspicion(&self) -> bool {
        let silent = self.suspect.swap(false, Ordering::Relaxed);
        silent || self.echo.loops() || !self.is_healthy()
    }

    /// The name made up for this upstream has had its time.
    pub(super) fn sought(&self) {
        if self.echo.sought() {
            info!(server = %self.server, "Upstream no longer forwards to this server.");
        }
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
            if !self.limits.outlasts_patience(permit) {
                return Err(FailReason::Timeout);
            }
            attempt.await
        };
        match &result {
            Ok(Judged::Whole(response)) => self.answered(response.rcode, since.elapsed()),
            Ok(Judged::Bare(rcode)) => self.answered(*rcode, since.elapsed()),
            Ok(Judged::Useless) => self.was_useless(since.elapsed()),
            Ok(Judged::Truncated) => self.was_truncated(since.elapsed()),
            Err(reason) => self.failed(*reason, name),
        }
        result
    }

    fn change(&self, what: impl FnOnce(&mut Health) -> Change) {
        let mut health = self.health();
        let change = what(&mut health);
        self.healthy.store(health.is_healthy(), Ordering::Relaxed);
        self.calm.store(health.is_calm(), Ordering::Relaxed);
        drop(health);
        self.tell(change);
    }

    fn tell(&self, change: Change) {
        match change {
            Change::Nothing => return,
            Change::Ailing => self.probe.notify_one(),
            Change::Recovered => (),
        }
        self.observer.health(self.index, change == Change::Recovered);
        self.say();
    }

    /// Logs how the upstream is doing if that is due.
    pub(super) fn say(&self) {
        let (server, healthy) = (&self.server, self.is_healthy());
        if !self.said.lock().unwrap_or_else(PoisonError::into_inner).is_due(healthy, Instant::now()) {
            return;
        }
        if healthy {
            info!(%server, "Upstream answers again.");
        } else {
            warn!(%server, "Upstream fails or is late for several names; others are asked first.");
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
