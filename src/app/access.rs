//! Who may use the admin server, and what the audit log is told before something is done.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::parts::Parts;
use crate::access::{AccessError, Phrase, Scopes};
use crate::audit::{Author, Did};
use crate::orders::{Answer, Questions, Request};
use crate::wire::rtype;

/// To all there is.
const ALL: &str = "";
/// Characters that the audit log has of what something was done to.
const ON_MAX: usize = 500;

impl Parts {
    /// Notes in the audit log what is about to be done, where no entry of its own will tell.
    ///
    /// # Errors
    /// It could not be noted, and it is asked for over the network: who comes so leaves a trace or does nothing. Who reaches the
    /// control socket could write the file himself, and is not kept from a reload by a full disk.
    pub(super) async fn note_of(&self, request: &Request, author: &Author) -> Result<(), String> {
        let Some(did) = did(request) else { return Ok(()) };
        let (audit, now, by) = (Arc::clone(&self.audit), self.clock.now().wall, author.clone());
        let noted = tokio::task::spawn_blocking(move || audit.does(did, by, now)).await;
        let why = match noted {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refusal)) => refusal.to_string(),
            Err(error) => error.to_string(),
        };
        if author.by.is_some() {
            return Err(why);
        }
        tracing::error!(why, "What is asked for over the control socket is done, but is not in the audit log.");
        Ok(())
    }

    /// Tokens and users.
    pub(super) fn who_may(&self) -> Answer {
        match self.access.book() {
            Ok(book) => Answer::Done(json!({"tokens": book.tokens(self.clock.now().wall), "users": book.users()})),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    pub(super) fn add_token(&self, name: &str, scopes: Scopes, lasts_ms: Option<u64>) -> Answer {
        let now = self.clock.now().wall;
        let until = match lasts_ms.map(|lasts| now.checked_add(Duration::from_millis(lasts))).transpose() {
            Ok(until) => until,
            Err(_too_far) => return Answer::Wrong("the end is too far away".to_owned()),
        };
        match self.access.add_token(name, scopes, until, now) {
            Ok(token) => {
                let until = until.map(crate::time::rfc3339);
                Answer::Done(json!({"name": name, "scopes": scopes, "until": until, "token": token}))
            }
            Err(error) => refused(&error),
        }
    }

    pub(super) fn revoke_token(&self, name: &str) -> Answer {
        done(name, "revoked", self.access.revoke_token(name))
    }

    pub(super) fn add_user(&self, name: &str, scopes: Scopes, password: Phrase) -> Answer {
        done(name, "added", self.access.add_user(name, scopes, password, self.clock.now().wall))
    }

    pub(super) fn set_password(&self, name: &str, password: Phrase) -> Answer {
        done(name, "changed", self.access.set_password(name, password))
    }

    pub(super) fn remove_user(&self, name: &str) -> Answer {
        done(name, "removed", self.access.remove_user(name))
    }
}

fn done(name: &str, what: &str, ended: Result<(), AccessError>) -> Answer {
    match ended {
        Ok(()) => Answer::Done(json!({"name": name, what: true})),
        Err(error) => refused(&error),
    }
}

fn refused(error: &AccessError) -> Answer {
    if error.is_mistake() { Answer::Wrong(error.to_string()) } else { Answer::Failed(error.to_string()) }
}

/// Who asks, as a reload tells it.
pub(super) fn asked_by(author: &Author) -> String {
    author.by.clone().unwrap_or_else(|| "control socket".to_owned())
}

/// What the audit log is told of a request; `None`: nothing, or its own entry.
fn did(request: &Request) -> Option<Did> {
    let (what, on) = match request {
        Request::CacheFlush(questions) => ("cache_flush", meant(questions)),
        Request::ListsFetch { ids, any_size: false } => ("lists_fetch", ids.join(" ")),
        Request::ListsFetch { ids, any_size: true } => ("lists_fetch_any_size", ids.join(" ")),
        Request::Reload => ("reload", ALL.to_owned()),
        Request::ReloadAnySize => ("reload_any_size", ALL.to_owned()),
        Request::TokenAdd { name, scopes, .. } => ("token_add", format!("{name} {scopes}")),
        Request::TokenRevoke(name) => ("token_revoke", name.clone()),
        Request::UserAdd { name, scopes, .. } => ("user_add", format!("{name} {scopes}")),
        Request::UserPassword { name, .. } => ("user_password", name.clone()),
        Request::UserRemove(name) => ("user_remove", name.clone()),
        Request::Status
        | Request::Flush
        | Request::Lists
        | Request::HandOver
        | Request::CacheShow(_)
        | Request::ExemptAdd(_)
        | Request::ExemptRevoke(_)
        | Request::ExemptList { .. }
        | Request::DeviceSay(_)
        | Request::DeviceUndo(_)
        | Request::AccessList
        // What is erased, and who looks, have entries of their own.
        | Request::PrivacyErase(_)
        | Request::Look(_) => return None,
    };
    let on = on.chars().filter(|character| !character.is_control()).take(ON_MAX).collect();
    Some(Did { what: what.to_owned(), on })
}

fn meant(Questions { name, below, qtype }: &Questions) -> String {
    let Some(name) = name else { return ALL.to_owned() };
    let below = if *below { " and below" } else { "" };
    let qtype = qtype.map(|qtype| format!(" {}", rtype::mnemonic(qtype))).unwrap_or_default();
    format!("{name}{below}{qtype}")
}
