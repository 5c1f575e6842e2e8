//! Names that have something else than NXDOMAIN below them.
//!
//! NXDOMAIN says that nothing exists below (RFC 8020 §2), so a banned name may only get it if every name below does.
//! Names are kept as 48 bits of their hashes: should two ever collide, a name gets NODATA, which is always safe.

use super::hash::{Key, high};
use crate::wire::LowerName;

/// The bits of a mark that say what is marked; the others are the name's hash.
const WHAT_MASK: u64 = 0xFFFF;

/// Which part of the policy is mixed below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Some ban answers a name below otherwise.
    AnyBan,
    /// This ban allows or observes a name below.
    Ban(usize),
}

/// How far below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Below this name.
    Here,
    /// Below some names below this name, which a glob describes.
    Below,
}

/// The marks while they are gathered.
#[derive(Debug, Default)]
pub(super) struct MixedBuilder {
    marks: Vec<u64>,
    /// Length above which equal marks are dropped next.
    settle_above: usize,
    below: bool,
}

/// The marks of a name stand together, in an open-addressed table.
#[derive(Debug)]
pub(super) struct Mixed {
    /// 0 is an empty slot; at least every second one is, unless there is no mark at all.
    marks: Box<[u64]>,
    /// Whether any mark has [`Reach::Below`].
    below: bool,
}

impl MixedBuilder {
    pub(super) fn mark(&mut self, name: u64, scope: Scope, reach: Reach) {
        self.below |= reach == Reach::Below;
        self.marks.push(mark(name, scope, reach));
        if self.marks.len() > self.settle_above {
            self.settle();
            self.settle_above = self.marks.len().max(1 << 15) * 2;
        }
    }

    fn settle(&mut self) {
        self.marks.sort_unstable();
        self.marks.dedup();
    }

    pub(super) fn build(mut self) -> Mixed {
        self.settle();
        let mut marks = vec![0; self.marks.len() * 2].into_boxed_slice();
        let len = marks.len();
        for mark in self.marks {
            let (before, behind) = marks.split_at_mut(home(mark, len));
            if let Some(slot) = behind.iter_mut().chain(before).find(|slot| **slot == 0) {
                *slot = mark;
            }
        }
        Mixed { marks, below: self.below }
    }
}

impl Mixed {
    /// Whether there is no mark at all.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether a name of this hash is marked, or one above it is with [`Reach::Below`].
    #[inline]
    pub(super) fn holds(&self, key: Key, name: &LowerName, hash: u64, scope: Scope) -> bool {
        if self.is_empty() {
            return false;
        }
        self.contains(mark(hash, scope, Reach::Here)) || self.below && self.holds_below(key, name, scope)
    }

    #[cold]
    fn holds_below(&self, key: Key, name: &LowerName, scope: Scope) -> bool {
        let mut above = key.suffixes(name).take(name.labels());
        above.any(|(_depth, hash)| self.contains(mark(hash, scope, Reach::Below)))
    }

    fn contains(&self, mark: u64) -> bool {
        let (before, behind) = self.marks.split_at(home(mark, self.marks.len()));
        behind.iter().chain(before).take_while(|slot| **slot != 0).any(|slot| *slot == mark)
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.marks)
    }
}

/// Never 0. Bans beyond the number that fits share a mark, so that some of their names get NODATA without need.
fn mark(name: u64, scope: Scope, reach: Reach) -> u64 {
    let scope = match scope {
        Scope::AnyBan => 1,
        Scope::Ban(index) => (index as u64 + 2).min(WHAT_MASK >> 1),
    };
    name & !WHAT_MASK | scope << 1 | u64::from(reach == Reach::Below)
}

/// Where the search begins: all marks of a name have the same upper bits.
fn home(mark: u64, len: usize) -> usize {
    usize::try_from(high(u128::from(mark | WHAT_MASK) * len as u128)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_for_its_name_and_scope_and_reaches_below_only_if_it_says_so() {
        let (key, name) = (Key::new(7), |text: &str| LowerName::parse(text).unwrap());
        let names: Vec<_> = (0..1000).map(|number| name(&format!("{number}.example"))).collect();
        let mut builder = MixedBuilder::default();
        for (number, name) in names.iter().enumerate() {
            for _twice in 0..2 {
                builder.mark(key.whole(name), Scope::Ban(number), Reach::Here);
            }
        }
        builder.mark(key.whole(&names[7]), Scope::AnyBan, Reach::Below);
        let mixed = builder.build();
        assert_eq!(mixed.memory_bytes(), 2 * 1001 * 8);
        let holds = |name: &LowerName, scope| mixed.holds(key, name, key.whole(name), scope);
        for (number, name) in names.iter().enumerate() {
            assert!(holds(name, Scope::Ban(number)));
            assert!(!holds(name, Scope::Ban(number + 1)));
            assert!(!holds(name, Scope::AnyBan));
        }
        assert!(!holds(&name("x.8.example"), Scope::Ban(8)));
        assert!(holds(&name("y.x.7.example"), Scope::AnyBan));
        let none = MixedBuilder::default().build();
        assert!(!none.holds(key, &names[0], key.whole(&names[0]), Scope::AnyBan));
    }
}
