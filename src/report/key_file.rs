//! The file in which the key that signs reports is kept.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::seal::{Key, KeyError};

/// Octets of a key file at most.
const FILE_MAX: u64 = 4 << 10;

/// Why a key file is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read.
    #[error("{0}")]
    Unread(#[from] io::Error),
    /// Whoever can read it could sign with it.
    #[error("others than its owner can read this key, and could sign with it")]
    Shared,
    /// No key is so large.
    #[error("is larger than a key can be")]
    Large,
    /// What is in it is none.
    #[error("{0}")]
    NoKey(#[from] KeyError),
}

impl Key {
    /// Where the key of a state directory is.
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("report.key")
    }

    /// The key of a state directory; `None`: it has none.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn of(state_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        let path = Self::path(state_dir);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if metadata.mode() & 0o077 != 0 {
            return Err(KeyFileError::Shared);
        }
        if metadata.len() > FILE_MAX {
            return Err(KeyFileError::Large);
        }
        Ok(Some(Self::parse(&fs::read_to_string(&path)?)?))
    }
}
