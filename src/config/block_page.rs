//! `[block_page]`: where those are received who were sent to addresses of ours, and what a ban says to them in a language.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::ban::addresses;
use super::convert::{each, listen};
use super::encrypted;
use super::file::{Count, Text, Texts};
use super::reader::Reader;
use super::settings::TlsSettings;
use crate::policy::{Language, PageText};

/// `[block_page]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BlockPage {
    pub(super) http: Texts,
    pub(super) https: Texts,
    addresses: Texts,
    certificate: Text,
    key: Text,
    language: Text,
    connections_max: Count,
}

/// `[page.<language>]` of a ban as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Page {
    text: Text,
    alternatives: Text,
}

/// The pages of a ban by their languages.
pub(super) type Pages = BTreeMap<Spanned<String>, Page>;

/// Where the block page is, and as whom it shows itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPageSettings {
    /// Addresses to answer HTTP on; none: no page.
    pub http: Vec<SocketAddr>,
    /// Addresses to answer HTTPS on.
    pub https: Vec<SocketAddr>,
    /// What names of bans are answered that take the action `sinkhole` and name no address.
    pub addresses: Vec<IpAddr>,
    /// The certificate for the names that it is for; others are turned away.
    pub tls: Option<TlsSettings>,
    /// The language of those who say none that there is.
    pub language: Language,
    /// Connections at once.
    pub connections_max: usize,
}

impl Default for BlockPageSettings {
    fn default() -> Self {
        Self {
            http: Vec::new(),
            https: Vec::new(),
            addresses: Vec::new(),
            tls: None,
            language: Language::default(),
            connections_max: 512,
        }
    }
}

impl BlockPageSettings {
    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        !(self.http.is_empty() && self.https.is_empty())
    }
}

/// What the table says.
pub(super) fn settings(file: &BlockPage, base: &Path, reader: &mut Reader<'_>) -> BlockPageSettings {
    let default = BlockPageSettings::default();
    let mut read = |texts| each(texts, listen, reader).unwrap_or_default();
    let (http, https) = (read(&file.http), read(&file.https));
    let written = file.addresses.as_ref().map(|texts| addresses(texts.get_ref(), reader));
    BlockPageSettings {
        addresses: written.unwrap_or_else(|| own_addresses(&http, &https)),
        tls: certificate(file, base, reader),
        language: language(&file.language, default.language, reader),
        connections_max: reader.count(&file.connections_max, 16..=8_192, default.connections_max),
        http,
        https,
    }
}

/// The addresses that are listened on, as far as they are addresses of hosts.
fn own_addresses(http: &[SocketAddr], https: &[SocketAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in http.iter().chain(https).map(SocketAddr::ip).filter(|address| !address.is_unspecified()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Both files are needed, or neither.
fn certificate(file: &BlockPage, base: &Path, reader: &mut Reader<'_>) -> Option<TlsSettings> {
    let one = file.certificate.as_ref().or(file.key.as_ref())?;
    if file.https.as_ref().is_none_or(|https| https.get_ref().is_empty()) {
        reader.error(one.span(), "nothing of it is shown without `https`");
    }
    Some(encrypted::files((&file.certificate, &file.key), &one.span(), base, reader))
}

fn language(written: &Text, default: Language, reader: &mut Reader<'_>) -> Language {
    reader.word(written, "language", &Language::ALL, Language::as_str).map_or(default, |at| at.value)
}

/// What a ban says in each language.
pub(super) fn pages(written: &Pages, reader: &mut Reader<'_>) -> Vec<PageText> {
    let mut pages = Vec::new();
    for (language, page) in written {
        let tag = Some(Spanned::new(language.span(), language.get_ref().clone()));
        let Some(known) = reader.word(&tag, "language", &Language::ALL, Language::as_str) else { continue };
        pages.push(PageText {
            language: known.value,
            text: plain(&page.text),
            alternatives: plain(&page.alternatives),
        });
    }
    pages
}

/// These pages, and those of `below` in languages that they leave out.
pub(super) fn over(mut pages: Vec<PageText>, below: Vec<PageText>) -> Vec<PageText> {
    for page in below {
        match pages.iter_mut().find(|above| above.language == page.language) {
            None => pages.push(page),
            Some(above) => {
                let fill = |above: &mut Arc<str>, below: Arc<str>| {
                    if above.is_empty() {
                        *above = below;
                    }
                };
                fill(&mut above.text, page.text);
                fill(&mut above.alternatives, page.alternatives);
            }
        }
    }
    pages
}

fn plain(written: &Text) -> Arc<str> {
    written.as_ref().map_or_else(|| "".into(), |text| text.get_ref().as_str().into())
}
