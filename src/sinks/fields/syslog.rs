//! Messages of the syslog protocol (RFC 5424): head, structured data, text. The framing of streams (RFC 6587 §3.4.1, octet
//! counting, as RFC 5425 §4.3 wants it over TLS) is here too.

use std::fmt::Write;

use super::{Fields, Observer, VERSION, inert, is_denied};
use crate::policy::Evidence;
use crate::sinks::Event;
use crate::time::rfc3339;

/// What the structured data is called. The number is the one that RFC 5612 keeps for examples: there is none of our own.
const SD_ID: &str = "attempt@32473";
/// Octets of HOSTNAME at most (§6).
const HOST_MAX: usize = 255;

/// What a message is about, by the sender's kind (§6.2.1); for those who sort by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Every one that settings know, with its word.
    pub const ALL: [Self; 12] = [
        Self(1),
        Self(3),
        Self(4),
        Self(10),
        Self(16),
        Self(17),
        Self(18),
        Self(19),
        Self(20),
        Self(21),
        Self(22),
        Self(23),
    ];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            1 => "user",
            3 => "daemon",
            4 => "auth",
            10 => "authpriv",
            16 => "local0",
            17 => "local1",
            18 => "local2",
            19 => "local3",
            20 => "local4",
            21 => "local5",
            22 => "local6",
            _ => "local7",
        }
    }
}

impl Default for Facility {
    fn default() -> Self {
        Self(16)
    }
}

/// Appends the message; with its length before it where it goes into a stream.
pub(crate) fn write(
    event: &Event,
    fields: Fields,
    facility: Facility,
    observer: &Observer,
    counted: bool,
    to: &mut Vec<u8>,
) {
    let mut message = head(event, facility, observer).into_bytes();
    if fields == Fields::Plain {
        message.extend_from_slice(structured(event).as_bytes());
        message.push(b' ');
        message.extend_from_slice(text(event).as_bytes());
    } else {
        message.extend_from_slice(b"- ");
        fields.write(event, observer, &mut message);
    }
    if counted {
        to.extend_from_slice(format!("{} ", message.len()).as_bytes());
    }
    to.append(&mut message);
}

/// Everything before the structured data.
fn head(event: &Event, facility: Facility, observer: &Observer) -> String {
    let priority = facility.0 * 8 + severity(event);
    let host: String = inert(&observer.host).chars().filter(|character| *character != ' ').take(HOST_MAX).collect();
    let host = if host.is_empty() { "-" } else { &host };
    format!("<{priority}>1 {} {host} embargo {} attempt ", rfc3339(event.row.first), observer.pid)
}

/// Warning for what proves a product that is used, notice for the rest, informational for what was let through.
fn severity(event: &Event) -> u8 {
    match event.row.evidence {
        _ if !is_denied(event.row.action) => 6,
        Evidence::Installed | Evidence::Likely => 4,
        _ => 5,
    }
}

fn structured(event: &Event) -> String {
    let row = &event.row;
    let mut data = format!("[{SD_ID}");
    let mut add = |name: &str, value: &str| {
        // Writing to memory can't fail.
        write!(data, " {name}=\"{}\"", escaped(value)).unwrap_or_default();
    };
    add("id", &event.id);
    add("first", &rfc3339(row.first));
    add("last", &rfc3339(row.last));
    add("count", &row.count.to_string());
    let texts = [
        ("client", row.client.map(|client| client.to_string())),
        ("device", row.device.clone()),
        ("site", Some(row.site.clone())),
        ("qname", row.qname.clone()),
        ("qtype", row.qtype.clone()),
        ("ban", Some(row.ban.clone())),
        ("category", Some(row.category.clone())),
        ("evidence", Some(row.evidence.as_str().to_owned())),
        ("pattern", row.pattern.clone()),
        ("action", Some(row.action.as_str().to_owned())),
        ("transport", row.transport.map(|transport| transport.as_str().to_owned())),
        ("verified", Some(row.verified.to_string())),
        ("version", Some(VERSION.to_owned())),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            add(name, &value);
        }
    }
    data.push(']');
    data
}

/// A value of structured data (§6.3.3).
fn escaped(value: &str) -> String {
    let inert = inert(value);
    let mut escaped = String::with_capacity(inert.len());
    for character in inert.chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// For people.
fn text(event: &Event) -> String {
    let row = &event.row;
    let client = row.client.map_or_else(|| "several clients".to_owned(), |client| client.to_string());
    let qname = row.qname.as_deref().unwrap_or("several names");
    let qtype = row.qtype.as_deref().unwrap_or("several types");
    let (ban, evidence, did) = (&row.ban, row.evidence.as_str(), row.action.as_str());
    let text =
        format!("{client} asked for {qname} ({qtype}), banned by {ban} ({evidence}): {did}, {} times", row.count);
    inert(&text).into_owned()
}
