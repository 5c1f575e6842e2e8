//! The file: read when it has changed, exchanged whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::{Book, NAME_MAX, TOKENS_MAX, Token, USERS_MAX, User};
use super::moment::Moment;
use super::scope::Scopes;
use super::secret::{Phrase, random_text};
use crate::digest::hex_digest;
use crate::replace::replace;
use crate::time::Timestamp;

/// Octets of the file at most.
const FILE_MAX: u64 = 1 << 20;
/// What every token begins with, so that whoever finds one knows what it is.
const PREFIX: &str = "embargo_";

/// Where the file of a state directory is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("access.json")
}

/// Why nobody could be added, changed or removed, or why nobody may at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The file is there and tells nothing.
    #[error("{}: {why}; until it can be read nobody may use the admin server", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The disk.
    #[error("{}: {why}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        why: String,
    },
    /// A name that would be mistaken.
    #[error("`{0}` is no name: a name has 1 to {NAME_MAX} of a-z, 0-9, `-`, `_` and `.`")]
    Name(String),
    /// It is somebody's.
    #[error("there is a {0} `{1}` already")]
    Taken(&'static str, String),
    /// It is nobody's.
    #[error("there is no {0} `{1}`")]
    Unknown(&'static str, String),
    /// As many as can be.
    #[error("there are {1} {0}s, which is the limit; remove one")]
    TooMany(&'static str, usize),
    /// A moment that has passed.
    #[error("the end has passed already")]
    Ended,
}

impl AccessError {
    /// Whether whoever asked was mistaken, and not the disk.
    pub fn is_mistake(&self) -> bool {
        !matches!(self, Self::Unreadable { .. } | Self::Unwritten { .. })
    }
}

/// Who may, now.
#[derive(Debug)]
pub struct Access {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Known {
    /// Which version: device, inode, size and the time of change; `None`: there is none.
    version: Option<Version>,
    book: Arc<Book>,
    trouble: Option<String>,
}

type Version = (u64, u64, u64, i64, i64);

impl Access {
    /// That of a state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self { path: path(state_dir), known: Mutex::default() }
    }

    /// Who may, as the file has it now.
    ///
    /// # Errors
    /// [`AccessError::Unreadable`].
    pub fn book(&self) -> Result<Arc<Book>, AccessError> {
        let mut known = self.known();
        self.follow(&mut known)?;
        Ok(Arc::clone(&known.book))
    }

    /// Makes a token; it is returned this once.
    ///
    /// # Errors
    /// [`AccessError`]; then there is none.
    pub fn add_token(
        &self,
        name: &str,
        scopes: Scopes,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<String, AccessError> {
        named(name)?;
        if until.is_some_and(|until| until <= now) {
            return Err(AccessError::Ended);
        }
        let token = format!("{PREFIX}{}", random_text());
        let hash = hex_digest(token.as_bytes());
        self.change(|book| {
            if book.tokens.iter().any(|token| token.name == name) {
                return Err(AccessError::Taken("token", name.to_owned()));
            }
            if book.tokens.len() >= TOKENS_MAX {
                return Err(AccessError::TooMany("token", TOKENS_MAX));
            }
            book.tokens.push(Token {
                name: name.to_owned(),
                scopes,
                hash,
                made: Moment(now),
                until: until.map(Moment),
            });
            Ok(())
        })?;
        Ok(token)
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`AccessError`]; then it is good as before.
    pub fn revoke_token(&self, name: &str) -> Result<(), AccessError> {
        self.change(|book| {
            let before = book.tokens.len();
            book.tokens.retain(|token| token.name != name);
            if book.tokens.len() < before { Ok(()) } else { Err(unknown("token", name)) }
        })
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn add_user(&self, name: &str, scopes: Scopes, password: Phrase, now: Timestamp) -> Result<(), AccessError> {
        named(name)?;
        self.change(|book| {
            if book.users.iter().any(|user| user.name == name) {
                return Err(AccessError::Taken("user", name.to_owned()));
            }
            if book.users.len() >= USERS_MAX {
                return Err(AccessError::TooMany("user", USERS_MAX));
            }
            book.users.push(User { name: name.to_owned(), scopes, password, made: Moment(now) });
            Ok(())
        })
    }

    /// Gives a user another password; whoever is in by the one before is out.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn set_password(&self, name: &str, password: Phrase) -> Result<(), AccessError> {
        self.change(|book| {
            let user = book.users.iter_mut().find(|user| user.name == name).ok_or_else(|| unknown("user", name))?;
            user.password = password;
            Ok(())
        })
    }

    /// Removes a user.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn remove_user(&self, name: &str) -> Result<(), AccessError> {
        self.change(|book| {
            let before = book.users.len();
            book.users.retain(|user| user.name != name);
            if book.users.len() < before { Ok(()) } else { Err(unknown("user", name)) }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Book) -> Result<(), AccessError>) -> Result<(), AccessError> {
        let mut known = self.known();
        self.follow(&mut known)?;
        let mut book = Book::clone(&known.book);
        change(&mut book)?;
        let unwritten =
            |error: &dyn ToString| AccessError::Unwritten { path: self.path.clone(), why: error.to_string() };
        let octets = serde_json::to_vec_pretty(&book).map_err(|error| unwritten(&error))?;
        replace(&self.path, self.path.with_extension("json.new"), &octets).map_err(|error| unwritten(&error))?;
        self.follow(&mut known)
    }

    /// Reads the file if it is another than before.
    fn follow(&self, known: &mut Known) -> Result<(), AccessError> {
        let version = match fs::metadata(&self.path) {
            Ok(found) => Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec())),
            // One that was there and is gone would let everybody look on: that takes a restart.
            Err(error) if error.kind() == io::ErrorKind::NotFound && known.version.is_none() => None,
            Err(error) => return Err(self.unreadable(&error)),
        };
        if version != known.version || known.trouble.is_some() {
            match self.read() {
                Ok(book) => *known = Known { version, book: Arc::new(book), trouble: None },
                Err(error) => {
                    // It is there all the same: nobody is to be let in because it is gone a moment later.
                    known.version = version;
                    known.trouble = Some(error.to_string());
                    return Err(self.unreadable(&error));
                }
            }
        }
        Ok(())
    }

    fn read(&self) -> io::Result<Book> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(FILE_MAX).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
            Err(error) => return Err(error),
        };
        Ok(serde_json::from_slice(&text)?)
    }

    fn unreadable(&self, error: &io::Error) -> AccessError {
        AccessError::Unreadable { path: self.path.clone(), why: error.to_string() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(what: &'static str, name: &str) -> AccessError {
    AccessError::Unknown(what, name.chars().take(NAME_MAX).collect())
}

fn named(name: &str) -> Result<(), AccessError> {
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-_.".contains(&octet);
    let is_name = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(fits);
    if is_name { Ok(()) } else { Err(AccessError::Name(name.chars().take(NAME_MAX).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Scope, hashed};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn read() -> Scopes {
        Scopes::READ
    }

    #[test]
    fn a_token_is_known_again_until_it_ends_or_is_revoked_and_the_file_does_not_hold_it() {
        let directory = tempfile::tempdir().unwrap();
        let access = Access::new(directory.path());
        assert!(access.book().unwrap().is_empty());
        let token = access.add_token("deploy", read(), Some(at(60)), at(0)).unwrap();
        let other = access.add_token("other", Scopes::from_iter([Scope::Operate]), None, at(0)).unwrap();
        let file = fs::read_to_string(path(directory.path())).unwrap();
        assert!(!file.contains(&token) && file.contains(&hex_digest(token.as_bytes())));
        let book = Access::new(directory.path()).book().unwrap();
        assert_eq!(book.token(&token, at(59)).unwrap().by, "token:deploy");
        assert_eq!(book.token(&token, at(60)), None);
        assert!(book.token(&other, at(60)).unwrap().scopes.allow(Scope::Operate));
        assert_eq!(book.token("", at(0)), None);
        access.revoke_token("other").unwrap();
        assert_eq!(access.book().unwrap().token(&other, at(0)), None);
        assert_eq!(access.revoke_token("other"), Err(AccessError::Unknown("token", "other".to_owned())));
    }

    #[test]
    fn another_password_is_another_mark() {
        let directory = tempfile::tempdir().unwrap();
        let access = Access::new(directory.path());
        access.add_user("alice", read(), hashed("correct horse").unwrap(), at(0)).unwrap();
        let (holder, phrase) = access.book().unwrap().user("alice").unwrap();
        assert!(phrase.is_of("correct horse"));
        assert_eq!(access.book().unwrap().again("user:alice", &holder.mark, at(0)), Some(holder.clone()));
        access.set_password("alice", hashed("battery staple").unwrap()).unwrap();
        assert_eq!(access.book().unwrap().again("user:alice", &holder.mark, at(0)), None);
        access.remove_user("alice").unwrap();
        assert!(access.book().unwrap().user("alice").is_none());
    }

    #[test]
    fn what_another_process_writes_is_followed_and_a_file_that_is_damaged_or_gone_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (Access::new(directory.path()), Access::new(directory.path()));
        assert!(one.book().unwrap().is_empty());
        let token = other.add_token("a", read(), None, at(0)).unwrap();
        assert!(one.book().unwrap().token(&token, at(0)).is_some());
        fs::write(path(directory.path()), "{").unwrap();
        assert!(matches!(one.book(), Err(AccessError::Unreadable { .. })));
        assert!(matches!(one.book(), Err(AccessError::Unreadable { .. })), "and it stays so");
        assert!(one.add_token("b", read(), None, at(0)).is_err(), "nothing is written over it");
        fs::remove_file(path(directory.path())).unwrap();
        assert!(matches!(one.book(), Err(AccessError::Unreadable { .. })));
    }

    #[test]
    fn names_are_plain_and_belong_to_one() {
        let directory = tempfile::tempdir().unwrap();
        let access = Access::new(directory.path());
        for name in ["", "A", "a b", "a:b", "ä", &"a".repeat(33)] {
            assert!(matches!(access.add_token(name, read(), None, at(0)), Err(AccessError::Name(_))), "{name}");
        }
        access.add_token("a", read(), None, at(0)).unwrap();
        assert_eq!(access.add_token("a", read(), None, at(0)), Err(AccessError::Taken("token", "a".to_owned())));
        assert_eq!(access.add_token("b", read(), Some(at(0)), at(0)), Err(AccessError::Ended));
    }
}
