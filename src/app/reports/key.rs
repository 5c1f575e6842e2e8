//! The file of the key that signs reports.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::report::SigningKey;

/// Octets of a key file at most.
const FILE_MAX: u64 = 4 << 10;

/// Why the key can't be used, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub(crate) struct KeyFault {
    path: PathBuf,
    why: String,
    /// What to do; empty: nothing that could be said.
    pub(crate) next: &'static str,
}

/// Where the key of a state directory is.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("report.key")
}

/// The key of a state directory; `None`: it has none.
///
/// # Errors
/// It can't be read, is none, or others can read it too.
pub(crate) fn read(directory: &Path) -> Result<Option<SigningKey>, KeyFault> {
    let path = path(directory);
    let cannot = |why: &dyn std::fmt::Display, next| KeyFault { path: path.clone(), why: why.to_string(), next };
    let metadata = match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| cannot(&error, ""))?,
    };
    if metadata.mode() & 0o077 != 0 {
        return Err(cannot(
            &"others than its owner can read this key, and could sign with it",
            "chmod 600, or make a new one",
        ));
    }
    if metadata.len() > FILE_MAX {
        return Err(cannot(&"is larger than a key can be", ""));
    }
    let text = fs::read_to_string(&path).map_err(|error| cannot(&error, ""))?;
    SigningKey::parse(&text).map(Some).map_err(|error| cannot(&error, "move it away and run `embargo report key`"))
}
