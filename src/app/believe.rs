//! Whether what an operator's own list has become is to be believed: files are cut, and written in place piece by piece.
//!
//! ```text
//! the last line has no end    whoever writes it is waited for, until the file rests; one that was replaced as a whole is not
//! and it is shorter now       refused: it was cut, or its writer stands still
//! much of a long list is gone refused, as of lists from elsewhere
//! all ban folders are gone    refused: their disk is not mounted, or they are being written anew
//! one of an enforced ban is   refused: a mode of `off` ends a ban, and nothing else does in silence
//! ```
//! What is refused is not in force: the policy before stays. At a start the last good copy is that policy. Without one there is
//! nothing to compare with and nothing to fall back on; then a list is enforced as it is, its last line included, with a warning:
//! to enforce none of its rules would let all of them through, and many an editor leaves the last line without an end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::policy::Loading;
use super::watch::Mark;
use crate::config::{Blocklists, ListTried, PolicyLoad, Read, last_good, saved_bans, saved_list};
use crate::diag::{Diagnostic, Severity};
use crate::lists::Guards;
use crate::policy::{ListInfo, Mode, Policy};

/// A file that ends within a line is to rest for this long: who copies one over a network pauses longer than an editor.
const REST: Duration = Duration::from_secs(2);
/// One that never rests is not waited for longer; its next change is noticed like any other.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// It is looked at this often.
const LOOK: Duration = Duration::from_millis(100);

const WAY_OUT: &str = "`embargo reload --any-size` takes it";

/// The files of lists as they were read, by what messages call them.
pub(super) type Marks = BTreeMap<Arc<str>, Mark>;

/// What is known of the version of a list that is in force, or was.
struct Earlier {
    bytes: u64,
    ended: bool,
    rules: u64,
}

impl Loading<'_> {
    /// Reads the lists, those that end within a line again until they rest; and which of them never did.
    pub(super) fn read_at_rest(&self) -> (PolicyLoad, Vec<Arc<str>>) {
        let mut looks = WAIT_MAX.as_millis() / LOOK.as_millis();
        loop {
            let load = self.read();
            let open = self.in_force.map(|in_force| self.being_written(&load, in_force)).unwrap_or_default();
            if open.is_empty() || rest(&open, &mut looks) {
                return (load, Vec::new());
            }
            if looks == 0 {
                return (load, open.into_keys().collect());
            }
        }
    }

    /// Lists that have changed in place and end within a line.
    fn being_written(&self, load: &PolicyLoad, in_force: &Policy) -> Marks {
        let open = own(&load.tried).filter(|(tried, read)| {
            let changed = earlier(in_force, tried).is_none_or(|before| before.digest != read.digest);
            changed && !read.tail.is_ended() && !self.any_size
        });
        let marks =
            open.filter_map(|(tried, _read)| Some((Arc::clone(&tried.name), Mark::of(Path::new(&*tried.name))?)));
        // Whoever exchanges a file, by rename or by a link, has written it before.
        marks.filter(|(name, mark)| self.marks.get(name).is_some_and(|before| before.is_same_file(mark))).collect()
    }

    /// Why a policy that could be made is not taken in the place of the one before: lists that were cut or are being written, and
    /// bans whose rules nobody has any more. Of what is taken and ends within a line, a warning.
    pub(super) fn refusals(&self, load: &mut PolicyLoad, moving: &[Arc<str>]) -> Vec<Diagnostic> {
        let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
        for tried in &mut load.tried {
            let Some(policy) = &load.policy else { break };
            let now = entries(policy, tried);
            let before = self.in_force.map(|in_force| entries(in_force, tried)).unwrap_or_default();
            let lost = load.wanting.iter().any(|wanting| wanting.came && wanting.ban == tried.ban) && before > 0;
            let refusal = match self.suspicion(tried, now, moving) {
                Some(suspicion) => suspicion,
                None if lost => whole(tried, "its rules stay in force until it comes again".to_owned()),
                None => {
                    warnings.extend(self.open(tried).or_else(|| self.beginning(tried)));
                    continue;
                }
            };
            tried.good = false;
            refusals.push(refusal);
        }
        load.diagnostics.extend(warnings);
        match self.emptied(&load.tried) {
            Some(emptied) => refusals.push(emptied),
            None => refusals.extend(self.ended(load)),
        }
        refusals
    }

    /// That bans are gone with their folders: of those that were enforced, why it is not taken; of the others, a warning.
    fn ended(&self, load: &mut PolicyLoad) -> Vec<Diagnostic> {
        let Blocklists::Directory(directory) = &self.settings.blocklists else { return Vec::new() };
        let Some(policy) = load.policy.as_ref() else { return Vec::new() };
        let has = |id: &str| policy.bans().iter().any(|ban| *ban.id == *id);
        let saved;
        let before = match self.in_force {
            Some(in_force) => in_force,
            // To load the copy too costs as much as the start: only where it has what is gone.
            None if saved_bans(self.state_dir, &directory.value).iter().all(|id| has(id)) => return Vec::new(),
            None => match last_good(self.state_dir, self.settings, self.generation).ok().and_then(|copy| copy.policy) {
                Some(policy) => {
                    saved = policy;
                    &saved
                }
                None => return Vec::new(),
            },
        };
        let (mut refusals, mut warnings, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (index, ban) in before.bans().iter().enumerate().filter(|(_index, ban)| !has(&ban.id)) {
            let lists = before.lists().iter().filter(|list| list.ban.0 == index && list.entries > 0);
            let lists: Vec<_> = lists.filter(|list| self.is_of_folder(&list.name, &directory.value, &ban.id)).collect();
            let id = &ban.id;
            match ban.ceiling() {
                _no_rule if lists.is_empty() => (),
                Mode::Enforce if !self.any_size => {
                    refusals.push(directory.error(format!(
                        "the ban `{id}` is enforced, and its folder is gone; it stays in force until the folder comes again. To \
                         end it, bring the folder back with mode = \"off\" in [ban.{id}] first, or {WAY_OUT}"
                    )));
                    gone.extend(lists.iter().map(|list| ListTried::gone(id, &list.name)));
                }
                Mode::Enforce | Mode::Observe => {
                    warnings.push(directory.warning(format!("the ban `{id}` is gone with its folder")));
                }
                Mode::Off => (),
            }
        }
        load.tried.extend(gone);
        load.diagnostics.extend(warnings);
        refusals
    }

    /// Whether a list is of a ban folder in that directory, or of the last good copy of one.
    fn is_of_folder(&self, list: &str, directory: &Path, ban: &str) -> bool {
        let Some(folder) = Path::new(list).parent() else { return false };
        let is_copy = folder.starts_with(self.state_dir) && folder.ends_with(Path::new("bans").join(ban));
        is_copy || folder == directory.join(ban)
    }

    /// That no ban folder is left where some were read before.
    fn emptied(&self, tried: &[ListTried]) -> Option<Diagnostic> {
        let Blocklists::Directory(directory) = &self.settings.blocklists else { return None };
        let within = |name: &str| Path::new(name).starts_with(&directory.value);
        let had = self.in_force?.lists().iter().any(|list| within(&list.name));
        let has = tried.iter().any(|tried| within(&tried.name));
        let message =
            || format!("no ban folder is left in it; their rules stay in force until they come again, or {WAY_OUT}");
        (had && !has && !self.any_size).then(|| directory.error(message()))
    }

    /// What speaks against a version of an operator's own list.
    fn suspicion(&self, tried: &ListTried, now: u64, moving: &[Arc<str>]) -> Option<Diagnostic> {
        let (percent, read) = (tried.shrink_max_percent?, tried.read.as_ref()?);
        let at_end = |message: String| Some(read.tail.at(Severity::Error, &tried.name, message));
        if moving.contains(&tried.name) {
            return at_end(format!(
                "ends within a line and is still being written; when it rests, it is read again, or {WAY_OUT}"
            ));
        }
        let before = self.before(tried, read).filter(|_before| !self.any_size)?;
        // An operator who lets it lose everything has such lists.
        let open = !read.tail.is_ended() && read.tail.bytes < before.bytes && percent < 100;
        // At a start somebody may have edited it at leisure: there only what is plainly cut is.
        if open && ((before.ended && self.in_force.is_some()) || self.is_cut(tried, read)) {
            let (was, is) = (before.bytes, read.tail.bytes);
            return at_end(format!(
                "ends within a line and has {is} octets, not {was} as before: it may be cut or half written; if it is not, end \
                 the line, or {WAY_OUT}"
            ));
        }
        let guards = Guards { shrink_max_percent: percent, ..Guards::default() };
        let suspicion = guards.judge_own(before.rules, now).err()?;
        Some(whole(tried, format!("{suspicion}; if that is right, {WAY_OUT}")))
    }

    /// Whether a list is the beginning of the last good copy, and more follows there before the end of the line: where the last line
    /// never has an end, that alone says nothing.
    fn is_cut(&self, tried: &ListTried, read: &Read) -> bool {
        let saved = saved_list(self.state_dir, &read.saved_as);
        saved.is_some_and(|saved| saved.was_cut_to(Path::new(&*tried.name)).unwrap_or_default())
    }

    /// What is to be said of a list that is taken though it ends within a line, when it is new.
    fn open(&self, tried: &ListTried) -> Option<Diagnostic> {
        let (_own, read) = (tried.shrink_max_percent?, tried.read.as_ref()?);
        let known =
            self.in_force.and_then(|in_force| earlier(in_force, tried)).is_some_and(|list| list.digest == read.digest);
        let message = "the last line has no end; if the file was cut, this may be half of a rule";
        (!known && !read.tail.is_ended()).then(|| read.tail.at(Severity::Warning, &tried.name, message))
    }

    /// What is to be said at a start of a short list that is how the last good copy begins: who has cut it may not have meant it.
    fn beginning(&self, tried: &ListTried) -> Option<Diagnostic> {
        let (_own, read) = (tried.shrink_max_percent?, tried.read.as_ref()?);
        let message =
            "it is how the last good copy of it begins, and the rest is gone: if nobody took it out, it was cut";
        let is_beginning = self.in_force.is_none() && read.tail.is_ended() && self.is_cut(tried, read);
        is_beginning.then(|| Diagnostic::whole(Severity::Warning, Arc::clone(&tried.name), message))
    }

    /// The version in force; at a start, that of the last good copy.
    fn before(&self, tried: &ListTried, read: &Read) -> Option<Earlier> {
        if let Some(in_force) = self.in_force {
            let ListInfo { bytes, ended, entries: rules, .. } = *earlier(in_force, tried)?;
            return Some(Earlier { bytes, ended, rules });
        }
        let saved = saved_list(self.state_dir, &read.saved_as)?;
        // Only what is shorter can have lost much; to read all of a copy at every start would cost as much as the start.
        let rules = if read.tail.bytes < saved.bytes { saved.rules().unwrap_or_default() } else { 0 };
        Some(Earlier { bytes: saved.bytes, ended: saved.ended, rules })
    }
}

/// The files of an operator's own lists, as they are now.
pub(super) fn marks(tried: &[ListTried]) -> Marks {
    own(tried).filter_map(|(list, _read)| Some((Arc::clone(&list.name), Mark::of(Path::new(&*list.name))?))).collect()
}

fn own(tried: &[ListTried]) -> impl Iterator<Item = (&ListTried, &Read)> {
    tried.iter().filter(|list| list.shrink_max_percent.is_some()).filter_map(|list| Some((list, list.read.as_ref()?)))
}

/// Whether these files have stayed as they are for a while.
fn rest(files: &Marks, looks: &mut u128) -> bool {
    for _look in 0..REST.as_millis() / LOOK.as_millis() {
        if *looks == 0 {
            return false;
        }
        *looks -= 1;
        std::thread::sleep(LOOK);
        if files.iter().any(|(name, mark)| Mark::of(Path::new(&**name)).as_ref() != Some(mark)) {
            return false;
        }
    }
    true
}

fn whole(tried: &ListTried, message: String) -> Diagnostic {
    Diagnostic::whole(Severity::Error, Arc::clone(&tried.name), message)
}

/// A list as a policy has it: by its name, or as the last good copy calls it.
fn earlier<'p>(policy: &'p Policy, tried: &ListTried) -> Option<&'p ListInfo> {
    let of_ban = |list: &&ListInfo| policy.bans().get(list.ban.0).is_some_and(|ban| ban.id == tried.ban);
    let lists = || policy.lists().iter().filter(of_ban);
    let file = |name: &Arc<str>| Path::new(&**name).file_name().map(OsStr::to_owned);
    let saved = tried.read.as_ref().and_then(|read| read.saved_as.file_name());
    lists()
        .find(|list| list.name == tried.name)
        .or_else(|| lists().find(|list| saved.is_some() && file(&list.name).as_deref() == saved))
}

/// Rules of a list in a policy.
pub(super) fn entries(policy: &Policy, tried: &ListTried) -> u64 {
    earlier(policy, tried).map_or(0, |list| list.entries)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{self, At, ListFile, Reading, Settings};
    use crate::diag::Source;
    use crate::metrics::Metrics;
    use crate::policy::Strictness;

    #[test]
    fn whoever_writes_in_place_is_waited_for_and_nobody_who_exchanges_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (path, new) = (directory.path().join("names.txt"), directory.path().join("new"));
        let list = At::new(path.clone(), &Source::new("t", ""), 0..0);
        let list = ListFile::new(list, Reading { format: None, strictness: Strictness::Lenient });
        let settings = Settings { lists: vec![list], ..Settings::default() };
        fs::write(&path, "a.example\n").unwrap();
        let before = config::policy(&settings, 1);
        let (in_force, marks) = (before.policy.as_ref().unwrap(), marks(&before.tried));
        let metrics = Metrics::new();
        let (settings, state_dir, metrics, marks) = (&settings, directory.path(), &metrics, &marks);
        let waits = |any_size: bool| {
            let loading = Loading { settings, state_dir, generation: 2, metrics, in_force: None, marks, any_size };
            !loading.being_written(&config::policy(settings, 2), in_force).is_empty()
        };
        assert!(!waits(false), "as it was");
        fs::write(&path, "a.example\nb.exa").unwrap();
        assert!(waits(false) && !waits(true));
        fs::write(&path, "a.example\nb.example\n").unwrap();
        assert!(!waits(false), "every line has an end");
        fs::write(&new, "c.example").unwrap();
        fs::rename(&new, &path).unwrap();
        assert!(!waits(false), "another file");
    }
}
