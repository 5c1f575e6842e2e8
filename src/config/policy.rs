//! Ban folders and lists to a [`Policy`]: every mistake of every file at once, and no policy unless all of it is right.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::at::At;
use super::ban::{BanChange, Declared, is_id};
use super::disk::{Origin, ReadError};
use super::further::{ListFile, Provenance, unique_id};
use super::list::{detect, foresee};
use super::own;
use super::refused::{Refused, bans_nothing, needs_addresses, no_addresses, unaddressed_note, unusable};
use super::settings::{Blocklists, Reading, Settings};
use super::suggest::nearest_first;
use super::tail::Tail;
use super::tried::{ListTried, Read, Wanting};
use super::written::in_order;
use crate::diag::{Diagnostic, Severity, Source};
use crate::digest::{Digest, hex_digest};
use crate::lists::{Guards, Store};
use crate::policy::{
    Ban, BanIndex, Line, ListFormat, ListIndex, ListInfo, ListReader, Parsed, Pattern, Policy, PolicyBuilder, Rule,
    Strictness, Who,
};
use crate::priority::make_way;
use crate::wire::LowerName;

/// The declaration in a ban's folder.
const BAN_FILE: &str = "ban.toml";
/// Octets of a `ban.toml` at most.
const BAN_FILE_MAX: u64 = 1 << 20;
/// Octets of a list at most.
pub(super) const LIST_MAX: u64 = 1 << 30;
/// Places of rules that are kept: of a list that has one rule a hundred thousand times the first are enough.
const PLACES_MAX: usize = 1 << 16;

/// What came of loading.
#[derive(Debug)]
pub struct PolicyLoad {
    /// The policy; `None` when anything in `diagnostics` is an error.
    pub policy: Option<Policy>,
    /// Every mistake and warning, file by file.
    pub diagnostics: Vec<Diagnostic>,
    /// Ids of the bans (names of their folders) that can't be used.
    pub failed: Vec<Arc<str>>,
    /// Every file read.
    pub files: Vec<LoadedFile>,
    /// By name of the list: lines that were not understood or not allowed. Exact, however many were named.
    pub rejected_lines: BTreeMap<Arc<str>, usize>,
    /// Where the rules stand that may have a say about the one name that was asked for, in order: list, pattern, line.
    pub places: Vec<(Arc<str>, String, usize)>,
    /// Every list that was to be read.
    pub tried: Vec<ListTried>,
    /// Lists from elsewhere whose bans have no rule.
    pub wanting: Vec<Wanting>,
}

impl PolicyLoad {
    /// Visits every rule of the lists in force with its line, as long as the files are those that were loaded; whether all were.
    pub fn visit_rules(&self, lists: &[ListInfo], visit: &mut dyn FnMut(&ListInfo, &Rule, usize)) -> bool {
        let mut all = true;
        for list in lists {
            let Some(file) = self.files.iter().find(|file| file.origin.name() == *list.name) else { continue };
            let mut reader = ListReader::new(list.format, Arc::clone(&list.name), Strictness::Lenient);
            let mut sink = |rule: &Rule, line: &Line<'_>| visit(list, rule, line.number);
            all &= foresee(&file.origin, &mut reader, list.format).is_ok();
            all &= file.reread_pieces(|piece| {
                reader.read(piece, &mut sink);
                Ok(())
            });
            reader.finish(&mut sink);
        }
        all
    }
}

/// A file that the policy was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// Where it was read.
    pub origin: Origin,
    /// SHA-256 of its octets, in hexadecimal.
    pub digest: String,
    /// Its path below a saved copy.
    pub(super) saved_as: PathBuf,
}

impl LoadedFile {
    /// Reads the file again; `None` when it is no longer the one that was loaded.
    pub fn reread(&self) -> Option<Vec<u8>> {
        self.origin.read(LIST_MAX).ok().filter(|octets| hex_digest(octets) == self.digest)
    }

    /// Reads the file again, piece by piece; whether it is still the one that was loaded.
    pub(super) fn reread_pieces(&self, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> bool {
        let mut digest = Digest::new();
        let read = self.origin.read_pieces(LIST_MAX, |piece| {
            digest.add(piece);
            sink(piece)
        });
        read.is_ok() && digest.finish() == self.digest
    }
}

/// What is made of a `[ban.<id>]` that no ban has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownBan {
    /// A mistake.
    Refused,
    /// Nothing: the bans are a saved copy, older than the configuration.
    Tolerated,
}

/// Loads the bans and lists that the settings name.
pub fn policy(settings: &Settings, generation: u64) -> PolicyLoad {
    load(settings, generation, UnknownBan::Refused)
}

/// The same as far as it has a say about one name, in a fraction of the time where lists are long.
pub fn policy_about(settings: &Settings, name: &LowerName) -> PolicyLoad {
    load_about(settings, 1, UnknownBan::Refused, Some(name))
}

pub(super) fn load(settings: &Settings, generation: u64, unknown: UnknownBan) -> PolicyLoad {
    load_about(settings, generation, unknown, None)
}

fn load_about(settings: &Settings, generation: u64, unknown: UnknownBan, about: Option<&LowerName>) -> PolicyLoad {
    let mut loader = Loader {
        settings,
        builder: PolicyBuilder::new(rand::random(), own::protected(settings))
            .about(about.cloned())
            .knowing(who(settings))
            .pausing(make_way),
        diagnostics: Vec::new(),
        failed: Vec::new(),
        files: Vec::new(),
        rejected_lines: BTreeMap::new(),
        places: Vec::new(),
        tried: Vec::new(),
        wanting: Vec::new(),
        ids: BTreeSet::new(),
        about: about.cloned(),
    };
    match settings.blocklists.folders() {
        Ok(folders) => folders.iter().for_each(|folder| loader.folder(folder)),
        Err(error) => loader.no_folders(&error),
    }
    settings.lists.iter().for_each(|list| loader.list_file(list));
    if unknown == UnknownBan::Refused {
        loader.unknown_bans();
    }
    loader.finish(generation)
}

/// Who is who.
fn who(settings: &Settings) -> Who {
    let caching_forwarders = settings.caching_forwarders.iter().map(|at| at.value).collect();
    let who = Who::new(settings.groups.clone()).with_caching_forwarders(caching_forwarders);
    who.with_doors(settings.doors.clone())
}

struct Loader<'s> {
    settings: &'s Settings,
    builder: PolicyBuilder,
    diagnostics: Vec<Diagnostic>,
    failed: Vec<Arc<str>>,
    files: Vec<LoadedFile>,
    rejected_lines: BTreeMap<Arc<str>, usize>,
    places: Vec<(Arc<str>, String, usize)>,
    tried: Vec<ListTried>,
    wanting: Vec<Wanting>,
    ids: BTreeSet<Arc<str>>,
    /// The one name that will be asked for.
    about: Option<LowerName>,
}

impl Loader<'_> {
    fn whole(&mut self, source: impl Into<Arc<str>>, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::whole(Severity::Error, source, message));
    }

    fn no_folders(&mut self, error: &ReadError) {
        match &self.settings.blocklists {
            Blocklists::Directory(path) => {
                self.diagnostics.push(path.error(format!("{}: {error}", path.value.display())));
            }
            Blocklists::Embedded => self.whole(self.settings.blocklists.name(), error.to_string()),
        }
    }

    fn folder(&mut self, folder: &str) {
        let origin = self.settings.blocklists.file(folder, BAN_FILE);
        if !is_id(folder) {
            return self.whole(origin.name(), format!("the folder `{folder}` is no id: 1 to 32 of a-z, 0-9 and `-`"));
        }
        let id: Arc<str> = folder.into();
        self.ids.insert(Arc::clone(&id));
        if matches!(origin.read(BAN_FILE_MAX), Err(ReadError::Missing)) {
            let message = "is missing, so its folder is left out";
            return self.diagnostics.push(Diagnostic::whole(Severity::Warning, origin.name(), message));
        }
        if self.ban(&id, origin).is_none() {
            self.failed.push(id);
        }
    }

    /// One ban folder; `None` when any of it is wrong.
    fn ban(&mut self, id: &Arc<str>, origin: Origin) -> Option<()> {
        let saved_as = |file: &str| Path::new("bans").join(&**id).join(file);
        let source = self.text(origin, saved_as(BAN_FILE))?;
        let known = self.diagnostics.len();
        let mut declared = Declared::read(&source, id, &self.settings.time_zone, &mut self.diagnostics)?;
        let lists = std::mem::take(&mut declared.lists);
        let ban =
            declared.into_ban(change(self.settings, id), &self.settings.block_page.addresses, &mut self.diagnostics);
        let added = ban.map(|ban| (self.builder.ban(ban.clone()), ban));
        for list in lists {
            let (origin, told) = (self.settings.blocklists.file(id, &list.file.value), self.diagnostics.len());
            let saved_as = |_format| saved_as(&list.file.value);
            // Without a ban its rules are still read, for their mistakes.
            let read = self.rules(&origin, saved_as, list.reading, added.as_ref(), &Provenance::Own);
            let read = read.map_err(|error| {
                self.diagnostics.push(list.file.error(format!("{}: {error}", origin.name())));
            });
            let shrink_max = Some(Guards::default().shrink_max_percent);
            self.tried((id, added.as_ref()), &origin, (told, shrink_max), read.ok());
        }
        let new = self.diagnostics.get(known..).unwrap_or_default();
        (!new.iter().any(Diagnostic::is_error)).then_some(())
    }

    /// A list that makes a ban of its own.
    fn list_file(&mut self, list: &ListFile) {
        let origin = Origin::File(list.path.value.clone());
        let stem = list.path.value.file_stem().unwrap_or_default().to_string_lossy();
        let id = list.id.as_ref().map_or_else(|| self.free_id(&stem), |id| Arc::clone(&id.value));
        let known = self.diagnostics.len();
        if !self.ids.insert(Arc::clone(&id)) {
            self.diagnostics.extend(list.id.as_ref().map(|at| at.error(format!("there is a ban `{id}` already"))));
        }
        let saved_as = |format: ListFormat| Path::new("lists").join(format.as_str()).join(&*id);
        let place = At::new((), &Source::new(list.path.value.display().to_string(), ""), 0..0);
        let title = if list.id.is_some() { &*id } else { &*stem };
        let declared = Declared::of_list(Arc::clone(&id), title, place);
        let ban =
            declared.into_ban(change(self.settings, &id), &self.settings.block_page.addresses, &mut self.diagnostics);
        let added = ban.map(|ban| (self.builder.ban(ban.clone()), ban));
        let mut read = self.rules(&origin, saved_as, list.reading, added.as_ref(), &list.provenance());
        if list.elsewhere.is_some() && matches!(read, Err(ReadError::Damaged)) {
            // A server whose place is taken may just have exchanged it.
            read = self.rules(&origin, saved_as, list.reading, added.as_ref(), &list.provenance());
        }
        let read = read.map_err(|error| match list.elsewhere {
            // No source of a list may keep the others out of force.
            Some(_) => self.wants(&id, list, &error),
            None => self.diagnostics.push(list.path.error(format!("{}: {error}", origin.name()))),
        });
        let shrink_max = list.elsewhere.is_none().then_some(list.shrink_max_percent);
        self.tried((&id, added.as_ref()), &origin, (known, shrink_max), read.ok());
        if self.diagnostics.get(known..).unwrap_or_default().iter().any(Diagnostic::is_error) {
            self.failed.push(id);
        }
    }

    /// A list from elsewhere can't be read.
    fn wants(&mut self, id: &Arc<str>, list: &ListFile, error: &ReadError) {
        let unsigned = matches!(error, ReadError::Unsigned);
        // One that nobody has verified is as good as none.
        let came = Store::came(&list.path.value) && !unsigned;
        let why = if came || unsigned { error.to_string() } else { "has not come yet".to_owned() };
        let message = format!("{why}; until the list comes, the ban `{id}` has no rule");
        let name = list.path.value.display().to_string();
        self.diagnostics.push(Diagnostic::whole(Severity::Warning, name, message));
        self.wanting.push(Wanting { ban: Arc::clone(id), came });
    }

    /// Remembers how a list fared, of which everything was said since `told`.
    fn tried(
        &mut self,
        (id, added): (&Arc<str>, Option<&(BanIndex, Ban)>),
        origin: &Origin,
        (told, shrink_max_percent): (usize, Option<u32>),
        read: Option<Read>,
    ) {
        let said = self.diagnostics.get(told..).unwrap_or_default();
        let ban = (id, added.map(|(_, ban)| ban));
        self.tried.push(ListTried::new(ban, origin.name(), said, shrink_max_percent, read));
    }

    /// An id made of a file's name, which no ban has and no other list asks for.
    fn free_id(&self, stem: &str) -> Arc<str> {
        let wanted = self.settings.lists.iter().filter_map(|list| list.id.as_ref());
        unique_id(stem, &self.ids.iter().chain(wanted.map(|id| &id.value)).cloned().collect())
    }

    /// The text of a declaration.
    fn text(&mut self, origin: Origin, saved_as: PathBuf) -> Option<Source> {
        let (name, octets) = (origin.name(), origin.read(BAN_FILE_MAX));
        let octets = octets.map_err(|error| self.whole(&*name, error.to_string())).ok()?;
        self.files.push(LoadedFile { origin, digest: hex_digest(&octets), saved_as });
        match String::from_utf8(octets) {
            Ok(text) => Some(Source::new(name, text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let source = Source::new(name, String::from_utf8_lossy(error.as_bytes()).into_owned());
                self.diagnostics.push(source.error(at..at + 1, "is not UTF-8 from here"));
                None
            }
        }
    }

    /// Streams a list's rules into the table. It is read twice, so that it need not be held: once for its digest and, if it is
    /// strict, for its mistakes, and once for its rules.
    ///
    /// # Errors
    /// [`ReadError`] when it can't be read, or is not the copy that is known.
    fn rules(
        &mut self,
        origin: &Origin,
        saved_as: impl Fn(ListFormat) -> PathBuf,
        Reading { format, strictness }: Reading,
        added: Option<&(BanIndex, Ban)>,
        provenance: &Provenance,
    ) -> Result<Read, ReadError> {
        let name: Arc<str> = origin.name().into();
        let detected = format.is_none();
        let format = format.map_or_else(|| detect(origin), Ok)?;
        let (mut digest, mut check) = (Digest::new(), ListReader::new(format, Arc::clone(&name), strictness));
        let mut tail = Tail::default();
        let own = matches!(provenance, Provenance::Own);
        if own && strictness == Strictness::Lenient && self.about.is_some() {
            // For one name alone neither its digest nor its mistakes are wanted.
            origin.head(1, LIST_MAX)?;
        } else {
            origin.read_pieces(LIST_MAX, |piece| {
                digest.add(piece);
                tail.add(piece);
                if strictness == Strictness::Strict {
                    check.read(piece, &mut |_rule, _line| ());
                }
                Ok(())
            })?;
        }
        let digest = digest.finish();
        if matches!(provenance, Provenance::Unsigned) {
            return Err(ReadError::Unsigned);
        }
        if let Provenance::Foreign(kept) = provenance
            && !kept.as_ref().ok_or(ReadError::Unknown)?.knows(&digest)
        {
            return Err(ReadError::Damaged);
        }
        let file = LoadedFile { origin: origin.clone(), digest, saved_as: saved_as(format) };
        let checked = check.finish(&mut |_rule, _line| ());
        if checked.bad_lines > 0 {
            // Rules can't be taken back from the table.
            self.read_list(&name, Parsed { rules: 0, ..checked }, Refused::default());
        } else {
            let (bytes, ended) = (tail.bytes, tail.is_ended());
            let info = |index| ListInfo {
                detected,
                bytes,
                ended,
                ..ListInfo::new(Arc::clone(&name), index, format, &*file.digest)
            };
            let list = added.map(|(index, ban)| (self.builder.list(info(*index)), ban));
            self.second_reading(&file, (format, strictness), list, own);
        }
        let read = Read { digest: file.digest.clone(), saved_as: file.saved_as.clone(), tail };
        self.files.push(file);
        Ok(read)
    }

    fn second_reading(
        &mut self,
        file: &LoadedFile,
        (format, strictness): (ListFormat, Strictness),
        list: Option<(ListIndex, &Ban)>,
        own: bool,
    ) {
        // Whoever writes in our format knows our actions; a foreign list only says that there is somebody's sinkhole.
        let exact = own && (format == ListFormat::Rules || strictness == Strictness::Strict);
        let name: &Arc<str> = &file.origin.name().into();
        let (mut refused, mut unaddressed, banning) = (Refused::default(), 0_usize, Cell::new(0_usize));
        let about = self.about.clone();
        let mut add = |rule: &Rule, line: &Line<'_>| {
            let Some((list, ban)) = list else { return };
            if about.as_ref().is_some_and(|asked| may_be_shown(&rule.pattern, asked)) && self.places.len() < PLACES_MAX
            {
                self.places.push((Arc::clone(name), rule.pattern.to_string(), line.number));
            }
            let needs_addresses = needs_addresses(rule, ban);
            if needs_addresses && exact {
                return refused.add(|| no_addresses(line, ban));
            }
            unaddressed += usize::from(needs_addresses);
            let added = if needs_addresses {
                self.builder.rule(list, &Rule { does: None, ..rule.clone() })
            } else {
                self.builder.rule(list, rule)
            };
            match added {
                Ok(()) => banning.set(banning.get() + usize::from(rule.bans())),
                Err(error) => refused.add(|| line.warning(error.to_string())),
            }
        };
        let mut reader = ListReader::new(format, Arc::clone(name), strictness);
        let is_foreseen = foresee(&file.origin, &mut reader, format).is_ok();
        let read = |piece: &[u8]| {
            // Until some rule bans, the whole of it may be a mistake.
            if let Some(asked) = about.as_ref().filter(|_asked| banning.get() > 0) {
                reader.about(asked);
            }
            reader.read(piece, &mut add);
            Ok(())
        };
        let is_same =
            if about.is_some() { file.origin.read_pieces(LIST_MAX, read).is_ok() } else { file.reread_pieces(read) };
        let parsed = reader.finish(&mut add);
        if !(is_foreseen && is_same) {
            return self.whole(Arc::clone(name), "has changed while it was read");
        }
        // A page of single words, say, of which each is refused as a public suffix. A strict list is read by whoever wrote it.
        let lenient = own && strictness == Strictness::Lenient;
        let none = (lenient && banning.get() == 0 && refused.count() > 0).then(|| bans_nothing(name));
        self.read_list(name, parsed, refused);
        self.diagnostics.extend(none);
        self.diagnostics.extend(list.and_then(|(_list, ban)| unaddressed_note(name, ban, unaddressed)));
    }

    /// What came of a list.
    fn read_list(&mut self, name: &Arc<str>, parsed: Parsed, refused: Refused) {
        self.rejected_lines.insert(Arc::clone(name), parsed.bad_lines + refused.count());
        self.diagnostics.extend(unusable(name, &parsed));
        self.diagnostics.extend(parsed.diagnostics);
        self.diagnostics.extend(refused.finish(name));
    }

    fn unknown_bans(&mut self) {
        let known: Vec<&str> = self.ids.iter().map(|id| &**id).collect();
        // What is no id was told when the configuration was read.
        let unknown = self.settings.bans.iter().filter(|change| is_id(&change.id.value));
        let mut mistakes: Vec<Diagnostic> = unknown
            .filter(|change| !self.ids.contains(&change.id.value))
            .map(|change| {
                let known = nearest_first(&change.id.value, &known).join(", ");
                change.id.error(format!("unknown ban `{}`; known bans: {known}", change.id.value))
            })
            .collect();
        let exported = self.settings.exports.iter().filter_map(|export| export.bans.as_ref()).flatten();
        mistakes.extend(exported.filter(|ban| !self.ids.contains(&ban.value)).map(|ban| {
            let known = nearest_first(&ban.value, &known).join(", ");
            ban.error(format!("unknown ban `{}`; known bans: {known}", ban.value))
        }));
        let exemptions = self.settings.exemptions.iter();
        mistakes.extend(exemptions.filter_map(|exemption| exemption.unknown_ban(&known)));
        in_order(&mut mistakes);
        self.diagnostics.extend(mistakes);
    }

    fn finish(mut self, generation: u64) -> PolicyLoad {
        if self.ids.is_empty() && !self.diagnostics.iter().any(Diagnostic::is_error) {
            let message = "holds no ban: no folder with a ban.toml, and no list is given";
            self.whole(self.settings.blocklists.name(), message);
        }
        let good = !self.diagnostics.iter().any(Diagnostic::is_error);
        let policy = good.then(|| {
            let (policy, warnings) = self.builder.build(generation);
            self.diagnostics.extend(warnings);
            let exemptions = self.settings.exemptions.iter();
            self.diagnostics.extend(exemptions.filter_map(|exemption| exemption.unknown_category(&policy)));
            policy
        });
        PolicyLoad {
            policy,
            diagnostics: self.diagnostics,
            failed: self.failed,
            files: self.files,
            rejected_lines: self.rejected_lines,
            places: self.places,
            tried: self.tried,
            wanting: self.wanting,
        }
    }
}

/// The operator's word on a ban.
fn change<'s>(settings: &'s Settings, id: &str) -> Option<&'s BanChange> {
    settings.bans.iter().find(|change| *change.id.value == *id)
}

/// Whether an explanation of the name `asked` may show a rule with this pattern.
fn may_be_shown(pattern: &Pattern, asked: &LowerName) -> bool {
    pattern.concerns(asked) && (pattern.name().labels() <= asked.labels() || pattern.kind().is_network())
}
