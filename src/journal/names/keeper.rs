//! What the journal's thread does about the record of names once a second.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::fold::{Fold, Rows};
use super::store::Names;
use super::{NamesConfig, day};
use crate::journal::{Erased, Person, Privacy, StoreError};
use crate::metrics::Metrics;
use crate::time::Timestamp;

/// Ticks between two writings: the more queries become one row, the less is written. So much is lost if the process is killed.
const WRITE_TICKS: u32 = 10;
/// Ticks between two looks at what has to go.
const ERASE_TICKS: u32 = 600;
/// Rows written at a tick, about, so that attempts do not wait for names.
const ROWS_AT_ONCE: usize = 4_096;

/// What is on its way to the file.
#[derive(Debug)]
pub(in super::super) struct Keeper {
    state_dir: PathBuf,
    lock_timeout: Duration,
    names: Option<Names>,
    batch: Vec<Rows>,
    /// Queries for which there was no room, by day.
    gaps: BTreeMap<i64, u64>,
    write_in: u32,
    erase_in: u32,
    trouble: Option<StoreError>,
}

impl Keeper {
    pub(in super::super) fn new(state_dir: PathBuf, lock_timeout: Duration) -> Self {
        let (batch, gaps) = (Vec::new(), BTreeMap::new());
        Self { state_dir, lock_timeout, names: None, batch, gaps, write_in: 0, erase_in: 0, trouble: None }
    }

    /// Writes what waits, `all` of it or what is due, and erases what is too old at `now`.
    pub(in super::super) fn tick(
        &mut self,
        fold: &Fold,
        (config, privacy): (&Mutex<NamesConfig>, &Privacy),
        metrics: &Metrics,
        now: Timestamp,
        all: bool,
    ) -> Result<(), StoreError> {
        let config = *config.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_in = self.write_in.saturating_sub(1);
        self.erase_in = self.erase_in.saturating_sub(1);
        let result = self.write(fold, (config, privacy), metrics, all).and_then(|()| self.erase(config, now, all));
        self.report(&result);
        if result.is_err() {
            // Opened anew the next time.
            self.names = None;
        }
        result
    }

    /// Erases what somebody asked of what is written, and adds that to what was erased otherwise.
    pub(in super::super) fn erase_of(&mut self, person: &Person, erased: &mut Erased) -> Result<(), StoreError> {
        if self.names.is_none() && !Names::exists(&self.state_dir) {
            return Ok(());
        }
        let names = open(&mut self.names, &self.state_dir, NamesConfig::default(), self.lock_timeout)?;
        let (rows, not_overwritten) = names.erase_of(&person.clients_json())?;
        erased.names += rows;
        erased.not_overwritten = erased.not_overwritten.take().or(not_overwritten);
        // Opened anew with the limits that are set.
        self.names = None;
        Ok(())
    }

    /// Moves the log into the file, for a tidy end.
    pub(in super::super) fn finish(&mut self) -> Result<(), StoreError> {
        self.names.as_ref().map_or(Ok(()), Names::checkpoint)
    }

    fn write(
        &mut self,
        fold: &Fold,
        how: (NamesConfig, &Privacy),
        metrics: &Metrics,
        all: bool,
    ) -> Result<(), StoreError> {
        if self.batch.is_empty() && (all || self.write_in == 0 || fold.is_crowded()) {
            self.batch = fold.take();
            self.write_in = WRITE_TICKS;
            for (day, lost) in self.batch.iter_mut().flat_map(|rows| std::mem::take(&mut rows.lost)) {
                metrics.record.names_lost.add(lost);
                *self.gaps.entry(day).or_default() += lost;
            }
            self.batch.retain(|rows| !rows.rows().is_empty());
        }
        while !(self.batch.is_empty() && self.gaps.is_empty()) {
            self.write_some(how, metrics)?;
            if !all {
                break;
            }
        }
        Ok(())
    }

    /// Writes some parts of the batch, or counts them as lost where the file has no room.
    fn write_some(&mut self, (config, privacy): (NamesConfig, &Privacy), metrics: &Metrics) -> Result<(), StoreError> {
        let mut rows = 0;
        let parts = self.batch.iter().take_while(|part| {
            let more = rows < ROWS_AT_ONCE;
            rows += part.rows().len();
            more
        });
        let parts = parts.count();
        let some = &self.batch[..parts];
        let queries = some.iter().flat_map(Rows::rows).map(|row| row.count).sum();
        let names = open(&mut self.names, &self.state_dir, config, self.lock_timeout)?;
        let is_full = names.used_bytes()? >= config.size_max_bytes;
        let added = if is_full { None } else { room(names.add(some, self.gaps.clone(), privacy))? };
        if added.is_some() {
            metrics.record.names_stored.add(queries);
        } else {
            let mut gaps = self.gaps.clone();
            for row in some.iter().flat_map(Rows::rows) {
                *gaps.entry(row.day).or_default() += row.count;
            }
            // On a disk that takes not even this, all of it is tried again.
            names.add([], gaps, privacy)?;
            metrics.record.names_lost.add(queries);
        }
        self.gaps.clear();
        self.batch.drain(..parts);
        Ok(())
    }

    /// Erases what is too old; and the file, once nothing is left in it and nothing is recorded any more.
    fn erase(&mut self, config: NamesConfig, now: Timestamp, all: bool) -> Result<(), StoreError> {
        if (self.erase_in > 0 && !all) || (self.names.is_none() && !Names::exists(&self.state_dir)) {
            return Ok(());
        }
        let names = open(&mut self.names, &self.state_dir, config, self.lock_timeout)?;
        let whole = names.erase(day(now.as_millisecond()) - i64::from(config.keep_days))?;
        self.erase_in = if whole { ERASE_TICKS } else { 0 };
        if !config.enabled
            && names.is_empty()?
            && let Some(names) = self.names.take()
        {
            names.remove()?;
            info!("The record of names is empty and no longer kept: its file is removed.");
        }
        Ok(())
    }

    fn report(&mut self, result: &Result<(), StoreError>) {
        let trouble = result.as_ref().err();
        match (trouble, &self.trouble) {
            (Some(now), before) if before.as_ref() != Some(now) => {
                warn!(error = %now, "The record of names can't be written; what there is no room for is counted.");
            }
            (None, Some(_)) => info!("The record of names is written again."),
            _ => (),
        }
        self.trouble = trouble.cloned();
    }
}

/// `None`: there was no room.
fn room(added: Result<(), StoreError>) -> Result<Option<()>, StoreError> {
    match added {
        Ok(()) => Ok(Some(())),
        Err(StoreError::Full { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open<'k>(
    names: &'k mut Option<Names>,
    state_dir: &std::path::Path,
    config: NamesConfig,
    lock_timeout: Duration,
) -> Result<&'k mut Names, StoreError> {
    match names {
        Some(names) => Ok(names),
        None => Ok(names.insert(Names::open(state_dir, config.size_max_bytes, lock_timeout)?)),
    }
}
