//! What is said of a list's rules that are not taken, one by one or all of them.

use std::sync::Arc;

use crate::diag::{Diagnostic, Severity};
use crate::policy::{Action, Ban, Does, Line, Parsed, Rule};

/// Rules of one list named one by one when they were refused.
const REFUSED_SHOWN: usize = 20;

/// Whether a rule answers with addresses that its ban does not have.
pub(super) fn needs_addresses(rule: &Rule, ban: &Ban) -> bool {
    rule.does == Some(Does::Action(Action::Sinkhole)) && ban.sinkhole_v4.is_empty() && ban.sinkhole_v6.is_empty()
}

/// What to say of such a rule.
pub(super) fn no_addresses(line: &Line<'_>, ban: &Ban) -> Diagnostic {
    let message = format!("`sinkhole` needs addresses; write sinkhole = [\"192.0.2.1\"] for the ban `{}`", ban.id);
    Diagnostic { severity: Severity::Error, ..line.warning(message) }
}

/// What to say of such rules of a list of others, where the ban's own action stands in.
pub(super) fn unaddressed_note(name: &Arc<str>, ban: &Ban, count: usize) -> Option<Diagnostic> {
    let message = format!(
        "{count} rules answer with addresses of a sinkhole; the ban `{}` has none (`sinkhole = [\"192.0.2.1\"]`) and does \
         as with its other names",
        ban.id
    );
    (count > 0).then(|| Diagnostic::whole(Severity::Warning, Arc::clone(name), message))
}

/// A list without a rule is a mistake: more often cut off while it was written than meant.
pub(super) fn unusable(name: &Arc<str>, parsed: &Parsed) -> Option<Diagnostic> {
    let message = match (parsed.rules, parsed.bad_lines) {
        (0, 0) => "holds no rule",
        (0, _) if parsed.diagnostics.iter().all(|diagnostic| !diagnostic.is_error()) => {
            "no line was understood; is its format the right one?"
        }
        _ => return None,
    };
    Some(Diagnostic::whole(Severity::Error, Arc::clone(name), message))
}

/// A list of which no rule can ban anything: were it taken, the ban would be empty.
pub(super) fn bans_nothing(name: &Arc<str>) -> Diagnostic {
    let message = "none of its rules bans anything: they are refused, exceptions, or off";
    Diagnostic::whole(Severity::Error, Arc::clone(name), message)
}

/// Rules that the table did not take: the first are named, the rest counted.
#[derive(Default)]
pub(super) struct Refused {
    shown: Vec<Diagnostic>,
    count: usize,
}

impl Refused {
    pub(super) fn add(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        self.count += 1;
        if self.shown.len() < REFUSED_SHOWN {
            self.shown.push(diagnostic());
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn finish(mut self, name: &Arc<str>) -> Vec<Diagnostic> {
        let more = self.count - self.shown.len();
        if more > 0 {
            let message = format!("{more} more rules were left out");
            self.shown.push(Diagnostic::whole(Severity::Warning, Arc::clone(name), message));
        }
        self.shown
    }
}
