//! The names of all rules, one behind the other in segments, so that growing copies nothing and rules cost no
//! allocation of their own. An entry is two octets of attributes and the name on the wire.

use std::hint::black_box;

use super::pages::Pages;
use crate::wire::is_same;

/// Octets of a segment.
const SEGMENT: usize = 2 << 20;
/// Octets of an entry in front of its name.
const HEAD: usize = 2;
/// Octets of most entries, at most.
const USUAL: usize = 32;
/// Offset of the first entry; 0 is no entry.
const FIRST: usize = 1;

/// The names of all rules.
#[derive(Debug)]
pub(super) struct Arena {
    segments: Vec<Segment>,
}

/// Octets in a row. The first segment grows, so that few rules take little; the others begin as long as they may become.
#[derive(Debug)]
struct Segment {
    octets: Pages,
    /// How many are in use.
    len: usize,
}

impl Segment {
    fn new(room: usize) -> Self {
        Self { octets: Pages::zeroed(room), len: 0 }
    }

    #[inline]
    fn used(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    /// Appends octets that have room within [`SEGMENT`].
    fn extend(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if end > self.octets.len() {
            self.make(end.max(self.octets.len() * 2).min(SEGMENT));
        }
        self.octets[self.len..end].copy_from_slice(octets);
        self.len = end;
    }

    /// Has just so much room.
    fn make(&mut self, room: usize) {
        let mut octets = Pages::zeroed(room);
        octets[..self.len].copy_from_slice(self.used());
        self.octets = octets;
    }

    /// Has no more room than it uses, if that is much less.
    fn shrink(&mut self) {
        if self.len < self.octets.len() - self.octets.len() / 16 {
            self.make(self.len);
        }
    }
}

/// A place in an [`Arena`], never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offset(pub(super) u64);

/// One entry, and where the one behind it may begin.
struct Entry<'a> {
    at: Offset,
    attributes: u16,
    name: &'a [u8],
    next: Offset,
}

impl Arena {
    pub(super) fn new() -> Self {
        let mut first = Segment::new(FIRST);
        first.len = FIRST;
        Self { segments: vec![first] }
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, attributes: u16, wire: &[u8]) {
        let full = self.segments.last().is_none_or(|segment| segment.len + HEAD + wire.len() > SEGMENT);
        if full {
            self.segments.push(Segment::new(SEGMENT));
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.extend(&attributes.to_le_bytes());
            segment.extend(wire);
        }
    }

    /// The entry at `offset`, if its name is `wire`. One name on the wire is never the beginning of another.
    #[inline]
    pub(super) fn find(&self, offset: Offset, wire: &[u8]) -> Option<(u16, &[u8])> {
        let (segment, at) = place(offset);
        let entry = self.segments.get(segment)?.used().get(at..at + HEAD + wire.len())?;
        let (head, name) = entry.split_first_chunk::<HEAD>()?;
        is_same(name, wire).then(|| (u16::from_le_bytes(*head), name))
    }

    /// Reads the entry at `offset` from memory, or as much of it as a name in lists is long.
    #[inline]
    pub(super) fn fetch(&self, offset: Offset) {
        let (segment, at) = place(offset);
        let Some(segment) = self.segments.get(segment).map(Segment::used) else { return };
        black_box((segment.get(at).copied(), segment.get(at + USUAL).copied()));
    }

    /// The entries in order: attributes and name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut offset = Offset(FIRST as u64);
        std::iter::from_fn(move || {
            let entry = self.entry(offset)?;
            offset = entry.next;
            Some((entry.attributes, entry.name))
        })
    }

    /// The entry at `offset` or, where a segment ends there, the first of the next one.
    fn entry(&self, offset: Offset) -> Option<Entry<'_>> {
        let (mut segment, mut at) = place(offset);
        if at >= self.segments.get(segment)?.len {
            (segment, at) = (segment + 1, 0);
        }
        let (head, rest) = self.segments.get(segment)?.used().get(at..)?.split_first_chunk::<HEAD>()?;
        let name = &rest[..name_len(rest)];
        let next = offset_of(segment, at + HEAD + name.len());
        Some(Entry { at: offset_of(segment, at), attributes: u16::from_le_bytes(*head), name, next })
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.octets.len()).sum::<usize>()
            + self.segments.capacity() * size_of::<Segment>()
    }
}

/// Moves the entries that stay towards the beginning, in order, and lets go of the rest.
#[derive(Debug)]
pub(super) struct Compaction {
    read: Offset,
    segment: usize,
    at: usize,
}

impl Compaction {
    pub(super) fn new() -> Self {
        Self { read: Offset(FIRST as u64), segment: 0, at: FIRST }
    }

    /// The next entry to look at: place, attributes and name.
    pub(super) fn next<'a>(&mut self, arena: &'a Arena) -> Option<(Offset, u16, &'a [u8])> {
        let entry = arena.entry(self.read)?;
        self.read = entry.next;
        Some((entry.at, entry.attributes, entry.name))
    }

    /// Keeps the entry at `from`, the one that [`Compaction::next`] gave last; returns its new place.
    pub(super) fn keep(&mut self, arena: &mut Arena, from: Offset) -> Offset {
        let (source, start) = place(from);
        // The segment ends a whole number of entries behind; `next` has found where this one ends.
        let (next, behind) = place(self.read);
        let end = if next == source { behind } else { SEGMENT };
        let len = end - start;
        // Entries are packed as when they were pushed, fewer of them: the target is never behind the source.
        if self.at + len > SEGMENT {
            arena.segments[self.segment].len = self.at;
            (self.segment, self.at) = (self.segment + 1, 0);
        }
        let (target, to) = (self.segment, self.at);
        if target == source {
            arena.segments[source].octets.copy_within(start..end, to);
        } else {
            let (before, behind) = arena.segments.split_at_mut(source);
            before[target].len = to;
            before[target].extend(&behind[0].octets[start..end]);
        }
        self.at += len;
        offset_of(target, to)
    }

    /// Lets go of everything behind the last entry kept.
    pub(super) fn finish(self, arena: &mut Arena) {
        arena.segments.truncate(self.segment + 1);
        if let Some(last) = arena.segments.last_mut() {
            last.len = self.at;
        }
        arena.segments.iter_mut().for_each(Segment::shrink);
        arena.segments.shrink_to_fit();
    }
}

fn place(offset: Offset) -> (usize, usize) {
    let offset = usize::try_from(offset.0).unwrap_or(usize::MAX);
    (offset / SEGMENT, offset % SEGMENT)
}

fn offset_of(segment: usize, at: usize) -> Offset {
    Offset((segment * SEGMENT + at) as u64)
}

/// Octets of the name at the beginning of `octets`, its zero included.
fn name_len(octets: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&size) = octets.get(at).filter(|&&size| size != 0) {
        at += 1 + usize::from(size);
    }
    (at + 1).min(octets.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    fn names(arena: &Arena) -> Vec<(u16, Vec<u8>)> {
        arena.entries().map(|(attributes, name)| (attributes, name.to_vec())).collect()
    }

    fn filled(count: u16) -> Arena {
        let mut arena = Arena::new();
        for index in 0..count {
            arena.push(
                index,
                Name::parse(&format!("{}.{index}.example", "x".repeat(usize::from(index) % 60 + 1))).unwrap().wire(),
            );
        }
        arena
    }

    #[test]
    fn entries_come_back_in_order_across_segments() {
        let arena = filled(60_000);
        assert!(arena.segments.len() > 1);
        assert!(arena.entries().map(|(attributes, _name)| attributes).eq(0..60_000));
        assert_eq!(arena.find(Offset(1), b"\x01x\x010\x07example\0"), Some((0, &b"\x01x\x010\x07example\0"[..])));
        assert_eq!(arena.find(Offset(1), b"\x01x\x011\x07example\0"), None);
    }

    #[test]
    fn compaction_keeps_what_is_kept_and_frees_the_rest() {
        for keep_one_in in [1, 2, 3, 1000, u16::MAX] {
            let mut arena = filled(60_000);
            let expected: Vec<_> = names(&arena).into_iter().filter(|(index, _)| index % keep_one_in == 0).collect();
            let mut compaction = Compaction::new();
            while let Some((from, attributes, name)) = compaction.next(&arena) {
                let name = name.to_vec();
                if attributes % keep_one_in == 0 {
                    let to = compaction.keep(&mut arena, from);
                    assert!(to <= from);
                    assert_eq!(arena.find(to, &name), Some((attributes, &name[..])));
                }
            }
            compaction.finish(&mut arena);
            assert_eq!(names(&arena), expected);
            let used: usize = expected.iter().map(|(_, name)| name.len() + HEAD).sum();
            assert!(arena.memory_bytes() <= used + used / 15 + 300, "{} for {used}", arena.memory_bytes());
        }
    }
}
