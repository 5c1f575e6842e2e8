//! The list formats: text in, rules streamed to a sink, a diagnostic for each line that was not understood.
//!
//! Leaves reading files to `config` and storing rules to [`PolicyBuilder`](super::PolicyBuilder).

mod domains;
mod line;
mod reader;
mod rules;

use std::ops::Range;
use std::sync::Arc;

use self::line::lines;
pub use self::line::{LINE_MAX, Line};
pub use self::reader::ListReader;
use super::pattern::PatternRef;
use super::rule::{Rule, UNCATEGORISED};
use crate::diag::{Diagnostic, Source};

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
    /// A strict text with any bad line gives the sink nothing.
    pub fn parse(self, source: &Source, strictness: Strictness, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> Parsed {
        let whole = |sink: &mut dyn FnMut(&Rule, &Line<'_>)| {
            let mut reader = ListReader::new(self, Arc::clone(&source.name), strictness);
            reader.read(source.text.as_bytes(), sink);
            reader.finish(sink)
        };
        if strictness == Strictness::Strict {
            // Rules can't be taken back from a table, so a strict text is read once before it counts.
            let checked = whole(&mut |_rule, _line| ());
            if checked.bad_lines > 0 {
                return Parsed { rules: 0, ..checked };
            }
        }
        whole(sink)
    }

    /// The line of the first rule with this pattern, from 1. Compiled rules keep no lines; the text is read again.
    pub fn find_line(self, source: &Source, pattern: PatternRef<'_>) -> Option<usize> {
        let mut reader = LineReader::new(self);
        lines(source).find_map(|mut line| {
            let rule = reader.rule(&mut line).ok().flatten()?;
            (rule.pattern.as_ref() == pattern).then_some(line.number)
        })
    }
}

/// What is wrong with a line, and where in it.
struct Fault {
    span: Range<usize>,
    message: String,
}

/// Reads line after line of one format.
struct LineReader {
    format: ListFormat,
    /// The category of the line before: lists stay with one for many lines.
    category: Arc<str>,
}

impl LineReader {
    fn new(format: ListFormat) -> Self {
        Self { format, category: UNCATEGORISED.into() }
    }

    /// The line's rule; `None` for a line without one.
    fn rule(&mut self, line: &mut Line<'_>) -> Result<Option<Rule>, Fault> {
        if line.text.len() > LINE_MAX {
            return Err(Fault { span: 0..1, message: format!("line is longer than {LINE_MAX} octets") });
        }
        match self.format {
            ListFormat::Rules => rules::read(line, &mut self.category),
            ListFormat::Domains => domains::read(line, &mut self.category),
        }
    }
}

#[cfg(test)]
mod tests;
