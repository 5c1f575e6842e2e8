//! Accepting and bounding HTTP connections. `axum::serve` bounds neither their number nor their time, so hyper is asked
//! for each connection here.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::caller::Peer;
use super::pages::keep_warm;
use super::problem::Problem;
use super::{Desk, Room, is_api, routes};
use crate::tls::{Speech, TlsAcceptor};

/// Octets of a request's head at most.
const HEAD_MAX: usize = 16 << 10;
/// Header fields of a request at most.
const FIELDS_MAX: usize = 64;
/// Time to wait when the operating system gives no connection, so that a lasting fault costs no processor.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Bounds of connections. Those of bodies stand where bodies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// Time for a request's head to arrive whole, and for the next request of an open connection to come.
    pub header_timeout: Duration,
    /// Time for a response to be ready; after it the response is 503.
    pub request_timeout: Duration,
    /// The same for API and pages, which may read the whole record.
    pub work_timeout: Duration,
    /// A connection takes no further request after this time, and is cut when the longest request of it would have ended.
    pub connection_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Silent connections make way soon enough that hundreds of them do not cost Prometheus its scrape (10 s).
            connections_max: 256,
            header_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            work_timeout: Duration::from_secs(60),
            connection_max: Duration::from_secs(60),
        }
    }
}

/// Serves HTTP on a non-blocking `listener` until `stop`; then finishes the requests in flight, for `request_timeout` at
/// most. To be called within a tokio runtime.
///
/// # Errors
/// The runtime's, when it can't take the listener.
pub async fn serve(listener: TcpListener, desk: Desk, stop: CancellationToken) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let limits = desk.limits;
    let tls = desk.tls.as_ref().map(|tls| tls.acceptor(Speech::Http)).transpose().map_err(std::io::Error::other)?;
    let room = Room::new(desk);
    if room.desk.house.is_some() {
        tokio::spawn(keep_warm(room.clone(), stop.clone()));
    }
    let router = routes(room)
        .layer(middleware::from_fn(move |request: Request, next: Next| answer_within(limits, request, next)));
    let free = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    while let Some((stream, address, permit)) = accept(&listener, &free, &stop).await {
        let peer = Peer {
            address,
            is_secret: tls.is_some(),
            cut: CancellationToken::new(),
            stop: stop.clone(),
            lasts: Arc::default(),
        };
        let connection = Connection { router: router.clone(), peer, limits, stop: stop.clone() };
        let tls = tls.clone();
        connections.spawn(async move {
            connection.converse(stream, tls).await;
            drop(permit);
        });
    }
    // No new connection is to wait for a server that goes.
    drop(listener);
    connections.close();
    let _gave_up = tokio::time::timeout(limits.request_timeout, connections.wait()).await;
    Ok(())
}

/// The next connection and the right to hold it; `None` once stopped.
async fn accept(
    listener: &tokio::net::TcpListener,
    free: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let next = async {
        let permit = Arc::clone(free).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
                Err(_refused) => tokio::time::sleep(RETRY_AFTER).await,
            }
        }
    };
    stop.run_until_cancelled(next).await.flatten()
}

/// One connection to be.
struct Connection {
    router: Router,
    peer: Peer,
    limits: Limits,
    stop: CancellationToken,
}

impl Connection {
    /// Serves it to its end, which comes by itself or by the bounds.
    async fn converse(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        match tls {
            None => self.speak(stream).await,
            Some(tls) => match tokio::time::timeout(self.limits.header_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream).await,
                // Whoever speaks otherwise, or not at all, is let go.
                Ok(Err(error)) => tracing::debug!(%error, "A client of the admin server speaks no TLS."),
                Err(_elapsed) => (),
            },
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { router, peer, limits, stop } = self;
        let (cut, lasts) = (peer.cut.clone(), Arc::clone(&peer.lasts));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        builder.max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX).half_close(false);
        let service = Known { service: TowerToHyperService::new(router), peer };
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // How a client ends its connection is its own affair.
            _ended = &mut connection => return,
            () = cut.cancelled() => return,
            () = old(limits.connection_max, &lasts, &stop) => connection.as_mut().graceful_shutdown(),
        }
        let _gave_up = tokio::time::timeout(limits.request_timeout.max(limits.work_timeout), connection).await;
    }
}

/// Returns when a connection is to take no further request.
async fn old(age: Duration, lasts: &AtomicBool, stop: &CancellationToken) {
    let by_age = tokio::time::timeout(age, stop.cancelled()).await.is_err();
    if by_age && lasts.load(Ordering::Relaxed) {
        stop.cancelled().await;
    }
}

/// Has every request say where it comes from.
struct Known {
    service: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<hyper::Request<Incoming>> for Known {
    type Response = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.service.call(request)
    }
}

/// The response, or 503 when it takes too long.
async fn answer_within(limits: Limits, request: Request, next: Next) -> Response {
    let is_open = matches!(request.uri().path(), "/metrics" | "/livez" | "/readyz");
    let is_api = is_api(request.uri());
    let limit = if is_open { limits.request_timeout } else { limits.work_timeout };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) if is_api => Problem::cannot("no answer was ready in time").into_response(),
        Err(_elapsed) => (StatusCode::SERVICE_UNAVAILABLE, "no answer was ready in time\n").into_response(),
    }
}
