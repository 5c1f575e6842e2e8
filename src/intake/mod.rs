//! What other resolvers tell of the queries they were asked, live: dnstap from Unbound, BIND, dnsdist, `CoreDNS`. Where they stay
//! in front and enforce our policy as a response policy zone, what their clients try is in our record within a second.
//!
//! ```text
//! config     settings that cannot be wrong
//! bind       sockets: of this host, with an owner and a mode, or TCP
//! accept     who may connect, and how many                                one task for each intake
//! talk       Frame Streams with one sender, in both directions            one task for each connection
//! told       one message: who asked for what when, or what was answered (pure)
//! pairs      queries that wait for their responses (pure)
//! ```
//! A query is an attempt of its own, whether its response is told too or not; what the response shows is what was done. A query
//! waits for it for half a second. Every message ends in one outcome counter.

mod accept;
mod bind;
mod config;
mod pairs;
mod talk;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::{IntakeConfig, IntakeDoor, Owner};

use crate::clock::Clock;
use crate::metrics::{IntakeCells, Metrics};
use crate::serve::Guard;

/// Every intake of a server.
pub struct Intakes {
    around: Around,
    metrics: Arc<Metrics>,
    wanted: Mutex<Vec<IntakeConfig>>,
    running: Mutex<BTreeMap<Arc<str>, Running>>,
    is_started: AtomicBool,
}

/// What everything here works with.
#[derive(Clone)]
struct Around {
    guard: Arc<Guard>,
    clock: Clock,
}

struct Running {
    config: IntakeConfig,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Intakes {
    /// Those of this configuration, where nobody listens until [`Intakes::start`].
    pub fn new(intakes: Vec<IntakeConfig>, guard: Arc<Guard>, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self {
            around: Around { guard, clock },
            metrics,
            wanted: Mutex::new(intakes),
            running: Mutex::default(),
            is_started: AtomicBool::new(false),
        }
    }

    /// Listens at these from now on, and at no others. One that is as before keeps its connections.
    pub async fn follow(&self, intakes: Vec<IntakeConfig>) {
        *self.wanted() = intakes;
        if self.is_started.load(Ordering::Relaxed) {
            self.start().await;
        }
    }

    /// Begins to listen. To be called in a tokio runtime.
    pub async fn start(&self) {
        self.is_started.store(true, Ordering::Relaxed);
        let wanted = self.wanted().clone();
        let gone: Vec<_> = {
            let mut running = self.running();
            let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
                std::mem::take(&mut *running).into_iter().partition(|(_id, running)| wanted.contains(&running.config));
            *running = kept;
            gone.into_values().collect()
        };
        // Before others take their places.
        end(gone).await;
        self.metrics.intakes.retain(&wanted.iter().map(|intake| &*intake.id).collect::<BTreeSet<_>>());
        let mut running = self.running();
        for config in wanted {
            let cells = self.metrics.intakes.resolve(&config.id);
            running.entry(Arc::clone(&config.id)).or_insert_with(|| begin(config, cells, self.around.clone()));
        }
    }

    /// Takes nothing more; what was told until then is with the record.
    pub async fn stop(&self) {
        self.is_started.store(false, Ordering::Relaxed);
        let all = std::mem::take(&mut *self.running());
        end(all.into_values().collect()).await;
    }

    fn wanted(&self) -> MutexGuard<'_, Vec<IntakeConfig>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(config: IntakeConfig, cells: IntakeCells, around: Around) -> Running {
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept::listen(config.clone(), cells, around, stop.clone()));
    Running { config, stop, task }
}

async fn end(all: Vec<Running>) {
    for running in &all {
        running.stop.cancel();
    }
    for running in all {
        // One that died has been reported by the panic hook.
        drop(running.task.await);
    }
}

impl fmt::Debug for Intakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intakes").field("wanted", &*self.wanted()).finish_non_exhaustive()
    }
}
