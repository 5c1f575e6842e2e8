//! By what door a query came: the address and port it was sent to, the path it was asked at over HTTPS, and the name that the
//! client called the server by in TLS.
//!
//! Whoever knows an address, a path or a name can use it, so a door says which rules a client is to be met with and never who
//! it is.

use std::net::{IpAddr, SocketAddr};

use super::who::GroupIndex;

/// By what door a query came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entrance {
    /// The address and port that it was sent to.
    listener: Word,
    /// The address alone.
    address: Word,
    /// The path that it was asked at over HTTPS.
    path: Word,
    /// The name in the client's greeting over TLS (RFC 6066 §3).
    tls_name: Word,
}

/// A text or an address as a number, so that it goes along with every query at no cost. Two may have the same one: nothing is
/// gained by that, since whoever wants to pass by a door can just name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(u32);

/// A door of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An address and port that is asked.
    Listener(Word),
    /// An address, at any port.
    Address(Word),
    /// This path.
    Path(Word),
    /// This name.
    TlsName(Word),
}

/// The doors of all groups.
#[derive(Debug, Default)]
pub(super) struct Doors {
    doors: Vec<(Door, GroupIndex)>,
}

/// Doors that a query came by, as bits by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met(u64);

impl Entrance {
    /// None that is known.
    pub const UNKNOWN: Self = Self { listener: Word(0), address: Word(0), path: Word(0), tls_name: Word(0) };

    /// The same, at this address and port of ours.
    #[must_use]
    pub fn at(self, listener: SocketAddr) -> Self {
        let address = listener.ip().to_canonical();
        Self { listener: Word::of_address(address, listener.port()), address: Word::of_address(address, 0), ..self }
    }

    /// The same, at this path.
    #[must_use]
    pub fn by_path(self, path: Word) -> Self {
        Self { path, ..self }
    }

    /// The same, where the client has named the server so.
    #[must_use]
    pub fn by_tls_name(self, name: &str) -> Self {
        Self { tls_name: Word::of_name(name), ..self }
    }
}

impl Word {
    /// A path, octet by octet.
    pub fn of_path(path: &str) -> Self {
        Self::of(path.bytes())
    }

    /// A name, whatever its case.
    pub fn of_name(name: &str) -> Self {
        Self::of(name.trim_end_matches('.').bytes().map(|octet| octet.to_ascii_lowercase()))
    }

    /// FNV-1a (draft-eastlake-fnv).
    fn of(octets: impl Iterator<Item = u8>) -> Self {
        const BASIS: u32 = 0x811C_9DC5;
        const PRIME: u32 = 0x0100_0193;
        let hash = octets.fold(BASIS, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(PRIME));
        // 0 is nothing at all.
        Self(hash.max(1))
    }

    /// By a multiplication, since every datagram has one.
    fn of_address(address: IpAddr, port: u16) -> Self {
        const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
        let bits = match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let mixed = (bits ^ u128::from(port) << 40).wrapping_mul(ODD) >> 96;
        Self(u32::try_from(mixed).unwrap_or_default().max(1))
    }
}

impl Door {
    /// An address of ours; port 0 is any.
    pub fn of_listener(listener: SocketAddr) -> Self {
        let entrance = Entrance::UNKNOWN.at(listener);
        if listener.port() == 0 { Self::Address(entrance.address) } else { Self::Listener(entrance.listener) }
    }

    /// By this door and no other.
    fn entrance(self) -> Entrance {
        match self {
            Self::Listener(listener) => Entrance { listener, ..Entrance::UNKNOWN },
            Self::Address(address) => Entrance { address, ..Entrance::UNKNOWN },
            Self::Path(path) => Entrance { path, ..Entrance::UNKNOWN },
            Self::TlsName(tls_name) => Entrance { tls_name, ..Entrance::UNKNOWN },
        }
    }

    fn is_that_of(self, entrance: &Entrance) -> bool {
        match self {
            Self::Listener(listener) => listener == entrance.listener,
            Self::Address(address) => address == entrance.address,
            Self::Path(path) => path == entrance.path,
            Self::TlsName(name) => name == entrance.tls_name,
        }
    }
}

impl Doors {
    /// Doors at most: what the bits of [`Met`] can tell apart.
    pub(super) const MAX: usize = 64;

    /// Of more than [`Doors::MAX`] the rest leads nowhere: whoever reads settings refuses them.
    pub(super) fn new(doors: Vec<(Door, GroupIndex)>) -> Self {
        Self { doors: doors.into_iter().take(Self::MAX).collect() }
    }

    /// Those that a query came by.
    pub(super) fn met(&self, entrance: &Entrance) -> Met {
        let all = self.doors.iter().enumerate();
        Met(all
            .filter(|(_number, (door, _group))| door.is_that_of(entrance))
            .fold(0, |met, (number, _)| met | 1 << number))
    }

    /// The groups behind them.
    pub(super) fn groups(&self, met: Met) -> impl Iterator<Item = GroupIndex> {
        let all = self.doors.iter().enumerate();
        all.filter(move |(number, _door)| met.0 >> number & 1 == 1).map(|(_number, (_door, group))| *group)
    }

    /// By each of them alone.
    pub(super) fn entrances(&self) -> impl Iterator<Item = Entrance> {
        self.doors.iter().map(|(door, _group)| door.entrance())
    }

    /// Whether some group is for a path.
    pub(super) fn has_path(&self, path: Word) -> bool {
        self.doors.iter().any(|(door, _group)| *door == Door::Path(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_of_the_groups_whose_doors_it_came_by() {
        let listener = |text: &str| Door::of_listener(text.parse().unwrap());
        let (path, name) = (Door::Path(Word::of_path("/kids")), Door::TlsName(Word::of_name("Kids.dns.example.")));
        let doors = [listener("192.0.2.53:853"), listener("192.0.2.54:0"), path, name];
        let doors = Doors::new(doors.into_iter().zip((0..).map(GroupIndex)).collect());
        let groups = |entrance: Entrance| doors.groups(doors.met(&entrance)).map(|group| group.0).collect::<Vec<_>>();
        let to = |listener: &str| Entrance::UNKNOWN.at(listener.parse().unwrap());
        assert_eq!(groups(Entrance::UNKNOWN), [0; 0]);
        assert_eq!((groups(to("192.0.2.53:853")), groups(to("192.0.2.53:53"))), (vec![0], vec![]));
        assert_eq!(groups(to("[::ffff:192.0.2.53]:853")), [0]);
        assert_eq!(groups(to("192.0.2.54:5353")), [1]);
        let path = Word::of_path("/kids");
        assert_eq!(groups(to("192.0.2.54:443").by_path(path).by_tls_name("kids.DNS.example")), [1, 2, 3]);
        assert_eq!(groups(Entrance::UNKNOWN.by_path(Word::of_path("/Kids"))), [0; 0]);
        assert_eq!(doors.entrances().map(groups).collect::<Vec<_>>(), [[0], [1], [2], [3]]);
        assert!(doors.has_path(path) && !doors.has_path(Word::of_path("/dns-query")));
    }
}
