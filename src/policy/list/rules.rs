//! The own format: `PATTERN [CATEGORY [EVIDENCE [MODE-OR-ACTION]]]  # source`, columns separated by spaces or tabs.
//!
//! A missing category is `uncategorised`, a missing evidence `ambiguous`, a missing action the ban's; so a file of bare
//! names is a valid list.

use std::ops::Range;

use super::{Fault, Line, Out, default_evidence};
use crate::policy::ban::{Action, Evidence, Mode};
use crate::policy::pattern::{Pattern, PatternKind};
use crate::policy::rule::{Does, Rule, UNCATEGORISED};

/// Characters of a category at most; it is a metric label.
const CATEGORY_MAX: usize = 32;

/// A rule before there is any.
pub(super) fn first() -> Rule {
    Rule { pattern: Pattern::ROOT, category: UNCATEGORISED.into(), evidence: Evidence::Ambiguous, does: None }
}

/// The line's rule, over that of the line before.
pub(super) fn read(line: &mut Line<'_>, rule: &mut Rule, out: &mut Out<'_>) -> Result<(), Fault> {
    let mut columns = line.columns();
    let Some((span, word)) = columns.next() else {
        return Ok(());
    };
    line.pattern = span.clone();
    rule.pattern.set(word).map_err(|error| Fault::of(&error, span.start))?;
    let word = columns.next().map_or(Ok(UNCATEGORISED), |(span, word)| checked_category(span, word))?;
    if *rule.category != *word {
        rule.category = word.into();
    }
    let (kind, allow) = (rule.pattern.kind(), rule.pattern.allow());
    let evidence = columns.next().map(|(span, word)| evidence(&span, word, kind)).transpose()?;
    rule.evidence = evidence.unwrap_or_else(|| default_evidence(&rule.pattern));
    rule.does = columns.next().map(|(span, word)| does(&span, word, allow)).transpose()?;
    if let Some((span, _word)) = columns.next() {
        let message = "more than four columns: PATTERN CATEGORY EVIDENCE MODE-OR-ACTION; a comment begins with `#`";
        return Err(Fault::new(span, message));
    }
    out.rule(line, rule);
    Ok(())
}

/// The pattern in a column that begins at `span`.
pub(super) fn pattern(span: &Range<usize>, word: &str) -> Result<Pattern, Fault> {
    Pattern::parse(word).map_err(|error| Fault::of(&error, span.start))
}

fn evidence(span: &Range<usize>, word: &str, kind: PatternKind) -> Result<Evidence, Fault> {
    let known = Evidence::ALL.into_iter().find(|evidence| evidence.as_str() == word);
    let evidence = known.ok_or_else(|| unknown("evidence", span, word, &Evidence::ALL.map(Evidence::as_str)))?;
    // The client asked for another name, or for anything at all.
    let (most, of) = match kind {
        PatternKind::Answer => (Evidence::Ambiguous, "an address in an answer proves `ambiguous` at most"),
        PatternKind::Client => (Evidence::None, "a rule for clients proves nothing about them; write `none`"),
        _ => return Ok(evidence),
    };
    if evidence < most { Err(Fault::new(span.clone(), of)) } else { Ok(evidence) }
}

fn does(span: &Range<usize>, word: &str, allow: bool) -> Result<Does, Fault> {
    let Some(does) = Does::parse(word) else {
        let known = [Mode::ALL.map(Mode::as_str).as_slice(), Action::ALL.map(Action::as_str).as_slice()].concat();
        return Err(unknown("mode or action", span, word, &known));
    };
    if allow && does != Does::Mode(Mode::Off) {
        let message = format!("an allow rule can't `{word}`; drop the `!` or the fourth column");
        return Err(Fault::new(span.clone(), message));
    }
    Ok(does)
}

fn checked_category(span: Range<usize>, word: &str) -> Result<&str, Fault> {
    if Does::parse(word).is_some() {
        let message =
            format!("`{word}` is a mode or an action, which the fourth column holds: `NAME CATEGORY EVIDENCE {word}`");
        return Err(Fault::new(span, message));
    }
    let plain = |octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if word.len() <= CATEGORY_MAX && word.bytes().all(plain) {
        return Ok(word);
    }
    Err(Fault::new(span, format!("category is not 1 to {CATEGORY_MAX} of `a-z`, `0-9`, `_`, `-`")))
}

fn unknown(what: &str, span: &Range<usize>, word: &str, known: &[&str]) -> Fault {
    // The line itself is shown below the message, escaped; the word is not needed twice when it is long.
    let shown: String = word.chars().take(CATEGORY_MAX).flat_map(char::escape_default).collect();
    Fault::new(span.clone(), format!("unknown {what} `{shown}`; known: {}", known.join(", ")))
}
