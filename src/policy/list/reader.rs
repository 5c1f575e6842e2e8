//! Reading a list piece by piece, as it comes from a file: a list of any size is never held as a whole.

use std::str::Utf8Error;
use std::sync::Arc;

use super::line::{Bounded, LINE_MAX, Line};
use super::sieve::Sieve;
use super::{Fault, LineReader, ListFormat, Parsed, Strictness, Unended};
use crate::diag::{Diagnostic, Severity};
use crate::policy::rule::Rule;
use crate::wire::LowerName;

/// The byte order mark that some editors put in front of a text.
const MARK: &[u8] = "\u{feff}".as_bytes();
/// What is said of a list that is none.
const PAGE: &str = "is a page in HTML or XML, no list";
/// What lines of such a page begin with, in any case, wherever it begins: a server may fail when half of a list is sent.
const PAGE_TAGS: [&[u8]; 7] = [b"<!doctype", b"<html", b"</html", b"<head", b"<body", b"</body", b"<?xml"];
/// Octets kept of a line that its piece does not end: one more than a line may have, and the mark and return beside it.
const OPEN_MAX: usize = LINE_MAX + 1 + MARK.len() + 1;

/// A list on its way from its octets to rules.
pub struct ListReader {
    name: Arc<str>,
    format: ListFormat,
    strictness: Strictness,
    lines: LineReader,
    faults: Bounded,
    /// The line that the last piece did not end, cut where it is too long anyway.
    open: Vec<u8>,
    /// Lines read.
    number: usize,
    rules: usize,
    /// Whether a line with something on it was met.
    begun: bool,
    /// Whether it was told that a line is not UTF-8.
    told: bool,
    /// Where the list is no list at all.
    no_list: Option<Diagnostic>,
    /// What tells the lines that may have a say about a name, where only they are wanted.
    sieve: Option<Sieve>,
    /// The line that the last piece foreseen did not end; `None`: nothing is foreseen, or all is.
    ahead: Option<Vec<u8>>,
}

impl ListReader {
    /// A reader of a list that messages call `name`. What comes of its lines before [`ListReader::finish`] is known to have
    /// none that is bad counts also in a strict list: whoever can't take rules back reads it twice.
    pub fn new(format: ListFormat, name: Arc<str>, strictness: Strictness) -> Self {
        let faults = Bounded::new(Arc::clone(&name), strictness);
        let lines = LineReader::new(format);
        let (open, number, rules) = (Vec::new(), 0, 0);
        Self {
            name,
            format,
            strictness,
            lines,
            faults,
            open,
            number,
            rules,
            begun: false,
            told: false,
            no_list: None,
            sieve: None,
            ahead: None,
        }
    }

    /// Takes the next octets, cut anywhere, of a list that is read all through beforehand, if its format
    /// [looks ahead](ListFormat::looks_ahead): nothing is given for them.
    pub fn foresee(&mut self, octets: &[u8]) {
        if !self.format.looks_ahead() {
            return;
        }
        let mut open = self.ahead.take().unwrap_or_default();
        let end = memchr::memchr(b'\n', octets);
        let (first, rest) = octets.split_at(end.map_or(octets.len(), |end| end + 1));
        let room = OPEN_MAX - open.len();
        open.extend_from_slice(first.get(..room).unwrap_or(first));
        if end.is_some() {
            self.foresee_line(&open);
            open.clear();
            let whole = memchr::memrchr(b'\n', rest).map_or(0, |end| end + 1);
            let (lines, last) = rest.split_at(whole);
            self.foresee_lines(lines);
            open.extend_from_slice(last.get(..OPEN_MAX).unwrap_or(last));
        }
        self.ahead = Some(open);
    }

    /// Nearly all lines block a name, and have no weight.
    fn foresee_lines(&mut self, lines: &[u8]) {
        let mut at = 0;
        while let Some(mark) = memchr::memchr2(b'@', b'$', lines.get(at..).unwrap_or_default()) {
            let (passed, rest) = lines.get(at..).unwrap_or_default().split_at(mark);
            let start = at + memchr::memrchr(b'\n', passed).map_or(0, |end| end + 1);
            let end = at + mark + memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            self.foresee_line(lines.get(start..end).unwrap_or_default());
            at = end;
        }
    }

    fn foresee_line(&mut self, octets: &[u8]) {
        // A mark at the beginning of the list stands before what is none.
        let octets = octets.strip_prefix(MARK).unwrap_or(octets);
        self.lines.foresee(String::from_utf8_lossy(octets).trim_end_matches(['\n', '\r']));
    }

    fn end_foresight(&mut self) {
        if let Some(open) = self.ahead.take() {
            self.foresee_line(&open);
            self.lines.foreseen();
        }
    }

    /// From here on passes over lines that have no say about a name, where the format lets that be told without reading them: what
    /// is at it, above it or below it is read, and whatever is not for one name. Lines passed over are counted, and that is all.
    pub fn about(&mut self, name: &LowerName) {
        // What is no list at all is told from its beginning.
        if self.begun {
            self.sieve = Sieve::new(self.format, name);
        }
    }

    /// Reads the next octets, cut anywhere, and gives the rules of the lines that end in them to `sink`, in order.
    pub fn read(&mut self, octets: &[u8], sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        self.end_foresight();
        let Some(sieve) = self.sieve.take() else { return self.read_all(octets, sink) };
        // The line that is open is read whatever it is.
        let first =
            if self.open.is_empty() { 0 } else { memchr::memchr(b'\n', octets).map_or(octets.len(), |end| end + 1) };
        let (open, rest) = octets.split_at(first);
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |end| end + 1);
        let (lines, last) = rest.split_at(whole);
        self.read_all(open, sink);
        self.sift(&sieve, lines, sink);
        self.read_all(last, sink);
        self.sieve = Some(sieve);
    }

    /// Reads those of whole lines that may have a say.
    fn sift(&mut self, sieve: &Sieve, lines: &[u8], sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        if sieve.is_odd(lines) {
            for line in lines.split_inclusive(|octet| *octet == b'\n') {
                if sieve.is_odd(line) || sieve.find(line, 0).is_some() {
                    self.read_all(line, sink);
                } else {
                    self.number += 1;
                }
            }
            return;
        }
        let mut at = 0;
        while let Some(place) = sieve.find(lines, at) {
            let (passed, end) = (
                lines.get(at..place).unwrap_or_default(),
                memchr::memchr(b'\n', lines.get(place..).unwrap_or_default()),
            );
            let start = at + memchr::memrchr(b'\n', passed).map_or(0, |end| end + 1);
            let end = end.map_or(lines.len(), |end| place + end + 1);
            self.number += memchr::memchr_iter(b'\n', passed).count();
            self.read_all(lines.get(start..end).unwrap_or_default(), sink);
            at = end;
        }
        self.number += memchr::memchr_iter(b'\n', lines.get(at..).unwrap_or_default()).count();
    }

    fn read_all(&mut self, octets: &[u8], sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
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
        if self.no_list.is_none() {
            self.rules += self.lines.rest(&self.name, sink);
        }
        // Of lines that were passed over nobody knows.
        match self.lines.finish().filter(|_unended| self.sieve.is_none()) {
            Some(Unended::LastLine(fault)) => {
                let line = Line { source: &self.name, number: self.number, text: "", pattern: 0..0 };
                self.faults.add(&line, fault, false);
            }
            Some(Unended::Line(number, text, fault)) => {
                let line = Line { source: &self.name, number, text: &text, pattern: 0..0 };
                self.faults.add_whole(&line, fault);
            }
            None => (),
        }
        let (bad_lines, diagnostics) = self.faults.finish();
        match self.no_list {
            // What is no text has no lines to be told of either.
            Some(no_list) => Parsed { rules: self.rules, bad_lines: bad_lines.max(1), diagnostics: vec![no_list] },
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
        if !self.begun {
            self.begin(octets);
        }
        if is_of_page(octets) {
            self.is_no_list(&String::from_utf8_lossy(octets), 0, PAGE);
        }
        // A zero octet is in no text, and what follows it in a file that is none could be taken for rules.
        if self.format != ListFormat::Rules {
            if let Some(at) = octets.iter().position(|octet| *octet == 0) {
                self.is_no_list(&String::from_utf8_lossy(octets), at, "holds a zero octet here: it is no text");
            }
            if self.no_list.is_some() {
                return;
            }
        }
        match std::str::from_utf8(octets) {
            Ok(text) => self.text(text, None, sink),
            Err(error) => {
                let text = String::from_utf8_lossy(octets);
                // The end of a line that is too long is cut anywhere, and told as what it is.
                let broken = (octets.len() <= LINE_MAX).then_some(error);
                if let (Strictness::Strict, Some(error)) = (self.strictness, broken) {
                    self.is_no_list(&text, error.valid_up_to(), "is not UTF-8 from here");
                }
                self.text(&text, broken, sink);
            }
        }
    }

    /// The first line that is not blank: a server that is asked for a list may have sent a page.
    fn begin(&mut self, octets: &[u8]) {
        let words = octets.trim_ascii_start();
        self.begun = !words.is_empty();
        if words.starts_with(b"<") {
            self.is_no_list(&String::from_utf8_lossy(octets), 0, PAGE);
        }
    }

    /// Reads a line; `broken`: it was not UTF-8 as it came.
    fn text(&mut self, text: &str, broken: Option<Utf8Error>, sink: &mut dyn FnMut(&Rule, &Line<'_>)) {
        let mut line = Line { source: &self.name, number: self.number, text, pattern: 0..0 };
        let (rules, fault) = self.lines.read(&mut line, sink);
        self.rules += rules;
        match (fault, broken) {
            (None, _) => (),
            (Some(fault), None) => self.faults.add(&line, fault, rules > 0),
            // Once: in a file of another encoding it is every line.
            (Some(_fault), Some(_error)) if self.told => self.faults.add_untold(),
            (Some(_fault), Some(error)) => {
                self.told = true;
                let at = error.valid_up_to();
                self.faults.add(&line, Fault::new(at..at + 1, "is not UTF-8 from here"), rules > 0);
            }
        }
    }

    fn is_no_list(&mut self, text: &str, at: usize, message: &str) {
        if self.no_list.is_none() {
            let name = Arc::clone(&self.name);
            self.no_list = Some(Diagnostic::on_line(Severity::Error, name, self.number, text, at..at + 1, message));
        }
    }
}

fn is_of_page(octets: &[u8]) -> bool {
    let words = octets.trim_ascii_start();
    let begins = |tag: &&[u8]| words.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    words.first() == Some(&b'<') && PAGE_TAGS.iter().any(begins)
}
