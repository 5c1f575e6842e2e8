//! What happens at the upstreams, into the metrics.

use std::sync::Arc;

use crate::metrics::{IgnoredPacket, Metrics, Upstream, UpstreamFailure};
use crate::upstream::{BadPacket, Config, FailReason, Observer, Server};
use crate::wire::rcode;

/// The title of the root's group.
const ROOT: &str = ".";

/// The metrics of each upstream of a group, in the order of the configuration.
pub(super) struct Observed(Vec<Upstream>);

impl Observed {
    /// Metrics for the upstreams of a group.
    pub(super) fn new(title: &str, config: &Config, metrics: &Arc<Metrics>) -> Self {
        let servers = config.servers.as_slice().iter();
        Self(servers.map(|server| metrics.upstreams.resolve(&name(title, server))).collect())
    }
}

/// What an upstream is called in metrics. One server can be in several groups, and do well in one of them only.
pub(super) fn name(title: &str, server: &Server) -> String {
    if title == ROOT { server.to_string() } else { format!("{server} for {title}") }
}

impl Observer for Observed {
    fn answered(&self, upstream: usize, rcode: u16, seconds: f64) {
        let Some(metrics) = self.0.get(upstream) else { return };
        metrics.duration.observe(seconds);
        match rcode {
            rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN => (),
            rcode::SERVFAIL => metrics.failed(UpstreamFailure::Servfail).inc(),
            rcode::REFUSED => metrics.failed(UpstreamFailure::Refused).inc(),
            _ => metrics.failed(UpstreamFailure::Rcode).inc(),
        }
    }

    fn failed(&self, upstream: usize, reason: FailReason) {
        let Some(metrics) = self.0.get(upstream) else { return };
        metrics.failed(failure(reason)).inc();
    }

    fn ignored(&self, upstream: usize, reason: BadPacket) {
        let Some(metrics) = self.0.get(upstream) else { return };
        metrics.ignored(packet(reason)).inc();
    }

    fn health(&self, upstream: usize, healthy: bool) {
        let Some(metrics) = self.0.get(upstream) else { return };
        metrics.healthy.set(u64::from(healthy));
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
