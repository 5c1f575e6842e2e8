//! What can be wrong with a store or a journal, in words an operator can act on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

/// Why a store can't be used. Nothing in it is ever deleted for that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no store: no server has recorded anything here yet.
    #[error("{}: no record here; no server has kept its state in this directory", .path.display())]
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// The directory or file can't be made, opened, read or written.
    #[error("{}: {reason}; run as the user who owns this directory, and let the server be that user", .path.display())]
    Denied {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system or SQLite says.
        reason: String,
    },
    /// Another program's file.
    #[error("{}: not a record of Embargo; move it away", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Not written by a version of Embargo as old as this one.
    #[error("{}: written by a newer Embargo (format {found}, this one knows {known}); run that one", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format's number in the file.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// Made by a version that is older; only a server brings it up to date.
    #[error("{}: has the older format {found}; a server that starts brings it to {known}", .path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// The format's number in the file.
        found: i64,
        /// The format that is read here.
        known: i64,
    },
    /// Damaged.
    #[error("{}: damaged ({reason}); move it away and restore a copy, or let a new one begin", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says, or which value can't be.
        reason: String,
    },
    /// No room on the disk, or the size limit is reached.
    #[error("{}: no room left ({reason}); free some on this disk, or raise `journal.size_max`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Another process holds a lock on it.
    #[error("{}: locked by another process; `fuser` with this path shows which", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Removed or replaced while it was open.
    #[error("{}: removed or replaced by another process", .path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{}: {reason}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
}

impl StoreError {
    /// From what SQLite says about the file.
    pub(super) fn new(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, reason },
            Some(ErrorCode::DiskFull) => Self::Full { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::Denied { path, reason }
            }
            _ => Self::Failed { path, reason },
        }
    }

    /// From what the operating system says about a file or directory.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.to_owned() },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned(), reason: error.to_string() }
            }
            // No other user could write there either.
            io::ErrorKind::ReadOnlyFilesystem => Self::Failed { path: path.to_owned(), reason: error.to_string() },
            _ => Self::Denied { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// A value in the store that no version of Embargo writes.
    pub(super) fn value(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), reason: reason.into() }
    }

    /// Whether the same connection may work again a moment later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Locked { .. })
    }
}

/// Why a journal could not start, flush or close.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system gave no thread.
    #[error("can't start the journal's writer: {0}")]
    Thread(#[source] io::Error),
    /// The writer did not answer in time.
    #[error("the journal was not written within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The writer has stopped.
    #[error("the journal is closed")]
    Closed,
    /// The store could not be written. What was recorded is kept and tried again, unless the journal was being closed.
    #[error("the journal can't be written: {0}")]
    Store(StoreError),
}
