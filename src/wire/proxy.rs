//! The header of the PROXY protocol, version 2: for whom a proxy speaks (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! Version 1, a line of text, is not read: it exists for streams only. What follows the addresses (TLV) is passed over.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a header at most, those passed over included.
pub const PROXY_HEADER_MAX: usize = 512;
/// What every header begins with. No DNS message does: read as one, it has an opcode that is long obsolete.
pub const PROXY_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of the part that has the same size in every header.
pub const PROXY_FIXED: usize = PROXY_SIGNATURE.len() + 4;

/// For whom a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// For nobody: it asks for itself, whether we are well (LOCAL).
    Itself,
    /// For the client at `source`.
    Client {
        /// Its address and port.
        source: SocketAddr,
        /// Whether it reached the proxy over a stream, so that its address is proven to the proxy.
        over_stream: bool,
    },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHeader;

/// Octets of a whole header, by its first [`PROXY_FIXED`].
///
/// # Errors
/// It is no header, or longer than [`PROXY_HEADER_MAX`].
pub fn proxy_header_size(fixed: &[u8; PROXY_FIXED]) -> Result<usize, NoHeader> {
    let size = PROXY_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if fixed.starts_with(&PROXY_SIGNATURE) && size <= PROXY_HEADER_MAX { Ok(size) } else { Err(NoHeader) }
}

impl Proxied {
    /// Reads the header that `octets` begin with; returns what follows it.
    ///
    /// # Errors
    /// There is none, it is cut or too long, of another version, or it names no client of the Internet.
    pub fn read(octets: &[u8]) -> Result<(Self, &[u8]), NoHeader> {
        let (fixed, _rest) = octets.split_first_chunk().ok_or(NoHeader)?;
        let (header, message) = octets.split_at_checked(proxy_header_size(fixed)?).ok_or(NoHeader)?;
        let (command, family, addresses) = (header[12], header[13], &header[PROXY_FIXED..]);
        let proxied = match (command, family) {
            // Whatever addresses it has are to be passed over.
            (0x20, _) => Self::Itself,
            (0x21, 0x11 | 0x12) => {
                let source = addresses.first_chunk::<4>().ok_or(NoHeader)?;
                Self::client(Ipv4Addr::from(*source).into(), addresses.get(8..12), family)?
            }
            (0x21, 0x21 | 0x22) => {
                let source = addresses.first_chunk::<16>().ok_or(NoHeader)?;
                Self::client(Ipv6Addr::from(*source).into(), addresses.get(32..36), family)?
            }
            // A client without an address can't be judged, and one that a proxy hides must not pass as the proxy's own.
            _ => return Err(NoHeader),
        };
        Ok((proxied, message))
    }

    /// `ports` are those of both ends; they stand behind both addresses.
    fn client(address: std::net::IpAddr, ports: Option<&[u8]>, family: u8) -> Result<Self, NoHeader> {
        let &[high, low, _, _] = ports.ok_or(NoHeader)? else { return Err(NoHeader) };
        // An IPv4 client that reached the proxy on an IPv6 socket is the IPv4 client.
        let source = SocketAddr::new(address.to_canonical(), u16::from_be_bytes([high, low]));
        Ok(Self::Client { source, over_stream: family & 0x0F == 1 })
    }
}

#[cfg(test)]
mod tests {
    use ppp::v2;
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let size = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&PROXY_SIGNATURE[..], &[command, family], &size, rest].concat()
    }

    fn client(source: &str, over_stream: bool) -> Proxied {
        Proxied::Client { source: source.parse().unwrap(), over_stream }
    }

    #[test]
    fn a_client_is_read_with_its_family_and_how_it_came() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 53, 0x10, 0x92, 0, 53];
        let datagram = [header(0x21, 0x12, &v4), b"query".to_vec()].concat();
        assert_eq!(Proxied::read(&datagram), Ok((client("192.0.2.1:4242", false), &b"query"[..])));
        assert_eq!(Proxied::read(&header(0x21, 0x11, &v4)), Ok((client("192.0.2.1:4242", true), &b""[..])));
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0x0D, 0xB8]);
        (v6[15], v6[32], v6[33]) = (7, 0x10, 0x92);
        // Behind the addresses anything may stand.
        let with_more = header(0x21, 0x22, &[&v6[..], &[4, 0, 1, 9]].concat());
        assert_eq!(Proxied::read(&with_more), Ok((client("[2001:db8::7]:4242", false), &b""[..])));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_client() {
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xFF, 0xFF, 192, 0, 2, 1]);
        assert_eq!(Proxied::read(&header(0x21, 0x21, &mapped)), Ok((client("192.0.2.1:0", true), &b""[..])));
    }

    #[test]
    fn a_proxy_that_asks_for_itself_names_nobody() {
        for family in [0, 0x11, 0x22, 0x31] {
            assert_eq!(Proxied::read(&header(0x20, family, &[1, 2, 3])), Ok((Proxied::Itself, &b""[..])));
        }
    }

    #[test]
    fn what_names_no_client_is_refused() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 53, 0x10, 0x92, 0, 53];
        for family in [0, 0x10, 0x13, 0x20, 0x31, 0x32, 0xFF] {
            assert_eq!(Proxied::read(&header(0x21, family, &[0; 216])), Err(NoHeader), "{family:#x}");
        }
        for command in [0x11, 0x22, 0x2F, 0x31, 0] {
            assert_eq!(Proxied::read(&header(command, 0x12, &v4)), Err(NoHeader), "{command:#x}");
        }
        let whole = header(0x21, 0x12, &v4);
        for end in 0..whole.len() {
            assert_eq!(Proxied::read(&whole[..end]), Err(NoHeader), "{end}");
        }
        for size in [0, 11] {
            assert_eq!(Proxied::read(&header(0x21, 0x12, &v4[..size])), Err(NoHeader), "{size}");
        }
        assert_eq!(Proxied::read(&header(0x21, 0x22, &[0; 35])), Err(NoHeader));
        assert_eq!(Proxied::read(b"PROXY TCP4 192.0.2.1 198.51.100.53 4242 53\r\n"), Err(NoHeader), "version 1");
    }

    #[test]
    fn a_header_is_no_longer_than_its_limit() {
        let padded = |size: usize| {
            let mut rest = vec![0; size - PROXY_FIXED];
            rest[..4].copy_from_slice(&[192, 0, 2, 1]);
            header(0x21, 0x12, &rest)
        };
        assert!(Proxied::read(&padded(PROXY_HEADER_MAX)).is_ok());
        assert_eq!(Proxied::read(&padded(PROXY_HEADER_MAX + 1)), Err(NoHeader));
    }

    /// The same by another's hand.
    fn theirs(octets: &[u8]) -> Result<(Proxied, &[u8]), NoHeader> {
        let header = v2::Header::try_from(octets).map_err(|_refused| NoHeader)?;
        let rest = octets.get(header.len()..).ok_or(NoHeader)?;
        if header.len() > PROXY_HEADER_MAX {
            return Err(NoHeader);
        }
        if header.command == v2::Command::Local {
            return Ok((Proxied::Itself, rest));
        }
        let over_stream = match header.protocol {
            v2::Protocol::Unspecified => return Err(NoHeader),
            v2::Protocol::Stream => true,
            v2::Protocol::Datagram => false,
        };
        let source = match header.addresses {
            v2::Addresses::IPv4(it) => SocketAddr::from((it.source_address, it.source_port)),
            v2::Addresses::IPv6(it) => SocketAddr::new(it.source_address.to_canonical(), it.source_port),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => return Err(NoHeader),
        };
        Ok((Proxied::Client { source, over_stream }, rest))
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_another_implementation_reads_it(
            command in prop::sample::select(vec![0x20_u8, 0x21, 0x21, 0x21, 0x22, 0x11]),
            family in prop::sample::select(vec![0_u8, 0x11, 0x12, 0x21, 0x22, 0x31, 0x13, 0x40]),
            rest in prop::collection::vec(any::<u8>(), 0..600),
            cut in 0..40_usize,
            behind in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut octets = header(command, family, &rest);
            if cut < 3 {
                octets.truncate(octets.len() - cut);
            }
            octets.extend(behind);
            // What a proxy asks for itself is the same whatever family it names; theirs knows only some.
            prop_assume!(command != 0x20 || matches!(family, 0 | 0x11 | 0x12) && rest.len() >= 12);
            prop_assert_eq!(Proxied::read(&octets), theirs(&octets));
        }
    }
}
