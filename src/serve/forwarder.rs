//! Our own part behind the ban: the cache, then the upstreams.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cache::{Cache, Cause, Entry, Key, KeyRef, KeyRest, Lookup};
use crate::clock::Clock;
use crate::metrics::{Metrics, Tally as _};
use crate::time::{Mono, Now};
use crate::upstream::{Ask, AskRef, Response, Tree, Unsettled, UpstreamError, Upstreams, ValidationError, Validator};
use crate::wire::{self, Answer, Layout, PAYLOAD, Query, Subnet, ede, extended_errors, rcode};

use super::client::Client;
use super::flight::{FlightNumber, Flights, Joined};
use super::next::{Failure, Found, Next};
use super::room::{Permit, Room};
use super::waiting::{Asked, Waiting};

/// Limits of forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwarderConfig {
    /// Every query is answered within this, with an answer or without.
    pub deadline: Duration,
    /// A client for which there is a stale answer waits no longer than this for a fresh one (RFC 8767 §5: the client response
    /// timer).
    pub stale_after: Duration,
    /// Different questions that may be open at upstreams at a time.
    pub open_max: usize,
    /// Questions that may be open at a time for no client, to renew popular answers.
    pub renewals_max: usize,
}

/// Answers from the cache, else from the upstreams.
pub struct Forwarder {
    shared: Arc<Shared>,
}

/// What an exchange needs that goes on after its clients have been answered.
pub(super) struct Shared {
    config: ForwarderConfig,
    cache: Arc<Cache>,
    tree: Arc<ArcSwap<Tree>>,
    flights: Flights<Key, Waiter>,
    /// For questions that are open, and for those of them that are renewals.
    room: Arc<Room>,
    renewals: Arc<Room>,
    runtime: Handle,
    validator: Arc<ArcSwapOption<Validator>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A task.
    Task(oneshot::Sender<Asked>),
    /// A datagram; nobody but this value knows of it.
    Datagram(Box<Waiting>),
}

/// One question that is to be asked, or is being asked, by whoever holds this. Those who wait for it are told however it
/// ends: dropped before it has landed (its task was aborted, its thread panicked) it counts as overload, or nobody could ever
/// ask that question again.
pub(super) struct Flight {
    shared: Arc<Shared>,
    key: Key,
    number: FlightNumber,
    /// When it was opened.
    opened: Mono,
    landed: bool,
    /// The right to be open for no client.
    #[expect(dead_code, reason = "held for its drop")]
    renewal: Option<Permit>,
}

impl Forwarder {
    /// Forwards to the upstreams of `tree`, whichever they are at the time, and keeps what they say in `cache`, as far as
    /// `validator` believes it, if there is one at the time. To be called within a tokio runtime, which popular answers are
    /// renewed in.
    pub fn new(
        config: ForwarderConfig,
        cache: Arc<Cache>,
        tree: Arc<ArcSwap<Tree>>,
        validator: Arc<ArcSwapOption<Validator>>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let (room, renewals) = (Room::new(config.open_max), Room::new(config.renewals_max));
        let runtime = Handle::current();
        Self {
            shared: Arc::new(Shared {
                config,
                cache,
                tree,
                flights: Flights::new(),
                room,
                renewals,
                runtime,
                validator,
                metrics,
                clock,
            }),
        }
    }

    /// What outlives a query.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Next for Forwarder {
    fn is_tailored(&self, query: &Query<'_>, client: &Client) -> bool {
        self.shared.tailors(query, client).is_some()
    }

    fn known(&self, query: &Query<'_>, now: Now) -> Lookup {
        self.shared.cache.get(&KeyRef::of(query), now.mono)
    }

    async fn ask(&self, query: &Query<'_>, client: &Client, now: Now) -> Result<Found, Failure> {
        if let Some(subnet) = self.shared.tailors(query, client) {
            return self.shared.ask_alone(query, client, subnet).await;
        }
        let (sender, answer) = oneshot::channel();
        match self.shared.join(query, client, Waiter::Task(sender), now.mono) {
            Ok(None) => (),
            Ok(Some(flight)) => drop(tokio::spawn(flight.exchange(None))),
            Err((_waiter, failure)) => return Err(failure),
        }
        let patience = self.shared.patience(&KeyRef::of(query).to_key(), now.mono);
        let answer = tokio::time::timeout(patience, answer).await;
        let entry = answer.map_err(|_elapsed| Failure::Deadline)?.map_err(|_died| Failure::Overload)??;
        Ok(Found::kept(entry))
    }

    fn renew(&self, query: &Query<'_>, now: Now) {
        if let Some(flight) = self.shared.renewal(query, now.mono) {
            drop(self.shared.runtime.spawn(flight.exchange(None)));
        }
    }

    fn forwarder(&self) -> Option<&Forwarder> {
        Some(self)
    }
}

impl Shared {
    /// Has `waiter` wait for the answer to a query. Returns the question if it is to be asked now.
    ///
    /// # Errors
    /// The waiter and why, when too many questions are open, or this one has come back to us.
    pub(super) fn join(
        self: &Arc<Self>,
        query: &Query<'_>,
        client: &Client,
        waiter: Waiter,
        now: Mono,
    ) -> Result<Option<Flight>, (Waiter, Failure)> {
        self.metrics.cache_request();
        if self.tree.load().hears(query.name.wire()) {
            return Err((waiter, Failure::Loop));
        }
        let key = KeyRef::of(query).to_key();
        match self.flights.join(&key, waiter, || self.room.permit(client.address())) {
            Joined::First(number) => Ok(Some(self.flight(key, number, now, None))),
            Joined::Later => Ok(None),
            Joined::Full(waiter, full) => Err((waiter, full.into())),
        }
    }

    /// The network that upstreams are asked for in this client's name, if it says one and they are to be told.
    #[inline]
    pub(super) fn tailors(&self, query: &Query<'_>, client: &Client) -> Option<Subnet> {
        let subnet = query.subnet()?;
        let tree = self.tree.load();
        let told = &tree.branch(query.name.wire(), query.qtype).config.subnets_from;
        told.iter().any(|network| network.contains(&client.address())).then_some(subnet)
    }

    /// Asks for one client and nobody else: an answer that depends on where its client is reaches neither the cache nor whoever
    /// asks the same meanwhile. Ends within the deadline, and with it the exchange.
    async fn ask_alone(self: &Arc<Self>, query: &Query<'_>, client: &Client, subnet: Subnet) -> Result<Found, Failure> {
        if self.tree.load().hears(query.name.wire()) {
            return Err(Failure::Loop);
        }
        let _permit = self.room.permit(client.address())?;
        let question = Ask { subnet: Some(subnet), ..question(&KeyRef::of(query).to_key()) };
        let heard = tokio::time::timeout(self.config.deadline, ask(Arc::clone(self), question, None)).await;
        let Heard { response, authentic, subnet } = heard.map_err(|_elapsed| Failure::Deadline)??;
        let answer = Answer::keep(&response.message, &response.layout).map_err(|_malformed| Failure::Refused)?;
        if speaks_of_us(answer.rcode()) {
            return Err(Failure::Refused);
        }
        let entry = Arc::new(Entry::unkept(answer, authentic, self.clock.now().mono));
        Ok(Found { subnet, ..Found::kept(entry) })
    }

    /// The question of a query whose answer is to be renewed for nobody in particular; none if it is being asked already, or if
    /// too much is.
    fn renewal(self: &Arc<Self>, query: &Query<'_>, now: Mono) -> Option<Flight> {
        let permit = self.renewals.any()?;
        let key = KeyRef::of(query).to_key();
        let number = self.flights.open(&key, || self.room.any())?;
        self.metrics.cache.prefetches.inc();
        Some(self.flight(key, number, now, Some(permit)))
    }

    fn flight(self: &Arc<Self>, key: Key, number: FlightNumber, opened: Mono, renewal: Option<Permit>) -> Flight {
        Flight { shared: Arc::clone(self), key, number, opened, landed: false, renewal }
    }

    /// How long whoever asks this question now waits for its answer.
    fn patience(&self, key: &Key, now: Mono) -> Duration {
        let ForwarderConfig { deadline, stale_after, .. } = self.config;
        if self.cache.is_stale(key, now) { deadline.min(stale_after) } else { deadline }
    }

    /// Who validates the answer to a question, if anybody does.
    fn validator(&self, ask: &Ask) -> Option<Arc<Validator>> {
        let validator = self.validator.load();
        validator.as_ref().filter(|_validator| Validator::covers(ask)).cloned()
    }

    /// The upstreams to ask now about a name, in lower case on the wire.
    pub(super) fn upstreams(&self, name: &[u8], qtype: u16) -> Arc<Upstreams> {
        Arc::clone(&self.tree.load().branch(name, qtype).upstreams)
    }
}

impl Flight {
    /// Whether the answer is to be validated, which takes further questions and so a task.
    pub(super) fn is_validated(&self) -> bool {
        self.shared.validator.load().is_some() && self.shared.validator(&question(&self.key)).is_some()
    }

    /// Keeps what an upstream said at `now`, if it speaks of the name; its AD bit is believed if `authentic`.
    pub(super) fn keep(&self, message: &[u8], layout: &Layout, authentic: bool, now: Mono) -> Asked {
        let Ok(answer) = Answer::keep(message, layout) else { return Err(self.failed(Failure::Refused, now)) };
        let key = self.key.clone();
        match answer.rcode() {
            rcode if speaks_of_us(rcode) => Err(self.failed(Failure::Refused, now)),
            rcode::SERVFAIL => {
                let bogus = extended_errors(message, layout).any(|code| ede::BOGUS.contains(&code));
                Ok(self.shared.cache.fail(key, answer, if bogus { Cause::Bogus } else { Cause::Said }, now))
            }
            // Somebody wants to be rid of what was known until then, and of what is under way.
            _ if self.shared.cache.was_flushed_since(self.opened) => {
                Ok(Arc::new(Entry::unkept(answer, authentic, now)))
            }
            _ => Ok(self.shared.cache.insert(key, answer, authentic, now)),
        }
    }

    /// Keeps a failure that asking has come to at `now`, so that whoever asks again a moment later makes no storm of it.
    fn failed(&self, failure: Failure, now: Mono) -> Failure {
        if let Some(servfail) = servfail(&self.key, failure).filter(|_servfail| failure.is_lasting()) {
            let cause = if matches!(failure, Failure::Bogus(_)) { Cause::Bogus } else { Cause::Silence };
            self.shared.cache.fail(self.key.clone(), servfail, cause, now);
        }
        failure
    }

    /// Those who are to be told. An answer is for whoever waits for it, a failure for those of this flight alone.
    pub(super) fn land(&mut self, asked: &Asked) -> Vec<Waiter> {
        self.landed = true;
        match asked {
            Ok(_entry) => self.shared.flights.land(&self.key),
            Err(_failure) => self.shared.flights.give_up(&self.key, self.number),
        }
    }

    /// Tells everyone.
    fn settle(&mut self, asked: &Asked) {
        for waiter in self.land(asked) {
            waiter.tell(asked.clone());
        }
    }

    /// Asks the upstreams, going on from what was `tried`, and tells everyone who waits, within their patience; then goes on, so
    /// that a slow answer still reaches the cache. Whoever asks again then asks anew, since an upstream that is back must be seen
    /// to be, unless there is a stale answer to give: that rests from now on.
    pub(super) async fn exchange(mut self, tried: Option<Unsettled>) {
        let patience = self.shared.patience(&self.key, self.opened);
        let left = patience.saturating_sub(self.shared.clock.now().mono.since(self.opened));
        let mut asking = pin!(ask(Arc::clone(&self.shared), question(&self.key), tried));
        let heard = match tokio::time::timeout(left, &mut asking).await {
            Ok(heard) => heard,
            Err(_elapsed) => {
                self.shared.cache.rest(&self.key, self.shared.clock.now().mono);
                self.settle(&Err(Failure::Deadline));
                asking.await
            }
        };
        self.hear(heard);
    }

    /// Takes in what upstreams came to.
    fn hear(mut self, heard: Result<Heard, Failure>) {
        let now = self.shared.clock.now().mono;
        let asked = match heard {
            Ok(Heard { response, authentic, subnet: _ }) => {
                self.keep(&response.message, &response.layout, authentic, now)
            }
            Err(failure) => Err(self.failed(failure, now)),
        };
        self.settle(&asked);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.settle(&Err(Failure::Overload));
        }
    }
}

/// Whether a response code speaks of our query or our standing with that server, and not of the name; SERVFAIL does, and says
/// why.
fn speaks_of_us(rcode: u16) -> bool {
    matches!(rcode, rcode::FORMERR | rcode::NOTIMP | rcode::REFUSED | rcode::NOTAUTH | 16..)
}

/// What an upstream said.
struct Heard {
    response: Response,
    /// Whether its AD bit is believed.
    authentic: bool,
    /// For which networks it says that it is.
    subnet: Option<Subnet>,
}

async fn ask(shared: Arc<Shared>, ask: Ask, tried: Option<Unsettled>) -> Result<Heard, Failure> {
    let upstreams = shared.upstreams(ask.name.wire(), ask.qtype);
    let Some(validator) = shared.validator(&ask) else {
        let response = match tried {
            None => upstreams.ask(&ask).await,
            Some(tried) => upstreams.ask_after(&ask, tried).await,
        };
        let response = response.map_err(failure)?;
        let (authentic, subnet) = (upstreams.vouches(response.upstream), response.subnet());
        return Ok(Heard { response, authentic, subnet });
    };
    let response = upstreams.ask(&Validator::question(&ask)).await.map_err(failure)?;
    let (asked, subnet) = (Ask { subnet: None, ..ask }, response.subnet());
    match validator.validate(&asked, response, shared.clock.now().wall).await {
        Ok(response) => Ok(Heard { response, authentic: true, subnet }),
        Err(ValidationError::Bogus(bogus)) => Err(Failure::Bogus(bogus)),
        Err(ValidationError::Unanswered(error)) => Err(failure(error)),
    }
}

fn failure(error: UpstreamError) -> Failure {
    match error {
        UpstreamError::Timeout { .. } => Failure::Deadline,
        UpstreamError::Loop => Failure::Loop,
        UpstreamError::Busy => Failure::Busy,
        UpstreamError::Unusable => Failure::Refused,
        UpstreamError::Unreachable { .. } => Failure::Unreachable,
        UpstreamError::Local => Failure::Local,
    }
}

impl Waiter {
    /// Tells it what asking came to.
    pub(super) fn tell(self, asked: Asked) {
        match self {
            // Who has gone needs no answer.
            Self::Task(sender) => drop(sender.send(asked)),
            Self::Datagram(waiting) => waiting.end(asked),
        }
    }
}

/// What an upstream is asked for a query.
pub(super) fn question_of<'q>(query: &'q Query<'_>) -> AskRef<'q> {
    AskRef::new(&query.name, query.qtype, query.qclass, query.dnssec_ok(), query.checking_disabled())
}

/// The same for a key.
fn question(key: &Key) -> Ask {
    Ask {
        name: key.name(),
        qtype: key.rest.qtype,
        qclass: key.rest.qclass,
        dnssec_ok: key.rest.dnssec_ok,
        checking_disabled: key.rest.checking_disabled,
        subnet: None,
    }
}

/// The SERVFAIL that a failed question is answered with until it is asked again; `None`: there is none.
fn servfail(key: &Key, failure: Failure) -> Option<Answer> {
    let (code, why) = failure.ede()?;
    let KeyRest { qtype, qclass, .. } = key.rest;
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(key.wire());
    message.extend([qtype.to_be_bytes(), qclass.to_be_bytes()].concat());
    // An OPT record, without which there is no room for the reason.
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let query = Query::read(&message).ok()?;
    let response = wire::Response::to(&query).rcode(rcode::SERVFAIL).ede(code, why).finish(usize::from(PAYLOAD));
    Answer::keep(&response, &Layout::read(&response).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::cache;
    use crate::upstream::{self, Observer, Server, Servers, Unobserved};

    /// Longer than anything here takes; only a fault lets a test wait for it.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn clients_are_told_at_the_deadline_and_a_late_answer_is_still_kept() {
        let fake = UdpSocket::bind("127.0.0.1:0").unwrap();
        fake.set_read_timeout(Some(PATIENCE)).unwrap();
        let server = Server::plain(fake.local_addr().unwrap());
        let mut config = upstream::Config::new(Servers::new(vec![server]).unwrap());
        (config.patience, config.exchange_max) = (PATIENCE, 2 * PATIENCE);
        let observer: Arc<dyn Observer> = Arc::new(Unobserved);
        let tree = Tree::new(Upstreams::new(&config, &observer), config);
        let tree = Arc::new(ArcSwap::from_pointee(tree));
        let (cache, clock) = (Arc::new(Cache::new(cache::Config::new(1 << 20))), Clock::system());
        let millisecond = Duration::from_millis(1);
        let config = ForwarderConfig { deadline: millisecond, stale_after: millisecond, open_max: 1, renewals_max: 1 };
        let forwarder = Forwarder::new(config, cache, tree, Arc::default(), Arc::new(Metrics::new()), clock.clone());
        let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let query = Query::read(message).unwrap();

        let (sender, told) = oneshot::channel();
        let client = Client::new("127.0.0.1:53".parse().unwrap(), wire::Transport::Udp);
        let joined = forwarder.shared.join(&query, &client, Waiter::Task(sender), clock.now().mono);
        let flight = joined.ok().flatten().unwrap();
        tokio::spawn(flight.exchange(None));
        let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
        assert_eq!(told.unwrap().unwrap_err(), Failure::Deadline);

        let asked = tokio::task::spawn_blocking(move || {
            let mut asked = [0; 512];
            let (_size, from) = fake.recv_from(&mut asked).unwrap();
            let record = b"\xC0\x0C\0\x01\0\x01\0\0\x0E\x10\0\x04\xC0\0\x02\x01";
            let header = [&asked[..2], b"\x81\x80\0\x01\0\x01\0\0\0\0"].concat();
            fake.send_to(&[&header[..], &message[12..], record].concat(), from).unwrap();
        });
        asked.await.unwrap();
        let kept = async {
            while !matches!(forwarder.known(&query, clock.now()), Lookup::Fresh(_)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, kept).await.unwrap();
    }
}
