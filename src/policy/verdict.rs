//! What policy says about one question.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::ban::{Action, Ban, Evidence};
use super::entrance::Entrance;
use super::pattern::PatternRef;
use super::policy::{BanIndex, ListIndex, ListInfo};
use super::roster::Named;
use super::rule::Effect;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address the query came from.
    pub address: IpAddr,
    /// The address of who handed the query over: the client's own, unless that is a proxy.
    pub sender: IpAddr,
    /// Whether it asks over a stream, where [`Action::TcpOnly`] has nothing more to ask for.
    pub over_stream: bool,
    /// By what door its query came.
    pub entrance: Entrance,
    /// What device it is, if somebody names that.
    pub device: Named,
}

impl Client {
    /// Nobody: of no group, and of every share that a ban is enforced on, so that nothing is let through in nobody's name.
    pub const NOBODY: Self = Self::at(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// The client at this address, over UDP.
    pub const fn at(address: IpAddr) -> Self {
        let (entrance, device) = (Entrance::UNKNOWN, Named::NOBODY);
        Self { address, sender: address, over_stream: false, entrance, device }
    }
}

/// What is to be done with one question.
#[derive(Clone, Debug)]
pub struct Verdict<'p> {
    /// What the first ban in line says.
    pub decision: Decision<'p>,
    /// The winning rules of further bans that observe or enforce, in order; each is an attempt of its own.
    pub also: Vec<Hit<'p>>,
    /// The TTL that no record of any answer may exceed, in seconds; `None`: any.
    pub ttl_cap: Option<u32>,
}

impl<'p> Verdict<'p> {
    /// No rule speaks of the name.
    pub const PASS: Self = Self::of(Decision::Pass, None);

    /// Whether this is [`Verdict::PASS`].
    #[inline]
    pub fn is_pass(&self) -> bool {
        matches!(self.decision, Decision::Pass) && self.also.is_empty() && self.ttl_cap.is_none()
    }

    /// The same for so many seconds at most.
    pub(super) fn kept_for(mut self, seconds: u32) -> Self {
        if let Decision::Enforce(_, blocked) = &mut self.decision {
            blocked.ttl = blocked.ttl.min(seconds);
        }
        Self { ttl_cap: Some(self.ttl_cap.map_or(seconds, |cap| cap.min(seconds))), ..self }
    }

    /// What one ban says alone.
    #[inline]
    pub(super) const fn of(decision: Decision<'p>, ttl_cap: Option<u32>) -> Self {
        Self { decision, also: Vec::new(), ttl_cap }
    }
}

/// What the first ban in line says.
#[derive(Clone, Debug)]
pub enum Decision<'p> {
    /// No ban has a say.
    Pass,
    /// An allow rule matched, and no ban observes or enforces: no attempt.
    Allow(Hit<'p>),
    /// An attempt, answered normally.
    Observe(Hit<'p>),
    /// An attempt, answered by us.
    Enforce(Hit<'p>, Blocked),
}

impl<'p> Decision<'p> {
    /// `none`, `allow`, `observe`, or the word of the action.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "none",
            Self::Allow(_) => "allow",
            Self::Observe(_) => "observe",
            Self::Enforce(_, blocked) => blocked.action.as_str(),
        }
    }

    /// The rule that decided.
    pub fn hit(&self) -> Option<&Hit<'p>> {
        match self {
            Self::Pass => None,
            Self::Allow(hit) | Self::Observe(hit) | Self::Enforce(hit, _) => Some(hit),
        }
    }
}

/// The rule of a ban that matched.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'p> {
    /// Whose rule it is.
    pub ban: &'p Arc<Ban>,
    /// The same, as an index into [`Policy::bans`](super::Policy::bans).
    pub ban_index: BanIndex,
    /// The list that holds the rule.
    pub list: &'p ListInfo,
    /// The same, as an index into [`Policy::lists`](super::Policy::lists).
    pub list_index: ListIndex,
    /// Index into [`Policy::series`](super::Policy::series).
    pub series: usize,
    /// What matched.
    pub pattern: PatternRef<'p>,
    /// The rule's category.
    pub category: &'p Arc<str>,
    /// What the match proves.
    pub evidence: Evidence,
    /// Whether it is an allow rule.
    pub allow: bool,
    /// What the rule does at that time.
    pub effect: Effect,
}

/// How a banned question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The action.
    pub action: Action,
    /// Whether NXDOMAIN is true for every name below as well (RFC 8020 §2); if not, the answer is NODATA.
    /// Only ever set with [`Action::Nxdomain`].
    pub nxdomain: bool,
    /// The owner of the SOA is `qname.suffix(soa_labels)`: the topmost name at or above the qname that this ban
    /// enforces, never a public suffix.
    pub soa_labels: usize,
    /// TTL of the answer, in seconds.
    pub ttl: u32,
}
