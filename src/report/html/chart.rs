//! Pictures of a report, drawn in the page.

use maud::{Markup, html};

use crate::report::document::{Document, SpanRow};
use crate::report::key::{Key, number, percent, share};
use crate::time::Day;

/// Width and height of the trend, in the units of its drawing.
const SIZE: (f64, f64) = (880.0, 250.0);
/// Room around the columns: left, top, right, bottom.
const ROOM: (f64, f64, f64, f64) = (52.0, 34.0, 8.0, 26.0);
/// Room of a date.
const LABEL_WIDTH: f64 = 66.0;
/// Columns at most: beyond, weeks stand for days, and months for weeks.
const COLUMNS_MAX: usize = 130;

/// The devices by day, week or month.
pub(super) fn trend(document: &Document) -> Markup {
    let all = [("day", &document.days), ("week", &document.weeks), ("month", &document.months)];
    let (unit, spans) =
        all.into_iter().find(|(_unit, spans)| spans.len() <= COLUMNS_MAX).unwrap_or(("month", &document.months));
    let plot = Plot::of(document, spans);
    let about = &document.about;
    let known: Vec<u64> = spans.iter().filter_map(|span| span.devices).collect();
    let summary = match (known.iter().min(), known.iter().max()) {
        (Some(least), Some(most)) => format!("Between {} and {} devices a {unit}.", number(*least), number(*most)),
        _ => "Nothing is on record.".to_owned(),
    };
    html! {
        figure {
            svg viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-labelledby="trend-title trend-text" {
                title #trend-title { "Devices seen by " (unit) ", " (about.baseline_from) " to " (about.to) }
                desc #trend-text { (summary) }
                defs { pattern #unknown width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect width="6" height="6" fill="#f3f6f8" {} line y2="6" stroke="#c4cdd4" stroke-width="2" {}
                } }
                (band(&plot, &about.baseline_from, &about.baseline_to, "Baseline"))
                (band(&plot, &about.from, &about.to, "Window"))
                (grid(&plot))
                @for (at, span) in spans.iter().enumerate() { (column(&plot, spans, at, span)) }
                (dates(&plot, document))
                (axis(&plot, spans))
            }
            figcaption {
                "Devices with a lookup that only an installed product makes, by " (unit) ". " (summary)
                @if spans.iter().any(|span| span.devices.is_none()) { " Hatched: nothing is on record; that is unknown, not nought." }
                @if has_dates(&plot, document) { " Dotted lines: dates of the law, listed below." }
            }
        }
    }
}

/// From days and devices to places.
struct Plot {
    first: Day,
    /// The day after the last.
    end: Day,
    /// The value of the highest line of the grid.
    top: u64,
    /// Between two lines of the grid.
    step: u64,
}

impl Plot {
    fn of(document: &Document, spans: &[SpanRow]) -> Self {
        let day = |text: &str| text.parse().unwrap_or_default();
        let first = spans.first().map_or_else(|| day(&document.about.baseline_from), |span| day(&span.from));
        let highest = spans.iter().filter_map(|span| span.devices).max().unwrap_or(0);
        let step = step(highest.div_ceil(4));
        Self { first, end: day(&document.about.to).plus(1), top: highest.div_ceil(step).max(1) * step, step }
    }

    fn x(&self, day: Day) -> f64 {
        let part = f64::from(day.since(self.first)) / f64::from(self.end.since(self.first).max(1));
        ROOM.0 + part.clamp(0.0, 1.0) * (SIZE.0 - ROOM.0 - ROOM.2)
    }

    #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
    fn y(&self, devices: u64) -> f64 {
        bottom() - devices as f64 / self.top as f64 * (bottom() - ROOM.1)
    }
}

fn bottom() -> f64 {
    SIZE.1 - ROOM.3
}

/// The next of 1, 2, 5, 10, 20, 50, …
fn step(least: u64) -> u64 {
    let mut ten = 1_u64;
    loop {
        let found = [1, 2, 5].into_iter().map(|digit| digit * ten).find(|step| *step >= least);
        match (found, ten.checked_mul(10)) {
            (Some(step), _) => return step,
            (None, Some(next)) if next < u64::MAX / 10 => ten = next,
            (None, _) => return ten,
        }
    }
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}

fn band(plot: &Plot, from: &str, to: &str, name: &str) -> Markup {
    let day = |text: &str| text.parse::<Day>().unwrap_or_default();
    let (left, right) = (plot.x(day(from)), plot.x(day(to).plus(1)));
    html! {
        rect x=(place(left)) y=(place(ROOM.1 - 18.0)) width=(place(right - left)) height=(place(bottom() - ROOM.1 + 18.0)) fill="#f3f6f8" {}
        text.strong x=(place(left + 5.0)) y=(place(ROOM.1 - 5.0)) { (name) }
    }
}

fn grid(plot: &Plot) -> Markup {
    let lines = (0..=plot.top / plot.step).map(|line| line * plot.step);
    html! {
        @for value in lines {
            line x1=(place(ROOM.0)) x2=(place(SIZE.0 - ROOM.2)) y1=(place(plot.y(value))) y2=(place(plot.y(value))) stroke="#d5dce2" {}
            text x=(place(ROOM.0 - 8.0)) y=(place(plot.y(value) + 4.0)) text-anchor="end" { (number(value)) }
        }
    }
}

fn column(plot: &Plot, spans: &[SpanRow], at: usize, span: &SpanRow) -> Markup {
    let begin: Day = span.from.parse().unwrap_or_default();
    let end = spans.get(at + 1).and_then(|next| next.from.parse().ok()).unwrap_or(plot.end);
    let (left, right) = (plot.x(begin), plot.x(end));
    let gap = ((right - left) * 0.18).min(3.0);
    let left = left + gap / 2.0;
    let (top, fill, says) = match span.devices {
        Some(devices) => (plot.y(devices), "#0b6b75", number(devices)),
        None => (ROOM.1, "url(#unknown)", "unknown".to_owned()),
    };
    html! {
        rect x=(place(left)) y=(place(top)) width=(place(right - gap / 2.0 - left)) height=(place(bottom() - top)) fill=(fill) {
            title { (span.from) ": " (says) }
        }
    }
}

fn is_shown(plot: &Plot, date: &str) -> bool {
    date.parse::<Day>().is_ok_and(|day| day >= plot.first && day < plot.end)
}

fn has_dates(plot: &Plot, document: &Document) -> bool {
    document.milestones.iter().any(|row| is_shown(plot, &row.date))
}

fn dates(plot: &Plot, document: &Document) -> Markup {
    let shown = document.milestones.iter().filter(|row| is_shown(plot, &row.date));
    // A date has room for its name where the one before is far enough.
    let mut free = f64::MIN;
    let placed: Vec<_> = shown
        .map(|row| {
            let at = plot.x(row.date.parse().unwrap_or_default());
            let (left, right) = (at - LABEL_WIDTH / 2.0, at + LABEL_WIDTH / 2.0);
            let named = left >= free && right <= SIZE.0;
            free = if named { right } else { free };
            (place(at), &row.date, named)
        })
        .collect();
    html! {
        @for (x, date, named) in &placed {
            line x1=(x) x2=(x) y1="14" y2=(place(bottom())) stroke="#a85a08" stroke-width="1.2" stroke-dasharray="2 3" {
                title { (date) }
            }
            @if *named { text x=(x) y="10" text-anchor="middle" { (date) } }
        }
    }
}

fn axis(plot: &Plot, spans: &[SpanRow]) -> Markup {
    let every = spans.len().div_ceil(7).max(1);
    html! {
        line x1=(place(ROOM.0)) x2=(place(SIZE.0 - ROOM.2)) y1=(place(bottom())) y2=(place(bottom())) stroke="#17212b" {}
        @for span in spans.iter().step_by(every) {
            @let x = plot.x(span.from.parse().unwrap_or_default());
            line x1=(place(x)) x2=(place(x)) y1=(place(bottom())) y2=(place(bottom() + 4.0)) stroke="#17212b" {}
            text x=(place(x)) y=(place(bottom() + 17.0)) text-anchor=(if x < ROOM.0 + 1.0 { "start" } else { "middle" }) { (span.from) }
        }
    }
}

/// What became of the devices of the baseline.
pub(super) fn fate(key: &Key) -> Markup {
    let parts = [
        ("still there", key.still, "#a3242b"),
        ("clean", key.clean, "#2c6e49"),
        ("quiet", key.quiet, "#a85a08"),
        ("unknown", key.unknown, "#8a96a0"),
    ];
    let mut left = 0.0;
    let placed: Vec<_> = parts
        .into_iter()
        .map(|(name, count, fill)| {
            let (at, width) = (left, share(count, key.baseline).unwrap_or_default() / 100.0 * SIZE.0);
            left += width;
            (name, count, fill, at, width)
        })
        .collect();
    let told: Vec<_> = parts.iter().map(|(name, count, _fill)| format!("{name} {}", number(*count))).collect();
    html! {
        figure {
            svg viewBox=(format!("0 0 {} 46", SIZE.0)) role="img" aria-labelledby="fate-title" {
                title #fate-title { "What became of the devices of the baseline: " (told.join(", ")) }
                @for (_name, count, fill, at, width) in &placed {
                    @if *count > 0 { rect x=(place(*at)) y="0" width=(place((width - 2.0).max(1.0))) height="22" fill=(fill) {} }
                }
                @for (at, (name, count, fill, _at, _width)) in (0_u8..).zip(&placed) {
                    @let x = f64::from(at) * SIZE.0 / 4.0;
                    rect x=(place(x)) y="32" width="10" height="10" fill=(fill) {}
                    text x=(place(x + 16.0)) y="41" { (name) ": " (number(*count)) " (" (percent(share(*count, key.baseline))) ")" }
                }
            }
            figcaption { "What became of the " (number(key.baseline)) " devices of the baseline." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_grid_are_round_numbers() {
        let cases =
            [(0, 1), (1, 1), (3, 5), (6, 10), (11, 20), (1_750_000, 2_000_000), (u64::MAX, 1_000_000_000_000_000_000)];
        for (least, expected) in cases {
            assert_eq!(step(least), expected, "{least}");
        }
    }
}
