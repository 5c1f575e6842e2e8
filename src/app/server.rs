//! One server: its parts, how they are put together, reloaded and taken apart.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::control::{self, Answer, Carry, Request};
use super::observer::Observed;
use super::status::{CacheStatus, PolicyStatus, Reload, Status};
use super::watch::Watch;
use super::{Failure, bind, map, policy};
use crate::admin::{self, Check, CheckState, Desk, Readiness};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{self, Args, Environment, Loaded};
use crate::diag::Diagnostic;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::serve::{self, Admission, Embargo, Forwarder, Guard, Running};
use crate::time::{Now, rfc3339};
use crate::upstream::{self, Observer, Servers, Upstreams};

/// A policy not in force after this leaves clients with SERVFAIL until it is.
const POLICY_PATIENCE: Duration = Duration::from_secs(5);
/// Queries in flight are waited for this long at the end; each has an answer before.
const DRAIN: Duration = Duration::from_secs(3);
/// The record is written within this at the end.
const CLOSE: Duration = Duration::from_secs(10);

/// The parts that live as long as the process.
struct Parts {
    args: Args,
    loaded: ArcSwap<Loaded>,
    clock: Clock,
    started: Now,
    metrics: Arc<Metrics>,
    journal: Arc<Journal>,
    guard: Arc<Guard>,
    cache: Arc<Cache>,
    upstreams: Arc<ArcSwap<Upstreams>>,
    generation: AtomicU64,
    last_good: AtomicBool,
    draining: AtomicBool,
    last_reload: Mutex<Reload>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    listen: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// Parts that are checked but not yet listening.
pub struct Prepared {
    parts: Parts,
    control: UnixListener,
}

/// A running server.
pub struct Server {
    parts: Arc<Parts>,
    running: Running,
    stop: CancellationToken,
    watch: tokio::sync::Mutex<Watch>,
}

impl Server {
    /// Checks what can be checked before anything listens, and opens the record. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Failure`] that names what is missing.
    pub fn prepare(args: Args, loaded: Loaded) -> Result<Prepared, Failure> {
        state_directory(&loaded.state_dir)?;
        let control = control::bind(&loaded.state_dir)
            .map_err(|error| Failure::Cannot(format!("can't make the control socket: {error}")))?;
        let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
        let upstreams = upstreams(&loaded, &metrics)?;
        let journal = Journal::start(map::journal(&loaded), Arc::clone(&metrics), clock.clone())
            .map_err(|error| Failure::Cannot(error.to_string()))?;
        let journal = Arc::new(journal);
        let admission = Admission::new(loaded.settings.allow.clone());
        let guard = Guard::new(admission, Arc::clone(&journal), Arc::clone(&metrics), clock.clone());
        let parts = Parts {
            args,
            cache: Arc::new(Cache::new(map::cache(&loaded.settings))),
            loaded: ArcSwap::from_pointee(loaded),
            started: clock.now(),
            clock,
            metrics,
            journal,
            guard: Arc::new(guard),
            upstreams: Arc::new(ArcSwap::new(upstreams)),
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
        let watched = self.parts.loaded.load().watched();
        *self.watch.lock().await = Watch::new(watched);
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
        let state_dir = self.parts.loaded.load().state_dir.clone();
        drop(std::fs::remove_file(control::path(&state_dir)));
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
        for upstream in self.parts.upstreams.load().status() {
            writeln!(out, "  upstream {}", upstream.address)?;
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
            writeln!(out, "Try:  dig @{} -p {port} downloads.upd.kaspersky.com", reachable(address.ip()))?;
        }
        out.flush()
    }
}

impl Prepared {
    /// Where everything is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// Puts policy in force, binds, and serves.
    ///
    /// # Errors
    /// [`Failure`] when the lists have mistakes and there is no good copy, or an address can't be had.
    pub async fn start(self) -> Result<Server, Failure> {
        let Self { mut parts, control } = self;
        let late = parts.first_policy().await?;
        let loaded = parts.loaded.load_full();
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
            Arc::clone(&parts.upstreams),
            Arc::clone(&parts.metrics),
            parts.clock.clone(),
        );
        let handler = Embargo::new(Arc::clone(&parts.guard), forwarder);
        let (metrics, clock) = (Arc::clone(&parts.metrics), parts.clock.clone());
        let running = serve::start(handler, sockets, map::listen(settings), metrics, clock)
            .map_err(|error| Failure::Cannot(format!("can't read the sockets: {error}")))?;
        let stop = CancellationToken::new();
        if let Some(listener) = admin {
            tokio::spawn(admin::serve(listener, desk(&parts), stop.clone()));
        }
        tokio::spawn(control::serve(control, Arc::clone(&parts), stop.clone()));
        if let Some(late) = late {
            tokio::spawn(Arc::clone(&parts).enforce_late(late));
        }
        let watch = tokio::sync::Mutex::new(Watch::new(loaded.watched()));
        Ok(Server { parts, running, stop, watch })
    }
}

/// A policy that is still being built when the server starts to answer.
type Late = tokio::task::JoinHandle<Result<policy::Ready, Vec<Diagnostic>>>;

impl Parts {
    /// Waits for the first policy, but not for ever.
    async fn first_policy(&self) -> Result<Option<Late>, Failure> {
        let (loaded, metrics) = (self.loaded.load_full(), Arc::clone(&self.metrics));
        let mut loading = tokio::task::spawn_blocking(move || {
            policy::load_or_last_good(&loaded.settings, &loaded.state_dir, 1, &metrics)
        });
        match tokio::time::timeout(POLICY_PATIENCE, &mut loading).await {
            Ok(Ok(Ok(ready))) => {
                self.enforce(ready);
                Ok(None)
            }
            Ok(Ok(Err(mistakes))) => Err(Failure::Mistakes(mistakes)),
            Ok(Err(error)) => Err(Failure::Cannot(format!("the policy could not be built: {error}"))),
            Err(_elapsed) => Ok(Some(loading)),
        }
    }

    async fn enforce_late(self: Arc<Self>, late: Late) {
        tracing::warn!("The lists are large: until they are read, every query is answered with SERVFAIL.");
        match late.await {
            Ok(Ok(ready)) => self.enforce(ready),
            Ok(Err(mistakes)) => self.not_reloaded("start", &mistakes),
            Err(error) => tracing::error!(%error, "The policy could not be built."),
        }
    }

    fn enforce(&self, ready: policy::Ready) {
        for diagnostic in &ready.diagnostics {
            tracing::warn!("{diagnostic}");
        }
        if ready.last_good {
            tracing::error!("The lists have mistakes: the last good copy of them is in force.");
            let mistakes = ready.diagnostics.iter().map(ToString::to_string).collect();
            *self.last_reload() = Reload { ok: false, why: "start".to_owned(), mistakes, ..Reload::default() };
        }
        self.last_good.store(ready.last_good, Ordering::Relaxed);
        self.guard.enforce(ready.policy);
        self.metrics.process.reload_successful.set(u64::from(!ready.last_good));
        self.metrics.process.reload_success.set(self.clock.now().wall);
    }

    async fn reload(&self, why: &str) {
        let _one_at_a_time = self.reloading.lock().await;
        let loaded = match config::load(&self.args, &Environment::of_process()) {
            Ok(loaded) => loaded,
            Err(mistakes) => return self.not_reloaded(why, &mistakes),
        };
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let (settings, state_dir) = (loaded.settings.clone(), self.loaded.load().state_dir.clone());
        let metrics = Arc::clone(&self.metrics);
        let built =
            tokio::task::spawn_blocking(move || policy::load(&settings, &state_dir, generation, &metrics)).await;
        match built {
            Ok(Ok(ready)) => self.reloaded(why, loaded, ready),
            Ok(Err(mistakes)) => self.not_reloaded(why, &mistakes),
            Err(error) => tracing::error!(%error, why, "The policy could not be built; the one before stays in force."),
        }
    }

    fn reloaded(&self, why: &str, loaded: Loaded, ready: policy::Ready) {
        let before = self.loaded.load_full();
        self.enforce(ready);
        self.guard.admit(Admission::new(loaded.settings.allow.clone()));
        if before.settings.upstream.servers != loaded.settings.upstream.servers {
            match upstreams(&loaded, &self.metrics) {
                Ok(upstreams) => self.upstreams.store(upstreams),
                Err(error) => tracing::error!(%error, "The upstreams stay as they were."),
            }
        }
        let needs_restart = needs_restart(&before, &loaded);
        if !needs_restart.is_empty() {
            tracing::warn!(settings = ?needs_restart, "These settings have changed and take effect after a restart.");
        }
        let at = Some(rfc3339(self.clock.now().wall));
        tracing::info!(
            why,
            generation = self.generation.load(Ordering::Relaxed),
            "Configuration and lists are reloaded."
        );
        *self.last_reload() = Reload { at, ok: true, why: why.to_owned(), mistakes: Vec::new(), needs_restart };
        self.loaded.store(Arc::new(loaded));
    }

    fn not_reloaded(&self, why: &str, mistakes: &[Diagnostic]) {
        for mistake in mistakes {
            tracing::error!("{mistake}");
        }
        tracing::error!(why, "Nothing was reloaded: what was in force before stays in force.");
        self.metrics.process.reload_successful.set(0);
        let at = Some(rfc3339(self.clock.now().wall));
        let mistakes = mistakes.iter().map(ToString::to_string).collect();
        *self.last_reload() = Reload { at, ok: false, why: why.to_owned(), mistakes, needs_restart: Vec::new() };
    }

    fn last_reload(&self) -> std::sync::MutexGuard<'_, Reload> {
        self.last_reload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> Status {
        let (now, loaded) = (self.clock.now(), self.loaded.load_full());
        let last_good = self.last_good.load(Ordering::Relaxed);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started: rfc3339(self.started.wall),
            uptime_seconds: now.mono.since(self.started.mono).as_secs(),
            ready: self.readiness().ready,
            config: loaded.file.as_ref().map(|path| path.display().to_string()),
            state_dir: loaded.state_dir.display().to_string(),
            listen: self.listen.iter().map(ToString::to_string).collect(),
            admin: self.admin.map(|address| address.to_string()),
            policy: self.guard.in_force().map(|force| PolicyStatus::of(&force.policy, last_good, now.wall)),
            upstreams: self.upstreams.load().status().into_iter().map(Into::into).collect(),
            cache: CacheStatus { entries: self.cache.len(), bytes: self.cache.bytes() },
            journal: self.journal.status().into(),
            last_reload: self.last_reload().clone(),
        }
    }

    fn readiness(&self) -> Readiness {
        let policy = match self.guard.in_force() {
            None => check(CheckState::Failed, "policy", "none is in force yet"),
            Some(_) if self.last_good.load(Ordering::Relaxed) => {
                check(CheckState::Warning, "policy", "the lists have mistakes; the last good copy is in force")
            }
            Some(force) => check(CheckState::Ok, "policy", format!("{} bans in force", force.policy.bans().len())),
        };
        let status = self.upstreams.load().status();
        let healthy = status.iter().filter(|upstream| upstream.healthy).count();
        let note = format!("{healthy} of {} healthy", status.len());
        let upstreams = if healthy == 0 {
            check(CheckState::Warning, "upstreams", note)
        } else {
            check(CheckState::Ok, "upstreams", note)
        };
        let journal = match self.journal.status().store_error {
            Some(why) => check(CheckState::Warning, "journal", why),
            None => check(CheckState::Ok, "journal", "writable"),
        };
        let reload = match &*self.last_reload() {
            Reload { ok: false, mistakes, .. } => {
                check(CheckState::Warning, "reload", format!("the last one failed: {} mistakes", mistakes.len()))
            }
            Reload { .. } => check(CheckState::Ok, "reload", "the last one succeeded"),
        };
        let stopping = if self.draining.load(Ordering::Relaxed) {
            check(CheckState::Failed, "stopping", "the server is stopping")
        } else {
            check(CheckState::Ok, "stopping", "no")
        };
        let checks = vec![policy, upstreams, journal, reload, stopping];
        Readiness { ready: checks.iter().all(|check| check.state != CheckState::Failed), checks }
    }

    /// Brings the gauges that nobody counts up to the moment of a scrape.
    fn before_scrape(&self) {
        self.metrics.cache.entries.set(u64::try_from(self.cache.len()).unwrap_or(u64::MAX));
        self.metrics.cache.bytes.set(self.cache.bytes());
        if let Some(force) = self.guard.in_force() {
            let at = self.clock.now().wall;
            let modes: Vec<_> = force.policy.bans().iter().map(|ban| (Arc::clone(&ban.id), ban.mode_at(at))).collect();
            self.metrics.banned.set_enforcement(&modes);
        }
    }
}

impl Carry for Parts {
    async fn carry(&self, request: Request) -> Answer {
        match request {
            Request::Status => match serde_json::to_value(self.status()) {
                Ok(status) => Answer::Done(status),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Request::Flush => {
                let journal = Arc::clone(&self.journal);
                match tokio::task::spawn_blocking(move || journal.flush(CLOSE)).await {
                    Ok(Ok(())) => Answer::Done(serde_json::json!({"flushed": true})),
                    Ok(Err(error)) => Answer::Failed(error.to_string()),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            Request::Reload => {
                self.reload("control socket").await;
                match serde_json::to_value(&*self.last_reload()) {
                    Ok(reload) => Answer::Done(reload),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
        }
    }
}

fn check(state: CheckState, name: &'static str, note: impl Into<String>) -> Check {
    Check { name, state, note: note.into() }
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
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem) => {
            tracing::error!(path = %path.display(), %error, "The state directory can't be written.");
            Ok(())
        }
        Err(error) => Err(Failure::Cannot(format!(
            "the state directory {} can't be written: {error}; name another with `--state-dir`",
            path.display()
        ))),
    }
}

/// The upstreams that the settings name, with those of the system looked up.
fn upstreams(loaded: &Loaded, metrics: &Arc<Metrics>) -> Result<Arc<Upstreams>, Failure> {
    let settings = &loaded.settings.upstream;
    let servers = Servers::from_specs(&settings.servers, &loaded.settings.listen)
        .map_err(|error| Failure::Cannot(error.to_string()))?;
    let config = upstream::Config {
        hedge: settings.hedge_after,
        deadline: settings.deadline,
        exchange_max: settings.exchange_max,
        ..upstream::Config::new(servers)
    };
    let observer: Arc<dyn Observer> = Arc::new(Observed::new(&config, metrics));
    Ok(Arc::new(Upstreams::new(&config, &observer)))
}

/// Settings whose change is seen but waits for a restart.
fn needs_restart(before: &Loaded, after: &Loaded) -> Vec<&'static str> {
    let (old, new) = (&before.settings, &after.settings);
    let times = |loaded: &Loaded| {
        let upstream = &loaded.settings.upstream;
        (upstream.hedge_after, upstream.deadline, upstream.exchange_max)
    };
    [
        ("listen", old.listen != new.listen),
        ("admin", old.admin != new.admin),
        ("workers", old.workers != new.workers),
        ("state_dir", before.state_dir != after.state_dir),
        ("upstream times", times(before) != times(after)),
        ("cache", old.cache != new.cache),
        ("tcp", old.tcp != new.tcp),
        ("journal", old.journal != new.journal),
        ("log", old.log != new.log),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

/// An address that a client on this machine can ask.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}
