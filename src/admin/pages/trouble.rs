//! Why a page can't be shown.

use axum::http::StatusCode;

use crate::journal::StoreError;

/// Why a page can't be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The record can't be read.
    #[error("the record can't be read: {0}")]
    Record(#[from] StoreError),
    /// A file beside it can't be.
    #[error("{0}")]
    File(String),
    /// There is nothing of that name.
    #[error("{0}")]
    Nothing(String),
    /// What was asked for can't be meant.
    #[error("{0}")]
    Wrong(String),
    /// No policy is in force yet.
    #[error("no policy is in force yet; the lists are being read")]
    NoPolicy,
}

impl Trouble {
    /// How HTTP says it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Record(_) | Self::File(_) | Self::NoPolicy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Nothing(_) => StatusCode::NOT_FOUND,
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// What stands above the page.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Record(StoreError::Missing { .. }) => "Nothing is on record yet",
            Self::Record(_) | Self::File(_) | Self::NoPolicy => "Not now",
            Self::Nothing(_) => "Not found",
            Self::Wrong(_) => "That can't be meant",
        }
    }
}
