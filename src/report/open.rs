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
#[expect(clippy::struct_excessive_bools, reason = "a row of a table: each is a column of its own")]
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
    /// Whether it is an address that stood for many: at least one device.
    pub many: bool,
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
        open.devices.extend(devices.into_iter().map(|device| {
            let low = device.number % BLOCK;
            row(device, low, (cohort, &sets), subject)
        }));
    }
    roaming(presence, subject, (figures, rows_max), &mut open)?;
    open.devices.sort_by(|a, b| (&a.site, &a.device).cmp(&(&b.site, &b.device)));
    Ok(open)
}

/// Those that have several numbers: at the site where each was seen last.
fn roaming(
    presence: &Presence<'_>,
    subject: &Subject<'_>,
    (figures, rows_max): (&Figures, usize),
    open: &mut Open,
) -> Result<(), StoreError> {
    let (roaming, cohort) = (&figures.roaming, &figures.roaming_cohort);
    if cohort.now.is_empty() {
        return Ok(());
    }
    let room = u64::try_from(rows_max.saturating_sub(open.devices.len())).unwrap_or(u64::MAX);
    open.left_out += cohort.now.len().saturating_sub(room);
    let sets = roaming.whole();
    for place in cohort.now.iter().take(usize::try_from(room).unwrap_or(usize::MAX)) {
        let number = roaming.last(place, &subject.asked.window);
        let devices = presence.devices(number)?;
        open.devices.extend(devices.into_iter().map(|device| row(device, place, (cohort, &sets.seen), subject)));
    }
    Ok(())
}

/// `low`: its number in these sets.
fn row(device: DeviceRow, low: u32, (cohort, sets): (&Cohort, &[Set]), subject: &Subject<'_>) -> OpenRow {
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
        many: is_in(&cohort.many),
        client: device.client.map(|client| client.to_string()),
        site: device.site,
        device: device.device,
    }
}
