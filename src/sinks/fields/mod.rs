//! The field sets: what an event is called by those who read it. Pure; each writes one line without its end.
//!
//! Names are in presentation form with RFC 4343 escapes since they were recorded, so inert everywhere. All else that is not of
//! our own making (host names of devices, categories) is made so here: JSON is ASCII alone, CEF and syslog have other octets
//! escaped like those of names.

mod cef;
pub(super) mod dnstap;
mod ecs;
mod json;
mod ocsf;
mod plain;
pub(super) mod syslog;

use std::borrow::Cow;
use std::fmt::Write as _;

use super::event::Event;
use crate::metrics::Did;

/// The field sets. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// Those of our own JSON; in syslog, structured data.
    #[default]
    Plain,
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework, DNS Activity (4003).
    Ocsf,
    /// `ArcSight` Common Event Format.
    Cef,
}

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observer {
    /// The name of this host.
    pub host: String,
    /// The process's number.
    pub pid: u32,
}

/// Our version, in every set.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Fields {
    /// Every set.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Ecs, Self::Ocsf, Self::Cef];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
        }
    }

    /// Appends the event.
    pub(super) fn write(self, event: &Event, observer: &Observer, to: &mut Vec<u8>) {
        match self {
            Self::Plain => json::write(&plain::fields(event, observer), to),
            Self::Ecs => json::write(&ecs::fields(event, observer), to),
            Self::Ocsf => json::write(&ocsf::fields(event, observer), to),
            Self::Cef => to.extend_from_slice(cef::line(event, observer).as_bytes()),
        }
    }
}

/// The rcode that the client got, if what was done says so.
fn rcode(did: Did) -> Option<(u16, &'static str)> {
    match did {
        Did::Nxdomain => Some((3, "NXDOMAIN")),
        Did::Nodata | Did::Sinkhole | Did::TcpOnly => Some((0, "NOERROR")),
        Did::Refuse => Some((5, "REFUSED")),
        Did::Drop | Did::Observe | Did::Exempt => None,
    }
}

/// Whether the client was kept from what it asked for.
fn is_denied(did: Did) -> bool {
    !matches!(did, Did::Observe | Did::Exempt)
}

/// The text with everything but printable ASCII escaped as octets of names are (RFC 4343 §2.1).
fn inert(text: &str) -> Cow<'_, str> {
    let is_inert = |octet: u8| octet == b' ' || octet.is_ascii_graphic();
    if text.bytes().all(is_inert) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for octet in text.bytes() {
        if is_inert(octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to memory can't fail.
            write!(escaped, "\\{octet:03}").unwrap_or_default();
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests;
