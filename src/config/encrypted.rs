//! Settings of encrypted transports as written to what they mean.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::convert::{each, listen, network};
use super::file::{self, File, Text, Texts};
use super::reader::Reader;
use super::settings::{EncryptedSettings, TlsSettings};

/// Octets of a path at most.
const PATH_MAX: usize = 256;

/// Both files are needed; a missing one is a mistake, which keeps the whole out of force.
pub(super) fn tls(written: &Spanned<file::Tls>, base: &Path, reader: &mut Reader<'_>) -> TlsSettings {
    let (table, file) = (written.span(), written.get_ref());
    files((&file.certificate, &file.key), &table, base, reader)
}

/// The same of any table that holds these keys.
pub(super) fn files(
    (certificate, key): (&Text, &Text),
    table: &Range<usize>,
    base: &Path,
    reader: &mut Reader<'_>,
) -> TlsSettings {
    let mut path = |text: &Text, key: &str| {
        let name = reader.required(text, key, Some(table.clone()));
        reader.at(base.join(&*name), text.as_ref().map_or(table.clone(), Spanned::span))
    };
    let (certificate, key) = (path(certificate, "certificate"), path(key, "key"));
    TlsSettings { certificate, key, names: Vec::new() }
}

impl Default for EncryptedSettings {
    fn default() -> Self {
        Self {
            listen_tls: Vec::new(),
            listen_https: Vec::new(),
            listen_http: Vec::new(),
            listen_quic: Vec::new(),
            https_path: "/dns-query".to_owned(),
            https_proxies: Vec::new(),
        }
    }
}

/// Where clients are served over encrypted transports, which needs a certificate and addresses that nothing else is served on.
pub(super) fn settings(file: &File, reader: &mut Reader<'_>) -> EncryptedSettings {
    for span in [&file.listen_tls, &file.listen_https, &file.listen_quic].into_iter().filter_map(named) {
        if file.tls.is_none() {
            reader.error(span, "needs a certificate: write `[tls]` with `certificate` and `key`");
        }
    }
    if let Some(span) = named(&file.listen_http)
        && named(&file.https.proxies).is_none()
    {
        reader.error(span, "is for reverse proxies, which are heard in clear: name them in `[https]` as `proxies`");
    }
    let page = &file.block_page;
    each_once([&file.listen, &file.listen_tls, &file.listen_https, &file.listen_http, &page.http, &page.https], reader);
    each_once([&file.listen, &file.listen_quic], reader);
    let mut addresses = |texts| each(texts, listen, reader).unwrap_or_default();
    EncryptedSettings {
        listen_tls: addresses(&file.listen_tls),
        listen_https: addresses(&file.listen_https),
        listen_http: addresses(&file.listen_http),
        listen_quic: addresses(&file.listen_quic),
        https_path: path(&file.https.path, EncryptedSettings::default().https_path, reader),
        https_proxies: each(&file.https.proxies, network, reader).unwrap_or_default(),
    }
}

/// A path as it stands in a request and in a URI template.
fn path(written: &Text, default: String, reader: &mut Reader<'_>) -> String {
    let Some(text) = written else { return default };
    let path = text.get_ref();
    let fits = |octet: u8| octet.is_ascii_graphic() && !b"?#{}\"<>\\^`|".contains(&octet);
    if !path.starts_with('/') || path.len() > PATH_MAX || !path.bytes().all(fits) {
        reader.error(text.span(), "no path; write for example \"/dns-query\"");
    }
    path.clone()
}

/// Where something is written, if it is.
fn named(texts: &Texts) -> Option<Range<usize>> {
    texts.as_ref().filter(|texts| !texts.get_ref().is_empty()).map(Spanned::span)
}

/// Each of these addresses has sockets of its own.
fn each_once<const LISTS: usize>(lists: [&Texts; LISTS], reader: &mut Reader<'_>) {
    let mut met = HashSet::new();
    for text in lists.into_iter().flatten().flat_map(Spanned::get_ref) {
        let address = text.get_ref().parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        if address.is_some_and(|address| !met.insert(address)) {
            reader.error(text.span(), "this address is listened on already; each transport needs one of its own");
        }
    }
}
