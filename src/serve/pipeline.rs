//! The way of one query, top to bottom.

use std::fmt;
use std::mem::take;
use std::sync::Arc;

use crate::cache::{Entry, Lookup};
use crate::local::Local;
use crate::metrics::{DropReason, Metrics, Outcome, Tally};
use crate::policy::{Blocked, Decision, Hit, Verdict};
use crate::time::Now;
use crate::transfer::Said;
use crate::wire::{CLASS_CH, Query, Response, ede, qtype, rcode};

use super::blocked;
use super::client::Client;
use super::ending::{self, Ending};
use super::guard::{Guard, InForce, Judged, View};
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
/// Embargo's own listeners enter it by the door; and it is hickory-server's `RequestHandler`, so that it can wrap the handler of any
/// server built on that crate.
#[derive(Debug)]
pub struct Embargo<N> {
    pub(super) guard: Arc<Guard>,
    pub(super) next: Arc<N>,
}

/// Where an answer comes from that needs no waiting.
enum Source<'j> {
    /// The ban of the name, and what it demands.
    Ban(&'j Hit<'j>, &'j Blocked),
    /// A zone of ours.
    Zone(Said),
    /// What is known, and how that is counted.
    Found(Arc<Entry>, Outcome),
    /// What is always said to such a question.
    Said(Ending),
}

/// A query whose answer is not known here: nothing of it is recorded yet, and it is to be begun. One policy judges it to its
/// end.
pub(super) struct Unanswered {
    in_force: Arc<InForce>,
    /// Who asks, as far as the query proves it.
    pub(super) client: Client,
    /// Whether no rule speaks of it: then policy need not be asked again.
    unruled: bool,
    /// When it came.
    now: Now,
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
        match at_once {
            Ok(ending) => ending,
            Err(unanswered) => self.go_on(&unanswered, query).await,
        }
    }

    /// Goes on with a query that could not be answered at once.
    pub(super) async fn go_on(&self, unanswered: &Unanswered, query: &Query<'_>) -> Ending {
        self.begin(unanswered, query);
        let asked = self.next.ask(query, &unanswered.client, unanswered.now).await;
        self.finish(unanswered, query, asked, &mut Vec::new())
    }

    /// The way of one query as far as it needs no waiting: every banned and every cached name ends here. `room` is a buffer
    /// for the response, taken only if there is one; `tally` counts for the metrics of the guard. An error: the answer has to
    /// be asked for, and nothing has been counted or recorded.
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
            Some(mut found) => {
                found.client.told = self.guard.told(&view.admission, query, client);
                heard = found;
                with = query.with(&heard.extras);
                (&with, &heard.client)
            }
        };
        let ending = self.settle(tally, view, query, client, now, room)?;
        Ok(paced(tally, view.rates.as_deref(), query, client, now, ending))
    }

    /// The same for a query whose options are heeded, before limits on responses.
    fn settle(
        &self,
        tally: &impl Tally,
        view: &View,
        query: &Query<'_>,
        client: &Client,
        now: Now,
        room: &mut Vec<u8>,
    ) -> Result<Ending, Unanswered> {
        // First: an address we do not serve learns nothing, not even what is banned. Who may have our zones need not be served.
        if !view.admission.admits(client) {
            if let Some(said) = self.zone(query, client) {
                return Ok(Ending::zone(said));
            }
            return Ok(Ending::refused(query, client, ede::PROHIBITED, "this server does not serve your address"));
        }
        if client.told.is_none() {
            self.guard.look_for_crowds(query, client, now);
        }
        if let Some(rcode) = view.hop.objection(query, client) {
            return Ok(Ending::response(query, client, Response::to(query), Outcome::Error, rcode));
        }
        // Without policy nothing is let through: fail closed.
        let Some(in_force) = &*view.in_force else {
            return Ok(Ending::not_ready(query, client));
        };

        // Before the cache and before any flag is looked at: a cached answer must never hide an attempt, and neither RD,
        // CD, DO nor the class lifts a ban.
        let judged = in_force.judge(query, client, now);
        let Some(source) = self.source(tally, view, &judged) else {
            let unruled = judged.verdict.is_pass();
            return Err(Unanswered { in_force: Arc::clone(in_force), client: *client, unruled, now });
        };
        self.guard.record(tally, &judged);
        Ok(match source {
            Source::Ban(hit, blocked) => blocked::answer(query, client, hit, blocked, room),
            Source::Zone(said) => Ending::zone(said),
            Source::Found(entry, outcome) => self.give(tally, &judged, &view.local, Found::kept(entry), outcome, room),
            Source::Said(ending) => ending,
        })
    }

    /// Where the answer to a query comes from that needs no waiting.
    fn source<'j>(&self, tally: &impl Tally, view: &View, judged: &'j Judged<'_>) -> Option<Source<'j>> {
        let &Judged { query, client, now, .. } = judged;
        if let Decision::Enforce(hit, blocked) = &judged.verdict.decision {
            return Some(Source::Ban(hit, blocked));
        }
        let forwards = self.next.forwards();
        if let Some(said) = self.zone(query, client) {
            return Some(Source::Zone(said));
        }
        if let Some(ending) = not_handed_on(&view.hop, query, client, forwards) {
            return Some(Source::Said(ending));
        }

        // Behind policy: no data of ours lifts a ban. Before the cache: it is ours to say, and a reload changes it at once.
        if let Some(answer) = view.local.answer(query) {
            return Some(Source::Found(Arc::new(Entry::unkept(answer, true, now.mono)), Outcome::Local));
        }

        // The cache holds what upstream said, unfiltered: a new ban needs no flush.
        let known = if self.next.is_tailored(query, client) { Lookup::Miss } else { self.next.known(query, now) };
        // RD=0 asks for what is known already; to go and ask would let anybody look into the cache by timing.
        if forwards && !query.recursion_desired() && !matches!(known, Lookup::Fresh(_)) {
            let why = "recursion was not asked for";
            return Some(Source::Said(Ending::refused(query, client, ede::NOT_AUTHORITATIVE, why)));
        }
        if let Some((entry, outcome)) = at_hand(tally, known) {
            return Some(Source::Found(entry, outcome));
        }
        view.hop.any(query, client, judged.verdict.ttl_cap).filter(|_ending| forwards).map(Source::Said)
    }

    /// Records a query whose answer is asked for.
    pub(super) fn begin(&self, unanswered: &Unanswered, query: &Query<'_>) {
        if unanswered.unruled {
            self.guard.note_active(&unanswered.in_force, &unanswered.client, unanswered.now);
            self.guard.note(query, &unanswered.client, unanswered.now);
        } else {
            self.guard.record(self.tally(), &unanswered.judge(query, &unanswered.client));
        }
    }

    /// The end of a query that may not wait: a stale answer if there is one, else SERVFAIL. A lookup of a banned name is an attempt also when
    /// it is shed.
    pub(super) fn shed(&self, unanswered: &Unanswered, query: &Query<'_>, full: Failure) -> Ending {
        self.begin(unanswered, query);
        self.tally().cache_request();
        self.finish(unanswered, query, Err(full), &mut Vec::new())
    }

    /// The rest of the way of a query that was begun, when upstreams have answered or failed. `room` is a buffer for the response.
    pub(super) fn finish(
        &self,
        unanswered: &Unanswered,
        query: &Query<'_>,
        asked: Result<Found, Failure>,
        room: &mut Vec<u8>,
    ) -> Ending {
        let (client, now) = (&unanswered.client, unanswered.now);
        let hop = self.guard.hop_for(query);
        let mut heard = hop.as_ref().and_then(|hop| hop.hear_all(query, client, now));
        if let (Some(heard), Ok(found)) = (&mut heard, &asked) {
            heard.extras.subnet = found.subnet;
        }
        let with = heard.as_ref().map(|heard| query.with(&heard.extras));
        let query = with.as_ref().unwrap_or(query);
        let ending = self.after_asking(&unanswered.judge(query, client), asked, room);
        paced(self.tally(), self.guard.rates().as_deref(), query, client, now, ending)
    }

    /// Falls back on a stale answer, since a failure, or an answer that is none, is no reason to withhold one (RFC 8767 §4).
    fn after_asking(&self, judged: &Judged<'_>, asked: Result<Found, Failure>, room: &mut Vec<u8>) -> Ending {
        let stale = || match self.next.known(judged.query, judged.now) {
            Lookup::Stale(entry) | Lookup::Resting(entry) => Some(Found::kept(entry)),
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
                (None, Err(failure)) => return self.failed(judged, failure),
            },
        };
        self.give(self.tally(), judged, &self.guard.local(), found, outcome, room)
    }

    /// The end of a query that nobody could answer.
    fn failed(&self, judged: &Judged<'_>, failure: Failure) -> Ending {
        if let Some(shed) = failure.shed() {
            self.guard.metrics().dns.shed(shed).inc();
        }
        let Some((code, why)) = failure.ede() else { return Ending::Silence(DropReason::ClientGone) };
        Ending::servfail(judged.query, judged.client, code, why)
    }

    /// The end of a query whose answer is there but can't be kept until its client takes it.
    pub(super) fn unkept(&self, query: &Query<'_>, client: &Client, full: Failure) -> Ending {
        full.shed().into_iter().for_each(|shed| self.guard.metrics().dns.shed(shed).inc());
        Ending::servfail(query, client, ede::OTHER, "too many large answers wait to be taken")
    }

    /// What a question about a zone as a whole is answered, if the zone is one of ours.
    fn zone(&self, query: &Query<'_>, client: &Client) -> Option<Said> {
        if !matches!(query.qtype, qtype::SOA | qtype::AXFR | qtype::IXFR) {
            return None;
        }
        self.guard.zone(query, client)
    }

    /// Who counts where no thread has a block of its own.
    fn tally(&self) -> &Metrics {
        self.guard.metrics()
    }

    /// Whether an answer is not given for fear of DNS rebinding; if so, it is counted.
    fn rebinds(&self, local: &Local, query: &Query<'_>, entry: &Entry) -> bool {
        let rebinds = local.is_rebinding(&query.name, &entry.answer);
        if rebinds {
            self.guard.metrics().dns.rebinding.inc();
        }
        rebinds
    }

    /// The answer as this client gets it: last, it may lead to a banned name.
    fn give(
        &self,
        tally: &impl Tally,
        judged: &Judged<'_>,
        local: &Local,
        found: Found,
        outcome: Outcome,
        room: &mut Vec<u8>,
    ) -> Ending {
        let Judged { query, client, verdict, now, .. } = judged;
        let led = screen::find(judged, &found.entry);
        if !led.hits.is_empty() {
            self.guard.record_led(tally, judged, &led);
            if let Some(enforced) = &led.enforced {
                return screen::answer(judged, enforced, &found.entry, room);
            }
        } else if outcome == Outcome::Cached && found.entry.is_due(now.mono) && verdict.is_pass() {
            // Only what no rule speaks of, neither itself nor where it leads: what is observed or banned is never asked for
            // without a client. Policy has judged the name at this moment, so it need not be asked once more.
            self.next.renew(query, *now);
        }
        let rcode = found.entry.answer.rcode();
        // Data of ours is meant as it stands.
        if outcome != Outcome::Local
            && found.entry.answer.holds_private_address()
            && self.rebinds(local, query, &found.entry)
        {
            return rebound(query, client, outcome, room);
        }
        let limit = ending::limit(query, client);
        let ttl_cap = [verdict.ttl_cap, led.ttl_cap].into_iter().flatten().min();
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
        let mut message = entry.answer.render(query, &fit, take(room));
        // AA: nobody knows better (RFC 6303 §3); all else is somebody else's.
        message[2] |= if outcome == Outcome::Local { 0x04 } else { 0 };
        Ending::Response { message, outcome, rcode }
    }
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unanswered").field("client", &self.client).field("now", &self.now).finish_non_exhaustive()
    }
}

impl Unanswered {
    /// What the policy said of it when it came.
    fn judge<'a>(&'a self, query: &'a Query<'a>, client: &'a Client) -> Judged<'a> {
        if self.unruled {
            return Judged {
                in_force: &self.in_force,
                query,
                client,
                verdict: Verdict::PASS,
                spared: Vec::new(),
                now: self.now,
            };
        }
        self.in_force.judge(query, client, self.now)
    }
}

/// Last of all, on the response, when all is recorded and counted: a client that proves nothing and was sent much lately is
/// told to come over TCP.
fn paced(
    tally: &impl Tally,
    rates: Option<&Rates>,
    query: &Query<'_>,
    client: &Client,
    now: Now,
    ending: Ending,
) -> Ending {
    match ending {
        Ending::Response { message, outcome, .. } if is_limited(tally, rates, client, now) => {
            let least = query.least_extras();
            let query = query.with(&least);
            let short = Response::within(message, &query).truncated();
            Ending::response(&query, client, short, outcome, rcode::NOERROR)
        }
        ending => ending,
    }
}

/// Whether a client proves nothing and was sent much lately, so that it is sent no more than it sent; if so, that is counted.
#[inline]
pub(super) fn is_limited(tally: &impl Tally, rates: Option<&Rates>, client: &Client, now: Now) -> bool {
    let limited = rates.is_some_and(|rates| !client.verified() && !rates.allows(client.address(), now.mono));
    if limited {
        tally.rate_limited();
    }
    limited
}

/// No such record instead of a private address for a public name. All records of the type go: what is
/// left of a signed set would be forged, and what is reached by the others is not for this server to say.
fn rebound(query: &Query<'_>, client: &Client, outcome: Outcome, room: &mut Vec<u8>) -> Ending {
    let none = Response::within(take(room), query).soa(query.name.wire(), REBOUND_TTL);
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
