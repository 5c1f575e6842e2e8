//! The rules of one list beside each other: which of them stand twice, contradict each other, or say nothing that a broader one
//! does not say.
//!
//! A list is read twice for that: [`Overlaps::add`] takes every rule, and [`Overlaps::judge`] is asked about every rule in the
//! same order once all are known, because the broader one may stand behind the narrower. Of a name only its hash is kept, 64
//! bits under a key of its own, so that ten million rules take some 270 MB. Nearly every look at them waits for memory, so
//! rules are taken some at a time: their waits are then one.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use ipnet::IpNet;

use super::ban::Evidence;
use super::glob;
use super::hash::Key;
use super::pattern::{Pattern, PatternKind, PatternRef};
use super::rule::{Does, Rule};
use super::slots::Slots;
use crate::wire::LowerName;

/// Rules at most: 700 MB.
const RULES_MAX: usize = 24_000_000;
/// Rules that are taken together.
const TOGETHER: usize = 32;
/// Rules that there is room for when nobody says how many there will be.
const RULES_MIN: usize = 1_000;

/// What is wrong with a rule in view of another one of its list, which stands at a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overlap {
    /// The same rule.
    #[error("stands already in line {line}")]
    Duplicate {
        /// Where.
        line: usize,
    },
    /// The same pattern that does or says something else.
    #[error("line {line} says something else of the same pattern; the first of them is in force")]
    Otherwise {
        /// Where.
        line: usize,
    },
    /// The one allows what the other bans.
    #[error("line {line} says the opposite of the same pattern; the one that allows is in force")]
    Opposite {
        /// Where.
        line: usize,
    },
    /// A broader rule says the same of all that this one is for.
    #[error("is covered by `{pattern}` in line {line}")]
    Covered {
        /// The broader pattern.
        pattern: String,
        /// Where.
        line: usize,
    },
}

/// What a rule says beside its pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Columns {
    category: Arc<str>,
    evidence: Evidence,
    does: Option<Does>,
}

/// A rule with its name as a hash. Line 0: it is passed over.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    line: u32,
    columns: u16,
    kind: u8,
    allow: bool,
}

/// What is wrong with a rule in view of the one at a line.
type Why = fn(usize) -> Overlap;

/// The one allows what the other bans.
const OPPOSITE: Why = |line| Overlap::Opposite { line };

/// What is wrong with a rule in view of one before.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    number: u32,
    /// The line of the other rule.
    line: u32,
    /// `None`: it was passed over.
    why: Option<Why>,
}

/// The rules of a list.
#[derive(Debug)]
pub struct Overlaps {
    key: Key,
    /// The places of the entries by their hashes.
    slots: Slots,
    room: usize,
    entries: Vec<Entry>,
    columns: Vec<Columns>,
    /// By the hash of what stands behind their last `*`, as a policy has them.
    globs: HashMap<u64, Vec<(Pattern, u16, u32)>>,
    glob_count: usize,
    /// Bit n: some rule for all below a name has n labels.
    broad: u128,
    left_out: u64,
    /// Rules that are still to be taken.
    waiting: Vec<Entry>,
    /// The number of the next rule.
    next: u32,
    /// What is wrong with rules in view of those before, by their numbers.
    wrong: Vec<Wrong>,
    judged: usize,
}

impl Overlaps {
    /// Room for `rules` rules; more are taken too. `seed` should be random.
    pub fn new(seed: u64, rules: usize) -> Self {
        let room = rules.clamp(RULES_MIN, RULES_MAX);
        Self {
            key: Key::new(seed),
            slots: Slots::for_entries(room),
            room,
            entries: Vec::with_capacity(room),
            columns: Vec::new(),
            globs: HashMap::new(),
            glob_count: 0,
            broad: 0,
            left_out: 0,
            waiting: Vec::with_capacity(TOGETHER),
            next: 0,
            wrong: Vec::new(),
            judged: 0,
        }
    }

    /// Rules that there was no room to compare.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes the next rule.
    pub fn add(&mut self, rule: &Rule, line: usize) {
        let (pattern, at) = (&rule.pattern, u32::try_from(line).unwrap_or(u32::MAX));
        // Without a number of its own it stands for no rule, and is passed over.
        let columns = self.number(rule);
        let hash = self.key.whole(pattern.name());
        let (kind, allow) = (pattern.kind() as u8, pattern.allow());
        let at = if columns.is_some() { at } else { 0 };
        self.waiting.push(Entry { hash, line: at, columns: columns.unwrap_or_default(), kind, allow });
        if pattern.kind() == PatternKind::Glob {
            self.settle();
            let wrong = columns.and_then(|columns| self.add_glob(pattern, columns, at));
            self.wrong.extend(wrong.map(|(why, line)| Wrong { number: self.next - 1, line, why: Some(why) }));
        } else if self.waiting.len() == TOGETHER {
            self.settle();
        }
        if matches!(pattern.kind(), PatternKind::Suffix | PatternKind::Below) {
            self.broad |= 1 << pattern.name().labels();
        }
    }

    /// What is wrong with a rule, now that all are known. To be asked about every rule in the order in which they were added.
    pub fn judge(&mut self, rule: &Rule, line: usize) -> Option<Overlap> {
        if !self.waiting.is_empty() {
            self.settle();
        }
        if self.judged == 0 {
            self.next = 0;
        }
        let number = self.next;
        (self.next, self.judged) = (number + 1, self.judged.max(1));
        if let Some(wrong) = self.wrong.get(self.judged - 1).filter(|wrong| wrong.number == number) {
            self.judged += 1;
            return wrong.why.map(|why| why(wrong.line as usize));
        }
        self.covered(rule, line)
    }

    /// Passes over the next rule, which can't be in force.
    pub fn pass_over(&mut self) {
        self.settle();
        self.wrong.push(Wrong { number: self.next, line: 0, why: None });
        self.next += 1;
    }

    /// Takes the rules that wait.
    fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for entry in &waiting {
            self.slots.fetch_tags(entry.hash);
        }
        for entry in waiting.drain(..) {
            let wrong = self.take(entry);
            self.wrong.extend(wrong.map(|(why, line)| Wrong { number: self.next, line, why: Some(why) }));
            self.next += 1;
        }
        self.waiting = waiting;
    }

    /// Takes a rule; says what is wrong with it in view of which line.
    fn take(&mut self, entry: Entry) -> Option<(Why, u32)> {
        if entry.line == 0 {
            self.left_out += 1;
            return None;
        }
        if entry.kind == PatternKind::Glob as u8 {
            return None;
        }
        let mut opposite = None;
        for found in self.at(entry.hash).filter(|found| found.kind == entry.kind) {
            if found.allow == entry.allow {
                return Some((same(found.columns, entry.columns), found.line));
            }
            opposite = Some((OPPOSITE, found.line));
        }
        self.insert(entry);
        opposite
    }

    /// The broader rule that makes this one superfluous; `None` for a rule that was not taken as the first of its pattern.
    fn covered(&self, rule: &Rule, line: usize) -> Option<Overlap> {
        let pattern = &rule.pattern;
        let (name, labels) = (pattern.name(), pattern.name().labels());
        let at_or_above = u128::MAX >> (127 - labels.min(127));
        let broader = if pattern.kind() == PatternKind::Suffix { at_or_above >> 1 } else { at_or_above };
        if let Some(network) = pattern.network() {
            return self.covered_network(pattern, network, line);
        }
        if pattern.kind() == PatternKind::Glob || self.broad & broader == 0 {
            return None;
        }
        let mut nearest = None;
        let mut whole = self.key.root();
        for (depth, hash) in self.key.suffixes(name) {
            whole = hash;
            if depth < labels && self.broad >> depth & 1 == 1 {
                nearest = broadest(self.at(hash)).map(|entry| (depth, entry)).or(nearest);
            }
        }
        if pattern.kind() != PatternKind::Suffix {
            let beside = self.at(whole).filter(|entry| entry.kind == PatternKind::Suffix as u8);
            nearest = beside.max_by_key(|entry| entry.allow).map(|entry| (labels, entry)).or(nearest);
        }
        let (depth, broad) = nearest?;
        let own = self.only(whole, pattern, line)?;
        let same = (own.allow, own.columns) == (broad.allow, broad.columns);
        (same && !self.is_kept_by_glob(name, own))
            .then(|| Overlap::Covered { pattern: shown(name, depth, broad), line: broad.line as usize })
    }

    /// The rule of a line, if it is the first of its pattern, and none says the opposite: without it, that one would hold.
    fn only(&self, hash: u64, pattern: &Pattern, line: usize) -> Option<Entry> {
        let kind = pattern.kind() as u8;
        let alike = || self.at(hash).filter(move |entry| entry.kind == kind);
        let own = alike().find(|entry| entry.allow == pattern.allow()).filter(|own| own.line as usize == line)?;
        (!alike().any(|entry| entry.allow != own.allow)).then_some(own)
    }

    /// The rule about the next wider network, if it makes this one superfluous.
    fn covered_network(&self, pattern: &Pattern, network: IpNet, line: usize) -> Option<Overlap> {
        let around = |network| Pattern::of_network(network, pattern.kind(), false);
        let own = self.only(self.key.whole(pattern.name()), pattern, line)?;
        let wider = iter::successors(network.supernet(), IpNet::supernet).map(around);
        let mut found = wider.filter_map(|wider| {
            let here = self.at(self.key.whole(wider.name())).filter(|entry| entry.kind == own.kind);
            Some((wider, here.max_by_key(|entry| entry.allow)?))
        });
        let (wider, broad) = found.next()?;
        let shown = PatternRef { allow: broad.allow, ..wider.as_ref() }.to_string();
        let same = (own.allow, own.columns) == (broad.allow, broad.columns);
        same.then_some(Overlap::Covered { pattern: shown, line: broad.line as usize })
    }

    fn add_glob(&mut self, pattern: &Pattern, columns: u16, line: u32) -> Option<(Why, u32)> {
        let name = pattern.name();
        let suffix = self.key.suffixes(name).nth(glob::literal_labels(name))?.1;
        let beside = self.globs.entry(suffix).or_default();
        let mut opposite = None;
        for (found, known, line) in beside.iter().filter(|(found, _, _)| found.name() == name) {
            if found.allow() == pattern.allow() {
                return Some((same(*known, columns), *line));
            }
            opposite = Some((OPPOSITE, *line));
        }
        // More a policy does not take.
        if beside.len() < glob::GLOBS_PER_SUFFIX_MAX && self.glob_count < glob::GLOBS_MAX {
            beside.push((pattern.clone(), columns, line));
            self.glob_count += 1;
        } else {
            self.left_out += 1;
        }
        opposite
    }

    /// Whether a glob with as many labels would decide at this name without the rule, and say something else.
    fn is_kept_by_glob(&self, name: &LowerName, own: Entry) -> bool {
        let others = |(glob, columns, _): &&(Pattern, u16, u32)| (glob.allow(), *columns) != (own.allow, own.columns);
        let above = self.key.suffixes(name).filter_map(|(_depth, hash)| self.globs.get(&hash)).flatten();
        !self.globs.is_empty()
            && above.filter(others).any(|(glob, _, _)| glob::matches(glob.name().wire(), name.wire()))
    }

    /// The number of what a rule says beside its pattern; `None`: there are too many.
    fn number(&mut self, rule: &Rule) -> Option<u16> {
        let is = |known: &Columns| {
            let same = Arc::ptr_eq(&known.category, &rule.category) || known.category == rule.category;
            same && known.evidence == rule.evidence && known.does == rule.does
        };
        // From behind, because lists stay with one for many lines.
        let known = self.columns.iter().rposition(is);
        let number = known.unwrap_or_else(|| {
            let Rule { category, evidence, does, .. } = rule;
            self.columns.push(Columns { category: Arc::clone(category), evidence: *evidence, does: *does });
            self.columns.len() - 1
        });
        u16::try_from(number).ok()
    }

    /// Every rule at a name, in the order in which they came.
    fn at(&self, hash: u64) -> impl Iterator<Item = Entry> {
        let entries = self.slots.find(hash).filter_map(|place| self.entries.get(usize::try_from(place).ok()?));
        entries.copied().filter(move |entry| entry.hash == hash)
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= RULES_MAX {
            self.left_out += 1;
            return;
        }
        if self.entries.len() >= self.room {
            self.room = (self.room * 2).min(RULES_MAX);
            self.slots = Slots::for_entries(self.room);
            (0..).zip(&self.entries).for_each(|(place, entry)| self.slots.insert(entry.hash, place));
        }
        self.slots.insert(entry.hash, self.entries.len() as u64);
        self.entries.push(entry);
    }
}

/// What it is to say the same, or not the same, of the same pattern.
fn same(known: u16, columns: u16) -> Why {
    if known == columns { |line| Overlap::Duplicate { line } } else { |line| Overlap::Otherwise { line } }
}

/// The rule that decides below the name at which these stand, of those for names below it.
fn broadest(here: impl Iterator<Item = Entry>) -> Option<Entry> {
    let is_broad = |entry: &Entry| entry.kind == PatternKind::Suffix as u8 || entry.kind == PatternKind::Below as u8;
    here.filter(is_broad).max_by_key(|entry| (entry.kind, entry.allow))
}

fn shown(name: &LowerName, depth: usize, entry: Entry) -> String {
    let broad = LowerName::read(name.suffix(depth), 0).map_or(LowerName::ROOT, |(name, _end)| name);
    let (allow, below) = (if entry.allow { "!" } else { "" }, entry.kind == PatternKind::Below as u8);
    format!("{allow}{}{broad}", if below { "*." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::policy::{Ban, Client, Line, ListFormat, ListInfo, Policy, PolicyBuilder, Strictness};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    /// Lines of our format, and what is said of each but nothing: (line, message).
    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let source = Source::new("test", text);
        let mut told = Vec::new();
        overlaps_of(&source, |line, overlap| told.push((line, overlap.to_string())));
        told.sort();
        let expected: Vec<_> = expected.iter().map(|(line, message)| (*line, (*message).to_owned())).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn what_stands_twice_is_told_apart_from_what_contradicts() {
        check("a.example\nA.example.\n", &[(2, "stands already in line 1")]);
        let otherwise = "line 1 says something else of the same pattern; the first of them is in force";
        check("a.example\na.example x ambiguous drop\n", &[(2, otherwise)]);
        let opposite = "line 1 says the opposite of the same pattern; the one that allows is in force";
        check("a.example\n!a.example\n", &[(2, opposite)]);
        check("!a.example\na.example\n", &[(2, opposite)]);
        check("k*.example\nk*.example\n", &[(2, "stands already in line 1")]);
        check("k*.example\n!k*.example\n", &[(2, opposite)]);
        check("!k*.a.example\nk*.b.example\nk*.a.example\n", &[(3, opposite)]);
        check("a.example\n=a.example x visit\n*.a.example x visit\nb.example\n", &[]);
    }

    #[test]
    fn what_a_broader_rule_says_already_is_told_wherever_that_one_stands() {
        check("www.a.example\na.example\n", &[(1, "is covered by `a.example` in line 2")]);
        check("a.example\nx.y.a.example\n", &[(2, "is covered by `a.example` in line 1")]);
        check(
            "a.example\n=a.example\n*.a.example\n",
            &[(2, "is covered by `a.example` in line 1"), (3, "is covered by `a.example` in line 1")],
        );
        check("*.a.example\n=www.a.example\na.example x visit\n", &[(2, "is covered by `*.a.example` in line 1")]);
        check("!a.example\n!b.a.example\n", &[(2, "is covered by `!a.example` in line 1")]);
    }

    #[test]
    fn a_network_within_another_that_says_the_same_is_covered() {
        let covered = |line| [(line, "is covered by `answer:192.0.2.0/24` in line 1")];
        check("answer:192.0.2.0/24\nanswer:192.0.2.1\n", &covered(2));
        check("answer:192.0.2.0/24\nanswer:192.0.0.0/16 x\nanswer:192.0.2.0/25\n", &covered(3));
        check("answer:192.0.2.0/24\n!answer:192.0.2.0/25\nanswer:192.0.2.1\nclient:192.0.2.1\n", &[]);
        check("answer:192.0.2.0/24\nanswer:192.0.2.1 x\nanswer:198.51.100.1\nanswer:c000::/8\n", &[]);
        check(
            "!client:2001:db8::/32\n!client:2001:db8::1\n",
            &[(2, "is covered by `!client:2001:db8::/32` in line 1")],
        );
    }

    #[test]
    fn a_rule_that_something_between_would_change_is_needed() {
        // An exception between them, other columns, a name alone, a glob that would decide.
        check("a.example\n!b.a.example\nc.b.a.example\n", &[]);
        check("a.example\nb.a.example update installed\n", &[]);
        check("=a.example\nb.a.example\n", &[]);
        check("a.example\n!b*.a.example\nb1.a.example\n", &[]);
        check("a.example\nb*.a.example\nb1.a.example\n", &[(3, "is covered by `a.example` in line 1")]);
        check("a.example\nb.a.example x visit\nc.b.a.example\n", &[]);
    }

    proptest! {
        #[test]
        fn no_verdict_changes_without_the_rules_that_are_covered_or_come_second(
            rules in prop::collection::vec((0..3_u8, any::<bool>(), any::<bool>(), "[ab](\\.[ab]){0,3}|[ab]\\*(\\.[ab]){1,2}"), 1..9),
            asked in prop::collection::vec("[ab]{1,2}(\\.[ab]){0,4}", 1..20),
        ) {
            let line = |(kind, allow, observe, name): &(u8, bool, bool, String)| {
                let kind = if name.contains('*') { "" } else { ["", "=", "*."][usize::from(*kind)] };
                let columns = if *observe && !allow { " x visit" } else { " x ambiguous" };
                format!("{}{kind}{name}.test{columns}", if *allow { "!" } else { "" })
            };
            let lines: Vec<String> = rules.iter().map(line).collect();
            // One that comes second would step in for a first that is covered.
            let covered = idle_lines(&lines.join("\n"));
            let left: Vec<String> =
                (1..).zip(&lines).filter(|(number, _)| !covered.contains(number)).map(|(_, line)| line.clone()).collect();
            let (all, few) = (policy_of(&lines.join("\n")), policy_of(&left.join("\n")));
            for name in &asked {
                let name = LowerName::parse(&format!("{name}.test")).unwrap();
                let word = |policy: &Policy| policy.decide(&name, 1, &Client::NOBODY, Timestamp::UNIX_EPOCH).decision.as_str();
                prop_assert_eq!(word(&all), word(&few), "{} without lines {:?} of {:?}", name, covered, lines);
            }
        }
    }

    /// Tells what is wrong with each rule of a text.
    fn overlaps_of(source: &Source, mut tell: impl FnMut(usize, Overlap)) {
        let mut overlaps = Overlaps::new(1, 0);
        let parse = |sink: &mut dyn FnMut(&Rule, &Line<'_>)| ListFormat::Rules.parse(source, Strictness::Lenient, sink);
        parse(&mut |rule, line| overlaps.add(rule, line.number));
        parse(&mut |rule, line| {
            if let Some(overlap) = overlaps.judge(rule, line.number) {
                tell(line.number, overlap);
            }
        });
    }

    /// Lines that are not in force, or might as well not be.
    fn idle_lines(text: &str) -> Vec<usize> {
        let mut idle = Vec::new();
        overlaps_of(&Source::new("test", text), |line, overlap| {
            idle.extend((!matches!(overlap, Overlap::Opposite { .. })).then_some(line));
        });
        idle
    }

    fn policy_of(text: &str) -> Policy {
        let mut builder = PolicyBuilder::new(1, Vec::new());
        let ban = builder.ban(Ban::named("v"));
        let list = builder.list(ListInfo::new("v", ban, ListFormat::Rules, ""));
        ListFormat::Rules.parse(&Source::new("test", text), Strictness::Lenient, &mut |rule, _line| {
            builder.rule(list, rule).unwrap();
        });
        builder.build(1).0
    }

    #[test]
    fn as_many_globs_are_compared_as_a_policy_takes() {
        let lines = (0..2_000).map(|number| format!("k{number}-*.n{}.example\n", number % 7));
        check(&(lines.collect::<String>() + "k1999-*.n4.example\n"), &[(2_001, "stands already in line 2000")]);
    }

    #[test]
    fn a_table_that_grows_forgets_nothing() {
        let lines: Vec<String> = (0..5_000).map(|number| format!("n{number}.example.org")).collect();
        let text = lines.join("\n") + "\nexample.org\n";
        let expected: Vec<_> = (1..=5_000).map(|line| (line, "is covered by `example.org` in line 5001")).collect();
        check(&text, &expected);
    }
}
