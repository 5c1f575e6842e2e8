//! `embargo exempt`: who is spared a ban, until when, and who answers for it.

mod add;
mod all;
mod list;
mod revoke;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;
use super::flags::State;
use super::status::reached;
use crate::app::ExemptionRow;
use crate::app::control::{self, ControlError, Request};
pub(super) use all::all;

/// An entry is on the disk before the answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Spare a client, network, site or group a ban, a category or a name for a time
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Exempt {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Box<add::Add>),
    List(list::List),
    Revoke(revoke::Revoke),
}

const EXAMPLES: &str = "\
Examples:
  embargo exempt add --client 192.0.2.7 --ban kaspersky --for 8h --owner 'J. Doe' --reason 'removal tool'
  embargo exempt add --site lab --name upd.example.org --until 2026-12-24 --owner soc --reason test --ticket CHG-7
  embargo exempt list --all
  embargo exempt revoke 3";

const NOTES: &str = "\
An exemption is in force when the command returns, ends to the second and survives a restart. Lookups that it frees are \
recorded all the same. One of a ban or a name holds for what the answer leads to as well (CNAME, HTTPS), one of a category does \
not: where the name leads may be of another. What stands in [[exemption]] of the configuration is listed as file:1, file:2, …";

impl Exempt {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Add(add) => add.execute(console),
            Verb::List(list) => list.execute(console),
            Verb::Revoke(revoke) => revoke.execute(console),
        }
    }
}

/// Has the running server change something; without one there is nobody to do it, and the way out is said.
pub(in crate::cli) fn change(state: &State, request: &Request, console: &Console<'_>) -> Result<Value, Failure> {
    let directory = state.directory(console)?;
    match control::ask(&directory, request, PATIENCE) {
        Err(error @ ControlError::Unreachable { .. }) => Err(Failure::cannot(
            error,
            "start the server, as whose user or root this is asked for, or write [[exemption]] in its configuration; \
             --state-dir or --config names another server",
        )),
        answer => reached(answer),
    }
}

/// Who is spared, in words.
fn whom(row: &ExemptionRow) -> String {
    match (&row.client, &row.group) {
        (Some(client), _) => client.clone(),
        (None, group) => format!("group {}", group.as_deref().unwrap_or_default()),
    }
}

/// In what, in words.
fn what(row: &ExemptionRow) -> String {
    let of = |kind: &str, id: &Option<String>| id.as_ref().map(|id| format!("{kind} {id}"));
    of("ban", &row.ban).or_else(|| of("category", &row.category)).or_else(|| of("name", &row.name)).unwrap_or_default()
}

/// Its end, in words.
fn until(row: &ExemptionRow) -> String {
    row.until.clone().unwrap_or_else(|| "endless".to_owned())
}

#[cfg(test)]
mod tests;
