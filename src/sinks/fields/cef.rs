//! Common Event Format, version 0 (`ArcSight`, "Common Event Format (CEF) Implementation Standard"): a head between bars, then keys
//! of its dictionary. In the head `|` and `\` are escaped, in values `=` and `\`.

use std::fmt::{Display, Write};

use super::{Observer, VERSION, inert, is_denied};
use crate::policy::Evidence;
use crate::sinks::Event;

pub(super) fn line(event: &Event, observer: &Observer) -> String {
    let row = &event.row;
    let mut line = String::with_capacity(512);
    let what = if is_denied(row.action) { "Banned name refused" } else { "Banned name asked" };
    let class = escaped(&format!("{}:{}", row.ban, row.evidence.as_str()), ['|', '\\']);
    // Writing to memory can't fail.
    write!(line, "CEF:0|Embargo|Embargo|{VERSION}|{class}|{what}|{}|", severity(row.evidence)).unwrap_or_default();
    let mut extension = Extension { line: &mut line, is_first: true };
    extension.add("rt", row.last.as_millisecond());
    extension.add("start", row.first.as_millisecond());
    extension.add("end", row.last.as_millisecond());
    extension.add("cnt", row.count);
    extension.add("externalId", &event.id);
    extension.add("dvchost", &observer.host);
    extension.add("app", "DNS");
    match row.client {
        Some(client) if client.is_ipv6() => extension.labelled("c6a2", "Source IPv6 Address", client),
        Some(client) => extension.add("src", client),
        None => (),
    }
    extension.some("proto", row.transport.map(|transport| transport.as_str().to_ascii_uppercase()));
    extension.add("act", row.action.as_str());
    extension.some("destinationDnsDomain", row.qname.as_deref());
    extension.labelled("cs1", "Ban", &row.ban);
    extension.labelled("cs2", "Category", &row.category);
    extension.labelled("cs3", "Evidence", row.evidence.as_str());
    extension.labelled("cs4", "Site", &row.site);
    if let Some(pattern) = &row.pattern {
        extension.labelled("cs5", "Rule", pattern);
    }
    if let Some(qtype) = &row.qtype {
        extension.labelled("cs6", "Query Type", qtype);
    }
    extension.some("sourceServiceName", row.device.as_deref());
    line
}

/// Keys and values behind the head.
struct Extension<'l> {
    line: &'l mut String,
    is_first: bool,
}

impl Extension<'_> {
    fn add(&mut self, key: &str, value: impl Display) {
        let gap = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let value = value.to_string();
        write!(self.line, "{gap}{key}={}", escaped(&value, ['=', '\\'])).unwrap_or_default();
    }

    fn some(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// A value of a key whose meaning the sender gives.
    fn labelled(&mut self, key: &str, label: &str, value: impl Display) {
        self.add(key, value);
        self.add(&format!("{key}Label"), label);
    }
}

/// The text without anything that ends a line, and with a backslash before these.
fn escaped(text: &str, special: [char; 2]) -> String {
    let inert = inert(text);
    let mut escaped = String::with_capacity(inert.len());
    for character in inert.chars() {
        if special.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// From 0 to 10.
fn severity(evidence: Evidence) -> u8 {
    match evidence {
        Evidence::Installed => 8,
        Evidence::Likely | Evidence::DeviceOrApp => 6,
        Evidence::Ambiguous | Evidence::Service => 4,
        Evidence::Visit | Evidence::None => 2,
    }
}
