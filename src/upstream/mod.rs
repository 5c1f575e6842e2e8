//! Asking other servers: several upstreams in order, the next one soon when one is silent, each watched for its health.
//!
//! ```text
//! spec, peer              what the operator wrote: a server, and what an encrypted one is known by
//! server, servers, config what is meant
//! tree                    which group of upstreams is asked for which names
//! order                   who of a group is asked first (pure)
//! ask                     our query as octets
//! message                 the judgement of what came back
//! plan                    when to ask whom next (pure)
//! health                  whether an upstream is worth asking in its turn (pure)
//! datagram, stream        one exchange over UDP (ours) and over connections (hickory-resolver's)
//! pool                    which connection a question takes (pure)
//! whereabouts             where an upstream is that is written by host name
//! connect                 how one is made over TCP, TLS, HTTP/2 or QUIC
//! blame, trouble          who is to blame when an attempt fails, and what an operator is told
//! limit, round_trip       how much an upstream is asked at once, and how long it takes
//! member                  one upstream: server, health, limits, connections
//! exchange                one question on its way through all of them
//! outside                 one thread's questions over UDP, many at a time, without a task for each
//! casing                  whether an upstream keeps the case of names (pure)
//! probe                   asks those that are ill until they answer
//! echo                    whether an upstream leads back to this server (pure)
//! said                    what the log says of their health, and how often (pure)
//! validate                whether an answer is what its zone has signed (DNSSEC)
//! ```
//! The only user of `hickory_resolver`. Leaves caching, equal questions in flight, the client's deadline and every policy
//! to [`serve`](crate::serve).

mod ask;
mod blame;
mod casing;
mod config;
mod connect;
mod datagram;
mod echo;
mod error;
mod exchange;
mod health;
mod limit;
mod member;
mod message;
mod observer;
mod order;
mod outside;
mod peer;
mod plan;
mod pool;
mod probe;
mod round_trip;
mod said;
mod server;
mod servers;
mod source;
mod spec;
mod stream;
mod tree;
mod trouble;
mod validate;
mod whereabouts;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use ask::{Ask, AskRef};
pub use config::Config;
pub use error::UpstreamError;
pub use member::UpstreamStatus;
pub use message::{BadPacket, Response, ResponseRef};
pub use observer::{FailReason, Observer, Unobserved};
pub use order::Order;
pub use outside::{Outside, Unsettled, Why};
pub use peer::Peer;
pub use server::Server;
pub use servers::{Servers, ServersError};
pub use source::{Source, is_local};
pub use spec::{Host, Protocol, SpecError, UpstreamSpec};
pub use tree::{Branch, GROUPS_MAX, Group, Tree};
pub use validate::{AnchorError, Anchors, Bogus, Exempt, Questions, Validation, ValidationError, Validator};
pub use whereabouts::{LocateError, locate};

use exchange::Exchange;
use member::Member;
use order::Candidate;
use plan::Pace;

/// A group of servers that this one forwards to.
pub struct Upstreams {
    /// Its number among the groups of a [`Tree`], by which threads find their sockets to it.
    place: usize,
    members: Vec<Arc<Member>>,
    order: Order,
    /// Counts questions, for an order that looks round now and then.
    questions: AtomicU32,
    pace: Pace,
    closing: CancellationToken,
    _close: DropGuard,
}

impl Upstreams {
    /// Ready to ask; all upstreams count as healthy. Must be called in a tokio runtime: a task probes the ill ones until
    /// this value is dropped.
    pub fn new(config: &Config, observer: &Arc<dyn Observer>) -> Self {
        Self::at(0, config, observer)
    }

    /// The same at a place of a tree.
    fn at(place: usize, config: &Config, observer: &Arc<dyn Observer>) -> Self {
        let fell_ill = Arc::new(Notify::new());
        let member = |(index, server): (usize, &Server)| {
            Arc::new(Member::new(index, server.clone(), config, Arc::clone(observer), Arc::clone(&fell_ill)))
        };
        let members: Vec<_> = config.servers.as_slice().iter().enumerate().map(member).collect();
        let closing = CancellationToken::new();
        let probing = probe::run(members.clone(), config.probe_interval, fell_ill);
        tokio::spawn(closing.clone().run_until_cancelled_owned(probing));
        follow_names(&members, config, &closing);
        let times = Pace {
            hedge: config.hedge,
            retry: config.retry,
            patience: config.patience,
            deadline: config.deadline,
            end: config.exchange_max,
        };
        let (order, questions) = (config.order, AtomicU32::new(0));
        Self { place, members, order, questions, pace: times, _close: closing.clone().drop_guard(), closing }
    }

    /// Asks one question of the upstreams and returns the first answer, positive or negative. A response that is no
    /// answer (SERVFAIL, REFUSED, …) is returned only when nobody gives one, or at once when it says that validation
    /// failed (RFC 8914 codes 5 to 12). Ends within [`Config::exchange_max`]; a client's deadline is the caller's to keep.
    /// Dropping the future drops its attempts.
    ///
    /// # Errors
    /// [`UpstreamError`] when no upstream gave any response.
    pub async fn ask(&self, ask: &Ask) -> Result<Response, UpstreamError> {
        self.exchange(ask)?.run().await
    }

    /// Goes on asking where an [`Outside`] has begun, as if the question had been asked here from its beginning: after
    /// silence the others are asked, and this upstream again later; what it then says is heard. After a rejection the others
    /// are asked at once, and the rejection serves if they don't answer. An answer that is truncated, or in the wrong case, is
    /// asked for over TCP at once. `ask` is the question that was asked there.
    ///
    /// # Errors
    /// As [`Upstreams::ask`].
    pub async fn ask_after(&self, ask: &Ask, tried: Unsettled) -> Result<Response, UpstreamError> {
        self.exchange(ask)?.go_on(tried).run().await
    }

    /// Whether the AD bit of this upstream, by its index in the configuration, is believed.
    pub fn vouches(&self, upstream: usize) -> bool {
        self.members.get(upstream).is_some_and(|member| member.vouches)
    }

    /// How each upstream is doing, in the order of the configuration.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        self.members.iter().map(|member| member.status()).collect()
    }

    /// Takes in that a number made up for one of the upstreams came here as a query; says whether it was.
    fn hears(&self, number: NonZeroU64) -> bool {
        self.members.iter().any(|member| member.hears(number))
    }

    /// The way of a question through those that don't lead back here. A name by which a server looks for a circle goes to all.
    fn exchange(&self, ask: &Ask) -> Result<Exchange<'_>, UpstreamError> {
        let seeking = echo::number(ask.name.wire()).is_some();
        let asked = self.members.iter().filter(|member| seeking || !member.echo.loops());
        let candidates: Vec<Candidate> = asked.map(|member| member.candidate()).collect();
        if candidates.is_empty() {
            return Err(UpstreamError::Loop);
        }
        let turns = self.order.all(self.nth(), &candidates, &mut rand::rng());
        Ok(Exchange::new(&self.members, turns, ask, self.pace, &self.closing))
    }

    /// The first in turn, leaving out those whose bit is set.
    fn first(&self, left_out: u32) -> Option<&Arc<Member>> {
        let index = self.order.first(self.nth(), self.candidates(left_out), &mut rand::rng())?;
        self.members.get(index)
    }

    /// Which question of this group this is; counted only where the order depends on it, since threads would meet here.
    fn nth(&self) -> u32 {
        if self.order == Order::Fastest { self.questions.fetch_add(1, Ordering::Relaxed) } else { 0 }
    }

    fn candidates(&self, left_out: u32) -> impl Iterator<Item = Candidate> + Clone {
        let asked = move |member: &&Arc<Member>| left_out & (1 << member.index) == 0 && !member.echo.loops();
        let members = self.members.iter().filter(asked);
        members.map(|member| member.candidate())
    }
}

/// Follows the names of upstreams that are written by name, until `closing`.
fn follow_names(members: &[Arc<Member>], config: &Config, closing: &CancellationToken) {
    let mut named = members.iter().filter(|member| member.server.address().is_none()).peekable();
    let (Some(servers), Some(_any)) = (&config.bootstrap, named.peek()) else { return };
    let config = Config { servers: servers.clone(), order: Order::Listed, bootstrap: None, ..config.clone() };
    let observer: Arc<dyn Observer> = Arc::new(Unobserved);
    let bootstrap = Arc::new(Upstreams::new(&config, &observer));
    for member in named {
        let (member, bootstrap) = (Arc::clone(member), Arc::clone(&bootstrap));
        let following = async move { member.stream.follow(&member.server, &bootstrap).await };
        tokio::spawn(closing.clone().run_until_cancelled_owned(following));
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| &member.server)).finish()
    }
}
