//! Configurations of Unbound: `local-zone: "x" TYPE`, for a name and all below it, and `local-data` where it blocks.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::{Fault, Line, Out, by_address, hosts, plain};
use crate::policy::ban::{Action, Mode};
use crate::policy::pattern::{Pattern, PatternKind};
use crate::policy::rule::Does;

/// What is remembered from line to line: the last zone that answers everything from its own data.
#[derive(Default)]
pub(super) struct State {
    redirected: String,
    /// Its rule, until its first address is known.
    held: Option<Held>,
}

/// A rule and the line that it stands on.
struct Held {
    text: String,
    number: usize,
    span: Range<usize>,
    pattern: Pattern,
}

impl State {
    /// Gives the rule of the last zone, whose data says that it does this.
    fn give(&mut self, source: &Arc<str>, does: Option<Does>, out: &mut Out<'_>) {
        if let Some(Held { text, number, span, pattern }) = self.held.take() {
            let mut line = Line { source, number, text: &text, pattern: 0..0 };
            out.give(&mut line, span, pattern, does);
        }
    }

    /// Gives what is left at the end of the list. A zone without an address of its own blocks by what the ban does.
    pub(super) fn rest(&mut self, source: &Arc<str>, out: &mut Out<'_>) {
        self.give(source, None, out);
    }
}

/// The line's rule.
pub(super) fn read(state: &mut State, line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
    let text = line.text;
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty() && !rest.starts_with('#')) else {
        return Ok(());
    };
    let Some((key, _value)) = rest.split_once(':') else {
        return Err(Fault::new(start..text.len(), "not `option: value`"));
    };
    let at = start + key.len() + 1;
    match key {
        "server" => {
            word(text, at).map_or(Ok(()), |(span, _word)| Err(Fault::new(span, "nothing stands behind `server:`")))
        }
        "local-zone" => zone(state, line, at, out),
        "local-data" => data(state, line, at, out),
        _ => Err(Fault::new(start..at, "no rule about names: those are `local-zone:` and `local-data:`")),
    }
}

fn zone(state: &mut State, line: &mut Line<'_>, at: usize, out: &mut Out<'_>) -> Result<(), Fault> {
    let missing = || Fault::new(at..line.text.len(), "not `local-zone: \"name.example\" TYPE`");
    let (name_span, name) = word(line.text, at).ok_or_else(missing)?;
    let (type_span, kind) = word(line.text, behind(line.text, name_span.end)).ok_or_else(missing)?;
    if let Some((span, _more)) = word(line.text, behind(line.text, type_span.end)) {
        return Err(Fault::new(span, "nothing stands behind the type of a zone"));
    }
    let (allow, does) = meant(kind).ok_or_else(|| {
        Fault::new(
            type_span,
            "a type of zone that says nothing for us; known: always_nxdomain, static, refuse, deny, …",
        )
    })?;
    let pattern = plain(&name_span, name, PatternKind::Suffix, allow)?;
    state.rest(line.source, out);
    if does == Some(Does::Action(Action::Sinkhole)) {
        name.clone_into(&mut state.redirected);
        let (text, number) = (line.text.to_owned(), line.number);
        state.held = Some(Held { text, number, span: name_span, pattern });
    } else {
        out.give(line, name_span, pattern, does);
    }
    Ok(())
}

/// What a type of zone comes to: whether it allows, and by which action it blocks.
fn meant(kind: &str) -> Option<(bool, Option<Does>)> {
    let does = match kind {
        "always_nxdomain" | "static" => Does::Action(Action::Nxdomain),
        "always_nodata" => Does::Action(Action::Nodata),
        "refuse" | "always_refuse" => Does::Action(Action::Refuse),
        "deny" | "always_deny" | "inform_deny" => Does::Action(Action::Drop),
        // What it answers stands in lines of `local-data`: here the ban's own addresses take the place of any to go to.
        "redirect" | "inform_redirect" => Does::Action(Action::Sinkhole),
        "inform" => Does::Mode(Mode::Observe),
        // By null addresses: as every ban does in its way.
        "always_null" => return Some((false, None)),
        "transparent" | "typetransparent" | "always_transparent" | "nodefault" => return Some((true, None)),
        _ => return None,
    };
    Some((false, Some(does)))
}

fn data(state: &mut State, line: &mut Line<'_>, at: usize, out: &mut Out<'_>) -> Result<(), Fault> {
    let (span, record) =
        word(line.text, at).ok_or_else(|| Fault::new(at..line.text.len(), "not `local-data: \"RECORD\"`"))?;
    let is_time_or_class =
        |word: &&str| word.bytes().all(|octet| octet.is_ascii_digit()) || word.eq_ignore_ascii_case("IN");
    let mut words = record.split([' ', '\t']).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let mut words = words.skip_while(is_time_or_class);
    let (kind, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_address =
        (kind.eq_ignore_ascii_case("A") || kind.eq_ignore_ascii_case("AAAA")) && value.parse::<IpAddr>().is_ok();
    if is_address && name.trim_end_matches('.').eq_ignore_ascii_case(state.redirected.trim_end_matches('.')) {
        state.give(line.source, by_address(value), out);
        return Ok(());
    }
    if !is_address || hosts::is_nowhere(value) != Some(true) {
        return Err(Fault::new(span, "data of its own, no block; own records stand in `[local]`"));
    }
    let name_at = span.start + record.find(name).unwrap_or_default();
    let name_span = name_at..name_at + name.len();
    let pattern = plain(&name_span, name, PatternKind::Exact, false)?;
    state.rest(line.source, out);
    out.give(line, name_span, pattern, None);
    Ok(())
}

/// The next word at or after `at`, in quotes or not; its place is without them.
fn word(text: &str, at: usize) -> Option<(Range<usize>, &str)> {
    let rest = text.get(at..)?;
    let start = at + rest.find(|character| character != ' ' && character != '\t')?;
    let rest = text.get(start..)?;
    if rest.starts_with('#') {
        return None;
    }
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (start, word) = match quote {
        Some(quote) => (start + 1, rest.get(1..)?.split(quote).next()?),
        None => (start, rest.split([' ', '\t']).next()?),
    };
    Some((start..start + word.len(), word))
}

/// Where the next word may begin: behind a quote that ends the last one.
fn behind(text: &str, end: usize) -> usize {
    end + usize::from(text.get(end..).is_some_and(|rest| rest.starts_with(['"', '\''])))
}
