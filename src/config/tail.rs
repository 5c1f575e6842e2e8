//! How a list ends: a last line without an end may be half of one, of a file that was cut or is still being written.

use std::sync::Arc;

use crate::diag::{Diagnostic, Severity};

/// Octets kept of the last line: more than a rule has.
const KEPT_MAX: usize = 4096;

/// The end of a list that comes piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Octets of the whole list.
    pub bytes: u64,
    /// Ends of lines.
    lines: usize,
    /// What stands behind the last of them, cut where it is long.
    open: Vec<u8>,
}

impl Tail {
    /// That of a whole text.
    pub fn of(text: &[u8]) -> Self {
        let mut tail = Self::default();
        tail.add(text);
        tail
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let ends = memchr::memchr_iter(b'\n', piece).count();
        self.lines += ends;
        let last = memchr::memrchr(b'\n', piece).map_or(piece, |end| piece.get(end + 1..).unwrap_or_default());
        if ends > 0 {
            self.open.clear();
        }
        let room = KEPT_MAX - self.open.len();
        self.open.extend_from_slice(last.get(..room).unwrap_or(last));
    }

    /// Whether the last line has an end. Blanks behind it are nothing that could be half of a rule.
    pub fn is_ended(&self) -> bool {
        self.open.trim_ascii().is_empty()
    }

    /// A message about the last line.
    pub fn at(&self, severity: Severity, source: &Arc<str>, message: impl Into<String>) -> Diagnostic {
        let text = String::from_utf8_lossy(&self.open);
        let span = text.len() - text.trim_start().len()..text.trim_end().len();
        Diagnostic::on_line(severity, Arc::clone(source), self.lines + 1, &text, span, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: Option<&str>) {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.add(piece.as_bytes());
        }
        assert_eq!(tail.bytes, pieces.concat().len() as u64);
        let told = tail.at(Severity::Warning, &"names.txt".into(), "is open").to_string();
        let told = told.lines().next().unwrap().to_owned();
        assert_eq!((!tail.is_ended()).then_some(&*told), expected, "{pieces:?}");
    }

    #[test]
    fn a_last_line_without_an_end_is_found_wherever_the_pieces_are_cut() {
        check(&[], None);
        check(&["a.example\n"], None);
        check(&["a.example\n", "b.exa", "mple\n"], None);
        check(&["a.example\r\n", "  \t"], None);
        check(&["a.exa"], Some("names.txt:1:1: warning: is open"));
        check(&["a.example\nb.", "exa"], Some("names.txt:2:1: warning: is open"));
        check(&["a.example\n", "\n", "  b.exa"], Some("names.txt:3:3: warning: is open"));
        check(&["a.example\n", &"b".repeat(10_000)], Some("names.txt:2:1: warning: is open"));
    }
}
