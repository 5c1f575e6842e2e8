//! Configurations of dnsmasq: `address=/x/` and its relatives, each for a name and all below it.

use std::ops::Range;

use super::{Fault, Line, Out, by_address, plain};
use crate::policy::ban::Action;
use crate::policy::pattern::PatternKind;
use crate::policy::rule::Does;

/// The line's rules: of a line with a bad name the others count.
pub(super) fn read(line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
    let mut columns = line.columns();
    let Some((span, word)) = columns.next() else {
        return Ok(());
    };
    if let Some((span, _word)) = columns.next() {
        return Err(Fault::new(span, "more than one word; a comment begins with ` #`"));
    }
    let option = word.strip_prefix("--").unwrap_or(word);
    let (key, value) = option.split_once('=').unwrap_or((option, ""));
    if !matches!(key, "address" | "server" | "local") {
        return Err(Fault::new(span, "no rule about names: those are `address=`, `server=` and `local=`"));
    }
    let Some((names, target)) = value.strip_prefix('/').and_then(|value| value.rsplit_once('/')) else {
        return Err(Fault::new(span, format!("not for some names: `{key}=/name.example/`")));
    };
    let target_span = span.end - target.len()..span.end;
    let (allow, does) = meant(key, target, &target_span)?;
    let mut at = span.end - target.len() - 1 - names.len();
    let mut first_fault = None;
    for name in names.split('/') {
        let span = at..at + name.len();
        at = span.end + 1;
        match read_name(line, span, name, (allow, does), out) {
            Ok(()) => (),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    first_fault.map_or(Ok(()), Err)
}

fn read_name(
    line: &mut Line<'_>,
    span: Range<usize>,
    name: &str,
    (allow, does): (bool, Option<Does>),
    out: &mut Out<'_>,
) -> Result<(), Fault> {
    if name.is_empty() || name == "#" {
        return Err(Fault::new(span, "for every name, or for every name of one label; no rule can say that"));
    }
    let (kind, name) = match (name.strip_prefix("*."), name.strip_prefix('.')) {
        (Some(name), _) => (PatternKind::Below, name),
        (None, rest) => (PatternKind::Suffix, rest.unwrap_or(name)),
    };
    let span = span.end - name.len()..span.end;
    let pattern = plain(&span, name, kind, allow)?;
    out.give(line, span, pattern, does);
    Ok(())
}

/// What is done with the names: whether they are allowed, and by which action they are blocked.
fn meant(key: &str, target: &str, span: &Range<usize>) -> Result<(bool, Option<Does>), Fault> {
    let nxdomain = Some(Does::Action(Action::Nxdomain));
    match (key, target) {
        (_, "") => Ok((false, nxdomain)),
        ("address", "#") => Ok((false, None)),
        ("address", address) if super::hosts::is_nowhere(address).is_some() => Ok((false, by_address(address))),
        ("address", _) => Err(Fault::new(span.clone(), "neither an address nor `#`")),
        // The servers that all other names are asked of.
        (_, "#") => Ok((true, None)),
        _ => Err(Fault::new(span.clone(), "sends questions elsewhere, no block; zones are forwarded by `[[forward]]`")),
    }
}
