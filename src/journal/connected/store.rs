//! Connections in the store.

use std::net::IpAddr;

use rusqlite::{Transaction, params};

use super::Row;
use crate::identity::{Asked, Devices};
use crate::journal::{Level, Privacy, presence};
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::Timestamp;

/// Rows deleted in one transaction at most.
const ROWS_AT_ONCE: i64 = 10_000;
/// Rows after which a thread that waits for the processor gets it.
const SLICE: usize = 32;

/// Adds these rows, by the devices that held the addresses when each began.
pub(in super::super) fn add(
    transaction: &Transaction<'_>,
    rows: &[Row],
    (devices, privacy): (&Devices, &Privacy),
    known: &mut presence::Known,
) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let asked = rows.iter().map(|row| Asked {
        address: row.client,
        told: None,
        at: Timestamp::from_millisecond(row.tally.first).unwrap_or_default(),
    });
    let holders = devices.who(asked, str::to_owned);
    let mut add = transaction.prepare_cached(
        "INSERT INTO connected (day, client, device, site, ban, evidence, name, said, count, first_ms, last_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO UPDATE SET count = count + excluded.count, \
         name = iif(excluded.last_ms >= last_ms, excluded.name, name), \
         said = iif(excluded.last_ms >= last_ms, excluded.said, said), \
         first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)",
    )?;
    for (done, (row, device)) in rows.iter().zip(&holders).enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        let Row { day, site, ban, evidence, name, said, tally, .. } = row;
        // Whose clients are only to be counted has none that could be known to have connected.
        let level = privacy.level(bits(row.client), site);
        let Some(client) = privacy.address(row.client, level) else { continue };
        let pseudonym = privacy.device(device).filter(|_key| level == Level::Hashed && !device.is_empty());
        let device = pseudonym.as_ref().unwrap_or(device);
        let (client, count) = (client.to_string(), tally.count.cast_signed());
        let (site_word, ban_word, evidence_word, said) = (&**site, &**ban, evidence.as_str(), said.as_str());
        add.execute(params![
            day.0,
            client,
            device,
            site_word,
            ban_word,
            evidence_word,
            name,
            said,
            count,
            tally.first,
            tally.last
        ])?;
        // Proves nothing: recorded and counted, never presence.
        if *evidence != Evidence::None {
            known.add_connected(transaction, (ban, *evidence), (site, &client, device), *day)?;
        }
    }
    known.write(transaction)
}

/// An address as privacy knows it.
fn bits(client: IpAddr) -> u128 {
    match client {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Deletes some of the rows of days before this one, the oldest first.
pub(in super::super) fn delete(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM connected WHERE (day, client, device, site, ban, evidence) IN (SELECT day, client, device, site, \
               ban, evidence FROM connected WHERE day < ?1 ORDER BY day LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([before, ROWS_AT_ONCE])
}
