//! Who answers what policy lets through: our own forwarder, or any other handler.

use std::future::Future;
use std::sync::Arc;

use crate::cache::{Entry, Lookup};
use crate::metrics::Shed;
use crate::time::Now;
use crate::upstream::Bogus;
use crate::wire::{Query, Subnet, ede};

use super::client::Client;
use super::forwarder::Forwarder;
use super::room::Full;

/// The part of a server behind the ban: asked only for what policy lets through.
pub trait Next: Send + Sync + 'static {
    /// Whether it sends queries on to other servers, for clients that ask for recursion (RD) and in classes other than CH.
    /// What answers from data of its own says `false`: it is asked whatever RD and class are.
    fn forwards(&self) -> bool {
        true
    }

    /// Whether an answer to this query of this client is for the network alone that it says it is in (RFC 7871). Then what is
    /// known already is of no use to it, and its answer of none to others.
    fn is_tailored(&self, _query: &Query<'_>, _client: &Client) -> bool {
        false
    }

    /// What is known already; never waits. A fresh answer is counted as a hit of the cache by whoever gives it.
    fn known(&self, query: &Query<'_>, now: Now) -> Lookup;

    /// Finds the answer. Ends within the deadline of whoever implements it.
    fn ask(&self, query: &Query<'_>, client: &Client, now: Now) -> impl Future<Output = Result<Found, Failure>> + Send;

    /// Finds the answer again, soon and behind the client that was just given a fresh one: policy has nothing to say of the
    /// name, and the answer is popular and soon runs out. Nobody waits for it.
    fn renew(&self, _query: &Query<'_>, _now: Now) {}

    /// The forwarder that this is: the UDP listeners then ask for themselves, many questions at a time.
    fn forwarder(&self) -> Option<&Forwarder> {
        None
    }
}

/// An answer, and where it came from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The answer.
    pub entry: Arc<Entry>,
    /// The response as another handler wrote it, to be handed on untouched when policy has nothing against it.
    pub verbatim: Option<Vec<u8>>,
    /// For which networks it is, if the client has said in which it is (RFC 7871).
    pub subnet: Option<Subnet>,
}

impl Found {
    /// An answer as it is kept, or as if it were.
    pub(super) fn kept(entry: Arc<Entry>) -> Self {
        Self { entry, verbatim: None, subnet: None }
    }
}

/// Why there is no answer; each has its extended error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No upstream answered in time.
    #[error("no upstream answered in time")]
    Deadline,
    /// No upstream could be reached.
    #[error("no upstream can be reached")]
    Unreachable,
    /// Upstreams answered, but none with an answer.
    #[error("every upstream refused or failed")]
    Refused,
    /// This host could not ask.
    #[error("no upstream could be asked")]
    Local,
    /// The question has come back to us, or would.
    #[error("upstreams forward to this server")]
    Loop,
    /// As many questions as allowed are open at every upstream.
    #[error("too many questions are open at every upstream")]
    Busy,
    /// More questions are open than the limit allows.
    #[error("too many questions are open")]
    Overload,
    /// More questions of this client are open than is its share.
    #[error("too many questions of this client are open")]
    Share,
    /// The answer is not what its zone has signed.
    #[error("{0}")]
    Bogus(Bogus),
    /// What was made of the answer panicked.
    #[error("a fault of this server")]
    Fault,
    /// The handler behind the ban sent no response at all.
    #[error("nothing answered")]
    Silent,
}

impl From<Full> for Failure {
    fn from(full: Full) -> Self {
        match full {
            Full::Room => Self::Overload,
            Full::Share => Self::Share,
        }
    }
}

impl Failure {
    /// The extended error of its SERVFAIL, and the words; `None`: nothing is sent at all.
    pub(super) fn ede(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Deadline => Some((ede::NO_REACHABLE_AUTHORITY, "no upstream answered in time")),
            Self::Unreachable => Some((ede::NETWORK_ERROR, "no upstream can be reached")),
            Self::Refused => Some((ede::NETWORK_ERROR, "every upstream refused or failed")),
            Self::Local => Some((ede::NETWORK_ERROR, "no upstream could be asked")),
            Self::Loop => Some((ede::NO_REACHABLE_AUTHORITY, "a loop: upstreams forward to this server")),
            Self::Busy => Some((ede::NO_REACHABLE_AUTHORITY, "too many questions are open at every upstream")),
            // RFC 4035 §5.5: SERVFAIL, with the reason as far as it is known (RFC 8914 §4.7 to 4.13).
            Self::Bogus(bogus) => Some((bogus.code, bogus.text)),
            // No code says it better (RFC 8914 §4.1); a stub asks its next server.
            Self::Overload => Some((ede::OTHER, "too many questions are open")),
            Self::Share => Some((ede::OTHER, "too many questions of this client are open")),
            Self::Fault => Some((ede::OTHER, "a fault of this server")),
            Self::Silent => None,
        }
    }

    /// Why nobody was asked, if that is why there is no answer.
    pub(super) fn shed(self) -> Option<Shed> {
        match self {
            Self::Overload => Some(Shed::Room),
            Self::Share => Some(Shed::ClientShare),
            _ => None,
        }
    }

    /// Whether it says something of the question or its upstreams, so that asking again at once is in vain (RFC 9520 §2).
    pub(super) fn is_lasting(self) -> bool {
        matches!(self, Self::Deadline | Self::Unreachable | Self::Refused | Self::Bogus(_))
    }
}
