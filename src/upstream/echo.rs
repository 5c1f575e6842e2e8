//! Finds out that an upstream leads back to this server, through however many others.
//!
//! An upstream that is silent or ill is asked for a name made up for it alone. If that name then comes here as a query,
//! whoever brings it has it from that upstream: a circle, in which every question would go round until somebody tires. Such
//! an upstream is not asked, until a name made up anew no longer comes back. Such names alone go on being forwarded, or two
//! servers of a circle would each take the other's refusal for its end.
//!
//! The names are in `example`, which nobody answers for by itself (RFC 6761 §6.5) and nobody owns. Guessing one, to have an
//! upstream passed over, takes 64 bits within two seconds.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::wire::{LowerName, Name};

/// Where the names end.
const SUFFIX: &[u8] = b"\x04loop\x07embargo\x07example\0";
/// Hexadecimal digits of their first label.
const DIGITS: usize = 16;

/// What is known about one upstream.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// The number that is listened for; 0, which no name holds: none.
    sought: AtomicU64,
    heard: AtomicBool,
    loops: AtomicBool,
}

impl Echo {
    /// Whether the upstream is known to lead back here.
    pub(super) fn loops(&self) -> bool {
        self.loops.load(Ordering::Relaxed)
    }

    /// Makes up a name to ask for, and listens for it from now on.
    pub(super) fn seek(&self) -> Name {
        let number: NonZeroU64 = rand::random();
        self.heard.store(false, Ordering::Relaxed);
        self.sought.store(number.get(), Ordering::Relaxed);
        let name = LowerName::parse(&format!("{number:016x}.loop.embargo.example"));
        Name::from(&name.unwrap_or(LowerName::ROOT))
    }

    /// Takes in that a number came as a query; says whether it is the one sought, and whether that is news.
    pub(super) fn hears(&self, number: NonZeroU64) -> Option<bool> {
        if number.get() != self.sought.load(Ordering::Relaxed) {
            return None;
        }
        self.heard.store(true, Ordering::Relaxed);
        Some(!self.loops.swap(true, Ordering::Relaxed))
    }

    /// The name has had its time; says whether it is news that it did not come back.
    pub(super) fn sought(&self) -> bool {
        self.sought.store(0, Ordering::Relaxed);
        !self.heard.load(Ordering::Relaxed) && self.loops.swap(false, Ordering::Relaxed)
    }
}

/// The number in a name on the wire, in lower case, if it is one of ours or of another server like this. Never 0: a client
/// could always ask for that one.
pub(super) fn number(name: &[u8]) -> Option<NonZeroU64> {
    let label = name.strip_suffix(SUFFIX)?;
    let (&size, digits) = label.split_first()?;
    if usize::from(size) != DIGITS || digits.len() != DIGITS {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().and_then(NonZeroU64::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_made_up_is_known_again_and_no_other_one() {
        let echo = Echo::default();
        let first = number(echo.seek().wire()).unwrap();
        let other = NonZeroU64::new(first.get() ^ 1).unwrap_or(NonZeroU64::MAX);
        assert_eq!((echo.hears(other), echo.loops()), (None, false));
        assert_eq!((echo.hears(first), echo.hears(first), echo.loops()), (Some(true), Some(false), true));
        assert!(!echo.sought() && echo.loops(), "it came back");

        let second = number(echo.seek().wire()).unwrap();
        assert_eq!((echo.hears(first), echo.loops()), (None, true));
        assert!(echo.sought() && !echo.loops(), "it did not come back");
        assert_eq!(echo.hears(second), None, "its time is over");
        assert!(!echo.sought());
    }

    #[test]
    fn other_names_hold_no_number() {
        for name in [
            "loop.embargo.example",
            "x.loop.embargo.example",
            "0123456789abcdeg.loop.embargo.example",
            "0000000000000000.loop.embargo.example",
            "example",
        ] {
            assert_eq!(number(Name::parse(name).unwrap().wire()), None, "{name}");
        }
        assert_eq!(number(Name::parse("00000000000000FF.loop.embargo.example").unwrap().wire()), NonZeroU64::new(255));
        assert_eq!(number(Name::parse("a.00000000000000ff.loop.embargo.example").unwrap().wire()), None);
        assert_eq!(number(&[]), None);
    }
}
