//! Messages about text that an operator wrote: where, what, the line itself, and a caret under the fault.
//!
//! ```text
//! config/embargo.toml:12:9: unknown ban `kasperski`; known bans: kaspersky
//!    12 | bans = ["kasperski"]
//!       |         ^^^^^^^^^^^
//! ```
//!
//! Leaves reading files and printing to others.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Characters of a line that a message shows at most; a line of a gigabyte must not become a log line of one.
const EXCERPT_MAX: usize = 160;

/// A text with the name it is shown under, usually a path.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call this text: a path as the operator would write it, or `<embedded>/kaspersky/rules.txt`.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// How bad it is: an error keeps the file out of force, a warning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is used; the operator should know.
    Warning,
    /// The file (or the line, in lenient lists) is not used.
    Error,
}

/// One fault in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the source.
    pub source: Arc<str>,
    /// Where in the source; `None` when the message is about the source as a whole.
    pub place: Option<Place>,
    /// What is wrong and, if known, the way out; lower case, no full stop.
    pub message: String,
}

/// A place in a text, with the line as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, control characters escaped, cut to a bounded length around its beginning.
    pub excerpt: String,
    /// Characters in front of the caret in `excerpt`.
    caret_at: usize,
    /// Carets to print, at least one.
    carets: usize,
}

impl Source {
    /// A source of this name and text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// An error at a byte range of the text.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.at(Severity::Error, span, message)
    }

    /// A warning at a byte range of the text.
    pub fn warning(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.at(Severity::Warning, span, message)
    }

    fn at(&self, severity: Severity, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let start = floor_boundary(&self.text, span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_number = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let line = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let local = start - line_start..floor_boundary(&self.text, span.end).saturating_sub(line_start);
        Diagnostic::on_line(severity, Arc::clone(&self.name), line_number, line, local, message)
    }
}

impl Diagnostic {
    /// A message about a source as a whole: it can't be read, is empty, is too large.
    pub fn whole(severity: Severity, source: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Self { severity, source: source.into(), place: None, message: message.into() }
    }

    /// A message about a byte range of one line, for readers that stream and never hold the whole text.
    pub fn on_line(
        severity: Severity,
        source: Arc<str>,
        line_number: usize,
        line: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let start = floor_boundary(line, span.start);
        let end = floor_boundary(line, span.end).max(start);
        let before = line.get(..start).unwrap_or_default();
        let fault = line.get(start..end).unwrap_or_default();
        let place = Place {
            line: line_number,
            column: before.chars().count() + 1,
            excerpt: shown(line).chars().take(EXCERPT_MAX).collect(),
            caret_at: shown(before).chars().count(),
            carets: shown(fault).chars().count().max(1),
        };
        Self { severity, source, place: Some(place), message: message.into() }
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The greatest character boundary of `text` at or before `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// The text with a tab as one space and every other control character escaped, so that a file can't steer the terminal.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push(' '),
            // Those too that turn the direction of what stands around them, or are not seen at all.
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                out.extend(character.escape_default());
            }
            control if control.is_control() => out.extend(control.escape_default()),
            other => out.push(other),
        }
    }
    out
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        let Some(place) = &self.place else {
            return write!(f, "{}: {warning}{}", self.source, self.message);
        };
        writeln!(f, "{}:{}:{}: {warning}{}", self.source, place.line, place.column, self.message)?;
        writeln!(f, "{:>5} | {}", place.line, place.excerpt)?;
        let room = EXCERPT_MAX.saturating_sub(place.caret_at);
        let caret = if room == 0 { "…".to_owned() } else { "^".repeat(place.carets.min(room)) };
        write!(f, "      | {}{caret}", " ".repeat(place.caret_at.min(EXCERPT_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_points_at_the_fault() {
        let source = Source::new("x.toml", "a = 1\nbans = [\"kasperski\"]\n");
        let shown = source.error(14..25, "unknown ban `kasperski`").to_string();
        let expected =
            "x.toml:2:9: unknown ban `kasperski`\n    2 | bans = [\"kasperski\"]\n      |         ^^^^^^^^^^^";
        assert_eq!(shown, expected);
    }

    #[test]
    fn columns_count_characters_and_control_characters_are_escaped() {
        let source = Source::new("r.txt", "é\u{1b}[31m x\n");
        let diagnostic = source.error(8..9, "m");
        assert_eq!(diagnostic.place.as_ref().map(|place| place.column), Some(8));
        assert!(!diagnostic.to_string().contains('\u{1b}'));
    }

    #[test]
    fn a_span_outside_the_text_is_no_panic() {
        for text in ["", "é", "a\n"] {
            let _shown = Source::new("r", text).error(1..99, "m").to_string();
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        let source = Source::new("r", "x".repeat(100_000));
        assert!(source.error(90_000..90_001, "m").to_string().len() < 600);
    }
}
