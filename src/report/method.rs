//! How a report was found, and what it can't say.

use super::cohort::{Asked, CLEAN_AFTER_DAYS};
use super::document::{Coverage, Inputs};
use super::history::History;
use super::key::number;
use crate::time::rfc3339;

/// How it was found.
pub(super) fn method(asked: &Asked) -> Vec<String> {
    let days = asked.days();
    [
        format!("Days are those of UTC. The baseline is the {days} days that end the day before {}; the window is as long.", asked.date()),
        "A device is what DHCP leases or an inventory name; where none do, an address of one site stands for one. Identity is that \
         of the moment of the lookup: an address that changes hands later changes nothing."
            .to_owned(),
        "A device counts at each site where it was seen, and once in totals, countries and departments: sites may add up to more. \
         Names that leases, the inventory or the words of operators join by now are one device, also in what was recorded before. \
         An address that stood for a device until leases began to name it is not joined with that device: it counts as unknown or \
         quiet from then on, and the device as new."
            .to_owned(),
        "Seen: a lookup whose evidence is `installed`, which only an installed product makes. Other grades are counted apart and \
         prove no installation."
            .to_owned(),
        "Suspected: one such lookup. Confirmed: two distinct names, hours of a day, or days, from a source that has shown that its \
         address is its own (TCP, TLS, or a valid DNS cookie)."
            .to_owned(),
        format!(
            "Clean: of the baseline, not seen since, and active (any query) on {CLEAN_AFTER_DAYS} days or more since its last such \
             lookup. Quiet: active on fewer. Unknown: nothing on record since. Silence is never taken for removal."
        ),
        "Panel: the sites of which it is known on half of the days of the baseline and of the window, or more, who was active; an \
         office that rests at the weekend is one. It compares like with like."
            .to_owned(),
        "Connected: the block page saw the device connect by a name with that evidence, by what its greeting (TLS) or request \
         (HTTP) said. It is a flag beside the evidence and raises no grade."
            .to_owned(),
        "Devices of the inventory that never asked are listed: of those nothing is known, and they are in no figure.".to_owned(),
        "Survivors compare the same devices; the decline compares totals, in which new devices make up for some that are gone. Both \
         are printed."
            .to_owned(),
        "Numbers of lookups are not compared: a blocked product asks more often than one that is answered. Devices are."
            .to_owned(),
        "Time to clean is that of Kaplan and Meier (1958): devices that were still seen, or were lost sight of, count as long as \
         they were seen."
            .to_owned(),
    ]
    .into()
}

/// What is known of ways that DNS never sees.
fn fallback(flows: bool) -> &'static str {
    if flows {
        "Fallback resolvers of the product: measured where the firewall and flow logs that were read have seen the connection. \
         Anybody may ask these resolvers, so a connection to one proves no installation."
    } else {
        "Fallback resolvers of the product: not measured. They are literal addresses that DNS never sees; only firewall or flow logs \
         show them."
    }
}

/// What is in no set, though it is known that it was.
fn missing(limits: &mut Vec<String>, coverage: &Coverage) {
    let (before, now) = (&coverage.baseline, &coverage.window);
    if before.unnoted + now.unnoted > 0 {
        limits.push(format!(
            "{} queries of this time were noted of no client or not judged at all: there were more clients at once, more devices, or \
             more messages of other resolvers than there is room for. Among active devices, and among those seen, some may be missing.",
            number(before.unnoted + now.unnoted)
        ));
    }
    if before.unnumbered + now.unnumbered > 0 {
        limits.push(format!(
            "{} lookups of the baseline and {} of the window count for no device: too many came at once to tell whose they were, no \
             number was left, or clients are only counted. There may be more devices than the figures say.",
            number(before.unnumbered),
            number(now.unnumbered)
        ));
    }
    let damaged = before.damaged_days + now.damaged_days;
    if damaged > 0 {
        limits.push(format!(
            "Of {damaged} days of this time a set of devices was damaged, so that devices of these days may be missing in all figures."
        ));
    }
}

/// What is not in the record because of privacy.
fn privacy(limits: &mut Vec<String>, history: &History, asked: &Asked) {
    let until = asked.moments().1;
    let of_time: Vec<_> = history.levels.iter().filter(|row| row.from < until).collect();
    for (at, row) in of_time.iter().enumerate() {
        let end = of_time.get(at + 1).filter(|next| next.site == row.site).map(|next| next.from);
        if row.level == "full" || end.is_some_and(|end| end <= asked.moments().0) {
            continue;
        }
        let to = end.map(|end| format!(" to {}", rfc3339(end))).unwrap_or_default();
        let what = match row.level {
            "hashed" => {
                "clients are pseudonyms. A device is counted once while the key of pseudonyms stays the same, and apart from what was \
                 recorded of it otherwise"
            }
            _ => "only counts of lookups are kept: its devices are in no figure",
        };
        limits.push(format!("At the site `{}`, from {}{to}, {what}.", row.site, rfc3339(row.from)));
    }
    let (devices, attempts) = history
        .erasures
        .iter()
        .fold((0, 0), |(devices, attempts), row| (devices + row.devices, attempts + row.attempts));
    if devices + attempts > 0 {
        limits.push(format!(
            "Erased from the record because it was asked for: {} devices and addresses with {} attempts, whenever they were made. \
             They are in no figure.",
            number(devices),
            number(attempts)
        ));
    }
}

/// What it can't say.
pub(super) fn limits(coverage: &Coverage, history: &History, inputs: &Inputs<'_>) -> Vec<String> {
    let &Inputs { asked, flows, .. } = inputs;
    let mut limits = vec![
        "DNS shows who asked, not what was installed or removed: a device that asks another resolver is not seen here. Lookups were \
         answered with a block or let through; nothing here says that a connection was prevented."
            .to_owned(),
        fallback(flows).to_owned(),
        "Devices behind one address that no lease tells apart (NAT, a forwarder) are counted as one: at least one. An address from \
         which most queries of an hour came, about many names, is marked as such; it is inside all figures.".to_owned(),
        "Sources of lookups over UDP without a cookie can be forged. Such lookups make a device suspected, never confirmed.".to_owned(),
    ];
    if coverage.baseline.days == 0 || coverage.window.days == 0 {
        limits.push(
            "Who was active is not on record for all of the time compared, so that nobody who was last seen then can be called clean."
                .to_owned(),
        );
    }
    if coverage.thin_sites > 0 {
        limits.push(format!(
            "Of {} of {} sites with a device in the baseline it is known on fewer than half of the days of the baseline or of the window \
             who was active: they are not of the panel, and what is not on record of them may look like a decline.",
            coverage.thin_sites, coverage.sites
        ));
    }
    let lost = coverage.baseline.lost + coverage.window.lost;
    if lost > 0 {
        limits.push(format!("{} attempts of this time are not in the record: memory or disk was full.", number(lost)));
    }
    missing(&mut limits, coverage);
    if let Some(since) = inputs.lookups_since {
        limits.push(format!(
            "Lookups one by one are on record from {since} on only; what is gone is in the sets of devices, and in no table of signals."
        ));
    }
    privacy(&mut limits, history, asked);
    match (&history.damage, history.since()) {
        (Some(damage), _) => limits.push(format!(
            "The audit log is damaged after entry {}: {damage}. Exceptions and policies after that are not in this report.",
            history.count
        )),
        (None, None) => {
            limits.push("There is no audit log: which policy was in force, and who was spared, is not on record.".to_owned());
        }
        (None, Some(since)) if since > asked.moments().0 => limits.push(format!(
            "The audit log begins at {}: which policy was in force before is not on record.",
            rfc3339(since)
        )),
        (None, Some(_)) => (),
    }
    limits
}
