//! What an owner of a response policy zone triggers on: a name, or an address with the length of its prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::policy::pattern::PatternKind;

/// What a rule is for.
#[derive(Debug)]
pub(super) enum Trigger<'o> {
    /// Questions for this name, or for all below it.
    Name(PatternKind, &'o str),
    /// Addresses.
    Address(AddressTrigger),
}

/// Addresses that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressTrigger {
    /// In answers: `24.0.2.0.192.rpz-ip`.
    Answer(IpNet),
    /// Of clients: `24.0.2.0.192.rpz-client-ip`.
    Client(IpNet),
}

impl fmt::Display for AddressTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(network) => write!(f, "for answers with addresses in {network}"),
            Self::Client(network) => write!(f, "for clients in {network}"),
        }
    }
}

/// The trigger of an owner that is relative to its zone.
pub(super) fn trigger(owner: &str) -> Result<Trigger<'_>, &'static str> {
    let (front, last) = owner.rsplit_once('.').unwrap_or(("", owner));
    // Nearly every owner is a name.
    if last.starts_with(['r', 'R']) {
        let is = |word: &str| last.eq_ignore_ascii_case(word);
        if is("rpz-ip") {
            return network(front).map(|network| Trigger::Address(AddressTrigger::Answer(network)));
        }
        if is("rpz-client-ip") {
            return network(front).map(|network| Trigger::Address(AddressTrigger::Client(network)));
        }
        if is("rpz-nsdname") || is("rpz-nsip") {
            return Err("for name servers, which a forwarder never meets");
        }
    }
    Ok(match owner.strip_prefix("*.") {
        Some(name) => Trigger::Name(PatternKind::Below, name),
        None if owner == "*" => Trigger::Name(PatternKind::Below, "."),
        None => Trigger::Name(PatternKind::Exact, owner),
    })
}

/// `PREFIX.B4.B3.B2.B1`, or `PREFIX.W8.….W1` with `zz` for the longest run of zeros.
fn network(text: &str) -> Result<IpNet, &'static str> {
    const FORM: &str = "no address: write `24.0.2.0.192` for 192.0.2.0/24, `32.zz.db8.2001` for 2001:db8::/32";
    let (prefix, address) = text.split_once('.').ok_or(FORM)?;
    let prefix: u8 = prefix.parse().ok().ok_or(FORM)?;
    let labels = || address.rsplit('.');
    let address = match v4(labels()) {
        Some(address) => IpAddr::V4(address),
        None => IpAddr::V6(v6(labels()).ok_or(FORM)?),
    };
    let network = IpNet::new(address, prefix).ok().filter(|_fits| prefix > 0);
    let network = network.ok_or("no length of a prefix of such an address")?;
    if network.addr() == network.network() { Ok(network) } else { Err("the address has bits behind its prefix") }
}

fn v4<'t>(labels: impl Iterator<Item = &'t str>) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut count = 0;
    for label in labels {
        *octets.get_mut(count)? = label.parse().ok()?;
        count += 1;
    }
    (count == 4).then(|| Ipv4Addr::from(octets))
}

fn v6<'t>(labels: impl Iterator<Item = &'t str>) -> Option<Ipv6Addr> {
    let mut text = String::new();
    for (index, label) in labels.enumerate() {
        let is_word = (1..=4).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_hexdigit());
        match label {
            "zz" | "ZZ" if text.contains("::") => return None,
            "zz" | "ZZ" => text.push_str("::"),
            word if is_word => {
                if index > 0 && !text.ends_with(':') {
                    text.push(':');
                }
                text.push_str(word);
            }
            _ => return None,
        }
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_exactly_as_they_are_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(network(text).ok(), expected.map(|expected| expected.parse().unwrap()), "{text}");
        };
        check("32.1.2.0.192", Some("192.0.2.1/32"));
        check("24.0.2.0.192", Some("192.0.2.0/24"));
        check("128.1.zz.db8.2001", Some("2001:db8::1/128"));
        check("32.zz.db8.2001", Some("2001:db8::/32"));
        check("128.57.zz.1.0.db8.2001", Some("2001:db8:0:1::57/128"));
        check("128.8.7.6.5.4.3.2.1", Some("1:2:3:4:5:6:7:8/128"));
        check("128.1.zz", Some("::1/128"));
        check("24.1.2.0.192", None);
        check("33.1.2.0.192", None);
        check("0.0.0.0.0", None);
        check("32.1.2.0", None);
        check("32.256.2.0.192", None);
        check("48.zz.1.zz.2001", None);
        check("129.1.zz.db8.2001", None);
        check("64.12345.zz.2001", None);
        check("", None);
    }
}
