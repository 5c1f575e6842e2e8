//! Why a list could not be fetched, in words for an operator.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hyper::http::uri::InvalidUri;

use super::body::BodyError;
use super::kept::StoreError;
use super::subscription::UrlError;
use crate::upstream::LocateError;

/// Why there is no new version, and not the old one either.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host of a URL is no domain name.
    #[error("`{0}` is no name of a host")]
    Host(String),
    /// No address of the host is known.
    #[error("the address of {host} is not known: {error}")]
    Locate {
        /// The host.
        host: String,
        /// Why.
        #[source]
        error: LocateError,
    },
    /// The only addresses are those of this network.
    #[error("{host} is at {address}, which is no public address; write `internal = true` if that is meant")]
    Internal {
        /// The host.
        host: String,
        /// One of them.
        address: IpAddr,
    },
    /// A redirect to a name that is banned.
    #[error("it is redirected to {0}, which is banned")]
    Banned(String),
    /// A path and a query that stand in no request.
    #[error("its URL is none that a server can be asked for: {0}")]
    Target(InvalidUri),
    /// Nobody there.
    #[error("{address} can't be reached: {error}")]
    Connect {
        /// The last address tried.
        address: IpAddr,
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
    /// No HTTP, or cut off.
    #[error("no whole response: {0}")]
    Http(#[from] hyper::Error),
    /// Another answer than the list.
    #[error("the server answers {code}")]
    Status {
        /// The status code.
        code: u16,
        /// When to ask again, by its own words.
        retry_after: Option<Duration>,
    },
    /// One redirect after the other.
    #[error("it is redirected more than {max} times")]
    Redirects {
        /// The limit.
        max: usize,
    },
    /// A redirect out of encryption.
    #[error("it is redirected to {0}, which is not encrypted")]
    Downgrade(String),
    /// A redirect to what is no URL of a list.
    #[error("it is redirected to somewhere that is not asked: {0}")]
    Location(#[from] UrlError),
    /// A page, say.
    #[error("its server sends `{0}`, which no list is; if it is one all the same, write its `format`")]
    Type(String),
    /// Perhaps cut off: nobody can tell.
    #[error(
        "it ends within a line, and its server says neither how long it is nor where it ends: it may be half of one"
    )]
    Unended,
    /// Too slow.
    #[error("it has not come within {0:?}, which is time_max")]
    Slow(Duration),
    /// What was posted got no answer.
    #[error("it has not answered within {0:?}")]
    Unanswered(Duration),
    /// No signature beside it.
    #[error("its signature, {url}: {error}")]
    Signature {
        /// Where that should be.
        url: String,
        /// Why it is not.
        #[source]
        error: Box<Self>,
    },
    /// What came.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// The disk.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// No thread for it.
    #[error("no thread can be made to receive it: {0}")]
    Thread(io::Error),
}

impl FetchError {
    /// Whether something came that is not believed, rather than nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Body(BodyError::TooLarge { .. } | BodyError::Forged(_) | BodyError::NoSignature(_))
                | Self::Signature { .. }
                | Self::Type(_)
                | Self::Unended
        )
    }

    /// When the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
