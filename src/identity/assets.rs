//! An inventory: a table of what the organisation has, by the identifiers of each thing.

use std::collections::HashMap;
use std::sync::Arc;

use super::lease::table::{Row, rows};
use super::{ClientId, Identifier, LEASES_MAX};
use crate::diag::{Diagnostic, Severity, Source};

/// Messages about one file at most.
const MESSAGES_MAX: usize = 100;

/// What an inventory says: of each thing its number and what it is known by; and what of it was not understood.
///
/// A header names the columns: `asset`, and any of `mac`, `duid`, `client_id` and `host_name`. A thing may have several rows.
pub fn assets(source: &Source) -> (Vec<Vec<Identifier>>, Vec<Diagnostic>) {
    let mut found = Inventory::default();
    rows(source, &["asset"], read, |row| match row {
        Ok(identifiers) if found.count < LEASES_MAX => found.add(identifiers),
        Ok(_beyond) => found.left_out += 1,
        Err(bad) => {
            let said = |line: &str| {
                let name = Arc::clone(&source.name);
                Diagnostic::on_line(Severity::Warning, name, bad.number, line, 0..line.len(), bad.why.clone())
            };
            if found.messages.len() < MESSAGES_MAX {
                found.messages.push(said(&bad.line));
            }
        }
    });
    if found.left_out > 0 {
        let message = format!("{} rows are left out: more than {LEASES_MAX} are not read", found.left_out);
        found.messages.push(Diagnostic::whole(Severity::Warning, Arc::clone(&source.name), message));
    }
    (found.assets, found.messages)
}

/// What was read so far.
#[derive(Default)]
struct Inventory {
    assets: Vec<Vec<Identifier>>,
    places: HashMap<Identifier, usize>,
    count: usize,
    left_out: usize,
    messages: Vec<Diagnostic>,
}

impl Inventory {
    fn add(&mut self, identifiers: Vec<Identifier>) {
        self.count += 1;
        let next = self.assets.len();
        let Some(asset) = identifiers.first() else { return };
        match *self.places.entry(asset.clone()).or_insert(next) {
            place if place == next => self.assets.push(identifiers),
            place => self.assets[place].extend(identifiers.into_iter().skip(1)),
        }
    }
}

/// The number of a thing and what a row says of it.
fn read(row: &Row<'_>) -> Result<Vec<Identifier>, &'static str> {
    let asset = row.get("asset").ok_or("no number in the column `asset`")?;
    let asset = Identifier::asset(asset).ok_or("the number is no printable ASCII of 64 characters at most")?;
    let mac = row.get("mac").map(|text| text.parse().map_err(|()| "no MAC of one device")).transpose()?;
    let id = |column, what| row.get(column).map(|text| ClientId::parse(text).ok_or(what)).transpose();
    let identifiers = [
        Some(asset),
        id("duid", "no DUID in hexadecimal")?.map(Identifier::Duid),
        id("client_id", "no client identifier in hexadecimal")?.map(Identifier::of_client_id),
        mac.map(Identifier::Mac),
        row.get("host_name").and_then(super::HostName::new).map(Identifier::HostName),
    ];
    Ok(identifiers.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_what_all_its_rows_say_and_a_bad_row_is_named() {
        let text = "host_name;x\n";
        assert_eq!(assets(&Source::new("t", text)).1.len(), 1);
        let text = "asset,mac,host_name\nINV-1,00:16:3e:00:00:0a,Anna-PC\nINV-2,,b\nINV-1,00:16:3e:00:00:0b,\n,00:16:3e:00:00:0c,\n\
                    =1+1,,\nINV-3,x,\n";
        let (assets, messages) = assets(&Source::new("t", text));
        let shown: Vec<_> =
            assets.iter().map(|asset| asset.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).collect();
        let first = "asset:INV-1 mac:00:16:3e:00:00:0a host:anna-pc mac:00:16:3e:00:00:0b";
        assert_eq!(shown, [first, "asset:INV-2 host:b"]);
        let lines: Vec<_> = messages.iter().map(|message| message.place.as_ref().unwrap().line).collect();
        assert_eq!(lines, [5, 6, 7]);
    }
}
