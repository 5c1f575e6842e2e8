//! `embargo report key`: the key that signs reports.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags};
use crate::report::SigningKey;

/// Octets of a key file at most.
const FILE_MAX: u64 = 4 << 10;

/// Make the key that signs reports, if there is none, and print its fingerprint
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Key {
    /// One JSON object of {file, fingerprint, made}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const NOTES: &str = "\
The key is report.key in the state directory (Ed25519, PKCS#8 in PEM), which only the server's user can read. Note the fingerprint \
where those who read reports can find it: `embargo report verify FILE --key FINGERPRINT`. For a new key, move the file away.";

impl Key {
    /// Makes or reads it, and prints its fingerprint.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let path = path(&directory);
        let found = read(&directory)?;
        let made = found.is_none();
        let key = match found {
            Some(key) => key,
            None => make(&path)?,
        };
        let (file, fingerprint) = (path.display().to_string(), key.fingerprint());
        if self.json {
            return Ok(console.json(&json!({"file": file, "fingerprint": fingerprint, "made": made}))?);
        }
        Ok(writeln!(console.out, "{fingerprint}")?)
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("report.key")
}

/// The key of a state directory; `None`: it has none.
///
/// # Errors
/// It can't be read, is none, or others can read it too.
pub(super) fn read(directory: &Path) -> Result<Option<SigningKey>, Failure> {
    let path = path(directory);
    let cannot = |why: &dyn std::fmt::Display, next: &str| Failure::cannot(format!("{}: {why}", path.display()), next);
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

fn make(path: &Path) -> Result<SigningKey, Failure> {
    let cannot = |why: &dyn std::fmt::Display| Failure::cannot(format!("{}: {why}", path.display()), "");
    let text = SigningKey::generate().map_err(|error| cannot(&error))?;
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| cannot(&error))?;
    SigningKey::parse(&text).map_err(|error| cannot(&error))
}
