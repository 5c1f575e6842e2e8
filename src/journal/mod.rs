//! The durable record: who tried what, when, and what that proves.
//!
//! [`Journal::record`] folds an attempt into memory and never waits for the disk; one thread writes what was folded to
//! `embargo.db` once a second. [`Store`] reads it, while a server writes it or long after. What names were asked beside
//! those is recorded by [`Journal::note_name`] in a file of its own, where the operator wants that; [`NameStore`] reads it.

mod activity;
mod asked;
mod batch;
mod bindings;
mod browse;
mod config;
mod connected;
mod database;
mod error;
mod fold;
mod follow;
mod hash;
mod import;
mod insert;
mod known;
mod migrate;
mod names;
mod outlet;
mod overflow;
mod pace;
mod pending;
mod presence;
mod privacy;
mod reach;
mod read;
mod series;
mod shard;
mod shown;
mod steady;
mod tally;
mod upkeep;
mod words;
mod writer;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use activity::WindowRow;
pub use bindings::BindingRow;
pub use browse::{
    AttemptPage, ClientPage, ClientPlace, DeviceDay, HeldPage, HeldPlace, Known, LOOK_MAX, Place, Wanted,
};
pub use config::Config;
pub use connected::{Connected, ConnectedRow, Said};
pub use error::{JournalError, StoreError};
pub use follow::{Follower, News};
pub use import::{Import, ImportError, Log, Reached, Scanned};
pub use names::{Coverage, KeptName, NameRow, NameStore, NamesConfig};
pub use outlet::Outlet;
pub use presence::{BLOCK, DayCount, DeviceRow, Numbered, Presence, SameDevice, Set, Sign, What};
pub use privacy::{
    Erased, Erasure, Kept, KeptDay, KeptMonth, KeptSet, Key, KeyError, Level, LevelRow, Person, Privacy, PrivacyConfig,
    Whose, is_pseudonym,
};
pub use read::{AttemptRow, CategoryRow, ClientRow, Filter, Store, Tried};
pub use series::{Series, SeriesId};
pub use shown::question;
use writer::{Answer, Command, Shared, Writer};

use crate::clock::Clock;
use crate::identity::{Identifier, ToldId};
pub use crate::metrics::Did;
use crate::metrics::{Loss, Metrics, Tally};
use crate::policy::PatternRef;
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport};

/// Commands that wait for the writer at most.
const COMMANDS_MAX: usize = 16;

/// Whoever wrote the store before is waited for this long at most.
pub const BEFORE_MAX: Duration = Duration::from_secs(30);

/// One banned lookup.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// When the query was read.
    pub at: Timestamp,
    /// Who asked; an IPv4-mapped IPv6 address is recorded as IPv4.
    pub client: IpAddr,
    /// The device that whoever handed the query over has named; `None`: whoever holds the address.
    pub told: Option<ToldId>,
    /// Ban, category, evidence and site, by the number that [`Journal::series`] gave.
    pub series: SeriesId,
    /// The name asked for.
    pub qname: &'a LowerName,
    /// The type asked for.
    pub qtype: u16,
    /// The rule's pattern.
    pub pattern: PatternRef<'a>,
    /// What was done.
    pub action: Did,
    /// How the query came.
    pub transport: Transport,
    /// Whether the client has shown that the address is its own.
    pub verified: bool,
}

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What was recorded before this is in the store, unless that was more rows than are written at a time.
    pub last_commit: Option<Timestamp>,
    /// Attempts in memory that are not yet in the store.
    pub pending: u64,
    /// Attempts that will never be in the store.
    pub lost: u64,
    /// Why the store can't be written now; `None` if it can.
    pub store_error: Option<String>,
    /// Size of the store's files.
    pub size_bytes: u64,
}

/// The record being written; one for each [`Metrics`].
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    closed: AtomicBool,
}

impl Journal {
    /// Opens the store and starts the writer. A store that can't be opened is no error: the journal then keeps counts in
    /// memory, says why in [`Journal::status`], and tries again.
    ///
    /// # Errors
    /// [`JournalError::Thread`] when there is no thread for the writer.
    pub fn start(config: Config, metrics: Arc<Metrics>, clock: Clock) -> Result<Self, JournalError> {
        Self::start_after(None, config, metrics, clock)
    }

    /// [`Journal::start`], where another process writes the store until the sender of `before` is dropped, or for
    /// [`BEFORE_MAX`]. Until then attempts are kept in memory: that process may write an older format.
    ///
    /// # Errors
    /// As [`Journal::start`].
    pub fn start_after(
        before: Option<Receiver<()>>,
        config: Config,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared::new(&config, metrics));
        let writer = Writer::new(config, Arc::clone(&shared), clock, before);
        let (commands, told) = mpsc::sync_channel(COMMANDS_MAX);
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || writer.run(told)).map_err(JournalError::Thread)?;
        Ok(Self { shared, commands, thread: Mutex::new(Some(thread)), closed: AtomicBool::new(false) })
    }

    /// The number by which attempts name their series: looked up once for many of them. Equal series have equal numbers; it
    /// is good for this journal alone.
    pub fn series(&self, series: Series) -> SeriesId {
        self.shared.fold.series.number(series)
    }

    /// The number of a device that whoever handed a query over has named, for [`Attempt::told`]; `None`: there are too many.
    pub fn told(&self, identifier: &Identifier) -> Option<ToldId> {
        self.shared.devices.told(identifier)
    }

    /// Records one attempt: counted in memory at once, in the store within a second (under a flood of known names or on
    /// a machine that has no time for the writer, within some). What a process that is killed had not written yet is lost; what
    /// [`Journal::flush`] has acknowledged, and what was recorded before [`Status::last_commit`], never is.
    /// Never waits for the disk, and allocates nothing if an attempt equal but for its time was recorded in the same minute.
    pub fn record(&self, attempt: &Attempt<'_>) {
        self.record_by(&*self.shared.metrics, attempt);
    }

    /// [`Journal::record`] where `tally`, which counts for the same metrics, counts the attempt.
    pub fn record_by(&self, tally: &impl Tally, attempt: &Attempt<'_>) {
        tally.journal_event();
        let record = &self.shared.metrics.record;
        if self.closed.load(Ordering::Relaxed) {
            record.lost(Loss::Shutdown).inc();
            return;
        }
        if !self.shared.fold.add(attempt) {
            let reason = if record.writable.value() == 0 { Loss::Disk } else { Loss::Overflow };
            record.lost(reason).inc();
        }
    }

    /// Records a connection to the block page: in the store within a second, or counted as lost. Never waits for the disk.
    pub fn record_connected(&self, connected: &Connected<'_>) {
        if self.closed.load(Ordering::Relaxed) || !self.shared.connected.add(connected) {
            self.shared.metrics.block_page.lost.inc();
        }
    }

    /// Records names, or no longer, as `config` has it from now on.
    pub fn keep_names(&self, config: NamesConfig) {
        *self.shared.names_config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        self.shared.names.turn(config.enabled);
    }

    /// Lets no more of clients than this leave memory from now on, whatever was recorded before.
    pub fn keep_privacy(&self, privacy: &Arc<Privacy>) {
        self.shared.privacy.rcu(|before| Arc::clone(privacy).in_place_of(Arc::clone(before)));
    }

    /// How much of clients leaves memory.
    pub fn privacy(&self) -> Arc<Privacy> {
        self.shared.privacy.load_full()
    }

    /// Keeps who comes for [`Journal::take_seen`] from now on, or no longer.
    pub fn watch_seen(&self, on: bool) {
        self.shared.met.turn(on);
    }

    /// Addresses of clients that have come since the last call, once an hour each, about.
    pub fn take_seen(&self) -> Vec<IpAddr> {
        self.shared.met.take()
    }

    /// What a log may call a client.
    pub fn log_name(&self, client: IpAddr) -> String {
        let shown = self.privacy().shown(client);
        shown.map_or_else(|| "(only counted)".to_owned(), |client| client.to_string())
    }

    /// Whether names are recorded.
    #[inline]
    pub fn keeps_names(&self) -> bool {
        self.shared.names.is_on()
    }

    /// Records that `client` asked for this name: in the file within ten seconds, or counted as lost. Never waits for the
    /// disk, and allocates nothing if that client asked for it shortly before.
    pub fn note_name(&self, name: &LowerName, client: IpAddr, at: Timestamp) {
        if !self.closed.load(Ordering::Relaxed) {
            self.shared.names.add(name, client, at);
        }
    }

    /// Notes that `client`, or the device `told` behind it, asked for anything, banned or not; `site` is asked only the first time in an hour, about. Never waits
    /// for the disk, and allocates nothing if the client is known.
    #[inline]
    pub fn note_active(
        &self,
        (client, told): (IpAddr, Option<ToldId>),
        at: Timestamp,
        site: impl FnOnce() -> Arc<str>,
    ) {
        self.shared.activity.add((client, told), at, site);
    }

    /// Notes that an address stood for many clients in a time that has just ended.
    pub fn note_crowd(&self, address: IpAddr, at: Timestamp, site: Arc<str>) {
        self.shared.crowds.add(address, at, site);
    }

    /// Writes what was recorded before the call. Blocks: not for a thread that answers queries.
    ///
    /// # Errors
    /// [`JournalError`] when that did not happen within `timeout`; nothing is lost by it.
    pub fn flush(&self, timeout: Duration) -> Result<(), JournalError> {
        self.tell(Command::Flush, timeout)
    }

    /// Writes everything and stops. What can't be written now is counted as lost; what is recorded later too. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when not everything was written within `timeout`, or when it was closed before.
    pub fn close(&self, timeout: Duration) -> Result<(), JournalError> {
        self.closed.store(true, Ordering::Relaxed);
        let result = self.tell(Command::Close, timeout);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|_| !matches!(result, Err(JournalError::Timeout { .. }))) {
            // A writer that panicked has been reported by the panic hook.
            thread.join().unwrap_or_default();
        }
        result
    }

    /// Erases all that is kept of somebody, what waits in memory included, and overwrites where it stood. Pseudonyms are those of
    /// `key`. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when that was not done within `timeout`: it may still be, then.
    pub fn erase(&self, whose: Whose, key: Option<Key>, timeout: Duration) -> Result<(Person, Erased), JournalError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.ask(Command::Erase(Box::new((whose, key)), answer))?;
        awaited(&answered, timeout)?.map_err(JournalError::Store)
    }

    /// How the journal is.
    pub fn status(&self) -> Status {
        let mut status = self.shared.status();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            status.store_error.get_or_insert_with(|| JournalError::Closed.to_string());
        }
        status
    }

    fn tell(&self, command: fn(Answer) -> Command, timeout: Duration) -> Result<(), JournalError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.ask(command(answer))?;
        awaited(&answered, timeout)?.map_err(JournalError::Store)
    }

    fn ask(&self, command: Command) -> Result<(), JournalError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => JournalError::Timeout { after: Duration::ZERO },
            TrySendError::Disconnected(_) => JournalError::Closed,
        })
    }
}

/// What the writer answers.
fn awaited<T>(answered: &Receiver<T>, timeout: Duration) -> Result<T, JournalError> {
    answered.recv_timeout(timeout).map_err(|error| match error {
        RecvTimeoutError::Timeout => JournalError::Timeout { after: timeout },
        RecvTimeoutError::Disconnected => JournalError::Closed,
    })
}

/// Erases what is kept of somebody in the store of a state directory that no server uses; its `devices` say which identifiers
/// are of one device, and pseudonyms are those of `key`.
///
/// # Errors
/// [`StoreError`]; some of it may be gone then.
pub fn erase_alone(
    config: &Config,
    whose: &Whose,
    key: Option<&Key>,
    now: Timestamp,
) -> Result<(Person, Erased), StoreError> {
    let mut database = database::Database::open(config, rand::random::<i64>())?;
    let person = database.person(whose, (key, &config.devices))?;
    let mut erased = database.erase(&person, now)?;
    let mut names = names::Keeper::new(config.state_dir.clone(), config.lock_timeout);
    names.erase_of(&person, &mut erased)?;
    database.checkpoint()?;
    Ok((person, erased))
}

#[cfg(test)]
mod tests;
