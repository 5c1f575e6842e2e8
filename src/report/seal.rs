//! The end of a report: the digest of all that stands before it, and the signature of the server that holds the record.
//!
//! ```text
//! embargo-seal 1 sha256 <64 digits> ed25519 <64 digits of the public key> <128 digits of the signature>
//! ```
//! The signature is over the first four words, as they stand there. Each form of a report has its own way to hold this line at
//! its very end. A changed octet changes the digest; whoever changes the digest too has no key to sign it with, if the reader
//! knows the right key from elsewhere: the key that a report names proves nothing by itself.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::format::Format;
use super::oscal;

const WORD: &str = "embargo-seal";
/// The beginning of every key file.
const PEM: (&str, &str) = ("-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n");
/// Base64 digits of a line of a key file (RFC 7468).
const PEM_LINE: usize = 64;

/// The key that signs reports.
#[derive(Debug)]
pub struct Key(Ed25519KeyPair);

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not what [`Key::generate`] has made.
    #[error("is no Ed25519 key in PKCS#8 (PEM)")]
    Form,
    /// The operating system gave no randomness.
    #[error("the operating system gives no random numbers")]
    Random,
}

impl Key {
    /// A new key, as the text of its file.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<String, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_unspecified| KeyError::Random)?;
        let base64 = data_encoding::BASE64.encode(pkcs8.as_ref());
        let mut text = PEM.0.to_owned();
        for line in base64.as_bytes().chunks(PEM_LINE) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        Ok(text + PEM.1)
    }

    /// The key of a file.
    ///
    /// # Errors
    /// [`KeyError::Form`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let inner = text
            .trim_start()
            .strip_prefix(PEM.0.trim_end())
            .and_then(|rest| rest.split_once("-----END"))
            .ok_or(KeyError::Form)?;
        let base64: String = inner.0.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let pkcs8 = data_encoding::BASE64.decode(base64.as_bytes()).map_err(|_error| KeyError::Form)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).map(Self).map_err(|_rejected| KeyError::Form)
    }

    /// By which readers tell it: SHA-256 of the public key, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.public_key().as_ref())
    }
}

/// What a seal proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The file is as the seal says; there is no signature.
    Unsigned,
    /// The file is as the seal says, signed with a key of this fingerprint.
    Signed(String),
}

/// Why a file is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not end in a seal.
    #[error("it does not end in a seal: it is no report, or it was cut or added to")]
    NoSeal,
    /// It is not what the digest says.
    #[error("it was changed: its digest is not that of its seal")]
    Digest,
    /// The signature is not of the key that the seal names.
    #[error("its signature is false")]
    Signature,
    /// The key is not the one that was pinned.
    #[error("it is signed with another key: {0}")]
    OtherKey(String),
    /// There is no signature where a key was pinned, or the report says that there is one.
    #[error("it is not signed")]
    NotSigned,
}

/// The report with its seal.
pub fn seal(text: &str, format: Format, key: Option<&Key>) -> String {
    let (before, after) = format.around_seal();
    // JSON is one object: the seal becomes its last member.
    let body = if format == Format::Json { text.trim_end().strip_suffix("}").unwrap_or(text) } else { text };
    let said = said(body.as_bytes());
    let signature = key.map(|key| {
        let (public, signature) = (key.0.public_key().as_ref(), key.0.sign(said.as_bytes()));
        format!(" ed25519 {} {}", HEXLOWER.encode(public), HEXLOWER.encode(signature.as_ref()))
    });
    format!("{body}{before}{said}{}{after}", signature.unwrap_or_default())
}

/// What the seal of a file proves; `pinned` is the fingerprint of the one key that may have signed it.
///
/// # Errors
/// [`Broken`].
pub fn verify(octets: &[u8], pinned: Option<&str>) -> Result<Proof, Broken> {
    let parts = |format| split(octets, format);
    let (body, line) = Format::ALL.into_iter().find_map(parts).ok_or(Broken::NoSeal)?;
    let mut words = line.split(' ');
    let first: Vec<&str> = words.by_ref().take(4).collect();
    if first.join(" ") != said(body) {
        return Err(Broken::Digest);
    }
    let rest: Vec<&str> = words.collect();
    match *rest {
        [] if pinned.is_some() || names_a_key(body) => Err(Broken::NotSigned),
        [] => Ok(Proof::Unsigned),
        ["ed25519", key, signature] => {
            let decode = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_error| Broken::NoSeal);
            let (key, signature) = (decode(key)?, decode(signature)?);
            let said = first.join(" ");
            let verified = UnparsedPublicKey::new(&ED25519, &key).verify(said.as_bytes(), &signature);
            verified.map_err(|_unspecified| Broken::Signature)?;
            let fingerprint = fingerprint(&key);
            let is_pinned = pinned.is_none_or(|pinned| pinned.eq_ignore_ascii_case(&fingerprint));
            if is_pinned { Ok(Proof::Signed(fingerprint)) } else { Err(Broken::OtherKey(fingerprint)) }
        }
        _ => Err(Broken::NoSeal),
    }
}

/// Whether a report says, in whatever form, that it was signed: then a seal without a signature is one from which it was cut off.
fn names_a_key(body: &[u8]) -> bool {
    const MARKS: [&str; 6] = [
        "<dt>Signed by</dt><dd>",
        "report verify FILE --key ",
        "\"signed_by\":\"",
        "\"signed_by\",",
        "Signed with the key ",
        oscal::SIGNED_BY,
    ];
    let is_key = |rest: &[u8]| {
        // The cells of a table between the name and the value may be empty, and have quotes.
        let start = rest.iter().take_while(|octet| b",\"".contains(octet)).count();
        rest.get(start..start + 64).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let behind = |mark: &str| {
        let places = memchr::memmem::find_iter(body, mark).map(|at| at + mark.len());
        places.filter_map(|at| body.get(at..)).any(is_key)
    };
    MARKS.into_iter().any(behind)
}

/// What stands before the seal, and its line.
fn split(octets: &[u8], format: Format) -> Option<(&[u8], &str)> {
    let (before, after) = format.around_seal();
    let inner = octets.strip_suffix(after.as_bytes())?;
    let mark = format!("{before}{WORD} ");
    let at = memchr::memmem::rfind(inner, mark.as_bytes())?;
    let (body, rest) = inner.split_at(at);
    let line = std::str::from_utf8(rest.get(before.len()..)?).ok()?;
    // Nothing else may stand there that nobody has signed.
    line.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b' ' || octet == b'-').then_some((body, line))
}

/// What is signed: the first words of the seal.
fn said(body: &[u8]) -> String {
    format!("{WORD} 1 sha256 {}", HEXLOWER.encode(digest(&SHA256, body).as_ref()))
}

fn fingerprint(key: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, key).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODIES: [(Format, &str); 5] = [
        (Format::Html, "<!DOCTYPE html><p>7</p>\n"),
        (Format::Json, "{\"now\":{\"devices\":7}}"),
        (Format::Csv, "section,value\r\n\"now\",7\r\n"),
        (Format::Markdown, "# Seven\n\n"),
        (Format::Oscal, "{\"assessment-results\":{\"back-matter\":{\"resources\":[{}"),
    ];

    fn key() -> Key {
        Key::parse(&Key::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_report_is_what_was_signed_or_is_broken_at_whatever_octet_it_was_changed() {
        let key = key();
        for (format, body) in BODIES {
            for key in [None, Some(&key)] {
                let sealed = seal(body, format, key);
                let proof = key.map_or(Proof::Unsigned, |key| Proof::Signed(key.fingerprint()));
                assert_eq!(verify(sealed.as_bytes(), None), Ok(proof), "{sealed}");
                for at in 0..sealed.len() {
                    for bit in [1, 2, 32] {
                        let mut changed = sealed.clone().into_bytes();
                        changed[at] ^= bit;
                        assert!(verify(&changed, None).is_err(), "{format:?} octet {at} bit {bit}");
                    }
                    assert!(verify(&sealed.as_bytes()[..at], None).is_err(), "cut at {at}");
                }
                assert!(verify(format!("{sealed}\n").as_bytes(), None).is_err());
                assert!(verify(format!(" {sealed}").as_bytes(), None).is_err());
            }
        }
    }

    #[test]
    fn a_sealed_object_is_still_one() {
        let sealed = seal("{\"now\":{\"devices\":7}}", Format::Json, None);
        let value: serde_json::Value = serde_json::from_str(&sealed).unwrap();
        assert_eq!(value["now"]["devices"], 7);
        assert!(value["seal"].as_str().unwrap().starts_with("embargo-seal 1 sha256 "));
    }

    #[test]
    fn a_pinned_key_is_the_only_one_that_will_do() {
        let (ours, theirs) = (key(), key());
        let pinned = ours.fingerprint();
        let (good, forged) = (seal("x", Format::Csv, Some(&ours)), seal("x", Format::Csv, Some(&theirs)));
        assert_eq!(verify(good.as_bytes(), Some(&pinned)), Ok(Proof::Signed(pinned.clone())));
        assert_eq!(verify(forged.as_bytes(), Some(&pinned)), Err(Broken::OtherKey(theirs.fingerprint())));
        // The signature is left away, and the digest made anew.
        assert_eq!(verify(seal("y", Format::Csv, None).as_bytes(), Some(&pinned)), Err(Broken::NotSigned));
        // The signature of another report.
        let theirs = good.replace(&said(b"x"), &said(b"y"));
        assert_eq!(verify(theirs.replacen('x', "y", 1).as_bytes(), None), Err(Broken::Signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "x",
            "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA",
        ] {
            assert_eq!(Key::parse(text).err(), Some(KeyError::Form), "{text}");
        }
    }
}
