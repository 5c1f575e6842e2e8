//! The record: what each lookup counts as, what the commands show, and that it survives.

use serde_json::Value;

use super::client::{A, NOERROR, NXDOMAIN, ask};
use super::dnsperf::Load;
use super::figures::count;
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Name, rcode, how often it is asked here; and the category, evidence and action it counts as, if it is an attempt.
type Case = (&'static str, u8, u64, Option<[&'static str; 3]>);

const CASES: [Case; 8] = [
    ("downloads.upd.kaspersky.com", NXDOMAIN, 3, Some(["update", "installed", "nxdomain"])),
    ("www.kaspersky.com", NOERROR, 2, Some(["corporate_web", "visit", "observe"])),
    ("s.scr.kaspersky-labs.com", NOERROR, 4, Some(["injected_script", "none", "observe"])),
    ("ksc.kaspersky.com", NXDOMAIN, 1, Some(["management_console", "visit", "nxdomain"])),
    ("a.ksc.kaspersky.com", NXDOMAIN, 2, Some(["management_console", "installed", "nxdomain"])),
    ("cyberkaspersky.com", NOERROR, 2, None),
    ("www.cyberkaspersky.com", NOERROR, 1, None),
    ("plain.test", NOERROR, 1, None),
];

fn ask_all(server: &Server) {
    for (name, rcode, times, _) in CASES {
        for _ in 0..times {
            assert_eq!(ask(server.dns, name, A).unwrap(), rcode, "{name}");
        }
    }
}

#[track_caller]
fn check_rows(attempts: &Value, clients: &Value, rounds: u64) {
    for (name, _, times, counted) in CASES {
        let times = if counted.is_some() { times * rounds } else { 0 };
        assert_eq!(count(attempts, &[("qname", name)]), times, "{name}: {attempts}");
        if let Some([category, evidence, _]) = counted {
            let fields = [("qname", name), ("category", category), ("evidence", evidence), ("client", "127.0.0.1")];
            assert_eq!(count(attempts, &fields), times, "{name}: {attempts}");
        }
    }
    for (evidence, times) in [("installed", 5), ("visit", 3), ("none", 4), ("likely", 0), ("ambiguous", 0)] {
        let fields = [("client", "127.0.0.1"), ("ban", "kaspersky"), ("evidence", evidence)];
        assert_eq!(count(clients, &fields), times * rounds, "{evidence}: {clients}");
    }
}

#[test]
fn each_lookup_counts_as_what_it_proves_on_every_face() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();

    ask_all(&server);

    let page = server.at_rest();
    let (attempts, clients) = (server.json(&["attempts"]), server.json(&["clients"]));
    check_rows(&attempts, &clients, 1);
    assert_eq!(page.sum("embargo_attempts_total"), count(&attempts, &[]), "the page and the store agree");
    assert_eq!(count(&clients, &[]), count(&attempts, &[]), "the clients are those of the attempts");
    for (name, _, times, counted) in CASES {
        let Some([category, evidence, action]) = counted else { continue };
        assert_eq!(count(&attempts, &[("qname", name), ("action", action)]), times, "{name} {action}: {attempts}");
        let explained = server.json(&["explain", name]);
        assert_eq!([&explained["category"], &explained["evidence"]], [category, evidence], "{explained}");
    }
    assert_eq!(server.json(&["explain", "cyberkaspersky.com"])["verdict"], "none");
    assert_eq!(server.json(&["explain", "www.kaspersky.com"])["verdict"], "observe");
    let installed = server.json(&["attempts", "--evidence", "installed"]);
    assert_eq!(count(&installed, &[]), 5, "{installed}");
    assert_eq!(page.sum_of("embargo_dns_responses_total", &[("outcome", "forwarded")]), 5, "each open name once");
}

#[test]
fn rows_have_the_fields_that_scripts_rely_on() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    ask(server.dns, "downloads.upd.kaspersky.com", A).unwrap();
    server.at_rest();

    let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let sorted = |text: &str| {
        let mut words: Vec<&str> = text.split(' ').collect();
        words.sort_unstable();
        words.join(" ")
    };
    let attempt = &server.json(&["attempts"])[0];
    let fields = "first last client device site qname qtype ban category evidence pattern action transport verified count connected";
    assert_eq!(sorted(&names(attempt)), sorted(fields));
    assert_eq!(attempt["pattern"], "upd.kaspersky.com");
    assert_eq!([&attempt["device"], &attempt["verified"]], [&Value::Null, &Value::Bool(false)]);
    let time = attempt["first"].as_str().unwrap();
    assert!(time.len() == "2026-01-31T00:00:00.000Z".len() && time.ends_with('Z'), "{time}");
    let client = &server.json(&["clients"])[0];
    assert_eq!(
        sorted(&names(client)),
        sorted("client device site ban evidence first_seen last_seen count many connected")
    );
    let explained = server.json(&["explain", "a.upd.kaspersky.com", "--type", "AAAA", "--client", "192.0.2.7"]);
    let fields = "name type client at verdict ban pattern file line category evidence action mode others";
    let missing: Vec<&str> = fields.split(' ').filter(|field| explained.get(field).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}: {explained}");
    assert_eq!(explained["verdict"], "enforce");
}

#[test]
fn the_record_survives_kill_and_restart_and_counts_on() {
    let unbound = Unbound::start();
    let mut server = Setup::new(&[unbound.address]).start();
    ask_all(&server);
    server.at_rest();

    server.kill();
    check_rows(&server.json(&["attempts"]), &server.json(&["clients"]), 1);
    server.restart();
    check_rows(&server.json(&["attempts"]), &server.json(&["clients"]), 1);
    assert_eq!(server.metrics().sum("embargo_attempts_total"), 0, "a process counts what it did itself");

    ask_all(&server);
    server.at_rest();
    check_rows(&server.json(&["attempts"]), &server.json(&["clients"]), 2);
}

#[test]
fn the_sums_agree_after_load_over_udp_and_tcp() {
    let unbound = Unbound::start();
    let server = Setup::new(&[unbound.address]).start();
    let mut questions: Vec<String> = CASES.iter().map(|(name, ..)| format!("{name} A")).collect();
    questions.extend((0..200).map(|number| format!("n{number}.many.test AAAA")));
    questions.extend((0..50).map(|number| format!("n{number}.upd.kaspersky.com HTTPS")));

    let udp = Load::start(server.dns, &questions, 4, 10_000).report();
    let tcp = Load::start_over("tcp", server.dns, &questions, 3, 2_000).report();

    assert_eq!((udp.lost, tcp.lost), (0, 0), "{udp:?} {tcp:?}");
    let page = server.at_rest();
    let read = |proto| page.sum_of("embargo_dns_requests_total", &[("proto", proto)]);
    assert_eq!((read("udp"), read("tcp")), (udp.sent, tcp.sent), "{udp:?} {tcp:?}");
    assert_eq!(page.balance(), 0, "every query has one end");
    let attempts = server.json(&["attempts"]);
    assert_eq!(page.sum("embargo_journal_lost_total"), 0);
    assert_eq!(count(&attempts, &[]), page.sum("embargo_attempts_total"), "the page and the store agree");
    let blocked = page.sum_of("embargo_attempts_total", &[("action", "nxdomain")]);
    assert_eq!(blocked, udp.rcode("NXDOMAIN") + tcp.rcode("NXDOMAIN"), "{udp:?} {tcp:?}");
}
