//! The files of encrypted upstreams: whom they must be vouched for by, and as whom we show ourselves to them.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file::{self, Text};
use super::reader::Reader;
use super::settings::TrustFiles;
use super::tls;
use crate::diag::Diagnostic;
use crate::tls::Trust;

/// The files that `[upstream]` names.
pub(super) fn files(file: &file::Upstream, base: &Path, reader: &mut Reader<'_>) -> TrustFiles {
    of((&file.ca_file, &file.client_certificate, &file.client_key), base, reader)
}

/// Certificate authorities, and our certificate with its key.
pub(super) fn of(
    (authorities, certificate, key): (&Text, &Text, &Text),
    base: &Path,
    reader: &mut Reader<'_>,
) -> TrustFiles {
    let path = |written: &Text, reader: &Reader<'_>| {
        written.as_ref().map(|text| reader.at(base.join(text.get_ref()), text.span()))
    };
    let (own_certificate, own_key) = (path(certificate, reader), path(key, reader));
    let alone = |written: &Text, other: &str, reader: &mut Reader<'_>| {
        let span = written.as_ref().map(Spanned::span).unwrap_or_default();
        reader.error(span, format!("`{other}` belongs to it and is missing"));
    };
    let client = match (own_certificate, own_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => {
            alone(certificate, "client_key", reader);
            None
        }
        (None, Some(_)) => {
            alone(key, "client_certificate", reader);
            None
        }
        (None, None) => None,
    };
    TrustFiles { authorities: path(authorities, reader), client }
}

impl TrustFiles {
    /// Reads them; what is wrong with one is a mistake where it is named.
    pub(super) fn read(&self, mistakes: &mut Vec<Diagnostic>) -> Trust {
        let mut trust = Trust::default();
        if let Some(path) = &self.authorities
            && let Some(text) = tls::read(path, mistakes)
        {
            match trust.clone().believing(&text) {
                Ok(believing) => trust = believing,
                Err(error) => mistakes.push(tls::wrong(path, &error)),
            }
        }
        if let Some((certificate, key)) = &self.client
            && let Some(identity) = tls::pair(certificate, key, mistakes)
        {
            trust = trust.showing(identity);
        }
        trust
    }

    /// Every one of them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.authorities.iter().chain(client).map(|path| &path.value)
    }
}
