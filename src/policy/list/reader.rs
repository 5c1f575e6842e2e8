//! Reading a list piece by piece, as it comes from a file: a list of any size is never held as a whole.

use std::str::Utf8Error;
use std::sync::Arc;

use super::line::{Bounded, LINE_MAX, Line};
use super::{LineReader, ListFormat, Parsed, Strictness};
use crate::diag::{Diagnostic, Severity};
use crate::policy::rule::Rule;

/// The byte order mark that some editors put in front of a text.
const MARK: &[u8] = "\u{feff}".as_bytes();
/// Octets kept of a line that its piece does not end: one more than a line may have, and the mark and return beside it.
const OPEN_MAX: usize = LINE_MAX + 1 + MARK.len() + 1;

/// A list on its way from its octets to rules.
pub struct ListReader {
    name: Arc<str>,
    strictness: Strictness,
    lines: LineReader,
    faults: Bounded,
    /// The line that the last piece did not end, cut where it is too long anyway.
    open: Vec<u8>,
    /// Lines read.
    number: usize,
    rules: usize,
    /// Where a strict list is no text.
    no_text: Option<Diagnostic>,
}

impl ListReader {
    /// A reader of a list that messages call `name`. What comes of its lines before [`ListReader::finish`] is known to have
    /// none that is bad counts also in a strict list: whoever can't take rules back reads it twice.
    pub fn new(format: ListFormat, name: Arc<str>, strictness: Strictness) -> Self {
        let faults = Bounded::new(Arc::clone(&name), strictness);
        let lines = LineReader::new(format);
        Self { name, strictness, lines, faults, open: Vec::new(), number: 0, rules: 0, no_text: None }
    }

    /// Reads the next octets, cut anywhere, and gives the rules of the lines that end in them to `sink`, in order.
    pub fn read(&mut self, octets: &[u8], sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        let mut pieces = octets.split(|octet| *octet == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.open.is_empty() {
                self.line(piece, sink);
            } else {
                self.keep(piece);
                let mut line = std::mem::take(&mut self.open);
                self.line(&line, sink);
                line.clear();
                self.open = line;
            }
        }
        self.keep(last);
    }

    /// Reads the last line; then what became of the list.
    pub fn finish(mut self, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> Parsed {
        let line = std::mem::take(&mut self.open);
        self.line(&line, sink);
        let (bad_lines, diagnostics) = self.faults.finish();
        match self.no_text {
            // What is no text has no lines either.
            Some(no_text) => Parsed { rules: 0, bad_lines: bad_lines.max(1), diagnostics: vec![no_text] },
            None => Parsed { rules: self.rules, bad_lines, diagnostics },
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = OPEN_MAX - self.open.len();
        self.open.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    fn line(&mut self, octets: &[u8], sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        self.number += 1;
        let octets = octets.strip_prefix(MARK).filter(|_rest| self.number == 1).unwrap_or(octets);
        let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
        match std::str::from_utf8(octets) {
            Ok(text) => self.text(text, sink),
            Err(error) => {
                let text = String::from_utf8_lossy(octets);
                // The end of a line that is too long is cut anywhere, and told as what it is.
                if self.strictness == Strictness::Strict && octets.len() <= LINE_MAX {
                    self.is_no_text(&text, error);
                }
                self.text(&text, sink);
            }
        }
    }

    fn text(&mut self, text: &str, sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        let mut line = Line { source: &self.name, number: self.number, text, pattern: 0..0 };
        match self.lines.rule(&mut line) {
            Ok(None) => (),
            Ok(Some(rule)) => {
                self.rules += 1;
                sink(&rule, &line);
            }
            Err(fault) => self.faults.add(&line, fault),
        }
    }

    fn is_no_text(&mut self, text: &str, error: Utf8Error) {
        if self.no_text.is_none() {
            let (name, at) = (Arc::clone(&self.name), error.valid_up_to());
            let message = "is not UTF-8 from here";
            self.no_text = Some(Diagnostic::on_line(Severity::Error, name, self.number, text, at..at + 1, message));
        }
    }
}
