//! `embargo run`: the server.

use clap::Args;

use super::console::Console;
use super::failure::Failure;
use super::flags;
use crate::app;

/// Run the server (the default command)
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) settings: flags::Settings,
}

const EXAMPLES: &str = "\
Examples:
  embargo run
  embargo run --listen 192.0.2.53:53 [2001:db8::53]:53 --upstream 198.51.100.1 198.51.100.2
  embargo run --list names.txt                     ban every name in a file, at once

SIGHUP and `embargo reload` read configuration and lists again, as a change on disk does.
SIGTERM and SIGINT end the server once every query in flight has its answer and the record is written.";

impl Run {
    /// Serves until a signal says to stop.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        app::run(&self.settings.args(), console.out).map_err(|failure| match failure {
            app::Failure::Mistakes(mistakes) => Failure::Mistakes(mistakes),
            app::Failure::Cannot(why) => Failure::cannot(why, ""),
        })
    }
}
