//! From a batch of attempts to what each device did.

use hashbrown::{HashMap, HashSet};
use rusqlite::Transaction;

use super::known::{Deed, Known, Sum};
use super::{Sign, What};
use crate::journal::AttemptRow;
use crate::journal::batch::Batch;
use crate::journal::insert::{Clients, Holders, SLICE};
use crate::journal::outlet;
use crate::journal::pending::{Pending, Row};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::Day;

/// Minutes of a day.
const DAY: u32 = 1_440;

/// What a batch tells apart here: the place of a series, client, device, and day.
type Key = (usize, u32, u32, u32);

/// Adds the presence of whoever made the attempts of a batch. Overflow rows have no client and add to none; they are counted.
pub(in crate::journal) fn add(
    transaction: &Transaction<'_>,
    batch: &Batch,
    (clients, holders): (&Clients, &Holders),
    known: &mut Known,
) -> rusqlite::Result<()> {
    known.look(transaction)?;
    // Series that differ in nothing that counts here have one place: that of the first of them.
    let mut firsts = HashMap::new();
    let places: Vec<usize> = (0..)
        .zip(batch.series.iter())
        .map(|(place, series)| *firsts.entry((&series.ban, series.evidence, &series.site)).or_insert(place))
        .collect();
    let key = |row: &Row, at| -> Key {
        (places[row.series().index()], clients.rank(row.client), holders.rank(at), row.minute() / DAY)
    };
    let mut sums = HashMap::<Key, Sum>::new();
    for (at, (part, row)) in rows(batch).enumerate() {
        // Proves nothing: recorded and counted, never presence.
        if batch.series[row.series().index()].evidence != Evidence::None {
            sums.entry(key(row, at)).or_default().merge(sum(part, row));
        }
    }
    add_clientless(transaction, batch, known)?;
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(key, _)| *key);
    let mut new = HashSet::<Key>::new();
    for (done, (key @ (place, client, device, day), sum)) in sums.into_iter().enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        let series = &batch.series[place];
        let (ban, evidence, site) = (&*series.ban, series.evidence, &*series.site);
        let (client, device) = (clients.text(client), holders.text(device));
        let day = Day(day.cast_signed());
        if known.add(transaction, &Deed { ban, evidence, site, client, device, day, sum })? {
            new.insert(key);
        }
    }
    if !new.is_empty() {
        tell_new(batch, (clients, holders), |row, at| Some(key(row, at)).filter(|key| new.contains(key)), known);
    }
    known.write(transaction)
}

/// Counts what nobody is said to have done, so that a report knows what is not in its sets.
fn add_clientless(transaction: &Transaction<'_>, batch: &Batch, known: &mut Known) -> rusqlite::Result<()> {
    for (key, tally) in &batch.overflow {
        let series = &batch.series[key.series.index()];
        if series.evidence != Evidence::None {
            let sign = Sign { ban: &series.ban, evidence: Some(series.evidence), what: What::Seen };
            let day = Day((key.minute / DAY).cast_signed());
            known.add_unnumbered(transaction, sign, day, tally.count)?;
        }
    }
    Ok(())
}

/// Keeps of each of these the row that began first.
fn tell_new(
    batch: &Batch,
    (clients, holders): (&Clients, &Holders),
    key: impl Fn(&Row, usize) -> Option<Key>,
    known: &mut Known,
) {
    let mut earliest = HashMap::<Key, (&Pending, &Row, usize)>::new();
    for (at, (part, row)) in rows(batch).enumerate() {
        if let Some(key) = key(row, at) {
            let first = earliest.entry(key).or_insert((part, row, at));
            if row.tally.first < first.1.tally.first {
                *first = (part, row, at);
            }
        }
    }
    let mut earliest: Vec<_> = earliest.into_values().collect();
    earliest.sort_unstable_by_key(|(_part, row, at)| (row.tally.first, *at));
    for (part, row, at) in earliest {
        let (client, device) = (clients.address(row.client), holders.of_row(at).map(str::to_owned));
        known.put_new(AttemptRow { client, device, count: 1, ..outlet::whole(batch, part, row) });
    }
}

/// The rows of a batch that have a client.
fn rows(batch: &Batch) -> impl Iterator<Item = (&Pending, &Row)> {
    batch.parts.iter().flat_map(|part| part.rows().iter().map(move |row| (part, row)))
}

fn sum(part: &Pending, row: &Row) -> Sum {
    let hour = 1 << (row.minute() % DAY / 60);
    let verified = row.form().verified;
    let name = part.name(row);
    Sum {
        count: row.tally.count,
        hours: hour,
        verified_hours: if verified { hour } else { 0 },
        verified_names: if verified { name_bit(name) } else { 0 },
        exempt: row.form().action == Did::Exempt,
    }
}

/// The bit of a name in lower case on the wire; none if it is not known. It is kept for months, so it has to stay (FNV-1a).
pub(super) fn name_bit(name: &[u8]) -> u64 {
    if name.is_empty() {
        return 0;
    }
    let hash = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    1 << ((name.iter().fold(0xcbf2_9ce4_8422_2325, hash) >> 32) % 63)
}
