//! Plain lists: one name a line, each for itself and all below it.

use super::rules::pattern;
use super::{Fault, Line, Out, ascii};
use crate::policy::pattern::PatternKind;

/// The line's rule.
pub(super) fn read(line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
    let mut columns = line.columns();
    let Some((span, word)) = columns.next() else {
        return Ok(());
    };
    line.pattern = span.clone();
    if let Some((span, _word)) = columns.next() {
        return Err(Fault::new(span, "more than one column; this format has one name a line"));
    }
    if out.host(line, &span, word, PatternKind::Suffix) {
        return Ok(());
    }
    let pattern = pattern(&span, &ascii(&span, word)?)?;
    if pattern.kind().is_network() {
        return Err(Fault::new(span, "no name; networks are rules of our own format"));
    }
    if pattern.kind() != PatternKind::Suffix || pattern.allow() {
        return Err(Fault::new(span, "not a plain name; this format has no `!`, `=` or `*`"));
    }
    out.give(line, span, pattern, None);
    Ok(())
}
