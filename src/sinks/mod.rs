//! Where attempts are sent to as they are recorded: files, syslog, dnstap; and where the first attempt of each device is posted to:
//! webhooks.
//!
//! ```text
//! event       a row of the record on its way, and the line it is while it waits
//! spool       rows on the disk until every sink has sent them
//! streams     every row for some sinks, the first attempts of devices for the others
//! places      how far each sink has come
//! fields      what an event is called by those who read it (pure)
//! messages    rows as a receiver wants them (pure)
//! sender      brings the rows to one receiver, again and again until it has them     one task for each sink
//! pace        how often a webhook is posted to
//! line        the way to a receiver: files, reach, talk, webhook
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
mod pace;
mod places;
mod reach;
mod sender;
mod spool;
mod streams;
mod talk;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::{
    DnstapSink, FileSink, Host, Over, Place, PlaceError, SinkConfig, SinkKind, Socket, SyslogSink, WebhookSink,
};
pub use error::SendError;
pub use event::Event;
pub use fields::syslog::Facility;
pub use fields::{Fields, Observer};
use sender::{Sender, Surroundings};
use spool::Unwritten;
use streams::Stream;
pub use webhook::{Secret, SecretError};

use crate::clock::Clock;
use crate::journal::{AttemptRow, Outlet, Person};
use crate::metrics::{Metrics, SinkLoss};
use crate::upstream::Questions;

/// What has been recorded at the end is sent within this, or waits for the next start.
const GRACE: Duration = Duration::from_secs(2);

/// First attempts in a minute that the log tells one by one: sources of UDP can be forged, as many as one likes.
const TOLD_MAX: u64 = 20;

/// All sinks of a server.
pub struct Sinks {
    metrics: Arc<Metrics>,
    clock: Clock,
    observer: Arc<Observer>,
    wanted: Mutex<Wanted>,
    is_open: AtomicBool,
    rows: Stream,
    first: Stream,
    /// The batch whose first attempts were taken last.
    batch: AtomicI64,
    /// A minute, and how many of its first attempts the log has told.
    told: Mutex<(i64, u64)>,
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
        (state_dir, spool_max_bytes): (&Path, u64),
        sinks: &[SinkConfig],
        observer: Observer,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        Self {
            metrics,
            clock,
            observer: Arc::new(observer),
            is_open: AtomicBool::new(wants_rows(sinks)),
            wanted: Mutex::new(Wanted { sinks: sinks.to_vec(), spool_max_bytes }),
            rows: Stream::of_rows(state_dir),
            first: Stream::of_first(state_dir),
            batch: AtomicI64::new(-1),
            told: Mutex::default(),
            running: Mutex::default(),
            is_started: AtomicBool::new(false),
            trouble: AtomicBool::new(false),
        }
    }

    /// Sends to these from now on, and to nobody else; one that is named as before goes on as it is.
    pub async fn follow(&self, sinks: &[SinkConfig], spool_max_bytes: u64, questions: &Arc<dyn Questions>) {
        *self.wanted() = Wanted { sinks: sinks.to_vec(), spool_max_bytes };
        self.is_open.store(wants_rows(sinks), Ordering::Relaxed);
        if self.is_started.load(Ordering::Relaxed) {
            self.start(questions).await;
        }
    }

    /// Begins to send, once nobody else sends from this state directory. To be called in a tokio runtime.
    pub async fn start(&self, questions: &Arc<dyn Questions>) {
        self.is_started.store(true, Ordering::Relaxed);
        let Wanted { sinks, spool_max_bytes } = self.wanted().clone();
        let gone: Vec<_> = {
            let mut running = self.running();
            let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
                std::mem::take(&mut *running).into_iter().partition(|(_id, running)| sinks.contains(&running.config));
            *running = kept;
            gone.into_values().collect()
        };
        // Before others begin where they were.
        end(gone).await;
        self.metrics.sinks.retain(&sinks.iter().map(|sink| &*sink.id).collect::<BTreeSet<_>>());
        for stream in [&self.rows, &self.first] {
            self.start_readers(stream, &sinks, spool_max_bytes, questions);
        }
    }

    /// Begins to send what is in one stream.
    fn start_readers(&self, stream: &Stream, sinks: &[SinkConfig], size_max: u64, questions: &Arc<dyn Questions>) {
        let Some((spool, places)) = stream.open(sinks, size_max) else { return };
        stream.keep(places, sinks);
        let mut running = self.running();
        for config in stream.readers(sinks) {
            running.entry(Arc::clone(&config.id)).or_insert_with(|| {
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
                Running { config: config.clone(), stop, task }
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
        let [(rows, of_rows), (first, of_first)] = [self.rows.waiting(), self.first.waiting()];
        self.metrics.sinks.spool_bytes.set(rows + first);
        for (id, waiting) in of_rows.into_iter().chain(of_first) {
            self.metrics.sinks.resolve(&id).waiting.set(waiting);
        }
    }

    /// Appends rows to a stream; what could not be written is lost for each of its readers.
    fn append(&self, stream: &Stream, rows: &mut dyn Iterator<Item = AttemptRow>) {
        let Wanted { sinks, spool_max_bytes } = self.wanted().clone();
        match stream.append((&sinks, spool_max_bytes), rows) {
            Ok(()) => {
                if self.trouble.swap(false, Ordering::Relaxed) {
                    tracing::info!("Attempts are kept for sinks again.");
                }
            }
            Err(unwritten) => self.lose(&unwritten, stream.readers(&sinks)),
        }
    }

    fn lose<'s>(&self, unwritten: &Unwritten, sinks: impl Iterator<Item = &'s SinkConfig>) {
        for sink in sinks {
            self.metrics.sinks.resolve(&sink.id).lost(SinkLoss::Disk).add(unwritten.attempts);
        }
        if !self.trouble.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = %unwritten,
                "Attempts can't be kept for sinks, which will never get them: the spool in the state directory can't be written."
            );
        }
    }

    /// Takes client and device out of what waits of somebody; how many rows. What was sent is the receivers'.
    ///
    /// # Errors
    /// The disk's.
    pub fn erase(&self, person: &Person) -> io::Result<u64> {
        let streams = [&self.rows, &self.first];
        streams.into_iter().try_fold(0, |erased, stream| Ok(erased + stream.erase(&is_of(person))?))
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anybody wants every row.
fn wants_rows(sinks: &[SinkConfig]) -> bool {
    sinks.iter().any(|sink| !sink.kind.wants_first())
}

/// Says in the log that a device tried something for the first time, unless too many did in this minute.
fn tell(row: &AttemptRow, told: &mut u64) {
    *told += 1;
    if *told == TOLD_MAX + 1 {
        tracing::info!(
            "More devices try something banned for the first time than are told in a minute; \
             embargo_first_attempts_total counts all."
        );
    }
    if *told <= TOLD_MAX {
        let client = row.client.map(tracing::field::display);
        let (device, qname) = (row.device.as_deref(), row.qname.as_deref());
        let (ban, site, evidence) = (&*row.ban, &*row.site, row.evidence.as_str());
        tracing::info!(
            client,
            device,
            site,
            ban,
            evidence,
            qname,
            "A device tried something banned for the first time."
        );
    }
}

/// Takes client and device out of what waits of somebody in a state directory that no server uses; how many rows.
///
/// # Errors
/// The disk's.
pub fn erase_waiting(state_dir: &Path, person: &Person) -> io::Result<u64> {
    let above = [Stream::of_rows(state_dir), Stream::of_first(state_dir)];
    above.iter().try_fold(0, |erased, stream| Ok(erased + stream.erase(&is_of(person))?))
}

/// What waits of somebody in a state directory, for sinks and then for webhooks; some of it may have been sent by now.
///
/// # Errors
/// The disk's.
pub fn waiting_of(state_dir: &Path, person: &Person) -> io::Result<Vec<AttemptRow>> {
    let mut rows = Stream::of_rows(state_dir).waiting_of(&is_of(person))?;
    rows.extend(Stream::of_first(state_dir).waiting_of(&is_of(person))?);
    Ok(rows)
}

fn is_of(person: &Person) -> impl Fn(&AttemptRow) -> bool {
    |row| person.is_of(row.client, row.device.as_deref())
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
        self.append(&self.rows, rows);
    }

    fn take_new(&self, batch: i64, rows: &mut dyn Iterator<Item = AttemptRow>) {
        // Once, however often the transaction has to be done again.
        if self.batch.swap(batch, Ordering::Relaxed) == batch {
            return;
        }
        let minute = self.clock.now().wall.as_second() / 60;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 != minute {
            *told = (minute, 0);
        }
        // All of them, also where nobody is to be posted to.
        let rows: Vec<_> = rows.collect();
        for row in &rows {
            self.metrics.record.first_attempts(&row.ban, row.evidence).inc();
            tell(row, &mut told.1);
        }
        self.append(&self.first, &mut rows.into_iter());
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").field("wanted", &*self.wanted()).finish_non_exhaustive()
    }
}
