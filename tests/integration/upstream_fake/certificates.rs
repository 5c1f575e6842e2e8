//! Certificates, good and bad, made by the test that needs them.

use embargo::tls::Trust;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, date_time_ymd};
use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate authority that nobody knows but the test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A chain is found by the names of those who sign.
        params.distinguished_name.push(DnType::CommonName, format!("authority {:x}", rand::random::<u64>()));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names and addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Certificate {
        self.sign(&CertificateParams::new(owned(names)).unwrap())
    }

    /// The same, but for years that are over.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Certificate {
        let mut params = CertificateParams::new(owned(names)).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { pem: made.pem(), der: made.der().clone(), key }
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Whoever believes it, and nobody else.
    pub(crate) fn trust(&self) -> Trust {
        Trust::default().believing(self.pem.as_bytes()).unwrap()
    }
}

impl Certificate {
    /// The certificate and its key for rustls.
    pub(crate) fn for_server(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.der.clone()], PrivateKeyDer::try_from(self.key.serialize_der()).unwrap())
    }

    /// The pin of its key, as an operator writes it.
    pub(crate) fn pin(&self) -> String {
        let octets = digest(&SHA256, &self.key.subject_public_key_info());
        format!("sha256/{}", data_encoding::BASE64.encode(octets.as_ref()))
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
