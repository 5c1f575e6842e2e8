//! `embargo lists lint`: every line of a list that is not understood, and every rule that would not be taken, stands twice,
//! contradicts another one, or is covered by one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::EXIT_CODES;
use super::super::check::DiagnosticRow;
use super::super::console::Console;
use super::super::failure::{Failure, write_lines};
use super::super::flags::one_of;
use crate::config::{ListRead, Origin, ReadError, Reading, read_list, survey_list};
use crate::diag::{Diagnostic, Severity};
use crate::policy::{GlobRoom, Line, ListFormat, Overlap, Overlaps, Strictness};

/// Check list files by themselves: every line that is not understood, and every rule that is too much
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Lint {
    /// The lists
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Their format; by default the first lines of each tell
    #[arg(long, value_name = "FORMAT", value_parser = one_of(ListFormat::ALL, ListFormat::as_str))]
    format: Option<ListFormat>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
}

const JSON_HELP: &str = "One JSON object of {ok, files}; a file is {file, format, detected, rules, bad_lines, refused, \
                         duplicates, contradictions, covered, bytes, diagnostics}, a diagnostic {severity, file, line, column, message}";

const EXAMPLES: &str = "\
Examples:
  embargo lists lint names.txt
  embargo lists lint *.txt --json | jq '.files[].diagnostics[]'";

const NOTES: &str = "\
Any diagnostic is exit code 1. Beside lines that are not understood these are rules that no ban can enforce (public suffixes), \
that stand twice, that contradict another one, and that a broader one covers. Of a file the first 100 lines that are not \
understood and the first 20 rules of each kind are shown; all are counted. Of more than 24 million rules the rest is not \
compared.";

/// Rules of one kind that are shown.
const SHOWN: usize = 20;

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Linted {
    ok: bool,
    files: Vec<FileRow>,
}

#[derive(Debug, Default, Serialize)]
struct FileRow {
    file: String,
    format: Option<&'static str>,
    detected: bool,
    rules: usize,
    bad_lines: usize,
    /// Rules that no ban can enforce.
    refused: usize,
    /// Rules that stand twice.
    duplicates: usize,
    /// Rules that contradict another one.
    contradictions: usize,
    /// Rules that a broader one covers.
    covered: usize,
    bytes: u64,
    diagnostics: Vec<DiagnosticRow>,
}

impl Lint {
    /// Reads every file, then tells everything.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let reading = Reading { format: self.format, strictness: Strictness::Lenient };
        let mut linted = Linted { ok: true, files: Vec::new() };
        for path in &self.files {
            let (row, diagnostics) = lint(path, reading);
            linted.ok &= diagnostics.is_empty();
            if !self.json {
                let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                write_lines(&told, console.err)?;
                write_lines(&[row.sentence()], console.out)?;
            }
            linted.files.push(row);
        }
        if self.json {
            console.json(&linted)?;
        }
        if linted.ok { Ok(()) } else { Err(Failure::MistakesShown) }
    }
}

fn lint(path: &Path, reading: Reading) -> (FileRow, Vec<Diagnostic>) {
    let origin = Origin::File(path.to_path_buf());
    let file = origin.name();
    let mut found = Found::default();
    let (mut row, diagnostics) = match found.read(&origin, reading) {
        Err(error) => {
            let whole = Diagnostic::whole(Severity::Error, file.as_str(), error.to_string());
            (FileRow { file, ..FileRow::default() }, vec![whole])
        }
        Ok(read) => {
            let row = FileRow {
                format: Some(read.format.as_str()),
                detected: read.detected,
                rules: read.parsed.rules,
                bad_lines: read.parsed.bad_lines,
                refused: found.refused.count,
                duplicates: found.duplicates.count,
                contradictions: found.contradictions.count,
                covered: found.covered.count,
                bytes: read.bytes,
                file: file.clone(),
                diagnostics: Vec::new(),
            };
            let mut diagnostics = read.parsed.diagnostics;
            if row.rules == 0 && row.bad_lines == 0 {
                diagnostics.push(Diagnostic::whole(Severity::Error, file.as_str(), "holds no rule"));
            }
            diagnostics.extend(found.finish(&file));
            (row, diagnostics)
        }
    };
    row.diagnostics = diagnostics.iter().map(DiagnosticRow::new).collect();
    (row, diagnostics)
}

/// Rules of one kind: the first with their places, all by number.
#[derive(Default)]
struct Kind {
    shown: Vec<Diagnostic>,
    count: usize,
}

/// What is wrong with rules that were understood.
#[derive(Default)]
struct Found {
    refused: Kind,
    duplicates: Kind,
    contradictions: Kind,
    covered: Kind,
    left_out: u64,
    /// Lines of a zone with an address: a name has one for each address, of either family.
    addresses: Vec<usize>,
}

impl Kind {
    fn add(&mut self, line: &Line<'_>, message: &impl ToString) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(line.warning(message.to_string()));
        }
    }

    fn finish(self, file: &str, what: &str) -> impl Iterator<Item = Diagnostic> {
        let more = self.count - self.shown.len();
        let more = (more > 0).then(|| format!("{more} more rules {what}"));
        self.shown.into_iter().chain(more.map(|more| Diagnostic::whole(Severity::Warning, file, more)))
    }
}

impl Found {
    /// Reads the list three times, so that it need not be held: for its format and length, for its rules, and for those that a
    /// broader rule covers, which may stand behind them.
    fn read(&mut self, origin: &Origin, reading: Reading) -> Result<ListRead, ReadError> {
        let (format, lines) = survey_list(origin, reading)?;
        let (detected, reading) = (reading.format.is_none(), Reading { format: Some(format), ..reading });
        let (mut overlaps, mut room) = (Overlaps::new(rand::random(), lines), GlobRoom::default());
        let read = read_list(origin, reading, &mut |rule, line| {
            if format == ListFormat::Rpz && is_address_record(line.text) {
                self.addresses.push(line.number);
            }
            match rule.refused().or_else(|| room.refuse(&rule.pattern)) {
                Some(refused) => {
                    overlaps.pass_over();
                    self.refused.add(line, &refused);
                }
                None => overlaps.add(rule, line.number),
            }
        })?;
        if !read.parsed.diagnostics.iter().any(Diagnostic::is_error) {
            read_list(origin, reading, &mut |rule, line| {
                if let Some(overlap) = overlaps.judge(rule, line.number) {
                    self.overlap(&overlap, line, format);
                }
            })?;
        }
        self.left_out = overlaps.left_out();
        Ok(ListRead { detected, ..read })
    }

    fn overlap(&mut self, overlap: &Overlap, line: &Line<'_>, format: ListFormat) {
        match overlap {
            // One line for each family of addresses is how hosts files are written.
            Overlap::Duplicate { .. } if format == ListFormat::Hosts && line.text.contains(':') => (),
            Overlap::Duplicate { line: other } | Overlap::Otherwise { line: other }
                if [line.number, *other].iter().all(|number| self.addresses.binary_search(number).is_ok()) => {}
            Overlap::Duplicate { .. } => self.duplicates.add(line, overlap),
            Overlap::Opposite { .. } | Overlap::Otherwise { .. } => self.contradictions.add(line, overlap),
            Overlap::Covered { .. } => self.covered.add(line, overlap),
        }
    }

    fn finish(self, file: &str) -> Vec<Diagnostic> {
        let kinds = [
            (self.refused, "that no ban can enforce"),
            (self.contradictions, "that contradict another one"),
            (self.duplicates, "that stand already"),
            (self.covered, "that a broader one covers"),
        ];
        let told = kinds.into_iter().flat_map(|(kind, what)| kind.finish(file, what));
        let left_out = format!("{} rules were not compared with the others: they are too many", self.left_out);
        let left_out = (self.left_out > 0).then(|| Diagnostic::whole(Severity::Warning, file, left_out));
        told.chain(left_out).collect()
    }
}

/// Whether a line of a zone file is a record of an address.
fn is_address_record(text: &str) -> bool {
    let mut words = text.split([' ', '\t']).skip(1);
    words.any(|word| word.eq_ignore_ascii_case("A") || word.eq_ignore_ascii_case("AAAA"))
}

impl FileRow {
    fn sentence(&self) -> String {
        let Some(format) = self.format else { return format!("{}: not read", self.file) };
        let detected = if self.detected { ", as its first lines tell" } else { "" };
        let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let (rules, bad) = (count(self.rules, "rule"), count(self.bad_lines, "line"));
        let too_much = [
            (self.refused, "refused"),
            (self.duplicates, "twice"),
            (self.contradictions, "contradicted"),
            (self.covered, "covered"),
        ];
        let too_much: Vec<_> = too_much.iter().filter(|(count, _)| *count > 0).collect();
        let too_much: Vec<_> = too_much.iter().map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{}: {format}{detected}; {rules}{}, {bad} not understood", self.file, too_much.concat())
    }
}
