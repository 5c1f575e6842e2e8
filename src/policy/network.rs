//! Networks in patterns, kept as the names that response policy zones give them: so a pattern is a name whatever it is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::wire::LowerName;

/// What can be wrong with a network in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// As our own format writes them.
    #[error("no network; write it as `192.0.2.0/24`, `2001:db8::/32`, or one address alone")]
    Text,
    /// As a response policy zone writes them.
    #[error("no address: write `24.0.2.0.192` for 192.0.2.0/24, `32.zz.db8.2001` for 2001:db8::/32")]
    Name,
    /// A prefix longer than the address, or none.
    #[error("no length of a prefix of such an address")]
    Prefix,
    /// 192.0.2.1/24.
    #[error("the address has bits behind its prefix")]
    Bits,
}

/// Reads `192.0.2.0/24`, or an address alone. No network is everything: such a rule is a slip.
pub(super) fn of_text(text: &str) -> Result<IpNet, NetworkFault> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_no_address) => text.parse().map_err(|_no_network| NetworkFault::Text)?,
    };
    checked(network)
}

/// Reads `PREFIX.B4.B3.B2.B1`, or `PREFIX.W8.….W1` with `zz` for the longest run of zeros (draft-vixie-dnsop-dns-rpz §4.1.1).
pub(super) fn of_name(text: &str) -> Result<IpNet, NetworkFault> {
    let (prefix, address) = text.split_once('.').ok_or(NetworkFault::Name)?;
    let prefix: u8 = prefix.parse().ok().ok_or(NetworkFault::Name)?;
    let labels = || address.rsplit('.');
    let address = match v4(labels()) {
        Some(address) => IpAddr::V4(address),
        None => IpAddr::V6(v6(labels()).ok_or(NetworkFault::Name)?),
    };
    checked(IpNet::new(address, prefix).map_err(|_too_long| NetworkFault::Prefix)?)
}

/// The network of a pattern's name; `None` where it was made of none.
pub(super) fn of_wire(wire: &[u8]) -> Option<IpNet> {
    let (name, _end) = LowerName::read(wire, 0).ok()?;
    of_name(&name.to_string()).ok()
}

/// The network as the name that [`of_name`] reads.
pub(super) fn to_name(network: IpNet) -> LowerName {
    let address = match network.addr() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => words(address),
    };
    // Short labels of letters and digits: it always is a name.
    LowerName::parse(&format!("{}.{address}", network.prefix_len())).unwrap_or(LowerName::ROOT)
}

/// The shortest prefix of a network that is not nearly everybody.
pub fn least_prefix(network: &IpNet) -> u8 {
    match network {
        IpNet::V4(_) => 8,
        // IPv4 in its other form (RFC 4291 §2.5.5.2).
        IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some() => 96 + 8,
        IpNet::V6(_) => 16,
    }
}

/// The same of answers: all unique local addresses (`fc00::/7`), say, may be kept from those of the internet.
pub(super) fn least_prefix_of_answers(network: &IpNet) -> u8 {
    match network {
        IpNet::V4(_) => 4,
        IpNet::V6(_) => 7,
    }
}

fn checked(network: IpNet) -> Result<IpNet, NetworkFault> {
    match network.prefix_len() {
        0 => Err(NetworkFault::Prefix),
        _ if network.addr() != network.network() => Err(NetworkFault::Bits),
        _ => Ok(network),
    }
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

/// The words of an address from the last, its longest run of zeros as `zz`.
fn words(address: Ipv6Addr) -> String {
    let text = address.to_string();
    if text.contains('.') {
        // An IPv4 address within: its last two words are not written as such.
        let [.., mark, high, low] = address.segments();
        let mapped = if mark == 0xFFFF { ".ffff.zz" } else { ".zz" };
        return format!("{low:x}.{high:x}{mapped}");
    }
    let text = text.replace("::", ":zz:");
    let mut words: Vec<&str> = text.split(':').filter(|word| !word.is_empty()).collect();
    words.reverse();
    words.join(".")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_exactly_as_they_are_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(of_name(text).ok(), expected.map(|expected| expected.parse().unwrap()), "{text}");
        };
        check("32.1.2.0.192", Some("192.0.2.1/32"));
        check("24.0.2.0.192", Some("192.0.2.0/24"));
        check("128.1.zz.db8.2001", Some("2001:db8::1/128"));
        check("32.zz.db8.2001", Some("2001:db8::/32"));
        check("128.57.zz.1.0.db8.2001", Some("2001:db8:0:1::57/128"));
        check("128.8.7.6.5.4.3.2.1", Some("1:2:3:4:5:6:7:8/128"));
        check("128.1.zz", Some("::1/128"));
        check("96.0.0.ffff.zz", Some("::ffff:0:0/96"));
        let mapped: IpNet = "::ffff:0:0/96".parse().unwrap();
        assert_eq!(of_wire(to_name(mapped).wire()), Some(mapped));
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

    #[test]
    fn a_network_of_our_own_format_is_an_address_with_or_without_a_prefix() {
        assert_eq!(of_text("192.0.2.0/24"), Ok("192.0.2.0/24".parse().unwrap()));
        assert_eq!(of_text("192.0.2.1"), Ok("192.0.2.1/32".parse().unwrap()));
        assert_eq!(of_text("2001:db8::1"), Ok("2001:db8::1/128".parse().unwrap()));
        assert_eq!(of_text("192.0.2.1/24"), Err(NetworkFault::Bits));
        assert_eq!([of_text("0.0.0.0/0"), of_text("::/0")], [Err(NetworkFault::Prefix); 2]);
        assert_eq!([of_text("192.0.2.0/33"), of_text("example"), of_text("")], [Err(NetworkFault::Text); 3]);
    }

    proptest! {
        #[test]
        fn every_network_is_a_name_that_is_read_as_the_same_network(
            address in any::<u128>(), zeros in any::<u128>(), is_v4 in any::<bool>(), prefix in 1..=128_u8,
        ) {
            let address = if is_v4 {
                IpAddr::from(Ipv4Addr::from(u32::try_from(address & zeros & 0xFFFF_FFFF).unwrap()))
            } else {
                IpAddr::from(Ipv6Addr::from(address & zeros & zeros.rotate_left(16)))
            };
            let prefix = if is_v4 { (prefix - 1) % 32 + 1 } else { prefix };
            let network = IpNet::new(address, prefix).unwrap().trunc();
            prop_assert_eq!(of_wire(to_name(network).wire()), Some(network));
        }

        #[test]
        fn so_are_those_within_which_an_ipv4_address_lies(high in 0..=0xFFFF_u16, low in 0..=0xFFFF_u16, mapped in any::<bool>()) {
            let mid = if mapped { 0xFFFF } else { 0 };
            let network = IpNet::from(IpAddr::from([0, 0, 0, 0, 0, mid, high, low]));
            prop_assert_eq!(of_wire(to_name(network).wire()), Some(network));
        }
    }
}
