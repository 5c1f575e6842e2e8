//! Where what can be read by itself ends: a line, a frame or a packet; and what changes how the next ones are read.

use std::sync::Arc;

use super::binary::{Endian, PCAP_HEAD, ng_block, pcap_record};
use super::cut::CHUNK;
use super::format::Format;
use super::text::{Context, zeek_columns, zeek_head};
use crate::dnstap::read_frame;

/// What a log is made of.
pub(super) enum Units {
    /// Lines.
    Lines,
    /// Lines, among which some name the columns of those behind them.
    ColumnedLines,
    /// Frames of dnstap.
    Frames,
    /// Packets behind the head of a pcap, once it has been read.
    Packets(Option<Endian>),
    /// Blocks of a pcapng; whose order of octets their section has.
    Blocks(Option<Endian>),
}

/// Whole units at the beginning of some octets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Octets that they have; 0: there is no more of them.
    pub(super) size: usize,
    /// Whether these are a part of a line that is longer than any may be.
    pub(super) long: bool,
    /// What is behind them can't be read.
    pub(super) broken: bool,
}

impl Units {
    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Zeek => Self::ColumnedLines,
            Format::Dnstap => Self::Frames,
            Format::Pcap => Self::Packets(None),
            Format::Pcapng => Self::Blocks(None),
            _ => Self::Lines,
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
    let long = |size, long| Whole { size, long, broken: false };
    if in_long {
        return memchr::memchr(b'\n', octets).map_or(long(octets.len(), true), |end| long(end + 1, false));
    }
    match units {
        Units::Frames => return walk(octets, 0, |rest| read_frame(rest).map(|frame| frame.map(|(_frame, size)| size))),
        Units::Blocks(endian) => return walk(octets, 0, |rest| ng_block(rest, endian)),
        Units::Packets(Some(endian)) => return walk(octets, 0, |rest| pcap_record(rest, *endian)),
        Units::Packets(endian) => {
            *endian = Endian::of_pcap(octets).filter(|_known| octets.len() >= PCAP_HEAD);
            let Some(endian) = *endian else { return long(0, false) };
            return walk(octets, PCAP_HEAD, |rest| pcap_record(rest, endian));
        }
        Units::Lines | Units::ColumnedLines => (),
    }
    let lines = match memchr::memrchr(b'\n', octets) {
        _ if ended && (closed || is_closed(octets, context.format)) => octets.len(),
        Some(end) => end + 1,
        None if octets.len() >= CHUNK => return long(octets.len(), true),
        None => 0,
    };
    let is_columned = matches!(units, Units::ColumnedLines);
    long(if is_columned { columned(&octets[..lines], context) } else { lines }, false)
}

/// Goes from one frame, packet or block to the next, from there on.
fn walk<E>(octets: &[u8], from: usize, mut next: impl FnMut(&[u8]) -> Result<Option<usize>, E>) -> Whole {
    let mut size = from;
    loop {
        match next(&octets[size..]) {
            Ok(Some(step)) => size += step,
            Ok(None) => return Whole { size, long: false, broken: false },
            Err(_none) => return Whole { size, long: false, broken: true },
        }
    }
}

/// Whether the last line is whole although nothing ends it: nothing could follow that belongs to it.
fn is_closed(octets: &[u8], format: Format) -> bool {
    format == Format::Json && octets.ends_with(b"}")
}

/// The lines up to those that name other columns; these themselves are read at once.
fn columned(lines: &[u8], context: &mut Arc<Context>) -> usize {
    if lines.starts_with(zeek_head()) {
        Arc::make_mut(context).columns = zeek_columns(line_at(lines, 0));
    }
    let mut from = 1.min(lines.len());
    while let Some(at) = memchr::memmem::find(&lines[from..], zeek_head()) {
        let at = from + at;
        // Most logs that are put one behind the other have the same columns.
        if lines[at - 1] == b'\n' && zeek_columns(line_at(lines, at)) != context.columns {
            return at;
        }
        from = at + 1;
    }
    lines.len()
}

/// The line that begins there, without its end.
fn line_at(lines: &[u8], at: usize) -> &[u8] {
    let line = &lines[at..];
    let line = memchr::memchr(b'\n', line).map_or(line, |end| &line[..end]);
    line.strip_suffix(b"\r").unwrap_or(line)
}
