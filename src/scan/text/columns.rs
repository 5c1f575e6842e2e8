//! Columns that a log names at its head, and the fields of a line by them.

use super::super::entry::Fault;

/// Columns of a log at most that are looked at.
pub(super) const COLUMNS_MAX: usize = 64;

/// Where the columns stand that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::scan) struct Columns {
    /// By the order of asking, their places.
    places: Vec<Option<usize>>,
    /// Fields to be split off, up to the last that is asked for.
    needed: usize,
}

/// The fields of one line.
pub(super) struct Fields<'l, 'c> {
    fields: [&'l [u8]; COLUMNS_MAX],
    columns: &'c Columns,
}

impl Columns {
    /// Columns of these names, of which those `wanted` are asked for by their place in it.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n [u8]>, wanted: &[&str]) -> Self {
        let names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let place = |wanted: &&str| names.iter().take(COLUMNS_MAX).position(|name| name.eq_ignore_ascii_case(wanted));
        let places: Vec<_> = wanted.iter().map(place).collect();
        let needed = places.iter().flatten().max().map_or(0, |last| last + 1);
        Self { places, needed }
    }

    /// Whether there is a column for what was asked for at this place.
    pub(super) fn has(&self, wanted: usize) -> bool {
        self.places.get(wanted).copied().flatten().is_some()
    }

    /// The fields of a line with this between them.
    #[inline]
    pub(super) fn fields<'l>(&self, line: &'l [u8], between: u8) -> Result<Fields<'l, '_>, Fault> {
        let mut fields = [&b""[..]; COLUMNS_MAX];
        let (mut start, mut count) = (0, 0);
        for end in memchr::memchr_iter(between, line).chain([line.len()]) {
            if count == self.needed {
                break;
            }
            fields[count] = &line[start..end];
            (start, count) = (end + 1, count + 1);
        }
        if count < self.needed {
            return Err(Fault::Form("fewer columns than its head names"));
        }
        Ok(Fields { fields, columns: self })
    }
}

impl<'l> Fields<'l, '_> {
    /// The field of the column that was asked for at this place; empty if there is no such column.
    #[inline]
    pub(super) fn get(&self, wanted: usize) -> &'l [u8] {
        let place = self.columns.places.get(wanted).copied().flatten();
        place.and_then(|place| self.fields.get(place)).copied().unwrap_or_default()
    }
}
