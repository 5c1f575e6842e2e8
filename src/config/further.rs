//! `[[list]]`: lists beside the ban folders, each a ban of its own; from a file, or from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::at::At;
use super::ban::is_id;
use super::convert::{flag, reading, seconds};
use super::file::{self, Text};
use super::policy::LIST_MAX;
use super::reader::Reader;
use super::settings::Reading;
use super::tls;
use super::zone::{self, ZoneList};
use crate::diag::Diagnostic;
use crate::lists::{Guards, Kept, ListUrl, SigningKey, Store, Subscription};
use crate::policy::{ListFormat, Strictness};
use crate::tls::Trust;

const HOUR: u64 = 60 * 60;
const NEEDS_ID: &str = "a list that comes from elsewhere needs an `id`: the ban is called so, and its copy kept";

/// A list that makes a ban of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct ListFile {
    /// The file; of a list that comes from elsewhere, where its copy is kept.
    pub path: At<PathBuf>,
    /// How to read it.
    pub reading: Reading,
    /// The ban's id; `None`: made of the file's name.
    pub id: Option<At<Arc<str>>>,
    /// Percent of its rules that the operator's own file may lose at once.
    pub shrink_max_percent: u32,
    /// Where it comes from; `None`: the operator's own file.
    pub elsewhere: Option<Elsewhere>,
}

/// Where a list comes from, and what is taken from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    /// As it is written.
    pub source: String,
    /// What is taken.
    pub guards: Guards,
    /// How it comes.
    pub way: Way,
}

/// How a list comes. To add a way: a variant here, and what the compiler then asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Over HTTP.
    Url(Box<Subscribed>),
    /// By zone transfer.
    Zone(Box<ZoneList>),
}

/// A list at a URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// Where it is, and how it is fetched.
    pub subscription: Subscription,
    /// Authorities for its server, in place of those that are compiled in.
    pub authorities: Option<At<PathBuf>>,
}

/// Whose list a file is.
pub(super) enum Provenance {
    /// The operator's: what is wrong with it is a mistake.
    Own,
    /// Somebody else's, and what is known of the copy: what is wrong with it is no fault of the operator's.
    Foreign(Option<Kept>),
    /// The same, and nobody has verified that it is signed by the key that is configured.
    Unsigned,
}

impl ListFile {
    /// A file, as a ban with the id of its name.
    pub fn new(path: At<PathBuf>, reading: Reading) -> Self {
        let shrink_max_percent = Guards::default().shrink_max_percent;
        Self { path, reading, id: None, shrink_max_percent, elsewhere: None }
    }

    /// What is right about it and still needs attention.
    pub(super) fn warning(&self) -> Option<Diagnostic> {
        let Way::Url(subscribed) = &self.elsewhere.as_ref()?.way else { return None };
        let Subscription { url, signed_by, .. } = &subscribed.subscription;
        let open = !url.is_encrypted() && signed_by.is_none();
        let message = "this list comes in clear and is not signed: whoever is on the way can change what is banned";
        open.then(|| self.path.warning(message))
    }

    /// Whose list it is, as far as is known now.
    pub(super) fn provenance(&self) -> Provenance {
        let Some(elsewhere) = &self.elsewhere else { return Provenance::Own };
        let (known, key) = (Store::known(&self.path.value), elsewhere.signed_by());
        match known {
            Some(known) if key.is_some() && known.signed_by.as_deref() != key => Provenance::Unsigned,
            known => Provenance::Foreign(known),
        }
    }

    /// Files whose change should make the server reload. A copy that is kept is none: who changes it reloads by himself.
    pub(super) fn watched(&self) -> Option<PathBuf> {
        match &self.elsewhere {
            None => Some(self.path.value.clone()),
            Some(elsewhere) => elsewhere.paper().map(|path| path.value.clone()),
        }
    }
}

impl Elsewhere {
    /// The key that it must be signed by, if it must be.
    pub fn signed_by(&self) -> Option<&str> {
        match &self.way {
            Way::Url(subscribed) => subscribed.subscription.signed_by.as_ref().map(SigningKey::as_str),
            Way::Zone(_) => None,
        }
    }

    /// The file that tells whom to believe.
    fn paper(&self) -> Option<&At<PathBuf>> {
        match &self.way {
            Way::Url(subscribed) => subscribed.authorities.as_ref(),
            Way::Zone(zone) => zone.watched(),
        }
    }

    /// The host that it comes from, if it is written by name: a name of ours, which no list can take from us.
    pub(super) fn host_name(&self) -> Option<&str> {
        match &self.way {
            Way::Url(subscribed) => subscribed.subscription.url.host_name(),
            Way::Zone(_) => None,
        }
    }
}

/// What has to be known of the surroundings: where copies are kept, and whom servers are vouched for by.
pub(super) fn complete(lists: &mut [ListFile], state_dir: Option<&Path>, mistakes: &mut Vec<Diagnostic>) {
    for list in lists {
        let (Some(id), Some(elsewhere)) = (&list.id, &mut list.elsewhere) else { continue };
        if let Some(state_dir) = state_dir {
            list.path.value = Store::new(state_dir).list(&id.value);
        }
        let (path, believed) = match &mut elsewhere.way {
            Way::Url(subscribed) => (&subscribed.authorities, Some(&mut subscribed.subscription.trust)),
            Way::Zone(zone) => (&zone.authorities, zone.wanted.tls.as_mut().map(|tls| &mut tls.trust)),
        };
        let (Some(path), Some(believed)) = (path, believed) else { continue };
        let Some(text) = tls::read(path, mistakes) else { continue };
        match Trust::default().believing(&text) {
            Ok(trust) => *believed = trust,
            Err(error) => mistakes.push(tls::wrong(path, &error)),
        }
    }
}

/// All `[[list]]`.
pub(super) fn lists(written: &[Spanned<file::FurtherList>], base: &Path, reader: &mut Reader<'_>) -> Vec<ListFile> {
    let mut named = BTreeMap::new();
    let mut lists = Vec::new();
    for table in written {
        let Some(list) = list(table, base, reader) else { continue };
        let id = unique_id(&list.path.value.file_stem().unwrap_or_default().to_string_lossy(), &BTreeSet::new());
        // Numbered, one would be called as the other as soon as that one is gone: its record and settings would be the other's.
        if list.id.is_none()
            && let Some(other) = named.insert(Arc::clone(&id), list.path.value.display().to_string())
        {
            let span = table.get_ref().file.as_ref().map_or_else(|| table.span(), Spanned::span);
            let message =
                format!("its ban would be called `{id}`, as that of {other} is; give it an id: `id = \"{id}-2\"`");
            reader.error(span, message);
        }
        lists.push(list);
    }
    lists
}

/// One `[[list]]`.
fn list(written: &Spanned<file::FurtherList>, base: &Path, reader: &mut Reader<'_>) -> Option<ListFile> {
    let (table, list) = (written.span(), written.get_ref());
    let reading = reading(&list.format, &list.strict, Strictness::Lenient, reader);
    let sources: Vec<_> = [&list.file, &list.url, &list.zone].into_iter().flatten().collect();
    if let [_one, other, ..] = sources.as_slice() {
        reader.error(other.span(), "a list has a `file`, a `url` or a `zone`, and only one of them");
    }
    let id = id(&list.id, reader);
    if let Some(written) = &list.zone {
        return zone_list(written, list, id, base, reader);
    }
    only_of_zones(list, reader);
    let Some(url) = &list.url else {
        only_from_elsewhere(list, reader);
        let file = reader.required(&list.file, "file`, `url` or `zone", Some(table.clone()));
        let span = list.file.as_ref().map_or(table, Spanned::span);
        let path = reader.at(base.join(&*file), span);
        let shrink_max_percent = guards(list, reader).shrink_max_percent;
        return (!file.is_empty()).then_some(ListFile { path, reading, id, shrink_max_percent, elsewhere: None });
    };
    if list.id.is_none() {
        reader.error(url.span(), NEEDS_ID);
    }
    let (subscribed, guards) = (subscribed(url, list, base, reader), guards(list, reader));
    let subscribed = subscribed?;
    let elsewhere =
        Elsewhere { source: subscribed.subscription.url.to_string(), guards, way: Way::Url(subscribed.into()) };
    // Where that is, is known when the state directory is.
    let path = reader.at(PathBuf::new(), url.span());
    let shrink_max_percent = elsewhere.guards.shrink_max_percent;
    Some(ListFile { path, reading, id: Some(id?), shrink_max_percent, elsewhere: Some(elsewhere) })
}

/// A list that is a policy zone of others.
fn zone_list(
    written: &Spanned<String>,
    list: &file::FurtherList,
    id: Option<At<Arc<str>>>,
    base: &Path,
    reader: &mut Reader<'_>,
) -> Option<ListFile> {
    if list.id.is_none() {
        reader.error(written.span(), NEEDS_ID);
    }
    let strictness = reading(&None, &list.strict, Strictness::Lenient, reader).strictness;
    let guards = guards(list, reader);
    let zone = zone::zone(written, list, guards.size_max_bytes, base, reader)?;
    let elsewhere = Elsewhere { source: zone.source(), guards, way: Way::Zone(zone.into()) };
    let path = reader.at(PathBuf::new(), written.span());
    let reading = Reading { format: Some(ListFormat::Rpz), strictness };
    let shrink_max_percent = guards.shrink_max_percent;
    Some(ListFile { path, reading, id: Some(id?), shrink_max_percent, elsewhere: Some(elsewhere) })
}

/// What means nothing for anything else.
fn only_of_zones(list: &file::FurtherList, reader: &mut Reader<'_>) {
    let primaries = list.primaries.iter().map(|texts| ("primaries", texts.span()));
    let texts = [("key_file", &list.key_file), ("tls_name", &list.tls_name)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?.span())));
    for (key, span) in primaries.chain(texts) {
        reader.error(span, format!("`{key}` belongs to a `zone`"));
    }
}

fn id(written: &Text, reader: &mut Reader<'_>) -> Option<At<Arc<str>>> {
    let written = written.as_ref()?;
    if !is_id(written.get_ref()) {
        reader.error(written.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
        return None;
    }
    Some(reader.at(written.get_ref().as_str().into(), written.span()))
}

/// What means nothing for a file.
fn only_from_elsewhere(list: &file::FurtherList, reader: &mut Reader<'_>) {
    let texts = [("growth_max", &list.growth_max), ("minisign_key", &list.minisign_key), ("ca_file", &list.ca_file)];
    let measures = [("refresh", &list.refresh), ("time_max", &list.time_max), ("size_max", &list.size_max)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?.span())));
    let measures = measures.into_iter().filter_map(|(key, measure)| Some((key, measure.as_ref()?.span())));
    let internal = list.internal.iter().map(|flag| ("internal", flag.span()));
    for (key, span) in texts.chain(measures).chain(internal) {
        reader.error(span, format!("`{key}` belongs to a `url`"));
    }
}

fn subscribed(
    url: &Spanned<String>,
    list: &file::FurtherList,
    base: &Path,
    reader: &mut Reader<'_>,
) -> Option<Subscribed> {
    const REFRESH: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * HOUR);
    let refresh = reader.duration(&list.refresh, REFRESH, Duration::from_secs(24 * HOUR));
    let time_max = reader.duration(&list.time_max, seconds(1..=HOUR), Duration::from_secs(300));
    let path = |text: &Spanned<String>| reader.at(base.join(text.get_ref()), text.span());
    let authorities = list.ca_file.as_ref().map(path);
    let signed_by = list.minisign_key.as_ref().and_then(|text| parsed::<SigningKey>(text, reader));
    let internal = flag(&list.internal, false);
    let url = parsed::<ListUrl>(url, reader)?;
    let of_any_type = list.format.is_some();
    let trust = Trust::default();
    let subscription = Subscription { url, refresh, time_max, signed_by, of_any_type, internal, trust };
    Some(Subscribed { subscription, authorities })
}

/// A text as its type reads it; what that says becomes a mistake at the text.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &Spanned<String>, reader: &mut Reader<'_>) -> Option<T> {
    text.get_ref().parse().map_err(|error: T::Err| reader.error(text.span(), error.to_string())).ok()
}

fn guards(list: &file::FurtherList, reader: &mut Reader<'_>) -> Guards {
    let default = Guards::default();
    Guards {
        size_max_bytes: reader.bytes(&list.size_max, 1 << 10..=LIST_MAX, default.size_max_bytes),
        shrink_max_percent: percent(&list.shrink_max, 100, default.shrink_max_percent, reader),
        growth_max_percent: percent(&list.growth_max, 1_000_000, default.growth_max_percent, reader),
    }
}

fn percent(written: &Text, most: u32, default: u32, reader: &mut Reader<'_>) -> u32 {
    let Some(text) = written else { return default };
    let number = text.get_ref().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    number.filter(|percent| *percent <= most).unwrap_or_else(|| {
        reader.error(text.span(), format!("must be from \"0%\" to \"{most}%\""));
        default
    })
}

/// An id made of a file's stem that no other ban has.
pub(super) fn unique_id(stem: &str, taken: &BTreeSet<Arc<str>>) -> Arc<str> {
    let cleaned: String = stem
        .chars()
        .map(|character| character.to_ascii_lowercase())
        .map(|character| if character.is_ascii_lowercase() || character.is_ascii_digit() { character } else { '-' })
        .collect();
    let trimmed = cleaned.trim_matches('-');
    let base = if trimmed.is_empty() { "list" } else { trimmed };
    let numbered = |number: usize| {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        // Room for the number: an id has 32 characters at most.
        let kept: String = base.chars().take(32 - suffix.len()).collect();
        format!("{}{suffix}", kept.trim_end_matches('-'))
    };
    // One more candidate than there are ids: one of them is free.
    let free = (1..=taken.len() + 1).map(numbered).find(|id| !taken.contains(id.as_str()));
    free.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_lists_are_valid_and_unique() {
        let mut taken = BTreeSet::new();
        for (stem, expected) in [
            ("My List_v2", "my-list-v2"),
            ("my list v2", "my-list-v2-2"),
            ("---", "list"),
            ("", "list-2"),
            ("ünïcode", "n-code"),
            (&"x".repeat(40), &"x".repeat(32)),
            (&"x".repeat(41), &format!("{}-2", "x".repeat(30))),
        ] {
            let id = unique_id(stem, &taken);
            assert_eq!(&*id, expected);
            assert!(is_id(&id));
            taken.insert(id);
        }
    }
}
