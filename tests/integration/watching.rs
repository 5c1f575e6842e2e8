//! What `config/prometheus` and `config/grafana` ask for is there: metrics, their labels, a runbook and a test for each alert.
//!
//! Whether Prometheus takes the rules and the boards show data is tried among the system tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::readme::{documented, read};
use super::tidy::root;

/// Labels that Prometheus adds itself, and a histogram's bound.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// Every expression of the boards: of panels, variables and annotations.
fn expressions(board: &Value) -> Vec<String> {
    let keys = ["expr", "query"];
    match board {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if keys.contains(&key.as_str()) => vec![text.clone()],
                other => expressions(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

fn boards() -> Vec<(String, Value)> {
    let folder = fs::read_dir(root().join("config/grafana")).unwrap();
    let read = |path: std::path::PathBuf| {
        let board = serde_json::from_str(&fs::read_to_string(&path).unwrap());
        (path.display().to_string(), board.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    folder.map(|entry| read(entry.unwrap().path())).collect()
}

/// The metrics that a text names, and the labels by which it selects from each or sums.
fn asked(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let mut rest = text;
    while let Some(at) = rest.find("embargo_") {
        let (before, here) = rest.split_at(at);
        let end = here.find(|character| !is_name(character)).unwrap_or(here.len());
        let (name, after) = here.split_at(end);
        rest = after;
        // `level:embargo_…:rate` is a rule of ours, not a metric.
        if before.ends_with(is_name) || name.contains(':') {
            continue;
        }
        let selected = after.strip_prefix('{').and_then(|after| after.split_once('}')).map_or("", |(inside, _)| inside);
        let labels =
            selected.split(',').filter_map(|part| part.split_once('=')).map(|(label, _)| label.trim().to_owned());
        found.push((name.to_owned(), labels.filter(|label| !label.is_empty()).collect()));
    }
    found
}

/// What a text asks for that no server has.
fn strange(place: &str, text: &str, metrics: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, labels) in asked(text) {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let Some(known) = metrics.get(&name).or_else(|| metrics.get(base?)) else {
            complaints.push(format!("{place}: no metric {name}"));
            continue;
        };
        let strange = labels.iter().filter(|label| !known.contains(label) && !ADDED.contains(&label.as_str()));
        complaints.extend(strange.map(|label| format!("{place}: {name} has no label {label}")));
    }
    complaints
}

#[test]
fn rules_and_boards_ask_only_for_metrics_and_labels_that_a_server_has() {
    let metrics = documented();
    let mut complaints = Vec::new();
    for file in ["config/prometheus/rules.yml", "config/prometheus/rules-test.yml", "config/prometheus/RUNBOOKS.md"] {
        complaints.extend(strange(file, &read(file), &metrics));
    }
    for (path, board) in boards() {
        let expressions = expressions(&board);
        assert!(expressions.len() > 10, "{path}: {expressions:?}");
        complaints.extend(expressions.iter().flat_map(|text| strange(&path, text, &metrics)));
    }
    assert_eq!(complaints, Vec::<String>::new());
}

#[test]
fn a_metric_or_label_that_no_server_has_is_found() {
    let metrics = BTreeMap::from([("embargo_a_total".to_owned(), vec!["ban".to_owned()])]);
    let check = |text: &str, expected: usize| assert_eq!(strange("", text, &metrics).len(), expected, "{text}");
    check("sum by (ban) (rate(embargo_a_total{job=~\"$job\", ban=\"x\"}[5m]))", 0);
    check("level:embargo_b_total:rate5m > 0", 0);
    check("embargo_b_total", 1);
    check("embargo_a_total{site=\"x\"} / embargo_a_total", 1);
}

#[test]
fn every_alert_has_a_runbook_and_a_test_that_it_fires_and_one_that_it_does_not() {
    let (rules, tests) = (read("config/prometheus/rules.yml"), read("config/prometheus/rules-test.yml"));
    let runbooks = read("config/prometheus/RUNBOOKS.md");
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let told: BTreeSet<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(alerts, told);
    for alert in alerts {
        let link = format!("runbook_url: RUNBOOKS.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "{link}");
        for what in ["fires", "holds its peace"] {
            assert!(tests.contains(&format!("- name: {alert} {what}\n")), "no test that {alert} {what}");
        }
    }
}

#[test]
fn whatever_is_lost_is_told_by_an_alert() {
    let rules = read("config/prometheus/rules.yml");
    let asked: BTreeSet<String> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .flat_map(asked)
        .map(|(name, _labels)| name)
        .collect();
    let words = ["lost", "shed", "overflow", "panics"];
    let losses: Vec<String> =
        documented().into_keys().filter(|name| name.split('_').any(|word| words.contains(&word))).collect();
    assert!(losses.len() >= 8, "{losses:?}");
    let untold: Vec<&String> = losses.iter().filter(|name| !asked.contains(*name)).collect();
    assert_eq!(untold, Vec::<&String>::new());
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit_and_can_be_pointed_at_any_server() {
    for (path, board) in boards() {
        let panels = board["panels"].as_array().unwrap();
        let variables = board["templating"]["list"].as_array().unwrap().iter();
        let variables: Vec<&str> = variables.map(|variable| variable["name"].as_str().unwrap()).collect();
        assert!(variables.starts_with(&["datasource", "job", "instance"]), "{path}: {variables:?}");
        for panel in panels {
            let title = panel["title"].as_str().unwrap();
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{path}: {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{path}: {title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path}: {title}");
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                assert!(expression.contains(r#"{job=~"$job", instance=~"$instance""#), "{path}: {title}: {expression}");
                assert!(!expression.contains("[5m]"), "{path}: {title}: the interval is the board's");
            }
        }
    }
}
