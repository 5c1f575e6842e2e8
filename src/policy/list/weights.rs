//! Which lines of an ad blocker's list come to nothing. There an exception stands above every block, however much more exact
//! that one is, and `$important` stands above both, once; here the more exact rule is in force. So a rule that a heavier one of
//! the opposite meaning covers is none.

use std::collections::HashMap;

use super::Fault;
use crate::policy::pattern::{Pattern, PatternKind};

/// Names of exceptions and of important blocks at most: some 150 MB.
const NAMES_MAX: usize = 1_000_000;
/// The greatest weight.
const WEIGHT_MAX: u8 = 3;

/// Exceptions and important blocks of a list, all of which have to be known before its first line is read.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// By name on the wire: a bit for each weight and kind.
    names: HashMap<Box<[u8]>, u16>,
    left_out: bool,
}

/// A block has none, an exception 1, an important block 2, an important exception 3.
pub(super) fn weight(text: &str) -> u8 {
    let modifiers = text.trim_matches([' ', '\t']).split_once('$').map_or("", |(_rule, modifiers)| modifiers);
    let important = modifiers.split(',').any(|modifier| modifier == "important");
    u8::from(text.trim_start_matches([' ', '\t']).starts_with("@@")) + 2 * u8::from(important)
}

impl Weights {
    /// Takes a rule of a line that has this weight.
    pub(super) fn add(&mut self, pattern: &Pattern, weight: u8) {
        // What a block is not for (`denyallow`) is no exception from others.
        if weight == 0 || pattern.allow() != (weight % 2 == 1) {
            return;
        }
        let wire = pattern.name().wire();
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(wire) {
            self.left_out = true;
            return;
        }
        *self.names.entry(wire.into()).or_default() |= bit(weight, pattern.kind());
    }

    /// Whether a heavier rule that means the opposite is for all that this one is for.
    pub(super) fn silence(&self, pattern: &Pattern, weight: u8) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let heavier = |kinds: &[PatternKind]| {
            let weights = (weight + 1..=WEIGHT_MAX).step_by(2);
            weights.flat_map(|weight| kinds.iter().map(move |kind| bit(weight, *kind))).fold(0, |mask, bit| mask | bit)
        };
        let (name, kind) = (pattern.name(), pattern.kind());
        let here = heavier(&[kind, PatternKind::Suffix]);
        let above = heavier(&[PatternKind::Suffix, PatternKind::Below]);
        (0..=name.labels()).any(|depth| {
            let covers = if depth == name.labels() { here } else { above };
            self.names.get(name.suffix(depth)).is_some_and(|bits| bits & covers != 0)
        })
    }

    /// What is wrong with a line of this weight, if there was no room for such.
    pub(super) fn fault(&self, text: &str, weight: u8) -> Option<Fault> {
        (self.left_out && weight > 0).then(|| {
            let message = format!("a list can have {NAMES_MAX} names of exceptions and important blocks, and has more");
            Fault::new(0..text.len(), message)
        })
    }
}

fn bit(weight: u8, kind: PatternKind) -> u16 {
    let kind = match kind {
        PatternKind::Suffix => 0,
        PatternKind::Below => 1,
        // No line of these lists is any of the others.
        PatternKind::Exact | PatternKind::Glob | PatternKind::Answer | PatternKind::Client => 2,
    };
    1 << (u16::from(weight) * 3 + kind)
}
