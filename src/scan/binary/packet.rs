//! One packet: from the link to what is sent to port 53. Whatever is not that is passed over; what is cut off is a fault.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::entry::Fault;
use crate::wire::be16;

/// The link types that are read (<https://www.tcpdump.org/linktypes.html>).
pub(super) const LINK_ETHERNET: u16 = 1;
const LINK_NULL: u16 = 0;
const LINK_LOOP: u16 = 108;
const LINK_RAW: [u16; 5] = [12, 14, 101, 228, 229];
const LINK_SLL: u16 = 113;
const LINK_SLL2: u16 = 276;

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86DD;
/// Tags of networks within networks (IEEE 802.1Q, 802.1ad, and before it).
const ETHER_VLAN: [u16; 3] = [0x8100, 0x88A8, 0x9100];
/// Tags and headers that are followed at most.
const NESTED_MAX: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;
const PORT: u16 = 53;
const CUT: Fault = Fault::Form("a packet that is cut off");

/// What is sent to a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'p> {
    pub(super) client: IpAddr,
    pub(super) port: u16,
    pub(super) server: IpAddr,
    pub(super) segment: Segment<'p>,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'p> {
    Udp(&'p [u8]),
    Tcp { sequence: u32, flags: u8, octets: &'p [u8] },
}

impl<'p> Packet<'p> {
    /// The packet, if it is sent to a name server.
    pub(super) fn read(link: u16, octets: &'p [u8]) -> Result<Option<Self>, Fault> {
        let (ether, octets) = match link {
            LINK_ETHERNET => ethernet(octets)?,
            LINK_SLL => (half(octets, 14)?, octets.get(16..).ok_or(CUT)?),
            LINK_SLL2 => (half(octets, 0)?, octets.get(20..).ok_or(CUT)?),
            LINK_NULL | LINK_LOOP => (0, octets.get(4..).ok_or(CUT)?),
            link if LINK_RAW.contains(&link) => (0, octets),
            _ => return Err(Fault::Form("a packet of a kind of network that is not read")),
        };
        match (ether, octets.first().map(|first| first >> 4)) {
            (ETHER_IPV4, _) | (0, Some(4)) => ipv4(octets),
            (ETHER_IPV6, _) | (0, Some(6)) => ipv6(octets),
            _ => Ok(None),
        }
    }
}

fn half(octets: &[u8], at: usize) -> Result<u16, Fault> {
    be16(octets, at).map_err(|_short| CUT)
}

/// The type of what a frame holds, and that, behind all tags.
fn ethernet(octets: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let mut at = 12;
    for _tag in 0..NESTED_MAX {
        let ether = half(octets, at)?;
        if !ETHER_VLAN.contains(&ether) {
            return Ok((ether, octets.get(at + 2..).ok_or(CUT)?));
        }
        at += 4;
    }
    Ok((u16::MAX, &[]))
}

fn ipv4(octets: &[u8]) -> Result<Option<Packet<'_>>, Fault> {
    let head = octets.get(..20).ok_or(CUT)?;
    let size = usize::from(head[0] & 0xF) * 4;
    // Of a fragment but the first nothing can be said.
    if size < 20 || half(head, 6)? & 0x1FFF != 0 {
        return Ok(None);
    }
    // What is behind it fills the frame up.
    let total = usize::from(half(head, 2)?);
    let octets = if total >= size { octets.get(..total).unwrap_or(octets) } else { octets };
    let address = |at: usize| <[u8; 4]>::try_from(&head[at..at + 4]).map(Ipv4Addr::from).map_err(|_never| CUT);
    let (client, server) = (address(12)?, address(16)?);
    segment(head[9], octets.get(size..).ok_or(CUT)?, client.into(), server.into())
}

fn ipv6(octets: &[u8]) -> Result<Option<Packet<'_>>, Fault> {
    let head = octets.get(..40).ok_or(CUT)?;
    let address = |at: usize| <[u8; 16]>::try_from(&head[at..at + 16]).map(Ipv6Addr::from).map_err(|_never| CUT);
    let (client, server) = (address(8)?, address(24)?);
    let length = usize::from(half(head, 4)?);
    let mut rest = &octets[40..];
    if length > 0 {
        rest = rest.get(..length).unwrap_or(rest);
    }
    let mut next = head[6];
    for _header in 0..NESTED_MAX {
        let size = match next {
            // Hop by hop, routing, destination options (RFC 8200 §4).
            0 | 43 | 60 => 8 + usize::from(*rest.get(1).ok_or(CUT)?) * 8,
            // Of a fragment but the first nothing can be said.
            44 if half(rest, 2)? & 0xFFF8 != 0 => return Ok(None),
            44 => 8,
            // Authentication (RFC 4302 §2).
            51 => 8 + usize::from(*rest.get(1).ok_or(CUT)?) * 4,
            _ => return segment(next, rest, client.into(), server.into()),
        };
        next = *rest.first().ok_or(CUT)?;
        rest = rest.get(size..).ok_or(CUT)?;
    }
    Ok(None)
}

fn segment(protocol: u8, octets: &[u8], client: IpAddr, server: IpAddr) -> Result<Option<Packet<'_>>, Fault> {
    if !matches!(protocol, TCP | UDP) {
        return Ok(None);
    }
    let (port, to) = (half(octets, 0)?, half(octets, 2)?);
    if to != PORT {
        return Ok(None);
    }
    let segment = if protocol == UDP {
        let length = usize::from(half(octets, 4)?);
        // Whoever captured no more than a part of it has said so by that.
        let end = if length >= 8 { length.min(octets.len()) } else { octets.len() };
        Segment::Udp(octets.get(8..end).ok_or(CUT)?)
    } else {
        let head = octets.get(..20).ok_or(CUT)?;
        let sequence = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let size = usize::from(head[12] >> 4) * 4;
        Segment::Tcp { sequence, flags: head[13], octets: octets.get(size.max(20)..).ok_or(CUT)? }
    };
    Ok(Some(Packet { client, port, server, segment }))
}
