//! The dates of the law, and how many devices were seen before and after each of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;

use super::cohort::Asked;
use super::figures::Figures;
use super::key::decline;
use crate::policy::{Ban, EndUse};
use crate::time::Day;

/// Days before and after a date that are compared.
const SPAN_DAYS: u8 = 7;

/// A date of the law.
#[derive(Clone, Debug, Serialize)]
pub struct MilestoneRow {
    /// The day.
    pub date: String,
    /// What happened, or happens.
    pub texts: Vec<String>,
    /// Devices seen in the seven days before; `None`: they are not all on record.
    pub before: Option<u64>,
    /// Devices seen in the seven days from it on.
    pub after: Option<u64>,
    /// How much fewer they are.
    pub decline_percent: Option<f64>,
}

/// A legal basis of the ban.
#[derive(Clone, Debug, Serialize)]
pub struct LawRow {
    /// What `bound_by` names.
    pub id: String,
    /// Country or body.
    pub jurisdiction: String,
    /// Its name.
    pub instrument: String,
    /// Where it is published.
    pub citation: String,
    /// Day of issue.
    pub issued: Option<String>,
    /// Day from which it has effect.
    pub effective: Option<String>,
    /// Whom it binds.
    pub applies_to: String,
    /// Whether using the product is prohibited: `yes`, `no` or `partial`.
    pub end_use: &'static str,
    /// Whether the operator says that it binds this network.
    pub binds: bool,
    /// What a reader should know.
    pub note: String,
}

/// Every date of a ban, and what is said of it.
pub(super) fn dates(ban: &Ban) -> BTreeMap<Day, Vec<String>> {
    let mut dates = BTreeMap::<Day, Vec<String>>::new();
    let mut add = |date: Date, text: String| dates.entry(date.into()).or_default().push(text);
    for milestone in &ban.milestones {
        add(milestone.date, milestone.text.to_string());
    }
    for law in &ban.laws {
        let ways =
            [(law.issued.filter(|date| Some(*date) != law.effective), "is issued"), (law.effective, "takes effect")];
        for (date, what) in ways {
            if let Some(date) = date {
                add(date, format!("{} ({}) {what}.", law.instrument, law.jurisdiction));
            }
        }
    }
    dates
}

/// The days before a date, and those from it on.
pub(super) fn around(date: Day) -> [RangeInclusive<Day>; 2] {
    let span = i32::from(SPAN_DAYS);
    [date.plus(-span)..=date.plus(-1), date..=date.plus(span - 1)]
}

/// The rows; the spans of the figures are those of [`around`] each date.
pub(super) fn rows(dates: &BTreeMap<Day, Vec<String>>, figures: &Figures, asked: &Asked) -> Vec<MilestoneRow> {
    let counted = figures.spans.chunks_exact(2);
    let row = |((date, texts), counts): ((&Day, &Vec<String>), &[u64])| {
        let [before, after] = around(*date);
        // A day of which nothing is on record would count as one without devices.
        let is_known = |days: &RangeInclusive<Day>| {
            days.end() <= asked.window.end() && figures.known.range(days.clone()).count() == usize::from(SPAN_DAYS)
        };
        let known = |days, count: Option<&u64>| count.copied().filter(|_count| is_known(days));
        let (before, after) = (known(&before, counts.first()), known(&after, counts.last()));
        let decline_percent = before.zip(after).and_then(|(before, after)| decline(before, after));
        MilestoneRow { date: date.to_string(), texts: texts.clone(), before, after, decline_percent }
    };
    dates.iter().zip(counted).map(row).collect()
}

/// The law as the ban's file has it.
pub(super) fn laws(ban: &Ban) -> Vec<LawRow> {
    let row = |law: &crate::policy::Law| LawRow {
        id: law.id.to_string(),
        jurisdiction: law.jurisdiction.to_string(),
        instrument: law.instrument.to_string(),
        citation: law.citation.to_string(),
        issued: law.issued.map(|date| date.to_string()),
        effective: law.effective.map(|date| date.to_string()),
        applies_to: law.applies_to.to_string(),
        end_use: match law.end_use {
            EndUse::Yes => "yes",
            EndUse::No => "no",
            EndUse::Partial => "partial",
        },
        binds: ban.bound_by.contains(&law.id),
        note: law.note.to_string(),
    };
    ban.laws.iter().map(row).collect()
}
