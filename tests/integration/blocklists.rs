//! The shipped blocklists: they load without a word, and say the right thing about every name that is known.

use std::net::IpAddr;

use embargo::config::{self, PolicyLoad, Settings};
use embargo::policy::{Action, Client, Decision, Evidence, Hit, Policy};
use embargo::time::Timestamp;
use embargo::wire::{LowerName, qtype};

const NAMES: &str = include_str!("../fixtures/config/kaspersky-names.txt");
/// After every date of the shipped bans.
const AFTER: &str = "2026-01-01T00:00:00Z";

fn shipped() -> Policy {
    let PolicyLoad { policy, diagnostics, .. } = config::policy(&Settings::default(), 1);
    assert_eq!(diagnostics, []);
    policy.unwrap()
}

/// What policy says: the ban, the evidence, and `pass`, `observe` or the action.
pub(crate) fn verdict(policy: &Policy, name: &str, at: &str) -> (String, &'static str, &'static str) {
    let client = Client::at(IpAddr::from([192, 0, 2, 1]));
    let at: Timestamp = at.parse().unwrap();
    let words = |hit: &Hit<'_>, does| (hit.ban.id.to_string(), hit.evidence.as_str(), does);
    match policy.decide(&LowerName::parse(name).unwrap(), qtype::A, &client, at).decision {
        Decision::Pass => (String::new(), "-", "pass"),
        Decision::Allow(hit) => words(&hit, "allow"),
        Decision::Observe(hit) => words(&hit, "observe"),
        Decision::Enforce(hit, blocked) => words(&hit, blocked.action.as_str()),
    }
}

#[track_caller]
fn check(policy: &Policy, name: &str, expected: (&str, &str, &str)) {
    let (ban, evidence, does) = verdict(policy, name, AFTER);
    assert_eq!((ban.as_str(), evidence, does), expected, "{name}");
}

/// The columns of the fixture.
fn known_names() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    NAMES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split_whitespace();
        Some((columns.next()?, columns.next()?, columns.next()?))
    })
}

#[test]
fn every_known_name_gets_its_evidence_and_verdict() {
    let policy = shipped();
    for (pattern, evidence, does) in known_names() {
        let ban = if does == "pass" { "" } else { "kaspersky" };
        let does = if does == "enforce" { "nxdomain" } else { does };
        let expected = (ban, evidence, does);
        if let Some(name) = pattern.strip_prefix('=') {
            check(&policy, name, expected);
        } else if let Some(name) = pattern.strip_prefix("*.") {
            check(&policy, &format!("a.{name}"), expected);
            assert_ne!(verdict(&policy, name, AFTER).1, evidence, "{name} and {pattern}");
        } else {
            check(&policy, pattern, expected);
            check(&policy, &format!("a.{pattern}"), expected);
        }
    }
    assert!(known_names().count() >= 237);
}

#[test]
fn names_that_only_look_alike_are_never_matched() {
    let policy = shipped();
    for name in [
        "cyberkaspersky.com",
        "www.buykaspersky.com",
        "kaspersky.com.example",
        "kaspersky-labs.com.example",
        "kaspersky",
    ] {
        check(&policy, name, ("", "-", "pass"));
    }
}

#[test]
fn the_script_in_web_pages_never_counts_as_a_product() {
    let policy = shipped();
    for name in ["scr.kaspersky-labs.com", "gc.kis.v2.scr.kaspersky-labs.com", "me.kis.v2.scr.kaspersky-labs.com"] {
        check(&policy, name, ("kaspersky", "none", "observe"));
    }
}

#[test]
fn the_console_and_its_agents_grade_differently() {
    let policy = shipped();
    check(&policy, "ksc.kaspersky.com", ("kaspersky", "visit", "nxdomain"));
    check(&policy, "a.ksc.kaspersky.com", ("kaspersky", "installed", "nxdomain"));
}

#[test]
fn the_ban_observes_from_its_first_date_and_enforces_from_its_second() {
    let policy = shipped();
    let does = |at| verdict(&policy, "downloads.upd.kaspersky.com", at).2;
    assert_eq!(does("2024-06-19T23:59:59Z"), "pass");
    assert_eq!(does("2024-06-20T00:00:00Z"), "observe");
    assert_eq!(does("2024-09-28T23:59:59Z"), "observe");
    assert_eq!(does("2024-09-29T00:00:00Z"), "nxdomain");
}

#[test]
fn canaries_are_answered_that_they_do_not_exist_and_resolvers_are_observed() {
    let policy = shipped();
    for canary in ["use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com"] {
        check(&policy, canary, ("bypass", "none", "nxdomain"));
    }
    check(&policy, "_dns.resolver.arpa", ("bypass", "none", "observe"));
    check(&policy, "dns.quad9.net", ("bypass", "none", "observe"));
    check(&policy, "www.icloud.com", ("", "-", "pass"));
}

#[test]
fn a_canary_never_gets_an_address_whatever_the_operator_says_of_the_ban() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("embargo.toml");
    let text = "state_dir = \"/nowhere\"\n[ban.bypass]\naction = \"sinkhole\"\nsinkhole = [\"192.0.2.1\"]\n";
    std::fs::write(&file, text).unwrap();
    let args = config::Args { config: Some(file), ..config::Args::default() };
    let loaded = config::load(&args, &config::Environment::default()).unwrap();
    let policy = config::policy(&loaded.settings, 1).policy.unwrap();
    check(&policy, "use-application-dns.net", ("bypass", "none", "nxdomain"));
    assert!(policy.bans().iter().any(|ban| ban.stance.action == Action::Sinkhole));
}

#[test]
fn every_shipped_rule_says_where_it_was_read_and_no_source_is_copyleft() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/blocklists")).unwrap();
    let rules = folders.filter_map(|folder| std::fs::read_to_string(folder.unwrap().path().join("rules.txt")).ok());
    let rules: Vec<String> = rules.collect();
    assert_eq!(rules.len(), 15);
    for text in &rules {
        let known: Vec<&str> = text
            .lines()
            .skip_while(|line| *line != "# Sources")
            .skip(1)
            .take_while(|line| line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("#   ")?.split(' ').next().filter(|word| !word.is_empty()))
            .collect();
        assert!(!known.is_empty());
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let sources = line.split_once('#').unwrap().1;
            for source in sources.split(',').map(str::trim) {
                assert!(known.contains(&source), "{line}");
            }
        }
        for word in ["GPL", "AdGuard", "dibdot", "nDPI"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[test]
fn only_software_counts_as_installed() {
    // The categories that the data give this evidence; a new one is a decision, not a slip.
    const SOFTWARE: [&str; 7] = [
        "activation",
        "app_dns_bypass",
        "cloud_reputation",
        "crash_telemetry",
        "management_console",
        "update",
        "update_legacy",
    ];
    let policy = shipped();
    for series in policy.series().iter().filter(|series| series.evidence == Evidence::Installed) {
        assert!(SOFTWARE.contains(&&*series.category), "{}", series.category);
    }
}
