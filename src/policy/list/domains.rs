//! Plain lists: one name a line, each for itself and all below it.

use std::sync::Arc;

use super::rules::pattern;
use super::{Fault, Line};
use crate::policy::ban::Evidence;
use crate::policy::pattern::PatternKind;
use crate::policy::rule::{LISTED, Rule};

/// The line's rule. `category` is the one of the line before, to share it.
pub(super) fn read(line: &mut Line<'_>, category: &mut Arc<str>) -> Result<Option<Rule>, Fault> {
    let mut columns = line.columns();
    let Some((span, word)) = columns.next() else {
        return Ok(None);
    };
    line.pattern = span.clone();
    if let Some((span, _word)) = columns.next() {
        return Err(Fault { span, message: "more than one column; this format has one name a line".to_owned() });
    }
    let pattern = pattern(&span, word)?;
    if pattern.kind() != PatternKind::Suffix || pattern.allow() {
        return Err(Fault { span, message: "not a plain name; this format has no `!`, `=` or `*`".to_owned() });
    }
    if **category != *LISTED {
        *category = LISTED.into();
    }
    Ok(Some(Rule { pattern, category: Arc::clone(category), evidence: Evidence::Ambiguous, does: None }))
}
