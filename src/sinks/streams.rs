//! What is kept for sinks: every row for some of them, the first attempts of devices for the others. Two streams that know nothing
//! of each other, each opened with its first row or its first reader: until then another process may write it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::config::SinkConfig;
use super::places::Places;
use super::spool::{Spool, Unwritten, erase_alone, waiting_in};
use crate::journal::AttemptRow;

/// One stream, and how far its readers are.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where its spool is.
    above: PathBuf,
    /// Whether it is of first attempts.
    of_first: bool,
    opened: OnceLock<(Arc<Spool>, Arc<Places>)>,
}

impl Stream {
    /// Every row.
    pub(super) fn of_rows(state_dir: &Path) -> Self {
        Self { above: state_dir.to_owned(), of_first: false, opened: OnceLock::new() }
    }

    /// The first attempts of devices.
    pub(super) fn of_first(state_dir: &Path) -> Self {
        Self { above: state_dir.join("webhooks"), of_first: true, opened: OnceLock::new() }
    }

    /// Those of the sinks that read it.
    pub(super) fn readers<'s>(&self, sinks: &'s [SinkConfig]) -> impl Iterator<Item = &'s SinkConfig> {
        let of_first = self.of_first;
        sinks.iter().filter(move |sink| sink.kind.wants_first() == of_first)
    }

    /// The spool and the places of its readers, if there is any reader or ever was one; for these sinks, with so much room.
    pub(super) fn open(&self, sinks: &[SinkConfig], size_max: u64) -> Option<(&Arc<Spool>, &Arc<Places>)> {
        let is_used = self.readers(sinks).next().is_some();
        // A server that never had any keeps no spool.
        if !is_used && self.opened.get().is_none() && !self.above.join("spool").exists() {
            return None;
        }
        let (spool, places) = self.opened.get_or_init(|| {
            let spool = Arc::new(Spool::open(&self.above, size_max));
            let places = Arc::new(Places::new(Arc::clone(&spool)));
            self.keep(&places, sinks);
            (spool, places)
        });
        spool.limit(size_max);
        Some((spool, places))
    }

    /// Takes these sinks as its readers, and no others.
    pub(super) fn keep(&self, places: &Places, sinks: &[SinkConfig]) {
        places.keep(&self.readers(sinks).map(|sink| Arc::clone(&sink.id)).collect::<Vec<_>>());
    }

    /// Appends rows for its readers.
    pub(super) fn append(
        &self,
        (sinks, size_max): (&[SinkConfig], u64),
        rows: &mut dyn Iterator<Item = AttemptRow>,
    ) -> Result<(), Unwritten> {
        match self.open(sinks, size_max) {
            Some((spool, _places)) if self.readers(sinks).next().is_some() => spool.append(rows),
            _nobody_wants_them => Ok(()),
        }
    }

    /// Takes client and device out of the rows that are `meant`; how many.
    pub(super) fn erase(&self, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<u64> {
        match self.opened.get() {
            Some((spool, _places)) => spool.erase(meant),
            None => erase_alone(&self.above, meant),
        }
    }

    /// The rows on the disk that are `meant`.
    pub(super) fn waiting_of(&self, meant: &dyn Fn(&AttemptRow) -> bool) -> io::Result<Vec<AttemptRow>> {
        waiting_in(&self.above, meant)
    }

    /// Octets on the disk, and what waits for each reader.
    pub(super) fn waiting(&self) -> (u64, Vec<(Arc<str>, u64)>) {
        self.opened.get().map_or_else(Default::default, |(spool, places)| (spool.bytes(), places.waiting()))
    }
}
