//! `embargo run`: the server.

use clap::Args;

use super::console::Console;
use super::failure::Failure;
use super::{EXIT_CODES, flags};
use crate::app;

/// Run the server (the default command)
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Run {
    /// Take the place of the server that runs with this state directory, without losing a query
    #[arg(long)]
    pub(super) take_over: bool,
    #[command(flatten)]
    pub(super) settings: flags::Settings,
}

const EXAMPLES: &str = "\
Examples:
  embargo run
  embargo run --listen 192.0.2.53:53 [2001:db8::53]:53 --upstream 198.51.100.1 198.51.100.2
  embargo run --list names.txt                     ban every name in a file, at once
  embargo run --take-over                          a new version in the place of the one that runs

SIGHUP and `embargo reload` read configuration and lists again, as a change on disk does.
With --take-over the running server serves until the new one has its lists, then ends by itself;
where none runs, the new one starts as ever. Sockets that systemd passes (LISTEN_FDS) are read
where the configuration names their address.
SIGTERM and SIGINT end the server once every query in flight has its answer and the record is written.";

impl Run {
    /// Serves until a signal says to stop.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        app::run(&self.settings.args(), self.take_over, super::verbs(), console.out).map_err(|failure| match failure {
            app::Failure::Mistakes(mistakes) => Failure::Mistakes(mistakes),
            app::Failure::Cannot(why) => Failure::cannot(why, ""),
        })
    }
}
