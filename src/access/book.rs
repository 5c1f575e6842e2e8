//! Who may, as it stands in the file.

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::scope::Scopes;
use super::secret::Phrase;
use crate::digest::hex_digest;
use crate::time::{Timestamp, rfc3339};

/// Tokens at most.
pub const TOKENS_MAX: usize = 256;
/// Users at most.
pub const USERS_MAX: usize = 256;
/// Characters of a name at most.
pub const NAME_MAX: usize = 32;

/// Everybody who may.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    #[serde(default)]
    pub(super) tokens: Vec<Token>,
    #[serde(default)]
    pub(super) users: Vec<User>,
}

/// A token of a script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) scopes: Scopes,
    /// SHA-256 of it.
    pub(super) hash: String,
    pub(super) made: Moment,
    /// From this moment on it is nobody's.
    #[serde(default)]
    pub(super) until: Option<Moment>,
}

/// A user with a password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) scopes: Scopes,
    pub(super) password: Phrase,
    pub(super) made: Moment,
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As the audit log names them: `token:deploy`, `user:alice`.
    pub by: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Another text once the token or the password is another one.
    pub mark: String,
}

/// A token as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub made: String,
    /// When it ends; `None`: never.
    pub until: Option<String>,
    /// Whether it has ended.
    pub expired: bool,
}

/// A user as listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRow {
    /// The name.
    pub name: String,
    /// What the user may do.
    pub scopes: Vec<String>,
    /// Since when there is the user.
    pub made: String,
}

impl Book {
    /// Whether there is nobody in it.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.users.is_empty()
    }

    /// Whose token this is at `now`.
    pub fn token(&self, token: &str, now: Timestamp) -> Option<Holder> {
        // The hash is compared, so what a comparison takes longer for tells nothing of the token.
        let hash = hex_digest(token.as_bytes());
        let found = self.tokens.iter().find(|known| known.hash == hash)?;
        found.until.is_none_or(|until| now < until.0).then(|| Holder {
            by: format!("token:{}", found.name),
            scopes: found.scopes,
            mark: found.hash.clone(),
        })
    }

    /// A user, and what is kept of the password.
    pub fn user(&self, name: &str) -> Option<(Holder, Phrase)> {
        let found = self.users.iter().find(|user| user.name == name)?;
        let mark = hex_digest(String::from(found.password.clone()).as_bytes());
        let holder = Holder { by: format!("user:{name}"), scopes: found.scopes, mark };
        Some((holder, found.password.clone()))
    }

    /// Whom this is the name and the mark of, if they still are.
    pub fn again(&self, by: &str, mark: &str, now: Timestamp) -> Option<Holder> {
        let holder = match by.split_once(':')? {
            ("user", name) => self.user(name)?.0,
            ("token", name) => {
                let token = self.tokens.iter().find(|token| token.name == name)?;
                let holds = token.until.is_none_or(|until| now < until.0);
                let holder = Holder { by: by.to_owned(), scopes: token.scopes, mark: token.hash.clone() };
                holds.then_some(holder)?
            }
            _ => return None,
        };
        (holder.mark == mark).then_some(holder)
    }

    /// All tokens.
    pub fn tokens(&self, now: Timestamp) -> Vec<TokenRow> {
        let row = |token: &Token| TokenRow {
            name: token.name.clone(),
            scopes: token.scopes.into(),
            made: rfc3339(token.made.0),
            until: token.until.map(|until| rfc3339(until.0)),
            expired: token.until.is_some_and(|until| until.0 <= now),
        };
        self.tokens.iter().map(row).collect()
    }

    /// All users.
    pub fn users(&self) -> Vec<UserRow> {
        let row =
            |user: &User| UserRow { name: user.name.clone(), scopes: user.scopes.into(), made: rfc3339(user.made.0) };
        self.users.iter().map(row).collect()
    }
}
