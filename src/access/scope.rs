//! What somebody may do, by kinds of doing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// See everything but who may use the admin server.
    Read,
    /// Reload, fetch lists, flush the cache, say which devices are one; and read.
    Operate,
    /// Spare somebody a ban, and take that back; and read.
    Approve,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Approve, Self::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// Some of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(u8);

/// A word that is no scope, or no word at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// None.
    #[error("needs at least one scope: read, operate, approve or admin")]
    None,
    /// No scope.
    #[error("unknown scope `{0}`; known: read, operate, approve, admin")]
    Unknown(String),
}

impl Scopes {
    /// To look on.
    pub const READ: Self = Self(1);

    /// Whether this may be done by whoever has these.
    pub fn allow(self, wanted: Scope) -> bool {
        let has = |scope: Scope| self.0 & scope.bit() != 0;
        match wanted {
            Scope::Read => self.0 != 0,
            Scope::Operate | Scope::Approve | Scope::Admin => has(wanted) || has(Scope::Admin),
        }
    }

    /// Those that were given, in their order.
    pub fn given(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl FromStr for Scopes {
    type Err = ScopesError;

    fn from_str(text: &str) -> Result<Self, ScopesError> {
        text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>().try_into()
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = ScopesError;

    fn try_from(words: Vec<String>) -> Result<Self, ScopesError> {
        let scope = |word: String| {
            let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            known.ok_or(ScopesError::Unknown(word.chars().take(40).collect()))
        };
        let scopes: Self = words.into_iter().map(scope).collect::<Result<_, _>>()?;
        if scopes.0 == 0 { Err(ScopesError::None) } else { Ok(scopes) }
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.given().map(|scope| scope.as_str().to_owned()).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.given().map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_allows_itself_and_reading_and_admin_allows_all() {
        for given in Scope::ALL {
            let scopes = Scopes::from_iter([given]);
            for wanted in Scope::ALL {
                let expected = given == wanted || wanted == Scope::Read || given == Scope::Admin;
                assert_eq!(scopes.allow(wanted), expected, "{given:?} {wanted:?}");
            }
        }
        assert!(Scope::ALL.into_iter().all(|scope| !Scopes::default().allow(scope)), "nobody may nothing");
    }

    #[test]
    fn scopes_are_words_with_commas_between() {
        assert_eq!("read, approve".parse::<Scopes>().unwrap().to_string(), "read,approve");
        assert_eq!("approve,read,read".parse::<Scopes>().unwrap().to_string(), "read,approve");
        assert_eq!("".parse::<Scopes>(), Err(ScopesError::Unknown(String::new())));
        assert_eq!(
            "root".parse::<Scopes>().unwrap_err().to_string(),
            "unknown scope `root`; known: read, operate, approve, admin"
        );
        assert_eq!(Scopes::try_from(Vec::new()), Err(ScopesError::None));
    }
}
