//! Wiring: from a configuration to a running server, its reloads, and its end.
//!
//! ```text
//! load ─► state directory ─► journal ─► policy (or its last good copy) ─► sockets ─► listeners, admin, control ─► ready
//! SIGHUP, changed files, `embargo reload` ─► build beside ─► swap, or keep the old and say why
//! `embargo run --take-over` ─► the sockets of the server that runs ─► policy ─► read them ─► that server ends (`handover`)
//! SIGTERM, SIGINT ─► not ready ─► stop reading ─► finish what is in flight ─► write the record ─► exit 0
//! ```

mod access;
mod believe;
mod bind;
mod block_page;
mod cache;
mod certificate;
mod confined;
pub mod control;
mod dates;
mod designated;
mod desk;
mod devices;
mod endpoint;
mod exempt;
mod exports;
mod files;
mod handover;
mod health;
mod leases;
mod lists;
mod local;
mod log;
mod map;
mod observer;
mod pace;
mod parts;
mod policy;
mod prepared;
mod privacy;
mod reload;
mod reports;
mod rest;
mod reverse;
mod saved;
mod served;
mod server;
mod settings;
mod state_dir;
mod status;
mod upstreams;
mod watch;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::config::{self, Args, Environment, Loaded};
use crate::diag::Diagnostic;
use crate::metrics::Metrics;
use crate::orders::Verbs;
use handover::Before;

pub use block_page::Places as BlockPagePlaces;
pub use endpoint::{Endpoint, Spoken};
pub(crate) use exempt::{ExemptionRow, ROWS_MAX, RowState, idle_exemptions, rows};
pub(crate) use lists::{fetch_alone, kept_lists};
pub use log::count_panics;
pub(crate) use map::journal as journal_config;
use prepared::Prepared;
pub(crate) use privacy::{ERASE, note as note_erasure, of as privacy_wanted};
pub(crate) use reports::{Making, Unmade, history, signing_key};
pub use server::Server;
pub(crate) use status::{BanRow, ListRow};
pub(crate) use upstreams::out_of_place;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the operator wrote has mistakes.
    #[error("the configuration or a list has mistakes")]
    Mistakes(Vec<Diagnostic>),
    /// The machine refused something.
    #[error("{0}")]
    Cannot(String),
}

/// Loads, serves until a signal says to stop, and ends in order. What listens where and what is in force is written to
/// `out` once it is so. `verbs` are the commands that the API has run. With `take_over`, in the place of the server that runs with the same state directory, if one does.
///
/// # Errors
/// [`Failure`], before anything is answered.
pub fn run(args: &Args, take_over: bool, verbs: Verbs, out: &mut dyn Write) -> Result<(), Failure> {
    let loaded = config::load(args, &Environment::of_process()).map_err(Failure::Mistakes)?;
    let cannot = |what: &str, error: &dyn std::fmt::Display| Failure::Cannot(format!("{what}: {error}"));
    // First of all: sockets, rights, the state directory, the record and the upstreams already have something to say.
    let metrics = Arc::new(Metrics::new());
    log::init(&loaded.settings.log, Arc::clone(&metrics), Clock::system());
    count_panics(Arc::clone(&metrics));
    let mut before = Before::find(take_over, &loaded.state_dir);
    // Before there is a thread that would keep what is given up.
    let loaded = confined::enter(args, loaded, &mut before)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(map::workers(&loaded.settings).get() + 1)
        .thread_name("embargo")
        .enable_all()
        .build()
        .map_err(|error| cannot("can't start the runtime", &error))?;
    runtime.block_on(serve(args, loaded, (before, metrics, verbs), out))
}

async fn serve(
    args: &Args,
    loaded: Loaded,
    (before, metrics, verbs): (Before, Arc<Metrics>, Verbs),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::Cannot(format!("can't listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(cannot)?;
    let server = Prepared::after(before, Clock::system(), args.clone(), loaded, metrics)?;
    let server = server.with_verbs(verbs).start().await?;
    // A closed standard output is no reason not to serve.
    let _closed = server.announce(out);
    notify(&[sd_notify::NotifyState::Ready]);
    let _ends_with_this =
        sd_notify::watchdog_enabled().map(|patience| AbortOnDropHandle::new(tokio::spawn(alive(patience))));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => server.reload("SIGHUP").await,
            () = server.files_changed() => server.follow_files().await,
            heir = server.succeeded() => {
                tracing::info!(pid = heir.pid(), "Another process serves in this one's place.");
                // Before this one ends, or the service manager takes that for the end of the service.
                if let Some(pid) = heir.pid() {
                    notify(&[sd_notify::NotifyState::MainPid(pid)]);
                }
                server.leave_to(heir).await;
                return Ok(());
            }
            () = server.network_changed() => server.follow_network().await,
            () = server.leases_changed() => server.follow_leases().await,
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    server.stop().await;
    Ok(())
}

/// Tells systemd that the runtime's tasks still get their turn, well within the time after which it would start us again. No
/// query is sent for it: a server under a flood would miss its own, and must not be ended for that.
async fn alive(patience: Duration) {
    let mut turn = tokio::time::interval((patience / 3).max(Duration::from_millis(1)));
    loop {
        turn.tick().await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Tells systemd, if it runs us.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "The service manager could not be told.");
    }
}
