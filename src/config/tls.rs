//! Certificates and keys in files, read and checked with everything else; first of all the one that clients are shown.

use std::path::PathBuf;

use super::Loaded;
use super::at::At;
use super::circle;
use super::disk::Origin;
use super::exemption;
use super::further::ListFile;
use super::settings::{Settings, TlsSettings};
use crate::diag::Diagnostic;
use crate::time::Timestamp;
use crate::tls::{Identity, Paper, PemError};

/// Octets of a file with certificates, or a key, at most; all authorities of a system take a quarter of it.
const PEM_MAX: u64 = 1 << 20;
/// A certificate in the last of so many parts of its life should have been renewed.
const LAST_OF: i64 = 10;

/// The identity that the settings name, if they name one and it can be used.
pub(super) fn identity(settings: &mut Settings, mistakes: &mut Vec<Diagnostic>) -> Option<Identity> {
    let TlsSettings { certificate, key, .. } = settings.tls.as_ref()?;
    let identity = pair(certificate, key, mistakes);
    learn_names(settings, identity.as_ref());
    identity
}

/// The same of the block page.
pub(super) fn of_block_page(settings: &Settings, mistakes: &mut Vec<Diagnostic>) -> Option<Identity> {
    let TlsSettings { certificate, key, .. } = settings.block_page.tls.as_ref()?;
    pair(certificate, key, mistakes)
}

/// Notes the names that the certificate is for.
pub(super) fn learn_names(settings: &mut Settings, identity: Option<&Identity>) {
    if let Some(files) = &mut settings.tls {
        files.names = identity.and_then(Paper::of).map(|paper| paper.names).unwrap_or_default();
    }
}

/// Who we are by a certificate and its key.
pub(super) fn pair(certificate: &At<PathBuf>, key: &At<PathBuf>, mistakes: &mut Vec<Diagnostic>) -> Option<Identity> {
    let (chain, secret) = (read(certificate, mistakes), read(key, mistakes));
    // Points at the file that has to be changed.
    let at_fault = |error: PemError| wrong(if error.is_about_key() { key } else { certificate }, &error);
    Identity::from_pem(&chain?, &secret?).map_err(|error| mistakes.push(at_fault(error))).ok()
}

/// What a file of PEM holds.
pub(super) fn read(path: &At<PathBuf>, mistakes: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let read = Origin::File(path.value.clone()).read(PEM_MAX);
    read.map_err(|error| mistakes.push(path.error(format!("{}: {error}", path.value.display())))).ok()
}

/// A mistake of the file, where it is named.
pub(super) fn wrong(path: &At<PathBuf>, error: &PemError) -> Diagnostic {
    path.error(format!("{}: {error}", path.value.display()))
}

impl Loaded {
    /// What is right and still needs attention at `now`: clients refuse a certificate before and after its time, and whoever is
    /// on the way can change a list that is neither encrypted nor signed; an exemption that has ended can be removed; a zone that is
    /// given back may never lose a name.
    pub fn warnings(&self, now: Timestamp) -> Vec<Diagnostic> {
        let lists = self.settings.lists.iter().filter_map(ListFile::warning);
        let ended = exemption::warnings(&self.settings.exemptions, now);
        let circles = circle::warnings(&self.settings);
        self.of_certificate(now).into_iter().chain(lists).chain(circles).chain(ended).collect()
    }

    fn of_certificate(&self, now: Timestamp) -> Vec<Diagnostic> {
        let both = [(&self.settings.tls, &self.identity), (&self.settings.block_page.tls, &self.block_page)];
        both.into_iter().filter_map(|(files, identity)| of_one(files.as_ref()?, identity.as_ref()?, now)).collect()
    }
}

fn of_one(files: &TlsSettings, identity: &Identity, now: Timestamp) -> Option<Diagnostic> {
    let warn = |message: String| files.certificate.warning(message);
    let Some(paper) = Paper::of(identity) else {
        return Some(warn("it can't be read until when this certificate is valid".to_owned()));
    };
    about(&paper, now).map(warn)
}

fn about(paper: &Paper, now: Timestamp) -> Option<String> {
    let Paper { names, from, until } = paper;
    let life = until.as_second() - from.as_second();
    if *until < now {
        Some(format!("this certificate has expired at {until}; clients refuse it"))
    } else if now < *from {
        Some(format!("this certificate is not valid before {from}; clients refuse it"))
    } else if until.as_second() - now.as_second() < life / LAST_OF {
        Some(format!("this certificate expires at {until}; renew it"))
    } else if names.is_empty() {
        Some("this certificate is for no name and no address; clients refuse it".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_before_its_first_day_in_its_last_part_and_after_it() {
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        let paper = |names: &[&str]| Paper {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            from: moment("2026-01-01T00:00:00Z"),
            until: moment("2026-04-11T00:00:00Z"),
        };
        let check = |names: &[&str], now: &str, part: Option<&str>| {
            let found = about(&paper(names), moment(now));
            assert_eq!(found.is_some(), part.is_some(), "{now}: {found:?}");
            assert!(part.is_none_or(|part| found.as_ref().unwrap().contains(part)), "{found:?}");
        };
        check(&["dns.example"], "2025-12-31T00:00:00Z", Some("is not valid before 2026-01-01"));
        check(&["dns.example"], "2026-01-01T00:00:00Z", None);
        check(&["dns.example"], "2026-04-01T00:00:00Z", None);
        check(&["dns.example"], "2026-04-01T00:00:01Z", Some("expires at 2026-04-11"));
        check(&["dns.example"], "2026-04-12T00:00:00Z", Some("has expired"));
        check(&[], "2026-02-01T00:00:00Z", Some("for no name"));
    }
}
