//! `embargo cache`: what a running server keeps of upstream's answers, to be shown or thrown away.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::console::Console;
use super::failure::Failure;
use super::query::{qname, qtype};
use super::status::{items, reached, text};
use super::table::Table;
use super::{EXIT_CODES, flags};
use crate::app::control::{self, Questions, Request};
use crate::wire::LowerName;

/// Millions of answers are looked through in a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Show or throw away what the running server keeps of upstream's answers
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Cache {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(Show),
    Flush(Flush),
}

/// Show what is kept of a name: its types, for how long, and failures
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
struct Show {
    /// The name; octets other than ASCII as `\DDD`, other alphabets as `xn--…`
    #[arg(value_name = "NAME", value_parser = qname)]
    name: LowerName,
    /// Names below it too; 1000 rows at most
    #[arg(long)]
    below: bool,
    #[arg(long, help = SHOW_JSON)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Throw away what is kept of a name, so that it is asked for anew
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
struct Flush {
    /// The name; octets other than ASCII as `\DDD`, other alphabets as `xn--…`
    #[arg(value_name = "NAME", value_parser = qname, required_unless_present = "all")]
    name: Option<LowerName>,
    /// Names below it too
    #[arg(long)]
    below: bool,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE", value_parser = qtype)]
    qtype: Option<u16>,
    /// Everything
    #[arg(long, conflicts_with_all = ["name", "below", "qtype"])]
    all: bool,
    /// One JSON object of {answers, failures}, their numbers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const SHOW_JSON: &str = "One JSON object of {rows, more}; a row is {name, type, class, dnssec_ok, checking_disabled, \
                         state, rcode, left_seconds, age_seconds, bytes}";

const EXAMPLES: &str = "\
Examples:
  embargo cache show www.example.org
  embargo cache flush example.org --below         also every name below it
  embargo cache flush www.example.org --type AAAA
  embargo cache flush --all";

const NOTES: &str = "\
Policy stands before the cache: a changed ban needs no flush. An answer that is under way when something is thrown away is \
given to who waits for it, and not kept.";

impl Cache {
    /// Asks the server.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Show(show) => show.execute(console),
            Verb::Flush(flush) => flush.execute(console),
        }
    }
}

impl Show {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let questions = Questions { name: Some(self.name.to_string()), below: self.below, qtype: None };
        let answer = reached(control::ask(&directory, &Request::CacheShow(questions), PATIENCE))?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        let rows = items(&answer, "rows");
        if rows.is_empty() {
            let below = if self.below { " or below it" } else { "" };
            return Ok(writeln!(console.out, "Nothing is kept of {}{below}.", self.name)?);
        }
        let mut table =
            Table::new(console.look, &["NAME", "TYPE", "FLAGS", "STATE", "#LEFT", "#AGE", "RCODE", "#BYTES"]);
        for row in rows {
            table.row([
                Some(text(row, "name")),
                Some(text(row, "type")),
                flags_of(row),
                Some(text(row, "state")),
                Some(format!("{}s", text(row, "left_seconds"))),
                Some(format!("{}s", text(row, "age_seconds"))),
                Some(text(row, "rcode")),
                Some(text(row, "bytes")),
            ]);
        }
        write!(console.out, "{}", table.render())?;
        if answer.get("more").and_then(Value::as_bool) == Some(true) {
            writeln!(console.out, "There is more than is shown.")?;
        }
        Ok(())
    }
}

impl Flush {
    fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let name = self.name.as_ref().map(ToString::to_string);
        let questions = Questions { name, below: self.below, qtype: self.qtype };
        let answer = reached(control::ask(&directory, &Request::CacheFlush(questions), PATIENCE))?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        let (answers, failures) = (text(&answer, "answers"), text(&answer, "failures"));
        Ok(writeln!(console.out, "Thrown away: {answers} answers, {failures} failures.")?)
    }
}

/// The flags that an answer is kept under; `None`: neither.
fn flags_of(row: &Value) -> Option<String> {
    let set = |field: &str| row.get(field).and_then(Value::as_bool) == Some(true);
    let words: Vec<&str> = [("do", set("dnssec_ok")), ("cd", set("checking_disabled"))]
        .iter()
        .filter(|flag| flag.1)
        .map(|flag| flag.0)
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}
