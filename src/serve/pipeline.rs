//! The way of one query, top to bottom.

use std::mem::take;
use std::sync::Arc;

use crate::cache::{Entry, Lookup};
use crate::metrics::{DropReason, Metrics, Outcome, Tally};
use crate::policy::{Decision, Verdict};
use crate::time::Now;
use crate::wire::{CLASS_CH, Query, Response, ede, qtype, rcode};

use super::blocked;
use super::client::Client;
use super::ending::{self, Ending};
use super::guard::{self, Deed, Guard, InForce, View};
use super::hop::Hop;
use super::next::{Failure, Found, Next};
use super::rates::Rates;
use super::screen;

/// TTL of a stale answer, in seconds (RFC 8767 §4).
const STALE_TTL: u32 = 30;
/// TTL of the answer in place of one that was DNS rebinding, in seconds: an exception made for it is seen soon.
const REBOUND_TTL: u32 = 60;

/// A server behind a ban: policy and record in front, `next` behind.
///
/// It is hickory-server's `RequestHandler`, so it serves as the one handler of Embargo's own listeners and can wrap the
/// handler of any other server built on that crate.
#[derive(Debug)]
pub struct Embargo<N> {
    pub(super) guard: Arc<Guard>,
    pub(super) next: Arc<N>,
}

/// A query whose answer is not known here.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Whether no rule speaks of it: then policy need not be asked again.
    pub(super) unruled: bool,
    /// Who asks, as far as the query proves it.
    pub(super) client: Client,
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

    /// Answers one query: at once if that can be, else when the part behind the ban has found the answer.
    pub async fn answer(&self, query: &Query<'_>, client: &Client, now: Now) -> Ending {
        let at_once = self.at_once(self.tally(), &self.guard.view(), query, client, now, &mut Vec::new());
        let client = match at_once {
            Ok(ending) => return ending,
            Err(unanswered) => unanswered.client,
        };
        let hop = self.guard.hop_for(query);
        let heard = hop.as_ref().and_then(|hop| hop.hear_all(query, &client, now));
        let with = heard.as_ref().map(|heard| query.with(&heard.extras));
        let query = with.as_ref().unwrap_or(query);
        let ending = self.in_time(query, &client, now).await;
        paced(self.tally(), self.guard.rates().as_deref(), query, &client, now, ending)
    }

    /// The way of one query as far as it needs no waiting: every banned and every cached name ends here. `room` is a buffer
    /// for the response, taken only if there is one. An error: the answer has to be asked for, and nothing has been counted or
    /// recorded.
    /// `tally` counts for the metrics of the guard.
    pub(super) fn at_once(
        &self,
        tally: &impl Tally,
        view: &View,
        query: &Query<'_>,
        client: &Client,
        now: Now,
        room: &mut Vec<u8>,
    ) -> Result<Ending, Unanswered> {
        // Before all else: a cookie proves whose query it is, and every response carries what its options ask for.
        let (heard, with);
        let (query, client) = match view.hop.hear_all(query, client, now) {
            None => (query, client),
            Some(found) => {
                heard = found;
                with = query.with(&heard.extras);
                (&with, &heard.client)
            }
        };
        let ending = self.judged(tally, view, query, client, now, room)?;
        Ok(paced(tally, view.rates.as_deref(), query, client, now, ending))
    }

    /// The same for a query whose options are known, without limits.
    fn judged(
        &self,
        tally: &impl Tally,
        view: &View,
        query: &Query<'_>,
        client: &Client,
        now: Now,
        room: &mut Vec<u8>,
    ) -> Result<Ending, Unanswered> {
        // First: an address we do not serve learns nothing, not even what is banned.
        if !view.admission.admits(client) {
            return Ok(Ending::refused(query, client, ede::PROHIBITED, "this server does not serve your address"));
        }
        if let Some(rcode) = view.hop.objection(query, client) {
            return Ok(Ending::response(query, client, Response::to(query), Outcome::Error, rcode));
        }
        // Without policy nothing is let through: fail closed.
        let Some(in_force) = view.in_force.as_deref() else {
            return Ok(Ending::not_ready(query, client));
        };

        // Before the cache and before any flag is looked at: a cached answer must never hide an attempt, and neither RD,
        // CD, DO nor the class lifts a ban.
        let verdict = in_force.verdict(query, client, now);
        if let Decision::Enforce(hit, ban) = &verdict.decision {
            self.guard.record(tally, in_force, query, client, &verdict, now);
            return Ok(blocked::answer(query, client, hit, ban, room));
        }
        let forwards = self.next.forwards();
        if let Some(ending) = not_handed_on(&view.hop, query, client, forwards) {
            self.guard.record(tally, in_force, query, client, &verdict, now);
            return Ok(ending);
        }

        // Behind policy: no data of ours lifts a ban. Before the cache: it is ours to say, and a reload changes it at once.
        if let Some(answer) = view.local.answer(query) {
            self.guard.record(tally, in_force, query, client, &verdict, now);
            let found = Found { entry: Arc::new(Entry::unkept(answer, true, now.mono)), verbatim: None };
            return Ok(self.give(tally, in_force, query, client, &verdict, found, Outcome::Local, now, take(room)));
        }

        // The cache holds what upstream said, unfiltered: a new ban needs no flush.
        let known = self.next.known(query, now);
        // RD=0 asks for what is known already; to go and ask would let anybody look into the cache by timing.
        if forwards && !query.recursion_desired() && !matches!(known, Lookup::Fresh(_)) {
            self.guard.record(tally, in_force, query, client, &verdict, now);
            return Ok(Ending::refused(query, client, ede::NOT_AUTHORITATIVE, "recursion was not asked for"));
        }
        let Some((entry, outcome)) = at_hand(tally, known) else {
            if let Some(ending) = view.hop.any(query, client, verdict.ttl_cap).filter(|_ending| forwards) {
                self.guard.record(tally, in_force, query, client, &verdict, now);
                return Ok(ending);
            }
            return Err(Unanswered { unruled: verdict.is_pass(), client: *client });
        };
        self.guard.record(tally, in_force, query, client, &verdict, now);
        let found = Found { entry, verbatim: None };
        Ok(self.give(tally, in_force, query, client, &verdict, found, outcome, now, take(room)))
    }

    /// The end of a query that [`Embargo::at_once`] could not answer and that may not wait: a stale answer, if there is one. A
    /// lookup of a banned name is an attempt also when it is shed.
    pub(super) fn shed(&self, query: &Query<'_>, client: &Client, now: Now, full: Failure) -> Ending {
        let hop = self.guard.hop_for(query);
        let heard = hop.as_ref().and_then(|hop| hop.hear_all(query, client, now));
        let with = heard.as_ref().map(|heard| query.with(&heard.extras));
        let (query, client) = (with.as_ref().unwrap_or(query), heard.as_ref().map_or(client, |heard| &heard.client));
        let ending = self.without_asking(query, client, now, full);
        paced(self.tally(), self.guard.rates().as_deref(), query, client, now, ending)
    }

    fn without_asking(&self, query: &Query<'_>, client: &Client, now: Now, full: Failure) -> Ending {
        let Some(in_force) = self.guard.in_force() else { return Ending::not_ready(query, client) };
        let verdict = in_force.verdict(query, client, now);
        self.guard.record(self.tally(), &in_force, query, client, &verdict, now);
        // Policy may have been swapped since it let the query through.
        if let Decision::Enforce(hit, ban) = &verdict.decision {
            return blocked::answer(query, client, hit, ban, &mut Vec::new());
        }
        self.tally().cache_request();
        self.after_asking(&in_force, query, client, &verdict, Err(full), now, Vec::new())
    }

    /// Who counts where no thread has a block of its own.
    fn tally(&self) -> &Metrics {
        self.guard.metrics()
    }

    /// Records a query that [`Embargo::at_once`] could not answer.
    pub(super) fn begin(&self, in_force: &InForce, query: &Query<'_>, client: &Client, now: Now) {
        let verdict = in_force.verdict(query, client, now);
        self.guard.record(self.tally(), in_force, query, client, &verdict, now);
    }

    /// The rest of the way: asks, and falls back on a stale answer. One policy judges the whole query.
    async fn in_time(&self, query: &Query<'_>, client: &Client, now: Now) -> Ending {
        let mut room = Vec::new();
        let Some(in_force) = self.guard.in_force() else {
            return Ending::not_ready(query, client);
        };
        let verdict = in_force.verdict(query, client, now);
        self.guard.record(self.tally(), &in_force, query, client, &verdict, now);
        // Policy may have been swapped since it let the query through.
        if let Decision::Enforce(hit, ban) = &verdict.decision {
            return blocked::answer(query, client, hit, ban, &mut room);
        }
        if let Some((entry, outcome)) = at_hand(self.tally(), self.next.known(query, now)) {
            let found = Found { entry, verbatim: None };
            return self.give(self.tally(), &in_force, query, client, &verdict, found, outcome, now, room);
        }
        let asked = self.next.ask(query, client, now).await;
        self.after_asking(&in_force, query, client, &verdict, asked, now, room)
    }

    /// The last part of the way, when upstreams have answered or failed: falls back on a stale answer, since a failure, or
    /// an answer that is none, is no reason to withhold one (RFC 8767 §4). `now` is when the query came.
    #[expect(clippy::too_many_arguments, reason = "all of one query; a struct would be made and taken apart here only")]
    pub(super) fn after_asking(
        &self,
        in_force: &InForce,
        query: &Query<'_>,
        client: &Client,
        verdict: &Verdict<'_>,
        asked: Result<Found, Failure>,
        now: Now,
        room: Vec<u8>,
    ) -> Ending {
        let stale = || match self.next.known(query, now) {
            Lookup::Stale(entry) | Lookup::Resting(entry) => Some(Found { entry, verbatim: None }),
            Lookup::Fresh(_) | Lookup::Failed(_) | Lookup::Miss => None,
        };
        let usable = |found: &Found| matches!(found.entry.answer.rcode(), rcode::NOERROR | rcode::NXDOMAIN);
        let (found, outcome) = match asked {
            Ok(found) if usable(&found) => (found, Outcome::Forwarded),
            asked => match (stale(), asked) {
                (Some(found), _) => {
                    self.tally().cache_hit();
                    (found, Outcome::Stale)
                }
                (None, Ok(found)) => (found, Outcome::Forwarded),
                (None, Err(failure)) => return failed(query, client, failure),
            },
        };
        self.give(self.tally(), in_force, query, client, verdict, found, outcome, now, room)
    }

    /// Whether an answer is not given for fear of DNS rebinding; if so, it is counted.
    fn rebinds(&self, query: &Query<'_>, entry: &Entry) -> bool {
        let rebinds = self.guard.local().is_rebinding(&query.name, &entry.answer);
        if rebinds {
            self.guard.metrics().dns.rebinding.inc();
        }
        rebinds
    }

    /// The answer as this client gets it: last, it may lead to a banned name.
    #[expect(clippy::too_many_arguments, reason = "all of one query; a struct would be made and taken apart here only")]
    fn give(
        &self,
        tally: &impl Tally,
        in_force: &InForce,
        query: &Query<'_>,
        client: &Client,
        verdict: &Verdict<'_>,
        found: Found,
        outcome: Outcome,
        now: Now,
        room: Vec<u8>,
    ) -> Ending {
        let (led, led_cap) = screen::find(&in_force.policy, verdict, query, client, &found.entry, now);
        if let Some(led) = led {
            let did = guard::did(led.blocked.as_ref());
            for hit in std::iter::once(&led.hit).chain(&led.also) {
                self.guard.record_one(tally, in_force, query, client, &Deed { hit, did, led: true }, now);
            }
            if let Some(ban) = &led.blocked {
                return screen::answer(query, client, &led, ban, &found.entry, now, room);
            }
        } else if outcome == Outcome::Cached && found.entry.is_due(now.mono) && verdict.is_pass() {
            // Only what no rule speaks of, neither itself nor where it leads: what is observed or banned is never asked for
            // without a client. Policy has judged the name at this moment, so it need not be asked once more.
            self.next.renew(query, now);
        }
        let rcode = found.entry.answer.rcode();
        // Data of ours is meant as it stands.
        if outcome != Outcome::Local && found.entry.answer.holds_private_address() && self.rebinds(query, &found.entry)
        {
            return rebound(query, client, outcome, room);
        }
        let limit = ending::limit(query, client);
        let ttl_cap = [verdict.ttl_cap, led_cap].into_iter().flatten().min();
        if let (Some(message), None) = (found.verbatim.filter(|message| message.len() <= limit), ttl_cap) {
            return Ending::Response { message, outcome, rcode };
        }
        let entry = &found.entry;
        // A cached answer has aged until now; one that was waited for is as old as its way here, less than a second.
        let mut fit = ending::fit(query, client, entry, now.mono);
        fit.ttl_max = fit.ttl_max.min(ttl_cap.unwrap_or(u32::MAX));
        if outcome == Outcome::Cached && rcode == rcode::SERVFAIL {
            fit.ede = Some((ede::CACHED_ERROR, "it failed a short while ago and is not asked for again yet"));
        }
        if outcome == Outcome::Stale {
            let code = if rcode == rcode::NXDOMAIN { ede::STALE_NXDOMAIN } else { ede::STALE_ANSWER };
            (fit.ttl_min, fit.ttl_max) = (STALE_TTL, STALE_TTL.min(ttl_cap.unwrap_or(STALE_TTL)));
            fit.ede = Some((code, "upstreams do not answer"));
        }
        let mut message = entry.answer.render(query, &fit, room);
        // AA: nobody knows better (RFC 6303 §3); all else is somebody else's.
        message[2] |= if outcome == Outcome::Local { 0x04 } else { 0 };
        Ending::Response { message, outcome, rcode }
    }
}

/// Last of all, on the response, when all is recorded and counted: a client that proves nothing and was sent much lately is
/// told to come over TCP.
pub(super) fn paced(
    tally: &impl Tally,
    rates: Option<&Rates>,
    query: &Query<'_>,
    client: &Client,
    now: Now,
    ending: Ending,
) -> Ending {
    let Some(rates) = rates.filter(|_on| !client.verified()) else { return ending };
    match ending {
        Ending::Response { message, outcome, .. } if !rates.allows(client.address(), now.mono) => {
            tally.rate_limited();
            let short = Response::within(message, query).truncated();
            Ending::response(query, client, short, outcome, rcode::NOERROR)
        }
        ending => ending,
    }
}

/// No such record instead of a private address for a public name. All records of the type go: what is
/// left of a signed set would be forged, and what is reached by the others is not for this server to say.
fn rebound(query: &Query<'_>, client: &Client, outcome: Outcome, room: Vec<u8>) -> Ending {
    let none = Response::within(room, query).soa(query.name.wire(), REBOUND_TTL);
    let none = none.ede(ede::BLOCKED, "a public name with a private address: blocked against DNS rebinding");
    Ending::response(query, client, none, outcome, rcode::NOERROR)
}

/// What can be given without asking anybody, and how it is counted: a fresh answer, or what was asked for in vain a short
/// while ago.
fn at_hand(tally: &impl Tally, known: Lookup) -> Option<(Arc<Entry>, Outcome)> {
    let at_hand = match known {
        Lookup::Fresh(entry) => (entry, Outcome::Cached),
        Lookup::Resting(entry) => (entry, Outcome::Stale),
        Lookup::Failed(entry) => {
            tally.cache_failure_hit();
            (entry, Outcome::Cached)
        }
        Lookup::Stale(_) | Lookup::Miss => return None,
    };
    tally.cache_request();
    tally.cache_hit();
    Some(at_hand)
}

/// Questions that nobody behind the ban is asked: zone transfers, which are more than one response, signed messages, and
/// in front of a forwarder the class that is about this server.
fn not_handed_on(hop: &Hop, query: &Query<'_>, client: &Client, forwards: bool) -> Option<Ending> {
    if forwards && let Some(ending) = hop.about(query, client) {
        return Some(ending);
    }
    let why = match (query.qtype, query.qclass) {
        (qtype::AXFR | qtype::IXFR, _) => "zone transfers are not forwarded",
        (_, CLASS_CH) if forwards => "this server tells nothing about itself",
        // The key is not ours, and what we would send on is not what was signed (RFC 8945 §5.5).
        _ if query.signed => "signed messages are not forwarded",
        _ => return None,
    };
    Some(Ending::refused(query, client, ede::PROHIBITED, why))
}

/// The end of a query that nobody could answer.
fn failed(query: &Query<'_>, client: &Client, failure: Failure) -> Ending {
    match (failure.ede(), failure) {
        (Some((code, why)), _) => Ending::servfail(query, client, code, why),
        (None, Failure::Silent) => Ending::Silence(DropReason::ClientGone),
        (None, Failure::Share) => Ending::Silence(DropReason::ClientShare),
        (None, _) => Ending::Silence(DropReason::Shed),
    }
}
