//! The list formats: text in, rules streamed to a sink, a diagnostic for each line that was not understood.
//!
//! Leaves reading files to `config` and storing rules to [`PolicyBuilder`](super::PolicyBuilder).

mod adblock;
mod detect;
mod dnsmasq;
mod domains;
mod hosts;
mod idn;
mod line;
mod out;
mod reader;
mod rpz;
mod rules;
mod sieve;
mod unbound;
mod weights;

use std::sync::Arc;

pub use self::detect::HEAD;
pub use self::line::{LINE_MAX, Line};
use self::out::{Fault, Out, ascii, by_address, default_evidence, is_at_or_below, listed, plain};
pub use self::reader::ListReader;
use self::weights::{Weights, rule_text, takes_back, weight};
use super::rule::Rule;
use crate::diag::{Diagnostic, Source};

/// The list formats. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListFormat {
    /// `PATTERN [CATEGORY [EVIDENCE [MODE-OR-ACTION]]]  # source`.
    Rules,
    /// One plain name a line.
    Domains,
    /// `0.0.0.0 name`, as in hosts files.
    Hosts,
    /// `||name^`, as in the lists of ad blockers.
    Adblock,
    /// `address=/name/`, as in the configuration of dnsmasq.
    Dnsmasq,
    /// `local-zone: "name" TYPE`, as in the configuration of Unbound.
    Unbound,
    /// A response policy zone as a zone file.
    Rpz,
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
    pub const ALL: [Self; 7] =
        [Self::Rules, Self::Domains, Self::Hosts, Self::Adblock, Self::Dnsmasq, Self::Unbound, Self::Rpz];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
            Self::Rpz => "rpz",
        }
    }

    /// The format that understands most lines of the beginning of a list; `None` if none understands any. [`HEAD`] octets are
    /// enough; where two understand as much, the one that says less is taken: names alone are [`ListFormat::Domains`].
    pub fn detect(head: &[u8]) -> Option<Self> {
        detect::detect(head)
    }

    /// Whether what a line comes to depends on lines behind it too: such a list is read for [`ListReader::foresee`] first.
    pub fn looks_ahead(self) -> bool {
        self == Self::Adblock
    }

    /// Gives every rule of the text to `sink`, in order. Never fails: what was not understood is in the result.
    /// A strict text with any bad line gives the sink nothing.
    pub fn parse(self, source: &Source, strictness: Strictness, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> Parsed {
        let whole = |sink: &mut dyn FnMut(&Rule, &Line<'_>)| {
            let mut reader = ListReader::new(self, Arc::clone(&source.name), strictness);
            reader.foresee(source.text.as_bytes());
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
}

/// Reads line after line of one format.
struct LineReader {
    format: Format,
    /// The last rule of a foreign format.
    last: Rule,
}

/// A format, with what it remembers from line to line.
enum Format {
    /// With the rule of the line before, of whose category lists are for many lines.
    Rules(Box<Rule>),
    Domains,
    Hosts,
    Adblock(Box<Weights>),
    Dnsmasq,
    Unbound(Box<unbound::State>),
    Rpz(Box<rpz::Zone>),
}

impl LineReader {
    fn new(format: ListFormat) -> Self {
        let format = match format {
            ListFormat::Rules => Format::Rules(Box::new(rules::first())),
            ListFormat::Domains => Format::Domains,
            ListFormat::Hosts => Format::Hosts,
            ListFormat::Adblock => Format::Adblock(Box::default()),
            ListFormat::Dnsmasq => Format::Dnsmasq,
            ListFormat::Unbound => Format::Unbound(Box::default()),
            ListFormat::Rpz => Format::Rpz(Box::default()),
        };
        Self { format, last: listed() }
    }

    /// Gives the line's rules, and returns their number. A fault, the first of the line, may come after some rules: they count.
    fn read(&mut self, line: &mut Line<'_>, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> (usize, Option<Fault>) {
        if line.text.len() > LINE_MAX {
            return (0, Some(Fault::new(0..1, format!("line is longer than {LINE_MAX} octets"))));
        }
        let mut out = Out::new(&mut self.last, sink);
        let read = match &mut self.format {
            Format::Rules(last) => rules::read(line, last, &mut out),
            Format::Domains => domains::read(line, &mut out),
            Format::Hosts => hosts::read(line, &mut out),
            Format::Adblock(weights) => return weighed(weights, line, &mut self.last, sink),
            Format::Dnsmasq => dnsmasq::read(line, &mut out),
            Format::Unbound(state) => unbound::read(state, line, &mut out),
            Format::Rpz(zone) => zone.read(line, &mut out),
        };
        (out.rules, read.err())
    }

    /// Takes a line of a list of which all lines have to be known beforehand.
    fn foresee(&mut self, text: &str) {
        let Format::Adblock(weights) = &mut self.format else { return };
        let back = takes_back(text).then(|| rule_text(text));
        let text = back.as_deref().unwrap_or(text);
        if text.len() > LINE_MAX {
            return;
        }
        let mut patterns = Vec::new();
        let mut sink = |rule: &Rule, _line: &Line<'_>| patterns.push(rule.pattern.clone());
        let source: &Arc<str> = &"".into();
        let mut line = Line { source, number: 0, text, pattern: 0..0 };
        // What is wrong with it is told when it is read.
        let read = adblock::read(&mut line, &mut Out::new(&mut self.last, &mut sink));
        match back {
            Some(_) if read.is_ok() => weights.take_back(text, &patterns),
            Some(_) => (),
            None => patterns.iter().for_each(|pattern| weights.add(pattern, text)),
        }
    }

    /// All lines have been seen.
    fn foreseen(&mut self) {
        if let Format::Adblock(weights) = &mut self.format {
            weights.settle();
        }
    }

    /// Gives the rules of lines that waited for more, and returns their number.
    fn rest(&mut self, source: &Arc<str>, sink: &mut dyn FnMut(&Rule, &Line<'_>)) -> usize {
        let mut out = Out::new(&mut self.last, sink);
        if let Format::Unbound(state) = &mut self.format {
            state.rest(source, &mut out);
        }
        out.rules
    }

    /// What the end of the list leaves open.
    fn finish(&self) -> Option<Unended> {
        match &self.format {
            Format::Rpz(zone) => zone.finish().map(Unended::LastLine),
            Format::Adblock(weights) => weights.unmet(),
            _ => None,
        }
    }
}

/// What is wrong that shows only at the end of a list.
enum Unended {
    /// Its last line.
    LastLine(Fault),
    /// A line before, by its number and its text.
    Line(usize, Box<str>, Fault),
}

/// Reads a line of an ad blocker's list, without the rules that heavier ones stand above.
fn weighed(
    weights: &mut Weights,
    line: &mut Line<'_>,
    last: &mut Rule,
    sink: &mut dyn FnMut(&Rule, &Line<'_>),
) -> (usize, Option<Fault>) {
    let weight = weight(line.text);
    if let Some(fault) = weights.fault(line.text, weight) {
        return (0, Some(fault));
    }
    // The line that takes another back is not the one that is met.
    if takes_back(line.text) {
        weights.stands(line);
    } else if weights.is_taken_back(line.text) {
        return (0, None);
    }
    let mut silent = 0;
    let mut heard = |rule: &Rule, line: &Line<'_>| {
        if weights.silence(&rule.pattern, weight) {
            silent += 1;
        } else {
            sink(rule, line);
        }
    };
    let mut out = Out::new(last, &mut heard);
    let read = adblock::read(line, &mut out);
    (out.rules - silent, read.err())
}

#[cfg(test)]
mod tests;
