//! What the readers of the formats have in common: how a rule is given, how a plain name is read, what an address means.

use std::borrow::Cow;
use std::ops::Range;

use super::Line;
use super::hosts;
use super::idn;
use crate::policy::ban::{Action, Evidence};
use crate::policy::pattern::{Pattern, PatternError, PatternKind};
use crate::policy::rule::{Does, LISTED, Rule};

/// What is wrong with a line, and where in it.
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) message: Cow<'static, str>,
}

/// Where the rules of a line go.
pub(super) struct Out<'o> {
    sink: &'o mut dyn FnMut(&Rule, &Line<'_>),
    /// The last rule of a foreign format: the next one is written over it, since rules are large and lists long.
    last: &'o mut Rule,
    /// Rules given.
    pub(super) rules: usize,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { span, message: message.into() }
    }

    /// What is wrong with a pattern that begins at `start`.
    pub(super) fn of(error: &PatternError, start: usize) -> Self {
        Self::new(start + error.span.start..start + error.span.end, error.to_string())
    }
}

/// A rule of a foreign format before there is any.
pub(super) fn listed() -> Rule {
    Rule { pattern: Pattern::ROOT, category: LISTED.into(), evidence: Evidence::Ambiguous, does: None }
}

impl<'o> Out<'o> {
    /// `last` has the category of [`listed`].
    pub(super) fn new(last: &'o mut Rule, sink: &'o mut dyn FnMut(&Rule, &Line<'_>)) -> Self {
        debug_assert_eq!(*last.category, *LISTED);
        Self { sink, last, rules: 0 }
    }

    /// Gives a rule of a foreign format, which knows neither categories nor evidence.
    pub(super) fn give(&mut self, line: &mut Line<'_>, span: Range<usize>, pattern: Pattern, does: Option<Does>) {
        line.pattern = span;
        self.last.evidence = default_evidence(&pattern);
        (self.last.pattern, self.last.does) = (pattern, does);
        self.give_last(line);
    }

    /// Gives the rule that bans the name of a host, if that is one as nearly all of them are.
    #[inline]
    pub(super) fn host(&mut self, line: &mut Line<'_>, span: &Range<usize>, host: &str, kind: PatternKind) -> bool {
        if !self.last.pattern.set_host(host, kind) {
            return false;
        }
        line.pattern = span.clone();
        (self.last.evidence, self.last.does) = (Evidence::Ambiguous, None);
        self.give_last(line);
        true
    }

    fn give_last(&mut self, line: &Line<'_>) {
        self.rules += 1;
        (self.sink)(self.last, line);
    }

    /// Gives a rule.
    pub(super) fn rule(&mut self, line: &Line<'_>, rule: &Rule) {
        self.rules += 1;
        (self.sink)(rule, line);
    }
}

/// What a match proves where nobody says so. What a client asks for that a rule is for says nothing about any vendor.
pub(super) fn default_evidence(pattern: &Pattern) -> Evidence {
    if pattern.kind() == PatternKind::Client { Evidence::None } else { Evidence::Ambiguous }
}

/// The name of a foreign format in ASCII.
pub(super) fn ascii<'t>(span: &Range<usize>, word: &'t str) -> Result<Cow<'t, str>, Fault> {
    idn::to_ascii(word).ok_or_else(|| Fault::new(span.clone(), "no name in any alphabet (UTS 46)"))
}

/// A plain name of a foreign format as a pattern.
pub(super) fn plain(span: &Range<usize>, word: &str, kind: PatternKind, allow: bool) -> Result<Pattern, Fault> {
    if word.is_ascii() {
        return Pattern::of_name(word, kind, allow).map_err(|error| Fault::of(&error, span.start));
    }
    // Places in the name as it is asked for are none in the one that is written.
    let ascii = ascii(span, word)?;
    Pattern::of_name(&ascii, kind, allow).map_err(|error| Fault::new(span.clone(), error.to_string()))
}

/// Whether all that the first pattern is for is at or below the name of the second.
pub(super) fn is_at_or_below(pattern: &Pattern, other: &Pattern) -> bool {
    pattern.name().is_below(other.name())
}

/// What an answer with this address comes to: nobody can be reached there, which is a block as any other, or the address is
/// that of somebody's sinkhole, whose place ours take.
pub(super) fn by_address(address: &str) -> Option<Does> {
    (hosts::is_nowhere(address) != Some(true)).then_some(Does::Action(Action::Sinkhole))
}
