//! Clients by what their lookups prove, a page at a time. They come in the order in which they lie: when one was last seen
//! changes while pages are turned, and whoever follows that order misses some and meets others twice.

use std::fmt;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::place::NoPlace;
use super::{LOOK_MAX, SLICE, Wanted};
use crate::journal::read::{ClientRow, Unreadable, client_row, text_is};
use crate::journal::{Store, StoreError};
use crate::priority::make_way;

/// A page of clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientPage {
    /// By ban, evidence, address, device and site.
    pub rows: Vec<ClientRow>,
    /// Where the next page begins; `None`: there are no others.
    pub next: Option<ClientPlace>,
}

/// Behind which client a page begins. As text it is what follows in a link, and nothing that others may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPlace {
    ban: String,
    evidence: String,
    client: String,
    device: String,
    site: String,
}

impl fmt::Display for ClientPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!(self).fmt(f)
    }
}

impl FromStr for ClientPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        serde_json::from_str(text).map_err(|_error| NoPlace)
    }
}

/// All of one ban and evidence behind a place, and those of one address or device among them.
const ALL: &str = "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
    WHERE ban = ?1 AND evidence = ?2 AND (client, device, site) > (?3, ?4, ?5) AND ?6 = '' ORDER BY client, device, site";
const OF_CLIENT: &str = "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
    WHERE ban = ?1 AND evidence = ?2 AND (client, device, site) > (?3, ?4, ?5) AND client = ?6 ORDER BY client, device, site";
/// The plus signs keep SQLite to the index that begins with the device.
const OF_DEVICE: &str = "SELECT client, device, site, ban, evidence, first_seen_ms, last_seen_ms, count FROM clients \
    WHERE +ban = ?1 AND +evidence = ?2 AND (client, device, site) > (?3, ?4, ?5) AND device = ?6 ORDER BY client, device, site";

impl Store {
    /// At most `limit` clients behind a place, of which ban, evidence, site, client, device and times narrow.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn clients_page(
        &self,
        wanted: &Wanted,
        after: Option<&ClientPlace>,
        limit: usize,
    ) -> Result<ClientPage, StoreError> {
        self.clients_looked(wanted, after, limit, LOOK_MAX)
    }

    pub(super) fn clients_looked(
        &self,
        wanted: &Wanted,
        after: Option<&ClientPlace>,
        limit: usize,
        look_max: usize,
    ) -> Result<ClientPage, StoreError> {
        let read = || -> Result<ClientPage, Unreadable> {
            let mut look = Look::new(wanted, limit, look_max);
            let mut begin = match after {
                Some(after) => Some(after.clone()),
                None => self.proof_after("", "")?,
            };
            while let Some(place) = begin {
                if look.wants_proof(&place) && !look.through(self, &place)? {
                    break;
                }
                begin = self.proof_after(&place.ban, &place.evidence)?;
            }
            Ok(look.page)
        };
        read().map_err(|error| self.unreadable(error))
    }

    /// Before every client of the next ban and evidence that there are.
    fn proof_after(&self, ban: &str, evidence: &str) -> rusqlite::Result<Option<ClientPlace>> {
        let sql = "SELECT ban, evidence FROM clients WHERE (ban, evidence) > (?1, ?2) ORDER BY ban, evidence LIMIT 1";
        let place =
            |row: &Row<'_>| Ok(ClientPlace { ban: row.get(0)?, evidence: row.get(1)?, ..ClientPlace::default() });
        self.connection.prepare_cached(sql)?.query_row([ban, evidence], place).optional()
    }
}

/// One page being read.
struct Look<'w> {
    wanted: &'w Wanted,
    client: Option<String>,
    limit: usize,
    /// Rows that it may still look at.
    left: usize,
    /// Behind the last row, once the page is full or has looked at enough.
    end: Option<ClientPlace>,
    page: ClientPage,
}

impl<'w> Look<'w> {
    fn new(wanted: &'w Wanted, limit: usize, look_max: usize) -> Self {
        let client = wanted.client.map(|client| client.to_canonical().to_string());
        Self { wanted, client, limit, left: look_max, end: None, page: ClientPage::default() }
    }

    fn wants_proof(&self, place: &ClientPlace) -> bool {
        self.wanted.ban.as_ref().is_none_or(|ban| place.ban == *ban)
            && self.wanted.evidence.is_none_or(|evidence| place.evidence == evidence.as_str())
    }

    /// Looks through the rest of one ban and evidence; whether others are to be looked through too.
    fn through(&mut self, store: &Store, begin: &ClientPlace) -> Result<bool, Unreadable> {
        let ClientPlace { ban, evidence, client, device, site } = begin;
        let (sql, key) = self.fewest();
        let mut select = store.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![ban, evidence, client, device, site, key])?;
        while let Some(row) = rows.next()? {
            if self.end.is_some() {
                self.page.next = self.end.take();
                return Ok(false);
            }
            self.left = self.left.saturating_sub(1);
            if self.left.is_multiple_of(SLICE) {
                make_way();
            }
            if self.wants(row) {
                self.page.rows.push(client_row(row)?);
            }
            if self.left == 0 || self.page.rows.len() >= self.limit {
                self.end = Some(ClientPlace {
                    ban: ban.clone(),
                    evidence: evidence.clone(),
                    client: row.get(0)?,
                    device: row.get(1)?,
                    site: row.get(2)?,
                });
            }
        }
        Ok(true)
    }

    /// How the fewest rows are read.
    fn fewest(&self) -> (&'static str, String) {
        match (&self.client, &self.wanted.device) {
            (Some(client), _) => (OF_CLIENT, client.clone()),
            // An address that stands for a device.
            (None, Some(device)) if device.parse::<std::net::IpAddr>().is_ok() => (OF_CLIENT, device.clone()),
            (None, Some(device)) => (OF_DEVICE, device.clone()),
            (None, None) => (ALL, String::new()),
        }
    }

    fn wants(&self, row: &Row<'_>) -> bool {
        let Wanted { site, device, since, until, .. } = self.wanted;
        let is_device = |device: &String| text_is(row, 1, device) || text_is(row, 1, "") && text_is(row, 0, device);
        let millis = |column| row.get::<_, i64>(column).unwrap_or_default();
        site.as_ref().is_none_or(|site| text_is(row, 2, site))
            && device.as_ref().is_none_or(is_device)
            && since.is_none_or(|since| millis(6) >= since.as_millisecond())
            && until.is_none_or(|until| millis(5) <= until.as_millisecond())
    }
}
