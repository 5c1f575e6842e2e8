//! Names that have something else than NXDOMAIN below them.
//!
//! NXDOMAIN says that nothing exists below (RFC 8020 §2), so a banned name may only get it if every name below does.
//! Names are kept as hashes alone: should two ever collide, a name gets NODATA, which is always safe.

use super::hash::Key;

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

/// The hashes while they are gathered.
#[derive(Debug)]
pub(super) struct MixedBuilder {
    key: Key,
    marks: Vec<u64>,
    /// Length at which equal marks are dropped next.
    settle_at: usize,
    below: bool,
}

/// The hashes, sorted.
#[derive(Debug)]
pub(super) struct Mixed {
    key: Key,
    marks: Box<[u64]>,
    /// Whether any mark has [`Reach::Below`].
    below: bool,
}

impl MixedBuilder {
    pub(super) fn new(key: Key) -> Self {
        Self { key, marks: Vec::new(), settle_at: 1 << 16, below: false }
    }

    pub(super) fn mark(&mut self, name: u64, scope: Scope, reach: Reach) {
        self.below |= reach == Reach::Below;
        self.marks.push(mark(self.key, name, scope, reach));
        if self.marks.len() >= self.settle_at {
            self.settle();
            self.settle_at = self.settle_at.max(self.marks.len() * 2);
        }
    }

    fn settle(&mut self) {
        self.marks.sort_unstable();
        self.marks.dedup();
    }

    pub(super) fn build(mut self) -> Mixed {
        self.settle();
        Mixed { key: self.key, marks: self.marks.into(), below: self.below }
    }
}

impl Mixed {
    /// Whether the last of these names (a name's suffixes from the root, as hashes) is marked, or one above it is with
    /// [`Reach::Below`].
    pub(super) fn holds(&self, suffixes: impl Iterator<Item = u64>, scope: Scope) -> bool {
        if self.marks.is_empty() {
            return false;
        }
        let mut whole = None;
        for suffix in suffixes {
            if let Some(above) = whole.replace(suffix)
                && self.below
                && self.contains(above, scope, Reach::Below)
            {
                return true;
            }
        }
        whole.is_some_and(|name| self.contains(name, scope, Reach::Here))
    }

    fn contains(&self, name: u64, scope: Scope, reach: Reach) -> bool {
        self.marks.binary_search(&mark(self.key, name, scope, reach)).is_ok()
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.marks)
    }
}

fn mark(key: Key, name: u64, scope: Scope, reach: Reach) -> u64 {
    let scope = match scope {
        Scope::AnyBan => 0,
        Scope::Ban(index) => index as u64 + 1,
    };
    key.tagged(name, scope << 1 | u64::from(reach == Reach::Below))
}
