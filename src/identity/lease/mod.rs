//! The lease files of DHCP servers. To add a format: a file beside this one, a variant here, and what the compiler then asks for.
//!
//! Reading never fails: it yields what the file says last of each address, as such files are appended to, and a warning for
//! each line that was not understood. Such files are written while they are read, so their last line may be half of one.

mod dnsmasq;
mod isc;
mod kea;
pub(super) mod table;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::{HostName, Identifier, Method};
use crate::diag::{Diagnostic, Severity, Source};
use crate::time::Timestamp;

/// Leases that are read of one file at most.
pub const LEASES_MAX: usize = 1_000_000;
/// Messages about one file at most.
const MESSAGES_MAX: usize = 100;

/// Whether somebody holds the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Since this moment if that is known, until then; `None`: without end.
    By {
        /// When it was leased or renewed last.
        since: Option<Timestamp>,
        /// When the lease ends.
        until: Option<Timestamp>,
    },
    /// Nobody does any more: it was given back, has run out, or was found in use by somebody unknown.
    Not,
}

/// What a file says of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address; an IPv4-mapped one as IPv4.
    pub address: IpAddr,
    /// What is known of who holds it, the strongest first; at least one if it is held.
    pub identifiers: Vec<Identifier>,
    /// Whether and how long it is held.
    pub held: Held,
    /// How that is known.
    pub method: Method,
}

impl Lease {
    /// A lease; `None` if it is held by nobody knows whom.
    fn new(address: IpAddr, held: Held, identifiers: impl IntoIterator<Item = Identifier>) -> Option<Self> {
        Self::by(Method::Lease, address, held, identifiers)
    }

    /// The same, known otherwise.
    pub(super) fn by(
        method: Method,
        address: IpAddr,
        held: Held,
        identifiers: impl IntoIterator<Item = Identifier>,
    ) -> Option<Self> {
        let mut identifiers: Vec<_> = identifiers.into_iter().collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        let known = held == Held::Not || !identifiers.is_empty();
        known.then(|| Self { address: address.to_canonical(), identifiers, held, method })
    }
}

/// The kinds of lease files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseFormat {
    /// Kea's memfile, for either version of DHCP: CSV with a header.
    Kea,
    /// `dhcpd.leases` of ISC DHCP, for either version.
    Isc,
    /// `dnsmasq.leases`.
    Dnsmasq,
    /// A table with a header: `address`, and any of `mac`, `client_id`, `duid`, `host_name`, `asset`, `since`, `until`.
    Csv,
}

impl LeaseFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kea, Self::Isc, Self::Dnsmasq, Self::Csv];

    /// The word for it in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kea => "kea",
            Self::Isc => "isc",
            Self::Dnsmasq => "dnsmasq",
            Self::Csv => "csv",
        }
    }

    /// The last that a file says of each address, and what was not understood.
    pub fn leases(self, source: &Source) -> (Vec<Lease>, Vec<Diagnostic>) {
        let mut found = Found::default();
        match self {
            Self::Kea => kea::read(source, &mut found),
            Self::Isc => isc::read(source, &mut found),
            Self::Dnsmasq => dnsmasq::read(source, &mut found),
            Self::Csv => table::read(source, &mut found),
        }
        found.finish(source)
    }
}

/// What was read so far.
#[derive(Default)]
struct Found {
    leases: Vec<Lease>,
    /// Their places.
    of: HashMap<IpAddr, usize>,
    messages: Vec<Diagnostic>,
    left_out: usize,
}

impl Found {
    fn add(&mut self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        match self.of.get(&lease.address) {
            Some(&at) => self.leases[at] = lease,
            None if self.leases.len() < LEASES_MAX => {
                self.of.insert(lease.address, self.leases.len());
                self.leases.push(lease);
            }
            None => self.left_out += 1,
        }
    }

    /// All of it, with a word on what there was no room for.
    fn finish(self, source: &Source) -> (Vec<Lease>, Vec<Diagnostic>) {
        let Self { leases, mut messages, left_out, .. } = self;
        if left_out > 0 {
            let message = format!("{left_out} leases are left out: more than {LEASES_MAX} of one file are not read");
            messages.push(Diagnostic::whole(Severity::Warning, Arc::clone(&source.name), message));
        }
        (leases, messages)
    }

    fn warn(&mut self, source: &Source, number: usize, line: &str, place: Range<usize>, message: impl Into<String>) {
        if self.messages.len() < MESSAGES_MAX {
            let name = Arc::clone(&source.name);
            self.messages.push(Diagnostic::on_line(Severity::Warning, name, number, line, place, message));
        }
    }
}

/// A moment as seconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

/// The name that a client gave, if it gave one.
fn named(text: &str) -> Option<Identifier> {
    HostName::new(text).map(Identifier::HostName)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each lease: address, since, until, identifiers.
    pub(super) fn shown(leases: &[Lease]) -> Vec<String> {
        let seconds =
            |moment: Option<Timestamp>| moment.map_or("-".to_owned(), |moment| moment.as_second().to_string());
        leases
            .iter()
            .map(|lease| {
                let identifiers: Vec<_> = lease.identifiers.iter().map(ToString::to_string).collect();
                let held = match lease.held {
                    Held::By { since, until } => format!("{}..{}", seconds(since), seconds(until)),
                    Held::Not => "free".to_owned(),
                };
                format!("{} {held} {}", lease.address, identifiers.join(" ")).trim_end().to_owned()
            })
            .collect()
    }

    /// Reads a file; compares its leases, and of each message the line with the place.
    #[track_caller]
    pub(super) fn check(format: LeaseFormat, text: &str, expected: &[&str], expected_messages: &[&str]) {
        let (leases, messages) = format.leases(&Source::new("leases", text));
        assert_eq!(shown(&leases), expected);
        let first = |message: &Diagnostic| message.to_string().lines().next().unwrap_or_default().to_owned();
        assert_eq!(messages.iter().map(first).collect::<Vec<_>>(), expected_messages);
    }

    #[test]
    fn a_file_of_rubbish_is_many_faults_and_few_messages() {
        for format in LeaseFormat::ALL {
            let (leases, messages) = format.leases(&Source::new("leases", "} \" , ; {\n".repeat(1_000)));
            assert_eq!(leases, [], "{format:?}");
            assert!((1..=MESSAGES_MAX).contains(&messages.len()), "{format:?}: {}", messages.len());
        }
    }
}
