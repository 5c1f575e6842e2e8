//! The text that is written, and what could not be said in it.

use std::fmt::Arguments;
use std::io::{self, Write};

use super::Exported;

/// What could not be said, one by one, at most; the text has all of it.
const SHOWN_MAX: usize = 20;

/// The text of an export.
pub(super) struct Page<'w> {
    out: &'w mut dyn Write,
    comment: &'static str,
    exported: Exported,
}

impl<'w> Page<'w> {
    pub(super) fn new(out: &'w mut dyn Write, comment: &'static str) -> Self {
        Self { out, comment, exported: Exported::default() }
    }

    /// Counts a name of which something is said.
    pub(super) fn count(&mut self) {
        self.exported.names += 1;
    }

    /// Writes a line.
    pub(super) fn line(&mut self, text: Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes a comment.
    pub(super) fn comment(&mut self, text: Arguments<'_>) -> io::Result<()> {
        writeln!(self.out, "{} {text}", self.comment)
    }

    /// Writes what the format can't say.
    pub(super) fn unsaid(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.exported.unsaid += 1;
        if self.exported.shown.len() < SHOWN_MAX {
            self.exported.shown.push(text.to_string());
        }
        writeln!(self.out, "{} Not said here: {text}", self.comment)
    }

    /// What was written.
    pub(super) fn finish(self) -> io::Result<Exported> {
        self.out.flush()?;
        Ok(self.exported)
    }
}
