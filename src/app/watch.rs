//! Notices that configuration or lists have changed on disk.
//!
//! The kernel's notices only wake it; what counts is the state of the files, looked at when they have come to rest and
//! every few seconds besides, since notices are lost on network file systems and full queues. Directories are watched, not
//! files: editors and Kubernetes replace files by renaming.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::rest::Writers;

/// How long what people write is to rest before it is read.
const REST: Duration = Duration::from_millis(300);
/// The same for what a server appends to, line by line, all the time.
const REST_OF_APPENDED: Duration = Duration::from_millis(30);
/// After so many times that, files are read even if they never rest.
const RESTS_MAX: u32 = 16;
/// They are looked at this often without a notice.
const POLL: Duration = Duration::from_secs(5);
/// Files looked at in a directory at most; folders of a blocklist directory hold a few each.
pub(super) const FILES_MAX: usize = 10_000;

/// What identifies the state of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Mark {
    /// Of the file that would be read, wherever a link leads; `None`: there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::read(&metadata))
    }

    /// Octets of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is the same file, whatever has been written into it since.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    fn read(metadata: &Metadata) -> Self {
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.size(), changed }
    }
}

/// The state of all watched files.
pub(super) type Marks = BTreeMap<PathBuf, Mark>;

/// A state of files that may change on.
struct Changing {
    marks: Marks,
    /// Since when they change.
    begun: Instant,
    /// Since when they are so.
    still: Instant,
}

/// Waits for changes below some paths.
pub(super) struct Watch {
    paths: Vec<PathBuf>,
    /// Files are read when nothing has changed for this long, and after [`RESTS_MAX`] times that even if they never rest.
    rest: Duration,
    marks: Marks,
    /// What has changed and not come to rest.
    changing: Option<Changing>,
    notices: mpsc::Receiver<()>,
    /// Learns who writes them.
    writers: Writers,
    /// Ends when dropped.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches these files and directories (two levels deep, as blocklists are).
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self::telling(paths, Writers::default())
    }

    /// The same, and tells who writes them.
    pub(super) fn telling(paths: Vec<PathBuf>, writers: Writers) -> Self {
        Self::resting(paths, REST, writers)
    }

    /// The same for files that another server appends to.
    pub(super) fn of_appended(paths: Vec<PathBuf>) -> Self {
        Self::resting(paths, REST_OF_APPENDED, Writers::default())
    }

    fn resting(paths: Vec<PathBuf>, rest: Duration, writers: Writers) -> Self {
        let ((sender, notices), hearing) = (mpsc::channel(1), writers.clone());
        // A full channel is a notice that waits already.
        let notice = move |event: notify::Result<Event>| {
            hearing.hear(&event);
            if event.map_or(true, |event| tells_of_change(event.kind)) {
                let _waits_already = sender.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(notice).ok();
        for path in &paths {
            let (Some(watcher), Some(directory)) = (&mut watcher, directory_of(path)) else { continue };
            let deep = if path.is_dir() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            if let Err(error) = watcher.watch(directory, deep) {
                tracing::warn!(directory = %directory.display(), %error, "A directory can't be watched; it is polled.");
            }
        }
        let marks = marks(&paths);
        Self { paths, rest, marks, changing: None, notices, writers, _watcher: watcher }
    }

    /// Watches other paths from now on, and takes their state for a change: nobody knows when they were read.
    pub(super) fn retarget(&mut self, paths: Vec<PathBuf>) {
        if paths != self.paths {
            *self = Self::resting(paths, self.rest, self.writers.clone());
            self.marks.clear();
        }
    }

    /// Returns when something has changed and come to rest.
    pub(super) async fn changed(&mut self) {
        let now = self.change().await;
        self.taken(now);
    }

    /// The same; until it is [taken](Self::taken), the change is to come.
    pub(super) async fn change(&mut self) -> Marks {
        loop {
            let now = self.rested().await;
            if now != self.marks {
                return now;
            }
            // Either way the files are looked at.
            let _noticed = tokio::time::timeout(POLL, self.notices.recv()).await;
        }
    }

    /// This state is known from now on.
    pub(super) fn taken(&mut self, now: Marks) {
        self.marks = now;
    }

    /// The state of the files once it has stayed the same for a while. Whoever waits may be called off and come again: that time
    /// counts.
    async fn rested(&mut self) -> Marks {
        loop {
            let (now, time) = (marks(&self.paths), Instant::now());
            let before = self.changing.take();
            if now == self.marks {
                return now;
            }
            let begun = before.as_ref().map_or(time, |before| before.begun);
            let still = before.filter(|before| before.marks == now).map_or(time, |before| before.still);
            if time - still >= self.rest || time - begun >= self.rest * RESTS_MAX {
                return now;
            }
            self.changing = Some(Changing { marks: now, begun, still });
            tokio::time::sleep(self.rest).await;
        }
    }
}

/// Whether a notice may mean that a file has changed. To look at the files is noticed too, so a look that led to a look
/// would never end. An error (a full queue) may hide a change.
fn tells_of_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The directory to watch for changes of `path`: itself, or the one that holds the file.
fn directory_of(path: &Path) -> Option<&Path> {
    if path.is_dir() {
        return Some(path);
    }
    // The parent of a bare file name is the empty path, which names no directory.
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// The state of these files, and of those in these directories.
pub(super) fn marks(paths: &[PathBuf]) -> Marks {
    let mut found = Marks::new();
    for path in paths {
        mark(path, 2, &mut found);
    }
    found
}

fn mark(path: &Path, depth: usize, found: &mut Marks) {
    if found.len() >= FILES_MAX {
        return;
    }
    // Follows links: what counts is the file that would be read.
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_dir() && depth > 0 {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            mark(&entry.path(), depth - 1, found);
        }
    } else if metadata.is_file() {
        found.insert(path.to_owned(), Mark::read(&metadata));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_replaced_by_rename_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("vendor");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("rules.txt"), "a.example\n").unwrap();
        let mut watch = Watch::new(vec![dir.path().to_owned()]);
        std::fs::write(folder.join("new"), "b.example\n").unwrap();
        std::fs::rename(folder.join("new"), folder.join("rules.txt")).unwrap();
        tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.unwrap();
    }

    #[test]
    fn looking_at_files_is_no_change_of_them() {
        assert!(!tells_of_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!tells_of_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(tells_of_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(tells_of_change(EventKind::Modify(notify::event::ModifyKind::Any)));
    }

    #[test]
    fn a_file_named_without_a_folder_is_watched_in_the_working_directory() {
        assert_eq!(directory_of(Path::new("names-of-mine.txt")), Some(Path::new(".")));
        assert_eq!(directory_of(Path::new("lists/names.txt")), Some(Path::new("lists")));
        assert_eq!(directory_of(Path::new("src")), Some(Path::new("src")));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_changed_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        let mut watch = Watch::new(vec![dir.path().to_owned()]);
        assert!(tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_by_who_is_called_off_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        let mut watch = Watch::new(vec![dir.path().to_owned()]);
        std::fs::write(dir.path().join("a"), "more").unwrap();
        let begun = Instant::now();
        while tokio::time::timeout(REST / 3, watch.change()).await.is_err() {}
        assert!(begun.elapsed() < 2 * REST, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_new_folder_and_a_removed_file_change_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let paths = vec![dir.path().to_owned()];
        let empty = marks(&paths);
        std::fs::create_dir(dir.path().join("v")).unwrap();
        std::fs::write(dir.path().join("v/rules.txt"), "x").unwrap();
        let full = marks(&paths);
        assert_ne!(empty, full);
        std::fs::remove_file(dir.path().join("v/rules.txt")).unwrap();
        assert_eq!(marks(&paths), empty);
    }
}
