//! A place in the record of attempts, between two rows.

use std::fmt;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Value;
use serde_json::json;

/// Behind which row a page begins, from the newest to the oldest. As text it is what follows in a link, and nothing that
/// others may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) client: String,
    pub(super) series: i64,
    pub(super) name: String,
    pub(super) pattern: Value,
    pub(super) qtype: i64,
    pub(super) device: String,
}

/// A text that is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the record")]
pub struct NoPlace;

impl Place {
    /// Before every row.
    pub(super) fn newest() -> Self {
        let (client, name, device) = (String::new(), String::new(), String::new());
        Self { minute: i64::MAX, second: 0, client, series: 0, name, pattern: Value::Integer(0), qtype: 0, device }
    }

    /// That of a row whose first columns are those of the key.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            minute: row.get(0)?,
            second: row.get(1)?,
            client: row.get(2)?,
            series: row.get(3)?,
            name: row.get(4)?,
            pattern: row.get(5)?,
            qtype: row.get(6)?,
            device: row.get(7)?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minute, second, client, series, name, pattern, qtype, device } = self;
        let pattern = match pattern {
            Value::Integer(size) => json!(size),
            Value::Text(text) => json!(text),
            Value::Null | Value::Real(_) | Value::Blob(_) => json!(null),
        };
        json!([minute, second, client, series, name, pattern, qtype, device]).fmt(f)
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        type Parts = (i64, i64, String, i64, String, serde_json::Value, i64, String);
        let parts: Parts = serde_json::from_str(text).map_err(|_error| NoPlace)?;
        let (minute, second, client, series, name, pattern, qtype, device) = parts;
        let pattern = match pattern {
            serde_json::Value::String(text) => Value::Text(text),
            other => Value::Integer(other.as_i64().ok_or(NoPlace)?),
        };
        Ok(Self { minute, second, client, series, name, pattern, qtype, device })
    }
}
