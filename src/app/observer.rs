//! What happens at the upstreams, into the metrics; and into the cache, which need not wait when one of them recovers.

use std::sync::Arc;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::metrics::{IgnoredPacket, Metrics, Upstream, UpstreamFailure};
use crate::upstream::{BadPacket, Config, FailReason, Observer, Server};
use crate::wire::rcode;

/// The title of the root's group.
const ROOT: &str = ".";

/// Who is told.
pub(super) struct Observed {
    /// The metrics of each upstream of a group, in the order of the configuration.
    metrics: Vec<Upstream>,
    cache: Arc<Cache>,
    clock: Clock,
}

impl Observed {
    /// Tells metrics and cache of the upstreams of a group.
    pub(super) fn new(title: &str, config: &Config, metrics: &Arc<Metrics>, cache: &Arc<Cache>, clock: &Clock) -> Self {
        let servers = config.servers.as_slice().iter();
        let metrics = servers.map(|server| metrics.upstreams.resolve(&name(title, server))).collect();
        Self { metrics, cache: Arc::clone(cache), clock: clock.clone() }
    }
}

/// What an upstream is called in metrics. One server can be in several groups, and do well in one of them only.
pub(super) fn name(title: &str, server: &Server) -> String {
    if title == ROOT { server.to_string() } else { format!("{server} for {title}") }
}

impl Observer for Observed {
    fn answered(&self, upstream: usize, rcode: u16, seconds: f64) {
        let Some(metrics) = self.metrics.get(upstream) else { return };
        metrics.duration.observe(seconds);
        match rcode {
            rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN => (),
            rcode::SERVFAIL => metrics.failed(UpstreamFailure::Servfail).inc(),
            rcode::REFUSED => metrics.failed(UpstreamFailure::Refused).inc(),
            _ => metrics.failed(UpstreamFailure::Rcode).inc(),
        }
    }

    fn failed(&self, upstream: usize, reason: FailReason) {
        let Some(metrics) = self.metrics.get(upstream) else { return };
        metrics.failed(failure(reason)).inc();
    }

    fn ignored(&self, upstream: usize, reason: BadPacket) {
        let Some(metrics) = self.metrics.get(upstream) else { return };
        metrics.ignored(packet(reason)).inc();
    }

    fn health(&self, upstream: usize, healthy: bool) {
        let Some(metrics) = self.metrics.get(upstream) else { return };
        metrics.healthy.set(u64::from(healthy));
        if healthy {
            // What failed because of it is asked for again, not only when its time is over (RFC 9520 §3.2).
            self.cache.upstream_recovered(self.clock.now().mono);
        }
    }
}

fn failure(reason: FailReason) -> UpstreamFailure {
    match reason {
        FailReason::Busy => UpstreamFailure::Busy,
        FailReason::Local => UpstreamFailure::Local,
        FailReason::Unusable => UpstreamFailure::Unusable,
        FailReason::Tls => UpstreamFailure::Tls,
        FailReason::Closed => UpstreamFailure::Closed,
        FailReason::Unreachable => UpstreamFailure::Unreachable,
        FailReason::Timeout => UpstreamFailure::Timeout,
    }
}

fn packet(reason: BadPacket) -> IgnoredPacket {
    match reason {
        BadPacket::Short => IgnoredPacket::Short,
        BadPacket::Source => IgnoredPacket::Source,
        BadPacket::Id => IgnoredPacket::Id,
        BadPacket::Query => IgnoredPacket::Query,
        BadPacket::Opcode => IgnoredPacket::Opcode,
        BadPacket::Question => IgnoredPacket::Question,
        BadPacket::Case => IgnoredPacket::Case,
        BadPacket::Malformed => IgnoredPacket::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{self, Cause, KeyRef, Lookup};
    use crate::time::{Mono, Now, Timestamp};
    use crate::upstream::Servers;
    use crate::wire::{Answer, Layout, Query, Response};

    #[test]
    fn what_failed_before_an_upstream_recovered_is_asked_for_again() {
        let (clock, hands) = Clock::manual(Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(1) });
        let cache = Arc::new(Cache::new(cache::Config::new(1 << 20)));
        let server = Server::plain("192.0.2.53:53".parse().unwrap());
        let config = Config::new(Servers::new(vec![server]).unwrap());
        let observed = Observed::new(".", &config, &Arc::new(Metrics::new()), &cache, &clock);
        let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let query = Query::read(message).unwrap();
        let servfail = Response::to(&query).rcode(rcode::SERVFAIL).finish(512);
        let servfail = Answer::keep(&servfail, &Layout::read(&servfail).unwrap()).unwrap();
        let known = || cache.get(&KeyRef::of(&query), clock.now().mono);

        hands.advance(std::time::Duration::from_millis(1));
        cache.fail(KeyRef::of(&query).to_key(), servfail, Cause::Said, clock.now().mono);
        observed.health(0, false);
        assert!(matches!(known(), Lookup::Failed(_)));
        hands.advance(std::time::Duration::from_millis(1));
        observed.health(0, true);
        assert!(matches!(known(), Lookup::Miss));
    }
}
