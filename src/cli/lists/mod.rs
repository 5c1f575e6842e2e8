//! `embargo lists`: lists by themselves, before they are in force, those that come from elsewhere, and the bans in the words of
//! others.

mod diff;
mod export;
mod hits;
mod fetch;
mod lint;
mod shadowed;
pub(super) mod sources;

use clap::{Args, Subcommand};

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;

/// Check lists, compare them, fetch them, and write them for other resolvers
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Lists {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Lint(lint::Lint),
    Diff(diff::Diff),
    Export(export::Export),
    Hits(hits::Hits),
    Fetch(fetch::Fetch),
    #[command(name = "status")]
    Sources(sources::Sources),
}

const EXAMPLES: &str = "\
Examples:
  embargo lists lint names.txt hosts.txt --json
  embargo lists diff old.txt new.txt
  embargo lists export --format rpz --ban kaspersky > embargo.rpz";

impl Lists {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Lint(lint) => lint.execute(console),
            Verb::Diff(diff) => diff.execute(console),
            Verb::Export(export) => export.execute(console),
            Verb::Hits(hits) => hits.execute(console),
            Verb::Fetch(fetch) => fetch.execute(console),
            Verb::Sources(sources) => sources.execute(console),
        }
    }
}

#[cfg(test)]
mod tests;
