//! Who answers at which address on the networks that this host has a leg in: the neighbour table of the kernel (ARP and
//! RFC 4861), asked for over netlink (rtnetlink(7)).

use std::io;
use std::net::IpAddr;

/// Octets of one answer at most; the kernel cuts its table into pieces of 32 KiB.
const ANSWER_MAX: usize = 64 << 10;
/// Neighbours at most; the kernel keeps fewer unless it is told otherwise.
const NEIGHBOURS_MAX: usize = 1 << 18;
/// `NLMSG_ERROR`, `NLMSG_DONE`, `RTM_NEWNEIGH`, `RTM_GETNEIGH`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_NEIGHBOUR: u16 = 28;
const GET_NEIGHBOUR: u16 = 30;
/// `NLM_F_REQUEST` and `NLM_F_DUMP`.
const DUMP: u16 = 0x0301;
/// The head of a message, and that of what it says of a neighbour.
const HEAD: usize = 16;
const NEIGHBOUR: usize = 12;
/// The attributes `NDA_DST` and `NDA_LLADDR`.
const ADDRESS: u16 = 1;
const LINK_ADDRESS: u16 = 2;
/// The states in which a neighbour has answered, some time ago at least: `NUD_REACHABLE`, `STALE`, `DELAY`, `PROBE`, `PERMANENT`.
const ANSWERED: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;

/// The hardware address of a neighbour.
pub type LinkAddress = [u8; 6];

/// Every neighbour that has answered, by its address.
///
/// # Errors
/// The system's, also where it has no such table, or a sandbox forbids to ask for it.
#[cfg(target_os = "linux")]
pub fn neighbours() -> io::Result<Vec<(IpAddr, LinkAddress)>> {
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto, socket_with, sockopt,
    };

    // Without a protocol it is that of routes and neighbours.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // The kernel answers at once; what never comes is not waited for.
    let patience = Some(std::time::Duration::from_secs(2));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, patience)?;
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request(), SendFlags::empty(), &kernel)?;
    let (mut found, mut room) = (Vec::new(), vec![0; ANSWER_MAX]);
    loop {
        let (size, _whole) = recv(&socket, &mut *room, RecvFlags::empty())?;
        if read(room.get(..size).unwrap_or_default(), &mut found)? {
            return Ok(found);
        }
    }
}

/// No other system has this.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn neighbours() -> io::Result<Vec<(IpAddr, LinkAddress)>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Asks for the whole table.
fn request() -> Vec<u8> {
    let size = u32::try_from(HEAD + NEIGHBOUR).unwrap_or_default();
    let mut message = size.to_ne_bytes().to_vec();
    message.extend(GET_NEIGHBOUR.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.resize(HEAD + NEIGHBOUR, 0);
    message
}

/// Takes the neighbours of one answer, which is several messages; says whether it was the last.
fn read(mut answer: &[u8], found: &mut Vec<(IpAddr, LinkAddress)>) -> io::Result<bool> {
    while let Some((message, rest)) = piece(answer, 4, 4, HEAD) {
        match short(message, 4) {
            Some(DONE) => return Ok(true),
            Some(ERROR) => return Err(io::Error::other("the kernel refused to tell its neighbours")),
            Some(NEW_NEIGHBOUR) if found.len() < NEIGHBOURS_MAX => {
                found.extend(neighbour(message.get(HEAD..).unwrap_or_default()));
            }
            _ => (),
        }
        answer = rest;
    }
    Ok(false)
}

/// One neighbour, if it has answered and has a hardware address of Ethernet.
fn neighbour(message: &[u8]) -> Option<(IpAddr, LinkAddress)> {
    let state = short(message, 8)?;
    let (mut address, mut link, mut rest) = (None, None, message.get(NEIGHBOUR..)?);
    while let Some((attribute, next)) = piece(rest, 2, 4, 4) {
        let value = attribute.get(4..)?;
        match short(attribute, 2)? {
            ADDRESS => address = ip(value),
            LINK_ADDRESS => link = value.try_into().ok(),
            _ => (),
        }
        rest = next;
    }
    address.zip(link).filter(|_both| state & ANSWERED != 0)
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(octets).map(|octets| IpAddr::from(octets).to_canonical()).ok())
}

/// The first piece, whose length stands in its first octets, and what follows; pieces begin at multiples of `align`.
fn piece(octets: &[u8], width: usize, align: usize, least: usize) -> Option<(&[u8], &[u8])> {
    let size = match width {
        2 => usize::from(short(octets, 0)?),
        _ => usize::try_from(u32::from_ne_bytes(*octets.first_chunk()?)).ok()?,
    };
    let piece = octets.get(..size).filter(|piece| piece.len() >= least)?;
    Some((piece, octets.get(size.next_multiple_of(align)..).unwrap_or_default()))
}

fn short(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*octets.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this type: a head, and behind it what it says.
    fn message(kind: u16, says: &[u8]) -> Vec<u8> {
        let mut message = u32::try_from(HEAD + says.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEAD, 0);
        message.extend(says);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut attribute = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        attribute.extend(kind.to_ne_bytes());
        attribute.extend(value);
        attribute.resize(attribute.len().next_multiple_of(4), 0);
        attribute
    }

    fn neighbour_in(state: u16, address: &[u8], link: &[u8]) -> Vec<u8> {
        let mut says = vec![0; NEIGHBOUR];
        says[8..10].copy_from_slice(&state.to_ne_bytes());
        says.extend(attribute(ADDRESS, address));
        says.extend(attribute(LINK_ADDRESS, link));
        message(NEW_NEIGHBOUR, &says)
    }

    const MAC: [u8; 6] = [0, 0x16, 0x3e, 0, 0, 0x0a];

    #[test]
    fn neighbours_that_have_answered_are_found_and_others_are_not() {
        let six = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let answer = [
            neighbour_in(0x02, &[192, 0, 2, 7], &MAC),
            neighbour_in(0x20, &[192, 0, 2, 8], &MAC),
            neighbour_in(0x40, &[192, 0, 2, 9], &MAC),
            neighbour_in(0x04, &six, &MAC),
            neighbour_in(0x04, &[192, 0, 2, 10], &[0; 20]),
            message(DONE, &[0; 4]),
        ]
        .concat();
        let mut found = Vec::new();
        assert!(read(&answer, &mut found).unwrap());
        assert_eq!(found, [("192.0.2.7".parse().unwrap(), MAC), ("2001:db8::7".parse().unwrap(), MAC)]);
        for end in 0..answer.len() {
            let mut found = Vec::new();
            // What is cut is not the end, and nobody is made up of it.
            let _cut = read(&answer[..end], &mut found);
            assert!(found.len() <= 2);
        }
        assert!(read(&message(ERROR, &[0; 4]), &mut Vec::new()).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_tells_its_table_or_why_not() {
        // A container may have none, or forbid to ask.
        let found = neighbours();
        assert!(found.is_ok() || found.unwrap_err().raw_os_error().is_some());
    }
}
