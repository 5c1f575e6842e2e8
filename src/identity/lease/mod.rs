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

use super::{HostName, Identifier, Mac, Method};
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

    /// Whoever answers at an address by this hardware address now; `None`: it is no single device's.
    pub fn of_neighbour(address: IpAddr, mac: Mac) -> Option<Self> {
        let held = Held::By { since: None, until: None };
        let mac = Some(Identifier::Mac(mac)).filter(|_mac| mac.is_of_one());
        Self::by(Method::Neighbour, address, held, mac)
    }

    /// That an address has this name in its reverse zone.
    pub fn of_reverse(address: IpAddr, name: HostName) -> Option<Self> {
        let held = Held::By { since: None, until: None };
        Self::by(Method::Reverse, address, held, [Identifier::HostName(name)])
    }

    /// The same, known otherwise.
    fn by(
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

    /// A file of this format in which a device calls itself so.
    fn named(format: LeaseFormat, name: &str) -> String {
        let mac = "00:16:3e:00:00:0a";
        match format {
            LeaseFormat::Kea => format!(
                "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n\
                 10.0.0.7,{mac},,3600,1727600000,1,0,0,{name},0\n"
            ),
            LeaseFormat::Isc => format!(
                "lease 10.0.0.7 {{\n  binding state active;\n  hardware ethernet {mac};\n  client-hostname \"{name}\";\n}}\n"
            ),
            LeaseFormat::Dnsmasq => format!("0 {mac} 10.0.0.7 {name} *\n"),
            LeaseFormat::Csv => format!("address,mac,host_name\n10.0.0.7,{mac},{name}\n"),
        }
    }

    #[test]
    fn nothing_that_a_file_holds_steers_a_terminal_a_page_or_a_sheet() {
        let long = "x".repeat(5_000);
        for name in [
            "\u{1b}[31mred\u{1b}[0m",
            "\u{9b}2J",
            "=cmd()",
            "+1",
            "-1",
            "@sum",
            "<script>alert(1)</script>",
            "a\nb",
            "a\r\nb",
            "a\tb",
            "a\0b",
            "a\"b",
            "a'b",
            "a;b",
            "a,b",
            "\u{202e}evil",
            "\u{feff}x",
            "\u{7f}",
            "%s%n",
            "a&amp;b",
            "\\",
            &long,
        ] {
            for format in LeaseFormat::ALL {
                let whole = named(format, name);
                for text in [whole.clone(), whole.chars().take(whole.chars().count() / 2).collect(), name.to_owned()] {
                    let (leases, messages) = format.leases(&Source::new("leases", text));
                    for identifier in leases.iter().flat_map(|lease| &lease.identifiers) {
                        let told = identifier.to_string();
                        assert!(told.bytes().all(|octet| octet.is_ascii_graphic()) && told.len() < 300, "{told:?}");
                        let says = told.split_once(':').unwrap().1;
                        assert!(!says.contains(['<', '>', '"', '\'', '&', ',', ';', '%', '\\']), "{told:?}");
                        assert!(!says.starts_with(['=', '+', '-', '@']), "{told:?}");
                    }
                    for message in messages {
                        let told = message.to_string();
                        assert!(!told.contains(|it: char| it.is_control() && it != '\n'), "{told:?}");
                        assert!(!told.contains(['\u{202e}', '\u{feff}']), "{told:?}");
                    }
                }
            }
        }
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
