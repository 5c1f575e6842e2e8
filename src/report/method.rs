//! How a report was found, and what it can't say.

use super::cohort::{Asked, CLEAN_AFTER_DAYS};
use super::document::Coverage;
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
        "A device keeps the number of the name under which it was first recorded, and counts at the site where it was first seen. \
         One that leases or an inventory began to name in between, or that was merged since, is counted under both names: the \
         former as unknown or gone quiet, the latter as new."
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
        "Connected: the block page saw the device connect by a name with that evidence, by what its greeting (TLS) or request \
         (HTTP) said. It is a flag beside the evidence and raises no grade."
            .to_owned(),
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
pub(super) fn limits(coverage: &Coverage, history: &History, (asked, flows): (&Asked, bool)) -> Vec<String> {
    let mut limits = vec![
        "DNS shows who asked, not what was installed or removed: a device that asks another resolver is not seen here. Lookups were \
         answered with a block or let through; nothing here says that a connection was prevented."
            .to_owned(),
        fallback(flows).to_owned(),
        "Devices behind one address that no lease tells apart (NAT, a forwarder) are counted as one: at least one.".to_owned(),
        "Sources of lookups over UDP without a cookie can be forged. Such lookups make a device suspected, never confirmed.".to_owned(),
    ];
    if coverage.baseline.days == 0 || coverage.window.days == 0 {
        limits.push(
            "Who was active is not on record for all of the time compared, so that nobody who was last seen then can be called clean."
                .to_owned(),
        );
    }
    let lost = coverage.baseline.lost + coverage.window.lost;
    if lost > 0 {
        limits.push(format!("{} attempts of this time are not in the record: memory or disk was full.", number(lost)));
    }
    if coverage.baseline.unnoted + coverage.window.unnoted > 0 {
        limits.push(
            "There were more clients at once than could be noted as active; some may be missing among them.".to_owned(),
        );
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
