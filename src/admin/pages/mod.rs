//! The dashboard: what the record says and how the server is, as pages for people.
//!
//! Every page is made here, works without its script, asks for nothing elsewhere, and has an address for each thing that it
//! shows: a number leads to the rows that it counts, a table is sorted, turned over and taken along as CSV by its links.
//! Whatever a client could have chosen (names, leases, reasons) is text and never markup.
//!
//! ```text
//! asked     the address of a page, read and made
//! view      one page being made: its tables, its CSV, its frame
//! table     a table
//! plot      a picture of devices by day, beside the same as a table
//! memo      figures of some moments ago, so that pages are fast
//! scope     which ban, site and time a page is about
//! overview, devices, device, activity, bans, reports, system    the pages
//! asset     style and script, by names with their digest
//! ```

mod activity;
mod asked;
mod asset;
mod bans;
mod device;
mod devices;
mod memo;
mod overview;
mod plot;
mod reports;
mod rules;
mod scope;
mod system;
mod table;
mod times;
mod trouble;
mod view;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segment, RawQuery, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use maud::Markup;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::asked::Asked;
use self::memo::Memo;
use self::trouble::Trouble;
use self::view::View;
use crate::journal::Store;
use crate::policy::{Ban, Policy};
use crate::report::{ExceptionRow, SigningKey};
use crate::time::Timestamp;

/// Threads that make pages at once: fewer than processors, so that whoever looks does not slow down who asks.
const THREADS_MAX: usize = 2;

/// What pages ask of the server behind them. Called on threads that may block.
pub trait Behind: Send + Sync + 'static {
    /// Where the record is.
    fn state_dir(&self) -> &Path;
    /// The time.
    fn now(&self) -> Timestamp;
    /// The policy in force; `None`: none is yet.
    fn policy(&self) -> Option<Arc<Policy>>;
    /// How the server is, as `embargo status --json` says it.
    fn status(&self) -> Value;
    /// The name that stands now for the device that the record calls so.
    fn device_now(&self, recorded: &str) -> String;
    /// Exemptions of the configuration that could spare somebody this ban.
    fn configured(&self, ban: &Ban) -> Vec<ExceptionRow>;
    /// The key that signs reports, where there is one.
    fn key(&self) -> Option<SigningKey>;
    /// Every mistake in the files on the disk as they are now, and what would be in force by them.
    fn on_disk(&self) -> (Vec<String>, Option<Policy>);
}

/// What all pages share.
pub(super) struct Desk {
    behind: Arc<dyn Behind>,
    memo: Memo,
}

impl Desk {
    /// The record as it is now.
    fn store(&self) -> Result<Store, Trouble> {
        Ok(Store::open_read_only(self.behind.state_dir())?)
    }
}

#[derive(Clone)]
struct Room {
    desk: Arc<Desk>,
    threads: Arc<Semaphore>,
}

/// A page: what stands between its head and its foot.
type Page = fn(&Desk, &mut View) -> Result<Markup, Trouble>;

/// The pages. To add one: a file beside this one, a line here and in [`view::PLACES`].
pub(super) fn routes<S: Clone + Send + Sync + 'static>(behind: Arc<dyn Behind>) -> Router<S> {
    let desk = Arc::new(Desk { behind, memo: Memo::default() });
    let at = |path: &'static str, page: Page| {
        get(move |State(room): State<Room>, RawQuery(query): RawQuery| show(room, path.to_owned(), query, page))
    };
    let below = |path: &'static str, page: Page| {
        get(move |State(room): State<Room>, Segment(rest): Segment<String>, RawQuery(query): RawQuery| {
            show(room, format!("{path}/{}", asked::encoded(&rest)), query, page)
        })
    };
    Router::new()
        .route("/", at("/", overview::page))
        .route("/devices", at("/devices", devices::page))
        .route("/devices/{device}", below("/devices", device::page))
        .route("/activity", at("/activity", activity::page))
        .route("/bans", at("/bans", bans::all))
        .route("/bans/{ban}", below("/bans", bans::one))
        .route("/reports", at("/reports", reports::page))
        .route("/reports/{file}", get(made))
        .route("/system", at("/system", system::page))
        .route("/assets/{file}", get(asset::file))
        .layer(axum::middleware::from_fn(by_our_name))
        .with_state(Room { desk, threads: Arc::new(Semaphore::new(THREADS_MAX)) })
}

/// Nothing for a browser that was told our address under a name of somebody else (DNS rebinding): the page behind that name
/// could read it all.
async fn by_our_name(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_ours(host) {
        return next.run(request).await;
    }
    view::troubled(&Trouble::OtherName)
}

/// Whether a Host field names this host without asking any DNS.
fn is_ours(host: &str) -> bool {
    let has_port = |port: &str| port.parse::<u16>().is_ok();
    let name = host.rsplit_once(':').filter(|(_name, port)| has_port(port)).map_or(host, |(name, _port)| name);
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse::<std::net::IpAddr>().is_ok()
}

async fn show(room: Room, path: String, query: Option<String>, page: Page) -> Response {
    let asked = match Asked::read(path, query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(trouble) => return view::troubled(&trouble),
    };
    let made = room.run(move |desk| {
        let mut view = View::new(asked, desk.behind.now());
        match page(desk, &mut view) {
            Ok(body) => view.response(&body),
            Err(trouble) => view::troubled(&trouble),
        }
    });
    made.await.unwrap_or_else(|| view::troubled(&Trouble::Lost))
}

/// A report, made and handed out as a file.
async fn made(State(room): State<Room>, Segment(file): Segment<String>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(format!("/reports/{}", asked::encoded(&file)), query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(trouble) => return view::troubled(&trouble),
    };
    let made =
        room.run(move |desk| reports::made(desk, &asked, &file).unwrap_or_else(|trouble| view::troubled(&trouble)));
    made.await.unwrap_or_else(|| view::troubled(&Trouble::Lost))
}

impl Room {
    /// Makes something on a thread that may block; `None` if it panicked.
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

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_addresses_and_localhost_are_names_of_ours() {
        for host in ["127.0.0.1", "127.0.0.1:8053", "[::1]", "[::1]:8053", "localhost", "LocalHost:80", "10.1.2.3:8053"] {
            assert!(is_ours(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8053", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:x", ":80"] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
