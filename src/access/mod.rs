//! Who may use the admin server, and for what: tokens of scripts and users with passwords, in one file of the state directory.
//!
//! `access.json` belongs to the server's user alone and holds no secret in clear: of a token its SHA-256 (it is random, so
//! nothing is found by trying), of a password what Argon2id makes of it (RFC 9106). One process writes it, the running server;
//! each change exchanges the file whole. When it can't be read, nobody may do anything: that it once said who may is not forgotten.
//!
//! Leaves asking who somebody is to [`admin`](crate::admin).

mod book;
mod file;
mod moment;
mod scope;
mod secret;

pub use book::{Book, Holder, NAME_MAX, TOKENS_MAX, TokenRow, USERS_MAX, UserRow};
pub use file::{Access, AccessError, path};
pub use scope::{Scope, Scopes, ScopesError};
pub use secret::{PASSWORD_MAX, PASSWORD_MIN, PasswordError, Phrase, hashed, random_text};
