//! Commands of the command line, run for API and pages: what they print, or why there is nothing.

use std::fs;
use std::path::PathBuf;

use axum::http::StatusCode;
use serde_json::Value;

use super::problem::Problem;
use super::{Command, House};
use crate::orders::Ran;

/// Characters of what a command says that are told.
const SAID_MAX: usize = 2000;

/// Runs a command, and returns what it has printed.
///
/// # Errors
/// What it says.
pub(super) fn run(house: &dyn House, command: &Command) -> Result<Vec<u8>, Problem> {
    let ran = house.run(command).map_err(|why| Problem { retry_after: Some(5), ..Problem::cannot(why) })?;
    let Ran { code, out, err } = ran;
    if code == 0 {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&err);
    let said: String =
        said.trim().trim_start_matches("error: ").trim_start_matches("embargo: ").chars().take(SAID_MAX).collect();
    // What follows is about flags, which nobody has typed.
    let said = said.split("\n\n").next().unwrap_or_default().to_owned();
    match code {
        1 | 2 => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, said)),
        _ => Err(Problem::cannot(said)),
    }
}

/// The same of one that prints JSON.
///
/// # Errors
/// What it says.
pub(super) fn json(house: &dyn House, command: &Command) -> Result<Value, Problem> {
    serde_json::from_slice(&run(house, command)?)
        .map_err(|error| Problem::cannot(format!("what came is no JSON: {error}")))
}

/// A list in a file where a command finds it, that is gone when it is dropped.
pub(super) struct Passing(PathBuf);

impl Passing {
    /// Each has a name of its own, since several may wait.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn new(house: &dyn House, list: &str) -> Result<Self, Problem> {
        let name = format!("preview-{}.txt", crate::access::random_text().chars().take(12).collect::<String>());
        let passing = Self(house.state_dir().join(name));
        fs::write(&passing.0, list).map_err(|error| Problem::cannot(format!("the list could not be kept: {error}")))?;
        Ok(passing)
    }

    /// As a command is told of it.
    pub(super) fn flag(&self) -> String {
        format!("--list={}", self.0.display())
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
