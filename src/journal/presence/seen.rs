//! From a batch of attempts to what each device did.

use hashbrown::HashMap;
use rusqlite::Transaction;

use super::known::{Deed, Known, Sum};
use crate::journal::batch::Batch;
use crate::journal::insert::{Clients, Holders, SLICE};
use crate::journal::pending::{Pending, Row};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::Day;

/// Minutes of a day.
const DAY: u32 = 1_440;

/// Adds the presence of whoever made the attempts of a batch. Overflow rows have no client and add to none.
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
    let mut sums = HashMap::<(usize, u32, u32, u32), Sum>::new();
    let mut places_of_rows = 0..;
    for part in &batch.parts {
        for (row, at) in part.rows().iter().zip(&mut places_of_rows) {
            // Proves nothing: recorded and counted, never presence.
            if batch.series[row.series().index()].evidence != Evidence::None {
                let key =
                    (places[row.series().index()], clients.rank(row.client), holders.rank(at), row.minute() / DAY);
                sums.entry(key).or_default().merge(sum(part, row));
            }
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(key, _)| *key);
    for (done, ((place, client, device, day), sum)) in sums.into_iter().enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        let series = &batch.series[place];
        let (ban, evidence, site) = (&*series.ban, series.evidence, &*series.site);
        let (client, device) = (clients.text(client), holders.text(device));
        let day = Day(day.cast_signed());
        known.add(transaction, &Deed { ban, evidence, site, client, device, day, sum })?;
    }
    known.write(transaction)
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
