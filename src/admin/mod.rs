//! The admin HTTP server: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever starts and watches the process; and,
//! for those who may, the API and the pages.
//!
//! ```text
//! server   connections, in clear or over TLS, and their bounds
//! route    the way of one request: host, caller, scope, body, CSRF, then the handler
//! caller   who asks: a token, a session, a proxy's word; gate: sessions and failures
//! call     what a handler is given; reply and problem: what it gives back; ran: what commands print
//! ```
//! The first three endpoints show how often what was tried, never by whom, and whoever reaches the address may read them. All
//! else goes through `route`. Handlers ask the running server by [`House`], and read the record themselves.
//!
//! Leaves counting to [`metrics`](crate::metrics), and what "ready" means, and all that changes something, to the caller.

mod api;
mod call;
mod caller;
mod gate;
mod health;
mod house;
mod index;
mod login;
mod looks;
mod metrics;
mod pages;
mod problem;
mod ran;
mod reply;
mod route;
mod server;
mod shape;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

pub use caller::Rules;
pub use health::{Check, CheckState, Readiness};
pub use house::{Command, House};
pub use server::{Limits, serve};

use crate::metrics::Metrics;
use crate::priority::beside;
use crate::tls::ServerTls;
use problem::Problem;

/// Threads that gather metrics or make checks at once.
const THREADS_MAX: usize = 4;
/// Threads that work for API and pages at once: however many ask, Prometheus has its own.
const READERS_MAX: usize = 4;

/// What the endpoints read.
#[derive(Clone)]
pub struct Desk {
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Called before each scrape, on a thread that may block: brings gauges up to date that nobody else keeps.
    pub before_scrape: Arc<dyn Fn() + Send + Sync>,
    /// What `/readyz` tells; called on a thread that may block.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// The running server; `None`: there are neither API nor pages.
    pub house: Option<Arc<dyn House>>,
    /// As whom the server is shown to clients; `None`: it speaks in clear.
    pub tls: Option<ServerTls>,
    /// Bounds of connections.
    pub limits: Limits,
}

impl Desk {
    /// A desk with the default limits, in clear, without API and pages.
    pub fn new(
        metrics: Arc<Metrics>,
        before_scrape: impl Fn() + Send + Sync + 'static,
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics,
            before_scrape: Arc::new(before_scrape),
            readiness: Arc::new(readiness),
            house: None,
            tls: None,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What the endpoints share.
#[derive(Clone)]
struct Room {
    desk: Arc<Desk>,
    gate: Arc<gate::Gate>,
    /// A request that is given up leaves its thread working, so threads are bounded apart from connections.
    threads: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    live: Arc<api::Live>,
    /// Figures that pages have read.
    memo: Arc<pages::Memo>,
}

/// The route table. To add an endpoint: a file beside this one, and a line here, or in the table of the API or of the pages.
fn routes(room: Room) -> Router {
    let has_house = room.desk.house.is_some();
    let mut router = Router::new()
        .route("/metrics", get(metrics::page))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready));
    if has_house {
        router = route::add(router, &login::ROUTES);
        router = api::TABLES.into_iter().fold(router, route::add);
        router = [&pages::ROUTES[..], &pages::CHANGES, &pages::ASSETS].into_iter().fold(router, route::add);
    } else {
        router = router.route("/", get(index::page));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::map_response(harden))
        .with_state(room)
}

async fn not_found(uri: Uri) -> Response {
    if is_api(&uri) {
        return Problem::missing("nothing here; see /api/v1/openapi.json").into_response();
    }
    (StatusCode::NOT_FOUND, "nothing here; see /\n").into_response()
}

async fn method_not_allowed(uri: Uri) -> Response {
    if is_api(&uri) {
        let why = "this method does nothing here; see /api/v1/openapi.json";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, why).into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, "this method is not understood here\n").into_response()
}

fn is_api(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

/// Headers of every response: no cache keeps a state, and no browser takes text for a script or a frame. A page says itself
/// what it is made of.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

impl Room {
    fn new(desk: Desk) -> Self {
        Self {
            desk: Arc::new(desk),
            gate: Arc::default(),
            threads: Arc::new(Semaphore::new(THREADS_MAX)),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            live: Arc::default(),
            memo: Arc::default(),
        }
    }

    /// The running server.
    ///
    /// # Errors
    /// There is none, so there are no routes that ask it.
    fn house(&self) -> Result<&dyn House, Problem> {
        self.desk.house.as_deref().ok_or_else(|| Problem::cannot("no server runs behind this"))
    }

    /// Runs what may block on a thread that may; `None` if it panicked, which was counted where panics are.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Desk) -> T + Send + 'static) -> Option<T> {
        let (desk, permit) = (Arc::clone(&self.desk), Arc::clone(&self.threads).acquire_owned().await.ok()?);
        let worked = tokio::task::spawn_blocking(move || {
            let done = work(&desk);
            drop(permit);
            done
        });
        worked.await.ok()
    }

    /// The same for API and pages, behind the threads that serve: whoever looks through the record makes no client wait.
    ///
    /// # Errors
    /// Those of the work; or it panicked.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let room = self.clone();
        let stopping = |_closed| Problem::cannot("the server is stopping");
        let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(stopping)?;
        let worked = beside(move || {
            let done = work(&room);
            drop(permit);
            done
        });
        let failed = |_panic| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this failed; the log says more");
        worked.await.map_err(failed)?
    }
}
