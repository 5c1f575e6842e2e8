//! Why a receiver did not take what it was sent, in words for an operator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::lists::FetchError;
use crate::upstream::LocateError;

/// Why a receiver did not take what it was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The address of its host is not known.
    #[error("the address of {host} is not known: {error}")]
    Locate {
        /// The host.
        host: String,
        /// Why.
        #[source]
        error: LocateError,
    },
    /// Nobody there.
    #[error("{to} can't be reached: {error}")]
    Connect {
        /// The last address that was tried.
        to: SocketAddr,
        /// The system's own words.
        #[source]
        error: io::Error,
    },
    /// Nobody at a socket of this host.
    #[error("{path} can't be reached: {error}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's own words.
        #[source]
        error: io::Error,
    },
    /// Not whom we want, or not in our way.
    #[error("{host}: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What was wrong.
        why: String,
    },
    /// It takes nothing.
    #[error("it has taken nothing for {0:?}")]
    Stuck(Duration),
    /// It does not say what has to be said first.
    #[error("it has said nothing for {0:?}")]
    Silent(Duration),
    /// It speaks another language.
    #[error("it does not take dnstap: {0}")]
    Refused(String),
    /// A webhook that can't be posted to.
    #[error("{0}")]
    Post(#[from] FetchError),
    /// A webhook that takes nothing now.
    #[error("the server answers {code}")]
    Status {
        /// The status code.
        code: u16,
        /// When to try again, by its own words.
        retry_after: Option<Duration>,
    },
    /// It has ended the connection.
    #[error("it closed the connection")]
    Closed,
    /// The connection broke, or the file could not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What waits can't be read.
    #[error("what waits for it can't be read: {0}")]
    Spool(#[source] io::Error),
}

impl SendError {
    /// When the receiver wants to hear from us again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
