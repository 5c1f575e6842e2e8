//! One kept answer, from its birth until nobody may be given it any more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::Config;
use crate::time::Mono;
use crate::wire::Answer;

/// An answer is asked for again in this last part of its life, if it is popular.
const LAST_PART: u32 = 10;

/// One kept answer.
#[derive(Debug)]
pub struct Entry {
    /// What the upstream said.
    pub answer: Answer,
    /// Whether the upstream's AD bit is believed.
    pub authentic: bool,
    /// Whether it lives longer than its TTL.
    raised: bool,
    /// No TTL is given that would outlast this, counted from the upstream's answer.
    longest: Duration,
    /// How old it was when it was born here.
    aged: Duration,
    born: Mono,
    /// From here on it is asked for again if it is popular.
    due_from: Mono,
    fresh_until: Mono,
    stale_until: Mono,
    /// How often it is still to be asked for until it is popular. Written as often and then only read, so that the processors
    /// that give a popular answer don't wait for each other; a count lost between two of them only makes it popular later.
    unpopular: AtomicU32,
    /// Whether it has been asked for again.
    renewed: AtomicBool,
    /// When it was last asked for again in vain, in microseconds; 0: never.
    failed_at: AtomicU64,
    /// Whether what was to take its place is not what its zone has signed: beyond its TTL it is given to nobody.
    disproved: AtomicBool,
}

impl Entry {
    /// An answer that is given to its client and not kept; the upstream's AD bit is believed if `authentic`.
    pub fn unkept(answer: Answer, authentic: bool, now: Mono) -> Self {
        Self {
            answer,
            authentic,
            raised: false,
            longest: Duration::MAX,
            aged: Duration::ZERO,
            born: now,
            due_from: now,
            fresh_until: now,
            stale_until: now,
            unpopular: AtomicU32::new(0),
            renewed: AtomicBool::new(true),
            failed_at: AtomicU64::new(0),
            disproved: AtomicBool::new(false),
        }
    }

    /// An answer that came from its upstream `aged` before `now`, with the life that `config` gives it.
    pub(super) fn kept(config: &Config, answer: Answer, authentic: bool, aged: Duration, now: Mono) -> Self {
        let own = answer.lifetime().map(u64::from).map(Duration::from_secs);
        let negative = answer.is_negative();
        let longest = if negative { config.negative_ttl_max.min(config.ttl_max) } else { config.ttl_max };
        let shortest = if negative || own.is_none() { Duration::ZERO } else { config.ttl_min };
        let own = own.unwrap_or_default();
        let life = own.max(shortest).min(longest);
        let fresh = life.saturating_sub(aged);
        let fresh_until = now.plus(fresh);
        let stale = (life + config.stale_max).saturating_sub(aged);
        // What is never to be asked for again is never counted.
        let (unpopular, due_from) = match config.prefetch_hits {
            0 => (0, fresh_until),
            hits => (hits, now.plus(fresh.saturating_sub(life / LAST_PART))),
        };
        Self {
            answer,
            authentic,
            raised: own < life,
            longest,
            aged,
            born: now,
            due_from,
            fresh_until,
            stale_until: if life.is_zero() { now } else { now.plus(stale) },
            unpopular: AtomicU32::new(unpopular),
            renewed: AtomicBool::new(config.prefetch_hits == 0),
            failed_at: AtomicU64::new(0),
            disproved: AtomicBool::new(false),
        }
    }

    /// The TTL, in seconds, that no record of it may be given with any more: what the cache's own limit leaves.
    pub fn ttl_max(&self, now: Mono) -> u32 {
        whole_seconds(self.longest.saturating_sub(self.since_upstream(now)))
    }

    /// The TTL, in seconds, that every record of it is given with at least: none, unless it lives longer than its own TTL.
    pub fn ttl_min(&self, now: Mono) -> u32 {
        if self.raised { self.ttl_left(now) } else { 0 }
    }

    /// Seconds since the upstream sent it.
    pub fn age(&self, now: Mono) -> u32 {
        whole_seconds(self.since_upstream(now))
    }

    /// Seconds for which it is still fresh.
    pub fn ttl_left(&self, now: Mono) -> u32 {
        whole_seconds(self.fresh_until.since(now))
    }

    /// Seconds for which it may still be given at all.
    pub fn usable_left(&self, now: Mono) -> u32 {
        whole_seconds(self.stale_until.since(now))
    }

    /// Whether it is within its TTL.
    pub fn is_fresh(&self, now: Mono) -> bool {
        now < self.fresh_until
    }

    /// Whether it may be given at all, if only while no upstream answers.
    pub fn is_usable(&self, now: Mono) -> bool {
        now < self.stale_until && (self.is_fresh(now) || !self.is_disproved())
    }

    /// Whether it is known that its zone has nothing valid to take its place.
    pub(super) fn is_disproved(&self) -> bool {
        self.disproved.load(Ordering::Relaxed)
    }

    /// Notes that.
    pub(super) fn disprove(&self) {
        self.disproved.store(true, Ordering::Relaxed);
    }

    /// Counts that it is given from the cache; says once in its life that it is popular and soon runs out.
    #[inline]
    pub fn is_due(&self, now: Mono) -> bool {
        let unpopular = self.unpopular.load(Ordering::Relaxed);
        if unpopular > 0 {
            self.unpopular.store(unpopular - 1, Ordering::Relaxed);
            return false;
        }
        now >= self.due_from && !self.renewed.load(Ordering::Relaxed) && !self.renewed.swap(true, Ordering::Relaxed)
    }

    /// Notes that it was asked for again in vain, or is still being asked for when its client would wait no longer.
    pub(super) fn failed(&self, now: Mono) {
        self.failed_at.store(now.0.max(1), Ordering::Relaxed);
    }

    /// Whether it was asked for again in vain within `rest`, and no upstream has recovered since.
    pub(super) fn rests(&self, rest: Duration, recovered: Mono, now: Mono) -> bool {
        let failed_at = Mono(self.failed_at.load(Ordering::Relaxed));
        failed_at > Mono(0) && failed_at >= recovered && now.since(failed_at) < rest
    }

    /// Octets that it holds in memory, itself included.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Answer>() + self.answer.memory_bytes()
    }

    fn since_upstream(&self, now: Mono) -> Duration {
        self.aged + now.since(self.born)
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
