//! `embargo lists`: lists by themselves, before they are in force: their mistakes.

mod lint;

use clap::{Args, Subcommand};

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;

/// Check lists
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Lists {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Lint(lint::Lint),
}

const EXAMPLES: &str = "\
Examples:
  embargo lists lint names.txt hosts.txt --json
  embargo lists lint zone.rpz --format rpz";

impl Lists {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Lint(lint) => lint.execute(console),
        }
    }
}
