//! Every mistake that an operator can make in a configuration, with the message that they get.
//!
//! `tests/fixtures/config/bad/x.toml` gives exactly `x.stderr`. After a change of messages, look at the difference and
//! write the new ones with `EMBARGO_BLESS=1 cargo test bad_config`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use embargo::config::{self, Args, Environment};

/// Relative, so that messages name no machine; tests run in the package's root.
const BAD: &str = "tests/fixtures/config/bad";

/// What `check` prints about a configuration and the lists that it names.
fn messages(config: &Path) -> String {
    let args = Args { config: Some(config.to_path_buf()), ..Args::default() };
    let environment = Environment { home: Some("/home/example".into()), ..Environment::default() };
    let checked = config::check(&args, &environment);
    assert!(checked.loaded.is_none() || checked.policy.policy.is_none(), "{} is right", config.display());
    let diagnostics: Vec<_> = checked.mistakes.into_iter().chain(checked.policy.diagnostics).collect();
    diagnostics.iter().fold(String::new(), |mut text, diagnostic| {
        writeln!(text, "{diagnostic}").unwrap();
        text
    })
}

fn configurations() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(BAD).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn every_bad_configuration_gets_its_messages() {
    let bless = std::env::var_os("EMBARGO_BLESS").is_some();
    let mut differing = Vec::new();
    for config in configurations() {
        let (found, expected) = (messages(&config), config.with_extension("stderr"));
        if bless {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            differing.push(format!("{} should give:\n{found}", config.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_message_says_where_and_is_one_sentence() {
    let configurations = configurations();
    assert!(configurations.len() >= 20);
    for config in configurations {
        let text = messages(&config);
        assert!(!text.is_empty(), "{}", config.display());
        for line in text.lines().filter(|line| line.starts_with("tests/")) {
            assert!(!line.ends_with('.'), "{line}");
        }
    }
}
