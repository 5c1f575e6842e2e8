//! What format a log has, and what its head says of the rest.

use super::format::Format;
use super::text::{Context, zeek_columns};
use super::times::{Times, month_and_day};

/// Lines of the head that are looked at.
const LINES: usize = 500;

/// The format by whose rules most lines of this head are queries; `None`: none by any.
pub(super) fn format(head: &[u8], times: &Times) -> Option<Format> {
    let score = |format: &Format| {
        let context = about(head, Context::new(*format, times.clone()));
        lines(head).filter(|line| matches!(context.read(line), Ok(Some(_)))).count()
    };
    let scores = Format::ALL.into_iter().map(|format| (format, score(&format)));
    // The first of those that say the same of it.
    let best =
        scores.filter(|(_format, score)| *score > 0).reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(format, _score)| format)
}

/// The context with what the head says of all lines.
pub(super) fn about(head: &[u8], mut context: Context) -> Context {
    context.times.begins = lines(head).find_map(month_and_day);
    if context.columns.is_none() {
        context.columns = lines(head).find_map(zeek_columns);
    }
    context
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&octet| octet == b'\n').take(LINES).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
