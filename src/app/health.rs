//! How the server is, asked for by people, by probes and by scrapes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::parts::Parts;
use super::status::{CacheStatus, CrowdRow, PolicyStatus, Reload, Status, ZoneRow};
use crate::admin::{Check, Readiness};
use crate::policy::Mode;
use crate::time::rfc3339;

impl Parts {
    pub(super) fn status(&self) -> Status {
        let (now, loaded) = (self.clock.now(), self.loaded.load_full());
        let last_good = self.last_good.load(Ordering::Relaxed);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started: rfc3339(self.started.wall),
            uptime_seconds: now.mono.since(self.started.mono).as_secs(),
            ready: self.readiness().ready,
            config: loaded.file.as_ref().map(|path| path.display().to_string()),
            state_dir: self.first.state_dir.display().to_string(),
            listen: self.listen.iter().map(ToString::to_string).collect(),
            endpoints: self.endpoints.iter().map(ToString::to_string).collect(),
            admin: self.admin.map(|address| address.to_string()),
            block_page: self.block_page.urls(),
            policy: self.guard.in_force().map(|force| PolicyStatus::of(&force.policy, last_good, now.wall)),
            sources: self.lists.board.all(),
            upstreams: self.tree.load().status().into_iter().map(Into::into).collect(),
            crowds: self.guard.crowds().iter().map(CrowdRow::new).collect(),
            zones: self.zones(),
            cache: CacheStatus { entries: self.cache.len(), bytes: self.cache.bytes() },
            journal: self.journal.status().into(),
            last_reload: self.last_reload().clone(),
        }
    }

    /// Policy zones on the wire: ours, then those of others.
    fn zones(&self) -> Vec<ZoneRow> {
        let mut rows = self.primary.load().as_ref().map(|primary| ZoneRow::sent(primary)).unwrap_or_default();
        rows.extend(self.lists.zones().iter().map(|(zone, state)| ZoneRow::received(zone, *state)));
        rows
    }

    pub(super) fn readiness(&self) -> Readiness {
        let damaged = self.damaged.load();
        let policy = match self.guard.in_force() {
            None => Check::failed("policy", "none is in force yet"),
            Some(_) if !damaged.is_empty() => {
                let bans = damaged.join(", ");
                let note = format!("the kept lists of {bans} are damaged: until they come again, these ban nothing");
                Check::failed("policy", note)
            }
            Some(_) if self.last_good.load(Ordering::Relaxed) => {
                Check::warning("policy", "the lists have mistakes; the last good copy is in force")
            }
            Some(force) => {
                let on = force.policy.bans().iter().filter(|ban| ban.ceiling() != Mode::Off).count();
                Check::ok("policy", format!("{on} bans in force"))
            }
        };
        let status = self.tree.load().status();
        let healthy = status.iter().filter(|(_zone, upstream)| upstream.healthy).count();
        let note = format!("{healthy} of {} healthy", status.len());
        let upstreams = if healthy == 0 { Check::warning("upstreams", note) } else { Check::ok("upstreams", note) };
        let journal = match self.journal.status().store_error {
            Some(why) => Check::warning("journal", why),
            None => Check::ok("journal", "writable"),
        };
        let audit = match self.audit_trouble() {
            Some(why) => Check::warning("audit", why),
            None => Check::ok("audit", "intact"),
        };
        let reload = match &*self.last_reload() {
            Reload { ok: false, mistakes, .. } => {
                Check::warning("reload", format!("the last one failed: {} mistakes", mistakes.len()))
            }
            Reload { .. } => Check::ok("reload", "the last one succeeded"),
        };
        let sources = self.lists.board.all();
        let wanting: Vec<&str> = sources.iter().filter(|row| row.is_wanting()).map(|row| &*row.id).collect();
        let sources = match (sources.len(), wanting.as_slice()) {
            (0, _) => Check::ok("sources", "no list comes from elsewhere"),
            (all, []) => Check::ok("sources", format!("{all} lists are as their sources have them")),
            (all, wanting) => {
                Check::warning("sources", format!("{} of {all} lists are not: {}", wanting.len(), wanting.join(", ")))
            }
        };
        let stopping = if self.draining.load(Ordering::Relaxed) {
            Check::failed("stopping", "the server is stopping")
        } else {
            Check::ok("stopping", "no")
        };
        Readiness::of(vec![policy, upstreams, journal, audit, reload, sources, stopping])
    }

    /// Brings the gauges that nobody counts up to the moment of a scrape.
    pub(super) fn before_scrape(&self) {
        self.metrics.cache.entries.set(u64::try_from(self.cache.len()).unwrap_or(u64::MAX));
        self.metrics.cache.bytes.set(self.cache.bytes());
        self.metrics.cache.failures.set(u64::try_from(self.cache.failures()).unwrap_or(u64::MAX));
        self.sinks.show();
        if let Some(force) = self.guard.in_force() {
            let at = self.clock.now().wall;
            let modes: Vec<_> = force.policy.bans().iter().map(|ban| (Arc::clone(&ban.id), ban.mode_at(at))).collect();
            self.metrics.banned.set_enforcement(&modes);
        }
    }
}
