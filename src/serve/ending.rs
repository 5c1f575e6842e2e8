//! How one query ended: what is sent and under which counter, or why nothing is sent.

use std::ops::Deref;
use std::sync::Arc;

use crate::cache::Entry;
use crate::metrics::{DropReason, Ledger, Metrics, Outcome, Tally};
use crate::time::Mono;
use crate::transfer::{Outgoing, Said};
use crate::wire::{Extras, Fit, PAYLOAD, Query, Response, ede, rcode};

use super::client::Client;

/// The end of one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A response to hand to the kernel.
    Response {
        /// The whole message.
        message: Vec<u8>,
        /// The counter it ends in.
        outcome: Outcome,
        /// Its response code, upper bits included.
        rcode: u16,
    },
    /// A zone of ours, in as many messages as it takes: only where [`carries_transfers`](crate::wire::Transport::carries_transfers).
    Transfer(Outgoing),
    /// Nothing is sent.
    Silence(DropReason),
}

/// How a response is to be counted once it is known whether it was taken.
pub(super) struct Sent<M: Deref<Target: Tally> = Arc<Metrics>> {
    ledger: Ledger<M>,
    outcome: Outcome,
    rcode: u16,
}

impl<M: Deref<Target: Tally>> Sent<M> {
    /// For a response of ours, however many messages it has.
    pub(super) fn own(ledger: Ledger<M>) -> Self {
        Self { ledger, outcome: Outcome::Local, rcode: rcode::NOERROR }
    }

    /// Counts it: the response was handed over at `now`, or it was not, for a reason.
    #[inline]
    pub(super) fn end(self, handed_over: Result<Mono, DropReason>) {
        let Self { ledger, outcome, rcode } = self;
        match handed_over {
            Ok(now) => ledger.responded(outcome, rcode, now),
            Err(reason) => ledger.dropped(reason),
        }
    }

    /// The same of a datagram, by whether the kernel has taken it.
    #[inline]
    pub(super) fn end_datagram(self, taken: bool, now: Mono) {
        self.end(if taken { Ok(now) } else { Err(DropReason::SendFailure) });
    }
}

impl Ending {
    /// Why there is no response, if there is none.
    pub(super) fn silence(&self) -> Option<DropReason> {
        match self {
            Self::Response { .. } | Self::Transfer(_) => None,
            Self::Silence(reason) => Some(*reason),
        }
    }

    /// The response to hand over, and how it is then counted; silence is counted at once.
    #[inline]
    pub(super) fn into_response<M: Deref<Target: Tally>>(self, ledger: Ledger<M>) -> Option<(Vec<u8>, Sent<M>)> {
        match self {
            Self::Response { message, outcome, rcode } => Some((message, Sent { ledger, outcome, rcode })),
            // Nobody who comes here can send one.
            Self::Transfer(_) => {
                ledger.dropped(DropReason::SendFailure);
                None
            }
            Self::Silence(reason) => {
                ledger.dropped(reason);
                None
            }
        }
    }

    /// What is said of a zone of ours.
    pub(super) fn zone(said: Said) -> Self {
        match said {
            Said::Transfer(outgoing) => Self::Transfer(outgoing),
            Said::Message(message, rcode) => {
                let outcome = match rcode {
                    rcode::NOERROR => Outcome::Local,
                    rcode::REFUSED => Outcome::Refused,
                    _ => Outcome::Error,
                };
                Self::Response { message, outcome, rcode }
            }
        }
    }

    /// A response of ours.
    pub(super) fn response(
        query: &Query<'_>,
        client: &Client,
        response: Response<'_>,
        outcome: Outcome,
        rcode: u16,
    ) -> Self {
        Self::Response { message: response.rcode(rcode).finish(limit(query, client)), outcome, rcode }
    }

    /// REFUSED, with the reason for clients that speak EDNS.
    pub(super) fn refused(query: &Query<'_>, client: &Client, code: u16, why: &str) -> Self {
        Self::response(query, client, Response::to(query).ede(code, why), Outcome::Refused, rcode::REFUSED)
    }

    /// SERVFAIL, with the reason for clients that speak EDNS.
    pub(super) fn servfail(query: &Query<'_>, client: &Client, code: u16, why: &str) -> Self {
        Self::response(query, client, Response::to(query).ede(code, why), Outcome::Error, rcode::SERVFAIL)
    }

    /// SERVFAIL because no policy is in force: nothing is let through unjudged.
    pub(super) fn not_ready(query: &Query<'_>, client: &Client) -> Self {
        Self::servfail(query, client, ede::NOT_READY, "no policy is in force yet")
    }

    /// A malformed or unsupported message, answered with its header only.
    pub(super) fn unfit(message: &[u8], rcode: u16) -> Self {
        Self::Response { message: Response::to_unfit(message, rcode), outcome: Outcome::Error, rcode }
    }

    /// The header of a message without a question, whose sender is told to come over TCP.
    pub(super) fn unfit_truncated(message: &[u8]) -> Self {
        let message = Response::to_unfit_truncated(message);
        Self::Response { message, outcome: Outcome::Local, rcode: rcode::NOERROR }
    }

    /// A response without question or answer to a cookie without a question.
    pub(super) fn cookie_only(message: &[u8], rcode: u16, extras: &Extras<'_>) -> Self {
        let message = Response::to_cookie_only(message, rcode, extras);
        let outcome = if rcode == rcode::NOERROR { Outcome::Local } else { Outcome::Error };
        Self::Response { message, outcome, rcode }
    }
}

/// Octets of a response at most: over UDP what the client takes and one packet carries, else what a frame holds.
pub(super) fn limit(query: &Query<'_>, client: &Client) -> usize {
    if client.transport.proves_address() { usize::from(u16::MAX) } else { query.udp_limit(PAYLOAD) }
}

/// How a kept answer is given to this client now.
pub(super) fn fit(query: &Query<'_>, client: &Client, entry: &Entry, now: Mono) -> Fit<'static> {
    Fit {
        limit: limit(query, client),
        age: entry.age(now),
        ttl_min: entry.ttl_min(now),
        ttl_max: entry.ttl_max(now),
        authentic: entry.authentic,
        ede: None,
    }
}
