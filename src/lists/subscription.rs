//! What an operator subscribes to: a URL, how often it is asked, how long that may take, and by whom the list must be signed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use minisign_verify::PublicKey;
use url::{Host, Url};

use crate::tls::Trust;

/// Where a list is fetched, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Where it is.
    pub url: ListUrl,
    /// It is asked for this often.
    pub refresh: Duration,
    /// It must have come within this.
    pub time_max: Duration,
    /// Whose signature must lie beside it, as `<url>.minisig`.
    pub signed_by: Option<SigningKey>,
    /// Whether what its server says of its type does not count: the operator has written its format.
    pub of_any_type: bool,
    /// Whether it may come from an address that is not of the public internet.
    pub internal: bool,
    /// Whom its server must be vouched for by.
    pub trust: Trust,
}

/// A URL of `http` or `https` with a host, and neither user nor fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUrl(Url);

/// Why a text is no URL of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL at all.
    #[error("no URL: {0}; write for example \"https://lists.example/names.txt\"")]
    Not(url::ParseError),
    /// Another scheme.
    #[error("`{0}://` is not spoken; write `https://` or `http://`")]
    Scheme(String),
    /// A user or a password.
    #[error("no user and no password can stand in it: messages and the state directory show URLs")]
    User,
}

/// The public key of minisign that a list must be signed with.
#[derive(Clone)]
pub struct SigningKey {
    key: PublicKey,
    text: String,
}

/// A text is no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no public key of minisign; write the line of its .pub file that begins with RW")]
pub struct SigningKeyError;

impl ListUrl {
    /// The host as a name; `None`: an address.
    pub fn host_name(&self) -> Option<&str> {
        match self.0.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether it is fetched over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// What lies there, for whoever asks.
    pub(super) fn inner(&self) -> &Url {
        &self.0
    }

    /// What a request asks its server for.
    pub(super) fn target(&self) -> String {
        let path = self.0.path();
        self.0.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// The host as a request names it, with its port unless that goes without saying.
    pub(super) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Where a redirect from here leads.
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        Self::of(self.0.join(location).map_err(UrlError::Not)?)
    }

    /// The same with something behind its path.
    pub(super) fn with_suffix(&self, suffix: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{suffix}", self.0.path()));
        Self(url)
    }

    fn of(mut url: Url) -> Result<Self, UrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::User);
        }
        // A part of the page, for browsers.
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl FromStr for ListUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::of(Url::parse(text).map_err(UrlError::Not)?)
    }
}

impl fmt::Display for ListUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SigningKey {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For whoever verifies.
    pub(super) fn inner(&self) -> &PublicKey {
        &self.key
    }
}

impl FromStr for SigningKey {
    type Err = SigningKeyError;

    fn from_str(text: &str) -> Result<Self, SigningKeyError> {
        let key = PublicKey::from_base64(text).map_err(|_no_key| SigningKeyError)?;
        Ok(Self { key, text: text.to_owned() })
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_address_without_a_user_is_taken() {
        let read = |text: &str| text.parse::<ListUrl>().map(|url| url.to_string()).map_err(|error| error.to_string());
        assert_eq!(read("https://Lists.Example/a.txt#top").unwrap(), "https://lists.example/a.txt");
        assert_eq!(read("http://[2001:db8::1]:8080").unwrap(), "http://[2001:db8::1]:8080/");
        assert_eq!(read("https://bücher.example/").unwrap(), "https://xn--bcher-kva.example/");
        for (text, part) in [
            ("ftp://lists.example/a", "`ftp://` is not spoken"),
            ("file:///etc/passwd", "`file://` is not spoken"),
            ("https://me:secret@lists.example/", "no user"),
            ("lists.example/a.txt", "no URL"),
            ("https://", "no URL"),
            ("", "no URL"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_redirect_is_read_from_where_it_stands() {
        let url: ListUrl = "https://lists.example/a/b.txt?x=1".parse().unwrap();
        let to = |location: &str| url.join(location).map(|url| url.to_string()).ok();
        assert_eq!(to("c.txt").as_deref(), Some("https://lists.example/a/c.txt"));
        assert_eq!(to("/c.txt").as_deref(), Some("https://lists.example/c.txt"));
        assert_eq!(to("//other.example/c").as_deref(), Some("https://other.example/c"));
        assert_eq!(to("file:///etc/passwd"), None);
        assert_eq!(url.with_suffix(".minisig").to_string(), "https://lists.example/a/b.txt.minisig?x=1");
    }

    #[test]
    fn a_key_is_known_by_its_line() {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert_eq!(format!("{:?}", key.parse::<SigningKey>().unwrap()), key);
        for wrong in ["", "RW", "untrusted comment: minisign public key", key.strip_prefix("R").unwrap()] {
            assert_eq!(wrong.parse::<SigningKey>(), Err(SigningKeyError), "{wrong:?}");
        }
    }
}
