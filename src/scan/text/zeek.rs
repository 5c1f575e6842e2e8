//! The `dns.log` of Zeek in columns with tabs between them.
//!
//! The lines that begin with `#` name the columns, and come again where logs were put one behind the other. Zeek documentation,
//! "dns.log" and "Log formats": `-` is a field that is not set, `\xHH` an octet that can't be printed.

use std::sync::Arc;

use super::super::entry::{Entry, Fault, Told};
use super::super::names;
use super::{Columns, Context, address, is_of_neighbours, qtype};
use crate::wire::Transport;

const WANTED: [&str; 7] = ["ts", "id.orig_h", "id.resp_p", "proto", "query", "qtype", "qtype_name"];
const TS: usize = 0;
const CLIENT: usize = 1;
const PORT: usize = 2;
const PROTO: usize = 3;
const QUERY: usize = 4;
const QTYPE: usize = 5;
const QTYPE_NAME: usize = 6;
/// What names the columns.
pub(in crate::scan) const HEAD: &[u8] = b"#fields\t";

/// The columns that a line names, if it does.
pub(in crate::scan) fn columns(line: &[u8]) -> Option<Arc<Columns>> {
    let names = line.strip_prefix(HEAD)?.split(|&octet| octet == b'\t');
    Some(Arc::new(Columns::new(names, &WANTED)))
}

pub(super) fn read(line: &[u8], context: &Context) -> Told {
    if line.starts_with(b"#") {
        return Ok(None);
    }
    let columns = context.columns.as_ref().ok_or(Fault::Form("no line that begins with #fields is above it"))?;
    let fields = columns.fields(line, b'\t')?;
    let unset = |field: &[u8]| field.is_empty() || field == b"-" || field == b"(empty)";
    let query = fields.get(QUERY);
    let port = str::from_utf8(fields.get(PORT)).ok().and_then(|port| port.parse().ok());
    if unset(query) || port.is_some_and(is_of_neighbours) {
        return Ok(None);
    }
    let at = context.times.epoch(fields.get(TS)).or_else(|fault| match context.times.iso(fields.get(TS)) {
        Ok((at, _rest)) => Ok(at),
        Err(Fault::Missing(_)) => Err(fault),
        Err(other) => Err(other),
    })?;
    let client = address(fields.get(CLIENT))?;
    let (number, word) = (fields.get(QTYPE), fields.get(QTYPE_NAME));
    let qtype = if unset(number) { qtype(word)? } else { number_of(number)? };
    let entry = Entry::new(at, client, names::zeek(query)?, qtype);
    Ok(Some(match fields.get(PROTO) {
        b"udp" => entry.over(Transport::Udp),
        b"tcp" => entry.over(Transport::Tcp),
        _ => entry,
    }))
}

fn number_of(text: &[u8]) -> Result<u16, Fault> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(Fault::Unread("the query type"))
}
