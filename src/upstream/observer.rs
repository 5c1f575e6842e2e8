//! What can be counted about upstreams, told to whoever counts.

use super::BadPacket;

/// Why an attempt at an upstream ended without a response, or was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailReason {
    /// As many attempts as allowed are in flight there; nothing was sent.
    Busy,
    /// Something on this host: no socket could be made, no file descriptor was left.
    Local,
    /// A response came that is of no use: a referral, aliases that lead back to themselves; over a connection one that is
    /// truncated again, to another question, or no DNS at all.
    Unusable,
    /// The TLS handshake failed: the upstream is not who it should be, or does not take us for who we should be.
    Tls,
    /// The connection ended before the response.
    Closed,
    /// The network says that nobody is there: an ICMP error, a refused or reset connection.
    Unreachable,
    /// Silence for as long as [`Config::patience`](super::Config::patience).
    Timeout,
}

impl FailReason {
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::Busy, Self::Local, Self::Unusable, Self::Tls, Self::Closed, Self::Unreachable, Self::Timeout];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Local => "local",
            Self::Unusable => "unusable",
            Self::Tls => "tls",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
        }
    }

    /// Whether it speaks against the upstream rather than against this host.
    pub(super) fn blames_upstream(self) -> bool {
        !matches!(self, Self::Busy | Self::Local)
    }
}

/// Is told what happens at the upstreams. `upstream` is the index in the configuration. Called on the query's way: it
/// must neither wait nor lock for long.
pub trait Observer: Send + Sync + 'static {
    /// A response came, after this many seconds, with this RCODE (12 bits). Late responses count too.
    fn answered(&self, _upstream: usize, _rcode: u16, _seconds: f64) {}

    /// An attempt failed. One that timed out may still be answered later.
    fn failed(&self, _upstream: usize, _reason: FailReason) {}

    /// A packet was ignored.
    fn ignored(&self, _upstream: usize, _reason: BadPacket) {}

    /// The upstream is now asked in its turn (`true`), or after all others (`false`). Called once at the start for each.
    fn health(&self, _upstream: usize, _healthy: bool) {}
}

/// Nobody counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
