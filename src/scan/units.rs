//! Where what can be read by itself ends: a line, a frame or a packet; and what changes how the next ones are read.

use std::sync::Arc;

use super::cut::CHUNK;
use super::format::Format;
use super::text::{Context, zeek_columns, zeek_head};

/// What a log is made of.
pub(super) enum Units {
    /// Lines.
    Lines,
    /// Lines, among which some name the columns of those behind them.
    ColumnedLines,
}

/// Whole units at the beginning of some octets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Octets that they have; 0: there is no more of them.
    pub(super) size: usize,
    /// Whether these are a part of a line that is longer than any may be.
    pub(super) long: bool,
}

impl Units {
    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Zeek => Self::ColumnedLines,
            Format::Bind => Self::Lines,
        }
    }
}

/// The whole units that `octets` begin with. `ended`: there are no octets behind them, and `closed`: nor will there ever be any.
/// `in_long`: they begin within a line that is too long.
pub(super) fn whole(
    octets: &[u8],
    (ended, closed): (bool, bool),
    in_long: bool,
    units: &mut Units,
    context: &mut Arc<Context>,
) -> Whole {
    if in_long {
        return match memchr::memchr(b'\n', octets) {
            Some(end) => Whole { size: end + 1, long: false },
            None => Whole { size: octets.len(), long: true },
        };
    }
    let lines = match memchr::memrchr(b'\n', octets) {
        _ if ended && (closed || is_closed(octets, context.format)) => octets.len(),
        Some(end) => end + 1,
        None if octets.len() >= CHUNK => return Whole { size: octets.len(), long: true },
        None => 0,
    };
    let size = match units {
        Units::Lines => lines,
        Units::ColumnedLines => columned(&octets[..lines], context),
    };
    Whole { size, long: false }
}

/// Whether the last line is whole although nothing ends it: nothing could follow that belongs to it.
fn is_closed(_octets: &[u8], format: Format) -> bool {
    match format {
        Format::Bind | Format::Zeek => false,
    }
}

/// The lines up to those that name other columns; these themselves are read at once.
fn columned(lines: &[u8], context: &mut Arc<Context>) -> usize {
    if lines.starts_with(zeek_head()) {
        let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
        let line = lines[..end].strip_suffix(b"\r").unwrap_or(&lines[..end]);
        Arc::make_mut(context).columns = zeek_columns(line);
    }
    let mut from = 1.min(lines.len());
    while let Some(at) = memchr::memmem::find(&lines[from..], zeek_head()) {
        if lines[from + at - 1] == b'\n' {
            return from + at;
        }
        from += at + 1;
    }
    lines.len()
}
