//! Lines, their columns, and a bounded number of messages about them.

use std::ops::Range;
use std::sync::Arc;

use super::{Fault, Strictness};
use crate::diag::{Diagnostic, Severity};

/// Octets of a line at most: a name needs 255, the rest is room for a source.
pub const LINE_MAX: usize = 4096;
/// Messages about one list at most; a binary file named by mistake must not fill the log.
const DIAGNOSTICS_MAX: usize = 100;

/// The line that a rule stands on, for messages about it.
#[derive(Clone, Debug)]
pub struct Line<'t> {
    /// The name of the source.
    pub source: &'t Arc<str>,
    /// From 1.
    pub number: usize,
    /// The whole line without its end.
    pub text: &'t str,
    /// Octets of the pattern in `text`.
    pub pattern: Range<usize>,
}

impl<'t> Line<'t> {
    /// A warning that points at the pattern.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.at(Severity::Warning, self.pattern.clone(), message)
    }

    fn at(&self, severity: Severity, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::on_line(severity, Arc::clone(self.source), self.number, self.text, span, message)
    }

    /// The columns in front of a comment: runs of anything but spaces and tabs, with their places.
    /// A column that begins with `#` begins the comment.
    pub(super) fn columns(&self) -> impl Iterator<Item = (Range<usize>, &'t str)> + use<'t> {
        let text = self.text;
        let mut at = 0;
        std::iter::from_fn(move || {
            let octets = text.as_bytes();
            let start = at + octets.get(at..)?.iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
            at = memchr::memchr2(b' ', b'\t', octets.get(start..)?).map_or(octets.len(), |end| start + end);
            let word = text.get(start..at).filter(|word| !word.starts_with('#'))?;
            Some((start..at, word))
        })
        // Whoever asks again behind the last column must not be given the words of the comment.
        .fuse()
    }
}

/// Messages about bad lines: the first ones whole, the rest as a number.
pub(super) struct Bounded {
    source: Arc<str>,
    severity: Severity,
    bad_lines: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Bounded {
    pub(super) fn new(source: Arc<str>, strictness: Strictness) -> Self {
        let severity = match strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        };
        Self { source, severity, bad_lines: 0, diagnostics: Vec::new() }
    }

    /// Adds a bad line; `partly`: some rules of it count.
    pub(super) fn add(&mut self, line: &Line<'_>, fault: Fault, partly: bool) {
        let skipped = match (self.severity, partly) {
            (Severity::Error, _) => "",
            (Severity::Warning, false) => "; the line is skipped",
            (Severity::Warning, true) => "; this part of the line is skipped",
        };
        let message = format!("{}{skipped}", fault.message);
        self.add_whole(line, Fault::new(fault.span, message));
    }

    /// Adds a bad line of which the message says what becomes of it.
    pub(super) fn add_whole(&mut self, line: &Line<'_>, fault: Fault) {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(line.at(self.severity, fault.span, fault.message));
        }
        self.bad_lines += 1;
    }

    /// Adds a bad line like one that was told.
    pub(super) fn add_untold(&mut self) {
        self.bad_lines += 1;
    }

    /// The exact number of bad lines, and the messages.
    pub(super) fn finish(mut self) -> (usize, Vec<Diagnostic>) {
        let more = self.bad_lines - self.diagnostics.len();
        if more > 0 {
            let message = format!("{more} more lines like these are not shown");
            self.diagnostics.push(Diagnostic::whole(self.severity, self.source, message));
        }
        (self.bad_lines, self.diagnostics)
    }
}
