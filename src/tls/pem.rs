//! Certificates and keys in PEM (RFC 7468), which is how operators keep them.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// Why a PEM text is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// No PEM, or broken.
    #[error("is no PEM: {0}")]
    Broken(pem::Error),
    /// The same of the text that should hold the key.
    #[error("is no PEM: {0}")]
    BrokenKey(pem::Error),
    /// No certificate stands in it.
    #[error("holds no certificate (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// No private key stands in it.
    #[error("holds no private key (`-----BEGIN PRIVATE KEY-----`); one with a passphrase can't be used")]
    NoKey,
    /// The octets between the lines are no certificate that can be used, or no key.
    #[error("can't be used: {0}")]
    Unusable(rustls::Error),
    /// The key does not belong to the certificate.
    #[error("holds another private key than that of the first certificate")]
    Mismatch,
}

impl PemError {
    /// Whether it speaks of the private key rather than of the certificates.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::BrokenKey(_) | Self::Mismatch)
    }
}

/// Who we are: a certificate with those that vouch for it, and its private key. Equal if both are.
#[derive(Clone)]
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// The certificates of the first text, our own first, with the private key of the second.
    ///
    /// # Errors
    /// [`PemError`] when one of them is missing or unusable, or they don't belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PemError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => PemError::NoKey,
            error => PemError::BrokenKey(error),
        })?;
        let identity = Self { chain, key: Arc::new(key) };
        match identity.certified() {
            Ok(_fitting) => Ok(identity),
            Err(rustls::Error::InconsistentKeys(_)) => Err(PemError::Mismatch),
            Err(error) => Err(PemError::Unusable(error)),
        }
    }

    /// For rustls.
    pub(super) fn certified(&self) -> Result<CertifiedKey, rustls::Error> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &provider())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.key == other.key
    }
}

impl Eq for Identity {}

/// Never shows the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Every certificate in a PEM text, at least one.
///
/// # Errors
/// [`PemError`] when there is none, or the text is broken.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found.map_err(PemError::Broken)? {
        none if none.is_empty() => Err(PemError::NoCertificate),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_an_identity_that_shows_no_key() {
        let (chain, key) = made();
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity { certificates: 1, .. }");
        assert_eq!(identity, Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
    }

    #[test]
    fn every_mistake_is_named() {
        let ((chain, key), (_, other)) = (made(), made());
        let check = |chain: &str, key: &str, beginning: &str| {
            let message = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(beginning), "{message}");
        };
        check("", &key, "holds no certificate");
        check(&key, &key, "holds no certificate");
        check(&chain, &chain, "holds no private key");
        check(&chain, &other, "holds another private key than that");
        check(&chain.replacen("MII", "!!!", 1), &key, "is no PEM");
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "can't be used");
    }
}
