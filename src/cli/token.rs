//! `embargo token`: what scripts show to the admin server.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::console::Console;
use super::failure::Failure;
use super::status::{items, text};
use super::table::Table;
use super::user::{ask, scopes};
use super::{EXIT_CODES, flags};
use crate::access::Scopes;
use crate::orders::Request;

/// Make, list and revoke tokens for the API
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

const EXAMPLES: &str = "\
Examples:
  embargo token add grafana --scope read
  embargo token add helpdesk --scope approve --for 90d
  embargo token revoke grafana
  curl -H 'Authorization: Bearer embargo_…' http://127.0.0.1:8053/api/v1/status";

pub(super) const NOTES: &str = "\
Scopes: read sees the record, bans and settings; operate also reloads, fetches lists, flushes the cache and says which devices are \
one; approve also spares somebody a ban and takes that back; admin may do everything. While there is neither a token nor a user, \
whoever is on the server's own machine may read; the first of either ends that. Each change is in the audit log.";

/// Make a token, and print it this once
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Add {
    /// Its name, by which the audit log knows what was done with it
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is good for: read, operate, approve, admin; several with commas between
    #[arg(long, value_name = "SCOPE", value_parser = scopes)]
    scope: Scopes,
    /// How long it lasts: 8h, 90d; by default until it is revoked
    #[arg(long = "for", value_name = "SPAN", value_parser = lasting)]
    span: Option<Duration>,
    /// One JSON object of {name, scopes, until, token}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// List the tokens; none of them is shown itself
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct List {
    /// One JSON array of {name, scopes, made, until, expired}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Take a token back, at once
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Revoke {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// One JSON object of {name, revoked}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// No span, or none that is longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no span; write 30m, 24h, 7d or 4w")]
struct NoSpan;

fn lasting(text: &str) -> Result<Duration, NoSpan> {
    super::when::span(text).filter(|span| !span.is_zero()).ok_or(NoSpan)
}

impl Token {
    /// Does as the verb says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Add(add) => add.execute(console),
            Verb::List(list) => list.execute(console),
            Verb::Revoke(revoke) => revoke.execute(console),
        }
    }
}

impl Add {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let lasts_ms = self.span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let request = Request::TokenAdd { name: self.name, scopes: self.scope, lasts_ms };
        let answer = ask(&self.state, &request, console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        // Alone on its line, for scripts; all else is for people.
        writeln!(console.err, "This is the token. It is not kept here, and not shown again:")?;
        Ok(writeln!(console.out, "{}", text(&answer, "token"))?)
    }
}

impl List {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = ask(&self.state, &Request::AccessList, console)?;
        let tokens = items(&answer, "tokens");
        if self.json {
            return Ok(console.json(&tokens)?);
        }
        let mut table = Table::new(console.look, &["NAME", "SCOPES", "MADE", "UNTIL"]);
        for token in tokens {
            let scopes: Vec<String> =
                items(token, "scopes").iter().filter_map(|scope| scope.as_str()).map(str::to_owned).collect();
            let until = match token.get("expired").and_then(serde_json::Value::as_bool) {
                Some(true) => format!("{} (ended)", text(token, "until")),
                _ => text(token, "until"),
            };
            table.row([text(token, "name"), scopes.join(","), text(token, "made"), until].map(Some));
        }
        Ok(write!(console.out, "{}", table.render())?)
    }
}

impl Revoke {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = ask(&self.state, &Request::TokenRevoke(self.name), console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        Ok(writeln!(console.out, "Token {} is revoked.", text(&answer, "name"))?)
    }
}
