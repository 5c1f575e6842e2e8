//! Hosts files: an address that leads nowhere, then names, each for itself alone.

use std::net::IpAddr;

use super::{Fault, Line, Out, plain};
use crate::policy::pattern::PatternKind;

/// Names that hosts files begin with; they block nothing.
const USUAL: [&str; 12] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
];
/// More of them, which are rarer.
const RARE: [&str; 4] = ["ip6-allhosts", "localhost6.localdomain6", "localhost4.localdomain4", "0.0.0.0"];

/// The line's rules: of a line with a bad name the others count.
pub(super) fn read(line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
    let mut columns = line.columns();
    let Some((address, word)) = columns.next() else {
        return Ok(());
    };
    let leads_nowhere = is_nowhere(word);
    let mut first_fault = None;
    let mut names = 0;
    for (span, name) in columns {
        names += 1;
        if is_usual(name) {
            continue;
        }
        if leads_nowhere != Some(true) {
            return Err(Fault::new(address, no_block(leads_nowhere)));
        }
        if out.host(line, &span, name, PatternKind::Exact) {
            continue;
        }
        match plain(&span, name, PatternKind::Exact, false) {
            Ok(pattern) => out.give(line, span, pattern, None),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    if names == 0 {
        let message = if leads_nowhere.is_some() { "no name behind the address" } else { no_block(None) };
        return Err(Fault::new(address, message));
    }
    first_fault.map_or(Ok(()), Err)
}

fn no_block(leads_nowhere: Option<bool>) -> &'static str {
    match leads_nowhere {
        None => "a line begins with an address: `0.0.0.0 name.example`",
        Some(_elsewhere) => "an address to go to, no block: only 0.0.0.0, ::, 127.0.0.1 and ::1 are",
    }
}

/// Whether nobody can be reached at the address; `None`: it is none.
pub(super) fn is_nowhere(word: &str) -> Option<bool> {
    // Nearly every line of nearly every list.
    if word == "0.0.0.0" || word == "127.0.0.1" {
        return Some(true);
    }
    let address = word.parse::<IpAddr>().ok()?.to_canonical();
    Some(address.is_unspecified() || address.is_loopback())
}

fn is_usual(name: &str) -> bool {
    // Their first letters keep nearly every other name from being compared.
    name.starts_with(['l', 'L', 'b', 'B', 'i', 'I', '0'])
        && USUAL.iter().chain(&RARE).any(|usual| usual.eq_ignore_ascii_case(name))
}
