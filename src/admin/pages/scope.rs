//! What a page is about: a ban, what its lookups prove, a site, and the time.

use std::sync::Arc;

use maud::{Markup, html};

use super::asked::{Asked, link};
use super::desk::Desk;
use super::memo::Of;
use super::times::day;
use super::trouble::Trouble;
use super::view::View;
use crate::journal::{Sign, Store, What};
use crate::policy::{Ban, BanKind, Evidence, Mode, Policy};
use crate::report;
use crate::time::{Day, Timestamp};

/// Windows to choose from, in days.
const WINDOWS: [i32; 5] = [1, 7, 30, 90, 365];
/// That of whoever has not chosen.
const WINDOW: i32 = 30;

/// What a page is about.
pub(super) struct Scope {
    pub(super) policy: Arc<Policy>,
    pub(super) ban: Arc<Ban>,
    pub(super) evidence: Evidence,
    pub(super) site: Option<String>,
    pub(super) days: i32,
    pub(super) asked: report::Asked,
    /// Sites that the record knows.
    sites: Vec<String>,
    /// The date that was asked for.
    baseline: Option<Day>,
}

impl Scope {
    /// What the address of a page asks for.
    pub(super) fn of_page(desk: &Desk<'_>, store: &Store, view: &View) -> Result<Self, Trouble> {
        Self::of(desk.policy().ok_or(Trouble::NoPolicy)?, store, &view.asked, view.now)
    }

    /// What an address asks for at this moment.
    pub(super) fn of(policy: Arc<Policy>, store: &Store, address: &Asked, now: Timestamp) -> Result<Self, Trouble> {
        let ban = Arc::clone(ban(&policy, address.get("ban"))?);
        let evidence = address.get("evidence").map_or(Ok(Evidence::Installed), |word| {
            let known = Evidence::ALL.into_iter().find(|known| known.as_str() == word);
            known.ok_or_else(|| Trouble::Wrong(format!("unknown evidence `{}`", crate::diag::shown(word))))
        })?;
        let days = match address.get("days") {
            None => WINDOW,
            Some(days) => {
                let days = days.parse().ok().filter(|days| (1..=366).contains(days));
                days.ok_or_else(|| Trouble::Wrong("days are a number from 1 to 366".to_owned()))?
            }
        };
        let baseline = address.get("baseline").map(|text| day("Baseline", text)).transpose()?;
        let presence = store.presence()?;
        let since = presence.days(Sign { ban: &ban.id, evidence: Some(evidence), what: What::Seen })?;
        let since = since.map(|days| *days.start());
        let to = Day::of(now);
        let from = to.plus(1 - days);
        let date = baseline.unwrap_or_else(|| date(&ban, since, days, from)).min(from);
        let asked =
            report::Asked::new(from, to, date).ok_or_else(|| Trouble::Wrong("there is no such time".to_owned()))?;
        let mut sites: Vec<String> = presence.numbered()?.into_iter().map(|range| range.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let site = address.get("site").map(str::to_owned);
        if let Some(site) = site.as_ref().filter(|site| !sites.contains(site)) {
            return Err(Trouble::Nothing(format!("no device of a site `{}` is on record", crate::diag::shown(site))));
        }
        Ok(Self { policy, ban, evidence, site, days, asked, sites, baseline })
    }

    /// Of what its figures are.
    pub(super) fn figures(&self) -> Of {
        let (ban, asked, site) = (self.ban.id.to_string(), self.asked.clone(), self.site.clone());
        Of { ban, evidence: self.evidence, asked, site }
    }

    /// An address below `path` that is about the same, and more.
    pub(super) fn link(&self, path: &str, more: &[(&str, &str)]) -> String {
        let (days, baseline) = (self.days.to_string(), self.asked.date().to_string());
        let mut fields = vec![("ban", &*self.ban.id), ("days", &*days), ("baseline", &*baseline)];
        if self.evidence != Evidence::Installed {
            fields.push(("evidence", self.evidence.as_str()));
        }
        fields.extend(self.site.as_deref().map(|site| ("site", site)));
        fields.retain(|(name, _value)| !more.iter().any(|(other, _value)| other == name));
        fields.extend(more);
        link(path, &fields)
    }

    /// The fields by which something else is asked for; `more` are others of the same form.
    pub(super) fn form(&self, asked: &Asked, more: &Markup) -> Markup {
        let bans = self.policy.bans();
        let windows = WINDOWS.into_iter().chain(Some(self.days).filter(|days| !WINDOWS.contains(days)));
        html! {
            form.scope method="get" action=(asked.path()) {
                div { label for="ban" { "Ban" } select #ban name="ban" {
                    @for ban in bans { option value=(ban.id) selected[ban.id == self.ban.id] { (ban.title) } }
                } }
                div { label for="site" { "Site" } select #site name="site" {
                    option value="" { "All sites" }
                    @for site in self.sites.iter().take(500) {
                        option value=(site) selected[self.site.as_ref() == Some(site)] { (crate::diag::shown(site)) }
                    }
                } }
                div { label for="window" { "Window" } select #window name="days" {
                    @for days in windows { option value=(days) selected[days == self.days] {
                        @if days == 1 { "Today" } @else { "Last " (days) " days" }
                    } }
                } }
                div { label for="evidence" { "Proof" } select #evidence name="evidence" {
                    @for evidence in Evidence::ALL.into_iter().filter(|evidence| *evidence != Evidence::None) {
                        option value=(evidence.as_str()) selected[evidence == self.evidence] { (words(evidence)) }
                    }
                } }
                div { label for="baseline" { "Compared with before" }
                    input #baseline name="baseline" type="date" value=[self.baseline.map(|day| day.to_string())]; }
                (more)
                button type="submit" { "Show" }
            }
        }
    }

    /// The times that are compared, in words.
    pub(super) fn times(&self) -> String {
        let (window, before) = (&self.asked.window, &self.asked.baseline);
        format!(
            "Window {} to {}, compared with the baseline {} to {}.",
            window.start(),
            window.end(),
            before.start(),
            before.end()
        )
    }
}

/// What a lookup shows, in words.
pub(super) fn words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Installed => "Installed product",
        Evidence::Likely => "Likely installed",
        Evidence::DeviceOrApp => "Device or app",
        Evidence::Service => "Service used",
        Evidence::Visit => "Web visit",
        Evidence::Ambiguous => "Ambiguous",
        Evidence::None => "Proves nothing",
    }
}

/// The ban that is asked for, or the first that does something.
fn ban<'p>(policy: &'p Policy, wanted: Option<&str>) -> Result<&'p Arc<Ban>, Trouble> {
    let bans = policy.bans();
    if let Some(wanted) = wanted {
        let known = bans.iter().find(|ban| *ban.id == *wanted);
        return known.ok_or_else(|| Trouble::Nothing(format!("there is no ban `{}`", crate::diag::shown(wanted))));
    }
    let on = |ban: &&Arc<Ban>| ban.kind == BanKind::Ban && ban.ceiling() != Mode::Off;
    let first = bans.iter().find(on).or_else(|| bans.first());
    first.ok_or_else(|| Trouble::Nothing("there is no ban in the configuration".to_owned()))
}

/// The day before which the baseline ends: that of the ban, where anything is on record before it; else as soon as there is
/// a window of record.
fn date(ban: &Ban, since: Option<Day>, days: i32, from: Day) -> Day {
    let enforced = ban.stance.enforce_from.map(|at: Timestamp| Day::of(at));
    match (enforced, since) {
        (Some(date), Some(since)) if since < date && date <= from => date,
        (_, Some(since)) => since.plus(days).min(from),
        (_, None) => from,
    }
}
