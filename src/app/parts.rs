//! What lives as long as the process: the parts of a server, its policy, and what the control socket may ask of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::access::asked_by;
use super::believe::Marks;
use super::block_page::Places;
use super::control::{Asking, Carry, Request};
use super::endpoint::Endpoint;
use super::leases::Words;
use super::lists::Lists;
use super::policy::Loading;
use super::reload::Order;
use super::rest::Files;
use super::status::Reload;
use super::{Failure, map, policy, reload};
use crate::access::Access;
use crate::audit::{Audit, Author, Reloaded};
use crate::block_page::Look;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Args, Loaded};
use crate::diag::Diagnostic;
use crate::identity::Devices;
use crate::intake::Intakes;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::orders::{Answer, Verbs};
use crate::policy::{Exemption, Roster};
use crate::serve::{Chain, Guard};
use crate::sinks::Sinks;
use crate::time::Now;
use crate::tls::ServerTls;
use crate::transfer::Primary;
use crate::upstream::{Questions, Tree, Validation, Validator};

/// A policy not in force after this leaves clients with SERVFAIL until it is.
const POLICY_PATIENCE: Duration = Duration::from_secs(5);
/// The same while another server answers the clients.
const SERVED_PATIENCE: Duration = Duration::from_secs(240);
/// The record is written within this when somebody waits for it.
pub(super) const CLOSE: Duration = Duration::from_secs(10);

/// The parts that live as long as the process.
pub(super) struct Parts {
    pub(super) args: Args,
    /// As the process began with it: what takes effect only at a start is still this.
    pub(super) first: Arc<Loaded>,
    /// As it was read last.
    pub(super) loaded: ArcSwap<Loaded>,
    pub(super) clock: Clock,
    pub(super) started: Now,
    pub(super) metrics: Arc<Metrics>,
    /// Who holds which address.
    pub(super) devices: Arc<Devices>,
    /// What was said of that last.
    pub(super) words: Arc<Mutex<Words>>,
    pub(super) journal: Arc<Journal>,
    /// Where attempts are sent to as they are recorded.
    pub(super) sinks: Arc<Sinks>,
    pub(super) intakes: Arc<Intakes>,
    pub(super) guard: Arc<Guard>,
    /// Who was spared by whom.
    pub(super) audit: Arc<Audit>,
    /// Who may use the admin server.
    pub(super) access: Arc<Access>,
    /// What is wrong with it, as it was said last.
    pub(super) audit_trouble: Mutex<Option<String>>,
    /// Who is spared, and who is known as a device; held while that is exchanged.
    pub(super) exempting: Mutex<(Vec<Arc<Exemption>>, Roster)>,
    pub(super) cache: Arc<Cache>,
    pub(super) tree: Arc<ArcSwap<Tree>>,
    /// As whom clients are shown the server, if they are shown anybody.
    pub(super) tls: Option<ServerTls>,
    /// The same for those who come to the admin server.
    pub(super) admin_tls: Option<ServerTls>,
    /// Who validates answers, while that is wanted.
    pub(super) validator: Arc<ArcSwapOption<Validator>>,
    /// Who asks for it.
    pub(super) chain: Arc<Chain>,
    /// Lists that come from elsewhere.
    pub(super) lists: Arc<Lists>,
    /// Zones for other resolvers, if there are any.
    pub(super) primary: ArcSwapOption<Primary>,
    /// Told when another policy is in force.
    pub(super) policy_changed: Notify,
    pub(super) generation: AtomicU64,
    pub(super) last_good: AtomicBool,
    /// The files of the operator's own lists as they were read.
    pub(super) marks: ArcSwap<Marks>,
    /// The files of configuration and lists as they were read.
    pub(super) files: Files,
    /// The same of leases.
    pub(super) lease_files: Files,
    /// Bans whose rules are lost until their lists come.
    pub(super) damaged: ArcSwap<Vec<Arc<str>>>,
    pub(super) draining: AtomicBool,
    /// Whether the saved cache has been read, if there is one.
    pub(super) restored: AtomicBool,
    /// One writer of the saved cache at a time.
    pub(super) saving: Mutex<()>,
    pub(super) last_reload: Mutex<Reload>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) admin: Option<SocketAddr>,
    /// Where the block page is.
    pub(super) block_page: Places,
    /// How it looks.
    pub(super) look: Arc<ArcSwap<Look>>,
    /// The commands of the command line, if this process has them.
    pub(super) verbs: Option<Verbs>,
    /// One of them at a time: each may read the whole record, and hold a policy of its own.
    pub(super) running: Mutex<()>,
    /// Where processes go that ask to take over.
    pub(super) successors: mpsc::Sender<Asking>,
}

/// A policy that is still being built when the server starts to answer.
pub(super) type Late = tokio::task::JoinHandle<Result<policy::Ready, Vec<Diagnostic>>>;

impl Parts {
    /// Sends attempts to sinks, and takes what other resolvers tell, once the server `before` is gone: until then it sends what
    /// it has recorded, and it is told.
    pub(super) fn send_attempts(&self, before: Option<CancellationToken>) {
        let (sinks, intakes, questions) = (Arc::clone(&self.sinks), Arc::clone(&self.intakes), self.questions());
        tokio::spawn(async move {
            if let Some(before) = before {
                before.cancelled().await;
            }
            tokio::join!(sinks.start(&questions), intakes.start());
        });
    }

    /// Sends attempts to the sinks that the settings name now, and to no others; the same of intakes.
    pub(super) async fn follow_sinks(&self) {
        let loaded = self.loaded.load_full();
        self.sinks.follow(&map::sinks(&loaded.settings), loaded.settings.spool_max_bytes, &self.questions()).await;
        self.intakes.follow(loaded.settings.intakes.clone()).await;
    }

    /// Who resolves names of ours.
    pub(super) fn questions(&self) -> Arc<dyn Questions> {
        Arc::clone(&self.chain) as Arc<dyn Questions>
    }

    /// Validates answers by this from now on; `None`: not at all.
    pub(super) fn validate(&self, by: Option<&Validation>) {
        self.validator.store(by.map(|by| Arc::new(Validator::new(by.clone(), self.questions()))));
    }

    /// Waits for the first policy, but not for ever, unless another server still serves.
    pub(super) async fn first_policy(&self, served: bool) -> Result<Option<Late>, Failure> {
        let patience = if served { SERVED_PATIENCE } else { POLICY_PATIENCE };
        let (loaded, metrics) = (self.loaded.load_full(), Arc::clone(&self.metrics));
        let mut loading = tokio::task::spawn_blocking(move || {
            let (settings, state_dir) = (&loaded.settings, &*loaded.state_dir);
            let (metrics, marks) = (&*metrics, &Marks::new());
            let (generation, in_force, any_size) = (1, None, false);
            Loading { settings, state_dir, generation, metrics, in_force, marks, any_size }.load_or_last_good()
        });
        match tokio::time::timeout(patience, &mut loading).await {
            Ok(Ok(Ok(ready))) => {
                let taken = self.enforce(ready);
                self.note(taken, "start").await;
                Ok(None)
            }
            Ok(Ok(Err(mistakes))) => Err(Failure::Mistakes(mistakes)),
            Ok(Err(error)) => Err(Failure::Cannot(format!("the policy could not be built: {error}"))),
            Err(_elapsed) => Ok(Some(loading)),
        }
    }

    pub(super) async fn enforce_late(self: Arc<Self>, late: Late) {
        tracing::warn!("The lists are large: until they are read, every query is answered with SERVFAIL.");
        match late.await {
            Ok(Ok(ready)) => {
                let taken = self.enforce(ready);
                self.note(taken, "start").await;
            }
            Ok(Err(mistakes)) => self.not_reloaded("start", &mistakes),
            Err(error) => tracing::error!(%error, "The policy could not be built."),
        }
    }

    /// Puts a policy in force; what the audit is to say of it.
    pub(super) fn enforce(&self, ready: policy::Ready) -> Reloaded {
        for diagnostic in &ready.diagnostics {
            tracing::warn!("{diagnostic}");
        }
        if ready.last_good {
            tracing::error!("The lists have mistakes: the last good copy of them is in force.");
            let mistakes = ready.diagnostics.iter().map(ToString::to_string).collect();
            *self.last_reload() = Reload { ok: false, why: "start".to_owned(), mistakes, ..Reload::default() };
        }
        self.last_good.store(ready.last_good, Ordering::Relaxed);
        self.damaged.store(Arc::new(ready.damaged.clone()));
        self.marks.store(Arc::new(ready.marks.clone()));
        let taken = ready.taken(self.clock.now().wall);
        if let Some(before) = self.guard.enforce(ready.policy) {
            reload::let_go(before);
        }
        self.policy_changed.notify_one();
        self.metrics.process.reload_successful.set(u64::from(!ready.last_good));
        if !ready.last_good {
            self.metrics.process.reload_success.set(self.clock.now().wall);
        }
        taken
    }

    pub(super) fn last_reload(&self) -> std::sync::MutexGuard<'_, Reload> {
        self.last_reload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn reload_row(&self) -> Answer {
        serde_json::to_value(&*self.last_reload()).map_or_else(|error| Answer::Failed(error.to_string()), Answer::Done)
    }

    fn list_rows(&self) -> Answer {
        serde_json::to_value(self.lists.board.all())
            .map_or_else(|error| Answer::Failed(error.to_string()), Answer::Done)
    }
}

impl Carry for Parts {
    async fn carry(&self, request: Request, author: Author) -> Answer {
        if let Err(why) = self.note_of(&request, &author).await {
            return Answer::Failed(why);
        }
        match request {
            Request::Status => match serde_json::to_value(self.status()) {
                Ok(status) => Answer::Done(status),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Request::CacheShow(questions) => self.cache_rows(&questions).await,
            Request::CacheFlush(questions) => self.flush_cache(&questions).await,
            Request::ExemptAdd(asked) => self.exempt(&asked, author).await,
            Request::ExemptRevoke(id) => self.revoke(&id, author).await,
            Request::ExemptList { all } => self.exemptions(all).await,
            Request::DeviceSay(said) => self.say_of_devices(&said, author).await,
            Request::DeviceUndo(number) => self.undo_of_devices(number, author).await,
            Request::PrivacyErase(asked) => self.erase(*asked, author).await,
            Request::Look(looked) => self.note_look(looked, author).await,
            Request::Flush => {
                let journal = Arc::clone(&self.journal);
                match tokio::task::spawn_blocking(move || journal.flush(CLOSE)).await {
                    Ok(Ok(())) => Answer::Done(serde_json::json!({"flushed": true})),
                    Ok(Err(error)) => Answer::Failed(error.to_string()),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            Request::Lists => self.list_rows(),
            Request::ListsFetch { ids, any_size } => match self.lists.fetch(&ids, any_size).await {
                Ok(()) => self.list_rows(),
                Err(why) => Answer::Failed(why),
            },
            // Those who hand over see to it: it never comes here.
            Request::HandOver => Answer::Failed("this can't be asked for so".to_owned()),
            Request::Reload => {
                self.reload(&asked_by(&author), Order::Now).await;
                self.reload_row()
            }
            Request::ReloadAnySize => {
                self.reload(&format!("{}, whatever lists have lost", asked_by(&author)), Order::AnySize).await;
                self.reload_row()
            }
            Request::AccessList => self.who_may(),
            Request::TokenAdd { name, scopes, lasts_ms } => self.add_token(&name, scopes, lasts_ms),
            Request::TokenRevoke(name) => self.revoke_token(&name),
            Request::UserAdd { name, scopes, password } => self.add_user(&name, scopes, password),
            Request::UserPassword { name, password } => self.set_password(&name, password),
            Request::UserRemove(name) => self.remove_user(&name),
        }
    }

    fn succeed(&self, asking: Asking) -> Result<(), Asking> {
        self.successors.try_send(asking).map_err(TrySendError::into_inner)
    }
}
