//! Our own part behind the ban: the cache, then the upstreams.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::cache::{Cache, Entry, Key, KeyRef, Lookup};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::time::Now;
use crate::upstream::{Ask, UpstreamError, Upstreams};
use crate::wire::{Answer, Query, rcode};

use super::client::Client;
use super::flight::Flights;
use super::next::{Failure, Found, Next};

/// Limits of forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwarderConfig {
    /// Every query is answered within this, with an answer or without.
    pub deadline: Duration,
    /// Different questions that may be open at upstreams at a time.
    pub open_max: usize,
}

/// Answers from the cache, else from the upstreams.
pub struct Forwarder {
    config: ForwarderConfig,
    shared: Arc<Shared>,
    flights: Flights<Key, Result<Arc<Entry>, Failure>>,
    metrics: Arc<Metrics>,
}

/// What an exchange needs that goes on after its clients have been answered.
struct Shared {
    cache: Arc<Cache>,
    upstreams: Arc<ArcSwap<Upstreams>>,
    clock: Clock,
}

impl Forwarder {
    /// Forwards to `upstreams`, whichever they are at the time, and keeps what they say in `cache`.
    pub fn new(
        config: ForwarderConfig,
        cache: Arc<Cache>,
        upstreams: Arc<ArcSwap<Upstreams>>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let flights = Flights::new(config.open_max, config.deadline);
        Self { config, shared: Arc::new(Shared { cache, upstreams, clock }), flights, metrics }
    }
}

impl Next for Forwarder {
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        let lookup = self.shared.cache.get(&KeyRef::of(query), now.mono);
        if matches!(lookup, Lookup::Fresh(_)) {
            self.metrics.cache.requests.inc();
            self.metrics.cache.hits.inc();
        }
        lookup
    }

    async fn ask(&self, query: &Query<'_>, _client: &Client, _now: Now) -> Result<Found, Failure> {
        self.metrics.cache.requests.inc();
        let key = KeyRef::of(query).to_key();
        let exchange = || Arc::clone(&self.shared).exchange(key.clone());
        let answer = tokio::time::timeout(self.config.deadline, self.flights.join(key.clone(), exchange)).await;
        let entry = answer.map_err(|_elapsed| Failure::Deadline)?.ok_or(Failure::Overload)??;
        Ok(Found { entry, verbatim: None })
    }
}

impl Shared {
    /// Asks the upstreams and keeps the answer.
    async fn exchange(self: Arc<Self>, key: Key) -> Result<Arc<Entry>, Failure> {
        let ask = Ask {
            name: key.name.clone(),
            qtype: key.rest.qtype,
            qclass: key.rest.qclass,
            dnssec_ok: key.rest.dnssec_ok,
            checking_disabled: key.rest.checking_disabled,
        };
        let response = self.upstreams.load_full().ask(&ask).await.map_err(|error| match error {
            UpstreamError::Timeout { .. } => Failure::Deadline,
            UpstreamError::Busy => Failure::Overload,
            UpstreamError::Unusable => Failure::Refused,
            UpstreamError::Unreachable { .. } | UpstreamError::Local => Failure::Unreachable,
        })?;
        let answer = Answer::keep(&response.message, &response.layout).map_err(|_malformed| Failure::Refused)?;
        match answer.rcode() {
            // These speak of our query or our standing with that server, not of the name; SERVFAIL does, and says why.
            rcode::FORMERR | rcode::NOTIMP | rcode::REFUSED | rcode::NOTAUTH | 16.. => Err(Failure::Refused),
            _ => Ok(self.cache.insert(key, answer, true, self.clock.now().mono)),
        }
    }
}
