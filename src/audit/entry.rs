//! One entry: what happened, when, and by whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::chain;
use super::error::Damage;
use super::terms::Terms;
use crate::identity::Word;
use crate::time::{Timestamp, rfc3339};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on without a gap.
    pub number: u64,
    /// When it was written, in whole milliseconds.
    pub at: Timestamp,
    /// The user who asked for it, as the kernel says; `None`: the server by itself, or a system that does not say.
    pub uid: Option<u32>,
    /// The user or the token of the admin server by whom it was asked for: `user:alice`, `token:deploy`.
    pub by: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Who asked for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The user's id, as the kernel says of who is connected to the control socket.
    pub uid: Option<u32>,
    /// The user or the token, as the admin server knows them.
    pub by: Option<String>,
}

impl From<Option<u32>> for Author {
    fn from(uid: Option<u32>) -> Self {
        Self { uid, by: None }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An exemption, which has the number of this entry.
    Granted(Box<Terms>),
    /// An exemption that stands in the configuration from now on. It has the number of this entry here.
    Configured(Box<Terms>),
    /// The exemption with this number stands in the configuration no longer.
    Unconfigured(u64),
    /// The exemption with this number was taken back.
    Revoked(u64),
    /// The exemption with this number came to its end. It does not come back, whatever the clock says later.
    Expired(u64),
    /// Another policy came into force.
    Reloaded(Reloaded),
    /// Identifiers were said to be of one device.
    Merged(Merged),
    /// An identifier was said to tell nothing of any other device.
    Split(Split),
    /// What the entry with this number says of devices was taken back.
    Undone(u64),
    /// Something was done that no other entry tells of.
    Did(Did),
    /// What was kept of somebody was erased.
    Erased(ErasedNote),
    /// Somebody looked at what is kept of clients.
    Looked(Looked),
    /// Whether that is noted from now on.
    Looks(bool),
}

/// Something that was done to the server or to who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Did {
    /// A word for it: `cache_flush`, `lists_fetch`, `reload`, `token_add`, `token_revoke`, `user_add`, …
    pub what: String,
    /// To what; empty: to all there is.
    pub on: String,
}

/// What was erased: how much, never of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedNote {
    /// Numbers of devices and addresses.
    pub devices: u64,
    /// Attempts.
    pub attempts: u64,
    /// The ticket by which it was asked for.
    pub ticket: Option<String>,
}

/// Who looked at what is known by the entry; this is at what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// The command, or what else has shown it.
    pub by: String,
    /// What narrowed it.
    pub at: String,
}

/// Identifiers that are of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The one.
    pub device: String,
    /// The other.
    pub with: String,
    /// Why.
    pub reason: String,
}

/// An identifier that is of no device but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// It.
    pub device: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// What it says of devices, if it does.
    pub(super) fn word(&self) -> Option<Word> {
        match self {
            Self::Merged(Merged { device, with, .. }) => Some(Word::Merge(device.parse().ok()?, with.parse().ok()?)),
            Self::Split(Split { device, .. }) => Some(Word::Split(device.parse().ok()?)),
            _ => None,
        }
    }
}

/// A policy that came into force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What asked for it.
    pub why: String,
    /// One digest over all files of bans and lists.
    pub policy: String,
    /// SHA-256 of the configuration, which says to whom bans do what; empty: the embedded one, or not noted yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub configuration: String,
    /// By ban: its mode at that moment. Bans that are off are left out.
    pub modes: BTreeMap<String, String>,
}

impl Reloaded {
    /// Bans told by name at most; a change of more shows in the digest alone.
    pub const MODES_MAX: usize = 256;

    /// Whether it is the same policy by the same configuration, with the same modes.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let Self { why: _, policy, configuration, modes } = self;
        (policy, configuration, modes) == (&other.policy, &other.configuration, &other.modes)
    }
}

/// An entry as it stands in its line.
#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    at: String,
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(flatten)]
    event: Event,
    prev: String,
}

impl Entry {
    /// The line after one with the hash `prev`, and its own hash.
    ///
    /// # Errors
    /// None that an entry could have: `serde_json` might have one.
    pub(super) fn line(&self, prev: &str) -> serde_json::Result<(String, String)> {
        let (event, prev) = (self.event.clone(), prev.to_owned());
        let line = Line { number: self.number, at: rfc3339(self.at), uid: self.uid, by: self.by.clone(), event, prev };
        Ok(chain::sealed(&serde_json::to_string(&line)?))
    }

    /// The entry of a line that follows one with the hash `prev`, and its own hash.
    ///
    /// # Errors
    /// [`Damage`].
    pub(super) fn read(line: &[u8], number: u64, prev: &str) -> Result<(Self, String), Damage> {
        let (object, hash) = chain::unsealed(line)?;
        let line: Line = serde_json::from_str(&object).map_err(|_error| Damage::Line)?;
        if line.number != number || line.prev != prev {
            return Err(Damage::Order);
        }
        let at = line.at.parse().map_err(|_error| Damage::Line)?;
        Ok((Self { number, at, uid: line.uid, by: line.by, event: line.event }, hash))
    }
}
