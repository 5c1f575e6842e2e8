//! What a report comes to, in sentences that somebody can sign.

use super::cohort::{Asked, CLEAN_AFTER_DAYS};
use super::document::{Coverage, Inputs};
use super::key::{Key, number, percent};
use crate::policy::{Ban, EndUse};
use crate::time::Day;

/// The sentences.
pub(super) fn statement(inputs: &Inputs<'_>, key: &Key, coverage: &Coverage) -> Vec<String> {
    let &Inputs { ban, asked, site, .. } = inputs;
    let place = site.map_or_else(|| "on all sites".to_owned(), |site| format!("on site {site}"));
    let (from, to) = (asked.window.start(), asked.window.end());
    let (start, end) = (asked.baseline.start(), asked.baseline.end());
    let seen = match key.now {
        None => "nothing is on record; it is unknown how many devices made lookups".to_owned(),
        Some(0) => "no device made a lookup".to_owned(),
        Some(1) => "1 device made lookups".to_owned(),
        Some(many) => format!("{} devices made lookups", number(many)),
    };
    let mut sentences = vec![format!(
        "From {from} to {to}, {place}, {seen} that only an installed product of {} makes. In the {} before {}, {start} to {end}, \
         there were {}{}.",
        ban.title,
        plural(asked.days().unsigned_abs().into(), "day"),
        asked.date(),
        plural(key.baseline, "device"),
        change(key),
    )];
    if key.baseline > 0 {
        sentences.push(format!(
            "Of the {} of the baseline, {} ({}) {} seen again in the window, {} clean (active on {CLEAN_AFTER_DAYS} days or more since, \
             without such a lookup), {} quiet for less than that, and of {} nothing is on record since.",
            plural(key.baseline, "device"),
            number(key.still),
            percent(key.still_percent),
            if key.still == 1 { "was" } else { "were" },
            are(key.clean),
            were(key.quiet),
            number(key.unknown),
        ));
    }
    if let Some(now) = key.now.filter(|now| *now > 0) {
        sentences.push(format!(
            "Of the {} of the window, {} new, {} back from before the baseline, {} confirmed and {} suspected; an exemption let \
             {} through.",
            plural(now, "device"),
            are(key.new),
            are(key.returned),
            are(key.confirmed),
            are(key.suspected),
            number(key.exempt),
        ));
    }
    sentences.extend(unfinished(asked, inputs.today));
    sentences.extend(coverage_of(coverage));
    sentences.push(law(ban));
    sentences
}

/// That more may come.
fn unfinished(asked: &Asked, today: Day) -> Option<String> {
    let left = asked.window.end().since(today);
    let to_come = match left {
        ..0 => return None,
        0 => "its last day is not over".to_owned(),
        more => format!("{} of it are still to come", plural(more.unsigned_abs().into(), "day")),
    };
    Some(format!("The window is not over: this was found on {today}, when {to_come}. The figures may still grow."))
}

/// What the figures rest on, where that is not everything.
fn coverage_of(coverage: &Coverage) -> Option<String> {
    let days = coverage.window.of_days;
    let until =
        coverage.record_until.as_ref().map_or_else(String::new, |day| format!(" The last day on record is {day}."));
    let (before, now) = (coverage.baseline.days, coverage.window.days);
    if before >= days && now >= days {
        return None;
    }
    if before == 0 && now == 0 {
        let text =
            "Coverage is unknown: which devices were active is not on record, so that no device is called clean.";
        return Some(text.to_owned());
    }
    Some(format!(
        "Coverage is partial: which devices were active is on record for {before} of the {days} days of the baseline and for {now} \
         of the {days} days of the window. Where nothing is on record the report says unknown, never clean.{until}"
    ))
}

/// On what the ban rests. A law that binds the supplier is never said to bind the user.
fn law(ban: &Ban) -> String {
    let bound = ban.laws.iter().filter(|law| ban.bound_by.contains(&law.id)).map(|law| {
        let says = match law.end_use {
            EndUse::Yes => "prohibits use of the product",
            EndUse::Partial => "prohibits use of the product to some",
            EndUse::No => "binds suppliers and does not prohibit use",
        };
        let citation = if law.citation.is_empty() { String::new() } else { format!(" ({})", law.citation) };
        format!("{}{citation}, which {says}", law.instrument)
    });
    let bound: Vec<_> = bound.collect();
    if bound.is_empty() {
        return "The ban is a policy of this network; its operator has named no law that binds it.".to_owned();
    }
    format!("By the word of its operator this network is bound by {}.", bound.join("; and by "))
}

fn change(key: &Key) -> String {
    let change = match key.decline_percent {
        Some(percent) if percent < 0.0 => format!("{:.1} % more now", -percent),
        Some(percent) => format!("{percent:.1} % fewer now"),
        None => String::new(),
    };
    // Of all of them there is nothing: the beginning of the sentence has said so.
    match (change.is_empty(), key.silent_sites) {
        (true, _) => change,
        (false, 0) => format!(": {change}"),
        (false, sites) => format!(
            ". On {} with {} of these nothing is on record in the window; without {} there are {change}",
            plural(sites, "site"),
            number(key.silent_baseline),
            if sites == 1 { "it" } else { "them" },
        ),
    }
}

fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{} {thing}s", number(count)) }
}

fn are(count: u64) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{} are", number(count)) }
}

fn were(count: u64) -> String {
    if count == 1 { "1 was".to_owned() } else { format!("{} were", number(count)) }
}
