//! What validation begins with, and where it is not done.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use hickory_resolver::proto::dnssec::TrustAnchors;

use crate::time::Timestamp;
use crate::wire::{LowerName, Name};

/// Keys that are trusted from the beginning.
#[derive(Clone, Default)]
pub struct Anchors {
    keys: Arc<TrustAnchors>,
    /// What they were read from; empty for those of the root.
    text: Arc<str>,
}

/// Why a text gives no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// A line is no DNSKEY record.
    #[error("no DNSKEY record: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line is a key of another zone than the root.
    #[error("the key of `{zone}`; only keys of the root can be anchors, everything else follows from them")]
    NotRoot {
        /// Its number, from 1.
        line: usize,
        /// The zone.
        zone: String,
    },
    /// There is no key in it.
    #[error("no DNSKEY record; write one a line, as `dig . DNSKEY +noall +answer` prints them")]
    Empty,
}

impl AnchorError {
    /// The line that is to blame, from 1, if it is one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } | Self::NotRoot { line, .. } => Some(*line),
            Self::Empty => None,
        }
    }
}

impl Anchors {
    /// Those of a text: one DNSKEY record a line, `;` begins a comment. They take the place of the root's own.
    ///
    /// # Errors
    /// [`AnchorError`] naming the first line that is no key.
    pub fn from_text(text: &str) -> Result<Self, AnchorError> {
        let mut keys = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let record = line.split(';').next().unwrap_or_default();
            if record.trim().is_empty() {
                continue;
            }
            // Alone, so that a mistake has its line.
            let key = TrustAnchors::from_str(&format!("{record}\n"))
                .map_err(|error| AnchorError::Line { line: number, reason: error.to_string() })?;
            // hickory would look for a key of another zone in its parent all the same, and find the chain broken.
            if key.is_empty() {
                let zone = record.split_whitespace().next().unwrap_or_default().to_owned();
                return Err(AnchorError::NotRoot { line: number, zone });
            }
            keys += 1;
        }
        let all = TrustAnchors::from_str(text).ok().filter(|_all| keys > 0);
        all.map(|all| Self { keys: Arc::new(all), text: text.into() }).ok_or(AnchorError::Empty)
    }

    pub(super) fn keys(&self) -> Arc<TrustAnchors> {
        Arc::clone(&self.keys)
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({} of the root)", self.keys.len())
    }
}

impl PartialEq for Anchors {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A name below which nothing is validated: a private zone that nobody signs, or one that is broken for now, a negative
/// trust anchor (RFC 7646).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempt {
    /// The name; it and all below are meant.
    pub name: Name,
    /// Until when; `None`: for as long as it is configured.
    pub until: Option<Timestamp>,
}

impl Exempt {
    /// Whether `name` is meant at `now`.
    pub(super) fn covers(&self, name: &LowerName, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until) && name.is_below(&LowerName::from(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the root of 2024 (IANA, root-anchors.xml, id 38696), shortened: a key is not looked into here.
    const KEY: &str = ". 172800 IN DNSKEY 257 3 8 AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc=";

    fn check(text: &str, expected: Result<usize, &str>) {
        let found = Anchors::from_text(text);
        let found = found.map(|anchors| anchors.keys.len()).map_err(|error| format!("{:?} {error}", error.line()));
        match expected {
            Ok(keys) => assert_eq!(found, Ok(keys), "{text}"),
            Err(beginning) => assert!(found.as_ref().is_err_and(|error| error.starts_with(beginning)), "{found:?}"),
        }
    }

    #[test]
    fn keys_are_read_and_a_mistake_has_its_line() {
        check(&format!("; the root\n{KEY} ;{{id = 38696}}\n\n"), Ok(1));
        check("; nothing\n", Err("None no DNSKEY record; write one"));
        check(&format!("{KEY}\n. IN DS 38696 8 2 00\n"), Err("Some(2) no DNSKEY record:"));
        check(&format!("{KEY}\n. IN DNSKEY 257 3 8 ?\n"), Err("Some(2) no DNSKEY record:"));
        check(&KEY.replace(". 172800", "test. 172800"), Err("Some(1) the key of `test.`"));
    }

    #[test]
    fn the_roots_own_keys_are_there_without_a_file() {
        assert_eq!(Anchors::default().keys.len(), 2);
    }

    #[test]
    fn an_exempt_name_covers_what_is_below_it_until_its_time() {
        let name = |text: &str| LowerName::from(&Name::parse(text).unwrap());
        let second = |second| Timestamp::from_second(second).unwrap();
        let mut exempt = Exempt { name: Name::parse("corp.example").unwrap(), until: None };
        assert!(exempt.covers(&name("a.corp.example"), second(0)) && exempt.covers(&name("corp.example"), second(0)));
        assert!(!exempt.covers(&name("xcorp.example"), second(0)));
        exempt.until = Some(second(100));
        assert!(exempt.covers(&name("corp.example"), second(99)) && !exempt.covers(&name("corp.example"), second(100)));
    }
}
