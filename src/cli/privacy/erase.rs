//! `embargo privacy erase`.

use std::path::Path;

use clap::Args;

use super::Who;
use crate::app::control::{self, ControlError, Erasing, Request};
use crate::app::{ERASE, note_erasure};
use crate::audit::{self, Audit, Author, TICKET_MAX, TermsError};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::status::reached;
use crate::cli::{EXIT_CODES, flags, known, record};
use crate::diag::shown;
use crate::identity::Devices;
use crate::journal::{Config, Erased, Key, Store, Whose, erase_alone};
use crate::sinks::erase_waiting;

/// Erase all that is kept of one client or device, and overwrite where it stood
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Erase {
    #[command(flatten)]
    who: Who,
    /// By which ticket; the audit log keeps it, so let it name nobody
    #[arg(long, value_name = "TEXT", value_parser = ticket)]
    ticket: Option<String>,
    #[arg(long, help = "One JSON object of {devices, attempts, bindings, names, waiting, not_overwritten}")]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const NOTES: &str = "\
A running server does it, and goes on answering; its file of attempts is written anew, for which there must be as much room again
on the disk. Reports say how many devices were erased, and the audit log too, never whom. What could not be overwritten is exit
code 3: ask for it again.";

fn ticket(text: &str) -> Result<String, TermsError> {
    audit::said("ticket", text, TICKET_MAX).map(|text| text.to_string())
}

impl Erase {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let Some(whose) = self.who.whose() else { return Ok(()) };
        let asked = Request::PrivacyErase(Box::new(Erasing { whose: whose.clone(), ticket: self.ticket.clone() }));
        let erased = match control::ask(&directory, &asked, ERASE) {
            Err(ControlError::Unreachable { .. }) => {
                let devices = known::of_record(&self.state, console)?;
                alone((&directory, devices), &whose, self.ticket, console)?
            }
            answer => serde_json::from_value(reached(answer)?)
                .map_err(|error| Failure::cannot(format!("the server answered something else: {error}"), ""))?,
        };
        if self.json {
            console.json(&erased)?;
        } else {
            writeln!(console.out, "{}", in_words(&erased))?;
        }
        match &erased.not_overwritten {
            Some(why) => {
                Err(Failure::cannot(format!("some of it may still stand in free room of the files: {why}"), ""))
            }
            None => Ok(()),
        }
    }
}

/// Erases where no server runs.
fn alone(
    (directory, devices): (&Path, Devices),
    whose: &Whose,
    ticket: Option<String>,
    console: &mut Console<'_>,
) -> Result<Erased, Failure> {
    // None is made where there is none.
    drop(Store::open_read_only(directory).map_err(record::unread)?);
    let key = Key::read(directory).map_err(|error| Failure::cannot(error, ""))?;
    let config = Config { devices: devices.into(), ..Config::new(directory) };
    let (person, mut erased) = erase_alone(&config, whose, key.as_ref(), console.now).map_err(record::unread)?;
    erased.waiting = erase_waiting(directory, &person)
        .map_err(|error| Failure::cannot(format!("what waits for sinks: {error}"), "ask for it again"))?;
    note_erasure(&Audit::new(directory), &erased, ticket, (Author::default(), console.now))
        .map_err(|why| Failure::cannot(shown(&why), ""))?;
    Ok(erased)
}

fn in_words(erased: &Erased) -> String {
    if erased.is_nothing() {
        return "Nothing is kept of it.".to_owned();
    }
    let Erased { devices, attempts, bindings, names, waiting, .. } = erased;
    format!(
        "Erased: {devices} devices and addresses, {attempts} attempts, {bindings} times of holding an address, {names} names asked, \
         {waiting} rows that waited for sinks."
    )
}
