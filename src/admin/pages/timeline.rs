//! When a device made its lookups and which addresses it held meanwhile: a picture, and the same numbers as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use maud::{Markup, html};

use super::asked::link;
use super::table::{Cell, Column, Table};
use super::times::begin;
use super::view::View;
use crate::diag::shown;
use crate::journal::{BindingRow, DeviceDay};
use crate::policy::Evidence;
use crate::report;
use crate::time::Day;

/// Days that are shown: as long as each is kept by itself, unless the operator says otherwise.
const DAYS: i32 = 90;
/// Addresses that have a lane in the picture; the table of addresses has all.
const LANES_MAX: usize = 6;

/// The size of the picture's upper part, and the room around its columns: left, top.
const SIZE: (f64, f64) = (900.0, 150.0);
const ROOM: (f64, f64) = (56.0, 10.0);
/// Height of the line with the dates, and of a lane.
const DATES: f64 = 22.0;
const LANE: f64 = 30.0;

/// The days up to this one.
pub(super) fn days(to: Day) -> RangeInclusive<Day> {
    to.plus(1 - DAYS)..=to
}

/// What is shown of one device.
pub(super) struct Timeline<'d> {
    /// As the record calls it.
    pub(super) device: &'d str,
    pub(super) days: RangeInclusive<Day>,
    pub(super) done: &'d [DeviceDay],
    pub(super) addresses: &'d [BindingRow],
}

/// Lookups of a day.
#[derive(Clone, Debug, Default)]
struct Sum<'d> {
    installed: u64,
    others: u64,
    hours: u32,
    bans: BTreeSet<&'d str>,
}

impl Sum<'_> {
    fn all(&self) -> u64 {
        self.installed.saturating_add(self.others)
    }
}

impl<'d> Timeline<'d> {
    /// The picture and its table; nothing where nothing is known of these days.
    pub(super) fn drawn(&self, view: &mut View) -> Markup {
        let (sums, lanes) = (self.sums(), self.lanes());
        if sums.is_empty() && lanes.is_empty() {
            return html! { p.note { "Nothing of the last " (DAYS) " days is kept day by day." } };
        }
        let said = self.said(&sums, &lanes);
        let table = view.table(self.table(&sums));
        html! {
            figure.timeline {
                (self.picture(&sums, &lanes, &said))
                figcaption {
                    (said) " "
                    b.key-installed { "Below" } ": an installed product; " b.key-others { "above" } ": anything else that is banned."
                    @if !lanes.is_empty() { " The lines under the days show when it held which address." }
                }
            }
            details { summary { "The numbers of the picture" } (table) }
        }
    }

    fn sums(&self) -> BTreeMap<Day, Sum<'d>> {
        let mut sums = BTreeMap::<Day, Sum<'_>>::new();
        for done in self.done {
            let sum = sums.entry(done.day).or_default();
            let part = if done.evidence == Evidence::Installed { &mut sum.installed } else { &mut sum.others };
            *part = part.saturating_add(done.count);
            sum.hours |= done.hours;
            sum.bans.insert(&done.ban);
        }
        sums
    }

    /// The addresses that it held last, and when, as days from the first.
    fn lanes(&self) -> Vec<(String, Vec<(f64, f64)>)> {
        let (first, end) = (begin(*self.days.start()), begin(self.days.end().plus(1)));
        let mut lanes: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for row in self.addresses {
            let (from, until) = (row.from.max(first), row.until.unwrap_or(end).min(end));
            if from >= until {
                continue;
            }
            let day = |at: crate::time::Timestamp| at.duration_since(first).as_secs_f64() / 86_400.0;
            let (address, held) = (row.client.to_string(), (day(from), day(until)));
            let is_full = lanes.len() >= LANES_MAX;
            match lanes.iter_mut().find(|(known, _times)| *known == address) {
                Some((_address, times)) => times.push(held),
                None if is_full => (),
                None => lanes.push((address, vec![held])),
            }
        }
        lanes
    }

    /// What the picture shows, in words.
    fn said(&self, sums: &BTreeMap<Day, Sum<'_>>, lanes: &[(String, Vec<(f64, f64)>)]) -> String {
        let most = sums.iter().max_by_key(|(_day, sum)| sum.all());
        let lookups = most.map_or_else(
            || format!("No lookup from {} to {}.", self.days.start(), self.days.end()),
            |(day, sum)| {
                let (on, most) = (sums.len(), report::number(sum.all()));
                format!(
                    "Lookups on {on} of the days {} to {}, at most {most} on {day}.",
                    self.days.start(),
                    self.days.end()
                )
            },
        );
        match lanes.len() {
            0 => lookups,
            1 => format!("{lookups} One address is known of it."),
            several => format!("{lookups} {several} addresses are shown of it."),
        }
    }

    fn table(&self, sums: &BTreeMap<Day, Sum<'_>>) -> Table {
        let columns = vec![
            Column::text("Day", "day"),
            Column::number("Lookups", "lookups"),
            Column::number("Of an installed product", "installed"),
            Column::text("In the hours (UTC)", ""),
            Column::text("Bans", ""),
        ];
        let mut table = Table::new("timeline", "Lookups by day, the newest first", columns);
        for (day, sum) in sums.iter().rev() {
            let (since, until) = (day.to_string(), day.plus(1).to_string());
            let to = link("/activity", &[("device", self.device), ("since", &since), ("until", &until)]);
            let hours = (0..24).filter(|hour| sum.hours & (1 << hour) != 0).map(|hour: u32| format!("{hour:02}"));
            table.rows.push(vec![
                Cell::text(&since).mark("t"),
                Cell::number(sum.all()).to(to),
                Cell::number(sum.installed),
                Cell::text(hours.collect::<Vec<_>>().join(" ")),
                Cell::text(sum.bans.iter().copied().collect::<Vec<_>>().join(", ")),
            ]);
        }
        table
    }

    #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
    fn picture(&self, sums: &BTreeMap<Day, Sum<'_>>, lanes: &[(String, Vec<(f64, f64)>)], said: &str) -> Markup {
        let (first, last) = (*self.days.start(), *self.days.end());
        let width = (SIZE.0 - ROOM.0) / f64::from(last.since(first) + 1);
        let top = sums.values().map(Sum::all).max().unwrap_or(0).max(1);
        let x = |days: f64| ROOM.0 + days * width;
        let height = |lookups: u64| lookups as f64 / top as f64 * (SIZE.1 - ROOM.1);
        let below = SIZE.1 + DATES;
        let whole = below + lanes.len() as f64 * LANE;
        html! {
            svg viewBox=(format!("0 0 {} {}", SIZE.0, place(whole))) role="img" aria-labelledby="timeline-title timeline-text" {
                title #timeline-title { "Lookups by day" }
                desc #timeline-text { (said) }
                @for value in [0, top] {
                    line.grid x1=(place(ROOM.0)) x2=(place(SIZE.0)) y1=(place(SIZE.1 - height(value))) y2=(place(SIZE.1 - height(value))) {}
                    text x=(place(ROOM.0 - 6.0)) y=(place(SIZE.1 - height(value) + 4.0)) text-anchor="end" { (report::number(value)) }
                }
                @for (day, sum) in sums {
                    @let left = place(x(f64::from(day.since(first))));
                    @let wide = place((width - 1.0).max(0.5));
                    @let title = format!("{day}: {}", report::number(sum.all()));
                    @if sum.installed > 0 {
                        rect.bar x=(left) width=(wide) y=(place(SIZE.1 - height(sum.installed))) height=(place(height(sum.installed))) { title { (title) } }
                    }
                    @if sum.others > 0 {
                        rect.others x=(left) width=(wide) y=(place(SIZE.1 - height(sum.all()))) height=(place(height(sum.others))) { title { (title) } }
                    }
                }
                text x=(place(ROOM.0)) y=(place(below - 6.0)) { (first) }
                text x=(place(SIZE.0)) y=(place(below - 6.0)) text-anchor="end" { (last) }
                @for (at, (address, times)) in lanes.iter().enumerate() {
                    @let high = below + at as f64 * LANE;
                    text x=(place(ROOM.0)) y=(place(high + 12.0)) { (shown(address)) }
                    @for (from, until) in times {
                        rect.held x=(place(x(*from))) width=(place(((until - from) * width).max(1.0))) y=(place(high + 17.0)) height="6" {}
                    }
                }
            }
        }
    }
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}
