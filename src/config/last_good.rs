//! The last good copy: the files of the policy in force, kept in the state directory for a start with broken ones.
//!
//! ```text
//! <state>/policy/current          names the copy in use; replaced by rename
//! <state>/policy/blocklists       the directory that its bans were read in; empty: they were the embedded ones
//! <state>/policy/<digest>/bans/<id>/ban.toml, …
//! <state>/policy/<digest>/lists/<format>/<id>
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::at::At;
use super::disk::Origin;
use super::further::ListFile;
use super::list::{file_digest, list_policy};
use super::policy::{LoadedFile, PolicyLoad, UnknownBan, load};
use super::settings::{Blocklists, Reading, Settings};
use crate::diag::Source;
use crate::digest::{DIGITS, hex_digest};
use crate::policy::{ListFormat, Strictness};
use crate::replace::{replace, sync_directory};

/// The file that names the copy in use.
const CURRENT: &str = "current";
/// Octets of that file at most.
const CURRENT_MAX: u64 = 128;
/// The file that names the directory of its bans.
const BLOCKLISTS: &str = "blocklists";
/// Octets of a path at most.
const PATH_MAX: u64 = 4096;

/// Why a copy can't be saved or used.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    /// The disk.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// A file changed between loading and saving; the next load saves again.
    #[error("{name} has changed since it was loaded")]
    Changed {
        /// What messages call the file.
        name: String,
    },
    /// There is no copy.
    #[error("no good copy of the blocklists was saved before")]
    None,
    /// What is saved is not what was saved.
    #[error("the saved copy in {} is damaged", path.display())]
    Damaged {
        /// Its directory.
        path: PathBuf,
    },
}

/// Saves the files of a load as the copy to fall back to; does nothing when it is the one already.
///
/// # Errors
/// [`LastGoodError`] when the disk refuses or a file has changed; the copy before stays.
pub fn save(state_dir: &Path, load: &PolicyLoad) -> Result<(), LastGoodError> {
    let parent = state_dir.join("policy");
    let digest = load.digest();
    let copy = parent.join(&digest);
    if current(&parent).is_some_and(|name| name == digest) && copy.is_dir() {
        return name_directory(&parent, load);
    }
    make_directory(&parent)?;
    if !copy.is_dir() {
        let new = parent.join(format!("{digest}.new"));
        remove(&new)?;
        make_directory(&new)?;
        for file in &load.files {
            save_file(&new, file)?;
        }
        sync_tree(&new)?;
        with_path(&copy, fs::rename(&new, &copy))?;
    }
    name_directory(&parent, load)?;
    point_to(&parent, &digest)?;
    remove_others(&parent, &digest)
}

/// Loads the last good copy, with the settings of today.
///
/// # Errors
/// [`LastGoodError`] when there is none, or it is not what was saved.
pub fn last_good(state_dir: &Path, settings: &Settings, generation: u64) -> Result<PolicyLoad, LastGoodError> {
    let parent = state_dir.join("policy");
    let name = current(&parent).ok_or(LastGoodError::None)?;
    let copy = parent.join(&name);
    let saved = Settings {
        blocklists: Blocklists::Directory(unwritten(copy.join("bans"))),
        lists: saved_lists(&copy.join("lists"))?,
        ..settings.clone()
    };
    let load = load(&saved, generation, UnknownBan::Tolerated);
    if load.digest() == name { Ok(load) } else { Err(LastGoodError::Damaged { path: copy }) }
}

/// Ids of the bans that the last good copy has of this directory: none if it is of another.
pub fn saved_bans(state_dir: &Path, directory: &Path) -> Vec<String> {
    let parent = state_dir.join("policy");
    if directory_of(&parent).is_none_or(|named| named.is_empty() || named != octets_of(directory)) {
        return Vec::new();
    }
    let folders = current(&parent).and_then(|name| fs::read_dir(parent.join(name).join("bans")).ok());
    let names = folders.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// Where the last good copy has the list that makes this ban, if it has it and is what was saved.
pub fn last_good_list(state_dir: &Path, id: &str) -> Option<PathBuf> {
    let parent = state_dir.join("policy");
    let name = current(&parent)?;
    let copy = parent.join(&name);
    let lists = ListFormat::ALL.map(|format| copy.join("lists").join(format.as_str()).join(id));
    let list = lists.into_iter().find(|path| path.is_file())?;
    let mut files = Vec::new();
    saved_files(&copy, Path::new(""), &mut files)?;
    (digest_of(&files) == name).then_some(list)
}

/// A list of the last good copy, as far as it is known without reading it as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedList {
    path: PathBuf,
    format: Option<ListFormat>,
    /// Its octets.
    pub bytes: u64,
    /// Whether its last line has an end.
    pub ended: bool,
}

/// What the last good copy has of a list that such a copy would have there; `None`: nothing.
pub fn saved_list(state_dir: &Path, saved_as: &Path) -> Option<SavedList> {
    let parent = state_dir.join("policy");
    let copy = parent.join(current(&parent)?);
    // In whatever format it was then: a list that was cut may look like one of another.
    let name = saved_as.file_name()?;
    let in_formats = ListFormat::ALL.map(|format| (copy.join("lists").join(format.as_str()).join(name), Some(format)));
    let of_ban = [(copy.join(saved_as), None)];
    let places = if saved_as.starts_with("lists") { &in_formats[..] } else { &of_ban[..] };
    let (path, format) = places.iter().find(|(path, _format)| path.is_file())?.clone();
    let mut file = File::open(&path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let mut last = [b'\n'];
    if bytes > 0 {
        file.seek(SeekFrom::End(-1)).and_then(|_at| file.read_exact(&mut last)).ok()?;
    }
    Some(SavedList { path, format, bytes, ended: last == [b'\n'] })
}

impl SavedList {
    /// Whether a file is its beginning, and ends within one of its lines.
    ///
    /// # Errors
    /// The disk's.
    pub fn was_cut_to(&self, file: &Path) -> io::Result<bool> {
        let (mut saved, mut cut) = (BufReader::new(File::open(&self.path)?), BufReader::new(File::open(file)?));
        loop {
            let (piece, other) = (cut.fill_buf()?, saved.fill_buf()?);
            let shared = piece.len().min(other.len());
            if piece.is_empty() {
                return Ok(other.first().is_some_and(|next| !matches!(next, b'\n' | b'\r')));
            }
            if shared == 0 || piece.get(..shared) != other.get(..shared) {
                return Ok(false);
            }
            cut.consume(shared);
            saved.consume(shared);
        }
    }

    /// Its rules; all of it is read.
    pub fn rules(&self) -> Option<u64> {
        let reading = Reading { format: self.format, strictness: Strictness::Lenient };
        let (policy, _told) = list_policy(&self.path, reading);
        policy?.lists().first().map(|list| list.entries)
    }
}

/// Every file of a copy; `None`: one can't be read.
fn saved_files(copy: &Path, below: &Path, files: &mut Vec<LoadedFile>) -> Option<()> {
    for entry in fs::read_dir(copy.join(below)).ok()? {
        let saved_as = below.join(entry.ok()?.file_name());
        let path = copy.join(&saved_as);
        if path.is_dir() {
            saved_files(copy, &saved_as, files)?;
        } else {
            let digest = file_digest(&path)?;
            files.push(LoadedFile { origin: Origin::File(path), digest, saved_as });
        }
    }
    Some(())
}

impl PolicyLoad {
    /// One digest over all its files and their places: the same lists have the same, wherever they were read.
    pub fn digest(&self) -> String {
        digest_of(&self.files)
    }
}

/// One digest over all files and their places.
fn digest_of(files: &[LoadedFile]) -> String {
    let mut lines: Vec<String> =
        files.iter().map(|file| format!("{} {}\n", file.digest, file.saved_as.display())).collect();
    lines.sort();
    hex_digest(lines.concat().as_bytes())
}

/// The name of the copy in use, if it is one that we could have written.
fn current(parent: &Path) -> Option<String> {
    let octets = Origin::File(parent.join(CURRENT)).read(CURRENT_MAX).ok()?;
    let name = String::from_utf8(octets).ok()?.trim().to_owned();
    (name.len() == DIGITS && name.bytes().all(|octet| octet.is_ascii_hexdigit())).then_some(name)
}

fn saved_lists(lists: &Path) -> Result<Vec<ListFile>, LastGoodError> {
    let mut found = Vec::new();
    for format in ListFormat::ALL {
        let directory = lists.join(format.as_str());
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.map_err(|error| LastGoodError::Io { path: directory.clone(), error })?.path();
            let reading = Reading { format: Some(format), strictness: Strictness::Lenient };
            found.push(ListFile::new(unwritten(path), reading));
        }
    }
    found.sort_by(|left, right| left.path.value.cmp(&right.path.value));
    Ok(found)
}

/// A path that no operator wrote; messages call it by its own name.
fn unwritten(path: PathBuf) -> At<PathBuf> {
    let place = Source::new(path.display().to_string(), "");
    At::new(path, &place, 0..0)
}

fn save_file(copy: &Path, file: &LoadedFile) -> Result<(), LastGoodError> {
    let path = copy.join(&file.saved_as);
    make_directory(path.parent().unwrap_or(copy))?;
    let mut to = File::create(&path).map_err(|error| LastGoodError::Io { path: path.clone(), error })?;
    let mut written = Ok(());
    let is_same = file.reread_pieces(|piece| {
        written = to.write_all(piece);
        if written.is_ok() { Ok(()) } else { Err(io::Error::other("the copy can't be written")) }
    });
    with_path(&path, written)?;
    if !is_same {
        return Err(LastGoodError::Changed { name: file.origin.name() });
    }
    with_path(&path, to.sync_all())
}

fn point_to(parent: &Path, digest: &str) -> Result<(), LastGoodError> {
    let (place, beside) = (parent.join(CURRENT), parent.join(format!("{CURRENT}.new")));
    with_path(&place, replace(&place, beside, format!("{digest}\n").as_bytes()))
}

/// Names the directory in which the bans of a load were read, if another is named.
fn name_directory(parent: &Path, load: &PolicyLoad) -> Result<(), LastGoodError> {
    let of_ban = load.files.iter().find(|file| file.saved_as.starts_with("bans"));
    let directory = of_ban.and_then(|file| match &file.origin {
        Origin::File(path) => path.parent()?.parent(),
        Origin::Shipped(_) => None,
    });
    let octets = directory.map(octets_of).unwrap_or_default();
    if directory_of(parent).is_some_and(|named| named == octets) {
        return Ok(());
    }
    let (place, beside) = (parent.join(BLOCKLISTS), parent.join(format!("{BLOCKLISTS}.new")));
    with_path(&place, replace(&place, beside, &octets))
}

fn directory_of(parent: &Path) -> Option<Vec<u8>> {
    Origin::File(parent.join(BLOCKLISTS)).read(PATH_MAX).ok()
}

fn octets_of(directory: &Path) -> Vec<u8> {
    let path = std::path::absolute(directory).unwrap_or_else(|_error| directory.to_path_buf());
    path.into_os_string().into_encoded_bytes()
}

fn remove_others(parent: &Path, digest: &str) -> Result<(), LastGoodError> {
    let entries = fs::read_dir(parent).map_err(|error| LastGoodError::Io { path: parent.to_owned(), error })?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if !path.ends_with(digest) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn with_path(path: &Path, result: io::Result<()>) -> Result<(), LastGoodError> {
    result.map_err(|error| LastGoodError::Io { path: path.to_owned(), error })
}

/// For the owner alone: what is banned, and where it was read, is nobody else's business.
fn make_directory(path: &Path) -> Result<(), LastGoodError> {
    with_path(path, DirBuilder::new().recursive(true).mode(0o700).create(path))
}

fn remove(path: &Path) -> Result<(), LastGoodError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => with_path(path, Err(error)),
        _ => Ok(()),
    }
}

/// Names are durable only when their directories are.
fn sync_tree(directory: &Path) -> Result<(), LastGoodError> {
    let entries = fs::read_dir(directory).map_err(|error| LastGoodError::Io { path: directory.to_owned(), error })?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        sync_tree(&path)?;
    }
    with_path(directory, sync_directory(directory))
}

#[cfg(test)]
mod tests {
    use super::super::policy;
    use super::*;

    /// A folder of blocklists with one ban, and a plain list beside it.
    fn settings(directory: &Path) -> Settings {
        let folder = directory.join("blocklists/vendor");
        fs::create_dir_all(&folder).unwrap();
        let ban = "version = 1\nid = \"vendor\"\ntitle = \"Vendor\"\nlists = [\"rules.txt\"]\n";
        fs::write(folder.join("ban.toml"), ban).unwrap();
        fs::write(folder.join("rules.txt"), "vendor.example\n").unwrap();
        fs::write(directory.join("more.txt"), "more.example\n").unwrap();
        Settings {
            blocklists: Blocklists::Directory(unwritten(directory.join("blocklists"))),
            lists: vec![ListFile::new(
                unwritten(directory.join("more.txt")),
                Reading { format: None, strictness: Strictness::Lenient },
            )],
            ..Settings::default()
        }
    }

    /// Ids of bans, and rules of each list.
    fn shape(load: &PolicyLoad) -> (Vec<String>, Vec<u64>) {
        let policy = load.policy.as_ref().unwrap();
        let ids = policy.bans().iter().map(|ban| ban.id.to_string()).collect();
        (ids, policy.lists().iter().map(|list| list.entries).collect())
    }

    #[test]
    fn what_was_saved_is_loaded_when_the_lists_are_broken() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, state) = (settings(directory.path()), directory.path().join("state"));
        let good = policy(&settings, 1);
        save(&state, &good).unwrap();
        fs::write(directory.path().join("blocklists/vendor/rules.txt"), "bad..name\n").unwrap();
        fs::remove_file(directory.path().join("more.txt")).unwrap();

        assert!(policy(&settings, 2).policy.is_none());
        let copy = last_good(&state, &settings, 2).unwrap();

        assert_eq!(shape(&copy), shape(&good));
        assert_eq!(shape(&copy), (vec!["vendor".to_owned(), "more".to_owned()], vec![1, 1]));
    }

    #[test]
    fn a_new_copy_replaces_the_old_one_and_the_same_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, state) = (settings(directory.path()), directory.path().join("state"));
        save(&state, &policy(&settings, 1)).unwrap();
        let written = fs::metadata(state.join("policy/current")).unwrap().modified().unwrap();
        save(&state, &policy(&settings, 2)).unwrap();
        assert_eq!(fs::metadata(state.join("policy/current")).unwrap().modified().unwrap(), written);

        fs::write(directory.path().join("more.txt"), "more.example\nmost.example\n").unwrap();
        save(&state, &policy(&settings, 3)).unwrap();

        assert_eq!(shape(&last_good(&state, &settings, 4).unwrap()).1, [1, 2]);
        let copies = fs::read_dir(state.join("policy")).unwrap().flatten().filter(|entry| entry.path().is_dir());
        assert_eq!(copies.count(), 1);
    }

    #[test]
    fn a_copy_knows_its_bans_and_of_which_directory_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, state) = (settings(directory.path()), directory.path().join("state"));
        let (own, other) = (directory.path().join("blocklists"), directory.path().join("other"));
        assert_eq!(saved_bans(&state, &own), [""; 0]);
        save(&state, &policy(&settings, 1)).unwrap();
        assert_eq!((saved_bans(&state, &own), saved_bans(&state, &other)), (vec!["vendor".to_owned()], vec![]));
        // A copy of before does not say so yet.
        fs::remove_file(state.join("policy").join(BLOCKLISTS)).unwrap();
        save(&state, &policy(&settings, 1)).unwrap();
        assert_eq!(saved_bans(&state, &own), ["vendor"]);
        save(&state, &policy(&Settings::default(), 1)).unwrap();
        assert_eq!((saved_bans(&state, &own), saved_bans(&state, Path::new(""))), (vec![], vec![]));
    }

    #[test]
    fn a_damaged_or_missing_copy_is_never_used() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, state) = (settings(directory.path()), directory.path().join("state"));
        assert!(matches!(last_good(&state, &settings, 1), Err(LastGoodError::None)));
        save(&state, &policy(&settings, 1)).unwrap();
        let name = fs::read_to_string(state.join("policy/current")).unwrap();
        fs::write(state.join("policy").join(name.trim()).join("bans/vendor/rules.txt"), "other.example\n").unwrap();
        assert!(matches!(last_good(&state, &settings, 1), Err(LastGoodError::Damaged { .. })));
    }

    #[test]
    fn a_file_that_changed_after_loading_is_not_saved_and_a_half_written_copy_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, state) = (settings(directory.path()), directory.path().join("state"));
        let load = policy(&settings, 1);
        fs::write(directory.path().join("more.txt"), "most.example\n").unwrap();
        assert!(matches!(save(&state, &load), Err(LastGoodError::Changed { .. })));
        fs::write(directory.path().join("more.txt"), "more.example\n").unwrap();
        save(&state, &load).unwrap();
        assert!(last_good(&state, &settings, 2).unwrap().policy.is_some());
    }

    #[test]
    fn an_override_of_a_ban_that_the_copy_lacks_does_not_stop_it() {
        let directory = tempfile::tempdir().unwrap();
        let (mut settings, state) = (settings(directory.path()), directory.path().join("state"));
        save(&state, &policy(&settings, 1)).unwrap();
        let later = Source::new("x.toml", "[ban.later]\nmode = \"off\"\n");
        settings.bans = super::super::convert::settings(&later, Path::new("")).0.bans;
        assert!(policy(&settings, 2).policy.is_none());
        assert!(last_good(&state, &settings, 2).unwrap().policy.is_some());
    }
}
