//! Prometheus: its own check of the page, and a real scrape.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{A, ask};
use super::process::{Running, free_address, http_get, printed, run, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// A server of whose metrics each has something to show.
fn busy(unbound: &Unbound) -> Server {
    let server = Setup::new(&[unbound.address]).start();
    for name in ["downloads.upd.kaspersky.com", "www.kaspersky.com", "plain.test", "plain.test", "none.test"] {
        ask(server.dns, name, A).unwrap();
    }
    server.at_rest();
    server
}

#[test]
fn promtool_has_nothing_to_say_about_the_page() {
    let unbound = Unbound::start();
    let server = busy(&unbound);
    let (_, page) = http_get(server.admin, "/metrics").unwrap();

    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool; .ci/run installs it");
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();

    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{}: {said}", output.status);
}

/// A Prometheus that reads a server's page every second and has the shipped rules; its address.
fn prometheus(target: SocketAddr) -> (TempDir, Running, SocketAddr) {
    let directory = TempDir::new().unwrap();
    let (address, rules) = (free_address(), shipped("prometheus/rules.yml"));
    let configuration = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{}']\nscrape_configs:\n  \
         - job_name: embargo\n    static_configs:\n      - targets: ['{target}']\n",
        rules.display()
    );
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    let running = Running::start(&command, &directory.path().join("prometheus.log"));
    (directory, running, address)
}

/// A file of `config/`.
fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

#[test]
fn the_alerts_fire_when_they_must_and_hold_their_peace_when_not() {
    let said =
        run("promtool", [OsStr::new("test"), OsStr::new("rules"), shipped("prometheus/rules-test.yml").as_os_str()]);
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn prometheus_takes_the_example_of_a_scrape() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("prometheus.yml");
    fs::copy(shipped("prometheus/scrape.yml"), &file).unwrap();
    fs::copy(shipped("prometheus/rules.yml"), directory.path().join("rules.yml")).unwrap();
    let said = printed("promtool", [OsStr::new("check"), OsStr::new("config"), file.as_os_str()]);
    assert!(said.contains("SUCCESS") && !said.contains("FAILED"), "{said}");
}

/// The expressions of a board's panels, as they are asked when everything is shown. What is only shown where it is above 0
/// is asked without that: it must be there, whatever it is.
fn expressions(board: &Path) -> Vec<String> {
    let board: Value = serde_json::from_str(&fs::read_to_string(board).unwrap()).unwrap();
    let targets = board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let text = targets.map(|target| target["expr"].as_str().unwrap());
    let filled = text.map(|text| {
        let text = ["$job", "$instance", "$ban"].iter().fold(text.to_owned(), |text, name| text.replace(name, ".+"));
        let text = text.replace("$__rate_interval", "15s").replace("$__range", "15s");
        text.strip_suffix(" > 0").unwrap_or(&text).to_owned()
    });
    filled.collect()
}

/// Every octet as an URI's query may hold it (RFC 3986 §2.1).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, octet| format!("{encoded}%{octet:02X}"))
}

#[test]
fn every_panel_of_the_boards_has_something_to_show() {
    let unbound = Unbound::start();
    let server = busy(&unbound);
    let (_directory, _prometheus, address) = prometheus(server.admin);
    for board in ["grafana/operations.json", "grafana/compliance.json"] {
        for expression in expressions(&shipped(board)) {
            let encoded = percent_encoded(&expression);
            until(&format!("{board}: {expression}"), Duration::from_secs(60), || {
                let (_, body) = http_get(address, &format!("/api/v1/query?query={encoded}"))?;
                let answer: Value = serde_json::from_str(&body).ok()?;
                answer["data"]["result"].as_array().filter(|rows| !rows.is_empty()).map(|_| ())
            });
        }
    }
}

#[test]
fn prometheus_scrapes_the_figures() {
    let unbound = Unbound::start();
    let server = busy(&unbound);
    let (_directory, _prometheus, address) = prometheus(server.admin);

    let value = |query: &str| {
        let (_, body) = http_get(address, &format!("/api/v1/query?query={query}"))?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let shows = |query: &str, expected: &str| {
        until(query, Duration::from_secs(60), || value(query).filter(|value| value == expected));
    };
    shows("up", "1");
    shows("sum(embargo_attempts_total)", "2");
    shows(
        "embargo_attempts_total{evidence=%22installed%22,action=%22nxdomain%22,ban=%22kaspersky%22,category=%22update%22}",
        "1",
    );
    shows("count(embargo_build_info)", "1");
    shows("embargo_clients{evidence=%22installed%22,window=%221d%22,ban=%22kaspersky%22}", "1");
}
