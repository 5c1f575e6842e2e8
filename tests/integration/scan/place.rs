//! A directory with bans, logs and a record, and the commands that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Bans, logs and a record.
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    /// With one ban, `acme`, whose dates lie ahead of every log.
    pub(super) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.write("embargo.toml", b"blocklists = \"blocklists\"\n");
        place.ban("acme", "*.upd.acme.example update installed\nwww.acme.example web visit\n");
        place
    }

    /// Adds a ban.
    pub(super) fn ban(&self, id: &str, rules: &str) {
        let ban = format!(
            "version = 1\nid = \"{id}\"\ntitle = \"{id}\"\nvendor = \"Example\"\nlists = [\"rules.txt\"]\nmode = \"enforce\"\n\
             observe_from = 2026-01-01\n"
        );
        self.write(&format!("blocklists/{id}/ban.toml"), ban.as_bytes());
        self.write(&format!("blocklists/{id}/rules.txt"), rules.as_bytes());
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, octets).unwrap();
        path
    }

    /// Runs a command over the record.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
        command.args(arguments).env_clear().current_dir(self.directory.path());
        command.args(["--config", "embargo.toml", "--state-dir", "state"]).output().unwrap()
    }

    /// The JSON of a command that succeeds.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What is said of the one file that is scanned.
    #[track_caller]
    pub(super) fn scan(&self, arguments: &[&str]) -> Value {
        self.json(&[&["scan"], arguments].concat())["files"][0].clone()
    }

    /// How many attempts the record has.
    pub(super) fn attempts(&self) -> u64 {
        let rows = self.json(&["attempts"]);
        rows.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }
}
