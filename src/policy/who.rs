//! Who is who: sites, departments and groups by network, groups by door too, and of which of them a client is.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::entrance::{Door, Doors, Entrance, Met, Word};
use super::roster::OfDevice;
use super::verdict::Client;

/// A set of clients that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// `[a-z0-9-]{1,32}`.
    pub id: Arc<str>,
    /// What it is.
    pub kind: GroupKind,
    /// Its clients.
    pub networks: Vec<IpNet>,
    /// Its devices, whatever address they have, each by one of its identifiers.
    pub devices: Vec<Arc<str>>,
}

/// What a group is. An address is of one site and of one department at most: where networks lie in each other, of the one
/// whose network is the smallest. It is of every group that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// A place.
    Site,
    /// A part of the organisation.
    Department,
    /// Any other set.
    Group,
}

impl GroupKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Site, Self::Department, Self::Group];

    /// The word for it in files, JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Department => "department",
            Self::Group => "group",
        }
    }
}

/// A group, as an index into [`Who::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u16);

/// The groups that one address is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// In the order of their numbers.
    groups: Box<[GroupIndex]>,
    site: Option<SiteIndex>,
}

/// A site, as an index into [`Who::sites`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteIndex(pub u16);

impl Membership {
    /// Whether the address is of any of these groups.
    pub fn is_of_any(&self, groups: &[GroupIndex]) -> bool {
        self.groups.iter().any(|group| groups.contains(group))
    }

    /// The groups.
    pub fn iter(&self) -> impl Iterator<Item = GroupIndex> {
        self.groups.iter().copied()
    }

    /// The site.
    pub fn site(&self) -> Option<SiteIndex> {
        self.site
    }
}

/// All groups, and the address space cut where any of them begins or ends, so that an address costs one search.
#[derive(Debug, Default)]
pub struct Who {
    groups: Vec<Group>,
    /// First addresses of the pieces, in order; a piece ends where the next one begins. IPv4 lies in IPv6 as
    /// `::ffff:0:0/96`.
    starts: Box<[u128]>,
    /// By piece: an index into `memberships`.
    pieces: Box<[u32]>,
    memberships: Vec<Membership>,
    nobody: Membership,
    caching_forwarders: Vec<IpNet>,
    doors: Doors,
    /// The groups that name devices.
    device_groups: Vec<(GroupIndex, Vec<Arc<str>>)>,
}

/// Of what one client is: by its address, by the door that its query came by, and by the device that it is.
#[derive(Clone, Copy, Debug)]
pub struct Member<'w> {
    who: &'w Who,
    by_address: &'w Membership,
    by_door: Met,
    by_device: OfDevice,
}

impl Member<'_> {
    /// Whether it is of any of these groups.
    pub fn is_of_any(&self, groups: &[GroupIndex]) -> bool {
        self.by_address.is_of_any(groups) || self.otherwise().any(|group| groups.contains(&group))
    }

    /// The groups, those by address first.
    pub fn iter(&self) -> impl Iterator<Item = GroupIndex> {
        self.by_address.iter().chain(self.otherwise())
    }

    /// Those that it is of whatever its address.
    fn otherwise(&self) -> impl Iterator<Item = GroupIndex> {
        self.who.doors.groups(self.by_door).chain(self.by_device.groups(&self.who.device_groups))
    }
}

impl Who {
    /// Groups at most: what two octets can name.
    pub const GROUPS_MAX: usize = 1 << 12;
    /// Networks of all groups at most.
    pub const NETWORKS_MAX: usize = 1 << 16;
    /// Doors of all groups at most.
    pub const DOORS_MAX: usize = Doors::MAX;
    /// Sites at most: each is a value of a metric's label.
    pub const SITES_MAX: usize = 128;
    /// Groups that name devices at most.
    pub const DEVICE_GROUPS_MAX: usize = OfDevice::GROUPS_MAX;

    /// The groups, numbered in this order. Of more than [`Who::GROUPS_MAX`] or [`Who::NETWORKS_MAX`] the rest is nobody's:
    /// whoever reads settings refuses them.
    pub fn new(groups: Vec<Group>) -> Self {
        let indexes = (0..u16::try_from(Self::GROUPS_MAX).unwrap_or(u16::MAX)).map(GroupIndex);
        let networks = indexes
            .zip(&groups)
            .flat_map(|(index, group)| group.networks.iter().map(move |network| (network, group.kind, index)));
        let spans = networks.take(Self::NETWORKS_MAX).flat_map(|(network, kind, index)| Span::of(network, kind, index));
        let spans: Vec<Span> = spans.collect();
        let (starts, pieces, mut memberships) = cut(spans);
        let sites: Vec<GroupIndex> = sites(&groups).collect();
        for membership in &mut memberships {
            let site = sites.iter().position(|site| membership.groups.contains(site));
            membership.site = site.and_then(|at| u16::try_from(at).ok()).map(SiteIndex);
        }
        let (nobody, caching_forwarders, doors) = (Membership::default(), Vec::new(), Doors::default());
        let device_groups = device_groups(&groups).take(Self::DEVICE_GROUPS_MAX).collect();
        Self { groups, starts, pieces, memberships, nobody, caching_forwarders, doors, device_groups }
    }

    /// Leads whoever comes by these doors into their groups, at most [`Who::DOORS_MAX`] of them.
    #[must_use]
    pub fn with_doors(self, doors: Vec<(Door, GroupIndex)>) -> Self {
        Self { doors: Doors::new(doors), ..self }
    }

    /// Whether some group is for this path of HTTPS.
    pub fn has_path(&self, path: Word) -> bool {
        self.doors.has_path(path)
    }

    /// One query by each door that leads into a group.
    pub fn entrances(&self) -> impl Iterator<Item = Entrance> {
        self.doors.entrances()
    }

    /// Of what a client is.
    pub fn member(&self, client: &Client) -> Member<'_> {
        let (by_address, by_door) = (self.of(client.address), self.doors.met(&client.entrance));
        Member { who: self, by_address, by_door, by_device: client.device.groups() }
    }

    /// The groups that name devices, with those.
    pub(super) fn device_groups(&self) -> &[(GroupIndex, Vec<Arc<str>>)] {
        &self.device_groups
    }

    /// Knows that servers in these networks keep answers and give them to clients of their own.
    #[must_use]
    pub fn with_caching_forwarders(self, networks: Vec<IpNet>) -> Self {
        Self { caching_forwarders: networks, ..self }
    }

    /// Whether `address` is that of such a server.
    pub(super) fn is_caching_forwarder(&self, address: IpAddr) -> bool {
        self.caching_forwarders.iter().any(|network| network.contains(&address))
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A group by its number.
    pub fn group(&self, index: GroupIndex) -> &Group {
        &self.groups[usize::from(index.0)]
    }

    /// The groups that are sites, in their order.
    pub fn sites(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.kind == GroupKind::Site)
    }

    /// The groups that an address is of.
    pub fn of(&self, address: IpAddr) -> &Membership {
        let key = key(address);
        let piece = self.starts.partition_point(|start| *start <= key).checked_sub(1);
        piece.map_or(&self.nobody, |piece| &self.memberships[self.pieces[piece] as usize])
    }
}

/// The numbers of the groups that are sites.
fn sites(groups: &[Group]) -> impl Iterator<Item = GroupIndex> {
    (0..u16::MAX)
        .map(GroupIndex)
        .zip(groups)
        .filter(|(_index, group)| group.kind == GroupKind::Site)
        .map(|(index, _)| index)
}

/// The groups that name devices.
fn device_groups(groups: &[Group]) -> impl Iterator<Item = (GroupIndex, Vec<Arc<str>>)> {
    let all = (0..u16::MAX).map(GroupIndex).zip(groups);
    all.filter(|(_index, group)| !group.devices.is_empty()).map(|(index, group)| (index, group.devices.clone()))
}

/// An address in the one space.
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where IPv4 begins and ends in the one space (RFC 4291 §2.5.5.2).
const IPV4: (u128, u128) = (0xFFFF << 32, (0xFFFF << 32) + u32::MAX as u128);

/// A network of a group, or a part of one.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u128,
    last: u128,
    prefix: u8,
    kind: GroupKind,
    group: GroupIndex,
}

impl Span {
    /// The addresses of a network: of one of IPv6 around all of IPv4 those before and behind it, since whoever writes `::/0`
    /// means IPv6.
    fn of(network: &IpNet, kind: GroupKind, group: GroupIndex) -> impl Iterator<Item = Self> {
        let (first, last) = (key(network.network()), key(network.broadcast()));
        let part = |first, last| Self { first, last, prefix: network.prefix_len(), kind, group };
        let is_around = first < IPV4.0 && last > IPV4.1;
        let parts = if is_around {
            [Some(part(first, IPV4.0 - 1)), Some(part(IPV4.1 + 1, last))]
        } else {
            [Some(part(first, last)), None]
        };
        parts.into_iter().flatten()
    }
}

/// Cuts the space at the ends of all networks. Networks never overlap but lie in each other, so those that are open at an
/// address are a stack, the smallest on top; parts of two networks may be the same addresses.
fn cut(mut spans: Vec<Span>) -> (Box<[u128]>, Box<[u32]>, Vec<Membership>) {
    spans.sort_by_key(|span| (span.first, std::cmp::Reverse(span.last), span.prefix));
    let mut cuts = Cuts::default();
    let mut open: Vec<Span> = Vec::new();
    for span in spans {
        while let Some(ended) = open.pop_if(|top| top.last < span.first) {
            cuts.end(ended.last, &open);
        }
        open.push(span);
        cuts.begin(span.first, &open);
    }
    while let Some(ended) = open.pop() {
        cuts.end(ended.last, &open);
    }
    (cuts.starts.into(), cuts.pieces.into(), cuts.memberships)
}

/// The pieces as they are found, from the lowest address up.
#[derive(Debug, Default)]
struct Cuts {
    starts: Vec<u128>,
    pieces: Vec<u32>,
    memberships: Vec<Membership>,
    numbers: std::collections::HashMap<Box<[GroupIndex]>, u32>,
}

impl Cuts {
    /// Behind `last`, what is still open holds on.
    fn end(&mut self, last: u128, open: &[Span]) {
        if let Some(next) = last.checked_add(1) {
            self.begin(next, open);
        }
    }

    /// From `first` on, an address is of what is `open`, the smallest network last.
    fn begin(&mut self, first: u128, open: &[Span]) {
        let mut groups = Vec::new();
        for kind in [GroupKind::Site, GroupKind::Department] {
            groups.extend(open.iter().rfind(|span| span.kind == kind).map(|span| span.group));
        }
        groups.extend(open.iter().filter(|span| span.kind == GroupKind::Group).map(|span| span.group));
        groups.sort_unstable();
        groups.dedup();
        let number = self.number(groups.into());
        if self.starts.last() == Some(&first) {
            self.pieces.pop();
        } else {
            self.starts.push(first);
        }
        self.pieces.push(number);
    }

    fn number(&mut self, groups: Box<[GroupIndex]>) -> u32 {
        *self.numbers.entry(groups).or_insert_with_key(|groups| {
            self.memberships.push(Membership { groups: groups.clone(), site: None });
            // There are at most four times as many pieces as networks.
            u32::try_from(self.memberships.len() - 1).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(id: &str, kind: GroupKind, networks: &[&str]) -> Group {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Group { id: id.into(), kind, networks, devices: Vec::new() }
    }

    fn names(who: &Who, address: &str) -> Vec<String> {
        who.of(address.parse().unwrap()).iter().map(|index| who.group(index).id.to_string()).collect()
    }

    #[test]
    fn an_address_is_of_the_smallest_site_and_department_and_of_every_group_around_it() {
        let who = Who::new(vec![
            group("country", GroupKind::Site, &["10.0.0.0/8", "2001:db8::/32"]),
            group("berlin", GroupKind::Site, &["10.1.0.0/16"]),
            group("finance", GroupKind::Department, &["10.1.2.0/24", "10.9.0.0/24"]),
            group("lab", GroupKind::Group, &["10.1.0.0/16", "10.1.2.128/25"]),
            group("kiosk", GroupKind::Group, &["10.1.2.200/32"]),
        ]);
        let site = |address: &str| who.of(address.parse().unwrap()).site();
        assert_eq!(
            [site("10.0.0.0"), site("10.1.2.3"), site("11.0.0.0")],
            [Some(SiteIndex(0)), Some(SiteIndex(1)), None]
        );
        assert_eq!(who.sites().map(|site| &*site.id).collect::<Vec<_>>(), ["country", "berlin"]);
        assert_eq!(names(&who, "10.0.0.0"), ["country"]);
        assert_eq!(names(&who, "10.1.0.0"), ["berlin", "lab"]);
        assert_eq!(names(&who, "10.1.2.3"), ["berlin", "finance", "lab"]);
        assert_eq!(names(&who, "10.1.2.200"), ["berlin", "finance", "lab", "kiosk"]);
        assert_eq!(names(&who, "10.1.2.201"), ["berlin", "finance", "lab"]);
        assert_eq!(names(&who, "10.1.255.255"), ["berlin", "lab"]);
        assert_eq!(names(&who, "10.2.0.0"), ["country"]);
        assert_eq!(names(&who, "10.9.0.1"), ["country", "finance"]);
        assert_eq!(names(&who, "2001:db8:ffff::1"), ["country"]);
        for outside in ["9.255.255.255", "11.0.0.0", "2001:db9::", "::", "ffff::"] {
            assert_eq!(names(&who, outside), [""; 0], "{outside}");
        }
        assert_eq!(Who::default().of("10.0.0.1".parse().unwrap()), &Membership::default());
    }

    #[test]
    fn a_network_may_reach_to_the_end_of_the_space() {
        let who =
            Who::new(vec![group("v6", GroupKind::Group, &["::/0"]), group("v4", GroupKind::Site, &["0.0.0.0/0"])]);
        assert_eq!(names(&who, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ["v6"]);
        assert_eq!(names(&who, "255.255.255.255"), ["v4"]);
    }

    #[test]
    fn a_network_of_ipv6_holds_nobody_of_ipv4_and_the_smallest_site_around_it_stays_so() {
        let who = Who::new(vec![
            group("low", GroupKind::Site, &["::/16"]),
            group("all", GroupKind::Site, &["::/0"]),
            group("here", GroupKind::Site, &["192.0.2.0/24"]),
            group("mapped", GroupKind::Group, &["::ffff:192.0.2.0/121"]),
        ]);
        for (address, expected) in [
            ("192.0.2.1", &["here", "mapped"][..]),
            ("::ffff:192.0.2.1", &["here", "mapped"]),
            ("192.0.2.129", &["here"]),
            ("0.0.0.0", &[]),
            ("255.255.255.255", &[]),
            ("::1", &["low"]),
            ("::fffe:ffff:ffff", &["low"]),
            ("::1:0:0:0", &["low"]),
            ("1::", &["all"]),
        ] {
            assert_eq!(names(&who, address), expected, "{address}");
        }
    }

    proptest! {
        #[test]
        fn the_pieces_say_what_a_look_at_every_network_says(
            networks in prop::collection::vec((0..4_u8, 24..=32_u8, 0..3_usize), 0..12), asked in 0..=255_u8,
        ) {
            let kinds = [GroupKind::Site, GroupKind::Department, GroupKind::Group];
            let groups: Vec<Group> = networks.iter().enumerate().map(|(index, (at, prefix, kind))| {
                let network = ipnet::Ipv4Net::new([192, 0, 2, at * 64].into(), *prefix).unwrap().trunc();
                Group { id: format!("g{index}").into(), kind: kinds[*kind], networks: vec![network.into()], devices: Vec::new() }
            }).collect();
            let address = IpAddr::from([192, 0, 2, asked]);
            let around = |kind: GroupKind| groups.iter().filter(move |group| group.kind == kind && group.networks[0].contains(&address));
            let who = Who::new(groups.clone());
            let found: Vec<&Group> = who.of(address).iter().map(|index| who.group(index)).collect();
            for kind in [GroupKind::Site, GroupKind::Department] {
                let smallest = around(kind).map(|group| group.networks[0].prefix_len()).max();
                let of_kind: Vec<u8> = found.iter().filter(|group| group.kind == kind).map(|group| group.networks[0].prefix_len()).collect();
                prop_assert_eq!(of_kind, smallest.into_iter().collect::<Vec<_>>());
            }
            let in_groups = found.iter().filter(|group| group.kind == GroupKind::Group).count();
            prop_assert_eq!(in_groups, around(GroupKind::Group).count());
        }
    }
}
