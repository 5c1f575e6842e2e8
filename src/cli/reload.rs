//! `embargo reload`: has a running server read its configuration and lists again.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::console::Console;
use super::failure::Failure;
use super::status::{items, reached, text};
use super::{EXIT_CODES, flags};
use crate::app::control::{self, Request};

/// Lists of millions of rules take seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Have the running server read its configuration and lists again
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Reload {
    #[arg(long, help = "Take lists over that have lost more rules than shrink_max allows")]
    any_size: bool,
    #[arg(long, help = "One JSON object of {at, ok, why, mistakes, needs_restart}")]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const NOTES: &str = "\
With a mistake anywhere, nothing changes: the server keeps what is in force, and this command tells every mistake. Only
certificates and keys that can't be read keep nothing else out: those before stay in use.";

impl Reload {
    /// Asks for it and tells how it went.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let request = if self.any_size { Request::ReloadAnySize } else { Request::Reload };
        let answer = reached(control::ask(&directory, &request, PATIENCE))?;
        let taken = answer.get("ok").and_then(Value::as_bool) == Some(true);
        if self.json {
            console.json(&answer)?;
            return if taken { Ok(()) } else { Err(Failure::MistakesShown) };
        }
        if !taken {
            let mistakes = items(&answer, "mistakes").iter().filter_map(Value::as_str);
            return Err(Failure::MistakesTold(mistakes.map(str::to_owned).collect()));
        }
        writeln!(console.out, "Reloaded at {}.", text(&answer, "at"))?;
        for setting in items(&answer, "needs_restart").iter().filter_map(Value::as_str) {
            writeln!(console.out, "`{setting}` has changed and takes effect after a restart.")?;
        }
        Ok(())
    }
}
