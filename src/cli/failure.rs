//! Why a command did not do what it was asked, what to do next, and the exit code that says so.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crate::diag::{Diagnostic, shown};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What the operator wrote has mistakes; warnings may stand among them.
    #[error("what was written has mistakes")]
    Mistakes(Vec<Diagnostic>),
    /// The same, in the words of a running server.
    #[error("the server found mistakes")]
    MistakesTold(Vec<String>),
    /// The mistakes are told already, as output.
    #[error("mistakes were found")]
    MistakesShown,
    /// A flag or argument is wrong.
    #[error("{0}")]
    Usage(Usage),
    /// The server can't start, or something can't be reached.
    #[error("{what}")]
    Cannot {
        /// What could not be done, and why.
        what: String,
        /// What to do next; empty when `what` says it.
        next: String,
    },
    /// What is not well is told already, as output.
    #[error("not healthy")]
    Unhealthy,
    /// The output could not be written.
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
}

/// A wrong flag or argument, in clap's words.
#[derive(Debug)]
pub(super) struct Usage(pub(super) Box<clap::Error>);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.render())
    }
}

impl Failure {
    /// Something could not be reached or started; `next` is what to do.
    pub(super) fn cannot(what: impl fmt::Display, next: impl Into<String>) -> Self {
        Self::Cannot { what: what.to_string(), next: next.into() }
    }

    /// What was typed can't be meant, as only a look at other things shows.
    pub(super) fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(Usage(Box::new(clap::Error::raw(clap::error::ErrorKind::InvalidValue, format!("{why}\n")))))
    }

    /// 0 when only the reader of the output went away, else 1, 2 or 3 as `--help` says.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Mistakes(_) | Self::MistakesTold(_) | Self::MistakesShown => 1,
            Self::Usage(_) => 2,
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Self::Cannot { .. } | Self::Unhealthy | Self::Output(_) => 3,
        }
    }

    /// Writes what the operator needs to know.
    ///
    /// # Errors
    /// Those of `err`.
    pub(super) fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Mistakes(diagnostics) => {
                let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                tell_mistakes(&told, diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count(), err)
            }
            Self::MistakesTold(told) => tell_mistakes(told, told.len(), err),
            Self::MistakesShown | Self::Unhealthy => Ok(()),
            Self::Usage(usage) => write_lines(&[usage.to_string()], err),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Self::Output(_) => writeln!(err, "embargo: {self}"),
            Self::Cannot { what, next } => {
                writeln!(err, "embargo: {}", shown(what))?;
                if next.is_empty() { Ok(()) } else { writeln!(err, "  {}", shown(next)) }
            }
        }
    }
}

fn tell_mistakes(told: &[String], count: usize, err: &mut dyn Write) -> io::Result<()> {
    write_lines(told, err)?;
    let plural = if count == 1 { "mistake" } else { "mistakes" };
    writeln!(err, "{count} {plural}")
}

/// Writes messages of several lines each; whatever they quote can't steer the terminal.
pub(super) fn write_lines(messages: &[String], out: &mut dyn Write) -> io::Result<()> {
    for line in messages.iter().flat_map(|message| message.lines()) {
        writeln!(out, "{}", shown(line))?;
    }
    Ok(())
}
