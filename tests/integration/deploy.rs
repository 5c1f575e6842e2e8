//! What `config/` has for those who deploy agrees with the lists, the settings and the program.
//!
//! Whether the programs that it is written for take it is tried among the system tests.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::readme::read;
use super::tidy::root;

/// Whether `embargo check` has nothing to say against a configuration, and if not, what.
fn check(text: &str) -> Result<(), String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("embargo.toml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.arg("check").arg("--config").arg(&file).arg("--state-dir").arg(directory.path());
    let said = command.env_remove("STATE_DIRECTORY").output().unwrap();
    let told = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    if said.status.success() { Ok(()) } else { Err(told) }
}

/// The text between two marks.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).and_then(|(_before, rest)| rest.split_once(to)).map(|(found, _after)| found).unwrap()
}

#[test]
fn the_package_and_kubernetes_have_configurations_without_mistakes() {
    check(&read("config/debian/embargo.toml")).unwrap();
    let manifest = read("config/kubernetes/embargo.yaml");
    let embedded = between(&manifest, "embargo.toml: |\n", "---");
    let plain: Vec<&str> = embedded.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    check(&plain.join("\n")).unwrap();
    assert!(check("nonsense = 1").unwrap_err().contains("nonsense"), "a mistake would be seen");
}

#[test]
fn the_socket_unit_holds_what_the_package_listens_on() {
    let settings = read("config/debian/embargo.toml");
    // An address in brackets holds the character that ends the list.
    let listed = between(&settings, "\nlisten = [", "]\n");
    let listed: BTreeSet<&str> = listed.split(',').map(|item| item.trim().trim_matches('"')).collect();
    let unit = read("config/systemd/embargo.socket");
    for key in ["ListenDatagram=", "ListenStream="] {
        let held: BTreeSet<&str> = unit.lines().filter_map(|line| line.strip_prefix(key)).collect();
        assert_eq!(held, listed, "{key}");
    }
}

#[test]
fn the_firewall_watches_the_networks_of_the_list_and_closes_no_resolver_of_it() {
    let rules = read("config/firewall/embargo.nft");
    let list = read("blocklists/kaspersky-networks/rules.txt");
    let listed: BTreeSet<&str> =
        list.lines().filter_map(|line| line.split_whitespace().next()?.strip_prefix("answer:")).collect();
    let words = |set: &str| -> BTreeSet<String> {
        let body = between(&rules, &format!("set {set} {{"), "\n    }");
        let elements = between(body, "elements = {", "}");
        elements.split(',').map(|item| item.trim().to_owned()).collect()
    };
    let watched: BTreeSet<String> = words("vendor4").into_iter().chain(words("vendor6")).collect();
    assert_eq!(watched, listed.iter().map(|network| (*network).to_owned()).collect());
    let fallback = words("fallback4");
    assert!(fallback.len() == 5 && fallback.is_disjoint(&watched), "{fallback:?}");
    // A page that names them names the same.
    let limits = read("config/LIMITS.md");
    for address in &fallback {
        assert!(limits.contains(address), "{address} is not in LIMITS.md");
    }
}

#[test]
fn what_the_package_installs_is_there() {
    let manifest = read("Cargo.toml");
    let assets = between(&manifest, "\nassets = [", "\n]");
    let mut seen = 0;
    for line in assets.lines().filter(|line| line.trim_start().starts_with('[')) {
        let source = between(line, "\"", "\"");
        // Made by the build.
        if source.starts_with("target/") {
            continue;
        }
        let path = source.split(['*']).next().unwrap();
        assert!(root().join(path).exists(), "{source} is not there");
        seen += 1;
    }
    assert!(seen > 8, "the table of assets was found: {seen}");
    let version = format!("embargo ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(read("config/debian/changelog").starts_with(&version), "the package's own changelog is of {version}");
    for script in ["build", "postinst", "prerm", "postrm"] {
        assert!(root().join("config/debian").join(script).exists(), "{script}");
    }
}

#[test]
fn the_guide_names_every_folder() {
    let guide = read("config/DEPLOY.md");
    for entry in fs::read_dir(root().join("config")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "DEPLOY.md" || name == "embargo.toml" {
            continue;
        }
        assert!(guide.contains(&name), "config/{name} is not in DEPLOY.md");
    }
}
