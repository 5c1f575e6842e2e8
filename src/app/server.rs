//! One server: its parts, how they are put together, reloaded and taken apart.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::local::local;
use super::parts::{CLOSE, Parts};
use super::status::Reload;
use super::upstreams::Wanted;
use super::watch::Watch;
use super::{Failure, bind, certificate, control, files, map};
use crate::admin::{self, Desk};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Args, Loaded};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::serve::{self, Admission, Embargo, Forwarder, Guard, Running};
use crate::socket::reachable;

/// Queries in flight are waited for this long at the end; each has an answer before.
const DRAIN: Duration = Duration::from_secs(3);

/// Parts that are checked but not yet listening.
pub struct Prepared {
    parts: Parts,
    /// `None`: the disk takes nothing.
    control: Option<UnixListener>,
}

/// A running server.
pub struct Server {
    parts: Arc<Parts>,
    running: Running,
    stop: CancellationToken,
    watch: tokio::sync::Mutex<Watch>,
}

impl Server {
    /// Checks what can be checked before anything listens, and opens the record. Counts in `metrics`, which are at zero.
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Failure`] that names what is missing.
    pub fn prepare(args: Args, loaded: Loaded, metrics: Arc<Metrics>) -> Result<Prepared, Failure> {
        Self::prepare_by(Clock::system(), args, loaded, metrics)
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// The same.
    pub fn prepare_by(clock: Clock, args: Args, loaded: Loaded, metrics: Arc<Metrics>) -> Result<Prepared, Failure> {
        state_directory(&loaded.state_dir)?;
        let control = control_socket(&loaded.state_dir)?;
        let wanted =
            Wanted::read(&loaded.settings, &loaded.settings).map_err(|mistake| Failure::Cannot(mistake.message))?;
        let cache = Arc::new(Cache::new(map::cache(&loaded.settings)));
        let tree = wanted.grow(None, &metrics, &cache, &clock);
        let tls = certificate::first(&loaded, &metrics).map_err(Failure::Cannot)?;
        certificate::warn(&loaded, clock.now().wall);
        let local = local(&loaded.settings, wanted.root());
        let journal = Journal::start(map::journal(&loaded), Arc::clone(&metrics), clock.clone())
            .map_err(|error| Failure::Cannot(error.to_string()))?;
        let journal = Arc::new(journal);
        let admission = Admission::new(loaded.settings.allow.clone());
        let guard = Guard::new(admission, Arc::clone(&journal), Arc::clone(&metrics), clock.clone());
        guard.show(map::hop(&loaded.settings));
        guard.answer_locally(local);
        let parts = Parts {
            args,
            cache,
            loaded: ArcSwap::from_pointee(loaded.clone()),
            first: Arc::new(loaded),
            started: clock.now(),
            clock,
            metrics,
            journal,
            guard: Arc::new(guard),
            tree: Arc::new(ArcSwap::new(tree)),
            tls,
            generation: AtomicU64::new(1),
            last_good: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            last_reload: Mutex::new(Reload { ok: true, ..Reload::default() }),
            reloading: tokio::sync::Mutex::new(()),
            listen: Vec::new(),
            admin: None,
        };
        Ok(Prepared { parts, control })
    }

    /// Where DNS is served.
    pub fn listen(&self) -> &[SocketAddr] {
        &self.parts.listen
    }

    /// Where the admin server listens.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.parts.admin
    }

    /// Returns when configuration or lists have changed on disk.
    pub async fn files_changed(&self) {
        self.watch.lock().await.changed().await;
    }

    /// Reads configuration and lists again and swaps them in, or keeps what is and says why.
    pub async fn reload(&self, why: &str) {
        self.parts.reload(why).await;
        self.watch.lock().await.retarget(self.parts.loaded.load().watched());
    }

    /// Ends in order: not ready, nothing more read, what is in flight answered, the record written.
    pub async fn stop(self) {
        self.parts.draining.store(true, Ordering::Relaxed);
        let given_up = self.running.drain(DRAIN).await;
        if given_up > 0 {
            tracing::warn!(given_up, "Queries or connections were still open at the end.");
        }
        let journal = Arc::clone(&self.parts.journal);
        match tokio::task::spawn_blocking(move || journal.close(CLOSE)).await {
            Ok(Ok(())) => tracing::info!("The record is written; goodbye."),
            Ok(Err(error)) => tracing::error!(%error, "The record could not be written to its end."),
            Err(error) => tracing::error!(%error, "The record's writer died."),
        }
        self.stop.cancel();
        drop(std::fs::remove_file(control::path(&self.parts.first.state_dir)));
    }

    /// Writes what listens where, what is in force, and what to try.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn announce(&self, out: &mut dyn Write) -> io::Result<()> {
        let status = self.parts.status();
        writeln!(out, "Embargo {}", status.version)?;
        let config = status.config.as_deref().unwrap_or("embedded default");
        writeln!(out, "  config   {config}")?;
        writeln!(out, "  state    {}", status.state_dir)?;
        for address in &status.listen {
            writeln!(out, "  dns      {address} (UDP and TCP)")?;
        }
        if let Some(address) = &status.admin {
            writeln!(out, "  admin    http://{address}/ (metrics, readyz)")?;
        }
        for upstream in &status.upstreams {
            match &upstream.zone {
                None => writeln!(out, "  upstream {}", upstream.address)?,
                Some(zone) => writeln!(out, "  upstream {} for {zone}", upstream.address)?,
            }
        }
        if let Some(policy) = &status.policy {
            for ban in &policy.bans {
                writeln!(out, "  ban      {} ({}): {}", ban.id, ban.title, ban.mode)?;
            }
            for list in &policy.lists {
                let digest: String = list.digest.chars().take(16).collect();
                writeln!(out, "  list     {}: {} rules, sha256 {digest}…", list.name, list.rules)?;
            }
        }
        if let Some(address) = self.parts.listen.first() {
            let port = address.port();
            writeln!(out, "Try:  dig @{} -p {port} downloads.upd.kaspersky.com", reachable(*address).ip())?;
        }
        out.flush()
    }
}

impl Prepared {
    /// Puts policy in force, binds, and serves.
    ///
    /// # Errors
    /// [`Failure`] when the lists have mistakes and there is no good copy, or an address can't be had.
    pub async fn start(self) -> Result<Server, Failure> {
        let Self { mut parts, control } = self;
        let loaded = parts.loaded.load_full();
        // Before the files are read: what changes while they are is then seen as a change.
        let watch = tokio::sync::Mutex::new(Watch::new(loaded.watched()));
        let late = parts.first_policy().await?;
        let settings = &loaded.settings;
        let optional = |address| settings.listen_is_optional(address);
        let (sockets, listen) =
            bind::listeners(&settings.listen, map::workers(settings), optional).map_err(Failure::Cannot)?;
        let admin = settings.admin.map(admin_listener).transpose()?;
        parts.listen = listen;
        parts.admin = admin.as_ref().and_then(|listener| listener.local_addr().ok());

        let parts = Arc::new(parts);
        let forwarder = Forwarder::new(
            map::forwarder(settings),
            Arc::clone(&parts.cache),
            Arc::clone(&parts.tree),
            Arc::clone(&parts.metrics),
            parts.clock.clone(),
        );
        let mut limits = map::listen(settings);
        limits.streams.connections_max = files::share_out(limits.streams.connections_max);
        let handler = Embargo::new(Arc::clone(&parts.guard), forwarder);
        let (metrics, clock) = (Arc::clone(&parts.metrics), parts.clock.clone());
        let running = serve::start(handler, sockets, limits, metrics, clock)
            .map_err(|error| Failure::Cannot(format!("can't read the sockets: {error}")))?;
        let stop = CancellationToken::new();
        if let Some(listener) = admin {
            tokio::spawn(admin::serve(listener, desk(&parts), stop.clone()));
        }
        if let Some(control) = control {
            tokio::spawn(control::serve(control, Arc::clone(&parts), stop.clone()));
        }
        if let Some(late) = late {
            tokio::spawn(Arc::clone(&parts).enforce_late(late));
        }
        Ok(Server { parts, running, stop, watch })
    }
}

fn desk(parts: &Arc<Parts>) -> Desk {
    let (scrape, ready) = (Arc::clone(parts), Arc::clone(parts));
    Desk::new(Arc::clone(&parts.metrics), move || scrape.before_scrape(), move || ready.readiness())
}

fn admin_listener(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    crate::socket::tcp(address).map_err(|error| Failure::Cannot(bind::explain(address, &error)))
}

/// Makes the state directory, and sees that it can be written. A disk that is full or read-only is no reason not to serve:
/// the record then stays in memory and says so.
fn state_directory(path: &Path) -> Result<(), Failure> {
    let probe = path.join(".writable");
    let tried = DirBuilder::new().recursive(true).mode(0o700).create(path).and_then(|()| File::create(&probe));
    drop(std::fs::remove_file(&probe));
    match tried {
        Ok(_written) => Ok(()),
        Err(error) if takes_nothing(&error) => {
            tracing::error!(path = %path.display(), %error, "The state directory can't be written; DNS goes on.");
            Ok(())
        }
        Err(error) => Err(Failure::Cannot(format!(
            "the state directory {} can't be written: {error}; name another with `--state-dir`",
            path.display()
        ))),
    }
}

/// The control socket, or none on a disk that takes nothing: then commands reach no server, and clients still do.
fn control_socket(state_dir: &Path) -> Result<Option<UnixListener>, Failure> {
    match control::bind(state_dir) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if takes_nothing(&error) => {
            tracing::error!(%error, "There is no control socket: `status` and `reload` can't reach this server.");
            Ok(None)
        }
        Err(error) => Err(Failure::Cannot(format!(
            "can't make the control socket {}: {error}; `--state-dir` names another place (a socket's path has at most 107 octets)",
            control::path(state_dir).display()
        ))),
    }
}

/// Whether the disk is full or read-only.
fn takes_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
    )
}
