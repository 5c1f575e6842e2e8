//! A scan for people: a table of the files, and on standard error what was not understood and what to look out for.

use super::super::console::Look;
use super::super::table::Table;
use super::{FileRow, Scanned};
use crate::config::Loaded;
use crate::diag::shown;
use crate::time::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// One row for each file.
pub(super) fn render(look: Look, scanned: &Scanned) -> String {
    let header = ["FILE", "FORMAT", "FROM", "UNTIL", "STANDING", "#QUERIES", "#ATTEMPTS", "#REJECTS"];
    let mut table = Table::new(look, &header);
    for file in &scanned.files {
        let numbers = [file.queries, file.attempts, file.rejects].map(|number| Some(number.to_string()));
        let row = [Some(file.file.clone()), file.format.map(str::to_owned), file.first.clone(), file.last.clone()];
        table.row(row.into_iter().chain([Some(file.standing.to_owned())]).chain(numbers));
    }
    table.render()
}

/// What is to be told beside it.
pub(super) fn notes(scanned: &Scanned, loaded: &Loaded, now: Timestamp) -> Vec<String> {
    let mut notes: Vec<String> = scanned.files.iter().flat_map(of_file).collect();
    let keep = loaded.settings.journal.attempts_keep_days;
    let kept_from = now.as_second() - i64::from(keep) * DAY;
    let recorded = scanned.files.iter().filter(|file| file.attempts > 0).filter_map(|file| file.oldest);
    if recorded.min().is_some_and(|oldest| oldest.as_second() < kept_from) {
        notes.push(format!(
            "Some of these attempts are older than the {keep} days for which attempts are kept; a server with this state \
             directory keeps all of that time for as long from now on."
        ));
    }
    notes
}

fn of_file(file: &FileRow) -> Vec<String> {
    let name = shown(&file.file);
    let mut notes: Vec<String> = file.error.iter().map(|error| format!("{name}: {error}")).collect();
    for fault in &file.faults {
        notes.push(format!("{name}:{}: {}: {}", fault.line, fault.reason, shown(&fault.excerpt)));
    }
    let untold = file.rejects.saturating_sub(file.faults.len() as u64);
    if untold > 0 {
        notes.push(format!("{name}: and {untold} more that were not understood"));
    }
    if file.unfinished > 0 {
        notes.push(format!(
            "{name}: the last {} octets are no whole line, frame or packet yet and are left for the next scan",
            file.unfinished
        ));
    }
    notes
}
