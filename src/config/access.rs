//! Who may use the admin server, as written to what it means.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::convert::{each, flag, network};
use super::file::{Flag, Text, Texts};
use super::reader::Reader;
use super::settings::TlsSettings;
use super::unreadable::Unreadable;
use crate::access::{Scope, Scopes};
use crate::admin::Rules;
use crate::wire::Name;

/// Characters of a header's name at most.
const HEADER_MAX: usize = 64;
/// Headers that mean something else.
const TAKEN: [&str; 5] = ["authorization", "cookie", "host", "origin", "x-forwarded-for"];

/// `[access]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Access {
    pub(super) hosts: Texts,
    pub(super) loopback_reads: Flag,
    pub(super) certificate: Text,
    pub(super) key: Text,
    pub(super) proxies: Texts,
    pub(super) user_header: Text,
    pub(super) forwarded_scopes: Texts,
}

/// Who may use the admin server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessSettings {
    /// What is asked of those who come.
    pub rules: Arc<Rules>,
    /// As whom they are shown the server; `None`: in clear.
    pub tls: Option<TlsSettings>,
}

pub(super) fn settings(file: &Access, base: &Path, reader: &mut Reader<'_>) -> AccessSettings {
    let default = Rules::default();
    let scopes = each(&file.forwarded_scopes, scope, reader);
    let rules = Rules {
        hosts: each(&file.hosts, host, reader).unwrap_or(default.hosts),
        loopback_reads: flag(&file.loopback_reads, default.loopback_reads),
        proxies: each(&file.proxies, network, reader).unwrap_or(default.proxies),
        user_header: header(&file.user_header, default.user_header, reader),
        forwarded_scopes: scopes.map_or(default.forwarded_scopes, Scopes::from_iter),
    };
    AccessSettings { rules: Arc::new(rules), tls: tls(file, base, reader) }
}

/// Both files or neither.
fn tls(file: &Access, base: &Path, reader: &mut Reader<'_>) -> Option<TlsSettings> {
    let (certificate, key) = match (&file.certificate, &file.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return None,
        (Some(alone), None) => {
            reader.error(alone.span(), "needs its `key`");
            return None;
        }
        (None, Some(alone)) => {
            reader.error(alone.span(), "needs its `certificate`");
            return None;
        }
    };
    let path = |text: &Spanned<String>| reader.at(base.join(text.get_ref()), text.span());
    Some(TlsSettings { certificate: path(certificate), key: path(key), names: Vec::new() })
}

/// A name by which browsers call the server.
fn host(text: &str) -> Result<String, Unreadable> {
    let name = Name::parse(text)?;
    let text = name.to_string().to_ascii_lowercase();
    Ok(text.trim_end_matches('.').to_owned())
}

fn scope(text: &str) -> Result<Scope, Unreadable> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(Unreadable::NoScope)
}

/// A header's name.
fn header(written: &Text, default: String, reader: &mut Reader<'_>) -> String {
    let Some(text) = written else { return default };
    let name = text.get_ref().to_ascii_lowercase();
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if name.is_empty() || name.len() > HEADER_MAX || !name.bytes().all(fits) {
        reader.error(text.span(), "no name of a header; write for example \"X-Forwarded-User\"");
        return default;
    }
    if TAKEN.contains(&name.as_str()) {
        reader.error(text.span(), "this header means something else");
        return default;
    }
    name
}
