//! `[privacy]`, and `privacy` of a site, as written to how much of whom is recorded.

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::file::{self, Flag, Text};
use super::reader::Reader;
use crate::journal::{Level, PrivacyConfig};
use crate::policy::{Group, GroupKind};

/// `[privacy]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Privacy {
    pub(super) level: Text,
}

/// `[audit]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) reads: Flag,
}

/// How much of whom is recorded. Only a site has a level of its own: a client is of one at most.
pub(super) fn settings(
    written: &Privacy,
    all: &[Spanned<file::Group>],
    groups: &[Group],
    reader: &mut Reader<'_>,
) -> PrivacyConfig {
    let mut level = |written: &Text| reader.word(written, "level", &Level::ALL, Level::as_str).map(|at| at.value);
    let elsewhere = level(&written.level).unwrap_or_default();
    let said = all.iter().zip(groups).filter_map(|(written, group)| Some((level(&written.get_ref().privacy)?, group)));
    let sites = said.map(|(level, group)| (Arc::clone(&group.id), level)).collect();
    for (written, group) in all.iter().zip(groups).filter(|(_written, group)| group.kind != GroupKind::Site) {
        if let Some(text) = &written.get_ref().privacy {
            let message = format!("a client may be of any {}; only a site has a level of privacy", group.kind.as_str());
            reader.error(text.span(), message);
        }
    }
    PrivacyConfig { elsewhere, sites }
}
