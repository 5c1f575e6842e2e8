//! What a command is given: where to write, how it may look, what time it is.

use std::io::{self, IsTerminal, Write};

use clap::builder::StyledStr;
use serde::Serialize;

use crate::config::Environment;
use crate::time::Timestamp;

/// Where a command writes, and what it is given by its surroundings.
pub(super) struct Console<'w> {
    /// Standard output.
    pub(super) out: &'w mut dyn Write,
    /// Standard error.
    pub(super) err: &'w mut dyn Write,
    /// How output may look.
    pub(super) look: Look,
    /// The moment at which the command began.
    pub(super) now: Timestamp,
    /// Where files are looked for.
    pub(super) environment: Environment,
}

/// How output may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether colours may be used.
    pub(super) colour: bool,
    /// Columns of the terminal; `None`: lines may be of any length.
    pub(super) width: Option<u16>,
}

/// The few colours there are, by what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be, or let through.
    Good,
    /// To look at.
    Warn,
    /// Blocked, or broken.
    Bad,
}

impl Look {
    /// That of standard output: plain when it is piped or dumb, and without colours under `NO_COLOR` (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { colour: terminal && !no_colour, width: terminal.then(|| comfy_table::Table::new().width()).flatten() }
    }

    /// The text in bold colour, if colours may be used.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Warn => 33,
            Tone::Bad => 31,
        };
        if self.colour { format!("\u{1b}[1;{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// clap's text, with its colours if colours may be used.
    pub(super) fn styled(self, text: &StyledStr) -> String {
        if self.colour { text.ansi().to_string() } else { text.to_string() }
    }
}

impl Console<'_> {
    /// Writes one compact JSON document and a newline.
    ///
    /// # Errors
    /// Those of the output.
    pub(super) fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, document)?;
        writeln!(self.out)
    }
}
