//! One row of the record on its way to sinks, and the line it is while it waits.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::journal::AttemptRow;
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::Transport;

/// Octets of a line at most. Names and patterns are 1,010 characters at most, all else is from the configuration and from lease
/// files.
pub(super) const LINE_MAX: usize = 16 << 10;

/// Attempts that were recorded as one row at one time, with a name of their own in all the world: whoever is sent them twice
/// can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What tells them from all others.
    pub id: String,
    /// The attempts.
    pub row: AttemptRow,
}

/// How far a stream of rows has come: what lies before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// Rows.
    pub(super) rows: u64,
    /// Attempts.
    pub(super) attempts: u64,
}

/// A row and what lies before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) before: Mark,
    pub(super) row: AttemptRow,
}

/// A row as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    rows: u64,
    attempts: u64,
    first: i64,
    last: i64,
    count: u64,
    client: Option<IpAddr>,
    device: Option<String>,
    site: String,
    qname: Option<String>,
    qtype: Option<String>,
    ban: String,
    category: String,
    evidence: String,
    pattern: Option<String>,
    action: String,
    transport: Option<String>,
    verified: bool,
}

impl Mark {
    /// Behind this row.
    pub(super) fn past(self, row: &AttemptRow) -> Self {
        Self { rows: self.rows + 1, attempts: self.attempts + row.count }
    }
}

impl Placed {
    /// The event of a stream of this name.
    pub(super) fn into_event(self, stream: &Arc<str>) -> Event {
        Event { id: format!("{stream}-{}", self.before.rows), row: self.row }
    }

    /// Appends the line, with its end.
    pub(super) fn write(self, to: &mut Vec<u8>) {
        let (Mark { rows, attempts }, row) = (self.before, self.row);
        let line = Line {
            rows,
            attempts,
            first: row.first.as_millisecond(),
            last: row.last.as_millisecond(),
            count: row.count,
            client: row.client,
            device: row.device,
            site: row.site,
            qname: row.qname,
            qtype: row.qtype,
            ban: row.ban,
            category: row.category,
            evidence: row.evidence.as_str().to_owned(),
            pattern: row.pattern,
            action: row.action.as_str().to_owned(),
            transport: row.transport.map(|transport| transport.as_str().to_owned()),
            verified: row.verified,
        };
        // Texts and numbers in memory: it can't fail.
        serde_json::to_writer(&mut *to, &line).unwrap_or_default();
        to.push(b'\n');
    }

    /// Reads a line without its end; `None`: it is none.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let row = AttemptRow {
            first: Timestamp::from_millisecond(line.first).ok()?,
            last: Timestamp::from_millisecond(line.last).ok()?,
            client: line.client,
            device: line.device,
            site: line.site,
            qname: line.qname,
            qtype: line.qtype,
            ban: line.ban,
            category: line.category,
            evidence: Evidence::ALL.into_iter().find(|evidence| evidence.as_str() == line.evidence)?,
            pattern: line.pattern,
            action: Did::ALL.into_iter().find(|did| did.as_str() == line.action)?,
            transport: match line.transport {
                None => None,
                Some(word) => Some(Transport::ALL.into_iter().find(|transport| transport.as_str() == word)?),
            },
            verified: line.verified,
            count: line.count,
        };
        Some(Self { before: Mark { rows: line.rows, attempts: line.attempts }, row })
    }
}

#[cfg(test)]
pub(super) mod sample {
    //! Rows that tests send.

    use super::*;

    /// An attempt of a client that asked for this name.
    pub(crate) fn row(qname: &str, count: u64) -> AttemptRow {
        AttemptRow {
            first: "2026-11-28T10:00:00.125Z".parse().unwrap(),
            last: "2026-11-28T10:00:00.625Z".parse().unwrap(),
            client: Some("192.0.2.7".parse().unwrap()),
            device: Some("mac:52:54:00:00:00:0a".to_owned()),
            site: "berlin".to_owned(),
            qname: Some(qname.to_owned()),
            qtype: Some("AAAA".to_owned()),
            ban: "vendor".to_owned(),
            category: "update".to_owned(),
            evidence: Evidence::Installed,
            pattern: Some("upd.example".to_owned()),
            action: Did::Nxdomain,
            transport: Some(Transport::Udp),
            verified: false,
            count,
        }
    }

    /// What is left of attempts where there were too many to tell.
    pub(crate) fn bare(count: u64) -> AttemptRow {
        AttemptRow {
            client: None,
            device: None,
            qname: None,
            qtype: None,
            pattern: None,
            transport: None,
            ..row("", count)
        }
    }

    /// An event of this row.
    pub(crate) fn event(row: AttemptRow) -> Event {
        Event { id: "0123456789abcdef-7".to_owned(), row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_from_its_line_as_it_was() {
        for row in [sample::row(r"a\010\034.upd.example", 3), sample::bare(70_000)] {
            let placed = Placed { before: Mark { rows: 7, attempts: 90 }, row };
            let mut line = Vec::new();
            placed.clone().write(&mut line);
            assert_eq!(line.pop(), Some(b'\n'));
            assert!(!line.contains(&b'\n') && line.len() < LINE_MAX);
            assert_eq!(Placed::read(&line), Some(placed));
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_no_line() {
        let mut line = Vec::new();
        Placed { before: Mark::default(), row: sample::row("a.upd.example", 1) }.write(&mut line);
        for cut in 0..line.len() - 1 {
            assert_eq!(Placed::read(&line[..cut]), None, "{cut}");
        }
        let text = String::from_utf8(line).unwrap();
        for (is, wrong) in [("installed", "instaled"), ("nxdomain", "nx"), ("udp", "uucp"), ("192.0.2.7", "192.0.2")] {
            assert_eq!(Placed::read(text.replace(is, wrong).trim().as_bytes()), None, "{wrong}");
        }
    }
}
