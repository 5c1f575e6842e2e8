//! `[[exemption]]` as written to what it spares whom.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::at::At;
use super::file;
use super::reader::Reader;
use super::suggest::nearest_first;
use super::who::named;
use crate::audit::{self, OWNER_MAX, REASON_MAX, TICKET_MAX, Terms};
use crate::diag::Diagnostic;
use crate::policy::{Ban, Exemption, Exemptions, Group, Policy, Spares, Whom};
use crate::report::ExceptionRow;
use crate::time::Timestamp;

/// One `[[exemption]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileExemption {
    /// `file:1` for the first one, and so on.
    pub id: Arc<str>,
    /// What it says, once for everybody that it names.
    pub terms: Vec<Terms>,
    /// In what somebody is spared.
    what: At<Spares>,
    /// When it ends.
    until: Option<At<Timestamp>>,
}

impl super::Settings {
    /// Exemptions of the configuration that could spare somebody this ban, as reports tell of them.
    pub fn exceptions_of(&self, ban: &Ban) -> Vec<ExceptionRow> {
        let all = self.exemptions.iter().flat_map(|one| one.terms.iter().map(|terms| (&one.id, terms)));
        let of_ban = all.filter(|(_id, terms)| !matches!(&terms.what, Spares::Ban(other) if *other != ban.id));
        of_ban.map(|(id, terms)| ExceptionRow::configured(id, terms)).collect()
    }
}

impl FileExemption {
    /// As policy sees it.
    pub fn exemptions(&self) -> impl Iterator<Item = Arc<Exemption>> {
        self.terms.iter().map(|terms| Arc::new(terms.exemption(Arc::clone(&self.id))))
    }

    /// The mistake, if it is about a ban that there is not.
    pub(super) fn unknown_ban(&self, known: &[&str]) -> Option<Diagnostic> {
        let Spares::Ban(ban) = &self.what.value else { return None };
        let nearest = || nearest_first(ban, known).join(", ");
        let unknown = !known.contains(&&**ban);
        unknown.then(|| self.what.error(format!("unknown ban `{ban}`; known bans: {}", nearest())))
    }

    /// A warning, if it is about a category that no rule is of: a list may bring it back.
    pub(super) fn unknown_category(&self, policy: &Policy) -> Option<Diagnostic> {
        let Spares::Category(category) = &self.what.value else { return None };
        let unknown = !policy.series().iter().any(|series| series.category == *category);
        unknown
            .then(|| self.what.warning(format!("no rule is of the category `{category}`: nobody is spared anything")))
    }
}

/// Exemptions that have ended and can be removed, and those that end when nobody will see it.
pub(super) fn warnings(exemptions: &[FileExemption], now: Timestamp) -> Vec<Diagnostic> {
    let ends = exemptions.iter().filter_map(|exemption| exemption.until.as_ref());
    let warning = |until: &At<Timestamp>| {
        let left = Duration::try_from(until.value.duration_since(now)).unwrap_or_default();
        match audit::near(left) {
            Ok(()) if left.is_zero() => Some(until.warning("this exemption has ended; remove it")),
            Ok(()) => None,
            Err(far) => Some(until.warning(format!("this exemption {far} = true"))),
        }
    };
    ends.filter_map(warning).collect()
}

/// Every exemption that is right.
pub(super) fn read(
    written: &[Spanned<file::Exemption>],
    groups: &[Group],
    zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> Vec<FileExemption> {
    let mut exemptions: Vec<FileExemption> = Vec::new();
    let mut count = 0;
    for (spanned, number) in written.iter().zip(1..) {
        let Some(exemption) = one(spanned, number, groups, zone, reader) else { continue };
        count += exemption.terms.len();
        if count > Exemptions::MAX {
            reader.error(spanned.span(), format!("at most {} clients and groups in all exemptions", Exemptions::MAX));
            break;
        }
        exemptions.push(exemption);
    }
    exemptions
}

/// One exemption; `None` where a mistake is in what it says.
fn one(
    spanned: &Spanned<file::Exemption>,
    number: u32,
    groups: &[Group],
    zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> Option<FileExemption> {
    let (written, known) = (spanned.get_ref(), reader.mistakes.len());
    let whom = whom(spanned, groups, reader);
    let what = what(spanned, reader);
    let until = until(spanned, zone, reader);
    let owner = required("owner", &written.owner, OWNER_MAX, spanned, reader);
    let reason = required("reason", &written.reason, REASON_MAX, spanned, reader);
    let ticket = written.ticket.as_ref().map(|ticket| said("ticket", ticket, TICKET_MAX, reader));
    let what = what.filter(|_right| reader.mistakes.len() == known)?;
    let terms = |whom: Whom| Terms {
        whom,
        what: what.value.clone(),
        until: until.as_ref().map(|until| until.value),
        owner: Arc::clone(&owner),
        reason: Arc::clone(&reason),
        ticket: ticket.clone(),
    };
    Some(FileExemption {
        id: format!("file:{number}").into(),
        terms: whom.into_iter().map(terms).collect(),
        what,
        until,
    })
}

fn whom(spanned: &Spanned<file::Exemption>, groups: &[Group], reader: &mut Reader<'_>) -> Vec<Whom> {
    let written = spanned.get_ref();
    let mut whom = Vec::new();
    for text in written.clients.iter().flat_map(Spanned::get_ref) {
        match audit::whom(text.get_ref()) {
            Ok(client) => whom.push(client),
            Err(error) => reader.error(text.span(), error.to_string()),
        }
    }
    let is_empty = |texts: &file::Texts| texts.as_ref().is_none_or(|texts| texts.get_ref().is_empty());
    if is_empty(&written.clients) && is_empty(&written.groups) {
        reader.error(spanned.span(), "spares nobody; write `clients` or `groups`");
    }
    let named = named(&written.groups, groups, reader).into_iter();
    whom.extend(
        named.filter_map(|index| groups.get(usize::from(index.0))).map(|group| Whom::Group(Arc::clone(&group.id))),
    );
    whom
}

fn what(spanned: &Spanned<file::Exemption>, reader: &mut Reader<'_>) -> Option<At<Spares>> {
    let file::Exemption { ban, category, name, .. } = spanned.get_ref();
    match (ban, category, name) {
        (Some(ban), None, None) => Some(reader.at(Spares::Ban(ban.get_ref().as_str().into()), ban.span())),
        (None, Some(category), None) => {
            Some(reader.at(Spares::Category(category.get_ref().as_str().into()), category.span()))
        }
        (None, None, Some(name)) => match audit::name(name.get_ref()) {
            Ok(right) => Some(reader.at(Spares::Name(Box::new(right)), name.span())),
            Err(error) => {
                reader.error(name.span(), error.to_string());
                None
            }
        },
        _ => {
            reader.error(spanned.span(), "needs exactly one of `ban`, `category` and `name`");
            None
        }
    }
}

/// The end: never none without an explicit word.
fn until(spanned: &Spanned<file::Exemption>, zone: &TimeZone, reader: &mut Reader<'_>) -> Option<At<Timestamp>> {
    let written = spanned.get_ref();
    let endless = written.endless.as_ref().is_some_and(|endless| *endless.get_ref());
    match (&written.until, endless) {
        (Some(until), true) => reader.error(until.span(), "ends, and is `endless`; remove one of them"),
        (None, false) => reader.error(spanned.span(), "needs an end; write `until`, or `endless = true`"),
        _ => (),
    }
    reader.moment(&written.until, zone)
}

fn required(
    what: &'static str,
    written: &file::Text,
    most: usize,
    spanned: &Spanned<file::Exemption>,
    reader: &mut Reader<'_>,
) -> Arc<str> {
    match written {
        Some(text) => said(what, text, most, reader),
        None => reader.required(written, what, Some(spanned.span())),
    }
}

fn said(what: &'static str, text: &Spanned<String>, most: usize, reader: &mut Reader<'_>) -> Arc<str> {
    audit::said(what, text.get_ref(), most).unwrap_or_else(|error| {
        reader.error(text.span(), error.to_string());
        "".into()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::convert;
    use crate::diag::Source;
    use crate::policy::PolicyBuilder;

    /// The exemptions of a configuration whose lines from the eighth on are these.
    fn read(text: &str) -> Vec<FileExemption> {
        let lines =
            "[[group]]\nid = \"lab\"\nnetworks = [\"192.0.2.0/24\"]\n\n[[exemption]]\nowner = \"o\"\nreason = \"r\"\n";
        let (settings, mistakes) = convert::settings(&Source::new("x.toml", format!("{lines}{text}")), Path::new(""));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        settings.exemptions
    }

    #[test]
    fn an_exemption_spares_everybody_that_it_names_and_is_called_by_its_place() {
        let clients = "clients = [\"192.0.2.7\", \"2001:db8::/32\"]\ngroups = [\"lab\"]\n";
        let read = read(&format!("{clients}ban = \"b\"\nendless = true\n"));
        let all: Vec<_> = read.iter().flat_map(FileExemption::exemptions).collect();
        assert!(all.iter().all(|exemption| &*exemption.id == "file:1" && exemption.until.is_none()));
        let network = |text: &str| Whom::Network(text.parse().unwrap());
        let expected = [network("192.0.2.7/32"), network("2001:db8::/32"), Whom::Group("lab".into())];
        assert_eq!(all.iter().map(|exemption| exemption.whom.clone()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_that_has_ended_or_is_of_no_rule_is_warned_of() {
        let read = read("clients = [\"192.0.2.7\"]\ncategory = \"update\"\nuntil = 2027-01-01\n");
        let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        assert!(warnings(&read, end - Duration::from_millis(1)).is_empty());
        let long_before = end - Duration::from_secs(11 * 366 * 24 * 60 * 60);
        assert!(warnings(&read, long_before)[0].to_string().contains("ends in more than 10 years"));
        assert!(warnings(&read, end)[0].to_string().starts_with("x.toml:10:9: warning: this exemption has ended"));
        let (policy, _warnings) = PolicyBuilder::new(0, Vec::new()).build(1);
        let warning = read[0].unknown_category(&policy).unwrap().to_string();
        assert!(warning.starts_with("x.toml:9:12: warning: no rule is of the category `update`"), "{warning}");
    }
}
