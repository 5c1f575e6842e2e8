//! DNS over HTTPS (RFC 8484): HTTP/2, and HTTP/1.1 for those who know no better.
//!
//! ```text
//! request  an HTTP request to the DNS message in it, or to the status that says what is wrong with it
//! proxied  for whom a reverse proxy speaks
//! reply    the response, which ends its query's ledger as it is taken
//! ```
//! Leaves accepting, the limits of connections and TLS to `stream`.

mod proxied;
mod reply;
mod request;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use super::client::Client;
use super::door::Door;
use super::next::Next;
use super::stream::{Place, StreamConfig};
use crate::metrics::{DropReason, HttpFault};
use crate::policy::Word;

use reply::Reply;

/// Octets of a request's head at most; with them comes a query of any length by GET.
const HEAD_MAX: usize = 16 << 10;
/// Header fields of a request at most.
const FIELDS_MAX: usize = 64;
/// Octets that a client may send ahead in one request, and in all of a connection: few bodies have more than a hundred.
const STREAM_WINDOW: u32 = 16 << 10;
const CONNECTION_WINDOW: u32 = 128 << 10;
/// Requests taken back before they were looked at, and those that were faulty: with more the connection ends (CVE-2023-44487).
const RESET_MAX: usize = 64;

/// What one connection's requests share.
struct Visit<N> {
    door: Arc<Door<N>>,
    sender: Client,
    path: Arc<str>,
    slow: Duration,
    place: Arc<Place>,
}

/// A query that is not to be answered: its stream is reset, or the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("nothing is said to that")]
struct Unsaid;

/// Has the server wait at its end for the requests of HTTP/2, which are tasks of their own.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tracked {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Answers the requests of one connection until either side has enough. Dropped before, what was not answered yet is counted
/// by its ledger.
pub(super) async fn converse<N: Next>(
    door: &Arc<Door<N>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    sender: Client,
    path: Arc<str>,
    config: &StreamConfig,
    place: &Arc<Place>,
) {
    let visit = Arc::new(Visit { door: Arc::clone(door), sender, path, slow: config.slow, place: Arc::clone(place) });
    let service = service_fn(move |request| {
        let visit = Arc::clone(&visit);
        // In a box that is gone with the answer, or every response that waits to be taken would hold as much memory as making it.
        Box::pin(async move { visit.answer(request).await })
    });
    let builder = builder(door.tasks.clone(), config);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How a client ends its connection is its own affair.
        _ended = &mut connection => return,
        () = door.stop.cancelled() => (),
        () = place.idle_out(config.idle) => (),
    }
    connection.as_mut().graceful_shutdown();
    let _gave_up = tokio::time::timeout(config.slow, connection).await;
}

/// What bounds a connection beside its time: all that a client can make it hold.
fn builder(tasks: TaskTracker, config: &StreamConfig) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked(tasks));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.idle)
        .max_buf_size(HEAD_MAX)
        .max_headers(FIELDS_MAX)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(config.queries_in_flight_max).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESET_MAX)
        .max_local_error_reset_streams(RESET_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(usize::from(u16::MAX));
    builder
}

impl<N: Next> Visit<N> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Reply<N>>, Unsaid> {
        let head_only = request.method() == Method::HEAD;
        match self.read(request).await {
            Ok((message, client)) => self.respond(message, client).await,
            Err(fault) if head_only => Ok(self.fault(fault).map(Reply::without_body)),
            Err(fault) => Ok(self.fault(fault)),
        }
    }

    /// The message of a request, and whose it is.
    async fn read(&self, request: Request<Incoming>) -> Result<(Vec<u8>, Client), HttpFault> {
        // A path that is not ours is nobody's question, whoever is behind a proxy.
        let path = request.uri().path();
        let of_group = (path != &*self.path).then(|| Word::of_path(path)).filter(|path| self.is_of_group(*path));
        let served = if of_group.is_some() { path } else { &*self.path };
        request::is_for(&request, served)?;
        let client = self.client(&request)?;
        let client = of_group.map_or(client, |path| client.by(client.entrance.by_path(path)));
        let message = tokio::time::timeout(self.slow, request::message(request));
        message.await.unwrap_or(Err(HttpFault::Slow)).map(|message| (message, client))
    }

    /// Whether some group is led to this path, which nobody is told of.
    fn is_of_group(&self, path: Word) -> bool {
        self.door.view().in_force.as_ref().is_some_and(|in_force| in_force.policy.who().has_path(path))
    }

    /// Who asks: the sender, or the client that a listed proxy speaks for. Nobody else is believed who names one, nor is a
    /// proxy that is not served itself: its queries are its own, and end as such.
    fn client(&self, request: &Request<Incoming>) -> Result<Client, HttpFault> {
        let view = self.door.view();
        if !view.admission.is_web_proxy(self.sender.address()) || !view.admission.admits(&self.sender) {
            return Ok(self.sender);
        }
        let source = proxied::client(request.headers(), |hop| view.admission.is_web_proxy(hop));
        // A client without an address can't be judged, and must not pass as its proxy.
        source.map(|source| self.sender.hands_on(source)).ok_or(HttpFault::Unnamed)
    }

    async fn respond(&self, message: Vec<u8>, client: Client) -> Result<Response<Reply<N>>, Unsaid> {
        let owed = self.place.owe();
        let mut ledger = self.door.opened(&client);
        let ending = self.door.answer(&message, client, &mut ledger).await;
        let (ending, permit) = self.door.keep_for(ending, &message, &client);
        // The answer is there: that its client may be slow to take it is no reason to keep others from asking.
        drop(owed);
        let (age, silence) = (reply::fresh_for(&ending), ending.silence());
        if let Some((message, sent)) = ending.into_response(ledger) {
            return Ok(reply::with(&self.door, reply::octets(message, permit), sent, age));
        }
        match silence {
            Some(DropReason::Short | DropReason::ResponseBit) => Ok(self.fault(HttpFault::NoQuery)),
            _ => Err(Unsaid),
        }
    }

    fn fault(&self, fault: HttpFault) -> Response<Reply<N>> {
        self.door.metrics().connections.http_fault(fault).inc();
        reply::to_fault(&self.door, fault)
    }
}
