//! README, `config/` and `CHANGELOG.md` agree with what the server does: metrics, commands, exit codes, settings, files.
//!
//! As in [`super::tidy`], each rule is a function from text to complaints, and a bad text shows that it can fail.

#![expect(clippy::string_slice, reason = "every place comes from a search in the same text")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use embargo::metrics::{ClientFigures, DropReason, FetchResult, ListFigures, Metrics, Window};
use embargo::policy::{Evidence, Mode};

use super::tidy::root;

/// A metric as README, a page and the code's comments show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    name: String,
    /// In order, separated by commas.
    labels: String,
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The parts of README from a heading to the next of the same or a higher rank.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let start = markdown.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("README has no {heading:?}"));
    let rest = &markdown[start + 1..];
    let rank = heading.chars().take_while(|character| *character == '#').count();
    let body = heading.len();
    let ends = |&(at, _): &(usize, &str)| {
        let hashes = rest[at + 1..].chars().take_while(|character| *character == '#').count();
        at >= body && (1..=rank).contains(&hashes)
    };
    rest.match_indices("\n#").find(ends).map_or(rest, |(at, _)| &rest[..at])
}

/// The first cells, without backticks, of a section's table rows.
fn first_cells(section: &str) -> Vec<String> {
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.split('|').nth(1)).map(|cell| cell.trim().replace('`', "")).collect()
}

/// The labels of every metric that README shows.
pub(crate) fn documented() -> BTreeMap<String, Vec<String>> {
    let readme = read("README.md");
    let metrics = first_cells(section(&readme, "## Metrics")).into_iter().map(|cell| shown(&cell));
    metrics.map(|metric| (metric.name, metric.labels.split(',').map(str::to_owned).collect())).collect()
}

#[test]
fn readme_shows_the_metrics_that_the_server_exposes() {
    let readme = read("README.md");
    let told = first_cells(section(&readme, "## Metrics")).iter().map(|cell| shown(cell)).collect();
    let exposed = exposed(&filled().render());
    assert!(exposed.len() > 20, "{exposed:?}");
    assert_eq!(differences("README", &told, "the page", &exposed), Vec::<String>::new());
}

#[test]
fn readme_says_of_each_reason_for_silence_what_it_is() {
    let readme = read("README.md");
    let cells = first_cells(section(&readme, "## Queries without a response"));
    let told: BTreeSet<&str> = cells.iter().flat_map(|cell| cell.split(", ")).collect();
    assert_eq!(told, DropReason::ALL.iter().map(|reason| reason.as_str()).collect());
}

#[test]
fn the_metrics_page_has_every_metric_that_the_code_declares() {
    let mut declared = BTreeSet::new();
    for entry in fs::read_dir(root().join("src/metrics")).unwrap() {
        declared.extend(commented(&fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    let mut exposed = exposed(&filled().render());
    exposed.retain(|metric| metric.name != "embargo_build_info"); // It has no field: nothing ever changes it.
    assert_eq!(differences("the code", &declared, "the page", &exposed), Vec::<String>::new());
}

#[test]
fn readme_has_the_commands_of_the_help() {
    let readme = read("README.md");
    let told: BTreeSet<String> =
        first_cells(section(&readme, "## Commands")).iter().map(|cell| first_word(cell)).collect();
    let help = embargo(&["--help"]);
    assert_eq!(told, commands(&String::from_utf8_lossy(&help.stdout)));
}

#[test]
fn exit_codes_are_those_of_readme() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().to_str().unwrap();
    let readme = read("README.md");
    let told: BTreeSet<String> = first_cells(section(&readme, "### Exit codes")).into_iter().collect();
    assert_eq!(told, ["0", "1", "2", "3"].map(str::to_owned).into());

    let bad = root().join("README.md");
    let code = |arguments: &[&str]| embargo(arguments).status.code();
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["check", "--config", bad.to_str().unwrap()]), Some(1), "a mistake in what was written");
    assert_eq!(code(&["--no-such-option"]), Some(2), "usage");
    assert_eq!(code(&["status", "--state-dir", state]), Some(3), "nobody to reach");
}

#[test]
fn settings_in_readme_are_in_the_configuration_file() {
    let known = settings(&read("config/embargo.toml").replace("\n#", "\n"));
    let told: Vec<String> = toml_blocks(&read("README.md")).iter().flat_map(|block| settings(block)).collect();
    assert!(told.len() > 3, "README shows settings: {told:?}");
    assert_eq!(unknown(&told, &known), Vec::<String>::new());
}

#[test]
fn files_that_readme_names_exist() {
    for document in ["README.md", "CHANGELOG.md"] {
        let named = paths(&read(document));
        let missing: Vec<&String> = named.iter().filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}");
    }
}

#[test]
fn changelog_has_the_version_of_the_crate() {
    assert!(read("CHANGELOG.md").contains(&format!("## [{}]", env!("CARGO_PKG_VERSION"))));
}

fn embargo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_embargo")).args(arguments).env_remove("STATE_DIRECTORY").output().unwrap()
}

/// Metrics with at least one series in each family: a family without one is not on the page.
fn filled() -> Metrics {
    let metrics = Metrics::new();
    let (ban, category): (Arc<str>, Arc<str>) = ("acme".into(), "update".into());
    let series = [Some((Arc::clone(&ban), category, Evidence::Installed))];
    let counters = metrics.banned.set_policy(&[(Arc::clone(&ban), Mode::Enforce)], &series, &[]);
    let _counters = metrics.banned.with_lists(counters, &[Some("acme/rules.txt".into())]);
    metrics.banned.set_lists(&[ListFigures { list: "acme/rules.txt".into(), entries: 1, rejected_lines: 0 }]);
    metrics.banned.set_lists_good(&[("acme/rules.txt".into(), true)]);
    metrics.fetches.show("acme", None, 0);
    metrics.fetches.ended("acme", FetchResult::Failed);
    metrics.banned.set_exemptions(&[None]);
    let clients = [0; Window::ALL.len()];
    metrics.banned.set_clients(vec![ClientFigures { ban, evidence: Evidence::Installed, clients }]);
    let _upstream = metrics.upstreams.resolve("192.0.2.1:53");
    let _zone = metrics.zones.sent("rpz.test");
    let _sink = metrics.sinks.begun("siem");
    metrics.record.first_attempts("acme", Evidence::Installed).inc();
    let _intake = metrics.intakes.resolve("unbound");
    let _report = metrics.reports.resolve("monthly");
    metrics.zones.show_age("rpz.test", None, false);
    metrics.zones.show_sent("rpz.test", &[("qname", 1)]);
    metrics
}

/// `name{a, b}` or `name`.
fn shown(text: &str) -> Shown {
    let (name, labels) = text.split_once('{').unwrap_or((text, ""));
    let labels: Vec<&str> = labels.trim_end_matches('}').split(',').map(str::trim).collect();
    Shown { name: name.trim().to_owned(), labels: labels.join(",") }
}

/// The families of a page in Prometheus text format that are named after this server.
fn exposed(page: &str) -> BTreeSet<Shown> {
    let kinds: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let samples = page.lines().filter(|line| line.starts_with("embargo_"));
    samples
        .map(|line| {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            let histogram = base.filter(|base| kinds.get(base) == Some(&"histogram"));
            Shown { name: histogram.unwrap_or(name).to_owned(), labels: label_names(rest) }
        })
        .collect()
}

/// The label names of a sample, without a bucket's bound; in a label's value no quote follows an equals sign here.
fn label_names(sample: &str) -> String {
    let Some(labels) = sample.strip_prefix('{') else { return String::new() };
    let names = labels.split("=\"").filter_map(|part| part.rsplit(['{', ',']).next());
    let names: Vec<&str> = names.take(labels.matches("=\"").count()).filter(|name| *name != "le").collect();
    names.join(",")
}

/// The metrics that comments beside the fields of `src/metrics` name: `// embargo_x_total{a, b}`.
fn commented(source: &str) -> BTreeSet<Shown> {
    let comment = |line: &str| Some(shown(&line[line.find("// embargo_")? + 3..]));
    source.lines().filter_map(comment).collect()
}

/// What only one side has.
fn differences(left: &str, a: &BTreeSet<Shown>, right: &str, b: &BTreeSet<Shown>) -> Vec<String> {
    let only = |side: &str, metric: &Shown| format!("only {side} has {}{{{}}}", metric.name, metric.labels);
    let first = a.difference(b).map(|metric| only(left, metric));
    first.chain(b.difference(a).map(|metric| only(right, metric))).collect()
}

fn first_word(text: &str) -> String {
    text.split_whitespace().find(|word| *word != "embargo").unwrap_or_default().to_owned()
}

/// The commands that a help page lists, without `help` itself.
fn commands(help: &str) -> BTreeSet<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on in a further line is indented deeper than a command.
    let name = |line: &str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).map(first_word);
    listed.filter_map(name).filter(|command| command != "help").collect()
}

/// The bodies of a document's TOML blocks.
fn toml_blocks(markdown: &str) -> Vec<&str> {
    markdown.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The settings of a TOML text as `table.key`; the names of bans, which the operator chooses, are `*`.
fn settings(toml: &str) -> Vec<String> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in toml.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.split(']').next().unwrap_or_default().trim_start_matches('[').to_owned() + ".";
            if table.starts_with("ban.") {
                "ban.*.".clone_into(&mut table);
            }
        } else if let Some((key, _)) = line.split_once('=') {
            let key = key.trim();
            if key.chars().all(|character| character.is_ascii_lowercase() || character == '_') {
                found.push(format!("{table}{key}"));
            }
        }
    }
    found
}

fn unknown(told: &[String], known: &[String]) -> Vec<String> {
    told.iter().filter(|setting| !known.contains(setting)).cloned().collect()
}

/// Paths of this repository that a document names: targets of relative links, and code that begins with a folder of ours.
fn paths(markdown: &str) -> BTreeSet<String> {
    let folders = ["src/", "tests/", "config/", "blocklists/", ".ci/"];
    let code =
        markdown.split('`').skip(1).step_by(2).filter(|code| folders.iter().any(|folder| code.starts_with(folder)));
    let links = markdown.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let relative = links.filter(|link| !link.is_empty() && !link.contains(':'));
    // A placeholder or a pattern is no file.
    code.chain(relative).filter(|path| !path.contains(['<', '*', ' '])).map(str::to_owned).collect()
}

mod proof {
    //! Each rule fails on a bad text, and only then.

    use super::*;

    const PAGE: &str = "# TYPE embargo_a_total counter\nembargo_a_total{x=\"1\",y=\"b,c\"} 3\n\
        # TYPE embargo_d_seconds histogram\nembargo_d_seconds_bucket{o=\"z\",le=\"0.1\"} 0\nembargo_d_seconds_sum{o=\"z\"} 0\n\
        # TYPE embargo_t_count gauge\nembargo_t_count 2\n# TYPE process_x gauge\nprocess_x 1\n";

    fn set(metrics: &[&str]) -> BTreeSet<Shown> {
        metrics.iter().map(|metric| shown(metric)).collect()
    }

    #[test]
    fn families_of_a_page_are_read_with_their_labels() {
        assert_eq!(exposed(PAGE), set(&["embargo_a_total{x, y}", "embargo_d_seconds{o}", "embargo_t_count"]));
    }

    #[test]
    fn a_metric_that_one_side_lacks_is_found() {
        let told = set(&["embargo_a_total{x,y}", "embargo_d_seconds{p}"]);
        let wrong = differences("README", &told, "the page", &exposed(PAGE));
        assert_eq!(
            wrong,
            [
                "only README has embargo_d_seconds{p}",
                "only the page has embargo_d_seconds{o}",
                "only the page has embargo_t_count{}",
            ]
        );
    }

    #[test]
    fn metrics_in_comments_are_read() {
        let source = "a: Cell, // embargo_a_total\nb: Vec<Cell>, // embargo_b{x, y}\n// embargo is a server\n";
        assert_eq!(commented(source), set(&["embargo_a_total", "embargo_b{x,y}"]));
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_rank() {
        let text = "# T\n\n## A\n| `a` | b |\n|---|---|\n| `c d` | e |\n### Sub\nx\n## B\n| f | g |\n";
        assert_eq!(first_cells(section(text, "## A")), ["c d"]);
        assert!(section(text, "## A").ends_with('x'));
        assert!(section(text, "### Sub").ends_with('x'));
    }

    #[test]
    fn commands_are_read_from_a_help_page() {
        let help = "Usage: x\n\nCommands:\n  run    Serves\n           on and on\n  check  Checks\n  help   Help\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["check", "run"].map(str::to_owned).into());
        assert_eq!(first_word("embargo explain NAME"), "explain");
    }

    #[test]
    fn a_setting_that_does_not_exist_is_found() {
        let known = settings("listen = []\n[cache]\nsize = 1\n[ban.acme]\nmode = \"off\"\n");
        let told = toml_blocks(
            "```toml\nlisten = [\"x\"]\n[cache]\nsise = 1\n[ban.kaspersky]\nmode = \"observe\"\n```\nlisten2 = 1",
        );
        let told: Vec<String> = told.iter().flat_map(|block| settings(block)).collect();
        assert_eq!(unknown(&told, &known), ["cache.sise"]);
    }

    #[test]
    fn paths_and_relative_links_are_read() {
        let text = "`src/lib.rs` `cargo run` [lists](blocklists/README.md#top) [web](https://example.org/x) `blocklists/<vendor>/`";
        let expected = ["src/lib.rs", "blocklists/README.md"].map(str::to_owned);
        assert_eq!(paths(text), expected.into());
    }
}
