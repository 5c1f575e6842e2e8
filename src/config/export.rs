//! `[[export]]` to what is meant: zones of ours for other resolvers, and the keys that they are signed by.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::at::At;
use super::convert::{each, network};
use super::disk::Origin;
use super::file::{Text, Texts};
use super::further::Way;
use super::reader::Reader;
use super::settings::Settings;
use super::unreadable::Unreadable;
use crate::diag::Diagnostic;
use crate::transfer::{PORT, ZONE_NAME_MAX, read_key};
use crate::wire::Name;
use crate::wire::tsig::Key;

/// `[[export]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Export {
    pub(super) zone: Text,
    pub(super) bans: Texts,
    pub(super) allow: Texts,
    pub(super) key_file: Text,
    pub(super) notify: Texts,
}

/// Octets of a file with a key at most.
const KEY_MAX: u64 = 1 << 16;

/// A policy zone for other resolvers.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportSettings {
    /// Its name.
    pub zone: Name,
    /// The ids of the bans it has; `None`: all.
    pub bans: Option<Vec<At<Arc<str>>>>,
    /// Who may have it; empty: whoever has the key.
    pub allow: Vec<IpNet>,
    /// What it is signed by.
    pub key_file: Option<KeyFile>,
    /// Whom to tell of a new version.
    pub notify: Vec<SocketAddr>,
}

/// A file with a key that two servers share.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFile {
    /// Where it is.
    pub path: At<PathBuf>,
    /// What it holds, once it is read.
    pub key: Option<Arc<Key>>,
}

impl Settings {
    /// Every file that holds a key.
    pub(super) fn key_files(&mut self) -> impl Iterator<Item = &mut KeyFile> {
        let zones = self.lists.iter_mut().filter_map(|list| match &mut list.elsewhere.as_mut()?.way {
            Way::Zone(zone) => zone.key_file.as_mut(),
            Way::Url(_) => None,
        });
        self.exports.iter_mut().filter_map(|export| export.key_file.as_mut()).chain(zones)
    }
}

/// The zones that others may have; their keys are still to be read.
pub(super) fn settings(written: &[Spanned<Export>], base: &Path, reader: &mut Reader<'_>) -> Vec<ExportSettings> {
    let mut exports: Vec<ExportSettings> = Vec::new();
    for export in written {
        let Some(settings) = one(export, base, reader) else { continue };
        if exports.iter().any(|before| before.zone == settings.zone) {
            reader.error(export.span(), "a zone of this name is exported already");
        } else {
            exports.push(settings);
        }
    }
    exports
}

fn one(written: &Spanned<Export>, base: &Path, reader: &mut Reader<'_>) -> Option<ExportSettings> {
    let (export, span) = (written.get_ref(), written.span());
    let zone = zone_name(&export.zone, span.clone(), reader);
    let bans = export
        .bans
        .as_ref()
        .map(|bans| bans.get_ref().iter().map(|ban| reader.at(ban.get_ref().as_str().into(), ban.span())).collect());
    let allow = each(&export.allow, network, reader).unwrap_or_default();
    let key_file = key_file(&export.key_file, base, reader);
    if allow.is_empty() && key_file.is_none() {
        reader.error(span, "nobody may have this zone: give a `key_file`, networks to `allow`, or both");
    }
    let notify = each(&export.notify, server, reader).unwrap_or_default();
    Some(ExportSettings { zone: zone?, bans, allow, key_file, notify })
}

/// The name of a zone of ours.
fn zone_name(written: &Text, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Name> {
    reader.required(written, "zone", Some(table));
    let text = written.as_ref().filter(|text| !text.get_ref().trim().is_empty())?;
    let mistake = match Name::parse(text.get_ref()) {
        Ok(name) if (2..=ZONE_NAME_MAX).contains(&name.wire().len()) => return Some(name),
        Ok(_other) => {
            format!(
                "must be a name of at most {} characters, since every banned name stands before it",
                ZONE_NAME_MAX - 2
            )
        }
        Err(error) => error.to_string(),
    };
    reader.error(text.span(), mistake);
    None
}

/// A file that holds a key.
pub(super) fn key_file(written: &Text, base: &Path, reader: &Reader<'_>) -> Option<KeyFile> {
    let written = written.as_ref()?;
    Some(KeyFile { path: reader.at(base.join(written.get_ref()), written.span()), key: None })
}

/// A server of zones: its address, with a port if it is another than 53.
pub(super) fn server(text: &str) -> Result<SocketAddr, Unreadable> {
    server_at(text, PORT)
}

/// The same, with another port if none is written.
pub(super) fn server_at(text: &str, port: u16) -> Result<SocketAddr, Unreadable> {
    let alone = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, port));
    let server: Option<SocketAddr> = alone.or_else(|_with_port| text.parse()).ok();
    server.filter(|server| server.port() != 0).ok_or(Unreadable::NoServer)
}

/// Reads the keys of all files. No message shows any of them.
pub(super) fn read_keys<'k>(files: impl Iterator<Item = &'k mut KeyFile>, mistakes: &mut Vec<Diagnostic>) {
    for KeyFile { path, key } in files {
        match read(path) {
            Ok(read) => *key = Some(Arc::new(read)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
}

fn read(path: &At<PathBuf>) -> Result<Key, Diagnostic> {
    let name = path.value.display();
    let octets =
        Origin::File(path.value.clone()).read(KEY_MAX).map_err(|error| path.error(format!("{name} {error}")))?;
    read_key(&String::from_utf8_lossy(&octets)).map_err(|error| path.error(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_a_port_or_without() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(server(text).ok().map(|server| server.to_string()).as_deref(), expected, "{text}");
        };
        check("192.0.2.1", Some("192.0.2.1:53"));
        check("2001:db8::1", Some("[2001:db8::1]:53"));
        check("192.0.2.1:5300", Some("192.0.2.1:5300"));
        check("ns.example", None);
    }
}
