//! What a certificate says of itself, for those who keep it: its names, and when it is valid.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::pem::Identity;
use crate::time::Timestamp;

/// A certificate as its keeper should know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Names and addresses that it is for (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    /// Its first moment.
    pub from: Timestamp,
    /// Its last moment.
    pub until: Timestamp,
}

impl Paper {
    /// What the first certificate of this identity says; `None` if it can't be read so far.
    pub fn of(identity: &Identity) -> Option<Self> {
        let (_nothing, certificate) = X509Certificate::from_der(identity.chain.first()?).ok()?;
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
        let validity = certificate.validity();
        let moment = |seconds| Timestamp::from_second(seconds).ok();
        Some(Self {
            names,
            from: moment(validity.not_before.timestamp())?,
            until: moment(validity.not_after.timestamp())?,
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = v4.or_else(|_longer| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok()?;
            Some(address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn names_addresses_and_dates_are_read() {
        let key = KeyPair::generate().unwrap();
        let names = ["dns.example", "*.dns.example", "192.0.2.53", "2001:db8::53"].map(str::to_owned);
        let mut params = CertificateParams::new(names.clone()).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 2), date_time_ymd(2126, 3, 4));
        let pem = params.self_signed(&key).unwrap().pem();
        let identity = Identity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let paper = Paper::of(&identity).unwrap();
        assert_eq!(paper.names, names);
        assert_eq!(paper.from.to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(paper.until.to_string(), "2126-03-04T00:00:00Z");
    }
}
