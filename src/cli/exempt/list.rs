//! `embargo exempt list`.

use clap::Args;

use super::{PATIENCE, until, what, whom};
use crate::app::control::{self, ControlError, Request};
use crate::app::{ExemptionRow, ROWS_MAX, RowState, rows};
use crate::cli::audit::missing;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::status::reached;
use crate::cli::table::Table;
use crate::cli::{EXIT_CODES, flags};

/// List who is spared what, and until when
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct List {
    /// Those that have ended too
    #[arg(long)]
    all: bool,
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const JSON_HELP: &str = "One JSON array of {id, state, client, group, ban, category, name, until, left_seconds, owner, reason, \
                         ticket, granted, uid, by, ended, revoked_by, revoker}";

const NOTES: &str = "\
A running server is asked. Without one the audit log is read: what stands in [[exemption]] of the configuration is then not shown.";

impl List {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let listed = self.listed(console)?;
        if listed.len() >= ROWS_MAX {
            let message =
                "embargo: the oldest exemptions that have ended may be left out; `embargo audit` has them all";
            writeln!(console.err, "{message}")?;
        }
        if self.json {
            return Ok(console.json(&listed)?);
        }
        if listed.is_empty() {
            return Ok(writeln!(console.out, "Nobody is exempt.")?);
        }
        let header = ["ID", "STATE", "WHO", "WHAT", "UNTIL", "OWNER", "REASON", "TICKET"];
        let mut table = Table::new(console.look, &header);
        for row in &listed {
            table.row([
                Some(row.id.clone()),
                Some(row.state.as_str().to_owned()),
                Some(whom(row)),
                Some(what(row)),
                Some(until(row)),
                Some(row.owner.clone()),
                Some(row.reason.clone()),
                row.ticket.clone(),
            ]);
        }
        Ok(write!(console.out, "{}", table.render())?)
    }

    /// What the server says, or else the audit log.
    fn listed(&self, console: &mut Console<'_>) -> Result<Vec<ExemptionRow>, Failure> {
        let directory = self.state.directory(console)?;
        match control::ask(&directory, &Request::ExemptList { all: self.all }, PATIENCE) {
            Err(ControlError::Unreachable { .. }) => (),
            answer => {
                return serde_json::from_value(reached(answer)?)
                    .map_err(|error| Failure::cannot(format!("the server's answer is none: {error}"), ""));
            }
        }
        let (mut listed, reading) = rows(&directory, console.now)
            .map_err(|error| Failure::cannot(format!("the audit log can't be read: {error}"), ""))?;
        if !reading.found {
            return Err(missing(&directory));
        }
        if let Some((number, damage)) = reading.damage {
            writeln!(console.err, "embargo: the audit log is damaged at entry {number}: {damage}")?;
        }
        if !self.all {
            listed.retain(|row| row.state == RowState::Live);
        }
        Ok(listed)
    }
}
