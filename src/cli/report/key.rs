//! `embargo report key`: the key that signs reports.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::make::unmade;
use crate::app::signing_key;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags};
use crate::report::SigningKey;

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
        let path = SigningKey::path(&directory);
        let found = signing_key(&directory).map_err(|fault| unmade(fault.into()))?;
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
