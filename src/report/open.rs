//! The devices that were seen in the window, one by one.

use roaring::RoaringBitmap;
use serde::Serialize;

use super::cohort::{Cohort, within};
use super::figures::{Figures, Subject};
use crate::journal::{BLOCK, DeviceRow, Presence, Set, Sign, StoreError, What};

/// Devices seen in the window. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Open {
    /// By site and name.
    pub devices: Vec<OpenRow>,
    /// Devices that are not among these rows.
    pub left_out: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenRow {
    /// Where it is.
    pub site: String,
    /// What tells it best, or its address.
    pub device: String,
    /// Its last address, where that is known.
    pub client: Option<String>,
    /// `confirmed` or `suspected`.
    pub state: &'static str,
    /// `still`, `new` or `returned`.
    pub since_baseline: &'static str,
    /// Whether an exemption let it through.
    pub exempt: bool,
    /// Whether it was seen again after it had been clean.
    pub reinfected: bool,
    /// Days of the window on which it was seen.
    pub days: u32,
    /// The first day on which it was ever seen.
    pub first: String,
    /// The last day of the window on which it was.
    pub last: String,
    /// Whether it connected to the block page in the window.
    pub connected: bool,
}

/// Reads who they are, at most so many.
pub(super) fn read(
    presence: &Presence<'_>,
    subject: &Subject<'_>,
    figures: &Figures,
    rows_max: usize,
) -> Result<Open, StoreError> {
    let mut open = Open::default();
    for (block, cohort) in &figures.open {
        let room = rows_max - open.devices.len();
        let chosen: RoaringBitmap = cohort.now.iter().take(room).collect();
        open.left_out += cohort.now.len() - chosen.len();
        if chosen.is_empty() {
            continue;
        }
        let sign = Sign { ban: subject.ban, evidence: Some(subject.evidence), what: What::Seen };
        let since = figures.since.unwrap_or(*subject.asked.window.start());
        let sets = presence.sets(sign, *block, &(since..=*subject.asked.window.end()))?;
        let devices = presence.devices(chosen.iter().map(|low| block * BLOCK + low))?;
        open.devices.extend(devices.into_iter().map(|device| row(device, cohort, &sets, subject)));
    }
    open.devices.sort_by(|a, b| (&a.site, &a.device).cmp(&(&b.site, &b.device)));
    Ok(open)
}

fn row(device: DeviceRow, cohort: &Cohort, sets: &[Set], subject: &Subject<'_>) -> OpenRow {
    let low = device.number % BLOCK;
    let is_in = |bits: &RoaringBitmap| bits.contains(low);
    let seen = |sets: &[Set]| sets.iter().filter(|(_day, bits)| is_in(bits)).map(|(day, _)| *day).collect::<Vec<_>>();
    let in_window = seen(within(sets, &subject.asked.window));
    let first = sets.iter().find(|(_day, bits)| is_in(bits)).map(|(day, _)| *day);
    let shown = |day: Option<crate::time::Day>| day.map(|day| day.to_string()).unwrap_or_default();
    OpenRow {
        state: if is_in(&cohort.confirmed) { "confirmed" } else { "suspected" },
        since_baseline: if is_in(&cohort.still) {
            "still"
        } else if is_in(&cohort.new) {
            "new"
        } else {
            "returned"
        },
        exempt: is_in(&cohort.exempt),
        reinfected: is_in(&cohort.reinfected),
        days: u32::try_from(in_window.len()).unwrap_or(u32::MAX),
        first: shown(first),
        last: shown(in_window.last().copied()),
        connected: is_in(&cohort.connected),
        client: device.client.map(|client| client.to_string()),
        site: device.site,
        device: device.device,
    }
}
