//! Which upstreams are asked for which names: a tree of zones, with the upstreams of `[upstream]` at its root.
//!
//! The longest zone that a name is in decides. What it decides beside the servers stands in [`Branch`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::echo;
use super::{Config, Observer, UpstreamStatus, Upstreams};
use crate::wire::{LowerName, Name, qtype};

/// Groups beside the root's at most: every serving thread has room for sockets to each.
pub const GROUPS_MAX: usize = 64;

/// One group of upstreams as it is to be.
#[derive(Clone, Debug)]
pub struct Group {
    /// The zones that it is asked for; the root's group has none.
    pub zones: Vec<Name>,
    /// Whom to ask, and how.
    pub config: Config,
}

/// How the names of one zone are forwarded.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Who is asked.
    pub upstreams: Arc<Upstreams>,
    /// The zone that a group is known by: the first of its zones; the root's for `[upstream]`.
    pub title: Arc<str>,
    /// As it was grown.
    pub config: Arc<Config>,
}

/// All zones. Immutable: a reload grows another one beside it.
pub struct Tree {
    root: Branch,
    groups: Vec<Branch>,
    /// Index of the group by the zone's name, in lower case on the wire.
    zones: HashMap<Box<[u8]>, usize, RandomState>,
}

impl Tree {
    /// A tree that is its root.
    pub fn new(upstreams: Upstreams, config: Config) -> Self {
        let root = Branch { upstreams: Arc::new(upstreams), title: ".".into(), config: Arc::new(config) };
        Self { root, groups: Vec::new(), zones: HashMap::default() }
    }

    /// The root's group, and these. One that `before` has too, under the same title, goes on as it is, with all it knows of
    /// its upstreams; `observer` is asked for those that are new. Of two groups for one zone the later one has it. Must be
    /// called in a tokio runtime, as [`Upstreams::new`].
    pub fn grow(
        root: &Config,
        groups: &[Group],
        before: Option<&Self>,
        mut observer: impl FnMut(&str, &Config) -> Arc<dyn Observer>,
    ) -> Self {
        let old: Vec<&Branch> = before.into_iter().flat_map(Self::branches).collect();
        // Questions may still be open at the old ones, so their places are free for the tree after this one.
        let mut free = (0..usize::MAX).filter(|place| old.iter().all(|branch| branch.upstreams.place != *place));
        let mut branch = |title: Arc<str>, config: &Config| {
            if let Some(kept) = old.iter().find(|old| old.title == title && *old.config == *config) {
                return (*kept).clone();
            }
            let place = free.next().unwrap_or_default();
            let upstreams = Arc::new(Upstreams::at(place, config, &observer(&title, config)));
            Branch { upstreams, title, config: Arc::new(config.clone()) }
        };
        let root = branch(".".into(), root);
        let groups_grown = groups.iter().map(|group| branch(title(&group.zones), &group.config)).collect();
        let mut zones = HashMap::default();
        for (index, group) in groups.iter().enumerate() {
            zones.extend(group.zones.iter().map(|zone| (zone.wire().into(), index)));
        }
        Self { root, groups: groups_grown, zones }
    }

    /// The branch that a question is on: a name in lower case on the wire. DS is asked one label higher, since it is the
    /// parent that has it (RFC 4035 §3.1.4.1), and the root's servers know the parent of a zone that is forwarded elsewhere.
    pub fn branch(&self, name: &[u8], qtype: u16) -> &Branch {
        let start = if qtype == qtype::DS { parent(name).unwrap_or(name) } else { name };
        self.zone(start).unwrap_or(&self.root)
    }

    /// Whether the name is in a zone that is forwarded elsewhere than the rest.
    pub fn is_zoned(&self, name: &[u8]) -> bool {
        self.zone(name).is_some()
    }

    /// Whether a query, its name in lower case on the wire, is one of ours that has come back: its upstream leads to this
    /// server, and is known to from now on.
    pub fn hears(&self, name: &[u8]) -> bool {
        echo::number(name).is_some_and(|number| self.branches().any(|branch| branch.upstreams.hears(number)))
    }

    /// The root's branch.
    pub fn root(&self) -> &Branch {
        &self.root
    }

    /// The zones that are asked of other servers than `before` asks, or whose AD bit is believed otherwise: answers from there
    /// may be another world's. The root's own servers are no zone: by whom the public names are asked makes no difference.
    pub fn moved_since(&self, before: &Self) -> Vec<LowerName> {
        let asked = |tree: &Self, zone: &[u8]| {
            let config = &tree.branch(zone, qtype::ANY).config;
            (config.servers.clone(), config.trust_ad)
        };
        let zones =
            self.zones.keys().chain(before.zones.keys()).filter(|zone| asked(self, zone) != asked(before, zone));
        zones.filter_map(|zone| LowerName::read(zone, 0).ok()).map(|(zone, _end)| zone).collect()
    }

    /// The root's branch, then the others in the order of the configuration.
    pub fn branches(&self) -> impl Iterator<Item = &Branch> {
        std::iter::once(&self.root).chain(&self.groups)
    }

    /// How each upstream is doing, with the title of its group.
    pub fn status(&self) -> Vec<(Arc<str>, UpstreamStatus)> {
        let of = |branch: &Branch| {
            let title = Arc::clone(&branch.title);
            branch.upstreams.status().into_iter().map(move |status| (Arc::clone(&title), status))
        };
        self.branches().flat_map(of).collect()
    }

    fn zone(&self, name: &[u8]) -> Option<&Branch> {
        if self.zones.is_empty() {
            return None;
        }
        let mut names = std::iter::successors(Some(name), |name| parent(name));
        let index = names.find_map(|name| self.zones.get(name))?;
        self.groups.get(*index)
    }
}

/// The name without its first label.
fn parent(name: &[u8]) -> Option<&[u8]> {
    match name.first() {
        None | Some(0) => None,
        Some(&size) => name.get(1 + usize::from(size)..),
    }
}

fn title(zones: &[Name]) -> Arc<str> {
    zones.first().map_or_else(|| ".".into(), |zone| zone.to_string().into())
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.branches().map(|branch| (&branch.title, &branch.upstreams))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Server, Servers, Unobserved};

    fn config(last: u8) -> Config {
        let address = ([192, 0, 2, last], 53).into();
        Config::new(Servers::new(vec![Server::plain(address)]).unwrap())
    }

    fn group(zones: &[&str], last: u8) -> Group {
        Group { zones: zones.iter().map(|zone| Name::parse(zone).unwrap()).collect(), config: config(last) }
    }

    fn grown(groups: &[Group], before: Option<&Tree>) -> Tree {
        Tree::grow(&config(1), groups, before, |_title, _config| Arc::new(Unobserved))
    }

    /// The last octet of the address that is asked.
    fn asked(tree: &Tree, name: &str, qtype: u16) -> u8 {
        let std::net::IpAddr::V4(ip) =
            tree.branch(Name::parse(name).unwrap().wire(), qtype).upstreams.status()[0].server.address().unwrap().ip()
        else {
            panic!("IPv4")
        };
        ip.octets()[3]
    }

    #[tokio::test]
    async fn the_longest_zone_decides_and_labels_are_whole() {
        let tree = grown(&[group(&["corp.example", "10.in-addr.arpa"], 2), group(&["Lab.corp.example"], 3)], None);
        for (name, expected) in [
            ("corp.example", 2),
            ("a.b.corp.example", 2),
            ("lab.corp.example", 3),
            ("x.lab.corp.example", 3),
            ("xcorp.example", 1),
            ("example", 1),
            (".", 1),
            ("1.2.3.10.in-addr.arpa", 2),
            ("1.2.3.110.in-addr.arpa", 1),
        ] {
            assert_eq!(asked(&tree, name, qtype::A), expected, "{name}");
        }
        assert!(tree.is_zoned(Name::parse("a.corp.example").unwrap().wire()));
        assert!(!tree.is_zoned(Name::parse("example").unwrap().wire()));
    }

    #[tokio::test]
    async fn ds_of_a_zone_is_asked_of_its_parent() {
        let tree = grown(&[group(&["corp.example"], 2)], None);
        assert_eq!(asked(&tree, "corp.example", qtype::DS), 1);
        assert_eq!(asked(&tree, "a.corp.example", qtype::DS), 2);
        assert_eq!(asked(&tree, ".", qtype::DS), 1);
    }

    #[tokio::test]
    async fn a_group_that_stays_keeps_its_upstreams_and_places_never_collide() {
        let old = grown(&[group(&["a.example"], 2), group(&["b.example"], 3), group(&["c.example"], 4)], None);
        let new = grown(&[group(&["d.example"], 5), group(&["c.example", "e.example"], 4)], Some(&old));
        let of = |tree: &Tree, title: &str| {
            let mut branches = tree.branches();
            Arc::clone(&branches.find(|branch| &*branch.title == title).unwrap().upstreams)
        };
        assert!(
            Arc::ptr_eq(&of(&old, "."), &of(&new, ".")) && Arc::ptr_eq(&of(&old, "c.example"), &of(&new, "c.example"))
        );
        assert_eq!(asked(&new, "e.example", qtype::A), 4);
        assert_eq!(asked(&new, "a.example", qtype::A), 1);
        let mut places: Vec<_> = new.branches().map(|branch| branch.upstreams.place).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3);
        let changed = grown(&[group(&["c.example"], 9)], Some(&new));
        let moved = |from: &Tree, to: &Tree| {
            let mut names: Vec<_> = to.moved_since(from).iter().map(ToString::to_string).collect();
            names.sort();
            names.dedup();
            names
        };
        assert_eq!(moved(&old, &new), ["a.example", "b.example", "d.example", "e.example"]);
        assert_eq!(moved(&new, &changed), ["c.example", "d.example", "e.example"]);
        assert_eq!(moved(&new, &new), Vec::<String>::new());
        assert!(!Arc::ptr_eq(&of(&new, "c.example"), &of(&changed, "c.example")));
    }
}
