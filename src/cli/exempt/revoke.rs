//! `embargo exempt revoke`.

use clap::Args;

use super::change;
use crate::app::control::Request;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags};
use crate::diag::shown;

/// Have the running server take an exemption back
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Revoke {
    /// Its id, as `exempt list` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// One JSON object of {id, revoked}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

impl Revoke {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = change(&self.state, &Request::ExemptRevoke(self.id.clone()), console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        Ok(writeln!(console.out, "Exemption {} is revoked.", shown(&self.id))?)
    }
}
