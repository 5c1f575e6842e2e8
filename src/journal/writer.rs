//! The one thread that writes the store.
//!
//! It takes what was folded, adds it in one transaction, and keeps the batch until that has worked. While the store can't
//! be written nothing more is taken, so that memory stays within the limits of the fold.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use super::activity;
use super::batch::Batch;
use super::connected;
use super::database::Database;
use super::fold::Fold;
use super::insert::{Clients, Holders};
use super::names::{self, NamesConfig};
use super::outlet;
use super::privacy::Following;
use super::steady::Steady;
use super::{BEFORE_MAX, Config, Erased, Key, Level, Person, Privacy, Status, StoreError, Whose};
use crate::clock::Clock;
use crate::identity::Devices;
use crate::metrics::{Loss, Metrics, Window};
use crate::priority::yield_to_serving;
use crate::time::{Now, Timestamp};

/// Ticks after which clients are counted again even if nothing was written, because the windows roll on.
const COUNT_TICKS: u32 = 60;
/// Clients for which counting may take another tick: counting a million is then done every twentieth tick.
const CLIENTS_PER_TICK: u64 = 50_000;
/// Ticks between two looks at the limits of the store.
const TRIM_TICKS: u32 = 10;

/// Where the writer says how it went.
pub(super) type Answer = SyncSender<Result<(), StoreError>>;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Write now, and answer.
    Flush(Answer),
    /// Write now, answer, and stop.
    Close(Answer),
    /// Write now, erase all that is kept of somebody, and answer.
    Erase(Box<(Whose, Option<Key>)>, SyncSender<Result<(Person, Erased), StoreError>>),
}

/// How much is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// What is due.
    Some,
    /// Everything.
    All,
}

/// What the journal and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) fold: Fold,
    pub(super) names: names::Fold,
    pub(super) activity: activity::Fold,
    pub(super) connected: connected::Fold,
    pub(super) met: activity::Met,
    pub(super) crowds: activity::Crowds,
    pub(super) names_config: Mutex<NamesConfig>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) devices: Arc<Devices>,
    pub(super) privacy: ArcSwap<Privacy>,
    status: Mutex<Status>,
}

impl Shared {
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let (names, names_config) = (names::Fold::default(), Mutex::default());
        let (activity, connected) = (activity::Fold::default(), connected::Fold::default());
        let (fold, devices, status) = (Fold::new(config), Arc::clone(&config.devices), Mutex::default());
        let (privacy, met) = (ArcSwap::new(Arc::clone(&config.privacy)), activity::Met::default());
        let crowds = activity::Crowds::default();
        Self { fold, names, activity, connected, met, crowds, names_config, metrics, devices, privacy, status }
    }

    /// How the journal is now.
    pub(super) fn status(&self) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let record = &self.metrics.record;
        // In this order: an attempt is counted as an event before it can be stored or lost.
        let (stored, lost) = (record.stored.value(), record.lost_in_all());
        status.lost = lost;
        status.pending = record.events.value().saturating_sub(stored + lost);
        status
    }
}

/// The writer's own state.
pub(super) struct Writer {
    config: Config,
    shared: Arc<Shared>,
    clock: Clock,
    steady: Steady,
    run: i64,
    database: Option<Database>,
    batch: Batch,
    /// What was recorded before is in the batch or in the store, unless there were more rows than are written at a time.
    drained: Timestamp,
    names: names::Keeper,
    activity: activity::Keeper,
    trouble: Option<StoreError>,
    privacy: Following,
    /// Whether what was known of bindings before has been read.
    restored: bool,
    losses: Losses,
    reopen_in: u32,
    count_in: u32,
    counted: u64,
    trim_in: u32,
    /// Clients in the store may have been seen at times to which the wall clock had jumped.
    jumped_back: bool,
    /// Disconnected when nobody else writes the store any more.
    before: Option<Receiver<()>>,
}

impl Writer {
    /// Opens the store, if nobody else writes it yet; whether that worked is in the status.
    pub(super) fn new(config: Config, shared: Arc<Shared>, clock: Clock, before: Option<Receiver<()>>) -> Self {
        let (run, batch, now) = (rand::random::<i64>(), Batch::default(), clock.now());
        let names = names::Keeper::new(config.state_dir.clone(), config.lock_timeout);
        let activity = activity::Keeper::new(now, &shared.metrics);
        let privacy = Following::new(&config.privacy);
        let mut writer = Self {
            config,
            shared,
            clock,
            steady: Steady::new(now),
            run,
            database: None,
            batch,
            drained: now.wall,
            names,
            activity,
            trouble: None,
            privacy,
            restored: false,
            losses: Losses::default(),
            reopen_in: 0,
            count_in: 0,
            counted: 0,
            trim_in: 0,
            jumped_back: false,
            before,
        };
        // Bringing an older store up to date takes minutes; that is for the thread, not for whoever starts it.
        if writer.before.is_none() && !Database::is_older(&writer.config) {
            let result = writer.open().and_then(|()| writer.count_clients(now.wall));
            writer.report(&result);
        }
        writer
    }

    /// Writes every interval and whenever told, until told to stop or nobody is left to tell.
    #[expect(clippy::needless_pass_by_value, reason = "the thread owns its end of the channel")]
    pub(super) fn run(mut self, commands: Receiver<Command>) {
        yield_to_serving();
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: that its sender is dropped is the word.
            before.recv_timeout(BEFORE_MAX).unwrap_or_default();
        }
        if self.database.is_none() && self.trouble.is_none() {
            if Database::is_older(&self.config) {
                info!("The journal is brought to a new format; attempts are kept in memory meanwhile.");
            }
            self.tick(Due::Some).unwrap_or_default();
        }
        let mut wait = self.config.commit_interval;
        loop {
            match commands.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {
                    let began = self.clock.now().mono;
                    self.tick(Due::Some).unwrap_or_default();
                    // From one drain to the next, not from a commit: what a kill may lose is one interval, however long
                    // the disk took.
                    let spent = self.clock.now().mono.since(began);
                    wait = self.config.commit_interval.saturating_sub(spent);
                }
                Ok(Command::Flush(answer)) => {
                    self.reopen_in = 0;
                    let result = self.tick(Due::All);
                    // Whoever asked may have stopped waiting.
                    answer.try_send(result).unwrap_or_default();
                }
                Ok(Command::Erase(whose, answer)) => {
                    self.reopen_in = 0;
                    let (whose, key) = *whose;
                    let result = self.tick(Due::All).and_then(|()| self.erase(&whose, key.as_ref()));
                    answer.try_send(result).unwrap_or_default();
                }
                Ok(Command::Close(answer)) => {
                    let result = self.finish();
                    answer.try_send(result).unwrap_or_default();
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.finish().unwrap_or_default();
                    return;
                }
            }
        }
    }

    /// Writes what waits and says how it went.
    fn tick(&mut self, due: Due) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.jumped_back |= self.steady.look(now, self.config.commit_interval);
        let rows_max = if due == Due::All { usize::MAX } else { self.rows_at_once() };
        let written = self.write(now.wall, rows_max);
        let result = written.and_then(|()| self.add_activity(now, due)).and_then(|()| self.keep_up(now.wall));
        let now = now.wall;
        self.report(&result);
        // Whatever became of the attempts: it is another file.
        let Shared { names, names_config, metrics, .. } = &*self.shared;
        let earlier = self.steady.earlier(now);
        let names = self.names.tick(names, (names_config, &self.config.privacy), metrics, earlier, due == Due::All);
        result.and(names)
    }

    /// Writes what waits for the last time; what can't be written is lost.
    fn finish(&mut self) -> Result<(), StoreError> {
        self.reopen_in = 0;
        let mut result = self.tick(Due::All);
        // Attempts that were being recorded while the journal was closed.
        let now = self.clock.now().wall;
        self.shared.fold.drain(now, usize::MAX, &mut self.batch);
        self.batch.keep_to(&self.config.privacy);
        if result.is_ok() {
            self.drained = now;
            self.batch.connected = self.shared.connected.take();
            self.batch.number += 1;
            self.hand_out();
            result = self.add_batch(now);
        }
        if let (Ok(()), Some(database)) = (&result, &self.database) {
            result = database.checkpoint().and(self.names.finish());
        }
        self.shared.metrics.record.overflow.add(self.shared.fold.take_folded());
        let connections = self.shared.connected.take().iter().map(|row| row.tally.count).sum::<u64>();
        self.shared.metrics.block_page.lost.add(connections + self.batch.connections());
        let lost = self.batch.attempts();
        if lost > 0 {
            self.shared.metrics.record.lost(Loss::Shutdown).add(lost);
            error!(attempts = lost, "Attempts are lost: the journal was closed while its store could not be written.");
        }
        result
    }

    /// Rows that are written at a time, if not all have to be: as many as can become new meanwhile. Under a flood of names that
    /// come again and again, the rest are counted in memory for an interval more, which costs less than to write them twice.
    fn rows_at_once(&self) -> usize {
        let interval = self.config.commit_interval.as_millis().clamp(1, 60_000);
        let rows = 2 * u128::from(self.config.rows_per_second_max) * interval / 1000;
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    fn write(&mut self, now: Timestamp, rows_max: usize) -> Result<(), StoreError> {
        self.open()?;
        self.follow_privacy();
        // First what could not be written before. Only then is more taken.
        self.add_batch(now)?;
        self.drained = now;
        self.shared.fold.drain(now, rows_max, &mut self.batch);
        self.batch.connected = self.shared.connected.take();
        self.batch.keep_to(&self.config.privacy);
        self.batch.number += 1;
        self.hand_out();
        self.add_batch(now)?;
        self.note_levels(now)?;
        self.add_bindings()
    }

    /// Goes by the privacy that is wanted now in all that is written from here on, what waits included.
    fn follow_privacy(&mut self) {
        self.config.privacy = self.privacy.look(&self.shared.privacy.load_full(), self.batch.len() == 0);
        if let Some(database) = &mut self.database {
            database.privacy = Arc::clone(&self.config.privacy);
        }
        self.batch.keep_to(&self.config.privacy);
    }

    fn note_levels(&mut self, now: Timestamp) -> Result<(), StoreError> {
        match (&mut self.database, self.privacy.unnoted()) {
            (Some(database), Some(privacy)) => database.note_levels(&privacy, now)?,
            _ => return Ok(()),
        }
        self.privacy.note();
        Ok(())
    }

    /// Gives the rows that were just taken to whoever wants them: once, whatever becomes of their transaction.
    fn hand_out(&self) {
        let Some(outlet) = self.config.outlet.as_ref().filter(|outlet| outlet.is_open()) else { return };
        if self.batch.len() > 0 {
            let privacy = &self.config.privacy;
            let clients = Clients::of(&self.batch, privacy);
            let holders = Holders::of(&self.batch, &self.config.devices, privacy);
            outlet.take(&mut outlet::rows(&self.batch, (&clients, &holders)));
        }
    }

    /// Erases what is kept of somebody; all that waited is written.
    fn erase(&mut self, whose: &Whose, key: Option<&Key>) -> Result<(Person, Erased), StoreError> {
        self.open()?;
        let (now, devices) = (self.clock.now().wall, Arc::clone(&self.config.devices));
        // Just opened, or an error would have been returned.
        let Some(database) = &mut self.database else { return Ok(<(Person, Erased)>::default()) };
        let person = database.person(whose, (key, &devices))?;
        let mut erased = database.erase(&person, now)?;
        self.names.erase_of(&person, &mut erased)?;
        self.count_clients(now)?;
        Ok((person, erased))
    }

    fn add_bindings(&mut self) -> Result<(), StoreError> {
        let mut changed = self.config.devices.changed();
        for binding in &changed {
            // Who has the address now may be another than the one that was noted in this hour.
            self.shared.activity.pass_on(binding.address, self.drained);
        }
        // Who holds an address of which not that much may be known is known in memory alone.
        changed.retain(|binding| self.config.privacy.level_at(binding.address) == Level::Full);
        let Some(database) = self.database.as_mut().filter(|_| !changed.is_empty()) else { return Ok(()) };
        database.add_bindings(&changed).inspect_err(|_error| self.config.devices.give_back(changed))
    }

    fn add_activity(&mut self, now: Now, due: Due) -> Result<(), StoreError> {
        let Some(database) = self.database.as_mut() else { return Ok(()) };
        let Shared { activity, met, crowds, metrics, .. } = &*self.shared;
        let all = due == Due::All;
        self.activity.tick(database, (activity, met), metrics, (now, all))?;
        let waiting = crowds.take();
        let added = if waiting.is_empty() { Ok(()) } else { database.add_crowds(&waiting) };
        added.inspect_err(|_error| crowds.give_back(waiting))
    }

    fn add_batch(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(database) = self.database.as_mut().filter(|_| self.batch.len() > 0) else { return Ok(()) };
        if let Err(error) = database.add(&self.batch) {
            self.shared.metrics.record.write_failures.inc();
            if matches!(error, StoreError::Full { .. }) {
                // The limit of size is perhaps what is in the way; if it is the disk, this fails as well.
                return self.trim(now).and(Err(error));
            }
            if !error.may_pass() {
                self.database = None;
            }
            return Err(error);
        }
        self.shared.metrics.record.damaged_sets.add(database.known.take_damaged());
        self.shared.metrics.record.stored.add(self.batch.attempts());
        self.shared.metrics.block_page.stored.add(self.batch.connections());
        self.shared.metrics.record.last_commit.set(self.drained);
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).last_commit = Some(self.drained);
        self.batch.clear();
        self.count_in = self.count_in.min(u32::try_from(self.counted / CLIENTS_PER_TICK).unwrap_or(COUNT_TICKS));
        Ok(())
    }

    fn open(&mut self) -> Result<(), StoreError> {
        if self.database.is_some() {
            return Ok(());
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|_| self.reopen_in > 0) {
            self.reopen_in -= 1;
            return Err(trouble.clone());
        }
        let ticks = self.config.reopen_interval.as_millis() / self.config.commit_interval.as_millis().max(1);
        self.reopen_in = u32::try_from(ticks).unwrap_or(u32::MAX);
        let database = Database::open(&self.config, self.run)?;
        if !self.restored {
            self.config.devices.restore(database.late_bindings(self.clock.now().wall)?);
            self.config.devices.remember(&database.said_together()?);
            self.restored = true;
        }
        self.database = Some(database);
        Ok(())
    }

    /// The work that is not due at every tick.
    fn keep_up(&mut self, now: Timestamp) -> Result<(), StoreError> {
        // Now, because everything recorded before the clock was back has just been written.
        if self.jumped_back
            && let Some(database) = &mut self.database
        {
            database.bring_back_clients(self.steady.later(now))?;
            self.jumped_back = false;
            self.count_in = 0;
        }
        self.trim_in = self.trim_in.saturating_sub(1);
        if self.trim_in == 0 && self.database.is_some() {
            self.trim_in = TRIM_TICKS;
            self.trim(now)?;
        }
        self.count_in = self.count_in.saturating_sub(1);
        if self.count_in == 0 { self.count_clients(now) } else { Ok(()) }
    }

    fn trim(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(database) = &mut self.database else { return Ok(()) };
        let given_up = database.trim(&self.config, self.steady.earlier(now))?;
        self.shared.metrics.record.given_up.add(u64::try_from(given_up).unwrap_or(u64::MAX));
        Ok(())
    }

    fn count_clients(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let figures = database.count_clients(now)?;
        self.counted = figures.iter().map(|figures| figures.clients[Window::Month as usize]).sum();
        self.count_in = COUNT_TICKS;
        self.shared.metrics.banned.set_clients(figures);
        Ok(())
    }

    /// Shows how the store is, and logs it when that has changed.
    fn report(&mut self, result: &Result<(), StoreError>) {
        let record = &self.shared.metrics.record;
        record.writable.set(u64::from(result.is_ok()));
        record.overflow.add(self.shared.fold.take_folded());
        record.queue_length.set((self.shared.fold.waiting() + self.batch.len()) as u64);
        let size_bytes = self.database.as_ref().map_or(0, Database::size_bytes);
        record.size_bytes.set(size_bytes);
        let trouble = result.as_ref().err().cloned();
        {
            let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.size_bytes = size_bytes;
            status.store_error = trouble.as_ref().map(ToString::to_string);
        }
        match (&trouble, &self.trouble) {
            (Some(now), before) if before.as_ref() != Some(now) => {
                warn!(error = %now, "The journal can't be written; attempts are kept in memory, and DNS goes on.");
            }
            (None, Some(_)) => info!("The journal is written again."),
            _ => (),
        }
        self.trouble = trouble;
        self.losses.report(record.lost_in_all());
    }
}

/// Losses as they were at the last tick, to log them when they begin and when they end.
#[derive(Debug, Default)]
struct Losses {
    attempts: u64,
    growing: bool,
}

impl Losses {
    fn report(&mut self, attempts: u64) {
        let growing = attempts > self.attempts;
        match (growing, self.growing) {
            (true, false) => warn!(attempts, "Attempts are lost: memory for rows that wait for the store is used up."),
            (false, true) => info!(attempts, "No more attempts are lost."),
            _ => (),
        }
        *self = Self { attempts, growing };
    }
}
