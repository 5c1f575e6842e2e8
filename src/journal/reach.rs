//! How far back attempts reach one by one: they are kept for less long than presence, and are the first to go when there is no room.

use std::ops::RangeInclusive;

use super::{Store, StoreError};
use crate::time::Day;

impl Store {
    /// The first of these days from which on all attempts are still on record, where those of the first ones are not; one after
    /// the last: none is. `None`: all there were are. That some are gone is known by the presence of whoever made them.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn attempts_since(&self, days: &RangeInclusive<Day>) -> Result<Option<Day>, StoreError> {
        let oldest = "SELECT min(minute) FROM attempts";
        let gone = "SELECT EXISTS (SELECT 1 FROM signs AS s CROSS JOIN presence AS p ON p.sign = s.id \
                    WHERE s.what = 'seen' AND p.day BETWEEN ?1 AND ?2)";
        let read = || -> rusqlite::Result<Option<Day>> {
            let oldest: Option<i64> = self.connection.query_row(oldest, [], |row| row.get(0))?;
            let after = days.end().plus(1);
            let since =
                oldest.map_or(after, |minute| Day(i32::try_from(minute / 1_440).unwrap_or(i32::MAX)).min(after));
            if since <= *days.start() {
                return Ok(None);
            }
            let is_gone = self.connection.query_row(gone, [days.start().0, since.plus(-1).0], |row| row.get(0))?;
            Ok(Some(since).filter(|_since| is_gone))
        };
        read().map_err(|error| StoreError::new(&self.path, &error))
    }
}
