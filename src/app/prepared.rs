//! From settings to a running server: everything is checked and opened, then bound, then begun.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::block_page;
use super::control::Asking;
use super::designated::designated;
use super::desk::desk;
use super::handover::{self, Before, Predecessor};
use super::lists::{self, Lists};
use super::local::local;
use super::parts::{Late, Parts};
use super::rest::{Files, Seen};
use super::served::{self, admission};
use super::server::Server;
use super::status::Reload;
use super::upstreams::Wanted;
use super::watch::Watch;
use super::{
    Failure, bind, certificate, control, dates, endpoint, exempt, exports, files, leases, map, privacy, reload,
    reports, reverse, saved, state_dir,
};
use crate::access::Access;
use crate::admin;
use crate::audit::Audit;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Args, Loaded, Settings};
use crate::identity::Devices;
use crate::intake::Intakes;
use crate::journal::Journal;
use crate::local::Local;
use crate::metrics::Metrics;
use crate::orders::Verbs;
use crate::serve::{self, Chain, Embargo, Forwarder, Guard};
use crate::sinks::Sinks;
use crate::socket::Held;

/// Parts that are checked but not yet listening.
pub struct Prepared {
    parts: Parts,
    /// What is answered here, but for what is known when it is bound.
    local: Local,
    /// `None`: the disk takes nothing.
    control: Option<UnixListener>,
    before: Before,
    asking: mpsc::Receiver<Asking>,
}

impl Prepared {
    /// What [`Server::prepare_by`] makes, with what was there before.
    pub(super) fn after(
        mut before: Before,
        clock: Clock,
        args: Args,
        loaded: Loaded,
        metrics: Arc<Metrics>,
    ) -> Result<Prepared, Failure> {
        state_dir::make(&loaded.state_dir)?;
        let control = state_dir::control_socket(&loaded.state_dir, &mut before.held)?;
        let (successors, asking) = mpsc::channel(1);
        let wanted =
            Wanted::read(&loaded.settings, &loaded).map_err(|unknown| Failure::Cannot(unknown.mistake.message))?;
        let cache = Arc::new(Cache::new(map::cache(&loaded.settings)));
        let tree = wanted.grow(None, &metrics, &cache, &clock);
        let tls = certificate::first(&loaded, &metrics).map_err(Failure::Cannot)?;
        let look = block_page::look(&loaded).map_err(|error| Failure::Cannot(error.to_string()))?;
        let admin_tls = certificate::of_admin(&loaded).map_err(Failure::Cannot)?;
        reload::warn(&loaded, clock.now().wall);
        let local = local(&loaded.settings, wanted.root());
        let Record { sinks, devices, journal } = record(before.ended.take(), &loaded, &metrics, &clock)?;
        let guard = guard(&loaded, &journal, &metrics, &clock);
        let (guard, tree) = (Arc::new(guard), Arc::new(ArcSwap::new(tree)));
        let intakes =
            Intakes::new(loaded.settings.intakes.clone(), Arc::clone(&guard), Arc::clone(&metrics), clock.clone());
        let chain = Chain::new(Arc::clone(&guard), Arc::clone(&cache), Arc::clone(&tree), clock.clone());
        let chain = Arc::new(chain);
        let lists = Arc::new(Lists::new(&loaded.state_dir, &metrics, &chain, &clock));
        guard.hear(Arc::clone(&lists.notices));
        let parts = Parts {
            args,
            cache,
            audit: Arc::new(Audit::new(&loaded.state_dir)),
            access: Arc::new(Access::new(&loaded.state_dir)),
            audit_trouble: Mutex::default(),
            exempting: Mutex::default(),
            words: Arc::default(),
            loaded: ArcSwap::from_pointee(loaded.clone()),
            first: Arc::new(loaded),
            started: clock.now(),
            clock,
            metrics,
            devices,
            journal,
            sinks,
            intakes: Arc::new(intakes),
            tls,
            admin_tls,
            guard,
            tree,
            validator: Arc::default(),
            chain,
            lists,
            primary: ArcSwapOption::empty(),
            policy_changed: Notify::new(),
            generation: AtomicU64::new(1),
            last_good: AtomicBool::new(false),
            marks: ArcSwap::default(),
            files: Files::default(),
            lease_files: Files::of_leases(),
            damaged: ArcSwap::default(),
            draining: AtomicBool::new(false),
            restored: AtomicBool::new(false),
            saving: Mutex::new(()),
            last_reload: Mutex::new(Reload { ok: true, ..Reload::default() }),
            reloading: tokio::sync::Mutex::new(()),
            listen: Vec::new(),
            endpoints: Vec::new(),
            admin: None,
            block_page: block_page::Places::default(),
            look: Arc::new(ArcSwap::from_pointee(look)),
            verbs: None,
            running: Mutex::new(()),
            successors,
        };
        parts.follow_audit();
        parts.keep_looks(&parts.first);
        Ok(Prepared { parts, local, control, before, asking })
    }

    /// The same with the commands of the command line, which the API has run.
    #[must_use]
    pub fn with_verbs(mut self, verbs: Verbs) -> Self {
        self.parts.verbs = Some(verbs);
        self
    }

    /// Puts policy in force, binds, and serves.
    ///
    /// # Errors
    /// [`Failure`] when the lists have mistakes and there is no good copy, or an address can't be had.
    pub async fn start(self) -> Result<Server, Failure> {
        let Self { mut parts, local, control, before: Before { mut held, predecessor, .. }, asking } = self;
        let loaded = parts.loaded.load_full();
        // Before the files are read: what changes while they are is then seen as a change.
        let (files, watched) = (&parts.files, loaded.watched());
        let watch = tokio::sync::Mutex::new(Watch::telling(watched.clone(), files.writers.clone()));
        files.taken(Seen::look(&watched, &Seen::default()));
        let network = tokio::sync::Mutex::new(Watch::new(loaded.network_files()));
        let leases = tokio::sync::Mutex::new(Watch::of_appended(loaded.lease_files()));
        let late = parts.first_policy(predecessor.is_some()).await?;
        // What the server before granted or took back while the lists were read.
        parts.follow_audit();
        let settings = &loaded.settings;
        let optional = |address| settings.listen_is_optional(address);
        let (mut sockets, listen) =
            bind::listeners(&settings.listen, map::workers(settings), &mut held, optional).map_err(Failure::Cannot)?;
        parts.endpoints =
            endpoint::bind_all(settings, parts.tls.as_ref(), &mut held, &mut sockets).map_err(Failure::Cannot)?;
        let admin = settings.admin.map(|address| admin_listener(address, &mut held)).transpose()?;
        let page;
        (page, parts.block_page) = block_page::bind(settings, &mut held)?;
        bind::left_over(held);
        let shared = Arc::new(bind::duplicates((&sockets, &page), admin.as_ref(), control.as_ref())?);
        parts.listen = listen;
        parts.admin = admin.as_ref().and_then(|listener| listener.local_addr().ok());

        let designated = designated(&parts.endpoints, &parts.listen, &loaded);
        parts.guard.answer_locally(local.designating(designated));
        let parts = Arc::new(parts);
        // Before the first query, so that none of them is a stranger's.
        parts.follow_leases().await;
        parts.validate(loaded.validation.as_ref());
        parts.lists.follow(&loaded.settings.lists);
        let mut limits = map::listen(settings);
        limits.streams.connections_max = files::share_out(limits.streams.connections_max);
        let handler = Embargo::new(Arc::clone(&parts.guard), forwarder(&parts, settings));
        let (metrics, clock) = (Arc::clone(&parts.metrics), parts.clock.clone());
        let running = serve::start(handler, sockets, limits, metrics, clock)
            .map_err(|error| Failure::Cannot(format!("can't read the sockets: {error}")))?;
        let block_page = block_page::start(&parts, page)?;
        let stop = CancellationToken::new();
        if let Some(listener) = admin {
            tokio::spawn(admin::serve(listener, desk(&parts), stop.clone()));
        }
        if settings.cache.save {
            let before = predecessor.as_ref().map(Predecessor::gone);
            tokio::spawn(saved::keep(Arc::clone(&parts), before, stop.clone()));
        }
        if let Some(control) = control {
            tokio::spawn(control::serve(control, Arc::clone(&parts), stop.clone()));
        }
        parts.send_attempts(predecessor.as_ref().map(Predecessor::gone));
        keep_all(&parts, late, &stop);
        if let Some(predecessor) = predecessor {
            predecessor.replace(running.adopter()).await;
        }
        let (heir, heirs) = mpsc::channel(1);
        let succession = AbortOnDropHandle::new(tokio::spawn(handover::successions(asking, shared, heir)));
        Ok(Server {
            parts,
            running,
            block_page,
            stop,
            watch,
            network,
            leases,
            heirs: tokio::sync::Mutex::new(heirs),
            succession,
        })
    }
}

fn admin_listener(address: SocketAddr, held: &mut Held) -> Result<std::net::TcpListener, Failure> {
    bind::tcp(address, held).map_err(|error| Failure::Cannot(bind::explain(address, &error)))
}

/// Closes sockets that were held and that nobody wants.
/// What asks the upstreams.
fn forwarder(parts: &Parts, settings: &Settings) -> Forwarder {
    Forwarder::new(
        map::forwarder(settings),
        Arc::clone(&parts.cache),
        Arc::clone(&parts.tree),
        Arc::clone(&parts.validator),
        Arc::clone(&parts.metrics),
        parts.clock.clone(),
    )
}

/// Begins all that follows something until the server stops.
fn keep_all(parts: &Arc<Parts>, late: Option<Late>, stop: &CancellationToken) {
    tokio::spawn(served::follow(Arc::clone(parts), stop.clone()));
    tokio::spawn(exports::keep(Arc::clone(parts), stop.clone()));
    tokio::spawn(dates::keep(Arc::clone(parts), stop.clone()));
    tokio::spawn(exempt::keep(Arc::clone(parts), stop.clone()));
    tokio::spawn(leases::keep_neighbours(Arc::clone(parts), stop.clone()));
    tokio::spawn(reports::keep(Arc::clone(parts), stop.clone()));
    tokio::spawn(reverse::keep(Arc::clone(parts), stop.clone()));
    let (enforcing, stopping) = (Arc::clone(parts), stop.clone());
    tokio::spawn(async move {
        if let Some(late) = late {
            Arc::clone(&enforcing).enforce_late(late).await;
        }
        // Only then: lists that are being read are not to be exchanged.
        lists::keep(enforcing, stopping).await;
    });
}

/// Who decides, with all that the settings say of it.
fn guard(loaded: &Loaded, journal: &Arc<Journal>, metrics: &Arc<Metrics>, clock: &Clock) -> Guard {
    let admission = admission(&loaded.settings, &loaded.settings.listen);
    let guard = Guard::new(admission, Arc::clone(journal), Arc::clone(metrics), clock.clone());
    guard.show(map::hop(&loaded.settings));
    guard.limit(map::rates(&loaded.settings));
    guard
}

/// The record, what it is sent on to, and whom it asks for devices.
struct Record {
    sinks: Arc<Sinks>,
    devices: Arc<Devices>,
    journal: Arc<Journal>,
}

/// Starts the record; `ended`: see [`Journal::start_after`].
fn record(
    ended: Option<std::sync::mpsc::Receiver<()>>,
    loaded: &Loaded,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> Result<Record, Failure> {
    let sinks = Arc::new(Sinks::new(
        (&loaded.state_dir, loaded.settings.spool_max_bytes),
        &map::sinks(&loaded.settings),
        map::observer(&loaded.settings),
        Arc::clone(metrics),
        clock.clone(),
    ));
    let mut config = map::journal(loaded);
    config.privacy = privacy::told_of(loaded);
    let devices = Arc::clone(&config.devices);
    config.outlet = Some(Arc::clone(&sinks) as _);
    let journal = Journal::start_after(ended, config, Arc::clone(metrics), clock.clone())
        .map_err(|error| Failure::Cannot(error.to_string()))?;
    journal.keep_names(loaded.settings.names);
    Ok(Record { sinks, devices, journal: Arc::new(journal) })
}
