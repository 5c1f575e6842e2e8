//! Which format a list is in, by reading its beginning in every one.

use std::sync::Arc;

use super::{Line, LineReader, ListFormat};
use crate::policy::rule::Rule;

/// Octets of a list that tell its format.
pub const HEAD: usize = 64 << 10;
/// Lines that are no comment in any format, at most; more would tell no more.
const LINES_MAX: usize = 500;
/// What begins a comment, whatever the format.
const COMMENTS: [&str; 3] = ["#", ";", "! "];

/// The formats in the order in which they are tried: of two that understand as much, the one that says less.
const TRIED: [ListFormat; 7] = [
    ListFormat::Domains,
    ListFormat::Hosts,
    ListFormat::Rpz,
    ListFormat::Unbound,
    ListFormat::Dnsmasq,
    ListFormat::Adblock,
    ListFormat::Rules,
];

pub(super) fn detect(head: &[u8]) -> Option<ListFormat> {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    let text = String::from_utf8_lossy(head.get(..HEAD).unwrap_or(head));
    let mut best = None;
    for format in TRIED {
        let score = score(format, &text);
        if score.0 > 0 && best.is_none_or(|(_format, other)| score > other) {
            best = Some((format, score));
        }
    }
    best.map(|(format, _score)| format)
}

/// How well a format understands a text: lines with rules, then the fewer that have faults the better.
fn score(format: ListFormat, text: &str) -> (usize, std::cmp::Reverse<usize>) {
    let mut reader = LineReader::new(format);
    let (mut good, mut bad) = (0, 0);
    let source: Arc<str> = "".into();
    // The same lines for every format: one that passes over what another takes for a rule understands less.
    let lines = text.split('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).enumerate();
    let says = |(_index, text): &(usize, &str)| {
        let text = text.trim_start();
        !text.is_empty() && !COMMENTS.iter().any(|comment| text.starts_with(comment))
    };
    for (index, text) in lines.filter(says).take(LINES_MAX) {
        let mut line = Line { source: &source, number: index + 1, text, pattern: 0..0 };
        let mut ignore = |_rule: &Rule, _line: &Line<'_>| ();
        match reader.read(&mut line, &mut ignore) {
            (0, None) => (),
            (0, Some(_fault)) => bad += 1,
            (_rules, _fault) => good += 1,
        }
    }
    good += reader.rest(&source, &mut |_rule, _line| ());
    (good, std::cmp::Reverse(bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, format: Option<ListFormat>) {
        assert_eq!(detect(text.as_bytes()), format, "{text:?}");
    }

    #[test]
    fn each_format_is_told_by_its_lines() {
        use ListFormat as Format;
        check("# names\na.example\nb.example\n", Some(Format::Domains));
        check("\u{feff}a.example\r\nb.example\r\n", Some(Format::Domains));
        check("127.0.0.1 localhost\n::1 localhost\n0.0.0.0 a.example b.example\n", Some(Format::Hosts));
        check(
            "[Adblock Plus 2.0]\n! Title: x\n!a\n||a.example^\n@@||b.example^\nc.example##.ad\n",
            Some(Format::Adblock),
        );
        check("# x\naddress=/a.example/\nserver=/b.example/#\n", Some(Format::Dnsmasq));
        check("server:\n  local-zone: \"a.example\" always_nxdomain\n", Some(Format::Unbound));
        check("$TTL 30\n@ SOA a. b. 1 2 3 4 5\n NS a.\na.example CNAME .\n*.a.example CNAME .\n", Some(Format::Rpz));
        check("a.example update installed\n!b.example\n=c.example\n", Some(Format::Rules));
        // Of a long list too.
        let names = (0..2 * LINES_MAX).map(|number| format!("n{number}.example\n")).collect::<Vec<_>>().concat();
        check(&names, Some(Format::Domains));
        check(&format!("!b.example\n{names}"), Some(Format::Rules));
        check(&format!("! Title: x\n||b.example^\n{names}"), Some(Format::Adblock));
        check("<!DOCTYPE html>\n<html><body>404 not found</body></html>\n", None);
        check("", None);
        check("# nothing\n\n", None);
    }
}
