//! Which lines of an ad blocker's list come to nothing. There an exception stands above every block, however much more exact
//! that one is, and `$important` stands above both, once; here the more exact rule is in force. So a rule that a heavier one of
//! the opposite meaning covers is none. Neither is one that another line takes back (`$badfilter`).

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Fault, Line, Unended};
use crate::policy::pattern::{Pattern, PatternKind};

/// Names of exceptions and of important blocks at most: some 150 MB.
const NAMES_MAX: usize = 1_000_000;
/// Lines that are taken back at most.
const TAKEN_BACK_MAX: usize = 100_000;
/// The modifier that takes another line back.
pub(super) const BADFILTER: &str = "badfilter";
/// The greatest weight.
const WEIGHT_MAX: u8 = 3;

/// Exceptions and important blocks of a list, all of which have to be known before its first line is read.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// By name on the wire: a bit for each weight and kind, and above them the same of rules with other modifiers.
    names: HashMap<Box<[u8]>, u32>,
    /// Bit n: some of these names has n labels. Nearly every line is a block that none of them is above.
    depths: u128,
    left_out: bool,
    /// Lines that others take back, as [`rule_text`] has them.
    taken_back: HashMap<Box<str>, TakenBack>,
    /// Whether some more are, for which there was no room.
    too_many: bool,
}

/// A line that another one takes back.
#[derive(Debug, Default)]
struct TakenBack {
    /// Names of exceptions and important blocks in it, with their bits.
    weights: Vec<(Box<[u8]>, u32)>,
    /// Whether it was met.
    met: bool,
    /// The first line that takes it back: its number and its text.
    by: Option<(usize, Box<str>)>,
}

/// A block has none, an exception 1, an important block 2, an important exception 3.
pub(super) fn weight(text: &str) -> u8 {
    let important = modifiers(text).any(|modifier| modifier == "important");
    u8::from(text.trim_start_matches([' ', '\t']).starts_with("@@")) + 2 * u8::from(important)
}

fn modifiers(text: &str) -> impl Iterator<Item = &str> {
    let modifiers = text.trim_matches([' ', '\t']).split_once('$').map_or("", |(_rule, modifiers)| modifiers);
    modifiers.split(',').filter(|modifier| !modifier.is_empty())
}

/// Whether a line takes another one back.
pub(super) fn takes_back(text: &str) -> bool {
    modifiers(text).any(|modifier| modifier == BADFILTER)
}

/// A rule by which the one that takes it back is compared: with its modifiers in order, and without that one.
pub(super) fn rule_text(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches([' ', '\t']);
    let is_plain = !text.contains('$') && !text.bytes().any(|octet| octet.is_ascii_uppercase());
    if is_plain {
        return Cow::Borrowed(text);
    }
    let mut modifiers: Vec<&str> = modifiers(text).filter(|modifier| *modifier != BADFILTER).collect();
    modifiers.sort_unstable();
    let rule = text.split_once('$').map_or(text, |(rule, _modifiers)| rule);
    let mark = if modifiers.is_empty() { "" } else { "$" };
    Cow::Owned(format!("{}{mark}{}", rule.to_ascii_lowercase(), modifiers.join(",")))
}

impl Weights {
    /// A line of this text is taken back, of which these are the patterns.
    pub(super) fn take_back(&mut self, text: &str, patterns: &[Pattern]) {
        if self.taken_back.len() >= TAKEN_BACK_MAX {
            self.too_many = true;
            return;
        }
        let weight = weight(text);
        let weights = patterns.iter().filter(|pattern| counts(pattern, weight));
        let weights = weights.map(|pattern| (pattern.name().wire().into(), bit(weight, pattern.kind()))).collect();
        self.taken_back.insert(text.into(), TakenBack { weights, met: false, by: None });
    }

    /// All lines have been seen: what is taken back weighs nothing, unless it stands with other modifiers too.
    pub(super) fn settle(&mut self) {
        for (name, bit) in self.taken_back.values().flat_map(|taken_back| &taken_back.weights) {
            if let Some(bits) = self.names.get_mut(name).filter(|bits| **bits & (bit << OTHERS) == 0) {
                *bits &= !bit;
            }
        }
    }

    /// Whether a line is taken back by another one.
    pub(super) fn is_taken_back(&mut self, text: &str) -> bool {
        if self.taken_back.is_empty() {
            return false;
        }
        let taken_back = self.taken_back.get_mut(&*rule_text(text));
        taken_back.map(|taken_back| taken_back.met = true).is_some()
    }

    /// A line that takes another one back stands here.
    pub(super) fn stands(&mut self, line: &Line<'_>) {
        if let Some(taken_back) = self.taken_back.get_mut(&*rule_text(line.text)) {
            taken_back.by.get_or_insert_with(|| (line.number, line.text.into()));
        }
    }

    /// What is wrong with lines that take back none: all of them where the first one stands, since lists take back what others hold.
    pub(super) fn unmet(&self) -> Option<Unended> {
        let unmet = self.taken_back.values().filter(|taken_back| !taken_back.met);
        let (count, first) = (unmet.clone().count(), unmet.filter_map(|taken_back| taken_back.by.as_ref()).min()?);
        let (number, text) = first.clone();
        let more = match count - 1 {
            0 => String::new(),
            1 => ", and so does 1 more".to_owned(),
            more => format!(", and so do {more} more"),
        };
        let message = format!("takes back (`{BADFILTER}`) what is no line of this list{more}");
        let fault = Fault::new(0..text.len(), message);
        Some(Unended::Line(number, text, fault))
    }

    /// Takes a rule of a line that has this weight.
    pub(super) fn add(&mut self, pattern: &Pattern, text: &str) {
        let weight = weight(text);
        if !counts(pattern, weight) {
            return;
        }
        let wire = pattern.name().wire();
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(wire) {
            self.left_out = true;
            return;
        }
        let with_others = modifiers(text).any(|modifier| modifier != "important");
        self.depths |= 1 << pattern.name().labels();
        let bit = bit(weight, pattern.kind());
        *self.names.entry(wire.into()).or_default() |= if with_others { bit | bit << OTHERS } else { bit };
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
        (0..=name.labels()).filter(|depth| self.depths >> depth & 1 == 1).any(|depth| {
            let covers = if depth == name.labels() { here } else { above };
            self.names.get(name.suffix(depth)).is_some_and(|bits| bits & covers != 0)
        })
    }

    /// What is wrong with a line of this weight, if there was no room for such.
    pub(super) fn fault(&self, text: &str, weight: u8) -> Option<Fault> {
        if self.too_many && takes_back(text) {
            let message = format!("more than {TAKEN_BACK_MAX} lines are taken back; some of them stay in force");
            return Some(Fault::new(0..text.len(), message));
        }
        (self.left_out && weight > 0).then(|| {
            let message = format!("a list can have {NAMES_MAX} names of exceptions and important blocks, and has more");
            Fault::new(0..text.len(), message)
        })
    }
}

/// Whether a pattern of a line of this weight is what has it: what a block is not for (`denyallow`) is no exception from others.
fn counts(pattern: &Pattern, weight: u8) -> bool {
    weight > 0 && pattern.allow() == (weight % 2 == 1)
}

/// Bits of rules with other modifiers stand so far above.
const OTHERS: u32 = 16;

fn bit(weight: u8, kind: PatternKind) -> u32 {
    let kind = match kind {
        PatternKind::Suffix => 0,
        PatternKind::Below => 1,
        // No line of these lists is any of the others.
        PatternKind::Exact | PatternKind::Glob | PatternKind::Answer | PatternKind::Client => 2,
    };
    1 << (u32::from(weight) * 3 + kind)
}
