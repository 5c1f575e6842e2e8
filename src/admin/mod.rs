//! The admin HTTP server: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever starts and watches the process.
//!
//! It reads and never changes anything; whoever reaches its address may read. Leaves counting to [`metrics`](crate::metrics)
//! and what "ready" means to the caller.

mod health;
mod index;
mod metrics;
mod server;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

pub use health::{Check, CheckState, Readiness};
pub use server::{Limits, serve};

use crate::metrics::Metrics;

/// Threads that gather metrics or make checks at once.
const THREADS_MAX: usize = 4;

/// What the endpoints read.
#[derive(Clone)]
pub struct Desk {
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Called before each scrape, on a thread that may block: brings gauges up to date that nobody else keeps.
    pub before_scrape: Arc<dyn Fn() + Send + Sync>,
    /// What `/readyz` tells; called on a thread that may block.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Bounds of connections.
    pub limits: Limits,
}

impl Desk {
    /// A desk with the default limits.
    pub fn new(
        metrics: Arc<Metrics>,
        before_scrape: impl Fn() + Send + Sync + 'static,
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics,
            before_scrape: Arc::new(before_scrape),
            readiness: Arc::new(readiness),
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
    /// A request that is given up leaves its thread working, so threads are bounded apart from connections.
    threads: Arc<Semaphore>,
}

/// The route table. To add an endpoint: a file beside this one, and a line here.
fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/", get(index::page))
        .route("/metrics", get(metrics::page))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::map_response(harden))
        .with_state(Room { desk: Arc::new(desk), threads: Arc::new(Semaphore::new(THREADS_MAX)) })
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing here; see /\n")
}

async fn method_not_allowed() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are understood here\n")
}

/// Headers of every response: no cache keeps a state, and no browser takes text for a script or a frame.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Room {
    /// Runs what may block on a thread that may; `None` if it panicked, which was counted where panics are.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Desk) -> T + Send + 'static) -> Option<T> {
        let desk = Arc::clone(&self.desk);
        let permit = Arc::clone(&self.threads).acquire_owned().await.ok()?;
        let worked = tokio::task::spawn_blocking(move || {
            let done = work(&desk);
            drop(permit);
            done
        });
        worked.await.ok()
    }
}
