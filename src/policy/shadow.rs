//! Rules that decide nothing, or nothing that would not be so without them, for others that stand in other lists or in other
//! bans.

use super::explain::{Candidate, Explanation, Lost};
use super::pattern::{Pattern, PatternKind};
use super::policy::{ListInfo, Policy};
use super::verdict::{Client, Hit};
use crate::time::Timestamp;
use crate::wire::{LowerName, qtype};

/// The rule that keeps another one from making a difference.
#[derive(Clone, Copy, Debug)]
pub struct Shadow<'p> {
    /// Why.
    pub why: Shadowing,
    /// That rule.
    pub by: Hit<'p>,
}

/// Why a rule makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shadowing {
    /// Another list of its ban has the pattern, and came first.
    Same,
    /// A broader rule of its ban says the same.
    Covered,
    /// A rule of its ban for the same names decides.
    Outranked,
    /// Another ban decides; what this one says is recorded beside it.
    OtherBan,
}

impl Shadowing {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Covered => "covered",
            Self::Outranked => "outranked",
            Self::OtherBan => "other_ban",
        }
    }
}

impl Policy {
    /// What shadows a rule of one of its lists at a time; `None`: nothing, or the rule is not in force. Of a rule for all names
    /// below one, that name and one below it of which no other rule speaks stand for all of them.
    pub fn shadow(&self, list: &ListInfo, pattern: &Pattern, at: Timestamp) -> Option<Shadow<'_>> {
        let mut shadow = None;
        for name in names(pattern) {
            let explanation = self.explain(&name, qtype::A, &Client::NOBODY, at);
            let is_own = |candidate: &&Candidate<'_>| {
                candidate.hit.ban_index == list.ban && candidate.hit.pattern == pattern.as_ref()
            };
            let own = *explanation.candidates.iter().find(is_own)?;
            if own.hit.list.name != list.name {
                return Some(Shadow { why: Shadowing::Same, by: own.hit });
            }
            let here = at_name(&explanation, &own)?;
            // Where a rule for this very name decides, what there is below says more.
            if shadow.is_none_or(|first: Shadow<'_>| first.why == Shadowing::Outranked) {
                shadow = Some(here);
            }
        }
        shadow
    }
}

/// What shadows a rule at one name; `None`: it makes a difference there.
fn at_name<'p>(explanation: &Explanation<'p>, own: &Candidate<'p>) -> Option<Shadow<'p>> {
    let decides = explanation.verdict.decision.hit();
    match own.lost {
        Some(Lost::OtherBanEnforced | Lost::OtherBanFirst) => {
            decides.map(|hit| Shadow { why: Shadowing::OtherBan, by: *hit })
        }
        Some(Lost::LessSpecific) => {
            let of_ban = |candidate: &&Candidate<'p>| candidate.hit.ban_index == own.hit.ban_index;
            let first = explanation.candidates.iter().find(of_ban)?;
            Some(Shadow { why: Shadowing::Outranked, by: first.hit })
        }
        None => covering(explanation, own).map(|by| Shadow { why: Shadowing::Covered, by }),
        Some(_) => None,
    }
}

/// The rule that would decide without this one, if it says the same.
fn covering<'p>(explanation: &Explanation<'p>, own: &Candidate<'p>) -> Option<Hit<'p>> {
    let next = explanation
        .candidates
        .iter()
        .find(|candidate| candidate.hit.ban_index == own.hit.ban_index && candidate.lost == Some(Lost::LessSpecific))?;
    let said = |hit: &Hit<'p>| (hit.effect, hit.evidence, hit.category);
    (said(&next.hit) == said(&own.hit)).then_some(next.hit)
}

/// Names that stand for all that a pattern is for.
fn names(pattern: &Pattern) -> Vec<LowerName> {
    // No rule is for it alone.
    let below = || LowerName::parse(&format!("shadow-probe-7f3a.{}", pattern.name())).ok();
    let some =
        |star: &str| LowerName::parse(&pattern.name().to_string().replace(r"\042", star).replace('*', star)).ok();
    let (own, other) = match pattern.kind() {
        PatternKind::Suffix => (Some(pattern.name().clone()), below()),
        PatternKind::Exact => (Some(pattern.name().clone()), None),
        PatternKind::Below => (below(), None),
        PatternKind::Glob => (some("shadow-probe-7f3a"), None),
        PatternKind::Answer | PatternKind::Client => (None, None),
    };
    own.into_iter().chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Ban, ListFormat, ListReader, Mode, PolicyBuilder, Rule, Stance, Strictness};

    fn rules(lines: &[&str]) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut reader = ListReader::new(ListFormat::Rules, "test".into(), Strictness::Strict);
        reader.read(lines.join("\n").as_bytes(), &mut |rule, _line| rules.push(rule.clone()));
        assert_eq!(reader.finish(&mut |rule, _line| rules.push(rule.clone())).bad_lines, 0);
        rules
    }

    /// What shadows each rule of the lists `a/1` and `a/2` of one ban, and `b` of one that only observes.
    fn shadows(lists: [&[&str]; 3]) -> Vec<String> {
        let mut builder = PolicyBuilder::new(7, Vec::new());
        let observing = Stance { mode: Mode::Observe, ..Stance::default() };
        let (a, b) = (builder.ban(Ban::named("a")), builder.ban(Ban { stance: observing, ..Ban::named("b") }));
        for ((name, ban), lines) in [("a/1", a), ("a/2", a), ("b", b)].into_iter().zip(lists) {
            let list = builder.list(ListInfo::new(name, ban, ListFormat::Rules, ""));
            for rule in rules(lines) {
                builder.rule(list, &rule).unwrap();
            }
        }
        let (policy, _warnings) = builder.build(1);
        let mut told = Vec::new();
        for (list, lines) in policy.lists().iter().zip(lists) {
            for rule in rules(lines) {
                if let Some(Shadow { why, by }) = policy.shadow(list, &rule.pattern, Timestamp::UNIX_EPOCH) {
                    told.push(format!("{} {} {} of {}", rule.pattern, why.as_str(), by.pattern, by.list.name));
                }
            }
        }
        told
    }

    #[test]
    fn rules_are_shadowed_across_lists_and_bans() {
        assert_eq!(
            shadows([&["x.test", "=y.test"], &["www.x.test", "x.test", "z.test"], &["x.test", "q.x.test", "w.test"]]),
            [
                "www.x.test covered x.test of a/1",
                "x.test same x.test of a/1",
                "x.test other_ban x.test of a/1",
                "q.x.test other_ban x.test of a/1",
            ]
        );
    }

    #[test]
    fn what_makes_a_difference_somewhere_is_not_shadowed() {
        assert_eq!(
            shadows([&["=x.test", "a.b.test", "!b.test"], &["x.test", "c.a.b.test x likely drop"], &["*.x.test"]]),
            ["=x.test covered x.test of a/2", "*.x.test other_ban x.test of a/2"]
        );
        assert_eq!(shadows([&["!x.test"], &["x.test"], &[]]), ["x.test outranked !x.test of a/1"]);
        assert_eq!(
            shadows([&["k*.x.test"], &["*.x.test"], &["k1.x.test"]]),
            ["k*.x.test covered *.x.test of a/2", "k1.x.test other_ban k*.x.test of a/1"]
        );
    }
}
