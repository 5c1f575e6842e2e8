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
    /// It was asked for by a name that anybody could have.
    #[error("ask for it by the address or as localhost; a name could be somebody else's")]
    OtherName,
    /// Whoever made it has failed.
    #[error("this page could not be made; the server's log says why")]
    Lost,
}

impl Trouble {
    /// How HTTP says it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Record(_) | Self::File(_) | Self::NoPolicy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Nothing(_) => StatusCode::NOT_FOUND,
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::OtherName => StatusCode::MISDIRECTED_REQUEST,
            Self::Lost => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What stands above the page.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Record(StoreError::Missing { .. }) => "Nothing is on record yet",
            Self::Record(_) | Self::File(_) | Self::NoPolicy => "Not now",
            Self::Nothing(_) => "Not found",
            Self::Wrong(_) => "That can't be meant",
            Self::OtherName => "By another name",
            Self::Lost => "Something went wrong",
        }
    }
}
