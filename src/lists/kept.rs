//! The copy of a list in the state directory: written whole or not at all, known again by its digest.
//!
//! ```text
//! <state>/lists/<id>/list.txt       the list as it was checked; replaced by rename
//! <state>/lists/<id>/source.json    where it came from, when, and its digest; written before it
//! <state>/lists/<id>/incoming-…     what is on its way; left behind by a crash, and then removed at a start
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::replace::{Replacement, replace};
use crate::time::Timestamp;

/// Name of the file that a list is kept in.
pub const LIST_FILE: &str = "list.txt";
const SOURCE_FILE: &str = "source.json";
const INCOMING: &str = "incoming-";
/// At a start, a list that is not named is kept for this long.
const UNNAMED_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Octets of what is known of a list at most.
const SOURCE_MAX: u64 = 64 << 10;
/// Octets read at once.
const PIECE: usize = 64 << 10;

/// Tells incoming files of one process apart.
static INCOMING_NUMBER: AtomicU64 = AtomicU64::new(0);

/// The disk refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct StoreError {
    /// What was touched.
    pub path: PathBuf,
    /// The system's own words.
    #[source]
    pub error: io::Error,
}

/// What is known of a list that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it came from, as it is written in the configuration.
    pub source: String,
    /// SHA-256 of the list's octets, in hexadecimal.
    pub digest: String,
    /// That of the version before, told by [`Store::keep`]: a crash may leave that one in the list's place.
    pub digest_before: Option<String>,
    /// Octets of the list.
    pub bytes: u64,
    /// Its rules.
    pub rules: u64,
    /// When this version came.
    #[serde(with = "moment")]
    pub fetched: Timestamp,
    /// When its source last said that this is still the newest.
    #[serde(with = "moment")]
    pub checked: Timestamp,
    /// What an HTTP server calls this version (RFC 9110 §8.8.3).
    #[serde(default)]
    pub etag: Option<String>,
    /// When an HTTP server says that it was made (RFC 9110 §8.8.2).
    #[serde(default)]
    pub last_modified: Option<String>,
    /// The key that it was found to be signed by.
    #[serde(default)]
    pub signed_by: Option<String>,
}

/// Times as people read them.
mod moment {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::time::{Timestamp, rfc3339};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The lists that are kept with one state directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A list on its way to the disk. Removed when dropped, unless it is kept.
pub struct Incoming {
    file: Replacement,
    digest: Box<Digest>,
    bytes: u64,
    /// The last octet.
    last: Option<u8>,
}

impl Kept {
    /// The time of a check that nobody knows: it is long ago.
    pub const UNCHECKED: Timestamp = Timestamp::UNIX_EPOCH;

    /// When its source last said that this is the newest, as far as is known.
    pub fn checked(&self) -> Option<Timestamp> {
        Some(self.checked).filter(|at| *at > Self::UNCHECKED)
    }

    /// Whether octets with this digest are what was kept: this version, or the one before after a crash.
    pub fn knows(&self, digest: &str) -> bool {
        digest == self.digest || self.digest_before.as_deref() == Some(digest)
    }
}

impl Store {
    /// Those of this state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("lists") }
    }

    /// Where the list of this id is kept.
    pub fn list(&self, id: &str) -> PathBuf {
        self.directory.join(id).join(LIST_FILE)
    }

    /// What is known of a list by where it is kept; `None`: it never came, or what was known of it can't be read.
    pub fn known(list: &Path) -> Option<Kept> {
        let path = list.with_file_name(SOURCE_FILE);
        // Looked at first: to read what has grown beyond all measure helps nobody.
        let small = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= SOURCE_MAX);
        let known = small.then(|| fs::read(&path).ok()).flatten()?;
        serde_json::from_slice(&known).ok().filter(|_known| list.is_file())
    }

    /// Whether a list came once, whatever has become of it.
    pub fn came(list: &Path) -> bool {
        list.exists() || list.with_file_name(SOURCE_FILE).exists()
    }

    /// Begins to receive the list of this id.
    ///
    /// # Errors
    /// The disk's.
    pub fn receive(&self, id: &str) -> Result<Incoming, StoreError> {
        let directory = self.directory.join(id);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| StoreError { path: directory.clone(), error })?;
        let number = INCOMING_NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}{number}", incoming_of_process()));
        let file = Replacement::begin(&self.list(id), path.clone());
        let file = file.map_err(|error| StoreError { path, error })?;
        Ok(Incoming { file, digest: Box::default(), bytes: 0, last: None })
    }

    /// Puts what came in the place of the list of this id. After a crash at any moment there is the old list or this one, whole.
    ///
    /// # Errors
    /// The disk's; the list before stays.
    pub fn keep(&self, id: &str, incoming: Incoming, kept: &Kept) -> Result<(), StoreError> {
        let list = self.list(id);
        // First of all: a list whose digest nobody knows would be taken for a damaged one. What is there counts, not what was
        // noted: a crash may have come in between before.
        let synced = incoming.file.sync();
        synced.map_err(|error| StoreError { path: incoming.path().to_path_buf(), error })?;
        self.note(id, &Kept { digest_before: digest_of(&list), ..kept.clone() })?;
        let taken = incoming.file.take_place();
        taken.map(drop).map_err(|error| StoreError { path: list, error })
    }

    /// Writes down what is known of the list of this id.
    ///
    /// # Errors
    /// The disk's; what was known before stays.
    pub fn note(&self, id: &str, kept: &Kept) -> Result<(), StoreError> {
        let directory = self.directory.join(id);
        let (path, new) = (directory.join(SOURCE_FILE), directory.join(format!("{}source", incoming_of_process())));
        let octets = serde_json::to_vec_pretty(kept).map_err(io::Error::other);
        let written = octets.and_then(|octets| replace(&path, new, &octets));
        written.map_err(|error| StoreError { path, error })
    }

    /// Removes what is kept of a list that the configuration no longer names.
    pub fn forget(&self, id: &str) {
        match fs::remove_dir_all(self.directory.join(id)) {
            Ok(()) => tracing::info!(list = id, "The copy of a list that is no longer named is removed."),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => {
                tracing::warn!(list = id, %error, "The copy of a list that is no longer named can't be removed.");
            }
        }
    }

    /// Removes what another process, which has ended, left half received, and lists that are none of those `named` and that nobody
    /// has asked for in a long time. Not at once: a server that was started with another configuration by mistake must not throw
    /// away what the right one needs, perhaps at a time when no source can be reached.
    pub fn tidy(&self, named: &[Arc<str>], now: Timestamp) {
        let entries =
            |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        for directory in entries(&self.directory) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // To note that its source was asked changes it.
            let noted = fs::metadata(&directory).and_then(|metadata| metadata.modified()).ok();
            let noted = noted.and_then(|at| Timestamp::try_from(at).ok());
            if !named.iter().any(|id| **id == *name) && noted.is_some_and(|at| now.duration_since(at) > UNNAMED_MAX) {
                self.forget(&name);
            }
        }
        let own = incoming_of_process();
        for path in entries(&self.directory).flat_map(|directory| entries(&directory)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(INCOMING)
                && !name.starts_with(&own)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "A list that came only in part can't be removed.");
            }
        }
    }
}

/// What names of files begin with that this process has not finished; those of another one before it are written anew.
fn incoming_of_process() -> String {
    format!("{INCOMING}{}-", std::process::id())
}

/// The digest of a list that is kept; `None` if there is none, or it can't be read.
fn digest_of(list: &Path) -> Option<String> {
    let (mut file, mut digest, mut piece) = (File::open(list).ok()?, Digest::new(), vec![0; PIECE]);
    loop {
        let read = file.read(&mut piece).ok()?;
        match piece.get(..read)? {
            [] => return Some(digest.finish()),
            octets => digest.add(octets),
        }
    }
}

impl Incoming {
    /// Where it is while it is checked.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Octets so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the last line has no end, as far as it has come.
    pub(super) fn ends_within_a_line(&self) -> bool {
        self.last.is_some_and(|octet| octet != b'\n')
    }

    /// SHA-256 of the octets so far, in hexadecimal.
    pub fn digest(&self) -> String {
        (*self.digest).clone().finish()
    }
}

impl Write for Incoming {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.file().write(octets)?;
        let octets = octets.get(..written).unwrap_or(octets);
        self.digest.add(octets);
        self.last = octets.last().copied().or(self.last);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.file().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(incoming: &Incoming, before: Option<&str>) -> Kept {
        Kept {
            source: "https://lists.example/a.txt".to_owned(),
            digest: incoming.digest(),
            digest_before: before.map(str::to_owned),
            bytes: incoming.bytes(),
            rules: 1,
            fetched: Timestamp::UNIX_EPOCH,
            checked: Timestamp::UNIX_EPOCH,
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
            signed_by: None,
        }
    }

    fn incoming(store: &Store, text: &str) -> Incoming {
        let mut incoming = store.receive("a").unwrap();
        incoming.write_all(text.as_bytes()).unwrap();
        incoming
    }

    #[test]
    fn a_list_is_kept_with_what_is_known_of_it_and_nothing_is_left_beside_it() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        assert_eq!(Store::known(&store.list("a")), None);
        drop(incoming(&store, "half"));
        let whole = incoming(&store, "a.example\n");
        let known = kept(&whole, None);
        store.keep("a", whole, &known).unwrap();

        assert_eq!(fs::read_to_string(store.list("a")).unwrap(), "a.example\n");
        assert_eq!(Store::known(&store.list("a")), Some(known));
        assert_eq!(fs::read_dir(state.path().join("lists/a")).unwrap().count(), 2);
    }

    #[test]
    fn after_a_crash_between_the_two_renames_the_list_before_is_still_known() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let first = incoming(&store, "a.example\n");
        let known = kept(&first, None);
        store.keep("a", first, &known).unwrap();
        let second = incoming(&store, "b.example\n");
        // What `keep` has noted before its second rename; and what it notes after such a crash.
        store.note("a", &kept(&second, Some(&known.digest))).unwrap();
        let after = Store::known(&store.list("a")).unwrap();
        assert!(after.knows(&known.digest) && after.knows(&second.digest()));
        assert!(!after.knows(&"0".repeat(64)));

        let third = incoming(&store, "c.example\n");
        let newest = kept(&third, None);
        store.keep("a", third, &newest).unwrap();
        let after = Store::known(&store.list("a")).unwrap();
        assert_eq!(after.digest_before.as_deref(), Some(&*known.digest), "what was there, not what was noted");
    }

    #[test]
    fn at_a_start_a_list_that_is_not_named_is_removed_only_after_a_long_time() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let whole = incoming(&store, "a.example\n");
        let known = kept(&whole, None);
        store.keep("a", whole, &known).unwrap();
        let is_there = || store.list("a").is_file();
        let noted = fs::metadata(state.path().join("lists/a")).unwrap().modified().unwrap();
        let now = Timestamp::try_from(noted).unwrap();
        store.tidy(&[], now);
        store.tidy(&[], Timestamp::UNIX_EPOCH);
        assert!(is_there(), "not for long, or nobody knows for how long");
        store.tidy(&["a".into()], now + 2 * UNNAMED_MAX);
        assert!(is_there(), "it is named");
        store.tidy(&["b".into()], now + 2 * UNNAMED_MAX);
        assert!(!is_there());
        store.forget("a");
    }

    #[test]
    fn what_a_crash_left_behind_is_removed_and_rubbish_is_no_knowledge() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let whole = incoming(&store, "a.example\n");
        let known = kept(&whole, None);
        store.keep("a", whole, &known).unwrap();
        fs::write(state.path().join("lists/a/incoming-1-1"), "half").unwrap();
        store.tidy(&[], Timestamp::UNIX_EPOCH);
        assert_eq!(fs::read_dir(state.path().join("lists/a")).unwrap().count(), 2);
        for rubbish in ["", "{}", "\0\0\0", "[1]"] {
            fs::write(state.path().join("lists/a/source.json"), rubbish).unwrap();
            assert_eq!(Store::known(&store.list("a")), None, "{rubbish:?}");
        }
    }
}
