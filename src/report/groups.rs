//! Sites put together by what they are tagged with: countries and departments.
//!
//! A device that was at several sites with the same tag counts once there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::cohort::Asked;
use super::figures::{Counts, Figures};
use super::key::decline;

/// What stands for sites without the tag.
const UNTAGGED: &str = "not tagged";

/// By what figures are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each site.
    Site,
    /// Countries.
    Country,
    /// Departments.
    Department,
}

impl By {
    /// Everything by which they can be.
    pub const ALL: [Self; 3] = [Self::Site, Self::Country, Self::Department];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Country => "country",
            Self::Department => "department",
        }
    }
}

/// What a site is tagged with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteTags {
    /// The site.
    pub site: Arc<str>,
    /// The country that it is in.
    pub country: Option<Arc<str>>,
    /// The department that it is of.
    pub department: Option<Arc<str>>,
}

impl SiteTags {
    fn of(&self, by: By) -> Option<&Arc<str>> {
        match by {
            By::Site => Some(&self.site),
            By::Country => self.country.as_ref(),
            By::Department => self.department.as_ref(),
        }
    }
}

/// How sites are put together.
#[derive(Clone, Debug, Default)]
pub struct Grouping {
    /// The tags of sites that have any.
    pub tags: Vec<SiteTags>,
    /// By what alone; `None`: by sites, and by every tag that a site has.
    pub by: Option<By>,
}

/// The figures of all sites with one tag. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupRow {
    /// `country` or `department`.
    pub by: &'static str,
    /// Which; `not tagged` for the sites without.
    pub name: String,
    /// How many sites with a device at any time.
    pub sites: u64,
    /// As in [`SiteRow`](super::SiteRow), as all that follow.
    pub baseline: u64,
    /// Devices seen in the window; `None`: nothing is on record of it.
    pub now: Option<u64>,
    /// How much fewer they are.
    pub decline_percent: Option<f64>,
    /// Devices of the baseline seen in the window.
    pub still: u64,
    /// Devices of the window never seen before.
    pub new: u64,
    /// Devices of the window seen before the baseline.
    pub returned: u64,
    /// Devices of the baseline that are clean.
    pub clean: u64,
    /// Devices of the baseline that are quiet.
    pub quiet: u64,
    /// Devices of the baseline of which nothing is on record since.
    pub unknown: u64,
    /// Devices of the window that are exempt.
    pub exempt: u64,
    /// Devices of the window that are confirmed.
    pub confirmed: u64,
}

impl Grouping {
    /// Whether sites are told one by one.
    pub(super) fn has_sites(&self) -> bool {
        self.by.is_none_or(|by| by == By::Site)
    }

    /// The rows by each tag, those with most devices first.
    pub(super) fn rows(&self, figures: &Figures, asked: &Asked) -> Vec<GroupRow> {
        let wanted = |by: By| match self.by {
            Some(one) => one == by,
            None => self.tags.iter().any(|tags| tags.of(by).is_some()),
        };
        [By::Country, By::Department]
            .into_iter()
            .filter(|by| wanted(*by))
            .flat_map(|by| self.by(by, figures, asked))
            .collect()
    }

    fn by(&self, by: By, figures: &Figures, asked: &Asked) -> Vec<GroupRow> {
        let tags: HashMap<&str, &SiteTags> = self.tags.iter().map(|tags| (&*tags.site, tags)).collect();
        let name = |site: &str| tags.get(site).and_then(|tags| tags.of(by)).map_or(UNTAGGED, |name| &**name);
        let mut sites = BTreeMap::<&str, u64>::new();
        figures.sites.keys().for_each(|site| *sites.entry(name(site)).or_default() += 1);
        // As in the key table: nothing on record is no removal.
        let told = figures.by(asked, |site| figures.is_told(site).then(|| name(site)));
        let all = figures.by(asked, |site| Some(name(site)));
        let baseline = |name: &str| told.get(name).map_or(0, |counts| counts.baseline);
        let row = |(name, counts): (&&str, &Counts)| {
            row(by, name, (sites.get(name).copied().unwrap_or(0), counts, baseline(name)))
        };
        let mut rows: Vec<_> = all.iter().map(row).collect();
        rows.sort_by(|a, b| (b.now, b.baseline, &a.name).cmp(&(a.now, a.baseline, &b.name)));
        rows
    }
}

fn row(by: By, name: &str, (sites, counts, told): (u64, &Counts, u64)) -> GroupRow {
    GroupRow {
        by: by.as_str(),
        name: name.to_owned(),
        sites,
        baseline: counts.baseline,
        now: counts.known_now(),
        decline_percent: counts.known_now().and_then(|now| decline(told, now)),
        still: counts.still,
        new: counts.new,
        returned: counts.returned,
        clean: counts.clean,
        quiet: counts.quiet,
        unknown: counts.unknown,
        exempt: counts.exempt,
        confirmed: counts.confirmed,
    }
}
