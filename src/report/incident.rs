//! Everything that the record has about one device and one ban, for whoever has to report it (FAR 52.204-23 (c): within
//! three business days of finding it).

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::history::ExceptionRow;
use crate::journal::{AttemptRow, BindingRow, ConnectedRow};
use crate::metrics::Did;
use crate::policy::{Ban, Evidence};
use crate::time::{Day, Timestamp, rfc3339};

/// Business days within which a device that was found has to be reported.
const BUSINESS_DAYS: u32 = 3;
/// Rows of names at most, those with most lookups.
const NAMES_MAX: usize = 500;

/// What an incident is made from.
#[derive(Debug)]
pub struct IncidentInputs<'a> {
    /// The ban.
    pub ban: &'a Ban,
    /// What the device was asked for by: an identifier or an address.
    pub device: &'a str,
    /// The lookups of the device and ban that are on record, in whatever order.
    pub attempts: &'a [AttemptRow],
    /// When it held which address.
    pub bindings: Vec<BindingRow>,
    /// Its connections to the block page, by names of the ban.
    pub connected: Vec<ConnectedRow>,
    /// Exemptions of the ban.
    pub exceptions: Vec<ExceptionRow>,
    /// The fingerprint of the key that will sign it.
    pub signed_by: Option<String>,
}

/// What is on record about one device. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// Of this form of JSON.
    pub version: u32,
    /// The ban's id.
    pub ban: String,
    /// Its title.
    pub title: String,
    /// The vendor.
    pub vendor: String,
    /// The device.
    pub device: String,
    /// Where it was seen.
    pub sites: Vec<String>,
    /// From which addresses.
    pub addresses: Vec<String>,
    /// `confirmed`, `suspected`, or `none`: no lookup that only an installed product makes.
    pub state: &'static str,
    /// The first lookup of an installed product, else of any; `None`: nothing is on record.
    pub first: Option<String>,
    /// The last one.
    pub last: Option<String>,
    /// The day by which it has to be reported, if a clause like FAR 52.204-23 binds: weekends do not count, holidays do.
    pub report_by: Option<String>,
    /// All lookups.
    pub lookups: u64,
    /// Those answered with a block.
    pub blocked: u64,
    /// Those let through by an exemption.
    pub exempt: u64,
    /// By name, those with most lookups first.
    pub names: Vec<NameRow>,
    /// Names that are not among these rows.
    pub names_left_out: usize,
    /// By day.
    pub days: Vec<DayRow>,
    /// When it held which address, by the leases.
    pub bindings: Vec<BindingRow>,
    /// Exemptions of the ban.
    pub exceptions: Vec<ExceptionRow>,
    /// What the record can't know, and the clause asks for.
    pub to_be_added: Vec<&'static str>,
    /// What made it.
    pub software: &'static str,
    /// The fingerprint of the key that signed it.
    pub signed_by: Option<String>,
    /// Its connections to the block page: not only lookups. They raise no grade.
    pub connected: Vec<ConnectedRow>,
}

/// Lookups of one name.
#[derive(Clone, Debug, Serialize)]
pub struct NameRow {
    /// The name; `None`: not told apart.
    pub name: Option<String>,
    /// What it proves.
    pub evidence: &'static str,
    /// The rule's category.
    pub category: String,
    /// The first of them.
    pub first: String,
    /// The last of them.
    pub last: String,
    /// How many.
    pub count: u64,
    /// What was done.
    pub actions: Vec<&'static str>,
}

/// Lookups of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayRow {
    /// Which day, of UTC.
    pub day: String,
    /// How many.
    pub count: u64,
}

/// Lookups of a name while they are added up.
struct Sum {
    first: Timestamp,
    last: Timestamp,
    count: u64,
    actions: std::collections::BTreeSet<&'static str>,
}

impl Incident {
    /// Adds up what is on record.
    pub fn build(inputs: &IncidentInputs<'_>) -> Self {
        let &IncidentInputs { ban, device, attempts, .. } = inputs;
        let installed: Vec<&AttemptRow> = attempts.iter().filter(|row| row.evidence == Evidence::Installed).collect();
        let proof: Vec<&AttemptRow> = if installed.is_empty() { attempts.iter().collect() } else { installed.clone() };
        let first = proof.iter().map(|row| row.first).min();
        let found = installed.iter().map(|row| row.first).min();
        let count =
            |is: fn(Did) -> bool| -> u64 { attempts.iter().filter(|row| is(row.action)).map(|row| row.count).sum() };
        let mut names = names(attempts);
        let names_left_out = names.len().saturating_sub(NAMES_MAX);
        names.truncate(NAMES_MAX);
        Self {
            version: 1,
            ban: ban.id.to_string(),
            title: ban.title.to_string(),
            vendor: ban.vendor.to_string(),
            device: device.to_owned(),
            sites: distinct(attempts.iter().map(|row| row.site.clone())),
            addresses: distinct(attempts.iter().filter_map(|row| row.client.map(|client| client.to_string()))),
            state: state(&installed),
            first: first.map(rfc3339),
            last: proof.iter().map(|row| row.last).max().map(rfc3339),
            report_by: found.map(|found| business_days_after(Day::of(found).date(), BUSINESS_DAYS).to_string()),
            lookups: attempts.iter().map(|row| row.count).sum(),
            blocked: count(|did| !matches!(did, Did::Observe | Did::Exempt)),
            exempt: count(|did| did == Did::Exempt),
            names,
            names_left_out,
            days: days(attempts),
            bindings: inputs.bindings.clone(),
            exceptions: inputs.exceptions.clone(),
            to_be_added: vec![
                "contract and order number, with the supplier of the device",
                "model, part and serial number of the device, and who uses it",
                "product and version that were found on it, and how it came there",
                "what was done: removed on which day by whom, and what keeps it from coming back",
            ],
            software: concat!("embargo ", env!("CARGO_PKG_VERSION")),
            signed_by: inputs.signed_by.clone(),
            connected: inputs.connected.clone(),
        }
    }
}

/// Two distinct names or hours of a verified source confirm; one lookup is a suspicion.
fn state(installed: &[&AttemptRow]) -> &'static str {
    let verified: Vec<_> = installed.iter().filter(|row| row.verified).collect();
    let names = distinct(verified.iter().filter_map(|row| row.qname.clone()));
    let hours = distinct(verified.iter().flat_map(|row| [row.first, row.last]).map(|at| at.as_second() / 3_600));
    match (installed.len(), names.len() > 1 || hours.len() > 1) {
        (0, _) => "none",
        (_, true) => "confirmed",
        (_, false) => "suspected",
    }
}

fn names(attempts: &[AttemptRow]) -> Vec<NameRow> {
    let mut sums = BTreeMap::<(Option<&str>, Evidence, &str), Sum>::new();
    for row in attempts {
        let new = || Sum { first: row.first, last: row.last, count: 0, actions: [].into() };
        let sum = sums.entry((row.qname.as_deref(), row.evidence, &row.category)).or_insert_with(new);
        (sum.first, sum.last) = (sum.first.min(row.first), sum.last.max(row.last));
        sum.count += row.count;
        sum.actions.insert(row.action.as_str());
    }
    let row = |((name, evidence, category), sum): ((Option<&str>, Evidence, &str), Sum)| NameRow {
        name: name.map(str::to_owned),
        evidence: evidence.as_str(),
        category: category.to_owned(),
        first: rfc3339(sum.first),
        last: rfc3339(sum.last),
        count: sum.count,
        actions: sum.actions.into_iter().collect(),
    };
    let mut rows: Vec<_> = sums.into_iter().map(row).collect();
    // Stable: those with as many stay in the order of their names.
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

fn days(attempts: &[AttemptRow]) -> Vec<DayRow> {
    let mut days = BTreeMap::<Day, u64>::new();
    for row in attempts {
        *days.entry(Day::of(row.first)).or_default() += row.count;
    }
    days.into_iter().map(|(day, count)| DayRow { day: day.to_string(), count }).collect()
}

fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The day so many business days after another; weekends do not count.
fn business_days_after(date: Date, days: u32) -> Date {
    let (mut date, mut left) = (date, days);
    while left > 0 {
        let Ok(next) = date.tomorrow() else { return date };
        date = next;
        left -= u32::from(!matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday));
    }
    date
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Transport;

    fn row(qname: &str, at: &str, evidence: Evidence, (verified, action): (bool, Did)) -> AttemptRow {
        let at: Timestamp = at.parse().unwrap();
        AttemptRow {
            first: at,
            last: at,
            client: Some([192, 0, 2, 7].into()),
            device: Some("host:pc".to_owned()),
            site: "berlin".to_owned(),
            qname: Some(qname.to_owned()),
            qtype: Some("A".to_owned()),
            ban: "acme".to_owned(),
            category: "update".to_owned(),
            evidence,
            pattern: None,
            action,
            transport: Some(Transport::Udp),
            verified,
            count: 2,
        }
    }

    fn incident(attempts: &[AttemptRow]) -> Incident {
        let ban = Ban::named("acme");
        let (bindings, exceptions, signed_by) = (Vec::new(), Vec::new(), None);
        Incident::build(&IncidentInputs {
            ban: &ban,
            device: "host:pc",
            attempts,
            bindings,
            connected: Vec::new(),
            exceptions,
            signed_by,
        })
    }

    #[test]
    fn an_incident_says_what_the_device_did_and_by_when_it_has_to_be_reported() {
        let told = incident(&[
            row("www.example", "2026-03-02T10:00:00Z", Evidence::Visit, (true, Did::Observe)),
            row("a.upd.example", "2026-03-05T10:00:00Z", Evidence::Installed, (true, Did::Nxdomain)),
            row("a.upd.example", "2026-03-06T10:00:00Z", Evidence::Installed, (false, Did::Exempt)),
        ]);
        // Thursday, Friday, and two days of the weekend between.
        assert_eq!(told.report_by.as_deref(), Some("2026-03-10"));
        assert_eq!((told.state, told.lookups, told.blocked, told.exempt), ("suspected", 6, 2, 2));
        assert_eq!(told.first.as_deref(), Some("2026-03-05T10:00:00.000Z"));
        assert_eq!((told.names[0].count, &*told.names[0].actions), (4, &["exempt", "nxdomain"][..]));
        assert_eq!(
            (told.days.len(), &*told.sites, &*told.addresses),
            (3, &["berlin".to_owned()][..], &["192.0.2.7".to_owned()][..])
        );
    }

    #[test]
    fn two_names_or_hours_of_a_verified_source_confirm() {
        let one = |name: &str, at: &str, verified| row(name, at, Evidence::Installed, (verified, Did::Nxdomain));
        for (rows, expected) in [
            (
                vec![one("a.example", "2026-03-05T10:00:00Z", true), one("a.example", "2026-03-05T10:59:00Z", true)],
                "suspected",
            ),
            (
                vec![one("a.example", "2026-03-05T10:00:00Z", true), one("b.example", "2026-03-05T10:59:00Z", true)],
                "confirmed",
            ),
            (
                vec![one("a.example", "2026-03-05T10:00:00Z", true), one("a.example", "2026-03-05T11:00:00Z", true)],
                "confirmed",
            ),
            (
                vec![one("a.example", "2026-03-05T10:00:00Z", true), one("b.example", "2026-03-05T11:00:00Z", false)],
                "suspected",
            ),
            (vec![row("a.example", "2026-03-05T10:00:00Z", Evidence::Visit, (true, Did::Observe))], "none"),
            (vec![], "none"),
        ] {
            assert_eq!(incident(&rows).state, expected, "{rows:?}");
        }
    }

    #[test]
    fn weekends_are_no_business_days() {
        for (date, expected) in
            [("2026-03-02", "2026-03-05"), ("2026-03-06", "2026-03-11"), ("2026-03-07", "2026-03-11")]
        {
            assert_eq!(business_days_after(date.parse().unwrap(), 3).to_string(), expected);
        }
    }
}
