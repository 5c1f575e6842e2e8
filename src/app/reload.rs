//! Reload: build beside what is in force, then swap, or keep it and say why.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::MutexGuard;

use super::map;
use super::parts::Parts;
use super::policy::Loading;
use super::rest::Seen;
use super::served::admission;
use super::status::Reload;
use super::upstreams::Wanted;
use super::{block_page, certificate, policy};
use crate::cache::Selection;
use crate::config::{self, Loaded, Settings};
use crate::diag::{Diagnostic, Severity};
use crate::priority::{self, beside};
use crate::serve::InForce;
use crate::time::{Timestamp, rfc3339};
use crate::upstream::Tree;

/// A policy out of force is waited for this long at most: the longest query has ended.
const LETTING_GO: Duration = Duration::from_secs(60);
/// It is looked this often whether a query still holds it.
const LOOK: Duration = Duration::from_millis(20);

/// Files that are written while they are read are waited for so often.
const DISTURBED_MAX: usize = 3;

/// How a reload is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Of files that nobody is writing: something has changed, and nobody knows whether that is all.
    AtRest,
    /// At once.
    Now,
    /// At once, by an operator who has looked at files and lists that have lost much.
    AnySize,
}

/// What is ready to be exchanged for what is in force.
struct Built {
    loaded: Arc<Loaded>,
    /// What is wrong with certificates and keys.
    papers: Vec<Diagnostic>,
    /// Whom to ask; `None`: those before.
    wanted: Option<Wanted>,
    ready: policy::Ready,
}

impl Parts {
    /// Reads configuration and lists again.
    pub(super) async fn reload(&self, why: &str, order: Order) {
        if order == Order::AtRest {
            let at_rest = self.at_rest().await;
            drop(self.reload_at_rest(why, at_rest, self.reloading.lock().await).await);
        } else {
            let _one_at_a_time = self.reloading.lock().await;
            self.reload_seen(why, order, self.look_at_files()).await;
        }
    }

    /// The same from files that have come to rest, for whoever sees to it that nobody else reloads. Files that are written while
    /// they are read are waited for, and meanwhile others may reload.
    pub(super) async fn reload_at_rest<'p>(
        &'p self,
        why: &str,
        mut at_rest: Arc<Seen>,
        mut alone: MutexGuard<'p, ()>,
    ) -> MutexGuard<'p, ()> {
        for _disturbed in 0..DISTURBED_MAX {
            if self.reload_seen(why, Order::AtRest, at_rest).await {
                return alone;
            }
            drop(alone);
            at_rest = self.at_rest().await;
            alone = self.reloading.lock().await;
        }
        let message = "files change again and again while they are read";
        self.not_reloaded(why, &[Diagnostic::whole(Severity::Error, "configuration and lists", message)]);
        alone
    }

    /// The files of configuration and lists as they are now.
    fn look_at_files(&self) -> Arc<Seen> {
        Arc::new(self.files.look(&self.loaded.load().watched()))
    }

    /// The same once nobody writes them.
    pub(super) async fn at_rest(&self) -> Arc<Seen> {
        let paths = self.loaded.load().watched();
        self.files.at_rest(&paths).await
    }

    /// Reads the files that look so; whether that is done with, whatever came of it: not if one was written meanwhile that was to
    /// be at rest.
    async fn reload_seen(&self, why: &str, order: Order, seen: Arc<Seen>) -> bool {
        let in_force = self.files.in_force();
        let cut = if order == Order::AnySize { Vec::new() } else { in_force.cut_configuration(&seen) };
        let built = if cut.is_empty() { self.build(order == Order::AnySize).await } else { Err(cut) };
        if order == Order::AtRest && seen.is_disturbed(&self.look_at_files()) {
            return false;
        }
        let taken = match built {
            Ok(built) => self.exchange(why, built).await,
            Err(mistakes) => Err(mistakes),
        };
        match taken {
            Ok(()) => {
                for warning in in_force.shortened(&seen) {
                    tracing::warn!("{warning}");
                }
                // Files that are named only now are first seen now.
                self.files.taken(self.look_at_files().but_for(&seen));
            }
            Err(mistakes) => self.not_reloaded(why, &mistakes),
        }
        true
    }

    /// Builds what the files say beside what is in force.
    async fn build(&self, any_size: bool) -> Result<Built, Vec<Diagnostic>> {
        let read = config::reload(&self.args, &self.first.environment, &self.loaded.load());
        let (loaded, papers) = read.map(|(loaded, papers)| (Arc::new(loaded), papers))?;
        let wanted = match Wanted::read(&self.first.settings, &loaded) {
            Ok(wanted) => Some(wanted),
            // What is banned does not wait for the network to be there.
            Err(unknown) if unknown.of_network => {
                let error = unknown.mistake.message;
                tracing::warn!(
                    error,
                    "The servers of the system are not known; those before are asked on until they are."
                );
                None
            }
            Err(unknown) => return Err(vec![unknown.mistake]),
        };
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let (read, first) = (Arc::clone(&loaded), Arc::clone(&self.first));
        let metrics = Arc::clone(&self.metrics);
        let (in_force, marks) = (self.guard.in_force(), self.marks.load_full());
        let ready = beside(move || {
            let (settings, state_dir, metrics) = (&read.settings, &*first.state_dir, &*metrics);
            let in_force = in_force.as_deref().map(|in_force| &*in_force.policy);
            let marks = &*marks;
            Loading { settings, state_dir, generation, metrics, in_force, marks, any_size }.load()
        })
        .await;
        let ready = ready.unwrap_or_else(|error| {
            Err(vec![Diagnostic::whole(Severity::Error, "policy", format!("it could not be built: {error}"))])
        })?;
        Ok(Built { loaded, papers, wanted, ready })
    }

    /// Puts it in force.
    async fn exchange(&self, why: &str, built: Built) -> Result<(), Vec<Diagnostic>> {
        let Built { loaded, papers, wanted, ready } = built;
        // Before anything else is exchanged: these alone may still fail.
        let before = self.loaded.load_full();
        block_page::exchange(&self.look, &loaded)
            .and_then(|()| certificate::exchange(self.tls.as_ref(), &before, &loaded, &self.metrics))
            .and_then(|()| certificate::exchange_of_admin(self.admin_tls.as_ref(), &before, &loaded))
            .map_err(|mistake| vec![mistake])?;
        self.reloaded(why, loaded, wanted.as_ref(), ready).await;
        self.but_for(&papers);
        Ok(())
    }

    /// Asks the servers that the system has now; those before are asked on as long as it has none.
    pub(super) async fn follow_network(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        match Wanted::read(&self.first.settings, &self.loaded.load()) {
            Ok(wanted) => {
                let before = self.tree.load_full();
                let tree = wanted.grow(Some(&before), &self.metrics, &self.cache, &self.clock);
                let asked = |tree: &Tree| tree.branches().map(|branch| Arc::clone(&branch.config)).collect::<Vec<_>>();
                if asked(&before) != asked(&tree) {
                    let servers: Vec<_> =
                        tree.status().iter().map(|(_zone, status)| status.server.to_string()).collect();
                    tracing::info!(?servers, "The servers of the system have changed; these are asked now.");
                    self.ask_by(tree).await;
                    // Names of a private network are no business of upstreams that are not in it.
                    self.answer_locally(&self.loaded.load(), wanted.root());
                }
            }
            Err(unknown) => {
                tracing::warn!(
                    error = unknown.mistake.message,
                    "The servers of the system are not known; those before are asked on."
                );
            }
        }
    }

    /// Asks by this tree from now on, and forgets what others have said of the zones that it sends elsewhere.
    async fn ask_by(&self, tree: Arc<Tree>) {
        let before = self.tree.swap(Arc::clone(&tree));
        let moved = tree.moved_since(&before);
        if moved.is_empty() {
            return;
        }
        let (cache, now) = (Arc::clone(&self.cache), self.clock.now().mono);
        let forgotten = beside(move || cache.remove(&Selection::Zones(moved.into_iter().collect()), now)).await;
        match forgotten {
            Ok(removed) => self.metrics.cache.flushed.add(removed.answers + removed.failures),
            Err(error) => {
                tracing::error!(%error, "Answers of zones that are sent elsewhere by now could not be forgotten.");
            }
        }
    }

    async fn reloaded(&self, why: &str, loaded: Arc<Loaded>, wanted: Option<&Wanted>, ready: policy::Ready) {
        warn(&loaded, self.clock.now().wall);
        // First: what gets stricter does so before its sites are others.
        self.keep_privacy(&loaded);
        self.keep_looks(&loaded);
        let taken = self.enforce(ready);
        self.guard.admit(admission(&loaded.settings, &self.listen));
        self.guard.limit(map::rates(&loaded.settings));
        self.journal.keep_names(loaded.settings.names);
        self.guard.show(map::hop(&loaded.settings));
        if let Some(wanted) = wanted {
            let tree = wanted.grow(Some(&self.tree.load()), &self.metrics, &self.cache, &self.clock);
            self.ask_by(tree).await;
        }
        self.answer_locally(&loaded, &self.tree.load().root().config.servers);
        if self.loaded.load().validation != loaded.validation {
            self.validate(loaded.validation.as_ref());
            // What is kept was judged by the keys and exceptions before.
            self.cache.remove(&Selection::All, self.clock.now().mono);
        }
        let needs_restart = needs_restart(&self.first, &loaded);
        if !needs_restart.is_empty() {
            tracing::warn!(settings = ?needs_restart, "These settings take effect after a restart.");
        }
        let at = Some(rfc3339(self.clock.now().wall));
        tracing::info!(
            why,
            generation = self.generation.load(Ordering::Relaxed),
            "Configuration and lists are reloaded."
        );
        *self.last_reload() = Reload { at, ok: true, why: why.to_owned(), mistakes: Vec::new(), needs_restart };
        self.lists.follow(&loaded.settings.lists);
        self.show_enforced_lists();
        self.loaded.store(loaded);
        // Once more, since now the settings are those of this policy.
        self.policy_changed.notify_one();
        self.spare();
        self.follow_sinks().await;
        self.note(taken, why).await;
    }

    /// Says of certificates and keys that they were left out of a reload: a ban does not wait until they are renewed.
    fn but_for(&self, papers: &[Diagnostic]) {
        if papers.is_empty() {
            return;
        }
        for mistake in papers {
            tracing::error!("{mistake}");
        }
        tracing::error!("The certificates and keys before stay in use; all else is reloaded.");
        self.metrics.process.reload_successful.set(0);
        let mut last = self.last_reload();
        last.ok = false;
        last.mistakes = papers.iter().map(ToString::to_string).collect();
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

/// Frees a policy that is no longer in force when no query under way holds it any more, behind the threads that serve: to give
/// back the memory of a million names takes milliseconds, which else the last of those queries would wait for.
pub(super) fn let_go(before: Arc<InForce>) {
    let waiting = move || {
        priority::yield_to_serving();
        let mut looks = LETTING_GO.as_millis() / LOOK.as_millis();
        // The policy itself is shared by whoever held it with other exemptions.
        while (Arc::strong_count(&before) > 1 || Arc::strong_count(&before.policy) > 1) && looks > 0 {
            std::thread::sleep(LOOK);
            looks -= 1;
        }
    };
    // Without a thread it is freed here.
    drop(std::thread::Builder::new().name("lists".to_owned()).spawn(waiting));
}

/// Logs what is right in the configuration and needs attention.
pub(super) fn warn(loaded: &Loaded, now: Timestamp) {
    for warning in loaded.warnings(now) {
        tracing::warn!("{warning}");
    }
}

/// Settings that are written otherwise than they are in effect since the start.
fn needs_restart(first: &Loaded, now: &Loaded) -> Vec<&'static str> {
    let (old, new) = (&first.settings, &now.settings);
    let page_places = |settings: &Settings| {
        let page = &settings.block_page;
        (page.http.clone(), page.https.clone(), page.connections_max)
    };
    let times = |loaded: &Loaded| {
        let upstream = &loaded.settings.upstream;
        (upstream.hedge_after, upstream.deadline, upstream.exchange_max)
    };
    [
        ("listen", old.listen != new.listen),
        ("listen_tls", old.encrypted.listen_tls != new.encrypted.listen_tls),
        ("listen_https", old.encrypted.listen_https != new.encrypted.listen_https),
        ("listen_http", old.encrypted.listen_http != new.encrypted.listen_http),
        ("listen_quic", old.encrypted.listen_quic != new.encrypted.listen_quic),
        ("https path", old.encrypted.https_path != new.encrypted.https_path),
        ("admin", old.admin != new.admin),
        ("process", old.process != new.process),
        ("block_page", page_places(old) != page_places(new)),
        ("workers", old.workers != new.workers),
        ("state_dir", first.state_dir != now.state_dir),
        ("upstream times", times(first) != times(now)),
        ("cache", old.cache != new.cache),
        ("tls", old.tls.is_some() != new.tls.is_some()),
        ("access.certificate", old.access.tls.is_some() != new.access.tls.is_some()),
        ("tcp", old.tcp != new.tcp),
        ("journal", old.journal != new.journal),
        ("log", old.log != new.log),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Args, Environment};

    #[test]
    fn what_waits_for_a_restart_is_said_to_at_the_top_of_the_shipped_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let load = |name: &str, text: &str| {
            let config = directory.path().join(name);
            std::fs::write(&config, text).unwrap();
            let environment = Environment { home: Some(directory.path().into()), ..Environment::default() };
            config::load(&Args { config: Some(config), ..Args::default() }, &environment).unwrap()
        };
        let other = "listen = [\"127.0.0.1:1\"]\nadmin = \"off\"\nworkers = 1\nstate_dir = \"x\"\n\
                     [upstream]\ndeadline = \"1s\"\n[cache]\nsave = false\n[tcp]\nidle = 1\n\
                     [journal]\nsize_max = \"1GiB\"\n[log]\nlevel = \"warn\"\n";
        let waits = needs_restart(&load("first.toml", ""), &load("other.toml", other));
        assert_eq!(waits.len(), 9, "{waits:?}");
        let shipped = include_str!("../../config/embargo.toml");
        let told = shipped.split("after a restart").nth(1).unwrap().split("\n#\n").next().unwrap().replace("\n# ", " ");
        let untold: Vec<_> = waits.iter().filter(|name| !told.contains(**name)).collect();
        assert!(untold.is_empty(), "{untold:?} in: {told}");
    }
}
