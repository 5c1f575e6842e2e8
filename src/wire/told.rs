//! Whom a forwarder says that it asks for: EDNS options that no RFC defines, as dnsmasq and others send them.
//!
//! Anybody can send them, so they are read of senders alone that the operator has named. Like all options they end here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

/// The hardware address of the client (dnsmasq's `--add-mac`): six octets.
const OPTION_MAC: u16 = 65001;
/// The same in words (`--add-mac=text` and `=base64`; Nominum's device id).
const OPTION_MAC_IN_WORDS: u16 = 65073;
/// A word for the premises (`--add-cpe-id`).
const OPTION_PREMISES: u16 = 65074;
/// What Umbrella reads (`--umbrella`): fields behind a magic word, a version and flags.
const OPTION_UMBRELLA: u16 = 20292;
/// What stands in front of those fields: magic word and version; flags follow.
const UMBRELLA: &[u8] = b"ODNS\x01";

/// Whom a forwarder says that it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'m> {
    /// The device with this hardware address.
    Mac([u8; 6]),
    /// Whoever has this address.
    Address(IpAddr),
    /// Somebody on these premises.
    Premises(&'m [u8]),
}

/// How much an option tells, the most first; `None`: it tells nobody.
pub(super) fn rank(code: u16) -> Option<u8> {
    match code {
        OPTION_MAC => Some(0),
        OPTION_MAC_IN_WORDS => Some(1),
        OPTION_UMBRELLA => Some(2),
        OPTION_PREMISES => Some(3),
        _ => None,
    }
}

/// What an option of this rank tells.
pub(super) fn read(rank: u8, data: &[u8]) -> Option<Told<'_>> {
    match rank {
        0 | 1 => mac(data).map(Told::Mac),
        2 => umbrella(data.strip_prefix(UMBRELLA)?.get(1..)?).map(Told::Address),
        _ => Some(Told::Premises(data)).filter(|_told| !data.is_empty()),
    }
}

/// Six octets; or in words, with colons between or as base64.
fn mac(data: &[u8]) -> Option<[u8; 6]> {
    if let Ok(octets) = data.try_into() {
        return Some(octets);
    }
    if data.len() == 8 {
        return BASE64.decode(data).ok()?.try_into().ok();
    }
    let digits = |octet: &[u8]| {
        let plain = octet.iter().all(u8::is_ascii_hexdigit);
        u8::from_str_radix(std::str::from_utf8(octet).ok().filter(|_text| plain)?, 16).ok()
    };
    let octets: Option<Vec<u8>> = data.split(|octet| matches!(octet, b':' | b'-')).take(7).map(digits).collect();
    octets?.try_into().ok()
}

/// The address among these fields, each a type and a value whose length the type says (dnsmasq's `edns0.c`).
fn umbrella(mut fields: &[u8]) -> Option<IpAddr> {
    loop {
        let (&[high, low], rest) = fields.split_first_chunk()?;
        let size = match u16::from_be_bytes([high, low]) {
            // Asset and organisation.
            0x04 | 0x08 => 4,
            0x10 => return Some(Ipv4Addr::from(*rest.first_chunk::<4>()?).into()),
            0x20 => return Some(Ipv6Addr::from(*rest.first_chunk::<16>()?).to_canonical()),
            // The forwarder itself.
            0x40 => 8,
            _ => return None,
        };
        fields = rest.get(size..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_read_in_every_form_that_dnsmasq_has() {
        const MAC: [u8; 6] = [0, 0x16, 0x3e, 0x12, 0x34, 0x56];
        for (code, data) in
            [(OPTION_MAC, &MAC[..]), (OPTION_MAC_IN_WORDS, b"00:16:3e:12:34:56"), (OPTION_MAC_IN_WORDS, b"ABY+EjRW")]
        {
            assert_eq!(read(rank(code).unwrap(), data), Some(Told::Mac(MAC)), "{data:?}");
        }
        for none in
            [&b""[..], b"00:16:3e:12:34", b"00:16:3e:12:34:56:78", b"00:16:3e:12:34:5x", b"ABY+EjR*", b"+0:1:2:3:4:5"]
        {
            assert_eq!(read(0, none), None, "{none:?}");
        }
    }

    #[test]
    fn the_client_of_umbrella_is_found_behind_what_else_it_says() {
        let option = b"ODNS\x01\0\0\x08\0\0\0\x07\0\x40abcdefgh\0\x10\xC0\0\x02\x07";
        assert_eq!(read(2, option), Some(Told::Address("192.0.2.7".parse().unwrap())));
        let six = [&b"ODNS\x01\0\0\x20"[..], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[7]].concat();
        assert_eq!(read(2, &six), Some(Told::Address("2001:db8::7".parse().unwrap())));
        for end in 0..option.len() {
            assert_eq!(read(2, &option[..end]), None);
        }
        assert_eq!(read(2, b"ODNS\x02\0\0\x10\xC0\0\x02\x07"), None, "another version may mean anything");
        assert_eq!(read(2, b"ODNS\x01\0\0\x11\xC0\0\x02\x07"), None, "who knows how long that is");
    }

    #[test]
    fn premises_are_what_the_option_says() {
        assert_eq!(read(rank(OPTION_PREMISES).unwrap(), b"shop-7"), Some(Told::Premises(b"shop-7")));
        assert_eq!((read(3, b""), rank(65075)), (None, None));
    }
}
