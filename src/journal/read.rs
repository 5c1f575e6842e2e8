//! Reading the store: while a server writes it, and after it died.

use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde::Serialize;

use super::StoreError;
use super::browse::Common;
use super::database::{FILE, SEVERAL_TEXT, SEVERAL_TYPES, beside, check_format, check_length, length};
use super::words;

use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::{Transport, rtype};

/// Time to wait while another process opens or checkpoints the store.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which rows to read; every field that is set narrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this ban.
    pub ban: Option<String>,
    /// Only this client.
    pub client: Option<IpAddr>,
    /// Only rows last seen at or after this moment.
    pub since: Option<Timestamp>,
    /// Only rows first seen at or before this moment.
    pub until: Option<Timestamp>,
    /// Only this evidence.
    pub evidence: Option<Evidence>,
    /// The newest rows, at most so many.
    pub limit: Option<u32>,
}

/// Attempts that were folded into one row. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptRow {
    /// The first of them.
    #[serde(serialize_with = "words::time")]
    pub first: Timestamp,
    /// The last of them.
    #[serde(serialize_with = "words::time")]
    pub last: Timestamp,
    /// Who asked; `None`: too many rows at once to tell.
    pub client: Option<IpAddr>,
    /// The client's device; `None`: not known.
    pub device: Option<String>,
    /// Where the client is.
    pub site: String,
    /// The name asked for, with RFC 4343 escapes; `None`: too many rows at once to tell.
    pub qname: Option<String>,
    /// The type asked for, in words; `None`: too many rows at once to tell.
    pub qtype: Option<String>,
    /// The ban's id.
    pub ban: String,
    /// The rule's category.
    pub category: String,
    /// What it proves.
    #[serde(serialize_with = "words::evidence")]
    pub evidence: Evidence,
    /// The rule's pattern; `None`: too many rows at once to tell.
    pub pattern: Option<String>,
    /// What was done.
    #[serde(serialize_with = "words::did")]
    pub action: Did,
    /// How the queries came; `None`: too many rows at once to tell, or the log that tells of them does not say.
    #[serde(serialize_with = "words::transport")]
    pub transport: Option<Transport>,
    /// Whether the client has shown that the address is its own.
    pub verified: bool,
    /// How many attempts.
    pub count: u64,
}

/// A client and what was seen of it. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientRow {
    /// Its address.
    pub client: IpAddr,
    /// Its device; `None`: not known.
    pub device: Option<String>,
    /// Where it is.
    pub site: String,
    /// The ban's id.
    pub ban: String,
    /// What its lookups prove.
    #[serde(serialize_with = "words::evidence")]
    pub evidence: Evidence,
    /// The first of them.
    #[serde(serialize_with = "words::time")]
    pub first_seen: Timestamp,
    /// The last of them.
    #[serde(serialize_with = "words::time")]
    pub last_seen: Timestamp,
    /// How many.
    pub count: u64,
}

/// What one client tried by one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Who asked; `None`: too many rows at once to tell.
    pub client: Option<IpAddr>,
    /// The name asked for, with RFC 4343 escapes; `None`: too many rows at once to tell.
    pub qname: Option<String>,
    /// The rule's pattern; `None`: too many rows at once to tell.
    pub pattern: Option<String>,
    /// How many attempts.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
}

/// What was tried of one category of a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryRow {
    /// The category.
    pub category: String,
    /// Devices that tried it.
    pub devices: u64,
    /// How many lookups.
    pub lookups: u64,
}

/// The store, open for reading.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens the store in a state directory and leaves the record as it is. Works while a server writes it, and after one
    /// died. Needs the rights of the server's user.
    ///
    /// # Errors
    /// [`StoreError`] when it is missing, unreadable, damaged, or of another format.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE);
        fs::metadata(&path).map_err(|error| StoreError::io(&path, &error))?;
        match Self::open(&path, "mode=ro") {
            // A reader of a write-ahead log needs the files beside it, and may not make them in a directory that is not
            // its own. Where there is no log there is no writer and nothing to read but the file: then it may be taken
            // as one that does not change.
            Err(StoreError::Denied { .. }) if length(&beside(&path, "-wal")).unwrap_or(0) == 0 => {
                Self::open(&path, "immutable=1")
            }
            other => other,
        }
    }

    fn open(path: &Path, how: &str) -> Result<Self, StoreError> {
        let fail = |error: rusqlite::Error| StoreError::new(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(path, how), flags).map_err(fail)?;
        connection.busy_timeout(LOCK_TIMEOUT).map_err(fail)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(fail)?;
        check_format(&connection, path, false)?;
        check_length(&connection, path)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The attempts that pass the filter, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn attempts(&self, filter: &Filter) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = "SELECT a.first_ms, a.last_ms, a.client, a.device, s.site, a.name, a.qtype, s.ban, s.category, \
                   s.evidence, a.pattern, s.action, s.transport, s.verified, a.count \
                   FROM attempts AS a CROSS JOIN series AS s ON s.id = a.series \
                   WHERE a.minute BETWEEN ?1 / 60000 AND ?2 / 60000 AND a.last_ms >= ?1 AND a.first_ms <= ?2 \
                   AND (?3 IS NULL OR s.ban = ?3) AND (?4 IS NULL OR a.client = ?4) \
                   AND (?5 IS NULL OR s.evidence = ?5) \
                   ORDER BY a.minute DESC, a.last_ms DESC, a.client, a.name, a.qtype LIMIT ?6";
        self.rows(sql, filter, attempt_row)
    }

    /// The clients that pass the filter, last seen first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn clients(&self, filter: &Filter) -> Result<Vec<ClientRow>, StoreError> {
        let sql = "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
                   WHERE last_seen_ms >= ?1 AND first_seen_ms <= ?2 \
                   AND (?3 IS NULL OR ban = ?3) AND (?4 IS NULL OR client = ?4) AND (?5 IS NULL OR evidence = ?5) \
                   ORDER BY last_seen_ms DESC, client, ban, evidence, site LIMIT ?6";
        self.rows(sql, filter, client_row)
    }

    /// The clients that pass the filter, of devices that had tried nothing of their ban before `since`, last seen first. An address
    /// without a device stands for one.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn new_clients(&self, filter: &Filter, since: Timestamp) -> Result<Vec<ClientRow>, StoreError> {
        let who = "CASE device WHEN '' THEN client ELSE device END";
        let sql = format!(
            "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
             WHERE last_seen_ms >= ?1 AND first_seen_ms <= ?2 \
             AND (?3 IS NULL OR ban = ?3) AND (?4 IS NULL OR client = ?4) AND (?5 IS NULL OR evidence = ?5) \
             AND (ban, {who}) IN (SELECT ban, {who} FROM clients GROUP BY 1, 2 HAVING min(first_seen_ms) >= {}) \
             ORDER BY last_seen_ms DESC, client, ban, evidence, site LIMIT ?6",
            since.as_millisecond()
        );
        self.rows(&sql, filter, client_row)
    }

    /// Visits what each client tried by each rule; only attempts of the time from `since` on. Reads the whole record, whatever
    /// its size, without holding it.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn visit_tried(&self, since: Option<Timestamp>, visit: &mut dyn FnMut(Tried)) -> Result<(), StoreError> {
        let sql = "SELECT client, name, pattern, sum(count), max(last_ms) FROM attempts \
                   WHERE minute >= ?1 / 60000 AND last_ms >= ?1 GROUP BY client, name, pattern";
        let since = since.map_or(0, Timestamp::as_millisecond);
        let mut read = || -> Result<(), Unreadable> {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query([since])?;
            while let Some(row) = rows.next()? {
                visit(tried(row)?);
            }
            Ok(())
        };
        read().map_err(|error| self.unreadable(error))
    }

    /// Who tried names of a ban, each once: the device as it was called then, empty where there was none, and its address.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn who_tried(&self, ban: &str) -> Result<Vec<(String, IpAddr)>, StoreError> {
        let sql = "SELECT DISTINCT a.device, a.client FROM attempts AS a CROSS JOIN series AS s ON s.id = a.series \
                   WHERE s.ban = ?1 AND a.client <> '' ORDER BY a.device, a.client";
        let read = || -> Result<Vec<(String, IpAddr)>, Unreadable> {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query([ban])?;
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                let client: String = row.get(1)?;
                let client = client.parse().map_err(|_error| Unreadable::Value(format!("`{client}` is no address")))?;
                read.push((row.get(0)?, client));
            }
            Ok(read)
        };
        read().map_err(|error| self.unreadable(error))
    }

    /// How many devices tried names of each category of a ban, and how often, from one moment to before another; of one site, if
    /// there is one. An address without a device stands for one.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn by_category(
        &self,
        ban: &str,
        (from, until): (Timestamp, Timestamp),
        site: Option<&str>,
    ) -> Result<Vec<CategoryRow>, StoreError> {
        let sql = "SELECT s.category, count(DISTINCT CASE a.device WHEN '' THEN a.client ELSE a.device END), sum(a.count) \
                   FROM attempts AS a CROSS JOIN series AS s ON s.id = a.series \
                   WHERE a.minute >= ?1 / 60000 AND a.minute < ?2 / 60000 AND s.ban = ?3 AND (?4 IS NULL OR s.site = ?4) \
                   AND a.client <> '' GROUP BY s.category ORDER BY s.category";
        let read = || -> Result<Vec<CategoryRow>, Unreadable> {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query(params![from.as_millisecond(), until.as_millisecond(), ban, site])?;
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                let (devices, lookups) = (count(row.get(1)?)?, count(row.get(2)?)?);
                read.push(CategoryRow { category: row.get(0)?, devices, lookups });
            }
            Ok(read)
        };
        read().map_err(|error| self.unreadable(error))
    }

    pub(super) fn unreadable(&self, error: Unreadable) -> StoreError {
        match error {
            Unreadable::Value(reason) => StoreError::value(&self.path, reason),
            Unreadable::Sqlite(error) => StoreError::new(&self.path, &error),
        }
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        filter: &Filter,
        read: fn(&Row<'_>) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, StoreError> {
        let since = filter.since.map_or(0, Timestamp::as_millisecond);
        let until = filter.until.map_or(i64::MAX, Timestamp::as_millisecond);
        let client = filter.client.map(|client| client.to_canonical().to_string());
        let evidence = filter.evidence.map(Evidence::as_str);
        let limit = filter.limit.map_or(-1, i64::from);
        let select = || -> Result<Vec<T>, Unreadable> {
            let mut select = self.connection.prepare_cached(sql)?;
            let mut rows = select.query(params![since, until, filter.ban, client, evidence, limit])?;
            let mut read_rows = Vec::new();
            while let Some(row) = rows.next()? {
                read_rows.push(read(row)?);
            }
            Ok(read_rows)
        };
        select().map_err(|error| self.unreadable(error))
    }
}

/// Why a row can't be read.
pub(super) enum Unreadable {
    Sqlite(rusqlite::Error),
    /// A value that no version of Embargo writes.
    Value(String),
}

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Value(error.to_string()),
            other => Self::Sqlite(other),
        }
    }
}

/// An attempt of which the columns are those of the key, count, first and last time, and the rest is that of its series.
pub(super) fn attempt_of(row: &Row<'_>, common: &Common) -> Result<AttemptRow, Unreadable> {
    let client: Option<String> = told(row.get(2)?);
    let transport: Option<String> = told(common.transport.clone());
    let qname: String = row.get(4)?;
    Ok(AttemptRow {
        first: moment(row.get(9)?)?,
        last: moment(row.get(10)?)?,
        client: client.map(|client| address(&client)).transpose()?,
        device: told(row.get(7)?),
        site: common.site.clone(),
        pattern: pattern(row, 5, &qname)?,
        qname: told(qname),
        qtype: Some(row.get(6)?).filter(|&qtype| qtype != SEVERAL_TYPES).map(type_in_words).transpose()?,
        ban: common.ban.clone(),
        category: common.category.clone(),
        evidence: common.evidence,
        action: word(Did::ALL, Did::as_str, &common.action)?,
        transport: transport.map(|word_| word(Transport::ALL, Transport::as_str, &word_)).transpose()?,
        verified: common.verified,
        count: count(row.get(8)?)?,
    })
}

/// Whether a column is this text; told without a copy of it.
pub(super) fn text_is(row: &Row<'_>, column: usize, text: &str) -> bool {
    matches!(row.get_ref(column), Ok(ValueRef::Text(octets)) if octets == text.as_bytes())
}

pub(super) fn attempt_row(row: &Row<'_>) -> Result<AttemptRow, Unreadable> {
    let client: Option<String> = told(row.get(2)?);
    let transport: Option<String> = told(row.get(12)?);
    let qname: String = row.get(5)?;
    Ok(AttemptRow {
        first: moment(row.get(0)?)?,
        last: moment(row.get(1)?)?,
        client: client.map(|client| address(&client)).transpose()?,
        device: told(row.get(3)?),
        site: row.get(4)?,
        pattern: pattern(row, 10, &qname)?,
        qname: told(qname),
        qtype: Some(row.get(6)?).filter(|&qtype| qtype != SEVERAL_TYPES).map(type_in_words).transpose()?,
        ban: row.get(7)?,
        category: row.get(8)?,
        evidence: word(Evidence::ALL, Evidence::as_str, &row.get::<_, String>(9)?)?,
        action: word(Did::ALL, Did::as_str, &row.get::<_, String>(11)?)?,
        transport: transport.map(|word_| word(Transport::ALL, Transport::as_str, &word_)).transpose()?,
        verified: row.get(13)?,
        count: count(row.get(14)?)?,
    })
}

fn tried(row: &Row<'_>) -> Result<Tried, Unreadable> {
    let client: Option<String> = told(row.get(0)?);
    let qname: String = row.get(1)?;
    Ok(Tried {
        client: client.map(|client| address(&client)).transpose()?,
        pattern: pattern(row, 2, &qname)?,
        qname: told(qname),
        count: count(row.get(3)?)?,
        last: moment(row.get(4)?)?,
    })
}

pub(super) fn client_row(row: &Row<'_>) -> Result<ClientRow, Unreadable> {
    Ok(ClientRow {
        client: address(&row.get::<_, String>(0)?)?,
        device: told(row.get(1)?),
        site: row.get(2)?,
        ban: row.get(3)?,
        evidence: word(Evidence::ALL, Evidence::as_str, &row.get::<_, String>(4)?)?,
        first_seen: moment(row.get(5)?)?,
        last_seen: moment(row.get(6)?)?,
        count: count(row.get(7)?)?,
    })
}

/// The pattern, which is written as a number when it is so many of the name's last characters.
fn pattern(row: &Row<'_>, column: usize, qname: &str) -> Result<Option<String>, Unreadable> {
    let ValueRef::Integer(size) = row.get_ref(column)? else { return Ok(told(row.get(column)?)) };
    let start = usize::try_from(size).ok().and_then(|size| qname.len().checked_sub(size));
    let end = start.and_then(|start| qname.get(start..)).filter(|end| !end.is_empty());
    end.map(|end| Some(end.to_owned())).ok_or_else(|| Unreadable::Value(format!("pattern of {size} characters")))
}

/// The text, unless it is the one that stands for several or none.
pub(super) fn told(text: String) -> Option<String> {
    Some(text).filter(|text| text != SEVERAL_TEXT)
}

pub(super) fn count(count: i64) -> Result<u64, Unreadable> {
    u64::try_from(count).map_err(|error| Unreadable::Value(format!("count {count}: {error}")))
}

pub(super) fn moment(millis: i64) -> Result<Timestamp, Unreadable> {
    Timestamp::from_millisecond(millis).map_err(|error| Unreadable::Value(error.to_string()))
}

pub(super) fn address(text: &str) -> Result<IpAddr, Unreadable> {
    text.parse().map_err(|error| Unreadable::Value(format!("client `{}`: {error}", text.escape_debug())))
}

fn type_in_words(qtype: i64) -> Result<String, Unreadable> {
    let known = u16::try_from(qtype).map(|qtype| rtype::mnemonic(qtype).into_owned());
    known.map_err(|error| Unreadable::Value(format!("qtype {qtype}: {error}")))
}

/// The value whose word this is.
pub(super) fn word<T: Copy, const N: usize>(
    all: [T; N],
    as_str: fn(T) -> &'static str,
    text: &str,
) -> Result<T, Unreadable> {
    let known = all.into_iter().find(|&value| as_str(value) == text);
    known.ok_or_else(|| Unreadable::Value(format!("unknown word `{}`", text.escape_debug())))
}

/// The file as SQLite's URI (RFC 8089, with everything escaped that could mean something).
pub(super) fn uri(path: &Path, how: &str) -> String {
    let mut uri = String::from("file:");
    for &octet in path.as_os_str().as_bytes() {
        if octet.is_ascii_alphanumeric() || b"/-_.".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            uri.extend(["%", &format!("{octet:02X}")]);
        }
    }
    uri + "?" + how
}
