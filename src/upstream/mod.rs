//! Asking other servers: several upstreams in order, the next one soon when one is silent, each watched for its health.
//!
//! ```text
//! spec, servers, config   what the operator wrote, and what is meant
//! message                 our query; the judgement of what came back
//! plan                    when to ask whom next (pure)
//! health                  whether an upstream is worth asking in its turn (pure)
//! datagram, stream        one exchange over UDP (ours) and over TCP (hickory-resolver's)
//! member                  one upstream: address, health, limits, connection
//! exchange                one question on its way through all of them
//! outside                 one thread's questions over UDP, many at a time, without a task for each
//! casing                  whether an upstream keeps the case of names (pure)
//! probe                   asks those that are ill until they answer
//! said                    what the log says of their health, and how often (pure)
//! ```
//! The only user of `hickory_resolver`. Leaves caching, equal questions in flight, the client's deadline and every policy
//! to [`serve`](crate::serve).

mod casing;
mod config;
mod datagram;
mod error;
mod exchange;
mod health;
mod member;
mod message;
mod observer;
mod outside;
mod plan;
mod probe;
mod said;
mod servers;
mod spec;
mod stream;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use config::Config;
pub use error::UpstreamError;
pub use member::UpstreamStatus;
pub use message::{Ask, AskRef, BadPacket, Response, ResponseRef};
pub use observer::{FailReason, Observer, Unobserved};
pub use outside::{Outside, Unsettled, Why};
pub use servers::{Server, Servers, ServersError};
pub use spec::{Protocol, SpecError, UpstreamSpec};

use exchange::Exchange;
use member::Member;
use plan::Pace;

/// The servers that this one forwards to.
pub struct Upstreams {
    members: Vec<Arc<Member>>,
    pace: Pace,
    closing: CancellationToken,
    _close: DropGuard,
}

impl Upstreams {
    /// Ready to ask; all upstreams count as healthy. Must be called in a tokio runtime: a task probes the ill ones until
    /// this value is dropped.
    pub fn new(config: &Config, observer: &Arc<dyn Observer>) -> Self {
        let fell_ill = Arc::new(Notify::new());
        let member = |(index, server): (usize, &Server)| {
            Arc::new(Member::new(index, *server, config, Arc::clone(observer), Arc::clone(&fell_ill)))
        };
        let members: Vec<_> = config.servers.as_slice().iter().enumerate().map(member).collect();
        let closing = CancellationToken::new();
        let probing = probe::run(members.clone(), config.probe_interval, fell_ill);
        tokio::spawn(closing.clone().run_until_cancelled_owned(probing));
        let pace = Pace {
            hedge: config.hedge,
            retry: config.retry,
            patience: config.patience,
            deadline: config.deadline,
            end: config.exchange_max,
        };
        Self { members, pace, _close: closing.clone().drop_guard(), closing }
    }

    /// Asks one question of the upstreams and returns the first answer, positive or negative. A response that is no
    /// answer (SERVFAIL, REFUSED, …) is returned only when nobody gives one, or at once when it says that validation
    /// failed (RFC 8914 codes 5 to 12). Ends within [`Config::exchange_max`]; a client's deadline is the caller's to keep.
    /// Dropping the future drops its attempts.
    ///
    /// # Errors
    /// [`UpstreamError`] when no upstream gave any response.
    pub async fn ask(&self, ask: &Ask) -> Result<Response, UpstreamError> {
        Exchange::new(&self.members, ask, self.pace, &self.closing).run().await
    }

    /// Goes on asking where an [`Outside`] has begun, as if the question had been asked here from its beginning: after
    /// silence the others are asked, and this upstream again later; what it then says is heard. After a rejection the others
    /// are asked at once, and the rejection serves if they don't answer. An answer that is truncated, or in the wrong case, is
    /// asked for over TCP at once. `ask` is the question that was asked there.
    ///
    /// # Errors
    /// As [`Upstreams::ask`].
    pub async fn ask_after(&self, ask: &Ask, tried: Unsettled) -> Result<Response, UpstreamError> {
        Exchange::new(&self.members, ask, self.pace, &self.closing).go_on(tried).run().await
    }

    /// Whether these are the servers that are asked, in this order.
    pub fn are(&self, servers: &Servers) -> bool {
        self.members.iter().map(|member| &member.server).eq(servers.as_slice())
    }

    /// How each upstream is doing, in the order of the configuration.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        self.members.iter().map(|member| member.status()).collect()
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| member.server)).finish()
    }
}
