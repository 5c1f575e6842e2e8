//! Rules about networks, and those that an address lies in: the address space is cut where any of them begins or ends, so that
//! an address costs one search, and each network knows the next one around it.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::network;

/// Networks of a table at most.
pub(super) const NETWORKS_MAX: usize = 1 << 20;

/// A rule about a network.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) attributes: u16,
    pub(super) network: IpNet,
    /// The network as its pattern has it.
    pub(super) wire: Box<[u8]>,
    /// The rule around it: of the same network, or the smallest one that it lies in.
    around: Option<u32>,
}

/// Networks as they come.
#[derive(Debug, Default)]
pub(super) struct NetworksBuilder {
    rows: Vec<(IpNet, u16)>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// By family, first address and length of prefix.
    rows: Box<[Row]>,
    v4: Space,
    v6: Space,
    /// Whether any rule does anything.
    speaks: bool,
}

/// The addresses of one family.
#[derive(Debug, Default)]
struct Space {
    /// First addresses of the pieces, in order; a piece ends where the next one begins.
    starts: Vec<u128>,
    /// By piece: the smallest network there, if there is one.
    smallest: Vec<Option<u32>>,
}

impl NetworksBuilder {
    pub(super) fn push(&mut self, network: IpNet, attributes: u16) {
        self.rows.push((network, attributes));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The table of the rules that `stands`, asked with an older rule of the same network, a newer one and the network as a
    /// name, does not say to stand there already; each of them is `kept`, which says whether it does anything.
    pub(super) fn build(
        self,
        mut stands: impl FnMut(u16, u16, &[u8]) -> bool,
        mut kept: impl FnMut(u16) -> bool,
    ) -> Networks {
        let mut networks = Networks::default();
        let mut rows: Vec<Row> = Vec::new();
        let mut sorted = self.rows;
        // Stable: of equal networks the first is the older.
        sorted.sort_by_key(|(network, _attributes)| (network.addr(), network.prefix_len()));
        for (network, attributes) in sorted {
            let wire: Box<[u8]> = network::to_name(network).wire().into();
            let mut same = rows.iter().rev().take_while(|row| row.network == network);
            if same.any(|older| stands(older.attributes, attributes, &wire)) {
                continue;
            }
            networks.speaks |= kept(attributes);
            rows.push(Row { attributes, network, wire, around: None });
        }
        let v6_from = rows.partition_point(|row| row.network.addr().is_ipv4());
        networks.v4 = Space::cut(&mut rows, 0..v6_from);
        let all = rows.len();
        networks.v6 = Space::cut(&mut rows, v6_from..all);
        networks.rows = rows.into();
        networks
    }
}

impl Networks {
    /// Whether any rule does anything.
    #[inline]
    pub(super) fn speaks(&self) -> bool {
        self.speaks
    }

    /// Every rule, a network before those that lie in it.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rules about networks that an address lies in, the smallest first.
    pub(super) fn around(&self, address: IpAddr) -> impl Iterator<Item = &Row> {
        let space = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let row = |index: u32| self.rows.get(index as usize);
        std::iter::successors(space.smallest_at(bits(address)).and_then(row), move |inner| inner.around.and_then(row))
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        let rows = self.rows.iter().map(|row| size_of::<Row>() + row.wire.len()).sum::<usize>();
        rows + self.v4.memory_bytes() + self.v6.memory_bytes()
    }
}

impl Space {
    /// Cuts a family's addresses at the ends of its networks, which are these rows. Networks never overlap but lie in each
    /// other, so those that are open at an address are a stack, the smallest on top.
    fn cut(rows: &mut [Row], of: Range<usize>) -> Self {
        let mut space = Self::default();
        let mut open: Vec<u32> = Vec::new();
        for index in of {
            let first = bits(rows[index].network.network());
            while let Some(ended) = open.pop_if(|top| last(&rows[*top as usize]) < first) {
                space.end(&rows[ended as usize], open.last().copied());
            }
            rows[index].around = open.last().copied();
            // There are fewer than NETWORKS_MAX.
            let number = u32::try_from(index).unwrap_or_default();
            open.push(number);
            space.begin(first, Some(number));
        }
        while let Some(ended) = open.pop() {
            space.end(&rows[ended as usize], open.last().copied());
        }
        space
    }

    /// Behind a network, the one around it goes on.
    fn end(&mut self, ended: &Row, around: Option<u32>) {
        if let Some(next) = last(ended).checked_add(1) {
            self.begin(next, around);
        }
    }

    fn begin(&mut self, first: u128, smallest: Option<u32>) {
        if self.starts.last() == Some(&first) {
            self.smallest.pop();
        } else {
            self.starts.push(first);
        }
        self.smallest.push(smallest);
    }

    fn smallest_at(&self, address: u128) -> Option<u32> {
        let piece = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        self.smallest[piece]
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.smallest)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn last(row: &Row) -> u128 {
    bits(row.network.broadcast())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(networks: &[&str]) -> Networks {
        let mut builder = NetworksBuilder::default();
        for (number, network) in (0..).zip(networks) {
            builder.push(network.parse().unwrap(), number);
        }
        builder.build(|_older, _newer, _wire| false, |_number| true)
    }

    fn found(networks: &Networks, address: &str) -> Vec<u16> {
        networks.around(address.parse().unwrap()).map(|row| row.attributes).collect()
    }

    #[test]
    fn an_address_has_the_networks_around_it_from_the_smallest_outwards() {
        let networks = table(&["10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24", "10.0.0.0/8", "2001:db8::/32", "::/1"]);
        assert_eq!(found(&networks, "10.1.0.7"), [2, 1, 3, 0]);
        assert_eq!(found(&networks, "10.1.1.7"), [1, 3, 0]);
        assert_eq!(found(&networks, "10.255.255.255"), [3, 0]);
        assert_eq!(found(&networks, "11.0.0.0"), [0; 0]);
        assert_eq!(found(&networks, "2001:db8::1"), [4, 5]);
        assert_eq!(found(&networks, "::ffff:10.1.0.7"), [5], "each family has its own networks");
        assert_eq!(found(&networks, "8000::"), [0; 0]);
        assert_eq!(found(&table(&["255.255.255.255/32", "ffff::/16"]), "255.255.255.255"), [0]);
        assert_eq!(found(&table(&[]), "192.0.2.1"), [0; 0]);
    }

    #[test]
    fn what_stands_already_is_left_out_and_a_table_whose_rules_do_nothing_is_silent() {
        let mut builder = NetworksBuilder::default();
        for number in 0..3 {
            builder.push("192.0.2.0/24".parse().unwrap(), number);
        }
        let networks = builder.build(|older, newer, _wire| (older, newer) == (0, 1), |_number| false);
        assert_eq!(found(&networks, "192.0.2.1"), [2, 0]);
        assert!(!networks.speaks());
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_look_at_every_network_finds(
            networks in prop::collection::vec((any::<bool>(), 0..4_u8, 24..=32_u8), 0..16),
            asked in any::<u8>(), v6 in any::<bool>(),
        ) {
            let address = |v6: bool, last: u8| if v6 {
                IpAddr::from([0x2001, 0xDB8, 0, 0, 0, 0, 0, u16::from(last)])
            } else {
                IpAddr::from([192, 0, 2, last])
            };
            let networks: Vec<IpNet> = networks.iter().map(|(v6, quarter, prefix)| {
                let prefix = if *v6 { prefix + 96 } else { *prefix };
                IpNet::new(address(*v6, quarter * 64), prefix).unwrap().trunc()
            }).collect();
            let mut builder = NetworksBuilder::default();
            (0..).zip(&networks).for_each(|(number, network)| builder.push(*network, number));
            let table = builder.build(|_older, _newer, _wire| false, |_number| true);
            let asked = address(v6, asked);
            let found: Vec<u16> = table.around(asked).map(|row| row.attributes).collect();
            let mut naive: Vec<u16> =
                (0..).zip(&networks).filter(|(_, network)| network.contains(&asked)).map(|(number, _)| number).collect();
            naive.sort_by_key(|number| std::cmp::Reverse((networks[usize::from(*number)].prefix_len(), *number)));
            prop_assert_eq!(found, naive);
        }
    }
}
