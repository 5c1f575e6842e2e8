//! `[[leases]]`: the files in which DHCP servers say who holds which address; and `[[assets]]`: what devices an inventory has.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::At;
use super::ReadError;
use super::disk::Origin;
use super::file::Text;
use super::reader::Reader;
use crate::diag::{Diagnostic, Severity, Source};
use crate::identity::{self, Identifier, Lease, LeaseFormat};

/// `[[leases]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Leases {
    file: Text,
    format: Text,
}

/// `[[assets]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Assets {
    file: Text,
}

/// Octets of the files of one server at most: about a million leases.
const LEASES_BYTES_MAX: u64 = 256 << 20;
/// Files at most.
const FILES_MAX: usize = 64;

/// A file of leases.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseFile {
    /// The file.
    pub path: At<PathBuf>,
    /// Whose it is.
    pub format: LeaseFormat,
}

/// What a file says now.
#[derive(Debug)]
pub struct LeasesRead {
    /// Its leases; an error: it can't be read, and what it said before is not known to be untrue.
    pub leases: Result<Vec<Lease>, Diagnostic>,
    /// What was not understood.
    pub warnings: Vec<Diagnostic>,
}

/// Every file; one that is wrong is left out.
pub(super) fn files(written: &[Spanned<Leases>], base: &Path, reader: &mut Reader<'_>) -> Vec<LeaseFile> {
    if let Some(beyond) = written.get(FILES_MAX) {
        reader.error(beyond.span(), format!("at most {FILES_MAX} files of leases"));
    }
    let read = |spanned: &Spanned<Leases>| {
        let (leases, table) = (spanned.get_ref(), spanned.span());
        if leases.format.is_none() {
            reader.missing("format", Some(table.clone()));
        }
        let format = reader.word(&leases.format, "format", &LeaseFormat::ALL, LeaseFormat::as_str);
        let Some(path) = &leases.file else {
            reader.missing("file", Some(table));
            return None;
        };
        Some(LeaseFile { path: reader.at(base.join(path.get_ref()), path.span()), format: format?.value })
    };
    written.iter().filter_map(read).collect()
}

/// An inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetFile {
    /// The file.
    pub path: At<PathBuf>,
}

/// What an inventory says now.
#[derive(Debug)]
pub struct AssetsRead {
    /// By thing, its number first; an error: it can't be read.
    pub assets: Result<Vec<Vec<Identifier>>, Diagnostic>,
    /// What was not understood.
    pub warnings: Vec<Diagnostic>,
}

/// Every inventory; one that is wrong is left out.
pub(super) fn assets(written: &[Spanned<Assets>], base: &Path, reader: &mut Reader<'_>) -> Vec<AssetFile> {
    if let Some(beyond) = written.get(FILES_MAX) {
        reader.error(beyond.span(), format!("at most {FILES_MAX} inventories"));
    }
    let read = |spanned: &Spanned<Assets>| {
        let Some(path) = &spanned.get_ref().file else {
            reader.missing("file", Some(spanned.span()));
            return None;
        };
        Some(AssetFile { path: reader.at(base.join(path.get_ref()), path.span()) })
    };
    written.iter().filter_map(read).collect()
}

impl AssetFile {
    /// Reads what it says now.
    pub fn read(&self) -> AssetsRead {
        let name = self.path.value.display().to_string();
        match Origin::File(self.path.value.clone()).read(LEASES_BYTES_MAX) {
            Ok(octets) => {
                let text = String::from_utf8_lossy(&octets).into_owned();
                let (assets, warnings) = identity::assets(&Source::new(name, text));
                AssetsRead { assets: Ok(assets), warnings }
            }
            Err(error) => {
                let unread = Diagnostic::whole(Severity::Warning, name, error.to_string());
                AssetsRead { assets: Err(unread), warnings: Vec::new() }
            }
        }
    }
}

impl LeaseFile {
    /// Reads what it says now.
    pub fn read(&self) -> LeasesRead {
        let mut text = String::new();
        for path in self.parts() {
            let is_last = path == self.path.value;
            // Names in it are in whatever encoding the clients chose.
            match Origin::File(path).read(LEASES_BYTES_MAX.saturating_sub(text.len() as u64)) {
                Ok(octets) => text.push_str(&String::from_utf8_lossy(&octets)),
                // Kea has its others only while it cleans up.
                Err(ReadError::Missing) if !is_last => (),
                Err(error) => return LeasesRead { leases: Err(self.unread(&error)), warnings: Vec::new() },
            }
        }
        let (leases, warnings) = self.format.leases(&Source::new(self.name(), text));
        LeasesRead { leases: Ok(leases), warnings }
    }

    /// The files to watch.
    pub fn watched(&self) -> Vec<PathBuf> {
        vec![self.path.value.clone()]
    }

    /// What was written, the oldest first. While Kea cleans up it has its leases in several files ("Why Is Lease File Cleanup
    /// Necessary?" in its reference manual): those that were cleaned before, or are cleaned already, those that are being
    /// cleaned, and those that have come since.
    fn parts(&self) -> Vec<PathBuf> {
        let path = &self.path.value;
        let beside = |suffix: &str| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        match self.format {
            LeaseFormat::Kea if beside(".completed").exists() => vec![beside(".completed"), path.clone()],
            LeaseFormat::Kea => vec![beside(".2"), beside(".1"), path.clone()],
            LeaseFormat::Isc | LeaseFormat::Dnsmasq | LeaseFormat::Csv => vec![path.clone()],
        }
    }

    fn name(&self) -> String {
        self.path.value.display().to_string()
    }

    fn unread(&self, error: &ReadError) -> Diagnostic {
        Diagnostic::whole(Severity::Warning, self.name(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n";

    fn row(address: &str, mac: u8) -> String {
        format!("{address},52:54:00:00:00:{mac:02x},,3600,1727600000,1,0,0,,0\n")
    }

    #[test]
    fn leases_of_kea_are_all_there_while_it_cleans_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kea-leases4.csv");
        let file = LeaseFile { path: At::new(path.clone(), &Source::new("t", ""), 0..0), format: LeaseFormat::Kea };
        let write = |suffix: &str, rows: &[String]| {
            std::fs::write(format!("{}{suffix}", path.display()), HEADER.to_owned() + &rows.concat()).unwrap();
        };
        let held = || {
            let leases = file.read().leases.unwrap();
            let mut held: Vec<_> =
                leases.iter().map(|lease| format!("{} {}", lease.address, lease.identifiers[0])).collect();
            held.sort();
            held
        };
        let expected =
            ["10.0.0.7 mac:52:54:00:00:00:03", "10.0.0.8 mac:52:54:00:00:00:02", "10.0.0.9 mac:52:54:00:00:00:04"];
        write("", &[row("10.0.0.7", 1), row("10.0.0.8", 2), row("10.0.0.7", 3), row("10.0.0.9", 4)]);
        assert_eq!(held(), expected);
        write(".2", &[row("10.0.0.7", 1), row("10.0.0.8", 2)]);
        write(".1", &[row("10.0.0.7", 3)]);
        write("", &[row("10.0.0.9", 4)]);
        assert_eq!(held(), expected);
        write(".completed", &[row("10.0.0.7", 3), row("10.0.0.8", 2)]);
        assert_eq!(held(), expected);
    }

    #[test]
    fn a_file_that_is_not_there_or_is_none_says_nothing_of_anybody() {
        let directory = tempfile::tempdir().unwrap();
        let read = |path: &Path| {
            let path = At::new(path.to_owned(), &Source::new("t", ""), 0..0);
            LeaseFile { path, format: LeaseFormat::Dnsmasq }.read().leases
        };
        let missing = read(&directory.path().join("none")).unwrap_err().to_string();
        assert!(missing.ends_with("warning: does not exist"), "{missing}");
        assert!(read(directory.path()).unwrap_err().to_string().ends_with("warning: is no regular file"));
    }
}
