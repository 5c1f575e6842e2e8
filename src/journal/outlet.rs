//! What leaves the record as it is written: each row once, for whoever hands it on to others.

use std::fmt;

use super::AttemptRow;
use super::batch::Batch;
use super::insert::{Clients, Holders};
use super::pending::{Pending, Row};
use super::tally::Tally;
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::Timestamp;
use crate::wire::{Presented, Transport, rtype};

/// Who is given what the journal writes.
///
/// Each row that the writer takes from memory is given once, before its transaction: what is in the store has been given, also
/// when the process is killed at any moment. The counts of all rows given are those that are added to the store.
pub trait Outlet: fmt::Debug + Send + Sync {
    /// Whether anybody wants rows.
    fn is_open(&self) -> bool;

    /// Takes rows. The record waits for this: it may write to the state directory, as the record does, and to nothing slower.
    fn take(&self, rows: &mut dyn Iterator<Item = AttemptRow>);

    /// Takes what devices did for the first time: of each device, ban and evidence the first attempt in the record, as far back as
    /// that goes. `batch` is the number of the transaction, which has still to be committed: it is the same when that has to be
    /// done again. Each counts one.
    fn take_new(&self, batch: i64, rows: &mut dyn Iterator<Item = AttemptRow>);
}

/// The rows of a batch in words.
pub(super) fn rows<'b>(
    batch: &'b Batch,
    (clients, holders): (&'b Clients, &'b Holders),
) -> impl Iterator<Item = AttemptRow> + 'b {
    let parts = batch.parts.iter().flat_map(|part| part.rows().iter().map(move |row| (part, row)));
    let whole = parts.enumerate().map(move |(place, (part, row))| AttemptRow {
        client: clients.address(row.client),
        device: holders.of_row(place).map(str::to_owned),
        ..whole(batch, part, row)
    });
    let overflow = batch.overflow.iter().map(move |(key, tally)| {
        let series = &batch.series[key.series.index()];
        bare(series, (key.action, None, false), *tally)
    });
    whole.chain(overflow)
}

/// A row without client and device.
pub(super) fn whole(batch: &Batch, part: &Pending, row: &Row) -> AttemptRow {
    let series = &batch.series[row.series().index()];
    let (name, pattern, form) = (part.name(row), part.pattern(row), row.form());
    AttemptRow {
        qname: (!name.is_empty()).then(|| Presented(name).to_string()),
        qtype: row.qtype().map(|qtype| rtype::mnemonic(qtype).into_owned()),
        pattern: (!pattern.wire.is_empty()).then(|| pattern.to_string()),
        ..bare(series, (form.action, form.transport, form.verified), row.tally)
    }
}

/// A row without client, name and pattern.
fn bare(series: &super::Series, form: (Did, Option<Transport>, bool), tally: Tally) -> AttemptRow {
    let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    let (action, transport, verified) = form;
    let evidence: Evidence = series.evidence;
    AttemptRow {
        first: at(tally.first),
        last: at(tally.last),
        client: None,
        device: None,
        site: series.site.to_string(),
        qname: None,
        qtype: None,
        ban: series.ban.to_string(),
        category: series.category.to_string(),
        evidence,
        pattern: None,
        action,
        transport,
        verified,
        count: tally.count,
    }
}
