//! Adding a batch to the tables.
//!
//! Rows are added in the order of their key, which begins with the second in which they began: new ones lie side by side
//! at the end of the table, so that a batch touches few pages, however random names and clients are.

use std::net::IpAddr;
use std::ops::Range;

use hashbrown::HashMap;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use super::asked::{Form, address};
use super::batch::Batch;
use super::database::{SEVERAL_TEXT, SEVERAL_TYPES};
use super::overflow::Key;
use super::pending::{Pending, Row};
use super::tally::Tally;
use super::{Level, Privacy, Series, SeriesId, connected, presence};
use crate::identity::{self, Devices};
use crate::policy::PatternKind;
use crate::priority::make_way;
use crate::time::Timestamp;
use crate::wire::{Presented, Transport};

/// Rows after which a thread that waits for the processor gets it: some tens of microseconds.
pub(super) const SLICE: usize = 32;

/// Adds the batch.
pub(super) fn add(
    transaction: &Transaction<'_>,
    batch: &Batch,
    (devices, privacy): (&Devices, &Privacy),
    known: &mut presence::Known,
) -> rusqlite::Result<()> {
    let (clients, holders) = (Clients::of(batch, privacy), Holders::of(batch, devices, privacy));
    add_attempts(transaction, batch, &clients, &holders)?;
    add_clients(transaction, batch, &clients, &holders)?;
    presence::add(transaction, batch, (&clients, &holders), known)?;
    if !batch.active.is_empty() {
        // Of no window: that is time in which a server of ours ran.
        presence::add_active(transaction, &batch.active, (devices, privacy), Timestamp::UNIX_EPOCH, known)?;
    }
    connected::add(transaction, &batch.connected, (devices, privacy), known)
}

/// The clients of a batch in the order of their text, which is that of the tables, as they may be written.
pub(super) struct Clients {
    texts: Vec<(String, IpAddr)>,
    ranks: HashMap<u128, u32>,
}

impl Clients {
    pub(super) fn of(batch: &Batch, privacy: &Privacy) -> Self {
        let mut levels = HashMap::<u128, Level>::new();
        for row in batch.parts.iter().flat_map(Pending::rows) {
            let level = levels.entry(row.client).or_default();
            *level = batch.level(privacy, row).max(*level);
        }
        // Of whom nothing may be written there are no rows; were there one, it would be nobody's.
        let shown = |(&client, &level)| privacy.address(address(client), level).map(|shown| (shown, client));
        let mut texts: Vec<_> =
            levels.iter().filter_map(shown).map(|(shown, client)| (shown.to_string(), shown, client)).collect();
        texts.sort_unstable();
        let ranks = texts.iter().zip(1..).map(|(&(_, _, client), rank)| (client, rank)).collect();
        Self { texts: texts.into_iter().map(|(text, shown, _)| (text, shown)).collect(), ranks }
    }

    /// A client as it may be shown; `None`: not at all.
    pub(super) fn address(&self, client: u128) -> Option<IpAddr> {
        let at = (self.rank(client) as usize).checked_sub(1)?;
        self.texts.get(at).map(|&(_, shown)| shown)
    }

    /// The place of a client; 0 is that of several.
    pub(super) fn rank(&self, client: u128) -> u32 {
        self.ranks.get(&client).copied().unwrap_or(0)
    }

    pub(super) fn text(&self, rank: u32) -> &str {
        let known = (rank as usize).checked_sub(1).and_then(|at| self.texts.get(at));
        known.map_or(SEVERAL_TEXT, |(text, _)| text)
    }
}

/// Who held the clients' addresses when each row began, in the order of the rows.
pub(super) struct Holders {
    /// Empty: nobody is known.
    ranks: Vec<u32>,
    texts: Vec<String>,
}

impl Holders {
    pub(super) fn of(batch: &Batch, devices: &Devices, privacy: &Privacy) -> Self {
        let mut holders = Self::by_name(batch, devices);
        if !privacy.is_full() {
            let rows = batch.parts.iter().flat_map(Pending::rows);
            holders.rename(rows.map(|row| batch.level(privacy, row)), privacy);
        }
        holders
    }

    /// Puts pseudonyms in the place of names where rows want them.
    fn rename(&mut self, levels: impl Iterator<Item = Level>, privacy: &Privacy) {
        let mut renamed = HashMap::<u32, u32>::new();
        for (rank, level) in
            self.ranks.iter_mut().zip(levels).filter(|(rank, level)| **rank > 0 && *level > Level::Full)
        {
            *rank = *renamed.entry(*rank).or_insert_with(|| {
                let pseudonym = privacy.device(&self.texts[*rank as usize]).filter(|_key| level == Level::Hashed);
                let Some(pseudonym) = pseudonym else { return 0 };
                self.texts.push(pseudonym);
                u32::try_from(self.texts.len() - 1).unwrap_or_default()
            });
        }
    }

    fn by_name(batch: &Batch, devices: &Devices) -> Self {
        // The first text is that of a device that is not known.
        let mut texts = vec![SEVERAL_TEXT.to_owned()];
        if devices.knows_nobody() {
            return Self { ranks: Vec::new(), texts };
        }
        let mut known = HashMap::<String, u32>::from_iter([(SEVERAL_TEXT.to_owned(), 0)]);
        let rows = batch.parts.iter().flat_map(Pending::rows);
        let asked = rows.map(|row| identity::Asked {
            address: address(row.client),
            told: row.told,
            at: Timestamp::from_millisecond(row.tally.first).unwrap_or_default(),
        });
        let ranks = devices.who(asked, |device| {
            known.get(device).copied().unwrap_or_else(|| {
                let rank = u32::try_from(texts.len()).unwrap_or_default();
                texts.push(device.to_owned());
                known.insert(device.to_owned(), rank);
                rank
            })
        });
        Self { ranks, texts }
    }

    /// The device of a row, by the place of the row; `None`: not known.
    pub(super) fn of_row(&self, row: usize) -> Option<&str> {
        Some(self.text(self.rank(row))).filter(|device| *device != SEVERAL_TEXT)
    }

    /// The place of the device of a row, by the place of the row.
    pub(super) fn rank(&self, row: usize) -> u32 {
        self.ranks.get(row).copied().unwrap_or(0)
    }

    pub(super) fn text(&self, rank: u32) -> &str {
        self.texts.get(rank as usize).map_or(SEVERAL_TEXT, String::as_str)
    }
}

/// A pattern as the table holds it.
enum Pattern {
    /// The last so many characters of the name.
    End(usize),
    /// A piece of [`Table::text`].
    Text(Range<usize>),
}

/// A row for the table.
struct Record {
    minute: u32,
    second: u8,
    /// Its place among [`Clients`].
    client: u32,
    /// Its place among [`Holders`].
    device: u32,
    series: i64,
    /// A piece of [`Table::text`].
    name: Range<usize>,
    pattern: Pattern,
    qtype: i64,
    tally: Tally,
}

impl Record {
    /// What comes before the name in the key.
    fn order(&self) -> u128 {
        let series = u128::from(self.series.unsigned_abs());
        u128::from(self.minute) << 96 | u128::from(self.second) << 88 | u128::from(self.client) << 56 | series
    }
}

/// Rows for the table, and their words one behind the other.
struct Table<'t, 'b> {
    text: Vec<u8>,
    rows: Vec<Record>,
    series: Numbers<'t, 'b>,
}

impl Table<'_, '_> {
    fn push(&mut self, (client, device): (u32, u32), part: &Pending, row: &Row) -> rusqlite::Result<()> {
        let series = self.series.number(row.series(), row.form())?;
        let (name, pattern) = self.words(part, row);
        let qtype = row.qtype().map_or(SEVERAL_TYPES, i64::from);
        let (minute, &Row { second, tally, .. }) = (row.minute(), row);
        self.rows.push(Record { minute, second, client, device, series, name, pattern, qtype, tally });
        Ok(())
    }

    fn push_overflow(&mut self, key: Key, tally: Tally) -> rusqlite::Result<()> {
        let form = Form { action: key.action, transport: None, verified: false };
        let series = self.series.number(key.series, form)?;
        let (minute, none) = (key.minute, 0..0);
        let pattern = Pattern::Text(none.clone());
        self.rows.push(Record {
            minute,
            second: 0,
            client: 0,
            device: 0,
            series,
            name: none,
            pattern,
            qtype: SEVERAL_TYPES,
            tally,
        });
        Ok(())
    }

    /// Name and pattern in words.
    fn words(&mut self, part: &Pending, row: &Row) -> (Range<usize>, Pattern) {
        let (name, pattern) = (part.name(row), part.pattern(row));
        let start = self.text.len();
        let plain = pattern.kind == PatternKind::Suffix && !pattern.allow && pattern.wire.len() > 1;
        if let Some(front) = name.strip_suffix(pattern.wire).filter(|front| plain && is_labels(front)) {
            if !front.is_empty() {
                Presented(front).append_to(&mut self.text);
                self.text.push(b'.');
            }
            let end = self.text.len();
            Presented(pattern.wire).append_to(&mut self.text);
            return (start..self.text.len(), Pattern::End(self.text.len() - end));
        }
        if !name.is_empty() {
            Presented(name).append_to(&mut self.text);
        }
        let end = self.text.len();
        if pattern.wire.is_empty() {
            return (start..end, Pattern::Text(end..end));
        }
        self.text.extend_from_slice(pattern.to_string().as_bytes());
        (start..end, Pattern::Text(end..self.text.len()))
    }

    /// The places of the lines in the order of the key.
    fn in_order(&self) -> Vec<usize> {
        let name = |at: usize| self.text.get(self.rows[at].name.clone()).unwrap_or_default();
        // Most names differ in their first octets: then nothing is read from elsewhere to tell them apart.
        let order = |(at, line): (usize, &Record)| (line.order(), first_octets(name(at)), at);
        let mut order: Vec<_> = self.rows.iter().enumerate().map(order).collect();
        order.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| name(a.2).cmp(name(b.2))));
        order.into_iter().map(|(_, _, at)| at).collect()
    }
}

/// The first eight octets as a number that sorts like them.
fn first_octets(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(first.len());
    first[..len].copy_from_slice(&text[..len]);
    u64::from_be_bytes(first)
}

/// Whether these octets are whole labels: a name may hold, inside a label, the octets of another name.
fn is_labels(wire: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&size) = wire.get(at) {
        at += 1 + usize::from(size);
    }
    at == wire.len()
}

fn add_attempts(
    transaction: &Transaction<'_>,
    batch: &Batch,
    clients: &Clients,
    holders: &Holders,
) -> rusqlite::Result<()> {
    let series = Numbers::new(transaction, batch)?;
    let mut table = Table { text: Vec::new(), rows: Vec::with_capacity(batch.len()), series };
    let mut places = 0..;
    for part in &batch.parts {
        make_way();
        for (row, place) in part.rows().iter().zip(&mut places) {
            table.push((clients.rank(row.client), holders.rank(place)), part, row)?;
        }
    }
    for (&key, &tally) in &batch.overflow {
        table.push_overflow(key, tally)?;
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO attempts (minute, second, client, series, name, pattern, qtype, count, first_ms, last_ms, device) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, first_ms = min(first_ms, excluded.first_ms), \
         last_ms = max(last_ms, excluded.last_ms)",
    )?;
    let mut bound = None;
    for (done, at) in table.in_order().into_iter().enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        let line = &table.rows[at];
        // What is bound stays so from row to row; only texts are worth the question, because they are copied.
        if bound.replace(line.client) != Some(line.client) {
            add.raw_bind_parameter(3, clients.text(line.client))?;
        }
        add.raw_bind_parameter(11, holders.text(line.device))?;
        bind(&mut add, line, &table.text)?;
        add.raw_execute()?;
    }
    Ok(())
}

/// Binds everything but the client.
fn bind(add: &mut CachedStatement<'_>, line: &Record, text: &[u8]) -> rusqlite::Result<()> {
    let piece = |range: &Range<usize>| ToSqlOutput::Borrowed(ValueRef::Text(&text[range.clone()]));
    add.raw_bind_parameter(1, line.minute)?;
    add.raw_bind_parameter(2, line.second)?;
    add.raw_bind_parameter(4, line.series)?;
    add.raw_bind_parameter(5, piece(&line.name))?;
    match &line.pattern {
        Pattern::End(size) => add.raw_bind_parameter(6, count(*size as u64))?,
        Pattern::Text(range) => add.raw_bind_parameter(6, piece(range))?,
    }
    add.raw_bind_parameter(7, line.qtype)?;
    add.raw_bind_parameter(8, count(line.tally.count))?;
    add.raw_bind_parameter(9, line.tally.first)?;
    add.raw_bind_parameter(10, line.tally.last)
}

/// Adds to what is known about each client. Overflow rows have no client and add to none.
fn add_clients(
    transaction: &Transaction<'_>,
    batch: &Batch,
    clients: &Clients,
    holders: &Holders,
) -> rusqlite::Result<()> {
    // Series that differ in nothing that the table tells have one place: that of the first of them.
    let mut firsts = HashMap::new();
    let places: Vec<usize> = (0..)
        .zip(batch.series.iter())
        .map(|(place, series)| *firsts.entry((&series.ban, series.evidence, &series.site)).or_insert(place))
        .collect();
    let mut sums = HashMap::<(usize, u32, u32), Tally>::new();
    for (at, row) in batch.parts.iter().flat_map(Pending::rows).enumerate() {
        let key = (places[row.series().index()], clients.rank(row.client), holders.rank(at));
        sums.entry(key).or_default().merge(row.tally);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(key, _)| *key);
    let mut add = transaction.prepare_cached(
        "INSERT INTO clients (ban, evidence, client, device, site, count, first_seen_ms, last_seen_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, \
         first_seen_ms = min(first_seen_ms, excluded.first_seen_ms), \
         last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
    )?;
    for (done, ((place, client, device), tally)) in sums.into_iter().enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        let series = &batch.series[place];
        let (ban, evidence, site) = (&*series.ban, series.evidence.as_str(), &*series.site);
        let (client, device) = (clients.text(client), holders.text(device));
        add.execute(params![ban, evidence, client, device, site, count(tally.count), tally.first, tally.last])?;
    }
    Ok(())
}

/// SQLite's integers are signed.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Numbers of series in the store, looked up once in a batch.
struct Numbers<'t, 'b> {
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    batch: &'b Batch,
    known: HashMap<(SeriesId, Form), i64>,
}

impl<'t, 'b> Numbers<'t, 'b> {
    fn new(transaction: &'t Transaction<'_>, batch: &'b Batch) -> rusqlite::Result<Self> {
        let find = "SELECT id FROM series WHERE ban = ?1 AND category = ?2 AND evidence = ?3 AND site = ?4 \
                    AND action = ?5 AND transport = ?6 AND verified = ?7";
        let insert = "INSERT INTO series (ban, category, evidence, site, action, transport, verified) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";
        let (find, insert) = (transaction.prepare_cached(find)?, transaction.prepare_cached(insert)?);
        Ok(Self { find, insert, batch, known: HashMap::new() })
    }

    fn number(&mut self, series: SeriesId, form: Form) -> rusqlite::Result<i64> {
        if let Some(&number) = self.known.get(&(series, form)) {
            return Ok(number);
        }
        let Series { ban, category, evidence, site } = &self.batch.series[series.index()];
        let transport = form.transport.map_or(SEVERAL_TEXT, Transport::as_str);
        let (evidence, action) = (evidence.as_str(), form.action.as_str());
        let key = params![&**ban, &**category, evidence, &**site, action, transport, form.verified];
        let found = self.find.query_row(key, |row| row.get(0)).optional()?;
        let number = found.map_or_else(|| self.insert.query_row(key, |row| row.get(0)), Ok)?;
        self.known.insert((series, form), number);
        Ok(number)
    }
}
