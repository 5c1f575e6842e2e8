//! One server: its parts, how they are put together, reloaded and taken apart.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::block_page;
use super::endpoint::Endpoint;
use super::handover::{Before, Heir};
use super::parts::{CLOSE, Parts};
use super::prepared::Prepared;
use super::reload::Order;
use super::watch::Watch;
use super::{Failure, control};
use crate::block_page::BlockPage;
use crate::clock::Clock;
use crate::config::{Args, Loaded};
use crate::metrics::Metrics;
use crate::serve::Running;
use crate::socket::reachable;

/// Queries in flight are waited for this long at the end; each has an answer before.
const DRAIN: Duration = Duration::from_secs(3);
/// Connections on their way to another process at a time.
const CARRIED_MAX: usize = 64;

/// A running server.
pub struct Server {
    pub(super) parts: Arc<Parts>,
    pub(super) running: Running,
    pub(super) block_page: Option<BlockPage>,
    pub(super) stop: CancellationToken,
    pub(super) watch: tokio::sync::Mutex<Watch>,
    pub(super) heirs: tokio::sync::Mutex<mpsc::Receiver<Heir>>,
    pub(super) succession: AbortOnDropHandle<()>,
    pub(super) network: tokio::sync::Mutex<Watch>,
    pub(super) leases: tokio::sync::Mutex<Watch>,
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
        Prepared::after(Before::default(), clock, args, loaded, metrics)
    }

    /// Where DNS is served.
    pub fn listen(&self) -> &[SocketAddr] {
        &self.parts.listen
    }

    /// Where DNS is served otherwise than in clear.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.parts.endpoints
    }

    /// Where the admin server listens.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.parts.admin
    }

    /// Where the block page is.
    pub fn block_page(&self) -> &block_page::Places {
        &self.parts.block_page
    }

    /// Returns when configuration or lists have changed on disk, and nobody is writing them any more.
    pub async fn files_changed(&self) {
        let mut watch = self.watch.lock().await;
        // Whoever is called off here has not seen the change.
        let _changed = watch.change().await;
        watch.taken(self.parts.at_rest().await.marks().clone());
    }

    /// Reads what has changed and swaps it in, or keeps what is and says why.
    pub async fn follow_files(&self) {
        self.parts.reload("files changed", Order::AtRest).await;
        self.retarget().await;
    }

    /// The same at once, whatever is being written: somebody has said so.
    pub async fn reload(&self, why: &str) {
        self.parts.reload(why, Order::Now).await;
        self.retarget().await;
    }

    async fn retarget(&self) {
        let loaded = self.parts.loaded.load_full();
        self.watch.lock().await.retarget(loaded.watched());
        self.network.lock().await.retarget(loaded.network_files());
        self.leases.lock().await.retarget(loaded.lease_files());
    }

    /// Returns when a file of leases has changed.
    pub async fn leases_changed(&self) {
        let mut watch = self.leases.lock().await;
        // Whoever is called off here has not seen the change.
        let _changed = watch.change().await;
        watch.taken(self.parts.leases_at_rest().await.marks().clone());
    }

    /// Learns who holds which address now.
    pub async fn follow_leases(&self) {
        self.parts.follow_leases().await;
    }

    /// Returns when the system's list of its name servers has changed, if these are asked.
    pub async fn network_changed(&self) {
        self.network.lock().await.changed().await;
    }

    /// Asks the servers that the system has now.
    pub async fn follow_network(&self) {
        self.parts.follow_network().await;
        // What a link leads to may be another file by now.
        self.network.lock().await.retarget(self.parts.loaded.load().network_files());
    }

    /// Returns when another process reads the sockets of this one.
    pub(super) async fn succeeded(&self) -> Heir {
        match self.heirs.lock().await.recv().await {
            Some(heir) => heir,
            None => std::future::pending().await,
        }
    }

    /// Ends in order: not ready, nothing more read, what is in flight answered, the record written.
    pub async fn stop(self) {
        self.parts.draining.store(true, Ordering::Relaxed);
        // With it goes what else holds the sockets: they are closed once nobody reads them.
        drop(self.succession);
        self.parts.intakes.stop().await;
        // Before the record is closed: what comes to the page belongs in it.
        ended(self.block_page).await;
        told_of(self.running.drain(DRAIN).await);
        write_to_the_end(&self.parts).await;
        self.parts.sinks.stop().await;
        self.stop.cancel();
        self.parts.save_cache_at_end().await;
        drop(std::fs::remove_file(control::path(&self.parts.first.state_dir)));
    }

    /// Ends in order while another process serves: its are new connections and commands at once, the open connections as soon
    /// as each is owed nothing, and at last the record.
    pub(super) async fn leave_to(self, heir: Heir) {
        self.parts.draining.store(true, Ordering::Relaxed);
        self.stop.cancel();
        heir.stopped();
        ended(self.block_page).await;
        let (carry, mut carried) = mpsc::channel(CARRIED_MAX);
        let mut drain = pin!(self.running.drain_to(DRAIN, carry));
        let given_up = loop {
            tokio::select! {
                biased;
                Some(connection) = carried.recv() => heir.carry(connection),
                given_up = &mut drain => break given_up,
            }
        };
        while let Ok(connection) = carried.try_recv() {
            heir.carry(connection);
        }
        told_of(given_up);
        self.parts.intakes.stop().await;
        // Both before it is told, so that it reads the newest of them.
        tokio::join!(write_to_the_end(&self.parts), self.parts.save_cache_at_end());
        self.parts.sinks.stop().await;
        heir.ended();
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
        for endpoint in &status.endpoints {
            writeln!(out, "  dns      {endpoint}")?;
        }
        if let Some(address) = &status.admin {
            let scheme = if self.parts.admin_tls.is_some() { "https" } else { "http" };
            writeln!(out, "  admin    {scheme}://{address}/ (metrics, readyz, api/v1)")?;
        }
        for url in &status.block_page {
            writeln!(out, "  page     {url}")?;
        }
        for upstream in &status.upstreams {
            match &upstream.zone {
                None => writeln!(out, "  upstream {}", upstream.address)?,
                Some(zone) => writeln!(out, "  upstream {} for {zone}", upstream.address)?,
            }
        }
        if let Some(policy) = &status.policy {
            let is_off = |id: &str| policy.bans.iter().any(|ban| ban.id == id && ban.off);
            for ban in policy.bans.iter().filter(|ban| !is_off(&ban.id)) {
                writeln!(out, "  ban      {} ({}): {}", ban.id, ban.title, ban.mode_in_words())?;
            }
            let off: Vec<_> = policy.bans.iter().map(|ban| &*ban.id).filter(|id| is_off(id)).collect();
            if !off.is_empty() {
                writeln!(out, "  off      {}", off.join(", "))?;
            }
            for list in policy.lists.iter().filter(|list| !is_off(&list.ban)) {
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

async fn ended(page: Option<BlockPage>) {
    if let Some(page) = page {
        page.stop().await;
    }
}

fn told_of(given_up: usize) {
    if given_up > 0 {
        tracing::warn!(given_up, "Queries or connections were still open at the end.");
    }
}

async fn write_to_the_end(parts: &Parts) {
    let journal = Arc::clone(&parts.journal);
    match tokio::task::spawn_blocking(move || journal.close(CLOSE)).await {
        Ok(Ok(())) => tracing::info!("The record is written; goodbye."),
        Ok(Err(error)) => tracing::error!(%error, "The record could not be written to its end."),
        Err(error) => tracing::error!(%error, "The record's writer died."),
    }
}
