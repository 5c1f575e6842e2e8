//! `embargo devices merge`, `split` and `undo`: who is who, by an operator's word.

use clap::Args;

use crate::app::control::{DeviceWord, Request};
use crate::audit::{self, REASON_MAX, TermsError};
use crate::cli::console::Console;
use crate::cli::exempt::change;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, flags};
use crate::diag::shown;

/// Hold two identifiers for those of one device, from now on and in what was recorded before
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Merge {
    /// An identifier, as `embargo devices` shows it: mac:00:16:3e:12:34:56
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Another one
    #[arg(value_name = "DEVICE")]
    with: String,
    #[command(flatten)]
    saying: Saying,
}

/// Hold an identifier for nobody else's, whatever was said together with it: many machines have it
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Split {
    /// The identifier
    #[arg(value_name = "DEVICE")]
    device: String,
    #[command(flatten)]
    saying: Saying,
}

/// Take a merge or a split back
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Undo {
    /// The number that it was given; `embargo audit` shows it
    #[arg(value_name = "ID")]
    id: u64,
    /// One JSON object of {id, undone}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

#[derive(Debug, Args)]
struct Saying {
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// One JSON object of {id, device, with}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

fn reason(text: &str) -> Result<String, TermsError> {
    audit::said("reason", text, REASON_MAX).map(|text| text.to_string())
}

impl Merge {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let told = format!("{} and {} are one device", self.device, self.with);
        self.saying.say(self.device, Some(self.with), &told, console)
    }
}

impl Split {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let told = format!("{} is of no other device", self.device);
        self.saying.say(self.device, None, &told, console)
    }
}

impl Saying {
    fn say(self, device: String, with: Option<String>, told: &str, console: &mut Console<'_>) -> Result<(), Failure> {
        let word = DeviceWord { device, with, reason: self.reason };
        let answer = change(&self.state, &Request::DeviceSay(Box::new(word)), console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        let id = &answer["id"];
        Ok(writeln!(console.out, "{}. `embargo devices undo {id}` takes that back.", shown(told))?)
    }
}

impl Undo {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = change(&self.state, &Request::DeviceUndo(self.id), console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        Ok(writeln!(console.out, "{} is taken back.", self.id)?)
    }
}
