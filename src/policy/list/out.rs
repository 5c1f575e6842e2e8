//! What the readers of the formats have in common: how a rule is given, how a plain name is read, what an address means.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

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
    /// The category of rules of foreign formats.
    listed: &'o Arc<str>,
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

impl<'o> Out<'o> {
    /// `listed` is [`LISTED`], to be shared.
    pub(super) fn new(listed: &'o Arc<str>, sink: &'o mut dyn FnMut(&Rule, &Line<'_>)) -> Self {
        debug_assert_eq!(**listed, *LISTED);
        Self { sink, listed, rules: 0 }
    }

    /// Gives a rule of a foreign format, which knows neither categories nor evidence.
    pub(super) fn give(&mut self, line: &mut Line<'_>, span: Range<usize>, pattern: Pattern, does: Option<Does>) {
        line.pattern = span;
        let category = Arc::clone(self.listed);
        let evidence = default_evidence(&pattern);
        self.rule(line, &Rule { pattern, category, evidence, does });
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
