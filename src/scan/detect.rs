//! What format a log has, and what its head says of the rest.

use std::sync::Arc;

use super::binary::{MAGIC, NG_MAGIC, START, has_queries};
use super::format::Format;
use super::text::{Context, Fields, conn_columns, has_day_first, is_dated, is_unbound_query, zeek_columns};
use super::times::{Times, month_and_day};

/// Lines of the head that are looked at.
const LINES: usize = 500;

/// The format that a head tells by its first octets, or by whose rules most lines of this head are queries; `None`: none by any.
pub(super) fn format(head: &[u8], times: &Times, fields: &Arc<Fields>) -> Option<Format> {
    if let Some(format) = of_octets(head) {
        return Some(format);
    }
    let score = |format: &Format| {
        let context = Context { fields: Arc::clone(fields), ..Context::new(*format, times.clone()) };
        let context = about(head, context);
        lines(head).filter(|line| matches!(context.read(line), Ok(Some(_)))).count()
    };
    let scores = Format::ALL.into_iter().map(|format| (format, score(&format)));
    // The first of those that say the same of it.
    let best =
        scores.filter(|(_format, score)| *score > 0).reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(format, _score)| format)
}

/// The format of what has no lines.
fn of_octets(head: &[u8]) -> Option<Format> {
    match head.get(..4)? {
        magic if MAGIC.iter().any(|known| known == magic) => Some(Format::Pcap),
        magic if magic == NG_MAGIC => Some(Format::Pcapng),
        _ if head.starts_with(START) => Some(Format::Dnstap),
        _ => None,
    }
}

/// Whether there are responses and no queries.
fn only_replies(queries: impl Iterator<Item = bool>) -> bool {
    queries.fold(None, |any, query| Some(any.unwrap_or(false) || query)) == Some(false)
}

/// The context with what the head says of all lines.
pub(super) fn about(head: &[u8], mut context: Context) -> Context {
    context.times.begins = lines(head).find_map(month_and_day);
    match context.format {
        Format::Zeek => context.columns = lines(head).find_map(zeek_columns),
        Format::ZeekConn => context.columns = lines(head).find_map(conn_columns),
        Format::Windows => {
            context.times.day_first = day_first(head).unwrap_or(true);
        }
        Format::Unbound => context.replies = only_replies(lines(head).filter_map(is_unbound_query)),
        Format::Dnstap => context.replies = only_replies(has_queries(head).into_iter()),
        _ => (),
    }
    context
}

/// Whether the day or the month is first in dates of the form of a country; `None`: there are such dates, and none tells.
pub(super) fn day_first(head: &[u8]) -> Option<bool> {
    // Some lines are less than a second of a busy server: the more are looked at, the sooner one tells.
    let mut all = head.split(|&octet| octet == b'\n');
    let none = || head.split(|&octet| octet == b'\n').any(is_dated);
    all.find_map(has_day_first).or_else(|| (!none()).then_some(true))
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&octet| octet == b'\n').take(LINES).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
