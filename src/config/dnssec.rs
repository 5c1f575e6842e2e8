//! `[dnssec]` as written to what is validated.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use toml::Spanned;

use super::at::At;
use super::convert::{each, flag, name};
use super::disk::Origin;
use super::file;
use super::reader::Reader;
use super::settings::DnssecSettings;
use crate::diag::Diagnostic;
use crate::upstream::{Anchors, Exempt, Validation};

/// Octets of a file of trust anchors at most: it has a few lines.
const ANCHORS_MAX: u64 = 64 * 1024;

/// Reads the table; `base` is the directory that its relative path starts from, `zone` that in which a day begins.
pub(super) fn settings(file: &file::Dnssec, base: &Path, zone: &TimeZone, reader: &mut Reader<'_>) -> DnssecSettings {
    let default = DnssecSettings::default();
    let insecure = each(&file.insecure, name, reader).unwrap_or_default();
    let mut exempt: Vec<Exempt> = insecure.into_iter().map(|name| Exempt { name, until: None }).collect();
    exempt.extend(file.negative_anchor.iter().filter_map(|anchor| negative_anchor(anchor, zone, reader)));
    DnssecSettings {
        validate: flag(&file.validate, default.validate),
        trust_anchors: file.trust_anchors.as_ref().map(|path| reader.at(base.join(path.get_ref()), path.span())),
        exempt,
    }
}

/// What answers are validated by, if they are; reads the file of keys, and tells what is wrong with it.
pub(super) fn validation(settings: &DnssecSettings, mistakes: &mut Vec<Diagnostic>) -> Option<Validation> {
    let anchors = settings.trust_anchors.as_ref().and_then(|path| anchors(path, mistakes)).unwrap_or_default();
    settings.validate.then(|| Validation { anchors, exempt: settings.exempt.clone() })
}

fn anchors(path: &At<PathBuf>, mistakes: &mut Vec<Diagnostic>) -> Option<Anchors> {
    let name = path.value.display();
    let read = match Origin::File(path.value.clone()).read(ANCHORS_MAX) {
        Ok(octets) => Anchors::from_text(&String::from_utf8_lossy(&octets)).map_err(|error| {
            let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
            format!("{name}{line}: {error}")
        }),
        Err(error) => Err(format!("{name} {error}")),
    };
    read.map_err(|mistake| mistakes.push(path.error(mistake))).ok()
}

/// A zone that is broken for now: without an end it would be forgotten, and stay open to whoever forges answers.
fn negative_anchor(
    written: &Spanned<file::NegativeAnchor>,
    zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> Option<Exempt> {
    let (table, anchor) = (written.span(), written.get_ref());
    let text = reader.required(&anchor.zone, "zone", Some(table.clone()));
    if anchor.until.is_none() {
        reader.missing("until", Some(table));
    }
    let until = reader.moment(&anchor.until, zone)?;
    if text.is_empty() {
        return None;
    }
    match name(&text) {
        Ok(name) => Some(Exempt { name, until: Some(until.value) }),
        Err(error) => {
            let span = anchor.zone.as_ref().map(Spanned::span).unwrap_or_default();
            reader.error(span, error.to_string());
            None
        }
    }
}
