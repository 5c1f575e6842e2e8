//! The command line as a shell sees it: arguments in; output, errors and an exit code out.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;
use serde_json::{Value, json};

use super::*;
use crate::app::control;
use crate::journal::{self, Attempt, Did, Journal};
use crate::metrics::Metrics;
use crate::policy::{Evidence, PatternKind, PatternRef};
use crate::time::{Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport, qtype};

const CONFIG: &str = "tests/fixtures/cli/embargo.toml";

/// What came of a command line.
pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

pub(super) fn now() -> Timestamp {
    "2025-03-10T12:00:00.123Z".parse().unwrap()
}

pub(super) fn console<'w>(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Console<'w> {
    Console { out, err, look: Look::default(), now: now(), environment: Environment::default() }
}

pub(super) fn run(arguments: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let line = ["embargo"].iter().chain(arguments).map(OsString::from);
    let code = outcome(line, &mut console(&mut out, &mut err));
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// The one JSON document of a command that succeeded.
#[track_caller]
pub(super) fn json_of(arguments: &[&str]) -> Value {
    let ran = run(arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out.matches('\n').count(), 1, "one document, one line");
    serde_json::from_str(&ran.out).unwrap()
}

fn fixture(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/fixtures/cli/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_command_line_is_one_that_clap_can_read() {
    Cli::command().debug_assert();
}

#[test]
fn help_tells_every_verb_and_flag() {
    let mut command = Cli::command().term_width(100);
    command.build();
    fixture("help-short", &command.render_help().to_string());
    fixture("help", &command.render_long_help().to_string());
    for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
        let name = format!("help-{}", verb.get_name());
        let help = verb.render_long_help().to_string();
        assert!(help.contains("Exit codes:"), "{name}");
        fixture(&name, &help);
    }
}

#[test]
fn help_and_version_are_output_and_wrong_usage_is_exit_code_2() {
    for arguments in [&["--help"][..], &["-h"], &["help", "check"], &["explain", "--help"], &["--version"]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!ran.out.is_empty());
    }
    assert_eq!(run(&["--version"]).out, concat!("embargo ", env!("CARGO_PKG_VERSION"), "\n"));
    for arguments in [
        &["--bogus"][..],
        &["frob"],
        &["explain"],
        &["explain", "a..example"],
        &["explain", "a.example", "--type", "X"],
        &["attempts", "--evidence", "x"],
        &["attempts", "--limit", "0"],
        &["run", "--workers", "0"],
        &["run", "--workers", "1025"],
        &["clients", "--client", "x"],
        &["--config", "x", "check"],
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains("--help"), "{}", ran.err);
    }
}

#[test]
fn nothing_typed_can_steer_the_terminal() {
    for arguments in [&["explain", "a..\u{1b}[31m"][..], &["\u{1b}[31m"], &["check", "--config", "\u{1b}[31m"]] {
        let ran = run(arguments);
        assert_ne!(ran.code, 0);
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    }
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end_and_a_full_disk_is_not() {
    struct Fails(ErrorKind);
    impl Write for Fails {
        fn write(&mut self, _octets: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (kind, code) in [(ErrorKind::BrokenPipe, 0), (ErrorKind::StorageFull, 3)] {
        for arguments in [&["embargo", "--help"][..], &["embargo", "check", "--config", CONFIG, "--json"]] {
            let mut err = Vec::new();
            let line = arguments.iter().map(OsString::from);
            assert_eq!(outcome(line, &mut console(&mut Fails(kind), &mut err)), code);
            assert_eq!(err.is_empty(), code == 0);
        }
    }
}

#[test]
fn check_sums_up_what_would_be_in_force() {
    let ran = run(&["check", "--config", CONFIG]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    fixture("check", &ran.out);
    let checked = json_of(&["check", "--config", CONFIG, "--json"]);
    assert_eq!(checked["ok"], true);
    assert_eq!(checked["lists"][0]["rules"], 5);
}

#[test]
fn check_warns_of_what_this_machine_has_not_and_of_a_server_that_would_ask_itself() {
    for (upstream, told) in [
        ("servers = [\"192.0.2.53\"]\nsource = [\"192.0.2.99\"]", "192.0.2.99 is no address of this machine"),
        ("servers = [\"192.0.2.1\"]", "192.0.2.1:53 is an address that this server listens on"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("embargo.toml");
        let text = format!("listen = [\"192.0.2.1:53\"]\nstate_dir = \"s\"\n[upstream]\n{upstream}\n");
        std::fs::write(&config, text).unwrap();
        let ran = run(&["check", "--config", &config.display().to_string()]);
        assert_eq!(ran.code, 0, "it may be meant for another machine");
        assert!(ran.out.contains(told), "{}", ran.out);
    }
}

#[test]
fn check_warns_of_a_forwarder_that_hides_its_clients_and_of_actions_that_send_clients_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let list = write("vendor.txt", "a.example\nb.example x likely drop\n");
    let warnings = |settings: &str| {
        let text = format!("state_dir = \"s\"\ncaching_forwarders = [\"192.0.2.53\", \"198.51.100.53\"]\n{settings}");
        let config = write("embargo.toml", &text);
        let checked = json_of(&["check", "--config", &config, "--list", &list, "--json"]);
        let told =
            checked["diagnostics"].as_array().unwrap().iter().map(|row| row["message"].as_str().unwrap().to_owned());
        told.filter(|told| told.contains("forwarder") || told.contains("names of this ban")).collect::<Vec<_>>()
    };
    let drop = "names of this ban are answered by `drop`: clients that get no response wait some ten seconds";
    let told = warnings("");
    assert!(told.len() == 1 && told[0].starts_with(drop), "{told:?}");
    let told = warnings("proxies = [\"198.51.100.0/24\"]\n[ban.vendor]\nrollout = 50\naction = \"refuse\"\n");
    assert!(told.len() == 3 && told[0].starts_with("clients behind this forwarder can't be told apart"), "{told:?}");
    assert!(told[1].contains("`refuse`") && told[2].contains("`drop`"), "{told:?}");
}

#[test]
fn check_tells_the_mistakes_of_configuration_and_lists_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
    write("embargo.toml", "lisen = []\nstate_dir = \"s\"\n[[list]]\nfile = \"missing.txt\"\n");
    let config = dir.path().join("embargo.toml").display().to_string();

    let ran = run(&["check", "--config", &config]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("embargo.toml:1:1: unknown key `lisen`"), "{}", ran.err);
    assert!(ran.err.contains("missing.txt"), "{}", ran.err);
    assert!(ran.err.ends_with("\n2 mistakes\n"), "{}", ran.err);

    let ran = run(&["check", "--config", &config, "--json"]);
    let checked: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &checked["ok"], &checked["errors"]), (1, &json!(false), &json!(2)));
    assert_eq!(checked["diagnostics"][0]["line"], 1);
    assert_eq!(run(&["explain", "a.example", "--config", &config]).code, 1);
    assert_eq!(run(&["--config", &config]).code, 1);
}

/// A store with three attempts of two clients.
pub(super) fn record(dir: &Path) {
    let metrics = Arc::new(Metrics::new());
    let at = Now { wall: now(), mono: Mono::default() };
    let journal = Journal::start(journal::Config::new(dir), metrics, Clock::manual(at).0).unwrap();
    let series = |evidence| journal::Series {
        ban: Arc::from("acme"),
        category: Arc::from("update"),
        evidence,
        site: Arc::from("default"),
    };
    for (client, qname, evidence) in [
        ("192.0.2.7", "upd.acme.example", Evidence::Installed),
        ("192.0.2.7", "upd.acme.example", Evidence::Installed),
        ("2001:db8::7", "\\027\\010<b>.acme.example", Evidence::Ambiguous),
    ] {
        journal.record(&Attempt {
            at: now(),
            client: client.parse().unwrap(),
            told: None,
            series: journal.series(series(evidence)),
            qname: &LowerName::parse(qname).unwrap(),
            qtype: qtype::A,
            pattern: PatternRef { wire: b"\x04acme\x07example\0", kind: PatternKind::Suffix, allow: false },
            action: Did::Nxdomain,
            transport: Transport::Udp,
            verified: false,
        });
    }
    journal.close(std::time::Duration::from_secs(20)).unwrap();
}

#[test]
fn the_record_is_read_without_a_server_as_table_and_as_json() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();

    let rows = json_of(&["attempts", "--json", "--state-dir", &state, "--evidence", "installed"]);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!((&rows[0]["count"], &rows[0]["first"]), (&json!(2), &json!("2025-03-10T12:00:00.123Z")));
    let clients = json_of(&["clients", "--json", "--state-dir", &state]);
    let names: Vec<&str> = clients[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["ban", "client", "connected", "count", "device", "evidence", "first_seen", "last_seen", "many", "site"]
    );
    assert_eq!(json_of(&["attempts", "--json", "--state-dir", &state, "--until", "1h"]), json!([]));
    let new = |since: &str| json_of(&["clients", "--json", "--state-dir", &state, "--new-since", since]);
    assert_eq!((new("2025-03-10").as_array().unwrap().len(), new("2025-03-11")), (2, json!([])));

    insta::assert_snapshot!(run(&["attempts", "--state-dir", &state, "--client", "::ffff:192.0.2.7"]).out, @r"
    LAST SEEN             CLIENT     QNAME             TYPE  BAN   EVIDENCE   ACTION    COUNT
    2025-03-10 12:00:00Z  192.0.2.7  upd.acme.example  A     acme  installed  nxdomain      2
    ");
    insta::assert_snapshot!(run(&["attempts", "--state-dir", &state, "--client", "2001:db8::7"]).out, @r"
    LAST SEEN             CLIENT       QNAME                           TYPE  BAN   EVIDENCE   ACTION    COUNT
    2025-03-10 12:00:00Z  2001:db8::7  \027\010\060b\062.acme.example  A     acme  ambiguous  nxdomain      1
    ");
    insta::assert_snapshot!(run(&["clients", "--state-dir", &state, "--evidence", "installed"]).out, @r"
    LAST SEEN             FIRST SEEN            CLIENT     BAN   EVIDENCE   COUNT
    2025-03-10 12:00:00Z  2025-03-10 12:00:00Z  192.0.2.7  acme  installed      2
    ");
    let one = run(&["attempts", "--state-dir", &state, "--limit", "1"]).out;
    assert!(one.ends_with("these are the newest 1. --limit N shows more.\n"), "{one}");
    assert_eq!(run(&["clients", "--state-dir", &state, "--ban", "x"]).out, "Nothing in the record matches.\n");
}

#[test]
fn a_running_server_writes_what_it_holds_first_and_one_that_cannot_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let state = dir.path().display().to_string();
    for (answer, expected) in [
        (json!({"done": {}}), ""),
        (json!({"failed": "disk is full"}), "embargo: the newest rows may be missing: disk is full\n"),
    ] {
        // Then it is asked to note who looks.
        let asked = answering(dir.path(), vec![answer, json!({"done": {}})]);
        let ran = run(&["clients", "--state-dir", &state, "--json"]);
        let asked = asked.join().unwrap();
        assert_eq!((asked[0].as_str(), ran.code, ran.err.as_str()), ("\"flush\"\n", 0, expected));
        assert!(asked[1].starts_with("{\"look\":"), "{asked:?}");
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap().as_array().unwrap().len(), 2);
        std::fs::remove_file(control::path(dir.path())).unwrap();
    }
}

#[test]
fn no_record_and_no_server_are_exit_code_3_and_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().display().to_string();
    for (verb, file) in
        [("attempts", "embargo.db"), ("clients", "embargo.db"), ("status", "control"), ("reload", "control")]
    {
        let ran = run(&[verb, "--json", "--state-dir", &state]);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{verb}");
        assert!(ran.err.contains(&format!("{state}/{file}")) && ran.err.contains("--config"), "{}", ran.err);
    }
}

/// Answers so many requests on the control socket of `dir`, one after the other; what they were.
fn answering(dir: &Path, answers: Vec<Value>) -> std::thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(control::path(dir)).unwrap();
    std::thread::spawn(move || {
        let answer = |answer| {
            let (mut stream, _peer) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            writeln!(stream, "{answer}").unwrap();
            request
        };
        answers.into_iter().map(answer).collect()
    })
}

fn answered(verb: &[&str], answer: Value) -> Ran {
    let (ran, request) = conversed(verb, answer);
    assert_eq!(request, json!(verb[0]));
    ran
}

/// What came of a verb that asks a server that answers so, and what it asked.
fn conversed(verb: &[&str], answer: Value) -> (Ran, Value) {
    let dir = tempfile::tempdir().unwrap();
    let server = answering(dir.path(), vec![answer]);
    let state = dir.path().display().to_string();
    let ran = run(&[verb, &["--state-dir", &state]].concat());
    (ran, serde_json::from_str(&server.join().unwrap()[0]).unwrap())
}

fn status() -> Value {
    let text = std::fs::read_to_string("tests/fixtures/cli/status.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn status_is_shown_for_people_and_passed_on_for_scripts() {
    let ran = answered(&["status"], json!({"done": status()}));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    fixture("status", &ran.out);
    let ran = answered(&["status", "--json"], json!({"done": status()}));
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), status());
    // A server of another version may leave out anything.
    assert_eq!(answered(&["status"], json!({"done": {}})).code, 0);
}

#[test]
fn a_reload_with_mistakes_tells_them_and_is_exit_code_1() {
    let taken = json!({"at": "2025-03-10T12:00:00.000Z", "ok": true, "mistakes": [], "needs_restart": ["listen"]});
    let ran = answered(&["reload"], json!({"done": taken}));
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out, @r"
    Reloaded at 2025-03-10T12:00:00.000Z.
    `listen` has changed and takes effect after a restart.
    ");

    let kept = json!({"done": {"at": "x", "ok": false, "mistakes": ["rules.txt:1:1: no\u{1b}\n    1 | x"]}});
    let ran = answered(&["reload"], kept.clone());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    insta::assert_snapshot!(ran.err, @r"
    rules.txt:1:1: no\u{1b}
        1 | x
    1 mistake
    ");
    assert_eq!(answered(&["reload", "--json"], kept).code, 1);

    let ran = answered(&["reload"], json!({"failed": "it is stopping"}));
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("it is stopping"));
}

#[test]
fn a_healthy_server_answers_dns_and_is_ready() {
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let (listen, http) = (dns.local_addr().unwrap().to_string(), admin.local_addr().unwrap().to_string());
    let servers = std::thread::spawn(move || {
        for status in ["200 OK", "503 Service Unavailable"] {
            let mut query = [0; 512];
            let (length, peer) = dns.recv_from(&mut query).unwrap();
            query[2] |= 0x80;
            dns.send_to(&query[..length], peer).unwrap();
            let (mut stream, _peer) = admin.accept().unwrap();
            let head: Vec<String> =
                BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            assert_eq!(head[0], "GET /readyz HTTP/1.1");
            write!(stream, "HTTP/1.1 {status}\r\n\r\n").unwrap();
        }
    });
    let arguments = ["healthcheck", "--listen", &listen, "--admin", &http];

    let ran = run(&arguments);
    assert_eq!((ran.code, ran.out), (0, format!("dns   {listen} ok\nadmin {http} ok\nhealthy\n")));
    let ran = run(&[&arguments[..], &["--json"]].concat());
    let health: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &health["healthy"], &health["admin"]["ok"]), (3, &json!(false), &json!(false)));
    servers.join().unwrap();
    // Nobody listens any more.
    assert_eq!(run(&["healthcheck", "--listen", &listen, "--admin", "off"]).code, 3);
}

#[test]
fn the_cache_is_shown_as_a_table_and_what_is_thrown_away_is_told() {
    let row = json!({
        "name": "a.example", "type": "AAAA", "class": 1, "dnssec_ok": true, "checking_disabled": false, "state": "stale",
        "rcode": "NXDOMAIN", "left_seconds": 90, "age_seconds": 70, "bytes": 300,
    });
    let asked = |name: Option<&str>, below, qtype: Option<u16>| json!({"name": name, "below": below, "qtype": qtype});
    let (ran, request) = conversed(&["cache", "show", "a.example"], json!({"done": {"rows": [row], "more": true}}));
    assert_eq!(request, json!({"cache_show": asked(Some("a.example"), false, None)}));
    let words: Vec<&str> = ran.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words, ["a.example", "AAAA", "do", "stale", "90s", "70s", "NXDOMAIN", "300"]);
    assert!(ran.code == 0 && ran.out.ends_with("There is more than is shown.\n"), "{}", ran.out);
    let (ran, _request) = conversed(&["cache", "show", "a.example", "--below"], json!({"done": {"rows": []}}));
    assert_eq!((ran.code, ran.out.as_str()), (0, "Nothing is kept of a.example or below it.\n"));
    let removed = json!({"done": {"answers": 2, "failures": 1}});
    let (ran, request) = conversed(&["cache", "flush", "--all"], removed.clone());
    assert_eq!(request, json!({"cache_flush": asked(None, false, None)}));
    assert_eq!((ran.code, ran.out.as_str()), (0, "Thrown away: 2 answers, 1 failures.\n"));
    let verb = ["cache", "flush", "a.example", "--below", "--type", "AAAA", "--json"];
    let (ran, request) = conversed(&verb, removed);
    assert_eq!(request, json!({"cache_flush": asked(Some("a.example"), true, Some(28))}));
    assert_eq!(ran.out, "{\"answers\":2,\"failures\":1}\n");
    for wrong in [&["cache"][..], &["cache", "flush"], &["cache", "flush", "a.example", "--all"], &["cache", "show"]] {
        assert_eq!(run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn check_reads_the_files_of_leases_and_says_what_is_wrong_with_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("leases"), "0 52:54:00:00:00:0a 10.0.0.7 pc *\nnonsense\n").unwrap();
    let config = dir.path().join("embargo.toml");
    let file = |name: &str| format!("[[leases]]\nfile = \"{name}\"\nformat = \"dnsmasq\"\n");
    std::fs::write(&config, format!("state_dir = \"s\"\n{}{}", file("leases"), file("none"))).unwrap();
    let checked = json_of(&["check", "--config", &config.display().to_string(), "--json"]);
    assert_eq!((&checked["leases"][0]["held"], &checked["leases"][1]["held"]), (&json!(1), &Value::Null));
    let rows = checked["diagnostics"].as_array().unwrap().iter();
    let told: Vec<_> =
        rows.filter(|row| row["file"].as_str().unwrap().starts_with(dir.path().to_str().unwrap())).collect();
    assert_eq!((told.len(), &told[0]["line"], &told[1]["message"]), (2, &json!(2), &json!("does not exist")));
}
