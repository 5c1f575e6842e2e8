//! The command line: one verb, one file.
//!
//! Every verb takes a `Console` and writes through it; only this file turns a failure into an exit code. Leaves the work
//! to the modules below: nothing is decided here that `run` would decide otherwise.

mod attempts;
mod audit;
mod cache;
mod check;
mod clients;
mod completions;
mod connected;
mod console;
mod devices;
mod exempt;
mod explain;
mod failure;
mod flags;
mod healthcheck;
mod known;
mod lists;
mod man;
mod preview;
mod privacy;
mod query;
mod record;
mod reload;
mod report;
mod run;
mod scan;
mod status;
mod table;
mod tail;
mod token;
mod top;
mod user;
mod when;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Environment;
use crate::orders::{Ran, Verbs};
use console::{Console, Look};
use failure::{Failure, Usage};

/// What `--help` says at its end, on every verb: scripts rely on it.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  mistakes in what you wrote: the configuration, a ban or a list
  2  usage: a flag or argument is wrong
  3  cannot start, or cannot reach what was asked for";

/// Every flag and verb.
#[derive(Debug, Parser)]
#[command(
    name = "embargo",
    version,
    about = "A forwarding DNS server that enforces and measures technology-vendor bans",
    long_about = "Embargo forwards DNS, answers the lookups of banned vendors itself, and keeps a record of who tried \
                  what. Without a command it runs the server.",
    after_help = "Try `embargo --help` for examples and exit codes, `embargo COMMAND --help` for one command.",
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}\n\n{CONFIGURATION}"),
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    settings: flags::Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  embargo                                          serve on 127.0.0.1:5300 and [::1]:5300
  embargo --listen 192.0.2.53:53 --upstream system
  embargo check                                    read configuration and lists, tell every mistake
  embargo explain downloads.example.org            what is done with a name, and why
  embargo attempts --since 24h --json              banned lookups of the last day";

const CONFIGURATION: &str = "\
Without --config, the configuration is ./config/embargo.toml, /etc/embargo/embargo.toml, or the shipped default.";

/// The verbs. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Explain(Box<explain::Explain>),
    Clients(clients::Clients),
    Devices(devices::Devices),
    Attempts(attempts::Attempts),
    Tail(tail::Tail),
    Top(top::Top),
    Status(status::Status),
    Healthcheck(healthcheck::Healthcheck),
    Reload(reload::Reload),
    Cache(Box<cache::Cache>),
    Lists(Box<lists::Lists>),
    Preview(Box<preview::Preview>),
    Scan(Box<scan::Scan>),
    Privacy(privacy::Privacy),
    Exempt(Box<exempt::Exempt>),
    Audit(audit::Audit),
    Token(token::Token),
    User(user::User),
    Completions(completions::Completions),
    Man(man::Manual),
    Report(Box<report::Report>),
}

impl Command {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self {
            Self::Run(run) => run.execute(console),
            Self::Check(check) => check.execute(console),
            Self::Explain(explain) => explain.execute(console),
            Self::Clients(clients) => clients.execute(console),
            Self::Devices(devices) => devices.execute(console),
            Self::Attempts(attempts) => attempts.execute(console),
            Self::Tail(tail) => tail.execute(console),
            Self::Top(top) => top.execute(console),
            Self::Status(status) => status.execute(console),
            Self::Healthcheck(healthcheck) => healthcheck.execute(console),
            Self::Reload(reload) => reload.execute(console),
            Self::Cache(cache) => cache.execute(console),
            Self::Lists(lists) => lists.execute(console),
            Self::Preview(preview) => preview.execute(console),
            Self::Scan(scan) => scan.execute(console),
            Self::Privacy(privacy) => privacy.execute(console),
            Self::Exempt(exempt) => exempt.execute(console),
            Self::Audit(audit) => audit.execute(console),
            Self::Token(token) => token.execute(console),
            Self::User(user) => user.execute(console),
            Self::Completions(completions) => completions.execute(console),
            Self::Man(manual) => manual.execute(console),
            Self::Report(report) => report.execute(console),
        }
    }
}

/// The whole command: reads the process's arguments, does as they say, and tells how it went.
pub fn main() -> ExitCode {
    let mut console = Console {
        out: &mut io::stdout().lock(),
        // Not locked: while the server runs, its log goes there.
        err: &mut io::stderr(),
        look: Look::of_stdout(),
        now: Clock::system().now().wall,
        environment: Environment::of_process(),
    };
    ExitCode::from(outcome(std::env::args_os(), &mut console))
}

/// Runs commands within this process, for the API: without colours, in lines of any length.
pub fn verbs() -> Verbs {
    Arc::new(|arguments, now| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console {
            out: &mut out,
            err: &mut err,
            look: Look::default(),
            now,
            environment: Environment::of_process(),
        };
        let line = std::iter::once("embargo".into()).chain(arguments.iter().map(OsString::from));
        let code = outcome(line, &mut console);
        Ran { code, out, err }
    })
}

/// Runs one command line; says what went wrong, and returns the exit code.
fn outcome(arguments: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> u8 {
    let failure = match execute(arguments, console).and_then(|()| Ok(console.out.flush()?)) {
        Ok(()) => return 0,
        Err(failure) => failure,
    };
    // Nobody is left to be told when standard error is gone.
    let _nobody_reads = failure.tell(console.err);
    failure.exit_code()
}

fn execute(arguments: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> Result<(), Failure> {
    match Cli::try_parse_from(arguments) {
        Ok(Cli { settings, command }) => {
            command.unwrap_or(Command::Run(run::Run { settings, take_over: false })).execute(console)
        }
        // Help and version were asked for: they are output, not a failure.
        Err(asked) if !asked.use_stderr() => Ok(write!(console.out, "{}", console.look.styled(&asked.render()))?),
        Err(wrong) => Err(Failure::Usage(Usage(Box::new(wrong)))),
    }
}

#[cfg(test)]
mod tests;
