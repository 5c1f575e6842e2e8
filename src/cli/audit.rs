//! `embargo audit`: what the audit log says, and whether it is as it was written.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::console::{Console, Tone};
use super::failure::Failure;
use super::record::to_the_second;
use super::table::Table;
use super::{EXIT_CODES, flags};
use crate::audit::{self, Did, Entry, ErasedNote, Event, Looked, Merged, Reading, Reloaded, Split, Terms, Written};
use crate::time::rfc3339;

/// Show who was spared what by whom, and which policy was in force when; and whether any of it was changed
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Audit {
    /// Only check the chain, and print the hash of its last entry
    #[arg(long)]
    verify: bool,
    /// The hash of an entry, as it was noted before: it must still be there
    #[arg(long, value_name = "HASH", requires = "verify")]
    noted: Option<String>,
    /// One JSON object of {intact, entries, head, damage}; with --verify the entries are their number
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const NOTES: &str = "\
Every entry names the hash of the one before it, so that none can be changed, left out or put in without all later ones. Note \
the last hash elsewhere from time to time: whoever may write the file could write all of it anew, and only the hash shows that. \
The file is read whether a server runs or not. A broken chain, a noted hash that is not there, or no file at all is exit code 3.";

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct Row {
    number: u64,
    at: String,
    uid: Option<u32>,
    by: Option<String>,
    #[serde(flatten)]
    event: Event,
    hash: String,
}

impl Audit {
    /// Reads, checks and shows.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let (mut entries, mut is_there) = (Vec::new(), self.noted.is_none());
        let reading = audit::read(&directory, |entry, hash| {
            is_there |= self.noted.as_deref() == Some(hash);
            if !self.verify {
                entries.push((entry.clone(), hash.to_owned()));
            }
        });
        let path = audit::path(&directory);
        let reading = reading.map_err(|error| Failure::cannot(format!("{}: {error}", path.display()), ""))?;
        if !reading.found {
            return Err(missing(&directory));
        }
        self.show(&entries, &reading, console)?;
        match reading.damage {
            None if is_there => Ok(()),
            None => Err(Failure::cannot(
                format!("{}: no entry has the noted hash: the file was written anew, or cut", path.display()),
                "keep it as evidence, and compare it with a copy",
            )),
            Some((number, damage)) => Err(Failure::cannot(
                format!("{}: damaged at entry {number}: {damage}", path.display()),
                "none of its exemptions is in force. Keep it as evidence: stop the server, move it away, start the server",
            )),
        }
    }

    fn show(&self, entries: &[(Entry, String)], reading: &Reading, console: &mut Console<'_>) -> Result<(), Failure> {
        let intact = reading.damage.is_none();
        if self.json {
            let damage = reading.damage.map(|(entry, damage)| json!({"entry": entry, "what": damage.to_string()}));
            let rows: Vec<_> = entries.iter().map(row).collect();
            let entries = if self.verify { json!(reading.entries) } else { json!(rows) };
            let document = json!({"intact": intact, "entries": entries, "head": reading.head, "damage": damage});
            return Ok(console.json(&document)?);
        }
        if !self.verify && !entries.is_empty() {
            let mut table = Table::new(console.look, &["#NO", "AT", "WHO", "WHAT"]);
            for (entry, _hash) in entries {
                let who = entry.by.as_deref().map(str::to_owned).or_else(|| entry.uid.map(|uid| uid.to_string()));
                table.row([
                    Some(entry.number.to_string()),
                    Some(to_the_second(entry.at)),
                    who,
                    Some(told(&entry.event)),
                ]);
            }
            writeln!(console.out, "{}", table.render())?;
        }
        if intact {
            let word = console.look.paint(Tone::Good, "INTACT");
            writeln!(console.out, "{word}  {} entries, the last with the hash {}", reading.entries, reading.head)?;
        } else {
            let word = console.look.paint(Tone::Bad, "DAMAGED");
            writeln!(console.out, "{word}  {} entries are as they were written, the next is not", reading.entries)?;
        }
        Ok(())
    }
}

/// Nothing was read, so nothing is said: neither that it is intact nor that nobody is exempt.
pub(super) fn missing(state_dir: &Path) -> Failure {
    let path = audit::path(state_dir);
    Failure::cannot(
        format!("{}: no record here; no server has kept its state in this directory", path.display()),
        "--state-dir or --config names another one",
    )
}

fn row((entry, hash): &(Entry, String)) -> Row {
    let (number, uid, by, hash) = (entry.number, entry.uid, entry.by.clone(), hash.clone());
    Row { number, at: rfc3339(entry.at), uid, by, event: entry.event.clone(), hash }
}

/// What happened, in a line.
fn told(event: &Event) -> String {
    match event {
        Event::Granted(terms) => format!("granted: {}", spared(terms)),
        Event::Configured(terms) => format!("configured: {}", spared(terms)),
        Event::Unconfigured(id) => format!("no longer configured: {id}"),
        Event::Revoked(id) => format!("revoked {id}"),
        Event::Expired(id) => format!("expired {id}"),
        Event::Reloaded(Reloaded { why, policy, configuration, modes }) => {
            let modes: Vec<_> = modes.iter().map(|(ban, mode)| format!("{ban} {mode}")).collect();
            let short = |digest: &str| digest.chars().take(12).collect::<String>();
            let by = Some(short(configuration)).filter(|digest| !digest.is_empty());
            let by = by.map(|digest| format!(" by configuration {digest}…")).unwrap_or_default();
            format!("policy {}…{by} ({why}): {}", short(policy), modes.join(", "))
        }
        Event::Merged(Merged { device, with, reason }) => format!("merged devices {device} and {with}: {reason}"),
        Event::Split(Split { device, reason }) => format!("split device {device} from all others: {reason}"),
        Event::Undone(id) => format!("undone {id}"),
        Event::Did(Did { what, on }) if on.is_empty() => what.clone(),
        Event::Did(Did { what, on }) => format!("{what} {on}"),
        Event::Erased(ErasedNote { devices, attempts, ticket }) => {
            let ticket = ticket.as_ref().map(|ticket| format!(", ticket {ticket}")).unwrap_or_default();
            format!("erased what was kept of a client: {devices} devices and addresses, {attempts} attempts{ticket}")
        }
        Event::Looks(true) => "from now on it is noted who looks at clients".to_owned(),
        Event::Looks(false) => "it is no longer noted who looks at clients".to_owned(),
        Event::Looked(Looked { by, at }) if at.is_empty() => format!("looked at clients: {by}"),
        Event::Looked(Looked { by, at }) => format!("looked at clients: {by} ({at})"),
    }
}

fn spared(terms: &Terms) -> String {
    let Written { client, group, ban, category, name, until, owner, reason, ticket, .. } = terms.clone().into();
    let named = |kind: &str, id: Option<String>| id.map(|id| format!("{kind}{id}"));
    let whom = named("", client).or_else(|| named("group ", group)).unwrap_or_default();
    let what = named("ban ", ban).or_else(|| named("category ", category)).or_else(|| named("name ", name));
    let (what, until) = (what.unwrap_or_default(), named("until ", until).unwrap_or_else(|| "without end".to_owned()));
    let ticket = named(", ticket ", ticket).unwrap_or_default();
    format!("{whom} is spared {what} {until}; {owner}: {reason}{ticket}")
}
