//! What can be asked of a running server: over the control socket by the command line, and over the admin server by whoever
//! may. Both ask in the same words, and the same code does it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Phrase, Scopes};
use crate::audit::{Looked, Written};
use crate::journal::Whose;
use crate::time::Timestamp;

/// What can be asked of a running server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// How it is.
    Status,
    /// Write every recorded attempt to the store now.
    Flush,
    /// Read configuration and lists again.
    Reload,
    /// The same even if lists have lost more rules than they may: an operator has looked at them.
    ReloadAnySize,
    /// How the lists from elsewhere are.
    Lists,
    /// Ask for these lists now, all of them if none is named; `any_size`: even if one has shrunk or grown more than allowed.
    ListsFetch {
        /// Ids of the bans that they make.
        ids: Vec<String>,
        /// An operator has looked at what is there.
        any_size: bool,
    },
    /// Give the sockets to whoever asks, who is to serve in this server's place.
    HandOver,
    /// Tell what the cache keeps of some questions.
    CacheShow(Questions),
    /// Throw it away.
    CacheFlush(Questions),
    /// Spare somebody something.
    ExemptAdd(Box<Exempt>),
    /// Take back the exemption with this id.
    ExemptRevoke(String),
    /// Hold two identifiers for one device's, or one for nobody else's.
    DeviceSay(Box<DeviceWord>),
    /// Take back what the audit entry with this number says of devices.
    DeviceUndo(u64),
    /// Erase all that is kept of somebody.
    PrivacyErase(Box<Erasing>),
    /// Note that somebody looks at what is kept of clients, if that is noted.
    Look(Looked),
    /// Tell who is spared what.
    ExemptList {
        /// Whether those that have ended are asked for too.
        all: bool,
    },
    /// Tell who may use the admin server.
    AccessList,
    /// Make a token of this name.
    TokenAdd {
        /// Its name.
        name: String,
        /// What it is good for.
        scopes: Scopes,
        /// Milliseconds that it lasts; `None`: until it is revoked.
        lasts_ms: Option<u64>,
    },
    /// Take the token of this name back.
    TokenRevoke(String),
    /// Let somebody in by a password.
    UserAdd {
        /// The name.
        name: String,
        /// What the user may do.
        scopes: Scopes,
        /// What is kept of the password: it never comes here itself.
        password: Phrase,
    },
    /// Give a user another password.
    UserPassword {
        /// The name.
        name: String,
        /// What is kept of it.
        password: Phrase,
    },
    /// Let this user in no longer.
    UserRemove(String),
}

/// An exemption that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// What it says.
    pub terms: Written,
    /// In place of an end: milliseconds from now on.
    pub lasts_ms: Option<u64>,
    /// Whether the group has to be a site.
    pub is_site: bool,
}

/// What an operator says of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWord {
    /// An identifier.
    pub device: String,
    /// Another one of the same device; none: the first is of no other device.
    pub with: Option<String>,
    /// Why.
    pub reason: String,
}

/// An erasure that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasing {
    /// Of whom.
    pub whose: Whose,
    /// The ticket by which it is asked for.
    pub ticket: Option<String>,
}

/// Questions whose answers somebody means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// Their name, octets other than ASCII as `\DDD`; none: all questions.
    pub name: Option<String>,
    /// Whether names below it are meant too.
    pub below: bool,
    /// The one type that is meant; none: every one.
    pub qtype: Option<u16>,
}

impl Request {
    /// Whether it changes nothing, so that the log need not tell of it.
    pub(crate) fn is_question(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::Lists
                | Self::CacheShow(_)
                | Self::ExemptList { .. }
                | Self::AccessList
                | Self::Look(_)
        )
    }
}

/// How a request ended; as such it goes over the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done; this is what it found.
    Done(Value),
    /// It could not be done; this is why.
    Failed(String),
    /// It can't be meant so; this is why.
    Wrong(String),
}

/// What a command of the command line has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: u8,
    /// What it has printed.
    pub out: Vec<u8>,
    /// What it has said of it.
    pub err: Vec<u8>,
}

/// Runs commands of the command line within this process, as at a moment: what they print is what the API answers, so that the
/// two can't differ. The command line stands above everything else, so it is handed down.
pub type Verbs = Arc<dyn Fn(&[String], Timestamp) -> Ran + Send + Sync>;
