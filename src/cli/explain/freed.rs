//! The exemption that frees a client, from the configuration or from the audit log.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::audit::Terms;
use crate::policy::{Decision, Effect, Exemption, Spared, SparedHit};
use crate::time::{Timestamp, rfc3339};

/// An exemption as an explanation tells it.
#[derive(Debug, Serialize)]
pub(super) struct Freed {
    id: String,
    /// `None`: without end.
    until: Option<String>,
    owner: String,
    reason: String,
    ticket: Option<String>,
    /// The ban that the client is spared.
    #[serde(skip)]
    ban: String,
    /// Whether no other ban has its say.
    #[serde(skip)]
    pub(super) wholly: bool,
}

impl Freed {
    /// The one that spares the client, if one does. Where several bans would enforce, one exemption of each is needed: then it is
    /// the first to end, since the client is blocked from then on.
    pub(super) fn of(spared: &Spared<'_>, all: &[(Arc<Exemption>, Terms)]) -> Option<Self> {
        let enforces = |spared: &&SparedHit<'_>| matches!(spared.hit.effect, Effect::Enforce(_));
        let end = |spared: &&SparedHit<'_>| spared.by.until.unwrap_or(Timestamp::MAX);
        let first = spared.hits.iter().filter(enforces).min_by_key(end).or(spared.hits.first())?;
        let by = &first.by;
        let (_exemption, terms) = all.iter().find(|(exemption, _terms)| exemption == by)?;
        Some(Self {
            id: by.id.to_string(),
            until: by.until.map(rfc3339),
            owner: terms.owner.to_string(),
            reason: terms.reason.to_string(),
            ticket: terms.ticket.as_ref().map(ToString::to_string),
            ban: first.hit.ban.id.to_string(),
            wholly: !matches!(spared.verdict.decision, Decision::Enforce(..)),
        })
    }

    /// What happens to the lookup, in a sentence.
    pub(super) fn outcome(&self) -> String {
        format!(
            "Exemption {} frees the client: it is answered as if there were no ban, and recorded as an attempt.",
            self.id
        )
    }
}

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.as_ref().map_or_else(|| "without end".to_owned(), |until| format!("until {until}"));
        // Shown beside a ban: one that spares nothing of that would mislead.
        let of = if self.wholly { String::new() } else { format!("from {} alone: ", self.ban) };
        write!(f, "{of}{} {until}; {}: {}", self.id, self.owner, self.reason)?;
        self.ticket.as_ref().map_or(Ok(()), |ticket| write!(f, ", ticket {ticket}"))
    }
}
