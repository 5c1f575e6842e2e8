//! Attempts of before presence was kept, taken into it in pieces.

use hashbrown::HashMap;
use rusqlite::{OptionalExtension, Transaction, params};

use super::known::{Deed, Known, Sum};
use super::seen::name_bit;
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::Day;
use crate::wire::LowerName;

/// Attempts that are taken in one transaction, about: whole minutes.
const ROWS_AT_ONCE: i64 = 10_000;

/// Whose a sum is: client, device, number of the series' ban, evidence and site, and day.
type Key = (String, String, usize, i32);
/// The places by their numbers, and what was done, in order.
type Sums = (Vec<Place>, Vec<(Key, Sum)>);
/// Ban, evidence, site.
type Place = (String, Evidence, String);

/// Takes some of the oldest attempts that were not taken yet; says whether there were any.
pub(in crate::journal) fn take(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS taken (minute INTEGER NOT NULL) STRICT")?;
    let taken: i64 = transaction.query_row("SELECT ifnull(max(minute), -1) FROM taken", [], |row| row.get(0))?;
    let next = "SELECT minute FROM attempts WHERE minute > ?1 ORDER BY minute LIMIT 1 OFFSET ?2";
    let last = "SELECT max(minute) FROM attempts WHERE minute > ?1";
    let until: Option<i64> = transaction
        .query_row(next, [taken, ROWS_AT_ONCE], |row| row.get(0))
        .optional()?
        .map_or_else(|| transaction.query_row(last, [taken], |row| row.get(0)), |minute| Ok(Some(minute)))?;
    let Some(until) = until else { return Ok(false) };
    let (places, sums) = sums(transaction, taken, until)?;
    let mut known = Known::default();
    for ((client, device, place, day), sum) in sums {
        let (ban, evidence, site) = &places[place];
        let deed = Deed { ban, evidence: *evidence, site, client: &client, device: &device, day: Day(day), sum };
        known.add(transaction, &deed)?;
    }
    known.write(transaction)?;
    transaction.execute("DELETE FROM taken", [])?;
    transaction.execute("INSERT INTO taken VALUES (?1)", [until])?;
    Ok(true)
}

/// Forgets how far it was.
pub(in crate::journal) fn finish(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("DROP TABLE IF EXISTS taken")
}

/// What each device did in the minutes after the one and up to the other.
fn sums(transaction: &Transaction<'_>, taken: i64, until: i64) -> rusqlite::Result<Sums> {
    let mut select = transaction.prepare_cached(
        "SELECT a.client, a.device, a.minute, a.name, a.count, s.ban, s.evidence, s.site, s.action, s.verified \
         FROM attempts AS a CROSS JOIN series AS s ON s.id = a.series \
         WHERE a.minute > ?1 AND a.minute <= ?2 AND a.client <> ''",
    )?;
    let mut rows = select.query(params![taken, until])?;
    let (mut places, mut sums) = (HashMap::<Place, usize>::new(), HashMap::<Key, Sum>::new());
    while let Some(row) = rows.next()? {
        let evidence: String = row.get(6)?;
        // A word that no version of Embargo writes proves nothing.
        let known = Evidence::ALL.into_iter().find(|evidence_| evidence_.as_str() == evidence);
        let Some(evidence) = known.filter(|evidence| *evidence != Evidence::None) else { continue };
        let next = places.len();
        let place = *places.entry((row.get(5)?, evidence, row.get(7)?)).or_insert(next);
        let minute: i64 = row.get(2)?;
        let hour = 1 << (minute.rem_euclid(1_440) / 60);
        let verified: bool = row.get(9)?;
        let name = LowerName::parse(&row.get::<_, String>(3)?).ok();
        let sum = Sum {
            count: row.get::<_, i64>(4)?.cast_unsigned(),
            hours: hour,
            verified_hours: if verified { hour } else { 0 },
            verified_names: name.filter(|_name| verified).map_or(0, |name| name_bit(name.wire())),
            exempt: row.get::<_, String>(8)? == Did::Exempt.as_str(),
        };
        let day = i32::try_from(minute.div_euclid(1_440)).unwrap_or_default();
        sums.entry((row.get(0)?, row.get(1)?, place, day)).or_default().merge(sum);
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_unstable_by_key(|(_place, at)| *at);
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok((places.into_iter().map(|(place, _)| place).collect(), sums))
}
