//! `embargo user`: who may log in to the admin server by a password.

use std::io::{BufRead, IsTerminal, Read};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::console::Console;
use super::failure::Failure;
use super::status::{items, reached, text};
use super::table::Table;
use super::{EXIT_CODES, flags, token};
use crate::access::{PASSWORD_MAX, Phrase, Scopes, ScopesError, hashed};
use crate::app::control;
use crate::orders::Request;

/// An entry of the audit log is on the disk before the answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Add, list and remove users of the admin server
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}\n\n{EXIT_CODES}", token::NOTES))]
pub(super) struct User {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Add),
    Passwd(Passwd),
    List(List),
    Remove(Remove),
}

const EXAMPLES: &str = "\
Examples:
  embargo user add alice --scope operate,approve
  pass show embargo/bob | embargo user add bob --scope read
  embargo user passwd alice
  embargo user remove alice";

/// Let somebody in by a password, which is asked for, or is the first line of standard input
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Add {
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// What the user may do: read, operate, approve, admin; several with commas between
    #[arg(long, value_name = "SCOPE", value_parser = scopes)]
    scope: Scopes,
    /// One JSON object of {name, added}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Give a user another password; whoever is in by the one before is out
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Passwd {
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// One JSON object of {name, changed}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// List the users
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct List {
    /// One JSON array of {name, scopes, made}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Let a user in no longer, from now on
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Remove {
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// One JSON object of {name, removed}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Scopes with commas between, for a flag.
pub(super) fn scopes(text: &str) -> Result<Scopes, ScopesError> {
    text.parse()
}

/// Has the running server do it: it is the only one that writes who may.
pub(super) fn ask(state: &flags::State, request: &Request, console: &Console<'_>) -> Result<Value, Failure> {
    reached(control::ask(&state.directory(console)?, request, PATIENCE))
}

impl User {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Add(Add { name, scope, json, state }) => {
                let password = password()?;
                let answer = ask(&state, &Request::UserAdd { name, scopes: scope, password }, console)?;
                tell(&answer, json, "may log in", console)
            }
            Verb::Passwd(Passwd { name, json, state }) => {
                let password = password()?;
                let answer = ask(&state, &Request::UserPassword { name, password }, console)?;
                tell(&answer, json, "has another password", console)
            }
            Verb::List(list) => list.execute(console),
            Verb::Remove(Remove { name, json, state }) => {
                let answer = ask(&state, &Request::UserRemove(name), console)?;
                tell(&answer, json, "may log in no longer", console)
            }
        }
    }
}

fn tell(answer: &Value, json: bool, what: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    if json {
        return Ok(console.json(answer)?);
    }
    Ok(writeln!(console.out, "User {} {what}.", text(answer, "name"))?)
}

impl List {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = ask(&self.state, &Request::AccessList, console)?;
        let users = items(&answer, "users");
        if self.json {
            return Ok(console.json(&users)?);
        }
        let mut table = Table::new(console.look, &["NAME", "SCOPES", "MADE"]);
        for user in users {
            let scopes: Vec<&str> = items(user, "scopes").iter().filter_map(Value::as_str).collect();
            table.row([text(user, "name"), scopes.join(","), text(user, "made")].map(Some));
        }
        Ok(write!(console.out, "{}", table.render())?)
    }
}

/// What is kept of a password that is typed twice, or that is the first line of standard input.
fn password() -> Result<Phrase, Failure> {
    let stdin = std::io::stdin();
    let typed = if stdin.is_terminal() {
        let read = |prompt: &str| {
            rpassword::prompt_password(prompt).map_err(|error| Failure::cannot(format!("no password: {error}"), ""))
        };
        let (first, second) = (read("Password: ")?, read("Once more: ")?);
        if first != second {
            return Err(Failure::usage("the two differ"));
        }
        first
    } else {
        let mut line = String::new();
        let most = u64::try_from(PASSWORD_MAX).unwrap_or(u64::MAX) + 2;
        stdin.lock().take(most).read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    hashed(&typed).map_err(Failure::usage)
}
