//! One list by itself, as the command line reads it: the format that is told or found, rules to a sink, mistakes.

use std::path::Path;
use std::sync::Arc;

use super::at::At;
use super::ban::Declared;
use super::disk::{Origin, ReadError};
use super::policy::LIST_MAX;
use super::refused::{Refused, bans_nothing, unusable};
use super::settings::Reading;
use crate::diag::{Diagnostic, Severity, Source};
use crate::digest::Digest;
use crate::policy::{
    Does, HEAD, Line, ListFormat, ListIndex, ListInfo, ListReader, Mode, Parsed, Policy, PolicyBuilder, Rule,
};
use crate::priority::make_way;

/// Rules read before whoever waits for the processor may have it: some hundred microseconds of work.
const RULES_AT_ONCE: u64 = 512;

/// What became of a list.
#[derive(Debug)]
pub struct ListRead {
    /// Its format.
    pub format: ListFormat,
    /// Whether its first lines have told it.
    pub detected: bool,
    /// Octets read.
    pub bytes: u64,
    /// Rules and mistakes.
    pub parsed: Parsed,
}

/// Reads a list once, whatever its size. Of a strict list rules come before its mistakes are known.
///
/// # Errors
/// [`ReadError`] when it can't be read.
pub fn read_list(
    origin: &Origin,
    reading: Reading,
    sink: &mut dyn FnMut(&Rule, &Line<'_>),
) -> Result<ListRead, ReadError> {
    let format = reading.format.map_or_else(|| detect(origin), Ok)?;
    let mut reader = ListReader::new(format, origin.name().into(), reading.strictness);
    foresee(origin, &mut reader, format)?;
    let mut bytes = 0;
    origin.read_pieces(LIST_MAX, |piece| {
        bytes += piece.len() as u64;
        reader.read(piece, sink);
        Ok(())
    })?;
    Ok(ListRead { format, detected: reading.format.is_none(), bytes, parsed: reader.finish(sink) })
}

/// Reads a list beforehand, if its format asks for that.
pub(super) fn foresee(origin: &Origin, reader: &mut ListReader, format: ListFormat) -> Result<(), ReadError> {
    if !format.looks_ahead() {
        return Ok(());
    }
    origin.read_pieces(LIST_MAX, |piece| {
        reader.foresee(piece);
        Ok(())
    })
}

/// What a list that came from elsewhere is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Names and networks that it bans. What stands twice, is refused, excepts or is off is none of them: a list must not come to
    /// nothing in silence.
    pub banned: u64,
    /// Lines that were not understood.
    pub bad_lines: u64,
    /// Its format.
    pub format: ListFormat,
}

/// Judges a list that came from elsewhere; messages call it `name`.
///
/// # Errors
/// Why it is no list that may be kept: what is wrong with a strict one, or that there is no rule in it that bans.
pub fn judge_list(path: &Path, name: String, reading: Reading) -> Result<Judged, Vec<Diagnostic>> {
    let (origin, name): (_, Arc<str>) = (Origin::File(path.to_path_buf()), name.into());
    let unread = |error: ReadError| vec![Diagnostic::whole(Severity::Error, Arc::clone(&name), error.to_string())];
    let format = reading.format.map_or_else(|| detect(&origin), Ok).map_err(unread)?;
    let mut reader = ListReader::new(format, Arc::clone(&name), reading.strictness);
    let (mut builder, list) = alone(&name, format)?;
    let (mut read_rules, mut banning) = (0_u64, 0_u64);
    let mut count = |rule: &Rule, _line: &Line<'_>| {
        read_rules += 1;
        if read_rules.is_multiple_of(RULES_AT_ONCE) {
            make_way();
        }
        // What is sunk elsewhere is banned by what the ban does.
        let rule = Rule { does: rule.does.filter(|does| *does == Does::Mode(Mode::Off)), ..rule.clone() };
        banning += u64::from(builder.rule(list, &rule).is_ok() && rule.bans());
    };
    let foreseen = foresee(&origin, &mut reader, format);
    let read = foreseen.and_then(|()| {
        origin.read_pieces(LIST_MAX, |piece| {
            reader.read(piece, &mut count);
            Ok(())
        })
    });
    read.map_err(unread)?;
    let parsed = reader.finish(&mut count);
    let (unusable, bad_lines) = (unusable(&name, &parsed), parsed.bad_lines as u64);
    let mistakes: Vec<Diagnostic> =
        parsed.diagnostics.into_iter().filter(Diagnostic::is_error).chain(unusable).collect();
    let (policy, _conflicts) = builder.build(0);
    let twice = policy.lists().first().map_or(0, |list| list.bans_twice);
    match (mistakes.is_empty(), banning.saturating_sub(twice)) {
        (false, _) => Err(mistakes),
        (true, 0) => Err(vec![bans_nothing(&name)]),
        (true, banned) => Ok(Judged { banned, bad_lines, format }),
    }
}

/// The SHA-256 of a file, in hexadecimal; `None` when it can't be read.
pub fn file_digest(path: &Path) -> Option<String> {
    let mut digest = Digest::new();
    let read = Origin::File(path.to_path_buf()).read_pieces(LIST_MAX, |piece| {
        digest.add(piece);
        Ok(())
    });
    read.ok().map(|()| digest.finish())
}

/// The format of a list, told or found, and how many lines it has.
///
/// # Errors
/// [`ReadError`] when it can't be read.
pub fn survey_list(origin: &Origin, reading: Reading) -> Result<(ListFormat, usize), ReadError> {
    let format = reading.format.map_or_else(|| detect(origin), Ok)?;
    let mut lines = 1;
    origin.read_pieces(LIST_MAX, |piece| {
        lines += piece.iter().map(|octet| usize::from(*octet == b'\n')).sum::<usize>();
        Ok(())
    })?;
    Ok((format, lines))
}

/// The policy of a ban that is this list alone and always enforces, with what is wrong with the list; `None` when it can't be
/// read or is no list.
pub fn list_policy(path: &Path, reading: Reading) -> (Option<Policy>, Vec<Diagnostic>) {
    let origin = Origin::File(path.to_path_buf());
    let name: Arc<str> = origin.name().into();
    let unread = |error: ReadError| vec![Diagnostic::whole(Severity::Error, Arc::clone(&name), error.to_string())];
    let format = reading.format.map_or_else(|| detect(&origin), Ok).map_err(unread);
    let (mut builder, list) = match format.and_then(|format| alone(&name, format)) {
        Ok(alone) => alone,
        Err(diagnostics) => return (None, diagnostics),
    };
    let mut diagnostics = Vec::new();
    let mut refused = Refused::default();
    let read = read_list(&origin, reading, &mut |rule, line| {
        if let Err(error) = builder.rule(list, rule) {
            refused.add(|| line.warning(error.to_string()));
        }
    });
    match read {
        Ok(read) => {
            diagnostics.extend(read.parsed.diagnostics);
            diagnostics.extend(refused.finish(&name));
        }
        Err(error) => diagnostics.extend(unread(error)),
    }
    let (policy, conflicts) = builder.build(0);
    diagnostics.extend(conflicts);
    let policy = Some(policy).filter(|_policy| !diagnostics.iter().any(Diagnostic::is_error));
    (policy, diagnostics)
}

/// A ban that always enforces, with one list, which messages call `name`.
fn alone(name: &Arc<str>, format: ListFormat) -> Result<(PolicyBuilder, ListIndex), Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let place = At::new((), &Source::new(Arc::clone(name), ""), 0..0);
    let ban =
        Declared::of_list("list".into(), "list", place).into_ban(None, &[], &mut diagnostics).ok_or(diagnostics)?;
    let mut builder = PolicyBuilder::new(rand::random(), Vec::new());
    let ban = builder.ban(ban);
    let list = builder.list(ListInfo::new(Arc::clone(name), ban, format, ""));
    Ok((builder, list))
}

/// The format that a list's first lines tell; names alone if they tell none.
pub(super) fn detect(origin: &Origin) -> Result<ListFormat, ReadError> {
    let head = origin.head(HEAD, LIST_MAX)?;
    Ok(ListFormat::detect(&head).unwrap_or(ListFormat::Domains))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListFile, Settings, policy};
    use crate::policy::Strictness;

    const READING: Reading = Reading { format: None, strictness: Strictness::Lenient };

    /// How many names the list bans, or the first thing that is wrong with it.
    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.txt");
        std::fs::write(&path, text).unwrap();
        let judged = judge_list(&path, "list.txt".to_owned(), READING);
        let judged = judged.map(|judged| judged.banned).map_err(|mistakes| mistakes[0].to_string());
        assert_eq!(judged.as_ref().map_err(String::as_str).copied(), expected, "{text:?}");
        // The operator's own file is held to the same.
        let list = ListFile::new(At::new(path.clone(), &Source::new("t", ""), 0..0), READING);
        let settings = Settings { lists: vec![list], ..Settings::default() };
        let good = policy(&settings, 1).policy.is_some();
        let only_refused = judged.is_err() && !text.contains('!');
        assert_eq!(good, !only_refused, "{text:?}");
    }

    const NOTHING: Result<u64, &str> =
        Err("list.txt: none of its rules bans anything: they are refused, exceptions, or off");

    #[test]
    fn what_a_list_bans_is_counted_and_one_that_bans_nothing_is_none() {
        check("a.example\nb.example\n", Ok(2));
        check("a.example\na.example\ncom\nb.example\n", Ok(2));
        check("Access denied\n", NOTHING);
        check("com\n", NOTHING);
        check("com\nnet\norg\n", NOTHING);
        check("!a.example ok ambiguous\n!b.example\n", NOTHING);
        check("a.example\n!b.example\n!b.example\n!b.example\n", Ok(1));
    }
}
