//! One list by itself, as the command line reads it: the format that is told or found, rules to a sink, mistakes.

use super::disk::{Origin, ReadError};
use super::policy::LIST_MAX;
use super::settings::Reading;
use crate::policy::{HEAD, Line, ListFormat, ListReader, Parsed, Rule};

/// What became of a list.
#[derive(Debug)]
pub struct ListRead {
    /// Its format.
    pub format: ListFormat,
    /// Whether its first lines have told it.
    pub detected: bool,
    /// Octets read.
    pub bytes: u64,
    /// Rules and mistakes.
    pub parsed: Parsed,
}

/// Reads a list once, whatever its size. Of a strict list rules come before its mistakes are known.
///
/// # Errors
/// [`ReadError`] when it can't be read.
pub fn read_list(
    origin: &Origin,
    reading: Reading,
    sink: &mut dyn FnMut(&Rule, &Line<'_>),
) -> Result<ListRead, ReadError> {
    let format = reading.format.map_or_else(|| detect(origin), Ok)?;
    let mut reader = ListReader::new(format, origin.name().into(), reading.strictness);
    let mut bytes = 0;
    origin.read_pieces(LIST_MAX, |piece| {
        bytes += piece.len() as u64;
        reader.read(piece, sink);
        Ok(())
    })?;
    Ok(ListRead { format, detected: reading.format.is_none(), bytes, parsed: reader.finish(sink) })
}

/// The format that a list's first lines tell; names alone if they tell none.
pub(super) fn detect(origin: &Origin) -> Result<ListFormat, ReadError> {
    let head = origin.head(HEAD, LIST_MAX)?;
    Ok(ListFormat::detect(&head).unwrap_or(ListFormat::Domains))
}
