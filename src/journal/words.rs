//! How values are written in JSON: the words of our enums, and times in RFC 3339.
#![expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signatures are serde's")]

use serde::{Serialize, Serializer};

use super::Said;
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::time::{Timestamp, rfc3339};
use crate::wire::Transport;

pub(super) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

pub(super) fn time_or_none<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

pub(super) fn evidence<S: Serializer>(evidence: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(evidence.as_str())
}

pub(super) fn said<S: Serializer>(said: &Said, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(said.as_str())
}

pub(super) fn did<S: Serializer>(did: &Did, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(did.as_str())
}

pub(super) fn transport<S: Serializer>(transport: &Option<Transport>, serializer: S) -> Result<S::Ok, S::Error> {
    transport.map(Transport::as_str).serialize(serializer)
}
