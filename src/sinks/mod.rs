//! Where attempts are sent to as they are recorded: files, syslog, dnstap.
//!
//! ```text
//! event       a row of the record on its way, and the line it is while it waits
//! spool       rows on the disk until every sink has sent them
//! places      how far each sink has come
//! fields      what an event is called by those who read it (pure)
//! messages    rows as a receiver wants them (pure)
//! sender      brings the rows to one receiver, again and again until it has them     one task for each sink
//! line        the way to a receiver: files, reach, talk
//! ```
//! Rows come from the journal's writer once a second, as it folds them: what a sink gets counts what the store counts. They are
//! written to the spool before they are in the store, so a process that is killed at any moment has sent, or will send, all
//! that is in the store; some of it twice, with the same id. Nothing waits for a receiver: what there is no room for is counted.

mod config;
mod error;
mod event;
mod fields;
mod files;
mod line;
mod messages;
mod places;
mod reach;
mod sender;
mod spool;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::{DnstapSink, FileSink, Host, Over, Place, PlaceError, SinkConfig, SinkKind, Socket, SyslogSink};
pub use error::SendError;
pub use event::Event;
pub use fields::syslog::Facility;
pub use fields::{Fields, Observer};
use places::Places;
use sender::{Sender, Surroundings};
use spool::Spool;

use crate::clock::Clock;
use crate::journal::{AttemptRow, Outlet};
use crate::metrics::{Metrics, SinkLoss};
use crate::upstream::Questions;

/// What has been recorded at the end is sent within this, or waits for the next start.
const GRACE: Duration = Duration::from_secs(2);

/// All sinks of a server.
pub struct Sinks {
    state_dir: PathBuf,
    metrics: Arc<Metrics>,
    clock: Clock,
    observer: Arc<Observer>,
    wanted: Mutex<Wanted>,
    is_open: AtomicBool,
    /// Opened with the first row or the first sender: until then another process may write it.
    opened: OnceLock<(Arc<Spool>, Arc<Places>)>,
    running: Mutex<BTreeMap<Arc<str>, Running>>,
    is_started: AtomicBool,
    /// What could not be written to the spool was told.
    trouble: AtomicBool,
}

/// What the configuration says.
#[derive(Clone, Debug, Default)]
struct Wanted {
    sinks: Vec<SinkConfig>,
    spool_max_bytes: u64,
}

/// Who sends to one receiver.
struct Running {
    config: SinkConfig,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sinks {
    /// Those of this configuration, to whom nothing is sent until [`Sinks::start`]; rows are kept for them from now on.
    pub fn new(
        (state_dir, spool_max_bytes): (impl Into<PathBuf>, u64),
        sinks: &[SinkConfig],
        observer: Observer,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        Self {
            state_dir: state_dir.into(),
            metrics,
            clock,
            observer: Arc::new(observer),
            is_open: AtomicBool::new(!sinks.is_empty()),
            wanted: Mutex::new(Wanted { sinks: sinks.to_vec(), spool_max_bytes }),
            opened: OnceLock::new(),
            running: Mutex::default(),
            is_started: AtomicBool::new(false),
            trouble: AtomicBool::new(false),
        }
    }

    /// Sends to these from now on, and to nobody else; one that is named as before goes on as it is.
    pub async fn follow(&self, sinks: &[SinkConfig], spool_max_bytes: u64, questions: &Arc<dyn Questions>) {
        *self.wanted() = Wanted { sinks: sinks.to_vec(), spool_max_bytes };
        self.is_open.store(!sinks.is_empty(), Ordering::Relaxed);
        if self.is_started.load(Ordering::Relaxed) {
            self.start(questions).await;
        }
    }

    /// Begins to send, once nobody else sends from this state directory. To be called in a tokio runtime.
    pub async fn start(&self, questions: &Arc<dyn Questions>) {
        self.is_started.store(true, Ordering::Relaxed);
        let Wanted { sinks, spool_max_bytes } = self.wanted().clone();
        // A server that never had any keeps no spool.
        if sinks.is_empty() && self.opened.get().is_none() && !self.state_dir.join("spool").exists() {
            return;
        }
        let (spool, places) = self.opened();
        spool.limit(spool_max_bytes);
        let gone: Vec<_> = {
            let mut running = self.running();
            let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
                std::mem::take(&mut *running).into_iter().partition(|(_id, running)| sinks.contains(&running.config));
            *running = kept;
            gone.into_values().collect()
        };
        // Before others begin where they were.
        end(gone).await;
        places.keep(&sinks.iter().map(|sink| Arc::clone(&sink.id)).collect::<Vec<_>>());
        self.metrics.sinks.retain(&sinks.iter().map(|sink| &*sink.id).collect::<BTreeSet<_>>());
        let mut running = self.running();
        for config in sinks {
            let id = Arc::clone(&config.id);
            running.entry(id).or_insert_with(|| {
                let stop = CancellationToken::new();
                let around = Surroundings {
                    spool: Arc::clone(spool),
                    places: Arc::clone(places),
                    questions: Arc::clone(questions),
                    clock: self.clock.clone(),
                    observer: Arc::clone(&self.observer),
                };
                let sender = Sender::new(config.clone(), self.metrics.sinks.begun(&config.id), around);
                let task = tokio::spawn(sender.run(stop.clone(), GRACE));
                Running { config, stop, task }
            });
        }
    }

    /// Sends what is there, within some seconds, and no more.
    pub async fn stop(&self) {
        let all = std::mem::take(&mut *self.running());
        end(all.into_values().collect()).await;
    }

    /// Shows how much waits.
    pub fn show(&self) {
        let Some((spool, places)) = self.opened.get() else { return };
        self.metrics.sinks.spool_bytes.set(spool.bytes());
        for (id, waiting) in places.waiting() {
            self.metrics.sinks.resolve(&id).waiting.set(waiting);
        }
    }

    fn opened(&self) -> &(Arc<Spool>, Arc<Places>) {
        self.opened.get_or_init(|| {
            let Wanted { sinks, spool_max_bytes } = self.wanted().clone();
            let spool = Arc::new(Spool::open(&self.state_dir, spool_max_bytes));
            let places = Arc::new(Places::new(Arc::clone(&spool)));
            places.keep(&sinks.into_iter().map(|sink| sink.id).collect::<Vec<_>>());
            (spool, places)
        })
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells all of these to end, and waits until they have.
async fn end(all: Vec<Running>) {
    for running in &all {
        running.stop.cancel();
    }
    for running in all {
        // One that died has been reported by the panic hook.
        drop(running.task.await);
    }
}

impl Outlet for Sinks {
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    fn take(&self, rows: &mut dyn Iterator<Item = AttemptRow>) {
        let (spool, _places) = self.opened();
        match spool.append(rows) {
            Ok(()) => {
                if self.trouble.swap(false, Ordering::Relaxed) {
                    tracing::info!("Attempts are kept for sinks again.");
                }
            }
            Err(unwritten) => {
                for sink in &self.wanted().sinks {
                    self.metrics.sinks.resolve(&sink.id).lost(SinkLoss::Disk).add(unwritten.attempts);
                }
                if !self.trouble.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = %unwritten,
                        "Attempts can't be kept for sinks, which will never get them: the spool in the state directory can't be written."
                    );
                }
            }
        }
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").field("wanted", &*self.wanted()).finish_non_exhaustive()
    }
}
