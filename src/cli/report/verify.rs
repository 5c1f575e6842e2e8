//! `embargo report verify`: whether a report is as it was made, and by whom.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::EXIT_CODES;
use crate::cli::console::{Console, Tone};
use crate::cli::failure::Failure;
use crate::report::{self, Proof};

/// Octets of a report at most.
const FILE_MAX: u64 = 1 << 30;

/// Check whether a report is as it was made, and signed with the key that you know
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Verify {
    /// The report, in whatever form
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The fingerprint of the key that must have signed it, as `embargo report key` prints it on the server
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    key: Option<String>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
}

const JSON_HELP: &str = "One JSON object of {intact, signed_by, pinned, why}";

const NOTES: &str = "\
Without --key it is integrity only: whoever changes a report can sign it anew with a key of their own. Get the fingerprint from \
the server or its operator, not from the report. A report that was changed, or is signed with another key, is exit code 1.";

impl Verify {
    /// Reads, checks and tells.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let octets = self.read()?;
        let proof = report::verify(&octets, self.key.as_deref());
        let path = self.file.display();
        if self.json {
            let signed_by = match &proof {
                Ok(Proof::Signed(key)) => Some(key.clone()),
                _ => None,
            };
            let why = proof.as_ref().err().map(ToString::to_string);
            let (intact, pinned) = (proof.is_ok(), proof.is_ok() && self.key.is_some());
            console.json(&json!({"intact": intact, "signed_by": signed_by, "pinned": pinned, "why": why}))?;
        } else {
            let (tone, word, says) = match &proof {
                Ok(Proof::Signed(key)) if self.key.is_some() => {
                    (Tone::Good, "AUTHENTIC", format!("signed with the key {key}"))
                }
                Ok(Proof::Signed(key)) => (
                    Tone::Warn,
                    "INTACT",
                    format!("integrity only: it names the key {key}; pin the right one with --key"),
                ),
                Ok(Proof::Unsigned) => (Tone::Warn, "INTACT", "integrity only: it is not signed".to_owned()),
                Err(broken) => (Tone::Bad, "BROKEN", broken.to_string()),
            };
            let told = crate::diag::shown(&format!("{path}: {says}"));
            writeln!(console.out, "{}  {told}", console.look.paint(tone, word))?;
        }
        proof.map(|_proof| ()).map_err(|_broken| Failure::MistakesShown)
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let cannot = |error: std::io::Error| Failure::cannot(format!("{}: {error}", self.file.display()), "");
        let mut octets = Vec::new();
        File::open(&self.file).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut octets)).map_err(cannot)?;
        if u64::try_from(octets.len()).is_ok_and(|length| length > FILE_MAX) {
            return Err(Failure::cannot(format!("{}: larger than a report can be", self.file.display()), ""));
        }
        Ok(octets)
    }
}

/// Reads a fingerprint.
///
/// # Errors
/// What it should look like.
fn fingerprint(text: &str) -> Result<String, &'static str> {
    let is_right = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_right { Ok(text.to_ascii_lowercase()) } else { Err("no fingerprint: 64 hexadecimal digits") }
}
