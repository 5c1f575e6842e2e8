//! The way of one query, top to bottom.

use std::sync::Arc;

use crate::cache::Lookup;
use crate::metrics::{DropReason, Outcome};
use crate::policy::Decision;
use crate::time::Now;
use crate::wire::{CLASS_CH, Query, Reply, ede, qtype, rcode};

use super::blocked;
use super::client::Client;
use super::guard::{self, Deed, Guard};
use super::next::{Failure, Found, Next};
use super::said::{self, Said};
use super::screen;

/// TTL of a stale answer, in seconds (RFC 8767 §4).
const STALE_TTL: u32 = 30;

/// A server behind a ban: policy and record in front, `next` behind.
///
/// It is hickory-server's `RequestHandler`, so it serves as the one handler of Embargo's own listeners and can wrap the
/// handler of any other server built on that crate.
#[derive(Debug)]
pub struct Embargo<N> {
    pub(super) guard: Arc<Guard>,
    pub(super) next: Arc<N>,
}

impl<N> Clone for Embargo<N> {
    fn clone(&self) -> Self {
        Self { guard: Arc::clone(&self.guard), next: Arc::clone(&self.next) }
    }
}

impl<N: Next> Embargo<N> {
    /// Puts `guard` in front of `next`.
    pub fn new(guard: Arc<Guard>, next: N) -> Self {
        Self { guard, next: Arc::new(next) }
    }

    /// Answers one query.
    pub async fn answer(&self, query: &Query<'_>, client: &Client, now: Now) -> Said {
        // First: an address we do not serve learns nothing, not even what is banned.
        if !self.guard.allows(client.address()) {
            return Said::refused(query, client, ede::PROHIBITED, "this server does not serve your address");
        }
        // A version of EDNS we do not know may mean anything, so nothing behind it is read (RFC 6891 §6.1.3).
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return Said::reply(query, client, Reply::to(query), Outcome::Error, rcode::BADVERS);
        }
        // Without policy nothing is let through: fail closed.
        let Some(in_force) = self.guard.in_force() else {
            return Said::not_ready(query, client);
        };

        // Before the cache and before any flag is looked at: a cached answer must never hide an attempt, and neither RD,
        // CD, DO nor the class lifts a ban.
        let verdict = in_force.policy.decide(&query.name, query.qtype, &client.for_policy(), now.wall);
        self.guard.record(&in_force, query, client, &verdict, now);
        if let Decision::Enforce(hit, ban) = &verdict.decision {
            return blocked::answer(query, client, hit, ban);
        }

        if let Some(said) = not_forwarded(query, client) {
            return said;
        }
        // The cache holds what upstream said, unfiltered: a new ban needs no flush.
        let (found, outcome) = match self.next.known(query, now) {
            Lookup::Fresh(entry) => (Found { entry, verbatim: None }, Outcome::Cached),
            // RD=0 asks for what is known already; to go and ask would let anybody look into the cache by timing.
            Lookup::Stale(_) | Lookup::Miss if !query.recursion_desired() => {
                return Said::refused(query, client, ede::NOT_AUTHORITATIVE, "recursion was not asked for");
            }
            Lookup::Stale(stale) => match usable(self.next.ask(query, client, now).await) {
                Ok(found) => (found, Outcome::Forwarded),
                Err(_failed) => (Found { entry: stale, verbatim: None }, Outcome::Stale),
            },
            Lookup::Miss => match self.next.ask(query, client, now).await {
                Ok(found) => (found, Outcome::Forwarded),
                Err(failure) => return failed(query, client, failure),
            },
        };

        // Last: the answer may lead to a banned name. The wait may have been long, so policy is what it is now.
        let in_force = self.guard.in_force().unwrap_or(in_force);
        let policy = &in_force.policy;
        let verdict = policy.decide(&query.name, query.qtype, &client.for_policy(), now.wall);
        if let Some(led) = screen::find(policy, &verdict, query, client, &found.entry, now) {
            let deed = Deed { hit: &led.hit, did: guard::did(led.blocked.as_ref()), led: true };
            self.guard.record_one(&in_force, query, client, &deed, now);
            if let Some(ban) = &led.blocked {
                return screen::answer(query, client, &led, ban, &found.entry, now);
            }
        }
        self.give(query, client, found, outcome, verdict.ttl_cap)
    }

    /// The answer as this client gets it.
    fn give(&self, query: &Query<'_>, client: &Client, found: Found, outcome: Outcome, ttl_cap: Option<u32>) -> Said {
        let rcode = found.entry.answer.rcode();
        if let (Some(message), None) = (found.verbatim, ttl_cap) {
            return Said::Response { message, outcome, rcode };
        }
        let entry = &found.entry;
        // Read again: the answer may have aged while it was waited for by others.
        let now = self.guard.now().mono;
        let mut fit = said::fit(query, client, entry, now);
        fit.ttl_max = fit.ttl_max.min(ttl_cap.unwrap_or(u32::MAX));
        if outcome == Outcome::Stale {
            let code = if rcode == rcode::NXDOMAIN { ede::STALE_NXDOMAIN } else { ede::STALE_ANSWER };
            (fit.ttl_min, fit.ttl_max) = (STALE_TTL, STALE_TTL.min(ttl_cap.unwrap_or(STALE_TTL)));
            fit.ede = Some((code, "upstreams do not answer"));
        }
        Said::Response { message: entry.answer.render(query, &fit), outcome, rcode }
    }
}

/// Questions that no upstream is asked: zone transfers, signed messages, and classes that are about this server.
fn not_forwarded(query: &Query<'_>, client: &Client) -> Option<Said> {
    let why = match (query.qtype, query.qclass) {
        (qtype::AXFR | qtype::IXFR, _) => "zone transfers are not forwarded",
        (_, CLASS_CH) => "this server tells nothing about itself",
        // The key is not ours, and what we would send on is not what was signed (RFC 8945 §5.5).
        _ if query.signed => "signed messages are not forwarded",
        _ => return None,
    };
    Some(Said::refused(query, client, ede::PROHIBITED, why))
}

/// A failure, or an answer that is none, is no reason to withhold a stale one (RFC 8767 §4).
fn usable(asked: Result<Found, Failure>) -> Result<Found, Failure> {
    asked.and_then(|found| match found.entry.answer.rcode() {
        rcode::NOERROR | rcode::NXDOMAIN => Ok(found),
        _ => Err(Failure::Refused),
    })
}

/// The end of a query that nobody could answer.
fn failed(query: &Query<'_>, client: &Client, failure: Failure) -> Said {
    match failure {
        Failure::Deadline => Said::servfail(query, client, ede::NO_REACHABLE_AUTHORITY, "no upstream answered in time"),
        Failure::Unreachable => Said::servfail(query, client, ede::NETWORK_ERROR, "no upstream can be reached"),
        Failure::Refused => Said::servfail(query, client, ede::NETWORK_ERROR, "every upstream refused or failed"),
        Failure::Overload => Said::Silence(DropReason::Shed),
        Failure::Silent => Said::Silence(DropReason::ClientGone),
    }
}
