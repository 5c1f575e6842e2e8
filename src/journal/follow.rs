//! What is new in the record: read again every while by whoever wants to see attempts as they come.

use std::collections::HashMap;
use std::time::Duration;

use super::{AttemptRow, Filter, Store, StoreError};
use crate::time::Timestamp;

/// How long after its first attempt a row may grow: a minute, and what a busy disk takes.
const GROWS: Duration = Duration::from_secs(180);
/// Rows that are looked at each time; what is more is said and not told.
const ROWS_MAX: u32 = 5_000;

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Rows that are new or have grown, oldest first; `count` is by how much.
    pub rows: Vec<AttemptRow>,
    /// Whether there were more than are looked at.
    pub cut: bool,
}

/// Follows the record: what was told of rows that may still grow.
#[derive(Debug)]
pub struct Follower {
    filter: Filter,
    shown: HashMap<String, (Timestamp, u64)>,
    from: Timestamp,
}

impl Follower {
    /// Tells of what passes the filter and comes from now on.
    pub fn new(filter: Filter, now: Timestamp) -> Self {
        let filter = Filter { limit: Some(ROWS_MAX), ..filter };
        Self { filter, shown: HashMap::new(), from: now }
    }

    /// Takes what is there for known, and tells what of it came since some moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin(&mut self, store: &Store, since: Option<Timestamp>) -> Result<News, StoreError> {
        let growing = self.growing(self.from);
        let from = since.map_or(growing, |since| since.min(growing));
        let News { rows, cut } = self.read(store, from)?;
        let rows = since.map(|since| rows.into_iter().filter(|row| row.last >= since).collect());
        Ok(News { rows: rows.unwrap_or_default(), cut: cut && since.is_some() })
    }

    /// Tells what has come since the last look.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(&mut self, store: &Store, now: Timestamp) -> Result<News, StoreError> {
        let growing = self.growing(now);
        // What cannot grow any more need not be remembered.
        self.shown.retain(|_key, (last, _count)| *last >= growing);
        self.read(store, growing)
    }

    fn growing(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(GROWS).unwrap_or(self.from)
    }

    fn read(&mut self, store: &Store, from: Timestamp) -> Result<News, StoreError> {
        let filter = Filter { since: Some(from), ..self.filter.clone() };
        let mut rows = store.attempts(&filter)?;
        let cut = rows.len() >= usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        rows.reverse();
        rows.retain_mut(|row| {
            let (last, count) = (row.last, row.count);
            let known = self.shown.insert(key(row), (last, count)).map_or(0, |(_last, count)| count);
            row.count = count.saturating_sub(known);
            row.count > 0
        });
        Ok(News { rows, cut })
    }
}

/// What makes a row one: all but how often it was seen, and when last.
fn key(row: &AttemptRow) -> String {
    let absent = |text: &Option<String>| text.clone().unwrap_or_default();
    let parts = [
        (row.first.as_second() / 60).to_string(),
        row.client.map(|client| client.to_string()).unwrap_or_default(),
        absent(&row.device),
        row.site.clone(),
        absent(&row.qname),
        absent(&row.qtype),
        row.ban.clone(),
        row.category.clone(),
        row.evidence.as_str().to_owned(),
        absent(&row.pattern),
        row.action.as_str().to_owned(),
        row.transport.map(|transport| transport.as_str().to_owned()).unwrap_or_default(),
        row.verified.to_string(),
    ];
    parts.join("\u{1f}")
}
