//! Prometheus: its own check of the page, and a real scrape.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{A, ask};
use super::process::{Running, free_address, http_get, until};
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

#[test]
fn prometheus_scrapes_the_figures() {
    let unbound = Unbound::start();
    let server = busy(&unbound);
    let directory = TempDir::new().unwrap();
    let (address, target) = (free_address(), server.admin);
    let configuration = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: embargo\n    static_configs:\n      - targets: ['{target}']\n"
    );
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    let _prometheus = Running::start(&command, &directory.path().join("prometheus.log"));

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
