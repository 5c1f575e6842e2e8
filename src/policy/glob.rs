//! Globs: `*` inside labels. They hang on their literal suffix, so that only names below it are ever compared.

use super::hash::Key;
use super::slots::Slots;
use crate::wire::LowerName;

/// Globs with the same literal suffix at most; each costs every lookup below that suffix a comparison.
pub(super) const GLOBS_PER_SUFFIX_MAX: usize = 1024;
/// Globs of a policy at most.
pub(super) const GLOBS_MAX: usize = 65_536;

/// One glob rule.
#[derive(Debug)]
pub(super) struct Glob {
    pub(super) attributes: u16,
    /// Labels of the whole glob.
    pub(super) labels: usize,
    /// The name part on the wire.
    pub(super) wire: Box<[u8]>,
}

/// The globs with the same literal suffix.
#[derive(Debug)]
pub(super) struct Group {
    /// On the wire.
    pub(super) suffix: Box<[u8]>,
    pub(super) globs: Vec<Glob>,
}

/// Every glob of a policy.
#[derive(Debug)]
pub(super) struct Globs {
    groups: Vec<Group>,
    slots: Slots,
    depths: u128,
}

impl Globs {
    pub(super) fn new(key: Key, groups: Vec<Group>) -> Self {
        let mut slots = Slots::for_entries(groups.len());
        let mut depths = 0;
        for (index, group) in groups.iter().enumerate() {
            if let Ok((suffix, _end)) = LowerName::read(&group.suffix, 0) {
                slots.insert(key.whole(&suffix), index as u64);
                depths |= 1 << suffix.labels();
            }
        }
        Self { groups, slots, depths }
    }

    /// Bit n: some group's suffix has n labels.
    pub(super) fn depths(&self) -> u128 {
        self.depths
    }

    /// The globs whose literal suffix is the ancestor of `name` that has `depth` labels, and that match `name` or one of its
    /// ancestors.
    pub(super) fn matching<'p, 'n>(
        &'p self,
        hash: u64,
        name: &'n LowerName,
        depth: usize,
    ) -> impl Iterator<Item = &'p Glob> + use<'p, 'n> {
        let groups = self.slots.find(hash).filter_map(|number| self.groups.get(usize::try_from(number).ok()?));
        let globs = groups.filter(move |group| *group.suffix == *name.suffix(depth)).flat_map(|group| &group.globs);
        globs.filter(|glob| glob.labels <= name.labels() && matches(&glob.wire, name.suffix(glob.labels)))
    }

    /// The groups.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        let glob = |glob: &Glob| size_of::<Glob>() + glob.wire.len();
        let group =
            |group: &Group| size_of::<Group>() + group.suffix.len() + group.globs.iter().map(glob).sum::<usize>();
        self.slots.memory_bytes() + self.groups.iter().map(group).sum::<usize>()
    }
}

/// Labels of the longest suffix without `*`.
pub(super) fn literal_labels(name: &LowerName) -> usize {
    (0..name.labels()).rev().take_while(|&index| !name.label(index).contains(&b'*')).count()
}

/// Whether a name matches a glob, both on the wire: label by label, and as many of them.
pub(super) fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut glob, mut name) = (glob, name);
    loop {
        match (split_label(glob), split_label(name)) {
            (Some((glob_label, glob_rest)), Some((label, rest))) if label_matches(glob_label, label) => {
                (glob, name) = (glob_rest, rest);
            }
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// The first label and what follows it; `None` at the root.
fn split_label(wire: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = wire.split_first()?;
    rest.split_at_checked(usize::from(*size)).filter(|(label, _rest)| !label.is_empty())
}

/// Matches from the left; after a mismatch only the last `*` takes one octet more. At most 63 x 63 steps.
fn label_matches(glob: &[u8], label: &[u8]) -> bool {
    let (mut g, mut l) = (0, 0);
    let mut star = None;
    while l < label.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, l));
                g += 1;
            }
            Some(octet) if *octet == label[l] => (g, l) = (g + 1, l + 1),
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                (g, l) = (star_at + 1, taken + 1);
            }
        }
    }
    glob[g..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(glob: &str, name: &str, expected: bool) {
        let wire = |text: &str| LowerName::parse(text).unwrap().wire().to_vec();
        assert_eq!(matches(&wire(glob), &wire(name)), expected, "{glob} {name}");
    }

    #[test]
    fn a_star_stands_for_any_octets_of_its_label() {
        check("ksn-*.example", "ksn-.example", true);
        check("ksn-*.example", "ksn-a-geo.example", true);
        check("ksn-*.example", "ksn.example", false);
        check("ksn-*.example", "a.ksn-a.example", false);
        check("ksn-*.example", "ksn-a.b.example", false);
        check("ksn-*.example", "ksn-a.example.org", false);
        check("*a*b*.example", "xxaxxbxx.example", true);
        check("*a*b*.example", "ab.example", true);
        check("*a*b*.example", "ba.example", false);
        check("*ab.example", "aab.example", true);
        check("*ab.example", "abab.example", true);
        check("a*a.example", "a.example", false);
        check("a.*.example", "a.b.example", true);
        check("a.*.example", r"a.b\.c.example", true);
        check("ftp.downloads*.example", "ftp.downloads3.example", true);
        check("ftp.downloads*.example", "downloads3.example", false);
    }

    #[test]
    fn the_literal_suffix_ends_at_the_last_star() {
        let literal = |text: &str| literal_labels(&LowerName::parse(text).unwrap());
        assert_eq!(literal("a*.b.example"), 2);
        assert_eq!(literal("a.*.b*.c.d.example"), 3);
        assert_eq!(literal("a.example"), 2);
    }
}
