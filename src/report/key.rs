//! The figures that a report begins with, and what each of them is called.

use std::collections::BTreeSet;

use serde::Serialize;

use super::cohort::Asked;
use super::figures::{Counts, Figures};

/// The figures of all sites together. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Key {
    /// Devices seen in the baseline.
    pub baseline: u64,
    /// Devices seen in the window; `None`: nothing is on record of it.
    pub now: Option<u64>,
    /// How much fewer they are, of sites of which anything is on record in the window.
    pub decline_percent: Option<f64>,
    /// Sites of the baseline of which nothing is on record in the window.
    pub silent_sites: u64,
    /// Devices of the baseline on these sites.
    pub silent_baseline: u64,
    /// Of the baseline, seen in the window.
    pub still: u64,
    /// Their share.
    pub still_percent: Option<f64>,
    /// Of the window, never seen before the end of the baseline.
    pub new: u64,
    /// Of the window, seen before the baseline and not in it.
    pub returned: u64,
    /// Of the baseline, clean.
    pub clean: u64,
    /// Of the baseline, not seen and not active long enough to be called clean.
    pub quiet: u64,
    /// Of the baseline, not seen and not active since.
    pub unknown: u64,
    /// Of the window, let through by an exemption.
    pub exempt: u64,
    /// Of the window, confirmed.
    pub confirmed: u64,
    /// Of the window, not confirmed.
    pub suspected: u64,
    /// Clean, and seen again.
    pub reinfected: u64,
    /// Sites with a device in the baseline.
    pub sites_baseline: u64,
    /// Sites with a device in the window.
    pub sites_now: u64,
    /// How much fewer they are.
    pub sites_decline_percent: Option<f64>,
    /// Addresses in the baseline.
    pub addresses_baseline: u64,
    /// Addresses in the window.
    pub addresses_now: u64,
    /// How much fewer they are.
    pub addresses_decline_percent: Option<f64>,
    /// Sites of which it is known for half of the days of both times, or more, who was active: the panel.
    pub panel_sites: u64,
    /// Devices of the panel seen in the baseline.
    pub panel_baseline: u64,
    /// Devices of the panel seen in the window.
    pub panel_now: u64,
    /// How much fewer they are.
    pub panel_decline_percent: Option<f64>,
    /// Devices that were active in the baseline; `None`: not known.
    pub active_baseline: Option<u64>,
    /// Devices that were active in the window; `None`: not known.
    pub active_now: Option<u64>,
    /// Days after which half of the baseline's devices were clean; `None`: not within the window.
    pub days_to_clean_median: Option<u32>,
    /// Of the window, connected to the block page.
    pub connected: u64,
    /// Of the baseline and the window, addresses that stand for many clients.
    pub many: u64,
}

impl Key {
    /// Those of all sites.
    pub fn of(figures: &Figures, asked: &Asked) -> Self {
        let all = figures.all;
        let sites = |seen: fn(&Counts) -> u64| {
            let with = figures.sites.values().filter(|counts| seen(counts) > 0).count();
            u64::try_from(with).unwrap_or(u64::MAX)
        };
        let (sites_baseline, sites_now) = (sites(|counts| counts.baseline), sites(|counts| counts.now));
        let (addresses_baseline, addresses_now) = figures.addresses;
        let of_panel: BTreeSet<&str> =
            figures.sites.keys().map(String::as_str).filter(|site| figures.is_of_panel(site, asked)).collect();
        let in_panel = figures.by(asked, |site| of_panel.contains(site).then_some(""));
        let panel = in_panel.get("").copied().unwrap_or_default();
        let known = |active: u64| Some(active).filter(|active| *active > 0);
        // Nothing on record is no removal: what such a site had before is compared with nothing.
        let silent_sites = sites(|counts| if counts.is_known_now() { 0 } else { counts.baseline });
        let told = figures.by(asked, |site| figures.is_told(site).then_some(""));
        let told_baseline = told.get("").map_or(0, |counts| counts.baseline);
        let silent_baseline = all.baseline.saturating_sub(told_baseline);
        Self {
            baseline: all.baseline,
            now: all.known_now(),
            decline_percent: decline(told_baseline, all.now),
            silent_sites,
            silent_baseline,
            still: all.still,
            still_percent: share(all.still, all.baseline),
            new: all.new,
            returned: all.returned,
            clean: all.clean,
            quiet: all.quiet,
            unknown: all.unknown,
            exempt: all.exempt,
            confirmed: all.confirmed,
            suspected: all.now - all.confirmed,
            reinfected: all.reinfected,
            sites_baseline,
            sites_now,
            sites_decline_percent: decline(sites_baseline - silent_sites, sites_now),
            addresses_baseline,
            addresses_now,
            addresses_decline_percent: decline(addresses_baseline, addresses_now).filter(|_percent| silent_sites == 0),
            panel_sites: u64::try_from(of_panel.len()).unwrap_or(u64::MAX),
            panel_baseline: panel.baseline,
            panel_now: panel.now,
            panel_decline_percent: decline(panel.baseline, panel.now),
            active_baseline: known(all.active_before),
            active_now: known(all.active_now),
            days_to_clean_median: figures.lifetimes.quantile(0.5),
            connected: all.connected,
            many: all.many,
        }
    }

    /// Each figure: its name in JSON, its value as it is printed, and what it counts.
    pub fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let unknown = || "unknown".to_owned();
        let active = |active: Option<u64>| active.map_or_else(unknown, number);
        vec![
            ("baseline", number(self.baseline), "Devices seen in the baseline"),
            ("now", active(self.now), "Devices seen in the window"),
            (
                "decline_percent",
                percent(self.decline_percent),
                "Decline: devices of the window against those of the baseline, of sites of which anything is on record",
            ),
            (
                "silent_sites",
                number(self.silent_sites),
                "Sites of the baseline of which nothing is on record in the window",
            ),
            ("silent_baseline", number(self.silent_baseline), "Devices of the baseline on these sites"),
            ("still", number(self.still), "Survivors: devices of the baseline that were seen in the window"),
            ("still_percent", percent(self.still_percent), "Survivors as a share of the baseline"),
            ("new", number(self.new), "New: devices of the window never seen before the end of the baseline"),
            ("returned", number(self.returned), "Returned: devices of the window seen before the baseline, not in it"),
            (
                "clean",
                number(self.clean),
                "Clean: of the baseline, not seen again, and active on 14 days or more since",
            ),
            ("quiet", number(self.quiet), "Quiet: of the baseline, not seen again, and active on fewer days than that"),
            ("unknown", number(self.unknown), "Unknown: of the baseline, and nothing on record since"),
            ("exempt", number(self.exempt), "Exempt: devices of the window that an exemption let through"),
            ("confirmed", number(self.confirmed), "Confirmed: devices of the window shown twice by a verified source"),
            ("suspected", number(self.suspected), "Suspected: devices of the window that are not confirmed"),
            ("reinfected", number(self.reinfected), "Seen again after they had been clean, since the baseline began"),
            ("sites_baseline", number(self.sites_baseline), "Sites with a device in the baseline"),
            ("sites_now", number(self.sites_now), "Sites with a device in the window"),
            ("sites_decline_percent", percent(self.sites_decline_percent), "Decline of sites"),
            ("addresses_baseline", number(self.addresses_baseline), "Addresses of the devices of the baseline"),
            ("addresses_now", number(self.addresses_now), "Addresses of the devices of the window"),
            ("addresses_decline_percent", percent(self.addresses_decline_percent), "Decline of addresses"),
            (
                "panel_sites",
                number(self.panel_sites),
                "Panel: sites with activity on record on half of the days of both times or more",
            ),
            ("panel_baseline", number(self.panel_baseline), "Devices of the panel in the baseline"),
            ("panel_now", number(self.panel_now), "Devices of the panel in the window"),
            ("panel_decline_percent", percent(self.panel_decline_percent), "Decline of devices of the panel"),
            ("active_baseline", active(self.active_baseline), "Devices that asked for anything in the baseline"),
            ("active_now", active(self.active_now), "Devices that asked for anything in the window"),
            (
                "days_to_clean_median",
                self.days_to_clean_median.map_or_else(|| "not reached".to_owned(), |days| days.to_string()),
                "Days until half of the baseline was clean (Kaplan-Meier)",
            ),
            (
                "connected",
                number(self.connected),
                "Connected: devices of the window that the block page saw connect; without one it sees none",
            ),
            (
                "many",
                number(self.many),
                "At least one each: devices of both times that are addresses from which most queries of an hour came",
            ),
        ]
    }
}

/// The figures of one site.
#[derive(Clone, Debug, Serialize)]
pub struct SiteRow {
    /// Which.
    pub site: String,
    /// Devices seen in the baseline.
    pub baseline: u64,
    /// Devices seen in the window; `None`: nothing is on record of it.
    pub now: Option<u64>,
    /// How much fewer they are.
    pub decline_percent: Option<f64>,
    /// As in [`Key`].
    pub still: u64,
    /// As in [`Key`].
    pub new: u64,
    /// As in [`Key`].
    pub returned: u64,
    /// As in [`Key`].
    pub clean: u64,
    /// As in [`Key`].
    pub quiet: u64,
    /// As in [`Key`].
    pub unknown: u64,
    /// As in [`Key`].
    pub exempt: u64,
    /// As in [`Key`].
    pub confirmed: u64,
    /// Of which time it is known who was active: `both`, `baseline`, `window` or `unknown`.
    pub covered: &'static str,
    /// Days of the baseline on which it is known who was active.
    pub days_baseline: u32,
    /// The same of the window.
    pub days_now: u32,
}

impl SiteRow {
    /// That of one site.
    pub fn of(site: &str, counts: &Counts, figures: &Figures) -> Self {
        let (days_baseline, days_now) = figures.site_days.get(site).copied().unwrap_or_default();
        Self {
            site: site.to_owned(),
            baseline: counts.baseline,
            now: counts.known_now(),
            decline_percent: counts.known_now().and_then(|now| decline(counts.baseline, now)),
            still: counts.still,
            new: counts.new,
            returned: counts.returned,
            clean: counts.clean,
            quiet: counts.quiet,
            unknown: counts.unknown,
            exempt: counts.exempt,
            confirmed: counts.confirmed,
            covered: match (counts.active_before > 0, counts.active_now > 0) {
                (true, true) => "both",
                (true, false) => "baseline",
                (false, true) => "window",
                (false, false) => "unknown",
            },
            days_baseline,
            days_now,
        }
    }
}

/// By how many percent the later number is smaller, to a tenth; `None` where there was nothing.
pub fn decline(earlier: u64, later: u64) -> Option<f64> {
    share(earlier, earlier).map(|_all| tenths(i128::from(earlier) - i128::from(later), earlier))
}

/// How many percent of a whole a part is, to a tenth; `None` where there is no whole.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| tenths(part.into(), whole))
}

/// Rounded as at school, in whole numbers, so that every machine prints the same.
#[expect(clippy::cast_precision_loss, reason = "tenths of percent")]
fn tenths(part: i128, whole: u64) -> f64 {
    let (whole, twice) = (i128::from(whole), part * 2_000);
    ((twice + part.signum() * whole) / (2 * whole)) as f64 / 10.0
}

/// A number with its thousands apart.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Percent as they are printed.
pub fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "not defined".to_owned(), |percent| format!("{percent:.1} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_are_rounded_as_at_school_and_nothing_declines_from_nothing() {
        let cases = [(22_000, 8_000, 63.6), (7_000_000, 2_000_000, 71.4), (8, 7, 12.5), (16, 15, 6.3), (4, 5, -25.0)];
        for (earlier, later, expected) in cases {
            assert_eq!(decline(earlier, later), Some(expected), "{earlier} {later}");
        }
        assert_eq!((decline(0, 0), decline(0, 3), share(1, 3)), (None, None, Some(33.3)));
        assert_eq!(percent(decline(40, 12)), "70.0 %");
    }

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (22_000, "22,000"), (7_000_000, "7,000,000")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
