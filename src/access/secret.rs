//! Secrets: how they are made, how they are kept, and how they are compared.

use std::fmt;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64URL_NOPAD;
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

/// Characters of a password at least: it is tried over the network, slowly.
pub const PASSWORD_MIN: usize = 10;
/// Octets of a password at most.
pub const PASSWORD_MAX: usize = 256;
/// Octets of a random text before they are written as letters.
const RANDOM: usize = 32;
/// Characters of what is kept of a password at most.
const PHRASE_MAX: usize = 256;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Easily guessed.
    #[error("a password has {PASSWORD_MIN} characters at least")]
    Short,
    /// Nobody types that.
    #[error("a password has {PASSWORD_MAX} octets at most")]
    Long,
    /// What a terminal sends by accident.
    #[error("a password has no control characters")]
    Control,
    /// Argon2 gave up.
    #[error("the password could not be hashed")]
    Hash,
}

/// What is kept of a password. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phrase(String);

impl Phrase {
    /// Whether it was made of this password. Takes tens of milliseconds and 19 MiB.
    pub fn is_of(&self, password: &str) -> bool {
        let Ok(known) = PasswordHash::new(&self.0) else { return false };
        argon2().verify_password(password.as_bytes(), &known).is_ok()
    }

    /// One that no password makes, to take as long over a user that there is not.
    pub fn of_nobody() -> Self {
        let known = "$argon2id$v=19$m=19456,t=2,p=1$ZW1iYXJnby1ub2JvZHk$\
                     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Self(known.to_owned())
    }
}

impl TryFrom<String> for Phrase {
    type Error = PasswordError;

    fn try_from(text: String) -> Result<Self, PasswordError> {
        let is_ours = text.len() <= PHRASE_MAX
            && PasswordHash::new(&text).is_ok_and(|hash| {
                // Whoever may say what is kept must not say how much memory it takes to compare.
                let params = Params::try_from(&hash).ok();
                hash.algorithm == Algorithm::Argon2id.ident()
                    && params.is_some_and(|params| {
                        params.m_cost() <= 64 << 10 && params.t_cost() <= 8 && params.p_cost() <= 4
                    })
            });
        if is_ours { Ok(Self(text)) } else { Err(PasswordError::Hash) }
    }
}

impl From<Phrase> for String {
    fn from(phrase: Phrase) -> Self {
        phrase.0
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(…)")
    }
}

/// What is kept of a password.
///
/// # Errors
/// [`PasswordError`].
pub fn hashed(password: &str) -> Result<Phrase, PasswordError> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(PasswordError::Short);
    }
    if password.len() > PASSWORD_MAX {
        return Err(PasswordError::Long);
    }
    if password.contains(char::is_control) {
        return Err(PasswordError::Control);
    }
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|_too_long| PasswordError::Hash)?;
    let hash = argon2().hash_password(password.as_bytes(), &salt).map_err(|_error| PasswordError::Hash)?;
    Ok(Phrase(hash.to_string()))
}

/// Argon2id as OWASP's cheat sheet on storing passwords has it: 19 MiB, two passes.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// A text of 256 random bits that can stand in a header, a cookie and a URL.
pub fn random_text() -> String {
    let mut octets = [0; RANDOM];
    rand::rng().fill_bytes(&mut octets);
    BASE64URL_NOPAD.encode(&octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let kept = hashed("correct horse").unwrap();
        assert!(kept.is_of("correct horse"));
        assert!(!kept.is_of("correct horsf") && !kept.is_of("") && !Phrase::of_nobody().is_of("correct horse"));
        assert_ne!(kept, hashed("correct horse").unwrap(), "each has a salt of its own");
        assert_eq!(format!("{kept:?}"), "Phrase(…)");
        assert!(Phrase::try_from(Phrase::of_nobody().0).is_ok(), "it is one that takes its time");
    }

    #[test]
    fn a_password_that_is_easily_guessed_or_of_no_keyboard_is_refused() {
        assert_eq!(hashed("123456789"), Err(PasswordError::Short));
        assert_eq!(hashed(&"x".repeat(257)), Err(PasswordError::Long));
        assert_eq!(hashed("0123456789\n"), Err(PasswordError::Control));
    }

    #[test]
    fn what_would_take_all_memory_to_compare_is_not_taken() {
        for text in [
            "",
            "0123456789",
            "$argon2id$v=19$m=4194304,t=2,p=1$ZW1iYXJnby1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2d$v=19$m=19456,t=2,p=1$ZW1iYXJnby1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(Phrase::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn random_texts_differ_and_stand_in_a_header() {
        let (one, other) = (random_text(), random_text());
        assert!(one != other && one.len() == 43);
        assert!(one.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet)), "{one}");
    }
}
