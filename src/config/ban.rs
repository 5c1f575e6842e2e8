//! `ban.toml` and the operator's `[ban.<id>]` to a [`Ban`]: the file says what a ban is, the operator changes what it
//! does.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::at::At;
use super::block_page;
use super::convert::reading;
use super::file;
use super::reader::Reader;
use super::settings::{Reading, Settings};
use super::stance::{StanceChange, TermChange};
use super::suggest::nearest_first;
use crate::diag::{Diagnostic, Source};
use crate::policy::{Ban, BanKind, Ede, EndUse, Law, ListFormat, Milestone, Mode, PageText, Strictness};
use crate::wire::{EDE_TEXT_MAX, ede};

/// Characters of an id at most.
const ID_MAX: usize = 32;
/// RFC 8914 codes that a blocked answer may carry.
const EDE_CODES: [u16; 4] = [ede::FORGED_ANSWER, ede::BLOCKED, ede::CENSORED, ede::FILTERED];
const TTL_LIMITS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// What a ban does, as far as one file says so; what it leaves out is taken from the file below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    stance: StanceChange,
    ede_code: Option<At<u16>>,
    ede_text: Option<At<Arc<str>>>,
    ttl: Option<At<Duration>>,
    sinkhole: Option<Vec<IpAddr>>,
    contact: Option<At<Arc<str>>>,
    alternatives: Option<At<Arc<str>>>,
    pages: Vec<PageText>,
}

/// What the operator changes about one ban.
#[derive(Clone, Debug, PartialEq)]
pub struct BanChange {
    /// The ban's id.
    pub id: At<Arc<str>>,
    /// What is changed.
    pub change: Change,
    /// Ids of the laws that bind this network.
    pub bound_by: Vec<At<Arc<str>>>,
    /// What is changed for the clients of some groups; the first one that speaks of a client holds.
    pub(super) terms: Vec<TermChange>,
}

/// A ban as its own file declares it.
#[derive(Debug)]
pub(super) struct Declared {
    id: Arc<str>,
    /// Where the id, or else the file, can be pointed at.
    place: At<()>,
    kind: BanKind,
    title: Arc<str>,
    vendor: Arc<str>,
    change: Change,
    laws: Vec<Law>,
    milestones: Vec<Milestone>,
    fallback: Vec<IpAddr>,
    /// Its lists.
    pub(super) lists: Vec<DeclaredList>,
}

/// One list of a ban.
#[derive(Debug)]
pub(super) struct DeclaredList {
    /// Name of a file in the ban's folder.
    pub(super) file: At<Arc<str>>,
    /// How to read it: the format is known.
    pub(super) reading: Reading,
}

impl Change {
    /// What is written, understood.
    pub(super) fn read(written: &file::Change, zone: &TimeZone, reader: &mut Reader<'_>) -> Self {
        Self {
            stance: StanceChange::read(&written.stance(), zone, reader),
            ede_code: ede_code(&written.ede.code, reader),
            ede_text: text(&written.ede.text, reader).filter(|text| ede_text_fits(text, reader)),
            ttl: reader.duration_at(&written.ttl, TTL_LIMITS),
            sinkhole: written.sinkhole.as_ref().map(|texts| addresses(texts.get_ref(), reader)),
            contact: text(&written.contact, reader),
            alternatives: text(&written.alternatives, reader),
            pages: block_page::pages(&written.page, reader),
        }
    }

    /// This change where it says something, `below` where it does not.
    fn over(self, below: Self) -> Self {
        Self {
            stance: self.stance.over(below.stance),
            ede_code: self.ede_code.or(below.ede_code),
            ede_text: self.ede_text.or(below.ede_text),
            ttl: self.ttl.or(below.ttl),
            sinkhole: self.sinkhole.or(below.sinkhole),
            contact: self.contact.or(below.contact),
            alternatives: self.alternatives.or(below.alternatives),
            pages: block_page::over(self.pages, below.pages),
        }
    }
}

impl Settings {
    /// Gives a ban this mode, as if the configuration said so. What it says for the clients of some groups stays.
    pub fn set_mode(&mut self, ban: &str, mode: Mode) {
        if !self.bans.iter().any(|change| *change.id.value == *ban) {
            let id = At::new(ban.into(), &Source::new("--ban", ban), 0..ban.len());
            self.bans.push(BanChange { id, change: Change::default(), bound_by: Vec::new(), terms: Vec::new() });
        }
        let named = self.bans.iter_mut().find(|change| *change.id.value == *ban);
        if let Some(change) = named {
            let word = mode.as_str();
            change.change.stance.set_mode(At::new(mode, &Source::new("--mode", word), 0..word.len()));
        }
    }
}

/// Whether a text is an id: `[a-z0-9-]{1,32}`.
pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
}

impl Declared {
    /// Reads a `ban.toml` that stands in a folder of this name; `None` after a fault of syntax. Whatever else is wrong
    /// stands at its default and among the mistakes.
    pub(super) fn read(source: &Source, folder: &str, zone: &TimeZone, mistakes: &mut Vec<Diagnostic>) -> Option<Self> {
        let mut reader = Reader::new(source);
        let Some(mut file) = reader.file::<file::BanFile>() else {
            mistakes.append(&mut reader.finish());
            return None;
        };
        match &file.version {
            None => reader.missing("version", None),
            Some(version) if *version.get_ref() == 1 => (),
            Some(version) => reader.error(version.span(), "`version` must be 1: this is the first form of the file"),
        }
        let id = reader.required(&file.id, "id", None);
        let place = file.id.as_ref().map_or(0..0, Spanned::span);
        if !id.is_empty() && *id != *folder {
            reader.error(place.clone(), format!("`id` must be the name of its folder, `{folder}`"));
        } else if !id.is_empty() && !is_id(&id) {
            reader.error(place.clone(), "an id is 1 to 32 of a-z, 0-9 and `-`");
        }
        let declared = Self {
            place: reader.at((), place),
            kind: kind(&file.kind, &mut reader),
            title: reader.required(&file.title, "title", None),
            vendor: plain(&file.vendor),
            change: Change::read(&file.take_change(), zone, &mut reader),
            laws: laws(&file.law, &mut reader),
            milestones: milestones(&file.milestone, &mut reader),
            fallback: resolvers(&file.fallback_resolvers, &mut reader),
            lists: lists(file.lists.as_ref(), &mut reader),
            id,
        };
        mistakes.append(&mut reader.finish());
        Some(declared)
    }

    /// A ban made for a single list: enforced, with nothing known about it.
    pub(super) fn of_list(id: Arc<str>, title: &str, place: At<()>) -> Self {
        Self {
            id,
            place,
            kind: BanKind::Ban,
            title: title.into(),
            vendor: "".into(),
            change: Change::default(),
            laws: Vec::new(),
            milestones: Vec::new(),
            fallback: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// The ban in force: the declaration with the operator's changes; `None` when the two make no sense together. `received`:
    /// where those are received who are sent to addresses of ours, if the ban names none.
    pub(super) fn into_ban(
        self,
        operator: Option<&BanChange>,
        received: &[IpAddr],
        mistakes: &mut Vec<Diagnostic>,
    ) -> Option<Ban> {
        let known = mistakes.len();
        let change = operator.map(|operator| operator.change.clone()).unwrap_or_default().over(self.change);
        let bound_by = bound_by(operator, &self.laws, mistakes);
        let addresses = change.sinkhole.filter(|addresses| !addresses.is_empty()).unwrap_or_else(|| received.to_vec());
        let terms = operator.map(|operator| operator.terms.clone()).unwrap_or_default();
        let terms =
            terms.into_iter().map(|term| term.into_term(&change.stance, !addresses.is_empty(), mistakes)).collect();
        let own = operator.map(|operator| &operator.change.stance);
        let stance = change.stance.into_stance(own, !addresses.is_empty(), mistakes);
        let contact = change.contact.as_ref().map_or_else(|| "".into(), |at| Arc::clone(&at.value));
        let text = change.ede_text.map_or_else(|| ede_text(&self.title, &contact), |at| at.value);
        if text.len() > EDE_TEXT_MAX {
            let message =
                "what clients are told is made of title and contact, and longer than 120 octets; write `ede.text`";
            let error = change.contact.as_ref().map_or_else(|| self.place.error(message), |at| at.error(message));
            mistakes.push(error);
        }
        let ban = Ban {
            id: self.id,
            kind: self.kind,
            title: self.title,
            vendor: self.vendor,
            stance,
            terms,
            ede: Ede { code: change.ede_code.map_or(ede::BLOCKED, |at| at.value), text },
            ttl: change.ttl.map_or(Ban::TTL_DEFAULT, |at| at.value),
            sinkhole_v4: addresses.iter().filter_map(|address| as_v4(*address)).collect(),
            sinkhole_v6: addresses.iter().filter_map(|address| as_v6(*address)).collect(),
            contact,
            alternatives: change.alternatives.map_or_else(|| "".into(), |at| at.value),
            pages: change.pages,
            laws: self.laws,
            bound_by,
            milestones: self.milestones,
            fallback: self.fallback,
        };
        (mistakes.len() == known).then_some(ban)
    }
}

/// Addresses of resolvers.
fn resolvers(written: &file::Texts, reader: &mut Reader<'_>) -> Vec<IpAddr> {
    let mut resolvers = Vec::new();
    for text in written.iter().flat_map(Spanned::get_ref) {
        match text.get_ref().parse::<IpAddr>() {
            Ok(address) => resolvers.push(address.to_canonical()),
            Err(_none) => reader.error(text.span(), "no address; write for example \"192.0.2.1\" or \"2001:db8::1\""),
        }
    }
    resolvers
}

/// True whatever the law: it names the ban and speaks of this network only.
fn ede_text(title: &str, contact: &str) -> Arc<str> {
    let contact = if contact.is_empty() { String::new() } else { format!("; contact: {contact}") };
    format!("{title} is blocked by policy of this network{contact}").into()
}

fn bound_by(operator: Option<&BanChange>, laws: &[Law], mistakes: &mut Vec<Diagnostic>) -> Vec<Arc<str>> {
    let known: Vec<&str> = laws.iter().map(|law| &*law.id).collect();
    let mut bound: Vec<Arc<str>> = Vec::new();
    for id in operator.map(|operator| operator.bound_by.as_slice()).unwrap_or_default() {
        if known.contains(&&*id.value) {
            bound.push(Arc::clone(&id.value));
        } else if known.is_empty() {
            mistakes.push(id.error("this ban names no law"));
        } else {
            let known = nearest_first(&id.value, &known).join(", ");
            mistakes.push(id.error(format!("unknown law `{}` of this ban; known: {known}", id.value)));
        }
    }
    bound
}

fn as_v4(address: IpAddr) -> Option<std::net::Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn as_v6(address: IpAddr) -> Option<std::net::Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

fn text(written: &file::Text, reader: &Reader<'_>) -> Option<At<Arc<str>>> {
    written.as_ref().map(|text| reader.at(text.get_ref().as_str().into(), text.span()))
}

fn plain(written: &file::Text) -> Arc<str> {
    written.as_ref().map_or_else(|| "".into(), |text| text.get_ref().as_str().into())
}

fn ede_code(written: &file::Count, reader: &mut Reader<'_>) -> Option<At<u16>> {
    let written = written.as_ref()?;
    let code = u16::try_from(*written.get_ref()).ok().filter(|code| EDE_CODES.contains(code));
    if code.is_none() {
        let known = "4 forged (with sinkhole), 15 blocked, 16 censored, 17 filtered";
        reader.error(written.span(), format!("an EDE code of a blocked answer is one of: {known}"));
    }
    code.map(|code| reader.at(code, written.span()))
}

fn ede_text_fits(text: &At<Arc<str>>, reader: &mut Reader<'_>) -> bool {
    let octets = text.value.len();
    if octets > EDE_TEXT_MAX {
        reader
            .mistakes
            .push(text.error(format!("text has {octets} octets; at most {EDE_TEXT_MAX} are sent to clients")));
    }
    octets <= EDE_TEXT_MAX
}

pub(super) fn addresses(texts: &[Spanned<String>], reader: &mut Reader<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        match text.get_ref().parse() {
            Ok(address) => addresses.push(address),
            Err(_) => reader.error(text.span(), "no IP address; write for example \"192.0.2.1\" or \"2001:db8::1\""),
        }
    }
    addresses
}

fn kind(written: &file::Text, reader: &mut Reader<'_>) -> BanKind {
    fn as_str(kind: BanKind) -> &'static str {
        match kind {
            BanKind::Ban => "ban",
            BanKind::Signal => "signal",
        }
    }
    reader.word(written, "kind", &[BanKind::Ban, BanKind::Signal], as_str).map_or(BanKind::Ban, |at| at.value)
}

fn laws(written: &[Spanned<file::Law>], reader: &mut Reader<'_>) -> Vec<Law> {
    fn as_str(end_use: EndUse) -> &'static str {
        match end_use {
            EndUse::Yes => "yes",
            EndUse::No => "no",
            EndUse::Partial => "partial",
        }
    }
    let mut laws: Vec<Law> = Vec::new();
    for spanned in written {
        let (law, table) = (spanned.get_ref(), Some(spanned.span()));
        let id = reader.required(&law.id, "id", table.clone());
        duplicate(&id, law.id.as_ref(), laws.iter().map(|law| &law.id), reader);
        reader.required(&law.end_use, "end_use", table.clone());
        let end_use = reader.word(&law.end_use, "end_use", &[EndUse::Yes, EndUse::No, EndUse::Partial], as_str);
        laws.push(Law {
            id,
            jurisdiction: reader.required(&law.jurisdiction, "jurisdiction", table.clone()),
            instrument: reader.required(&law.instrument, "instrument", table.clone()),
            citation: plain(&law.citation),
            issued: reader.date(&law.issued),
            effective: reader.date(&law.effective),
            applies_to: plain(&law.applies_to),
            end_use: end_use.map_or(EndUse::No, |at| at.value),
            note: plain(&law.note),
            source: reader.required(&law.source, "source", table),
        });
    }
    laws
}

fn duplicate<'l>(
    id: &Arc<str>,
    written: Option<&Spanned<String>>,
    mut before: impl Iterator<Item = &'l Arc<str>>,
    reader: &mut Reader<'_>,
) {
    if let Some(written) = written
        && before.any(|other| other == id)
    {
        reader.error(written.span(), format!("the id `{id}` stands already above"));
    }
}

fn milestones(written: &[Spanned<file::Milestone>], reader: &mut Reader<'_>) -> Vec<Milestone> {
    let mut milestones = Vec::new();
    for spanned in written {
        let (milestone, table) = (spanned.get_ref(), Some(spanned.span()));
        let text = reader.required(&milestone.text, "text", table.clone());
        if milestone.date.is_none() {
            reader.missing("date", table);
        }
        milestones.extend(reader.date(&milestone.date).map(|date| Milestone { date, text }));
    }
    milestones
}

fn lists(written: Option<&Spanned<Vec<Spanned<file::ListName>>>>, reader: &mut Reader<'_>) -> Vec<DeclaredList> {
    let Some(written) = written else {
        reader.missing("lists", None);
        return Vec::new();
    };
    if written.get_ref().is_empty() {
        reader.error(written.span(), "names no file; write lists = [\"rules.txt\"]");
    }
    let mut lists = Vec::new();
    for name in written.get_ref() {
        let (list, span): (_, Range<usize>) = (&name.get_ref().0, name.span());
        // What a ban is made of is not guessed.
        let mut reading = reading(&list.format, &list.strict, Strictness::Strict, reader);
        reading.format = reading.format.or(Some(ListFormat::Rules));
        match &list.file {
            None => reader.missing("file", Some(span)),
            Some(file) if !is_plain_file_name(file.get_ref()) => {
                reader.error(span, "a list is a file in the ban's own folder: a name without `/`");
            }
            Some(file) => lists.push(DeclaredList { file: reader.at(file.get_ref().as_str().into(), span), reading }),
        }
    }
    lists
}

/// No separator and no way up: the folder is all that a ban may read.
fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
