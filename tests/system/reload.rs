//! Editing a blocklist while the server works.

use std::fs;
use std::time::{Duration, Instant};

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::dnsperf::Load;
use super::process::{SOON, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

const RULES: &str = "kaspersky/rules.txt";
const SUCCESSFUL: &str = "embargo_config_last_reload_successful";

/// Adds lines to a list, as an editor that writes in place or as one that puts a new file there.
fn append(server: &Server, lines: &str, in_place: bool) {
    let path = server.list(RULES);
    let text = fs::read_to_string(&path).unwrap() + lines;
    if in_place {
        fs::write(path, text).unwrap();
    } else {
        let beside = path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
    }
}

#[track_caller]
fn banned_within(server: &Server, name: &str, within: Duration) -> Duration {
    let start = Instant::now();
    until(name, within, || (ask(server.dns, name, A).unwrap() == NXDOMAIN).then(|| start.elapsed()))
}

#[test]
fn an_edited_list_takes_effect_within_two_seconds_and_no_query_is_lost() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let mut questions: Vec<String> = (0..300).map(|number| format!("n{number}.many.test A")).collect();
    questions.extend((0..100).map(|number| format!("n{number}.upd.kaspersky.com A")));
    for name in ["first.banned.test", "second.banned.test"] {
        assert_eq!(ask(server.dns, name, A).unwrap(), NXDOMAIN, "the upstream has no such name yet");
    }
    let open = ["one.many.test", "two.many.test", "three.many.test"];
    for name in open {
        assert_eq!(ask(server.dns, name, A).unwrap(), NOERROR);
    }

    let mut load = Load::start(server.dns, &questions, 12, 5_000);
    for (name, in_place) in open.iter().zip([true, false, true]) {
        append(&server, &format!("{name} update installed\n"), in_place);
        banned_within(&server, name, Duration::from_secs(2));
    }
    assert!(load.goes_on(), "the edits were under load");
    let report = load.report();

    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(report.completed, report.sent, "{report:?}");
    let page = server.at_rest();
    assert_eq!(page.sum(SUCCESSFUL), 1);
    assert_eq!(page.sum("embargo_dns_receive_overflow_total"), 0);
    assert_eq!(page.sum_of("embargo_dns_dropped_total", &[]), 0);
}

#[test]
fn a_broken_list_changes_nothing_and_is_explained_until_it_is_repaired() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let entries = server.metrics().sum("embargo_list_entries");
    let good = fs::read_to_string(server.list(RULES)).unwrap();
    let line = good.lines().count() + 2;

    append(&server, "one.many.test update installed\nbad..name update installed\n", true);
    until("the mistake is seen", SOON, || (server.metrics().sum(SUCCESSFUL) == 0).then_some(()));

    assert_eq!(server.metrics().sum("embargo_list_entries"), entries, "nothing of the edit is in force");
    assert_eq!(ask(server.dns, "one.many.test", A).unwrap(), NOERROR);
    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    let place = format!("rules.txt:{line}");
    assert!(server.log().contains(&place), "the log names {place}");
    let status = server.command(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned() + &String::from_utf8_lossy(&status.stderr);
    assert!(status.contains(&place), "the status names {place}: {status}");
    let check = server.command(&["check"]);
    assert_eq!(check.status.code(), Some(1));

    fs::write(server.list(RULES), good.clone() + "one.many.test update installed\n").unwrap();
    banned_within(&server, "one.many.test", SOON);
    assert_eq!(server.metrics().sum(SUCCESSFUL), 1);
    fs::write(server.list(RULES), good).unwrap();
    until("the ban is lifted", SOON, || (ask(server.dns, "one.many.test", A).unwrap() == NOERROR).then_some(()));
}

#[test]
fn a_start_with_a_broken_list_takes_the_last_good_one_and_says_so() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    assert!(server.stop().success());
    append(&server, "bad..name\n", true);

    server.restart();

    assert_eq!(ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    assert!(server.log().contains("rules.txt:"), "the log names the mistake");
}

#[test]
fn a_hangup_reloads_at_once() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    append(&server, "one.many.test\n", true);
    server.running().signal("HUP");
    banned_within(&server, "one.many.test", SOON);
}
