//! `embargo lists lint`: every line of a list that is not understood, and every rule that would not be taken.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::EXIT_CODES;
use super::super::check::DiagnosticRow;
use super::super::console::Console;
use super::super::failure::{Failure, write_lines};
use super::super::flags::one_of;
use crate::config::{Origin, ReadError, Reading, read_list};
use crate::diag::{Diagnostic, Severity};
use crate::policy::{ListFormat, Strictness};

/// Check list files by themselves: every line that is not understood
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

const JSON_HELP: &str = "One JSON object of {ok, files}; a file is {file, format, detected, rules, bad_lines, bytes, \
                         diagnostics}, a diagnostic {severity, file, line, column, message}";

const EXAMPLES: &str = "\
Examples:
  embargo lists lint names.txt
  embargo lists lint *.txt --json | jq '.files[].diagnostics[]'";

const NOTES: &str = "\
Any diagnostic is exit code 1. The first 100 of a file are shown and all are counted.";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Linted {
    ok: bool,
    files: Vec<FileRow>,
}

#[derive(Debug, Serialize)]
struct FileRow {
    file: String,
    format: Option<&'static str>,
    detected: bool,
    rules: usize,
    bad_lines: usize,
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

fn lint(path: &std::path::Path, reading: Reading) -> (FileRow, Vec<Diagnostic>) {
    let origin = Origin::File(path.to_path_buf());
    let file = origin.name();
    let read = read_list(&origin, reading, &mut |_rule, _line| ());
    let whole = |message: String| Diagnostic::whole(Severity::Error, file.as_str(), message);
    let (mut row, diagnostics) = match read {
        Err(error) => (FileRow::unread(&file, &error), vec![whole(error.to_string())]),
        Ok(read) => {
            let (rules, bad_lines) = (read.parsed.rules, read.parsed.bad_lines);
            let mut diagnostics = read.parsed.diagnostics;
            if rules == 0 && bad_lines == 0 {
                diagnostics.push(whole("holds no rule".to_owned()));
            }
            let (format, detected, bytes) = (Some(read.format.as_str()), read.detected, read.bytes);
            let row = FileRow { file, format, detected, rules, bad_lines, bytes, diagnostics: Vec::new() };
            (row, diagnostics)
        }
    };
    row.diagnostics = diagnostics.iter().map(DiagnosticRow::new).collect();
    (row, diagnostics)
}

impl FileRow {
    fn unread(file: &str, _error: &ReadError) -> Self {
        let file = file.to_owned();
        Self { file, format: None, detected: false, rules: 0, bad_lines: 0, bytes: 0, diagnostics: Vec::new() }
    }

    fn sentence(&self) -> String {
        let Some(format) = self.format else { return format!("{}: not read", self.file) };
        let detected = if self.detected { ", as its first lines tell" } else { "" };
        let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let (rules, bad) = (count(self.rules, "rule"), count(self.bad_lines, "line"));
        format!("{}: {format}{detected}; {rules}, {bad} not understood", self.file)
    }
}
