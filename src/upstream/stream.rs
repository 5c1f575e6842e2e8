//! Asking over connections, which all questions to an upstream share: TCP, TLS, HTTP/2 and QUIC, made by hickory-resolver.
//!
//! hickory frames, multiplexes by id or stream and reads; whether the response is ours to use is judged by [`Ask::judge`], as
//! over UDP, because hickory matches the id at most.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Message};
use tokio::time::{Instant, timeout};

use super::ask::Ask;
use super::blame::{Failure, blame};
use super::config::Config;
use super::connect::{Connector, Exchange};
use super::message::Judged;
use super::pool::{Limits, Pool, Taken};
use super::trouble::Trouble;
use super::whereabouts::Whereabouts;
use super::{FailReason, Protocol, Server, Upstreams};

/// Questions open on one connection before another one is made: hickory looks at all of them whenever anything happens.
const QUESTIONS_MAX: usize = 128;
/// Connections to one upstream at once.
const CONNECTIONS_MAX: usize = 8;

type Connecting = Shared<BoxFuture<'static, Result<Exchange, Failure>>>;

/// The connections of one upstream.
pub(super) struct Stream {
    connector: Arc<Connector>,
    whereabouts: Arc<Whereabouts>,
    protocol: Protocol,
    pool: Pool<Connecting>,
    patience: Duration,
    trouble: Arc<Trouble>,
}

impl Stream {
    pub(super) fn new(server: &Server, config: &Config) -> Self {
        let limits = Limits {
            questions: QUESTIONS_MAX,
            connections: CONNECTIONS_MAX,
            idle: config.idle_max,
            pause: config.connect_pause,
        };
        Self {
            // All may come to be on one connection if no other can be made; ours are the limits that count.
            connector: Arc::new(Connector::new(server, config, config.streams_max.get().saturating_mul(2))),
            whereabouts: Arc::new(Whereabouts::new(server, config.names_apart)),
            protocol: server.protocol(),
            pool: Pool::new(limits),
            patience: config.patience,
            trouble: Arc::new(Trouble::new(server.clone())),
        }
    }

    /// Follows where the name of `server` leads, for ever, if it has one. Connections to an address that is one no more are
    /// left to those who use them.
    pub(super) async fn follow(&self, server: &Server, bootstrap: &Upstreams) {
        self.whereabouts.follow(server, bootstrap, &self.trouble, || self.pool.forget_all()).await;
    }

    /// Why the upstream can't be asked at present.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.why()
    }

    /// Asks and returns the response, whatever its RCODE. A connection that turns out to be dead is replaced once.
    pub(super) async fn exchange(&self, ask: &Ask, upstream: usize, edns: bool) -> Result<Judged, FailReason> {
        let octets = ask.query(0, edns, self.protocol.is_encrypted());
        let query = Message::from_vec(&octets).map_err(|_unreadable| FailReason::Local)?;
        let mut replaced = false;
        loop {
            let taken = self.pool.take(Instant::now(), || self.connect());
            let exchange = taken.shared.clone().await.map_err(|failure| {
                taken.failed(Instant::now());
                failure.reason
            })?;
            let failure = match self.send(&exchange, query.clone(), &taken).await {
                Ok(octets) => return judge(ask, octets, upstream),
                Err(failure) => failure,
            };
            if let Some(words) = failure.words {
                self.trouble.is(words);
            }
            if failure.reason != FailReason::Unusable {
                taken.forget();
            }
            // It may have died long ago, or with its first answer, as servers do that are told to.
            if failure.reason != FailReason::Closed || replaced {
                return Err(failure.reason);
            }
            replaced = true;
        }
    }

    async fn send(
        &self,
        exchange: &Exchange,
        query: Message,
        taken: &Taken<'_, Connecting>,
    ) -> Result<Vec<u8>, Failure> {
        let mut answer = exchange.send(DnsRequest::new(query, DnsRequestOptions::default())).first_answer();
        let response = match timeout(self.patience, &mut answer).await {
            Ok(response) => response,
            Err(_silence) => {
                // A peer that has vanished sends no error: the next question shall try a new connection.
                taken.forget();
                answer.await
            }
        };
        response.map(|response| response.into_parts().1).map_err(|error| blame(&error, self.protocol))
    }

    /// A connection that all who ask now share. Whoever of them is polled makes it.
    fn connect(&self) -> Connecting {
        let (connector, whereabouts, trouble) =
            (Arc::clone(&self.connector), Arc::clone(&self.whereabouts), Arc::clone(&self.trouble));
        async move {
            let Ok(addresses) = timeout(connector.timeout(), whereabouts.known()).await else {
                // Whoever resolves it says why.
                return Err(Failure::silent(FailReason::Unreachable));
            };
            match connector.connect_to_any(&addresses).await {
                Ok((address, exchange)) => {
                    whereabouts.reached(address);
                    trouble.is_over();
                    Ok(exchange)
                }
                Err(failure) => {
                    whereabouts.lost(&addresses);
                    if let Some(words) = &failure.words {
                        trouble.is(Arc::clone(words));
                    }
                    Err(failure)
                }
            }
        }
        .boxed()
        .shared()
    }
}

/// Over a connection nobody can slip in another packet, so a wrong one is the upstream's fault; and a truncated one is no
/// answer (never an empty NOERROR).
fn judge(ask: &Ask, octets: Vec<u8>, upstream: usize) -> Result<Judged, FailReason> {
    match ask.judge(octets, None, false, upstream) {
        Ok(Judged::Truncated) | Err(_) => Err(FailReason::Unusable),
        Ok(judged) => Ok(judged),
    }
}
