//! Everything that a report says, before it has a form. Its JSON is an interface: names and order stay.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::cohort::Asked;
use super::figures::{Figures, Subject};
use super::groups::{GroupRow, Grouping};
use super::history::{EnforcementRow, ExceptionRow, History};
use super::key::{Key, SiteRow};
use super::milestones::{self, LawRow, MilestoneRow};
use super::open::{self, Open};
use super::{method, statement};
use crate::journal::{CategoryRow, Presence, Sign, StoreError, What, WindowRow};
use crate::policy::{Ban, Evidence};
use crate::time::Day;

/// What a report is made from, beside the record.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The ban.
    pub ban: &'a Ban,
    /// Its lists as they are now.
    pub lists: Vec<ListRow>,
    /// Which time is compared with which.
    pub asked: &'a Asked,
    /// The one site, if it is about one.
    pub site: Option<&'a str>,
    /// How sites are put together.
    pub grouping: Grouping,
    /// What the audit log says.
    pub history: &'a History,
    /// When the server served, from the first day of the baseline to the last of the window.
    pub windows: Vec<WindowRow>,
    /// Signals of the window.
    pub signals: Vec<SignalRow>,
    /// Devices of the inventory, as far as it is about those.
    pub inventory: BTreeSet<String>,
    /// The first day of the window from which on all lookups are on record one by one; `None`: from its beginning.
    pub lookups_since: Option<Day>,
    /// The day on which it is made.
    pub today: Day,
    /// Whether logs of connections were read that tell of the window.
    pub flows: bool,
    /// Exemptions that stand in the configuration.
    pub configured: Vec<ExceptionRow>,
    /// The fingerprint of the key that will sign it.
    pub signed_by: Option<String>,
    /// Rows of devices, and of sites, at most.
    pub rows_max: usize,
}

/// A list of the ban.
#[derive(Clone, Debug, Serialize)]
pub struct ListRow {
    /// What messages call it.
    pub name: String,
    /// SHA-256 of its octets, in hexadecimal.
    pub sha256: String,
    /// Rules held.
    pub rules: u64,
}

/// What it is about.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// The ban's id.
    pub ban: String,
    /// Its title.
    pub title: String,
    /// The vendor.
    pub vendor: String,
    /// The one site; `None`: all.
    pub site: Option<String>,
    /// The first day of the window.
    pub from: String,
    /// Its last day.
    pub to: String,
    /// The first day of the baseline.
    pub baseline_from: String,
    /// Its last day.
    pub baseline_to: String,
    /// Days of each.
    pub days: i32,
    /// Whom to ask.
    pub contact: String,
    /// What to use instead.
    pub alternatives: String,
    /// What made it.
    pub software: &'static str,
    /// The fingerprint of the key that signed it.
    pub signed_by: Option<String>,
}

/// What is on record of some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Days of which it is known who was active.
    pub days: usize,
    /// Days that there were.
    pub of_days: usize,
    /// Whole hours in which the server served.
    pub hours: u64,
    /// Hours that there were.
    pub of_hours: u64,
    /// Messages received.
    pub queries: u64,
    /// Attempts that were lost.
    pub lost: u64,
    /// Queries of clients that could not be noted as active, and messages of other resolvers that could not be judged.
    pub unnoted: u64,
    /// Lookups of an installed product of which it is not recorded whose they are.
    pub unnumbered: u64,
    /// Days of which a set of devices is damaged.
    pub damaged_days: usize,
}

/// What the figures rest on.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// In the baseline.
    pub baseline: Covered,
    /// In the window.
    pub window: Covered,
    /// The first day of which there is a lookup of an installed product on record.
    pub record_since: Option<String>,
    /// The last day of the time in question of which anything is on record.
    pub record_until: Option<String>,
    /// Sites with a device in the baseline.
    pub sites: usize,
    /// Those of them that are not of the panel.
    pub thin_sites: usize,
}

/// Devices by what their lookups prove.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceRow {
    /// The grade.
    pub evidence: &'static str,
    /// In the baseline.
    pub baseline: u64,
    /// In the window.
    pub now: u64,
}

/// Lookups in the window that tell of ways past this server, or of controls against them.
#[derive(Clone, Debug, Serialize)]
pub struct SignalRow {
    /// The ban that watches for them.
    pub ban: String,
    /// The category of its rules.
    pub category: String,
    /// `may_bypass`, or `control_applied`: a canary that asks whether the network wants its DNS used, and is told so.
    pub meaning: &'static str,
    /// Devices; `None`: lookups of the whole window are no longer on record one by one.
    pub devices: Option<u64>,
    /// Lookups.
    pub lookups: Option<u64>,
}

impl SignalRow {
    /// What lookups of one category mean.
    pub fn of(ban: &str, row: CategoryRow) -> Self {
        let CategoryRow { category, devices, lookups } = row;
        Self { devices: Some(devices), lookups: Some(lookups), ..Self::gone(ban, category) }
    }

    /// A category of which it is no longer on record how much there was.
    pub fn gone(ban: &str, category: String) -> Self {
        let is_control = category.starts_with("canary");
        let meaning = if is_control { "control_applied" } else { "may_bypass" };
        Self { ban: ban.to_owned(), category, meaning, devices: None, lookups: None }
    }
}

/// Devices in one span of days.
#[derive(Clone, Debug, Serialize)]
pub struct SpanRow {
    /// Its first day.
    pub from: String,
    /// Devices seen; `None`: nothing is on record.
    pub devices: Option<u64>,
    /// Their addresses.
    pub addresses: Option<u64>,
    /// Devices that asked for anything; `None`: not known.
    pub active: Option<u64>,
}

/// What the audit log says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRow {
    /// Whether no entry was changed, left out or put in.
    pub intact: bool,
    /// Entries that are as they were written.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
}

/// A report.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// Of this form of JSON.
    pub version: u32,
    /// What it is about.
    pub about: About,
    /// What it comes to, in sentences.
    pub statement: Vec<String>,
    /// The figures.
    pub figures: Key,
    /// What they rest on.
    pub coverage: Coverage,
    /// The same by site, those with most devices first.
    pub sites: Vec<SiteRow>,
    /// Sites that are not among these rows.
    pub sites_left_out: usize,
    /// The same by tags of sites.
    pub groups: Vec<GroupRow>,
    /// By grade of evidence.
    pub evidence: Vec<EvidenceRow>,
    /// Ways past this server.
    pub signals: Vec<SignalRow>,
    /// By day.
    pub days: Vec<SpanRow>,
    /// By week.
    pub weeks: Vec<SpanRow>,
    /// By month.
    pub months: Vec<SpanRow>,
    /// Dates of the law, and devices around them.
    pub milestones: Vec<MilestoneRow>,
    /// The law.
    pub laws: Vec<LawRow>,
    /// Who was spared.
    pub exceptions: Vec<ExceptionRow>,
    /// Which policy was in force when.
    pub enforcement: Vec<EnforcementRow>,
    /// The lists as they are now.
    pub lists: Vec<ListRow>,
    /// The audit log.
    pub audit: AuditRow,
    /// Devices seen in the window.
    pub open: Open,
    /// How it was found.
    pub method: Vec<String>,
    /// What it can't say.
    pub limits: Vec<String>,
    /// Devices of the inventory that asked for nothing in the window; `None`: there is none, or nothing is on record.
    pub silent: Option<Silent>,
}

/// Devices of the inventory that never asked.
#[derive(Clone, Debug, Serialize)]
pub struct Silent {
    /// Devices of the inventory.
    pub known: usize,
    /// Those of them that asked for nothing.
    pub silent: usize,
    /// Which.
    pub devices: Vec<String>,
    /// Those that are not among these.
    pub left_out: usize,
}

impl Document {
    /// Reads the record and says what it proves.
    ///
    /// # Errors
    /// [`StoreError`] when the record can't be read.
    pub fn build(presence: &Presence<'_>, inputs: &Inputs<'_>) -> Result<Self, StoreError> {
        let &Inputs { ban, asked, site, history, rows_max, .. } = inputs;
        let dates = milestones::dates(ban);
        let spans: Vec<_> = dates.keys().flat_map(|date| milestones::around(*date)).collect();
        let subject = Subject { ban: &ban.id, evidence: Evidence::Installed, asked, site, spans: &spans };
        let figures = Figures::read(presence, &subject)?;
        let key = Key::of(&figures, asked);
        let mut coverage = coverage(&figures, asked, &inputs.windows);
        missing(presence, &subject, &mut coverage)?;
        let told = figures.sites.iter().filter(|_site| inputs.grouping.has_sites());
        let mut sites: Vec<_> = told.map(|(site, counts)| SiteRow::of(site, counts, &figures)).collect();
        sites.sort_by(|a, b| (b.now, b.baseline, &a.site).cmp(&(a.now, a.baseline, &b.site)));
        let sites_left_out = sites.len().saturating_sub(rows_max);
        sites.truncate(rows_max);
        let mut exceptions = history.exceptions(&ban.id, asked);
        exceptions.extend(inputs.configured.iter().cloned());
        let evidence = figures.evidence.iter();
        let (intact, entries, head) = (history.damage.is_none(), history.count, history.head.clone());
        Ok(Self {
            version: 1,
            about: about(inputs),
            statement: statement::statement(inputs, &key, &coverage),
            sites,
            sites_left_out,
            groups: inputs.grouping.rows(&figures, asked),
            evidence: evidence
                .map(|(grade, &(baseline, now))| EvidenceRow { evidence: grade.as_str(), baseline, now })
                .collect(),
            signals: inputs.signals.clone(),
            days: spans_of(&figures.days),
            weeks: spans_of(&figures.weeks),
            months: spans_of(&figures.months),
            milestones: milestones::rows(&dates, &figures, asked),
            laws: milestones::laws(ban),
            exceptions,
            enforcement: history.enforcement(&ban.id, asked),
            lists: inputs.lists.clone(),
            audit: AuditRow { intact, entries, head },
            open: open::read(presence, &subject, &figures, rows_max)?,
            method: method::method(asked),
            limits: method::limits(&coverage, history, inputs),
            silent: silent(presence, inputs, &figures)?,
            figures: key,
            coverage,
        })
    }
}

fn about(inputs: &Inputs<'_>) -> About {
    let Inputs { ban, asked, site, signed_by, .. } = inputs;
    let (from, to) = (*asked.window.start(), *asked.window.end());
    About {
        ban: ban.id.to_string(),
        title: ban.title.to_string(),
        vendor: ban.vendor.to_string(),
        site: site.map(str::to_owned),
        from: from.to_string(),
        to: to.to_string(),
        baseline_from: asked.baseline.start().to_string(),
        baseline_to: asked.baseline.end().to_string(),
        days: asked.days(),
        contact: ban.contact.to_string(),
        alternatives: ban.alternatives.to_string(),
        software: concat!("embargo ", env!("CARGO_PKG_VERSION")),
        signed_by: signed_by.clone(),
    }
}

fn coverage(figures: &Figures, asked: &Asked, windows: &[WindowRow]) -> Coverage {
    let covered = |days: &RangeInclusive<Day>| {
        let of_days = usize::try_from(asked.days()).unwrap_or_default();
        let mut covered = Covered { days: figures.covered.range(days.clone()).count(), of_days, ..Covered::default() };
        covered.of_hours = of_days as u64 * 24;
        // A window lies within one hour, and so within one day.
        let mut seconds = 0;
        for window in windows.iter().filter(|window| days.contains(&Day::of(window.from))) {
            seconds += window.until.as_second().saturating_sub(window.from.as_second()).max(0).unsigned_abs();
            covered.queries += window.queries;
            covered.lost += window.lost;
            covered.unnoted += window.unnoted;
        }
        covered.hours = (seconds / 3_600).min(covered.of_hours);
        covered
    };
    let sites = figures.sites.iter().filter(|(_site, counts)| counts.baseline > 0).map(|(site, _counts)| site);
    Coverage {
        baseline: covered(&asked.baseline),
        window: covered(&asked.window),
        record_since: figures.since.map(|day| day.to_string()),
        record_until: figures.known.last().map(ToString::to_string),
        sites: sites.clone().count(),
        thin_sites: sites.filter(|site| !figures.is_of_panel(site, asked)).count(),
    }
}

/// Who of the inventory was silent. An inventory has no sites, so a report of one has none of it.
fn silent(presence: &Presence<'_>, inputs: &Inputs<'_>, figures: &Figures) -> Result<Option<Silent>, StoreError> {
    let Inputs { inventory, asked, site, rows_max, .. } = inputs;
    let is_known = figures.covered.range(asked.window.clone()).next().is_some();
    if inventory.is_empty() || site.is_some() || !is_known {
        return Ok(None);
    }
    let mut devices = presence.silent(inventory, &asked.window)?;
    let silent = devices.len();
    devices.truncate(*rows_max);
    Ok(Some(Silent { known: inventory.len(), silent, left_out: silent - devices.len(), devices }))
}

/// What is not in the sets.
fn missing(presence: &Presence<'_>, subject: &Subject<'_>, coverage: &mut Coverage) -> Result<(), StoreError> {
    let sign = |what| Sign { ban: subject.ban, evidence: Some(subject.evidence), what };
    let active = Sign { ban: "", evidence: None, what: What::Active };
    let Asked { baseline, window } = subject.asked;
    for (covered, days) in [(&mut coverage.baseline, baseline), (&mut coverage.window, window)] {
        covered.unnumbered = presence.unnumbered(sign(What::Seen), days)?;
        covered.unnoted += presence.unnumbered(active, days)?;
        let mut damaged = presence.damaged(active, days)?;
        for what in What::ALL.into_iter().filter(|what| !matches!(what, What::Active | What::Crowd)) {
            damaged.extend(presence.damaged(sign(what), days)?);
        }
        damaged.sort_unstable();
        damaged.dedup();
        covered.damaged_days = damaged.len();
    }
    Ok(())
}

fn spans_of(spans: &std::collections::BTreeMap<Day, super::Distinct>) -> Vec<SpanRow> {
    let row = |(from, distinct): (&Day, &super::Distinct)| {
        let is_known = distinct.devices > 0 || distinct.active > 0;
        SpanRow {
            from: from.to_string(),
            devices: is_known.then_some(distinct.devices),
            addresses: is_known.then_some(distinct.addresses),
            active: Some(distinct.active).filter(|active| *active > 0),
        }
    };
    spans.iter().map(row).collect()
}
