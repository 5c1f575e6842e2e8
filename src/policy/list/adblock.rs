//! Filter lists of ad blockers, as far as they are about names: `||x^` blocks a name and all below it, `@@||x^` allows,
//! `|x^` and a plain name are for that name alone.
//!
//! An exception stands above every block there, see [`Weights`](super::Weights). What is about pages and URLs is no business of
//! DNS and is diagnosed, line by line.

use std::net::IpAddr;
use std::ops::Range;

use super::weights::BADFILTER;
use super::{Fault, Line, Out, by_address, hosts, is_at_or_below, plain};
use crate::policy::ban::Action;
use crate::policy::pattern::{Pattern, PatternKind};
use crate::policy::rule::Does;

/// What begins a rule about the elements of a page.
const COSMETIC: [&str; 8] = ["##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "$$"];

/// A rule's head, with the names that it is not for.
struct Written<'t> {
    allow: bool,
    does: Option<Does>,
    /// It takes back another line, see `Weights`.
    takes_back: bool,
    except: Option<(Range<usize>, &'t str)>,
}

/// The line's rules.
pub(super) fn read(line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
    let text = line.text.trim_matches([' ', '\t']);
    let start = line.text.len() - line.text.trim_start_matches([' ', '\t']).len();
    // Nearly every line of nearly every list.
    if let Some(host) = text.strip_prefix("||").and_then(|host| host.strip_suffix('^'))
        && out.host(line, &(start + 2..start + 2 + host.len()), host, PatternKind::Suffix)
    {
        return Ok(());
    }
    if text.is_empty() || text.starts_with('!') || (text.starts_with('[') && text.ends_with(']')) {
        return Ok(());
    }
    if is_comment(text) {
        return Ok(());
    }
    if text.contains(['#', '$']) && COSMETIC.iter().any(|mark| text.contains(mark)) {
        return Err(Fault::new(start..start + text.len(), "about the elements of a page; DNS sees names only"));
    }
    // These lists may have lines of hosts files among them.
    if text.contains([' ', '\t']) && !text.contains(['|', '$']) {
        return hosts::read(line, out);
    }
    rule(line, start, text, out)
}

/// Whether a line is for people: `# so`, `#so`, a ruler, but not `##.ad`, which is about all pages.
fn is_comment(text: &str) -> bool {
    let words = text.trim_start_matches('#');
    let is_marked = words.len() < text.len();
    let is_apart = words.is_empty() || words.starts_with([' ', '\t']);
    is_marked && (is_apart || !COSMETIC.iter().any(|mark| text.starts_with(mark)))
}

fn rule(line: &mut Line<'_>, start: usize, text: &str, out: &mut Out<'_>) -> Result<(), Fault> {
    let (allow, rest) = text.strip_prefix("@@").map_or((false, text), |rest| (true, rest));
    let (body, modifiers) = rest.split_once('$').unwrap_or((rest, ""));
    let body_at = start + text.len() - rest.len();
    let mut written = Written { allow, does: None, takes_back: false, except: None };
    let mut at = body_at + body.len() + 1;
    for modifier in modifiers.split(',').filter(|_modifier| !modifiers.is_empty()) {
        written.modify(at..at + modifier.len(), modifier)?;
        at += modifier.len() + 1;
    }
    let (span, pattern) = pattern(body_at, body, allow)?;
    // All of them before the rule is given: without one it would be for names that it is not for.
    let exceptions = written.exceptions(&pattern)?;
    if written.takes_back {
        return Ok(());
    }
    out.give(line, span, pattern, written.does);
    for (span, exception) in exceptions {
        out.give(line, span, exception, None);
    }
    Ok(())
}

/// The pattern of a rule without its modifiers, and where its name stands.
fn pattern(at: usize, body: &str, allow: bool) -> Result<(Range<usize>, Pattern), Fault> {
    let whole = at..at + body.len();
    let (kind, rest) = match (body.strip_prefix("||"), body.strip_prefix('|')) {
        (Some(rest), _) => (PatternKind::Suffix, rest),
        (None, Some(rest)) => (PatternKind::Exact, rest),
        (None, None) => (PatternKind::Exact, body),
    };
    let (kind, name) = rest.strip_prefix("*.").map_or((kind, rest), |name| (PatternKind::Below, name));
    let ended = name.strip_suffix('|').unwrap_or(name);
    let ended = ended.strip_suffix('^').unwrap_or(ended);
    let span = at + body.len() - name.len();
    let span = span..span + ended.len();
    if ended.contains(['/', ':', '?', '&', '=', '%']) {
        return Err(Fault::new(whole, "about URLs; DNS sees names only"));
    }
    if body.starts_with('|') && ended.len() == name.len() {
        return Err(Fault::new(
            whole,
            "without a `^` at its end it is for longer names too, which no rule here can say",
        ));
    }
    if let Some(star) = ended.find('*') {
        let star = span.start + star;
        return Err(Fault::new(star..star + 1, "`*` stands for several labels here, which no rule can say"));
    }
    Ok((span.clone(), plain(&span, ended, kind, allow)?))
}

impl<'t> Written<'t> {
    /// Where the names stand that a rule with this pattern is not for, and the patterns that except them.
    fn exceptions(&self, pattern: &Pattern) -> Result<Vec<(Range<usize>, Pattern)>, Fault> {
        let Some((except, names)) = &self.except else { return Ok(Vec::new()) };
        let mut at = except.start;
        let mut exceptions = Vec::new();
        for name in names.split('|') {
            let span = at..at + name.len();
            at = span.end + 1;
            let exception = plain(&span, name, PatternKind::Suffix, true)?;
            // Other names the rule is not for anyway.
            if is_at_or_below(&exception, pattern) {
                exceptions.push((span, exception));
            }
        }
        Ok(exceptions)
    }

    fn modify(&mut self, span: Range<usize>, modifier: &'t str) -> Result<(), Fault> {
        let (key, value) = modifier.split_once('=').unwrap_or((modifier, ""));
        let value_span = span.end - value.len()..span.end;
        let message = match key {
            // See `Weights`.
            "important" => return Ok(()),
            BADFILTER if value.is_empty() => {
                self.takes_back = true;
                return Ok(());
            }
            "denyallow" if self.except.is_some() => "stands twice; write the names behind one, with `|` between them",
            "denyallow" if !self.allow && !value.is_empty() => {
                self.except = Some((value_span, value));
                return Ok(());
            }
            "dnsrewrite" if !self.allow => {
                self.does = rewrite(value, span)?;
                return Ok(());
            }
            "denyallow" => "of a block only, and with the names that it is not for",
            "dnsrewrite" => "it takes back another line's answer, which stays in force; change that line instead",
            "client" | "ctag" => "for some clients only, which a list can't say here",
            "dnstype" => "for some types only; a rule is for all types",
            _ => "a modifier that has no meaning for DNS",
        };
        Err(Fault::new(span, message))
    }
}

/// What a rewritten answer comes to.
fn rewrite(value: &str, span: Range<usize>) -> Result<Option<Does>, Fault> {
    let mut parts = value.split(';');
    let mut next = || parts.next().unwrap_or_default();
    let (first, second, third) = (next(), next(), next());
    let address = match (first, second) {
        ("NXDOMAIN", _) => return Ok(Some(Does::Action(Action::Nxdomain))),
        ("REFUSED", _) => return Ok(Some(Does::Action(Action::Refuse))),
        ("NOERROR", "") => return Ok(Some(Does::Action(Action::Nodata))),
        ("NOERROR", "A" | "AAAA") => third,
        _ => first,
    };
    if address.parse::<IpAddr>().is_ok() {
        return Ok(by_address(address));
    }
    Err(Fault::new(span, "an answer that no action gives: NXDOMAIN, REFUSED, NOERROR and addresses are known"))
}
