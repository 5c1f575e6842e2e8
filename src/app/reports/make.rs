//! Making a report: reads the audit log and the record, and writes the document.

use std::collections::BTreeSet;
use std::path::Path;

use super::key::{self, KeyFault};
use crate::audit;
use crate::config::Loaded;
use crate::identity::Devices;
use crate::journal::{Presence, Store, StoreError};
use crate::policy::{Ban, BanKind, GroupKind, ListInfo, Policy};
use crate::report::{Asked, By, Document, Format, Grouping, History, Inputs, ListRow, SignalRow, SigningKey, seal};
use crate::scan::{self, FALLBACK};
use crate::time::Day;

/// Sites that a message offers at most.
const OFFERED_MAX: usize = 20;

/// What a report is to be about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'m> {
    pub(crate) loaded: &'m Loaded,
    pub(crate) policy: &'m Policy,
    pub(crate) ban: &'m Ban,
    /// Which names are of one device.
    pub(crate) devices: &'m Devices,
    pub(crate) asked: &'m Asked,
    /// The one site, if it is about one.
    pub(crate) site: Option<&'m str>,
    /// The day on which it is made.
    pub(crate) today: Day,
    /// By what figures are told apart; `None`: by sites and every tag of theirs.
    pub(crate) by: Option<By>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    /// The record can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log can't be read.
    #[error("{0}")]
    Audit(String),
    /// Nobody knows the site: an empty report would be taken for one of it.
    #[error("{0}")]
    Site(String),
    /// Nothing can be on record yet.
    #[error("the window begins on {from}, and today is {today} (UTC): nothing of it can be on record")]
    Ahead {
        /// Its first day.
        from: Day,
        /// That on which it was asked for.
        today: Day,
    },
    /// The key that signs can't be used.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

impl Making<'_> {
    /// The report in each of these forms, sealed.
    ///
    /// # Errors
    /// [`Unmade`].
    pub(crate) fn make(&self, formats: &[Format]) -> Result<Vec<String>, Unmade> {
        let (from, today) = (*self.asked.window.start(), self.today);
        if from > today {
            return Err(Unmade::Ahead { from, today });
        }
        let directory = &self.loaded.state_dir;
        let history = history(directory)?;
        let store = Store::open_read_only(directory)?;
        let presence = store.presence()?.uniting(self.devices)?;
        if let Some(site) = self.site {
            self.known_site(site, &presence)?;
        }
        let key = key::read(directory)?;
        let (since, until) = self.asked.moments();
        let (flows, lookups_since) = (self.flows(&store)?, store.attempts_since(&self.asked.window)?);
        let mut inputs = Inputs {
            ban: self.ban,
            lists: self.lists(),
            asked: self.asked,
            site: self.site,
            grouping: Grouping { tags: self.loaded.settings.tags.clone(), by: self.by },
            history: &history,
            windows: store.windows(since, until)?,
            inventory: self.devices.inventory(),
            lookups_since,
            today,
            signals: self.signals(&store, (flows, lookups_since))?,
            flows,
            configured: self.loaded.settings.exceptions_of(self.ban),
            signed_by: key.as_ref().map(SigningKey::fingerprint),
            rows_max: 0,
        };
        let mut made = Vec::new();
        for &format in formats {
            inputs.rows_max = format.rows_max();
            let document = Document::build(&presence, &inputs)?;
            made.push(seal(&format.render(&document), format, key.as_ref()));
        }
        Ok(made)
    }

    fn known_site(&self, site: &str, presence: &Presence<'_>) -> Result<(), Unmade> {
        let recorded = presence.numbered()?;
        let groups = self.policy.who().groups().iter().filter(|group| group.kind == GroupKind::Site);
        let mut known: Vec<&str> =
            recorded.iter().map(|range| &*range.site).chain(groups.map(|group| &*group.id)).collect();
        known.sort_unstable();
        known.dedup();
        if known.contains(&site) {
            return Ok(());
        }
        let some = known.iter().take(OFFERED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = if known.len() > OFFERED_MAX { ", …" } else { "" };
        Err(Unmade::Site(format!("unknown site `{site}`; known sites: {some}{more}")))
    }

    /// What bans that are only signals have seen in the window.
    fn signals(&self, store: &Store, (flows, since): (bool, Option<Day>)) -> Result<Vec<SignalRow>, StoreError> {
        if since.is_some() {
            return Ok(self.gone(flows));
        }
        let mut signals = Vec::new();
        for ban in self.policy.bans().iter().filter(|ban| ban.kind == BanKind::Signal) {
            let rows = store.by_category(&ban.id, self.asked.window_moments(), self.site)?;
            signals.extend(rows.into_iter().map(|row| SignalRow::of(&ban.id, row)));
        }
        let own = store.by_category(&self.ban.id, self.asked.window_moments(), self.site)?;
        let fallback = own.into_iter().filter(|row| row.category == FALLBACK);
        signals.extend(fallback.map(|row| SignalRow::of(&self.ban.id, row)));
        Ok(signals)
    }

    /// The signals that there may have been: how many, is no longer on record.
    fn gone(&self, flows: bool) -> Vec<SignalRow> {
        let signal = |id: &str| self.policy.bans().iter().any(|ban| ban.kind == BanKind::Signal && *ban.id == *id);
        let series = self.policy.series().iter().filter(|series| signal(&series.ban));
        let all: BTreeSet<_> = series.map(|series| (&*series.ban, &*series.category)).collect();
        let fallback = flows.then_some((&*self.ban.id, FALLBACK));
        all.into_iter().chain(fallback).map(|(ban, category)| SignalRow::gone(ban, category.to_owned())).collect()
    }

    /// Whether anything is known of the fallback resolvers of the ban's product.
    fn flows(&self, store: &Store) -> Result<bool, StoreError> {
        let (from, until) = self.asked.window_moments();
        let formats = scan::Format::FLOWS.map(scan::Format::as_str);
        Ok(!self.ban.fallback.is_empty() && store.was_scanned(&formats, from, until)?)
    }

    fn lists(&self) -> Vec<ListRow> {
        let lists = self.policy.lists().iter();
        let of_ban = lists.filter(|list| self.policy.bans().get(list.ban.0).is_some_and(|of| of.id == self.ban.id));
        let row =
            |list: &ListInfo| ListRow { name: list.name.to_string(), sha256: list.digest.clone(), rules: list.entries };
        of_ban.map(row).collect()
    }
}

/// What the state directory tells of its policies, exceptions and privacy.
///
/// # Errors
/// [`Unmade`].
pub(crate) fn history(directory: &Path) -> Result<History, Unmade> {
    let path = audit::path(directory);
    let unread = |error| Unmade::Audit(format!("{}: {error}", path.display()));
    let mut history = History::read(directory).map_err(unread)?;
    let store = Store::open_read_only(directory)?;
    (history.levels, history.erasures) = (store.levels()?, store.erasures()?);
    Ok(history)
}
