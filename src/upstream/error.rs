//! Why no upstream gave a response at all.

use super::FailReason;

/// No response came from any upstream; named by what failed, the gravest first where several did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Each of them leads back to this server.
    #[error("every upstream forwards to this server")]
    Loop,
    /// Those asked were silent to the end.
    #[error("no upstream answered ({asked} asked)")]
    Timeout {
        /// How many upstreams were asked.
        asked: usize,
    },
    /// The network leads to none of them, or to somebody who can't prove to be the one.
    #[error("no upstream can be reached ({asked} asked)")]
    Unreachable {
        /// How many upstreams were asked.
        asked: usize,
    },
    /// They speak, and say nothing that is a response to our question.
    #[error("upstream gave no usable response")]
    Unusable,
    /// As many queries as allowed are in flight at each of them.
    #[error("too many queries are in flight to every upstream")]
    Busy,
    /// No socket could be made on this host.
    #[error("no socket for a query to an upstream")]
    Local,
}

impl UpstreamError {
    /// What to say when this was the gravest failure.
    pub(super) fn from_failure(failure: Option<FailReason>, asked: usize) -> Self {
        match failure {
            Some(FailReason::Busy) => Self::Busy,
            Some(FailReason::Local) => Self::Local,
            Some(FailReason::Unusable | FailReason::Closed) => Self::Unusable,
            Some(FailReason::Unreachable | FailReason::Tls) => Self::Unreachable { asked },
            Some(FailReason::Timeout) | None => Self::Timeout { asked },
        }
    }
}
