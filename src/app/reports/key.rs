//! The key that signs reports, and what to do when it can't be used.

use std::path::{Path, PathBuf};

use crate::report::{KeyFileError, SigningKey};

/// Why the key can't be used, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub(crate) struct KeyFault {
    path: PathBuf,
    why: KeyFileError,
}

impl KeyFault {
    /// What to do; empty: nothing that could be said.
    pub(crate) fn next(&self) -> &'static str {
        match self.why {
            KeyFileError::Shared => "chmod 600, or make a new one",
            KeyFileError::NoKey(_) => "move it away and run `embargo report key`",
            KeyFileError::Unread(_) | KeyFileError::Large => "",
        }
    }
}

/// The key of a state directory; `None`: it has none.
///
/// # Errors
/// It can't be read, is none, or others can read it too.
pub(crate) fn read(directory: &Path) -> Result<Option<SigningKey>, KeyFault> {
    SigningKey::of(directory).map_err(|why| KeyFault { path: SigningKey::path(directory), why })
}
