//! The DNS log of Cisco Umbrella as it is exported: CSV with quotes, its columns in their order or named by a first line.
//!
//! ```text
//! "2026-11-28 10:00:00","laptop","laptop,Site","192.0.2.7","203.0.113.1","Allowed","1 (A)","NOERROR","www.example.org.","Business"
//! ```
//! Cisco, "Log Formats and Versioning", "DNS Logs": Timestamp (UTC), Most Granular Identity, Identities, Internal IP, External IP,
//! Action, Query Type, Response Code, Domain, Categories, and since version 4 the type of the first identity. Who asked is the
//! internal address, or where there is none, the external one. The internal address of a computer that roams is that of somebody's
//! home, and half of all homes have the same: there it is the external one, and the device is known by the name of its identity.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::entry::{Entry, Fault, Told};
use super::super::names;
use super::super::times::Times;
use super::{address, csv, qtype};
use crate::identity::{HostName, Identifier};
use crate::metrics::Did;

const TIME: usize = 0;
const INTERNAL: usize = 3;
const EXTERNAL: usize = 4;
const ACTION: usize = 5;
const TYPE: usize = 6;
const DOMAIN: usize = 8;
const IDENTITY: usize = 1;
const IDENTITY_TYPE: usize = 10;

/// Types of identities that are computers and telephones wherever they are, in lower case.
const ROAMING: [&[u8]; 5] =
    [b"roaming computers", b"anyconnect roaming client", b"cisco secure client", b"mobile devices", b"chromebooks"];

pub(super) fn read(line: &[u8], times: &Times) -> Told {
    let fields: Vec<Cow<'_, [u8]>> = csv::fields(line).take(IDENTITY_TYPE + 1).collect();
    let field = |place: usize| fields.get(place).map(|field| field.trim_ascii()).unwrap_or_default();
    if field(TIME).eq_ignore_ascii_case(b"timestamp") {
        return Ok(None);
    }
    if fields.len() <= DOMAIN {
        return Err(Fault::Form("fewer columns than Umbrella writes"));
    }
    let at = times.iso_in_utc(field(TIME))?;
    let roams = ROAMING.iter().any(|known| field(IDENTITY_TYPE).eq_ignore_ascii_case(known));
    let client = if roams { address(field(EXTERNAL))? } else { client(field(INTERNAL), field(EXTERNAL))? };
    let name = HostName::new(&String::from_utf8_lossy(field(IDENTITY))).filter(|_name| roams);
    let entry = Entry::new(at, client, names::literal(field(DOMAIN))?, type_of(field(TYPE))?);
    let blocked = field(ACTION).eq_ignore_ascii_case(b"blocked");
    // Umbrella answers with the address of its block page.
    let did = if blocked { Did::Sinkhole } else { Did::Observe };
    Ok(Some(Entry { did, device: name.map(Identifier::HostName), ..entry }))
}

/// Who asked.
fn client(internal: &[u8], external: &[u8]) -> Result<IpAddr, Fault> {
    match internal {
        b"" | b"-" => address(external),
        internal => address(internal),
    }
}

/// `1 (A)`, or one of the two.
fn type_of(text: &[u8]) -> Result<u16, Fault> {
    let first = super::words(text).next().unwrap_or_default();
    let number = str::from_utf8(first).ok().and_then(|number| number.parse().ok());
    number.map_or_else(|| qtype(first), Ok)
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check, fault};
    use crate::scan::Format;

    #[test]
    fn rows_are_read_with_whoever_of_the_two_addresses_asked() {
        let read = |client| {
            let (at, name, qtype) = ("2026-11-28T10:00:00.000Z", r"\061cmd\040\041.example.org", "AAAA");
            Some(Read { at, client, name, qtype, transport: "", verified: false })
        };
        let head = r#""Timestamp","Most Granular Identity","Identities","InternalIp","ExternalIp","Action","QueryType","ResponseCode","Domain","Categories""#;
        let row = |internal: &str| {
            format!(
                r#"{head}
"2026-11-28 10:00:00","a ""b"", c","a,Site","{internal}","203.0.113.1","Allowed","28 (AAAA)","NOERROR","=cmd().example.org.","Chat,Photo""#
            )
        };
        check(Format::Umbrella, &row("192.0.2.7"), read("192.0.2.7"));
        check(Format::Umbrella, &row(""), read("203.0.113.1"));
        check(Format::Umbrella, head, None);
        fault(
            Format::Umbrella,
            r#""2026-11-28 10:00:00","a","a","192.0.2.7","203.0.113.1","Allowed","1 (A)","NOERROR""#,
        );
        fault(Format::Umbrella, &row("somewhere"));
    }

    #[test]
    fn a_computer_that_roams_is_its_name_and_not_the_address_that_it_has_at_home() {
        let row = |name: &str, internal: &str, kind: &str| {
            let line = format!(
                r#""2026-11-28 10:00:00","{name}","a","{internal}","203.0.113.1","Allowed","1 (A)","NOERROR","x.example.","Chat","{kind}","y","z""#
            );
            let entry = super::super::test::context(Format::Umbrella, "").read(line.as_bytes()).unwrap().unwrap();
            (entry.client.to_string(), entry.device.map(|device| device.to_string()))
        };
        let told = row("Anna-PC", "192.168.1.10", "Roaming Computers");
        assert_eq!(told, ("203.0.113.1".to_owned(), Some("host:anna-pc".to_owned())));
        assert_eq!(row("office", "192.0.2.7", "Networks"), ("192.0.2.7".to_owned(), None));
    }
}
