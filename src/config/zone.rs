//! `[[list]]` with a `zone`: a policy zone that comes by zone transfer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::at::At;
use super::convert::{each, seconds};
use super::export::{KeyFile, key_file, server_at};
use super::file;
use super::reader::Reader;
use crate::tls::{Trust, is_server_name};
use crate::transfer::{Encryption, Transferred};
use crate::wire::{LowerName, Name};

/// Where zones are served in clear, and over TLS (RFC 9103 §7.2).
const PORT: u16 = 53;
const TLS_PORT: u16 = 853;

/// A policy zone of others.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneList {
    /// What is asked for, of whom; without its key.
    pub wanted: Transferred,
    /// What both sides sign by.
    pub key_file: Option<KeyFile>,
    /// Authorities for its primaries, in place of those that are compiled in.
    pub authorities: Option<At<PathBuf>>,
}

impl ZoneList {
    /// What is asked for, of whom.
    pub fn keyed(&self) -> Transferred {
        let key = self.key_file.as_ref().and_then(|file| file.key.clone());
        Transferred { key, ..self.wanted.clone() }
    }

    /// Where it comes from, as people are told.
    pub(super) fn source(&self) -> String {
        let primaries: Vec<String> = self.wanted.primaries.iter().map(ToString::to_string).collect();
        format!("zone {} from {}", LowerName::from(&self.wanted.zone), primaries.join(", "))
    }

    /// The file of its key.
    pub(super) fn watched(&self) -> Option<&At<PathBuf>> {
        self.key_file.as_ref().map(|file| &file.path).or(self.authorities.as_ref())
    }
}

/// The zone of one `[[list]]`.
pub(super) fn zone(
    written: &Spanned<String>,
    list: &file::FurtherList,
    size_max_bytes: u64,
    base: &Path,
    reader: &mut Reader<'_>,
) -> Option<ZoneList> {
    only_of_urls(list, reader);
    let tls = tls(list, reader);
    let port = if list.tls_name.is_some() { TLS_PORT } else { PORT };
    let primaries = each(&list.primaries, |text| server_at(text, port), reader).unwrap_or_default();
    if list.primaries.as_ref().is_none_or(|written| written.get_ref().is_empty()) {
        let span = list.primaries.as_ref().map_or(written.span(), Spanned::span);
        reader.error(span, "a zone needs the addresses of its `primaries`");
    }
    let time_max = reader.duration(&list.time_max, seconds(1..=60 * 60), std::time::Duration::from_secs(300));
    let key_file = key_file(&list.key_file, base, reader);
    let zone = match Name::parse(written.get_ref()) {
        Ok(zone) => zone,
        Err(error) => {
            reader.error(written.span(), error.to_string());
            return None;
        }
    };
    let wanted = Transferred { zone, primaries, tls, key: None::<Arc<_>>, size_max_bytes, time_max };
    let authorities = list.ca_file.as_ref().map(|text| reader.at(base.join(text.get_ref()), text.span()));
    Some(ZoneList { wanted, key_file, authorities })
}

/// By what name primaries are known, if they are asked over TLS.
fn tls(list: &file::FurtherList, reader: &mut Reader<'_>) -> Option<Encryption> {
    let Some(name) = &list.tls_name else {
        if let Some(ca_file) = &list.ca_file {
            reader.error(ca_file.span(), "`ca_file` of a `zone` needs the `tls_name` of its primaries");
        }
        return None;
    };
    if !is_server_name(name.get_ref()) {
        reader.error(name.span(), "no name or address of a server, as certificates have it");
    }
    Some(Encryption { name: name.get_ref().as_str().into(), trust: Trust::default() })
}

/// What means nothing for a zone, which says itself how often to look.
fn only_of_urls(list: &file::FurtherList, reader: &mut Reader<'_>) {
    let texts = [("minisign_key", &list.minisign_key), ("format", &list.format)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?.span())));
    let refresh = list.refresh.iter().map(|measure| ("refresh", measure.span()));
    let internal = list.internal.iter().map(|flag| ("internal", flag.span()));
    for (key, span) in texts.chain(refresh).chain(internal) {
        reader.error(span, format!("`{key}` means nothing for a `zone`"));
    }
}
