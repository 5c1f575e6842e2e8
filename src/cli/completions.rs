//! `embargo completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::console::Console;
use super::failure::Failure;
use super::{Cli, EXIT_CODES};

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  embargo completions bash > /etc/bash_completion.d/embargo
  embargo completions zsh > /usr/share/zsh/vendor-completions/_embargo
  embargo completions fish > ~/.config/fish/completions/embargo.fish";

impl Completions {
    /// Prints the script.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        // Into memory first: the generator panics where writing fails, as when its reader goes away.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "embargo", &mut script);
        Ok(console.out.write_all(&script)?)
    }
}
