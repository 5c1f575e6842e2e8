//! What is answered without asking anybody: `[local]`, and the hosts file that it names.

use std::path::{Path, PathBuf};

use super::convert::{each, flag, name, seconds};
use super::file;
use super::reader::Reader;
use super::settings::{LocalSettings, Settings};
use super::suggest::nearest_first;
use super::unreadable::Unreadable;
use super::{At, Origin};
use crate::diag::{Diagnostic, Source};
use crate::local::{FIXED, HOSTS_MAX, Host, Record, TTL_MAX, clashes, endless, hosts, special_use};
use crate::wire::Name;

/// Special-use names that a message offers at most: there are more than a hundred.
const OFFERED_MAX: usize = 5;

/// A hosts file as read.
#[derive(Debug, Default)]
pub struct LocalLoad {
    /// Its lines.
    pub hosts: Vec<Host>,
    /// What has to be said about it and about own records; warnings all, since a name less is no reason not to serve.
    pub diagnostics: Vec<Diagnostic>,
}

/// `[local]` as written to what is meant.
pub(super) fn settings(
    file: &file::Local,
    base: &Path,
    default: &LocalSettings,
    reader: &mut Reader<'_>,
) -> LocalSettings {
    let records = records(file, reader);
    let values: Vec<&Record> = records.iter().map(|record| &record.value).collect();
    let beside = (clashes(&values), "beside an alias (CNAME) its name can have no other record");
    let without_end = (endless(&values), "this alias leads to no end, or to one behind more than 7 aliases");
    for (places, message) in [beside, without_end] {
        let mistakes = places.into_iter().filter_map(|at| records.get(at)).map(|record| record.error(message));
        reader.mistakes.extend(mistakes);
    }
    let hosts = file.hosts.as_ref().map(|path| reader.at(base.join(path.get_ref()), path.span()));
    let ttl = reader.duration(&file.ttl, seconds(0..=u64::from(TTL_MAX)), default.ttl);
    LocalSettings {
        records,
        hosts,
        ttl,
        special_use_off: each(&file.special_use_off, zone, reader).unwrap_or_default(),
        rebind_protection: flag(&file.rebind_protection, default.rebind_protection),
        rebind_allow: each(&file.rebind_allow, name, reader).unwrap_or_default(),
    }
}

fn records(file: &file::Local, reader: &mut Reader<'_>) -> Vec<At<Record>> {
    let mut records = Vec::new();
    for line in file.records.iter().flat_map(toml::Spanned::get_ref) {
        match Record::parse(line.get_ref()) {
            Ok(record) => records.push(reader.at(record, line.span())),
            Err(error) => reader.error(line.span(), error.to_string()),
        }
    }
    records
}

/// A special-use zone that may be switched off.
fn zone(text: &str) -> Result<Name, Unreadable> {
    let zone = name(text)?;
    let (written, all) = (zone.to_string(), special_use());
    if FIXED.contains(&written.as_str()) {
        return Err(Unreadable::FixedZone { zone: written });
    }
    if all.contains(&written) {
        return Ok(zone);
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let known = nearest_first(&written, &all).into_iter().take(OFFERED_MAX).collect::<Vec<_>>().join(", ");
    Err(Unreadable::NoSpecialUse { zone: written, known })
}

/// Reads the hosts file, if there is to be one, and looks where own aliases lead.
pub fn local(settings: &Settings) -> LocalLoad {
    let mut load = settings.local.hosts.as_ref().map(read_hosts).unwrap_or_default();
    let records = &settings.local.records;
    let is_known = |target: &Name| {
        records.iter().any(|record| record.value.owner == *target)
            || load.hosts.iter().any(|host| host.names.contains(target))
    };
    let lost = records.iter().filter(|record| record.value.alias_of().is_some_and(|target| !is_known(&target)));
    let message = "the name that this alias stands for has no record here: clients get the alias and no address";
    let warnings: Vec<Diagnostic> = lost.map(|record| record.warning(message)).collect();
    load.diagnostics.extend(warnings);
    load
}

fn read_hosts(path: &At<PathBuf>) -> LocalLoad {
    match Origin::File(path.value.clone()).read(HOSTS_MAX) {
        Ok(octets) => {
            let name = path.value.display().to_string();
            let (hosts, diagnostics) = hosts(&Source::new(name, String::from_utf8_lossy(&octets).into_owned()));
            LocalLoad { hosts, diagnostics }
        }
        Err(error) => LocalLoad { hosts: Vec::new(), diagnostics: vec![path.warning(error.to_string())] },
    }
}
