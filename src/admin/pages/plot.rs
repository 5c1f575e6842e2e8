//! Devices by day: a picture drawn here, which the script replaces by one to point at, and the same numbers as a table.

use maud::{Markup, html};

use super::scope::Scope;
use super::table::{Cell, Column, Table};
use super::view::View;
use crate::report::{self, Figures};
use crate::time::Day;

/// Width and height of the picture, and the room around its columns: left, top, bottom.
const SIZE: (f64, f64) = (900.0, 220.0);
const ROOM: (f64, f64, f64) = (48.0, 18.0, 22.0);

/// A day of the plot: its devices; `None`: nothing is on record of it.
type Point = (Day, Option<u64>);

/// The days of the window, and those of the baseline before them where these are near.
fn points(figures: &Figures, scope: &Scope) -> Vec<Point> {
    let (from, to) = (*scope.asked.baseline.start(), *scope.asked.window.end());
    let from = if to.since(from) > 400 { *scope.asked.window.start() } else { from };
    let known = |day: Day| {
        let distinct = figures.days.get(&day).copied().unwrap_or_default();
        (distinct.devices > 0 || figures.covered.contains(&day)).then_some(distinct.devices)
    };
    (0..=to.since(from)).map(|at| from.plus(at)).map(|day| (day, known(day))).collect()
}

/// Dates of the ban that lie in these days.
fn marks(scope: &Scope, points: &[Point]) -> Vec<(Day, String)> {
    let Some((first, last)) = points.first().zip(points.last()) else { return Vec::new() };
    let mut marks: Vec<(Day, String)> = scope
        .ban
        .milestones
        .iter()
        .map(|milestone| (Day::from(milestone.date), milestone.text.to_string()))
        .chain(scope.ban.stance.enforce_from.map(|at| (Day::of(at), "enforced from here on".to_owned())))
        .chain(scope.ban.stance.observe_from.map(|at| (Day::of(at), "observed from here on".to_owned())))
        .filter(|(day, _text)| *day >= first.0 && *day <= last.0)
        .collect();
    marks.sort();
    marks.dedup();
    marks
}

/// The plot and its table.
pub(super) fn devices_by_day(view: &mut View, figures: &Figures, scope: &Scope) -> Markup {
    view.plots();
    let points = points(figures, scope);
    let marks = marks(scope, &points);
    let joined = |of: fn(&Point) -> String| points.iter().map(of).collect::<Vec<_>>().join(",");
    let days = joined(|(day, _devices)| day.0.to_string());
    let values = joined(|(_day, devices)| devices.map(|devices| devices.to_string()).unwrap_or_default());
    let dates = serde_json::to_string(&marks.iter().map(|(day, text)| (day.0, text)).collect::<Vec<_>>());
    let most = points.iter().filter_map(|(_day, devices)| *devices).max();
    let summary = most.map_or_else(
        || "Nothing is on record of these days.".to_owned(),
        |most| format!("At most {} devices on one day.", report::number(most)),
    );
    let table = table(scope, &points, &marks);
    html! {
        figure {
            div.plot data-days=(days) data-values=(values) data-dates=(dates.unwrap_or_default()) {
                (picture(&points, &marks, &summary))
            }
            figcaption {
                "Devices seen by day. " (summary)
                @if points.iter().any(|(_day, devices)| devices.is_none()) { " Where there is no column, nothing is on record: unknown, not nought." }
            }
        }
        @if !marks.is_empty() {
            ul.dates aria-label="Dates in the plot" { @for (day, text) in &marks { li { b { (day) } " " (crate::diag::shown(text)) } } }
        }
        details { summary { "The numbers of the plot" } (view.table(table)) }
    }
}

fn table(scope: &Scope, points: &[Point], marks: &[(Day, String)]) -> Table {
    let columns =
        vec![Column::text("Day", "day"), Column::number("Devices", "devices"), Column::text("Date of the ban", "")];
    let mut table = Table::new("days", "Devices seen by day", columns);
    for (day, devices) in points.iter().rev() {
        let said: Vec<&str> = marks.iter().filter(|(at, _text)| at == day).map(|(_day, text)| &**text).collect();
        let (since, until) = (day.to_string(), day.plus(1).to_string());
        let more = [
            ("since", &*since),
            ("until", &*until),
            ("baseline", ""),
            ("days", ""),
            ("evidence", scope.evidence.as_str()),
        ];
        let devices = devices
            .map_or_else(|| Cell::text("unknown"), |devices| Cell::number(devices).to(scope.link("/activity", &more)));
        table.rows.push(vec![Cell::text(&since), devices, Cell::text(said.join("; "))]);
    }
    table
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}

#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
fn picture(points: &[Point], marks: &[(Day, String)], summary: &str) -> Markup {
    let top = points.iter().filter_map(|(_day, devices)| *devices).max().unwrap_or(0).max(1);
    let (bottom, width) = (SIZE.1 - ROOM.2, (SIZE.0 - ROOM.0) / points.len().max(1) as f64);
    let x = |at: usize| ROOM.0 + at as f64 * width;
    let y = |devices: u64| bottom - devices as f64 / top as f64 * (bottom - ROOM.1);
    let at_day = |day: Day| points.iter().position(|(known, _devices)| *known == day).unwrap_or(0);
    html! {
        svg viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-labelledby="plot-title plot-text" {
            title #plot-title { "Devices seen by day" }
            desc #plot-text { (summary) }
            @for value in [0, top] {
                line.grid x1=(place(ROOM.0)) x2=(place(SIZE.0)) y1=(place(y(value))) y2=(place(y(value))) {}
                text x=(place(ROOM.0 - 6.0)) y=(place(y(value) + 4.0)) text-anchor="end" { (report::number(value)) }
            }
            @for (at, (day, devices)) in points.iter().enumerate() {
                @if let Some(devices) = devices {
                    rect.bar x=(place(x(at))) y=(place(y(*devices))) width=(place((width - 1.0).max(0.5))) height=(place(bottom - y(*devices))) {
                        title { (day) ": " (report::number(*devices)) }
                    }
                }
            }
            @for (day, text) in marks {
                @let at = x(at_day(*day));
                line.date x1=(place(at)) x2=(place(at)) y1="2" y2=(place(bottom)) { title { (day) ": " (crate::diag::shown(text)) } }
            }
            @if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
                text x=(place(ROOM.0)) y=(place(SIZE.1 - 6.0)) { (first) }
                text x=(place(SIZE.0)) y=(place(SIZE.1 - 6.0)) text-anchor="end" { (last) }
            }
        }
    }
}
