//! A table with a header, from an inventory, an IPAM or another DHCP server; and what it shares with Kea's.

use std::net::IpAddr;

use csv::{ReaderBuilder, StringRecord};

use super::{Found, Held, Lease, moment, named};
use crate::diag::Source;
use crate::identity::{ClientId, Identifier};
use crate::time::Timestamp;

pub(super) fn read(source: &Source, found: &mut Found) {
    lease_rows(source, &["address"], found, |row| {
        let address = row.address()?;
        let since = row.moment("since")?;
        let until = row.moment("until")?;
        let mac = row.get("mac").map(|text| text.parse().map_err(|()| "no MAC of one device")).transpose()?;
        let id = |column, what| row.get(column).map(|text| ClientId::parse(text).ok_or(what)).transpose();
        let identifiers = [
            row.get("asset").and_then(Identifier::asset),
            id("duid", "no DUID in hexadecimal")?.map(Identifier::Duid),
            id("client_id", "no client identifier in hexadecimal")?.map(Identifier::of_client_id),
            mac.map(Identifier::Mac),
            row.get("host_name").and_then(named),
        ];
        Lease::new(address, Held::By { since, until }, identifiers.into_iter().flatten())
            .map(Some)
            .ok_or("nothing says who holds the address")
    });
}

/// One row.
pub(in crate::identity) struct Row<'r> {
    header: &'r StringRecord,
    record: &'r StringRecord,
}

impl<'r> Row<'r> {
    /// What stands in a column, unless it is empty or there is no such column.
    pub(in crate::identity) fn get(&self, column: &str) -> Option<&'r str> {
        let at = self.header.iter().position(|name| name.trim().eq_ignore_ascii_case(column))?;
        self.record.get(at).map(str::trim).filter(|text| !text.is_empty())
    }

    pub(super) fn address(&self) -> Result<IpAddr, &'static str> {
        self.get("address").and_then(|text| text.parse().ok()).ok_or("no address in the column `address`")
    }

    /// Seconds since 1970, or as in RFC 3339.
    fn moment(&self, column: &str) -> Result<Option<Timestamp>, &'static str> {
        let read =
            |text: &str| moment(text).or_else(|| text.parse().ok()).ok_or("no time (RFC 3339, or seconds since 1970)");
        self.get(column).map(read).transpose()
    }
}

/// A row that was not understood.
pub(in crate::identity) struct BadRow {
    pub(in crate::identity) number: usize,
    pub(in crate::identity) line: String,
    pub(in crate::identity) why: String,
}

/// Adds the lease of each row below the header.
pub(super) fn lease_rows(
    source: &Source,
    columns: &[&str],
    found: &mut Found,
    lease: impl Fn(&Row<'_>) -> Result<Option<Lease>, &'static str>,
) {
    rows(source, columns, lease, |row| match row {
        Ok(lease) => found.add(lease),
        Err(BadRow { number, line, why }) => found.warn(source, number, &line, 0..line.len(), why),
    });
}

/// Reads each row below the header and gives it away.
pub(in crate::identity) fn rows<T>(
    source: &Source,
    columns: &[&str],
    read: impl Fn(&Row<'_>) -> Result<T, &'static str>,
    mut give: impl FnMut(Result<T, BadRow>),
) {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        // The text is UTF-8 already and lies in memory.
        Err(_never) => return,
    };
    let width = header.len();
    let missing = |column: &&&str| !header.iter().any(|name| name.trim().eq_ignore_ascii_case(column));
    if let Some(column) = columns.iter().find(missing) {
        let line = text.lines().next().unwrap_or_default();
        let why = format!("the header names no column `{column}`");
        return give(Err(BadRow { number: 1, line: line.to_owned(), why }));
    }
    let mut record = StringRecord::new();
    while let Ok(true) = reader.read_record(&mut record) {
        // A header in the middle: the file was put together from two.
        if record == header {
            continue;
        }
        let row = Row { header: &header, record: &record };
        let whole = if record.len() == width { read(&row) } else { Err("not as many fields as the header has") };
        give(whole.map_err(|why| {
            let number = record.position().map_or(0, csv::Position::line);
            let line = record.iter().collect::<Vec<_>>().join(",");
            BadRow { number: usize::try_from(number).unwrap_or(usize::MAX), line, why: why.to_owned() }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::LeaseFormat::Csv;
    use super::super::tests::check;

    #[test]
    fn columns_are_known_by_their_names() {
        let text = "\u{feff}host_name, Address ,mac,since,until,asset\r\n\
                    \"anna, pc\",10.0.0.7,52:54:00:12:34:56,2024-09-29T00:00:00Z,1727600000,INV-17\r\n\
                    ,::ffff:10.0.0.8,,,,INV-18\r\n";
        let expected = [
            "10.0.0.7 1727568000..1727600000 asset:INV-17 mac:52:54:00:12:34:56 host:anna??pc",
            "10.0.0.8 -..- asset:INV-18",
        ];
        check(Csv, text, &expected, &[]);
    }

    #[test]
    fn a_bad_row_is_named_and_the_others_stand() {
        let text = "address,mac,asset,until\n10.0.0.7,ff:ff:ff:ff:ff:ff,,\nten,,,\n10.0.0.9,,=1+1,\n10.0.0.9,,A1,soon\n10.0.0.10,,A1\n10.0.0.11,,A2,\n";
        let messages = [
            "leases:2:1: warning: no MAC of one device",
            "leases:3:1: warning: no address in the column `address`",
            "leases:4:1: warning: nothing says who holds the address",
            "leases:5:1: warning: no time (RFC 3339, or seconds since 1970)",
            "leases:6:1: warning: not as many fields as the header has",
        ];
        check(Csv, text, &["10.0.0.11 -..- asset:A2"], &messages);
        check(Csv, "mac\n52:54:00:12:34:56\n", &[], &["leases:1:1: warning: the header names no column `address`"]);
    }
}
