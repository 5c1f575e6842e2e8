//! A question that the first upstream did not settle at once, on its way to all of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::FailReason;
use super::super::member::Member;
use super::super::message::{Judged, Response};

/// What an attempt came to after the question had gone on.
pub(in super::super) type Heard = Result<Judged, FailReason>;

/// What became of a question at the first upstream, for [`Upstreams::ask_after`](super::super::Upstreams::ask_after).
pub struct Unsettled {
    pub(in super::super) member: Arc<Member>,
    /// Since the question was asked.
    pub(in super::super) after: Duration,
    pub(in super::super) outcome: Outcome,
}

/// The same, with what belongs to it. An `ear` hears what the upstream still says within its patience.
pub(in super::super) enum Outcome {
    Silent { ear: oneshot::Receiver<Heard> },
    Rejected { rcode: u16, response: Option<Box<Response>>, ear: oneshot::Receiver<Heard> },
    Miscased { ear: oneshot::Receiver<Heard> },
    Truncated,
    Failed(FailReason),
}

/// Why a question is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing came for [`Config::hedge`](super::super::Config::hedge); something may still.
    Silent,
    /// The response is no answer: SERVFAIL, REFUSED, FORMERR, ….
    Rejected,
    /// The question came back in another case than it was asked in: someone's guess, or a server that does not keep case.
    Miscased,
    /// The answer is too long for a datagram.
    Truncated,
    /// The query could not be sent, or the network says that nobody is there.
    Failed(FailReason),
}

impl Unsettled {
    /// Why the question is not settled.
    pub fn why(&self) -> Why {
        match self.outcome {
            Outcome::Silent { .. } => Why::Silent,
            Outcome::Rejected { .. } => Why::Rejected,
            Outcome::Miscased { .. } => Why::Miscased,
            Outcome::Truncated => Why::Truncated,
            Outcome::Failed(reason) => Why::Failed(reason),
        }
    }

    /// Index in the configuration of the upstream that was asked.
    pub fn upstream(&self) -> usize {
        self.member.index
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, upstream) = (self.why(), self.upstream());
        f.debug_struct("Unsettled").field("why", &why).field("upstream", &upstream).finish_non_exhaustive()
    }
}
