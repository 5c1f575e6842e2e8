//! What is banned and who tried it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::labels::{Did, Window};
use super::place::Place;
use super::registry::Registry;
use super::table::{Cell, Table};
use super::tallied::Tallied;
use super::tally::Tally;
use crate::policy::{Evidence, Mode};

/// The site of clients that are of none.
pub const DEFAULT_SITE: &str = "default";

/// What tells attempts of one kind from others: ban, category, evidence.
pub type Series = (Arc<str>, Arc<str>, Evidence);

/// A blocklist in force, in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFigures {
    /// The list's name.
    pub list: Arc<str>,
    /// Rules in force.
    pub entries: u64,
    /// Lines that were not understood or not allowed.
    pub rejected_lines: u64,
}

/// What metrics call a list, given as its ban and its name, among `all` lists: its ban and its file, wherever the server was
/// started and the lists are kept, so that a series goes on when they move. Two files of one ban that are called the same keep
/// their paths.
pub fn list_label<'l>(
    all: impl Iterator<Item = (&'l Arc<str>, &'l Arc<str>)>,
    (ban, name): (&'l Arc<str>, &'l Arc<str>),
) -> Arc<str> {
    let file = |name: &'l str| name.rsplit('/').next().filter(|file| !file.is_empty());
    let twins = all.filter(|(other, list)| *other == ban && file(list) == file(name)).count();
    match file(name) {
        Some(file) if twins == 1 => format!("{ban}/{file}").into(),
        _ => Arc::clone(name),
    }
}

/// Clients of one ban and evidence, for each of [`Window::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFigures {
    /// The ban's id.
    pub ban: Arc<str>,
    /// What their lookups prove.
    pub evidence: Evidence,
    /// Distinct clients seen in each window.
    pub clients: [u64; Window::ALL.len()],
}

/// Metrics of bans and lists.
#[derive(Debug)]
pub struct Banned {
    attempts: Tallied<5>,     // embargo_attempts_total{ban, category, evidence, action, site}
    clients: Table<3>,        // embargo_clients{ban, evidence, window}
    enforcement: Table<1>,    // embargo_policy_enforcement{ban}
    entries: Table<1>,        // embargo_list_entries{list}
    hits: Tallied<1>,         // embargo_list_hits_total{list}
    rejected_lines: Table<1>, // embargo_list_rejected_lines{list}
    good: Table<1>,           // embargo_list_last_reload_successful{list}
    exemptions: Table<1>,     // embargo_exemptions{ban}
    /// Whether the audit log is as it was written, so that its exemptions are in force.
    pub audit_intact: Cell, // embargo_audit_intact
    in_force: Mutex<InForce>,
}

/// What the clients gauge is made of: only bans in force are shown, whoever is in the store.
#[derive(Debug, Default)]
struct InForce {
    series: BTreeSet<(Arc<str>, Evidence)>,
    figures: Vec<ClientFigures>,
}

/// The places of the attempts of one policy, so that counting one is an index and an addition.
#[derive(Clone, Debug, Default)]
pub struct AttemptCounters {
    /// By site, the one of clients that are of none first, and series.
    places: Vec<Vec<Option<[Place; Did::ALL.len()]>>>,
    /// By list.
    lists: Vec<Option<Place>>,
}

impl AttemptCounters {
    /// Counts one attempt of the series at `series` by a client of the site at `site`, indexes into the slices the counters
    /// were made from; `None`: of no site. `tally` counts for the metrics that made them.
    pub fn count(&self, tally: &impl Tally, site: Option<usize>, series: usize, did: Did) {
        let places = self.places.get(site.map_or(0, |site| site + 1));
        if let Some(Some(places)) = places.and_then(|of_site| of_site.get(series)) {
            tally.add(places[did.index()], 1);
        }
    }

    /// Counts the same attempt for the list at `list`, an index into the slice the counters were made from.
    pub fn count_list(&self, tally: &impl Tally, list: usize) {
        if let Some(Some(place)) = self.lists.get(list) {
            tally.add(*place, 1);
        }
    }
}

impl Banned {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            attempts: registry.tallied(
                "attempts_total",
                "Banned lookups, by ban, category, evidence, what was done, and site.",
                ["ban", "category", "evidence", "action", "site"],
            ),
            clients: registry.gauges(
                "clients",
                "Distinct clients with banned lookups in a window that ends now.",
                ["ban", "evidence", "window"],
            ),
            enforcement: registry.gauges(
                "policy_enforcement",
                "The most a ban does to any client now: 0 = off, 1 = observe, 2 = enforce.",
                ["ban"],
            ),
            entries: registry.gauges("list_entries", "Rules in force, by list.", ["list"]),
            hits: registry.tallied(
                "list_hits_total",
                "Banned lookups that a rule of a list decided on, by list.",
                ["list"],
            ),
            rejected_lines: registry.gauges(
                "list_rejected_lines",
                "Lines of a list that were not understood or not allowed.",
                ["list"],
            ),
            good: registry.gauges(
                "list_last_reload_successful",
                "Whether a list was as it should be when lists were last read: 1, or 0 and what was in force before stays.",
                ["list"],
            ),
            exemptions: registry.gauges(
                "exemptions",
                "Exemptions in force, by ban; * = those of a category or a name.",
                ["ban"],
            ),
            audit_intact: registry.gauge(
                "audit_intact",
                "Whether the audit log is as it was written, so that its exemptions are in force: 1 or 0.",
            ),
            in_force: Mutex::default(),
        }
    }

    /// Shows how many exemptions are in force, by ban; `None`: of a category or a name, whatever the ban.
    pub fn set_exemptions(&self, bans: &[Option<Arc<str>>]) {
        let any: Arc<str> = "*".into();
        let mut counts = BTreeMap::from([([Arc::clone(&any)], 0)]);
        for ban in bans {
            *counts.entry([ban.as_ref().map_or_else(|| Arc::clone(&any), Arc::clone)]).or_default() += 1;
        }
        self.exemptions.replace(counts);
    }

    /// Takes over the bans, series and sites of a policy that comes into force. Gauges of bans that are gone vanish; counters
    /// of their attempts stay as long as the process. `None` stands for a series of a ban that is off whatever the date and
    /// the client: it can't count, and the page is not filled with its zeros.
    pub fn set_policy(
        &self,
        bans: &[(Arc<str>, Mode)],
        series: &[Option<Series>],
        sites: &[Arc<str>],
    ) -> AttemptCounters {
        self.set_enforcement(bans);
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.series = series.iter().flatten().map(|(ban, _, evidence)| (Arc::clone(ban), *evidence)).collect();
        self.show_clients(&in_force);
        let sites = [DEFAULT_SITE].into_iter().chain(sites.iter().map(|site| &**site));
        let of_series = |series: &Option<Series>, site| series.as_ref().map(|series| self.attempt_places(series, site));
        let places = |site| series.iter().map(|series| of_series(series, site)).collect();
        AttemptCounters { places: sites.map(places).collect(), lists: Vec::new() }
    }

    /// The same counters for these lists too. `None` stands for a list of a ban that is off.
    pub fn with_lists(&self, counters: AttemptCounters, lists: &[Option<Arc<str>>]) -> AttemptCounters {
        let lists = lists.iter().map(|list| list.as_ref().map(|list| self.hits.place([list]))).collect();
        AttemptCounters { lists, ..counters }
    }

    /// Shows what each ban does now; for every ban in force, at a reload and when a date passes.
    pub fn set_enforcement(&self, bans: &[(Arc<str>, Mode)]) {
        let value = |mode| match mode {
            Mode::Off => 0,
            Mode::Observe => 1,
            Mode::Enforce => 2,
        };
        self.enforcement.replace(bans.iter().map(|(ban, mode)| ([Arc::clone(ban)], value(*mode))));
    }

    /// Shows the lists in force; every other list's gauges vanish.
    pub fn set_lists(&self, lists: &[ListFigures]) {
        self.entries.replace(lists.iter().map(|list| ([Arc::clone(&list.list)], list.entries)));
        self.rejected_lines.replace(lists.iter().map(|list| ([Arc::clone(&list.list)], list.rejected_lines)));
    }

    /// Shows which lists are as they should be, of all that were read the last time.
    pub fn set_lists_good(&self, lists: &[(Arc<str>, bool)]) {
        self.good.replace(lists.iter().map(|(list, good)| ([Arc::clone(list)], u64::from(*good))));
    }

    /// Shows how many clients tried what. Figures of bans that are not in force are kept until they are.
    pub fn set_clients(&self, figures: Vec<ClientFigures>) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.figures = figures;
        self.show_clients(&in_force);
    }

    fn show_clients(&self, in_force: &InForce) {
        let series = in_force.series.iter().flat_map(|(ban, evidence)| {
            let figures = in_force.figures.iter().find(|figures| figures.ban == *ban && figures.evidence == *evidence);
            Window::ALL.map(|window| {
                let count = figures.map_or(0, |figures| figures.clients[window.index()]);
                ([Arc::clone(ban), Arc::from(evidence.as_str()), Arc::from(window.as_str())], count)
            })
        });
        self.clients.replace(series);
    }

    fn attempt_places(&self, (ban, category, evidence): &Series, site: &str) -> [Place; Did::ALL.len()] {
        Did::ALL.map(|did| self.attempts.place([ban, category, evidence.as_str(), did.as_str(), site]))
    }
}
