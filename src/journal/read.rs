//! Reading the store: while a server writes it, and after it died.

use std::net::IpAddr;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::{Timestamp, rfc3339};
use crate::wire::Transport;

/// Which rows to read; every field that is set narrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this ban.
    pub ban: Option<String>,
    /// Only this client.
    pub client: Option<IpAddr>,
    /// Only rows last seen at or after this moment.
    pub since: Option<Timestamp>,
    /// Only rows first seen at or before this moment.
    pub until: Option<Timestamp>,
    /// Only this evidence.
    pub evidence: Option<Evidence>,
    /// The newest rows, at most so many.
    pub limit: Option<u32>,
}

/// Attempts that were folded into one row. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptRow {
    /// The first of them.
    #[serde(serialize_with = "time")]
    pub first: Timestamp,
    /// The last of them.
    #[serde(serialize_with = "time")]
    pub last: Timestamp,
    /// Who asked; `None`: too many rows at once to tell.
    pub client: Option<IpAddr>,
    /// The client's device; `None`: not known.
    pub device: Option<String>,
    /// Where the client is.
    pub site: String,
    /// The name asked for, with RFC 4343 escapes; `None`: too many rows at once to tell.
    pub qname: Option<String>,
    /// The type asked for, in words; `None`: too many rows at once to tell.
    pub qtype: Option<String>,
    /// The ban's id.
    pub ban: String,
    /// The rule's category.
    pub category: String,
    /// What it proves.
    #[serde(serialize_with = "evidence")]
    pub evidence: Evidence,
    /// The rule's pattern; `None`: too many rows at once to tell.
    pub pattern: Option<String>,
    /// What was done.
    #[serde(serialize_with = "did")]
    pub action: Did,
    /// How the queries came; `None`: too many rows at once to tell.
    #[serde(serialize_with = "transport")]
    pub transport: Option<Transport>,
    /// Whether the client has shown that the address is its own.
    pub verified: bool,
    /// How many attempts.
    pub count: u64,
}

/// A client and what was seen of it. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientRow {
    /// Its address.
    pub client: IpAddr,
    /// Its device; `None`: not known.
    pub device: Option<String>,
    /// Where it is.
    pub site: String,
    /// The ban's id.
    pub ban: String,
    /// What its lookups prove.
    #[serde(serialize_with = "evidence")]
    pub evidence: Evidence,
    /// The first of them.
    #[serde(serialize_with = "time")]
    pub first_seen: Timestamp,
    /// The last of them.
    #[serde(serialize_with = "time")]
    pub last_seen: Timestamp,
    /// How many.
    pub count: u64,
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

fn evidence<S: Serializer>(evidence: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(evidence.as_str())
}

fn did<S: Serializer>(did: &Did, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(did.as_str())
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn transport<S: Serializer>(transport: &Option<Transport>, serializer: S) -> Result<S::Ok, S::Error> {
    transport.map(Transport::as_str).serialize(serializer)
}

/// Why a store can't be used. Nothing in it is ever deleted for that.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store: no server has recorded anything here yet.
    #[error("no record at {path}: no server has kept its state there")]
    Missing {
        /// Where it was looked for.
        path: String,
    },
}

/// The store, for reading.
pub struct Store {}

impl Store {
    /// Opens the store in a state directory without changing it.
    ///
    /// # Errors
    /// [`StoreError`] when it is missing, unreadable, corrupt, or of another version.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Missing { path: state_dir.display().to_string() })
    }

    /// The attempts that pass the filter, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn attempts(&self, filter: &Filter) -> Result<Vec<AttemptRow>, StoreError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// The clients that pass the filter, last seen first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn clients(&self, filter: &Filter) -> Result<Vec<ClientRow>, StoreError> {
        let _ = filter;
        Ok(Vec::new())
    }
}
