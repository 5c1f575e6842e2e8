//! Reload: build beside what is in force, then swap, or keep it and say why.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::observer::Observed;
use super::parts::Parts;
use super::status::Reload;
use super::{Failure, policy};
use crate::config::{self, Environment, Loaded};
use crate::diag::Diagnostic;
use crate::metrics::Metrics;
use crate::serve::Admission;
use crate::time::rfc3339;
use crate::upstream::{self, Observer, Servers, Upstreams};

impl Parts {
    pub(super) async fn reload(&self, why: &str) {
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

    pub(super) fn reloaded(&self, why: &str, loaded: Loaded, ready: policy::Ready) {
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

    pub(super) fn not_reloaded(&self, why: &str, mistakes: &[Diagnostic]) {
        for mistake in mistakes {
            tracing::error!("{mistake}");
        }
        tracing::error!(why, "Nothing was reloaded: what was in force before stays in force.");
        self.metrics.process.reload_successful.set(0);
        let at = Some(rfc3339(self.clock.now().wall));
        let mistakes = mistakes.iter().map(ToString::to_string).collect();
        *self.last_reload() = Reload { at, ok: false, why: why.to_owned(), mistakes, needs_restart: Vec::new() };
    }
}

/// The upstreams that the settings name, with those of the system looked up.
pub(super) fn upstreams(loaded: &Loaded, metrics: &Arc<Metrics>) -> Result<Arc<Upstreams>, Failure> {
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
