//! `embargo man`: the manual, one page for each command and one for the configuration, from the same texts as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::console::Console;
use super::failure::Failure;
use super::{Cli, EXIT_CODES};

/// The section of commands, and that of files.
const COMMANDS: &str = "1";
const FILES: &str = "5";
/// An argument of nothing: without the quotes the next one would be taken for the date.
const NO_DATE: &str = "\"\"";
/// What the pages belong to.
const SOURCE: &str = concat!("embargo ", env!("CARGO_PKG_VERSION"));
/// The configuration as it is shipped, every setting explained.
const SETTINGS: &str = include_str!("../../config/embargo.toml");

/// Write the manual pages to a directory
#[derive(Debug, Args)]
#[command(after_long_help = format!("{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Manual {
    /// An existing directory; pages of the same names in it are replaced
    directory: PathBuf,
}

const NOTES: &str = "\
One page for each command (embargo.1, embargo-lists-lint.1, ...) and embargo.toml.5 with every setting.

Example:
  mkdir -p ~/.local/share/man/man1 && embargo man ~/.local/share/man/man1 && man embargo-run";

impl Manual {
    /// Writes the pages.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let pages = pages()?;
        for (name, text) in &pages {
            let path = self.directory.join(name);
            fs::write(&path, text).map_err(|error| cannot(&path, &error))?;
        }
        Ok(writeln!(console.out, "wrote {} pages to {}", pages.len(), self.directory.display())?)
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::cannot(
        format!("can't write {}: {error}", path.display()),
        "name a directory that exists and can be written",
    )
}

/// Every page with its file name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    // `help` shows what these pages say.
    let mut root = Cli::command().disable_help_subcommand(true);
    // Commands below others get their whole names and what all share.
    root.build();
    let mut pages = Vec::new();
    add(&root, &mut pages)?;
    pages.push((format!("embargo.toml.{FILES}"), settings()?));
    Ok(pages)
}

/// The page of a command, and those of the commands below it.
fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    Man::new(command.clone()).section(COMMANDS).date(NO_DATE).source(SOURCE).manual("Embargo").render(&mut page)?;
    pages.push((format!("{name}.{COMMANDS}"), page));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, pages)?;
    }
    Ok(())
}

/// The page of the configuration: the shipped file, which explains every setting.
fn settings() -> io::Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control("TH", ["embargo.toml", FILES, NO_DATE, SOURCE, "Embargo"]);
    page.control("SH", ["NAME"]);
    page.text([roman("embargo.toml - configuration of the DNS server Embargo")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("Read from the file that "),
        bold("--config"),
        roman(
            " names, ./config/embargo.toml, /etc/embargo/embargo.toml, or what is shipped inside the program, in this ",
        ),
        roman("order. Below is what is shipped. "),
        bold("embargo check"),
        roman(" names every mistake in a file."),
    ]);
    page.control("SH", ["SETTINGS"]);
    page.control("nf", []);
    for line in SETTINGS.lines() {
        page.text([Inline::Roman(line.to_owned())]);
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("embargo"), roman("(1), "), bold("embargo-check"), roman("(1)")]);
    let mut written = Vec::new();
    page.to_writer(&mut written)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _text)| name.as_str()).collect();
        for expected in ["embargo.1", "embargo-run.1", "embargo-lists-lint.1", "embargo-exempt-add.1", "embargo.toml.5"]
        {
            assert!(names.contains(&expected), "{expected} is not among {names:?}");
        }
        let (_name, lint) = pages.iter().find(|(name, _text)| name == "embargo-lists-lint.1").unwrap();
        let lint = String::from_utf8_lossy(lint);
        assert!(
            lint.contains(concat!(".TH embargo-lists-lint 1 \"\" \"embargo ", env!("CARGO_PKG_VERSION"), "\" Embargo")),
            "{lint}"
        );
        assert!(lint.contains("Exit codes"), "{lint}");
    }

    #[test]
    fn the_page_of_settings_has_each_line_of_the_shipped_file() {
        let page = String::from_utf8(settings().unwrap()).unwrap();
        // A line that begins with a dot or an apostrophe would be taken for a request.
        let unescaped = page.replace("\\&", "").replace("\\-", "-").replace("\\*(Aq", "'").replace("\\\\", "\\");
        for line in SETTINGS.lines() {
            assert!(unescaped.lines().any(|shown| shown == line), "{line}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let ran = super::super::tests::run(&["man", "/nowhere/at/all"]);
        assert_eq!(ran.code, 3);
        assert!(ran.err.contains("/nowhere/at/all/embargo.1"), "{}", ran.err);
    }
}
