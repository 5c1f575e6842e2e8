//! What `attempts` and `clients` share: reading the record, while a server writes it and after it died.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::console::Console;
use super::failure::Failure;
use super::flags::{Rows, State};
use crate::app::control::{self, ControlError, Request};
use crate::audit::{Audit, Looked};
use crate::diag::shown;
use crate::journal::{Filter, Store, StoreError};
use crate::time::Timestamp;

/// Rows of a table when nobody says how many.
const TABLE_ROWS: u32 = 100;
/// A running server is waited for this long to write what it holds.
const FLUSH: Duration = Duration::from_secs(5);

/// What to do when the record can't be read.
const NEXT: &str = "name the server's directory with --state-dir, or its configuration with --config";

/// What both verbs say about the record at the end of `--help`.
pub(super) const NOTES: &str = "\
The record is read while the server runs and after it has stopped; a running server first writes what it holds.
No record at all is exit code 3, so that a script can tell \"nothing tried\" from \"looked in the wrong place\".";

/// Which rows, and what the answer to "are there more" is read from.
pub(super) struct Wanted {
    filter: Filter,
    shown: Option<usize>,
}

impl Rows {
    /// What narrows them, without naming anybody.
    fn at(&self) -> String {
        let client = self.client.map(|_one| "of one client".to_owned());
        let ban = self.ban.as_ref().map(|ban| format!("ban {ban}"));
        client.into_iter().chain(ban).collect::<Vec<_>>().join(", ")
    }

    /// The rows for JSON (all of them) or for a table (one more than is shown, to know whether there are more).
    pub(super) fn wanted(&self, now: Timestamp, json: bool) -> Wanted {
        let resolve = |when: super::when::When| when.resolve(now, &TimeZone::UTC);
        let shown = self.limit.or((!json).then_some(TABLE_ROWS));
        let filter = Filter {
            ban: self.ban.clone(),
            client: self.client.map(|client| client.to_canonical()),
            since: self.since.map(resolve),
            until: self.until.map(resolve),
            evidence: self.evidence,
            limit: shown.map(|shown| if json { shown } else { shown.saturating_add(1) }),
        };
        Wanted { filter, shown: shown.map(|shown| usize::try_from(shown).unwrap_or(usize::MAX)) }
    }
}

/// Reads rows by `read` and writes them as a JSON array, or as a table by `table`.
///
/// # Errors
/// Exit code 3 when there is no record or it can't be read.
pub(super) fn show<R: Serialize>(
    console: &mut Console<'_>,
    (by, state, rows, json): (&str, &State, &Rows, bool),
    read: impl FnOnce(&Store, &Filter) -> Result<Vec<R>, StoreError>,
    table: impl FnOnce(&Console<'_>, &[R]) -> String,
) -> Result<(), Failure> {
    let directory = state.directory(console)?;
    let wanted = rows.wanted(console.now, json);
    flush(console, &directory)?;
    look(console, &directory, by, rows.at())?;
    let rows = Store::open_read_only(&directory).and_then(|store| read(&store, &wanted.filter)).map_err(unread)?;
    if json {
        return Ok(console.json(&rows)?);
    }
    let shown = rows.get(..wanted.shown.unwrap_or(usize::MAX).min(rows.len())).unwrap_or_default();
    if shown.is_empty() {
        return Ok(writeln!(console.out, "Nothing in the record matches.")?);
    }
    let text = table(console, shown);
    write!(console.out, "{text}")?;
    if rows.len() > shown.len() {
        writeln!(console.out, "More match; these are the newest {}. --limit N shows more.", shown.len())?;
    }
    Ok(())
}

/// Has a running server write what it holds.
///
/// # Errors
/// Those of the output.
pub(super) fn flush(console: &mut Console<'_>, directory: &Path) -> io::Result<()> {
    match control::ask(directory, &Request::Flush, FLUSH) {
        // Without a running server there is nothing to wait for.
        Ok(_) | Err(ControlError::Unreachable { .. }) => Ok(()),
        // One that is stuck must not hide the record, but whoever reads it must know.
        Err(error) => {
            let told = shown(&error.to_string());
            writeln!(console.err, "embargo: the newest rows may be missing: {told}")
        }
    }
}

/// Has it noted who looks at what is kept of clients, where that is noted: `by` which command, and at what. The log outlives
/// what it tells of, so it names no client. Whoever may read the record may read it without that, too, as from a disk that takes
/// nothing; then that is told.
///
/// # Errors
/// Those of the output.
pub(super) fn look(console: &mut Console<'_>, directory: &Path, by: &str, at: String) -> io::Result<()> {
    let looked = Looked { by: by.to_owned(), at };
    let noted = match control::ask(directory, &Request::Look(looked.clone()), FLUSH) {
        Err(ControlError::Unreachable { .. }) => {
            let noted = Audit::new(directory).look(looked, own_uid().into(), console.now);
            noted.map(drop).map_err(|refusal| refusal.to_string())
        }
        answer => answer.map(drop).map_err(|error| error.to_string()),
    };
    noted.or_else(|why| writeln!(console.err, "embargo: it could not be noted who looked at this: {}", shown(&why)))
}

fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").map(|own| own.uid()).ok()
}

/// That the record can't be read, and what to do.
pub(super) fn unread(error: StoreError) -> Failure {
    Failure::cannot(error, NEXT)
}

/// A moment in a table: UTC, to the second; JSON has milliseconds.
pub(super) fn to_the_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
