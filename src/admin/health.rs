//! `/livez`: the process runs. `/readyz`: it answers DNS as it should; `?verbose` tells check by check.
//!
//! The text is that of Kubernetes' own endpoints, so that people and scripts who know those know these.

use std::fmt::Write as _;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::Room;
use crate::diag::shown;

/// Whether the server should be given queries, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it should: 200 or 503.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A word for it, stable.
    pub name: &'static str,
    /// How it is.
    pub state: CheckState,
    /// What an operator should know; may be empty.
    pub note: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Good.
    Ok,
    /// An operator should look, but queries are answered: a store that can't be written.
    Warning,
    /// The reason, or one of them, for not being ready.
    Failed,
}

impl CheckState {
    /// The mark in front of a line and the word after the name.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => ("[+]", "ok"),
            Self::Warning => ("[!]", "warning"),
            Self::Failed => ("[-]", "failed"),
        }
    }
}

impl Check {
    /// A check that found all well.
    pub fn ok(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, state: CheckState::Ok, note: note.into() }
    }

    /// A check that found something to look at.
    pub fn warning(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, state: CheckState::Warning, note: note.into() }
    }

    /// A check that found the server not ready.
    pub fn failed(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, state: CheckState::Failed, note: note.into() }
    }
}

impl Readiness {
    /// Ready unless one of the checks failed.
    pub fn of(checks: Vec<Check>) -> Self {
        Self { ready: !checks.iter().any(|check| check.state == CheckState::Failed), checks }
    }

    /// Every check a line, and the whole.
    fn verbose(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let (mark, word) = check.state.words();
            let note = if check.note.is_empty() { String::new() } else { format!(": {}", shown(&check.note)) };
            // Writing to a String can't fail.
            let _infallible = writeln!(text, "{mark}{} {word}{note}", check.name);
        }
        text.push_str(if self.ready { "readyz check passed\n" } else { "readyz check failed\n" });
        text
    }
}

/// Answers as long as the runtime does: whoever restarts the process on failure must not do so for a full disk.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// 200 or 503; a 503 always says why.
pub(super) async fn ready(State(room): State<Room>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let Some(readiness) = room.run(|desk| (desk.readiness)()).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the checks could not be made\n".to_owned());
    };
    if !readiness.ready {
        return (StatusCode::SERVICE_UNAVAILABLE, readiness.verbose());
    }
    let text = if wants_verbose(query.as_deref()) { readiness.verbose() } else { "ok\n".to_owned() };
    (StatusCode::OK, text)
}

/// Whether the query string has the key `verbose`, with or without a value.
fn wants_verbose(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("verbose"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_one_line_whatever_its_note_holds() {
        let readiness = Readiness::of(vec![
            Check::ok("policy", ""),
            Check::warning("store", "disk full\nsecond line"),
            Check::failed("listen", "no address"),
        ]);
        insta::assert_snapshot!(readiness.verbose(), @r"
        [+]policy ok
        [!]store warning: disk full\nsecond line
        [-]listen failed: no address
        readyz check failed
        ");
    }

    #[test]
    fn verbose_is_a_key_of_the_query_string() {
        for (query, expected) in [
            (None, false),
            (Some(""), false),
            (Some("verbose"), true),
            (Some("verbose=1"), true),
            (Some("a=b&verbose="), true),
            (Some("verbosely"), false),
            (Some("a=verbose"), false),
        ] {
            assert_eq!(wants_verbose(query), expected, "{query:?}");
        }
    }
}
