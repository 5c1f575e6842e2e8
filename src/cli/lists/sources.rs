//! `embargo lists status`: how the lists that come from elsewhere are.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::super::console::{Console, Look};
use super::super::failure::{Failure, write_lines};
use super::super::status::{reached, text};
use super::super::table::Table;
use super::super::{EXIT_CODES, flags};
use crate::app::control::{self, ControlError, Request};
use crate::app::kept_lists;

/// A running server answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// Digits of a digest that tables show.
const DIGEST_DIGITS: usize = 16;

pub(super) const JSON_HELP: &str = "An array of {id, source, fetched, checked, digest, bytes, rules, result, error, next, fetching, received_bytes, \
                                    expected_bytes}";

/// Show the lists that come from elsewhere: how old, how large, and what went wrong last
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Sources {
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const NOTES: &str = "\
If no server runs, what is kept for its start is shown.";

impl Sources {
    /// Asks the server, or looks at what is kept.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let rows = match control::ask(&directory, &Request::Lists, PATIENCE) {
            Err(ControlError::Unreachable { .. }) => json!(kept_lists(&self.state.loaded(console)?)),
            answer => reached(answer)?,
        };
        if self.json {
            return Ok(console.json(&rows)?);
        }
        tell(rows.as_array().map(Vec::as_slice).unwrap_or_default(), console)
    }
}

/// Writes all of them for people.
///
/// # Errors
/// Those of the output.
pub(super) fn tell(rows: &[Value], console: &mut Console<'_>) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(writeln!(console.out, "No list comes from elsewhere; a [[list]] with a `url` would.")?);
    }
    write!(console.out, "{}", table(console.look, rows))?;
    Ok(write_lines(&complaints(rows), console.out)?)
}

/// All of them, one a row.
pub(in crate::cli) fn table(look: Look, rows: &[Value]) -> String {
    let mut table = Table::new(look, &["LIST", "FETCHED", "CHECKED", "NEXT", "#RULES", "SHA-256", "SOURCE"]);
    for row in rows {
        let when = |field: &str| {
            if row.get(field).is_some_and(Value::is_string) { text(row, field) } else { "never".to_owned() }
        };
        let digest = text(row, "digest").chars().take(DIGEST_DIGITS).collect();
        table.row([
            Some(text(row, "id")),
            Some(when("fetched")),
            Some(when("checked")),
            Some(text(row, "next")),
            Some(text(row, "rules")),
            Some(digest),
            Some(text(row, "source")),
        ]);
    }
    table.render()
}

/// What is wrong with them, in lines.
pub(in crate::cli) fn complaints(rows: &[Value]) -> Vec<String> {
    let complaint = |row: &Value| {
        let id = text(row, "id");
        let never = !row.get("fetched").is_some_and(Value::is_string);
        let stands = if never { "its ban has no rule until it comes" } else { "what is kept stays in force" };
        match row.get("error").and_then(Value::as_str) {
            Some(error) => Some(format!("{id}: {error}\n  {stands}")),
            None => never.then(|| format!("{id}: it has not come yet; {stands}")),
        }
    };
    rows.iter().filter_map(complaint).collect()
}
