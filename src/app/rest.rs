//! Whether files that are being saved in place have come to rest: who saves so empties a file first and then writes it piece by
//! piece, and what is there in between may be right in every line.
//!
//! ```text
//! exchanged, by rename or by a link      complete: it was written before
//! appended to                            what was there is there still
//! closed by who wrote it, and not less   complete, as far as its writer is concerned
//! less than before, or nobody knows      is to rest for a while
//! the beginning of what it was           is to rest for longer: a cut looks like this
//! still open to who writes it            for longer yet: over a network, a pause is no end
//! ```
//! An operator who says to reload now is not waited for. What then is plainly cut, within a line, is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind};
use tokio::time::Instant;

use super::watch::{FILES_MAX, Mark, Marks, marks};
use crate::config::Tail;
use crate::diag::{Diagnostic, Severity};

const REST: Duration = Duration::from_secs(2);
const REST_OF_BEGINNING: Duration = Duration::from_secs(5);
const REST_OF_OPEN: Duration = Duration::from_secs(10);
/// What never rests is not waited for longer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Leases change as clients come and go.
const WAIT_MAX_OF_LEASES: Duration = Duration::from_secs(10);
/// Files are looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// Texts are remembered up to this many octets each, and all together. Of what is longer nobody knows whether it was appended to.
const TEXT_MAX: u64 = 1 << 20;
const TEXTS_MAX: u64 = 8 << 20;
/// A DHCP server that writes its leases anew takes no longer between two pieces.
const REST_OF_LEASES: Duration = Duration::from_millis(500);
/// Where most of them are gone it may not be over yet.
const REST_OF_FEW_LEASES: Duration = Duration::from_secs(3);

/// Files as they were when they were read last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    marks: Marks,
    texts: BTreeMap<PathBuf, Arc<[u8]>>,
}

/// How a file that was changed in place relates to what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// What was there is there still, or it is another file.
    Nothing,
    /// It may be written anew; there is no less of it.
    Anew,
    Less,
    /// It is how it began before.
    Beginning,
}

impl Seen {
    /// These files as they are now; `before` spares reading those that are as they were.
    pub(super) fn look(paths: &[PathBuf], before: &Self) -> Self {
        let marks = marks(paths);
        let (mut texts, mut room) = (BTreeMap::new(), TEXTS_MAX);
        for (path, mark) in marks.iter().filter(|(_path, mark)| mark.size() <= TEXT_MAX) {
            let known = before.texts.get(path).filter(|_text| before.marks.get(path) == Some(mark));
            let Some(left) = room.checked_sub(mark.size()) else { break };
            if let Some(text) = known.cloned().or_else(|| text(path)) {
                room = left;
                texts.insert(path.clone(), text);
            }
        }
        Self { marks, texts }
    }

    /// Files that have been cut in place: they end within a line now, and had more before.
    pub(super) fn cut(&self, now: &Self) -> Vec<Diagnostic> {
        let changed =
            now.marks.keys().filter(|path| matches!(self.change(path, now), Change::Less | Change::Beginning));
        changed.filter_map(|path| cut(path, self.texts.get(path)?, now.texts.get(path)?)).collect()
    }

    /// The same of configuration, of the server or of a ban: lists are judged by who knows their rules.
    pub(super) fn cut_configuration(&self, now: &Self) -> Vec<Diagnostic> {
        self.cut(now).into_iter().filter(|cut| cut.source.ends_with(".toml")).collect()
    }

    /// Files that are how they began before: who has cut them may not have meant it.
    pub(super) fn shortened(&self, now: &Self) -> Vec<Diagnostic> {
        let beginnings = now.marks.keys().filter(|path| self.change(path, now) == Change::Beginning);
        beginnings.filter_map(|path| shortened(path, self.texts.get(path)?, now.texts.get(path)?)).collect()
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Whether one of these files has been written anew since; what is only appended is there the next time.
    pub(super) fn is_disturbed(&self, later: &Self) -> bool {
        later.marks.keys().any(|path| self.change(path, later) != Change::Nothing)
    }

    /// This, but for what is known from before.
    pub(super) fn but_for(&self, before: &Self) -> Self {
        let mut all = Self { marks: self.marks.clone(), texts: self.texts.clone() };
        for (path, mark) in &before.marks {
            all.marks.insert(path.clone(), *mark);
            match before.texts.get(path) {
                Some(text) => all.texts.insert(path.clone(), Arc::clone(text)),
                None => all.texts.remove(path),
            };
        }
        all
    }

    fn change(&self, path: &Path, now: &Self) -> Change {
        let (Some(was), Some(is)) = (self.marks.get(path), now.marks.get(path)) else { return Change::Nothing };
        if was == is || !was.is_same_file(is) {
            return Change::Nothing;
        }
        match (self.texts.get(path), now.texts.get(path)) {
            (Some(was), Some(is)) if is.starts_with(was) => Change::Nothing,
            (Some(was), Some(is)) if was.starts_with(is) => Change::Beginning,
            _ if is.size() < was.size() => Change::Less,
            _ => Change::Anew,
        }
    }

    /// For how long a file of leases is to have been as it is now: it is written all the time, and never closed.
    fn rest_of_leases(&self, path: &Path, now: &Self) -> Duration {
        let size = |seen: &Self| seen.marks.get(path).map(Mark::size).unwrap_or_default();
        match self.change(path, now) {
            Change::Nothing | Change::Anew => Duration::ZERO,
            Change::Less | Change::Beginning if size(now) < size(self) / 2 => REST_OF_FEW_LEASES,
            Change::Less | Change::Beginning => REST_OF_LEASES,
        }
    }

    /// For how long a file is to have been as it is now.
    fn rest(&self, path: &Path, now: &Self, writers: &Writers) -> Duration {
        match (self.change(path, now), writers.has_closed(path)) {
            (Change::Nothing, _) | (Change::Anew, Some(true)) => Duration::ZERO,
            (_, Some(false)) => REST_OF_OPEN,
            (Change::Beginning, _) => REST_OF_BEGINNING,
            (Change::Anew | Change::Less, _) => REST,
        }
    }
}

/// The files of configuration and lists.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// As they were when they were taken over.
    in_force: ArcSwap<Seen>,
    /// As they were when nobody wrote them.
    rested: ArcSwap<Seen>,
    pub(super) writers: Writers,
    /// As they were looked at last while that was not over.
    looked: Mutex<Option<Looked>>,
    /// Whether they are leases.
    leases: bool,
}

/// What was seen of files that are not at rest.
#[derive(Debug)]
struct Looked {
    marks: Marks,
    /// Since when they are not.
    begun: Instant,
    /// Since when they are as they are.
    still: Instant,
    /// When they were looked at last.
    last: Instant,
}

impl Files {
    /// Files of leases.
    pub(super) fn of_leases() -> Self {
        Self { leases: true, ..Self::default() }
    }

    pub(super) fn in_force(&self) -> Arc<Seen> {
        self.in_force.load_full()
    }

    /// They are in force as they look here.
    pub(super) fn taken(&self, seen: impl Into<Arc<Seen>>) {
        self.in_force.store(seen.into());
    }

    /// As they are now.
    pub(super) fn look(&self, paths: &[PathBuf]) -> Seen {
        Seen::look(paths, &self.in_force.load())
    }

    /// Waits until all that was changed in place has come to rest; the files as they are then.
    pub(super) async fn at_rest(&self, paths: &[PathBuf]) -> Arc<Seen> {
        loop {
            let (now, in_force) = (self.look(paths), self.in_force());
            let rest = now.marks.keys().map(|path| self.rest(path, &in_force, &now)).max().unwrap_or_default();
            let known = rest.is_zero() || self.rested.load().marks == now.marks;
            if known || self.are_still(&now, rest) {
                let now = Arc::new(now);
                self.rested.store(Arc::clone(&now));
                return now;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether they have been as they are for so long. Whoever waits may be called off and come again: that time counts.
    fn are_still(&self, now: &Seen, rest: Duration) -> bool {
        let (time, mut looked) = (Instant::now(), self.looked.lock().unwrap_or_else(PoisonError::into_inner));
        let before = looked.take();
        let begun = before.as_ref().filter(|before| time - before.last < REST).map_or(time, |before| before.begun);
        let still = before.filter(|before| before.marks == now.marks).map_or(time, |before| before.still);
        let wait_max = if self.leases { WAIT_MAX_OF_LEASES } else { WAIT_MAX };
        let over = time - still >= rest || time - begun >= wait_max;
        if !over {
            *looked = Some(Looked { marks: now.marks.clone(), begun, still, last: time });
        }
        over
    }

    fn rest(&self, path: &Path, in_force: &Seen, now: &Seen) -> Duration {
        if self.leases { in_force.rest_of_leases(path, now) } else { in_force.rest(path, now, &self.writers) }
    }
}

fn text(path: &Path) -> Option<Arc<[u8]>> {
    std::fs::read(path).ok().filter(|text| text.len() as u64 <= TEXT_MAX).map(Arc::from)
}

fn cut(path: &Path, was: &[u8], is: &[u8]) -> Option<Diagnostic> {
    let (before, tail) = (Tail::of(was), Tail::of(is));
    let message = format!(
        "ends within a line and has {} octets, not {} as before: it may be cut or half written; if it is not, end the line",
        tail.bytes, before.bytes
    );
    let name = path.display().to_string().into();
    (before.is_ended() && !tail.is_ended()).then(|| tail.at(Severity::Error, &name, message))
}

fn shortened(path: &Path, was: &[u8], is: &[u8]) -> Option<Diagnostic> {
    let gone = String::from_utf8_lossy(was.get(is.len()..)?).lines().filter(|line| !line.trim().is_empty()).count();
    let message =
        format!("{gone} lines at its end are gone, and all else is as before: if nobody took them out, it was cut");
    (gone > 0).then(|| Diagnostic::whole(Severity::Warning, path.display().to_string(), message))
}

/// Who has files open to write them, as far as the kernel has told.
#[derive(Clone, Debug, Default)]
pub(super) struct Writers(Arc<Mutex<BTreeMap<PathBuf, bool>>>);

impl Writers {
    /// Takes a notice of the kernel's.
    pub(super) fn hear(&self, notice: &notify::Result<Event>) {
        let mut files = self.files();
        let Ok(event) = notice else {
            // Notices were lost.
            files.clear();
            return;
        };
        let closed = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(true),
            EventKind::Modify(notify::event::ModifyKind::Data(_)) => Some(false),
            EventKind::Access(_) | EventKind::Modify(notify::event::ModifyKind::Metadata(_)) => return,
            _ => None,
        };
        for path in &event.paths {
            match closed {
                Some(closed) if files.len() < FILES_MAX => drop(files.insert(path.clone(), closed)),
                _ => drop(files.remove(path)),
            }
        }
    }

    /// Whether who wrote this file last has closed it; `None`: nobody knows.
    fn has_closed(&self, path: &Path) -> Option<bool> {
        self.files().get(path).copied()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder {
        directory: tempfile::TempDir,
        seen: Seen,
    }

    impl Folder {
        fn with(text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("a.toml"), text).unwrap();
            let seen = Seen::look(&[directory.path().join("a.toml")], &Seen::default());
            Self { directory, seen }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("a.toml")
        }

        fn now(&self) -> Seen {
            Seen::look(&[self.path()], &self.seen)
        }

        #[track_caller]
        fn check(&self, text: &str, change: Change, (unknown, closed, open): (u64, u64, u64)) {
            fs::write(self.path(), text).unwrap();
            let now = self.now();
            assert_eq!(self.seen.change(&self.path(), &now), change, "{text:?}");
            for (told, expected) in [(None, unknown), (Some(true), closed), (Some(false), open)] {
                let writers = Writers::default();
                writers.files().extend(told.map(|closed| (self.path(), closed)));
                assert_eq!(self.seen.rest(&self.path(), &now, &writers).as_secs(), expected, "{text:?} {told:?}");
            }
        }
    }

    #[test]
    fn how_a_file_was_changed_says_for_how_long_it_must_rest() {
        let folder = Folder::with("a = 1\nb = 2\n");
        folder.check("a = 1\nb = 2\nc = 3\n", Change::Nothing, (0, 0, 0));
        folder.check("z = 1\na = 1\nb = 2\n", Change::Anew, (2, 0, 10));
        folder.check("z = 1\n", Change::Less, (2, 2, 10));
        folder.check("a = 1\n", Change::Beginning, (5, 5, 10));
        folder.check("", Change::Beginning, (5, 5, 10));
        let new = folder.path().with_extension("new");
        fs::write(&new, "a = 1\n").unwrap();
        fs::rename(&new, folder.path()).unwrap();
        assert_eq!(folder.seen.change(&folder.path(), &folder.now()), Change::Nothing, "another file");
    }

    #[test]
    fn leases_that_are_gone_are_believed_after_a_moment_and_new_ones_at_once() {
        let folder = Folder::with("1 a\n2 b\n3 c\n4 d\n");
        for (text, milliseconds) in [
            ("1 a\n2 b\n3 c\n4 d\n5 e\n", 0),
            ("1 a\n2 b\n3 c\n9 d\n", 0),
            ("1 a\n3 c\n4 d\n", 500),
            ("1 a\n2 b\n3 c\n", 500),
            ("1 a\n", 3_000),
            ("", 3_000),
        ] {
            fs::write(folder.path(), text).unwrap();
            let rest = folder.seen.rest_of_leases(&folder.path(), &folder.now());
            assert_eq!(rest.as_millis(), milliseconds, "{text:?}");
        }
    }

    #[test]
    fn what_is_cut_within_a_line_is_told_with_its_place_and_what_is_cut_at_a_line_by_what_is_gone() {
        let folder = Folder::with("a = 300\nb = 2\n\n");
        let told = |text: &str| {
            fs::write(folder.path(), text).unwrap();
            let now = folder.now();
            let first = |told: Vec<Diagnostic>| told.first().map(|told| told.message.clone());
            (first(folder.seen.cut(&now)), first(folder.seen.shortened(&now)))
        };
        let (cut, _) = told("a = 30");
        assert!(cut.unwrap().contains("ends within a line and has 6 octets, not 15 as before"));
        assert_eq!(told("a = 300\n").0, None);
        assert!(told("a = 300\n").1.unwrap().contains("1 lines at its end are gone"));
        assert_eq!(told("a = 300\nb = 2\n").1, None, "blank lines");
        assert_eq!(told("a = 300\nb = 2\n\n"), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_written_piece_by_piece_is_waited_for_and_one_that_stays_short_is_believed() {
        let folder = Folder::with("a = 1\nb = 2\nc = 3\n");
        let (paths, files) = ([folder.path()], Files::default());
        files.taken(folder.now());
        fs::write(folder.path(), "a = 1\n").unwrap();
        let writing = async {
            for text in ["a = 1\nb = 2\n", "a = 1\nb = 2\nc = 4\n"] {
                tokio::time::sleep(REST_OF_BEGINNING.saturating_sub(LOOK * 2)).await;
                fs::write(folder.path(), text).unwrap();
            }
        };
        let (now, ()) = tokio::join!(files.at_rest(&paths), writing);
        assert_eq!(now.texts[&folder.path()][..], *b"a = 1\nb = 2\nc = 4\n");

        fs::write(folder.path(), "a = 1\n").unwrap();
        let began = Instant::now();
        files.at_rest(&paths).await;
        assert_eq!(began.elapsed().as_secs(), 5);
        files.at_rest(&paths).await;
        assert_eq!(began.elapsed().as_secs(), 5, "once is enough");

        // Somebody else is served in between, again and again.
        fs::write(folder.path(), "").unwrap();
        let began = Instant::now();
        while tokio::time::timeout(LOOK / 2, files.at_rest(&paths)).await.is_err() {}
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[test]
    fn the_kernel_tells_who_writes_a_file_until_it_is_closed() {
        let (writers, path) = (Writers::default(), PathBuf::from("a"));
        let notice = |kind| Ok(Event::new(kind).add_path(path.clone()));
        let check = |kind, expected: Option<bool>| {
            writers.hear(&notice(kind));
            assert_eq!(writers.has_closed(&path), expected, "{kind:?}");
        };
        check(EventKind::Modify(notify::event::ModifyKind::Data(notify::event::DataChange::Any)), Some(false));
        check(EventKind::Access(AccessKind::Close(AccessMode::Read)), Some(false));
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(true));
        check(EventKind::Remove(notify::event::RemoveKind::File), None);
    }
}
