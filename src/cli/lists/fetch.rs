//! `embargo lists fetch`: asks for the lists that come from elsewhere now, by the server that runs, or without one.

use std::io::IsTerminal;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::super::console::Console;
use super::super::failure::Failure;
use super::super::status::{reached, text};
use super::super::{EXIT_CODES, flags};
use super::sources::tell;
use crate::app::control::{self, ControlError, Request};
use crate::app::fetch_alone;
use crate::config::Loaded;
use crate::lists::Board;

/// Longer than any list may take.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);
/// A look at how far they are.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Ask for the lists that come from elsewhere now, whether they are due or not
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Fetch {
    /// Their ids; by default all of them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Take a list even if it has shrunk or grown more than allowed
    #[arg(long)]
    any_size: bool,
    #[arg(long, help = super::sources::JSON_HELP)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

const EXAMPLES: &str = "\
Examples:
  embargo lists fetch
  embargo lists fetch malware --any-size";

const NOTES: &str = "\
The server that runs with the state directory fetches them and has them in force when this command ends. If none runs, they are \
fetched here and kept for its start. A list that can't be fetched or is not believed leaves what is kept in force, and is exit \
code 3.";

impl Fetch {
    /// Asks, shows how far they are on a terminal, and tells how it went.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let directory = self.state.directory(console)?;
        let rows = match self.by_server(&directory) {
            Err(ControlError::Unreachable { .. }) => self.alone(console)?,
            answer => reached(answer)?,
        };
        let chosen = |row: &&Value| self.ids.is_empty() || self.ids.contains(&text(row, "id"));
        let rows: Vec<Value> = rows.as_array().into_iter().flatten().filter(chosen).cloned().collect();
        let failed = rows.iter().any(|row| row.get("error").is_some_and(Value::is_string));
        if self.json {
            console.json(&rows)?;
        } else {
            tell(&rows, console)?;
        }
        if failed { Err(Failure::Unhealthy) } else { Ok(()) }
    }

    fn by_server(&self, directory: &Path) -> Result<Value, ControlError> {
        let request = Request::ListsFetch { ids: self.ids.clone(), any_size: self.any_size };
        let look = || control::ask(directory, &Request::Lists, LOOK_MAX).unwrap_or_default();
        showing(|| control::ask(directory, &request, PATIENCE), look)
    }

    fn alone(&self, console: &Console<'_>) -> Result<Value, Failure> {
        let loaded = self.state.loaded(console)?;
        let board: OnceLock<Arc<Board>> = OnceLock::new();
        let look = || board.get().map_or(Value::Null, |board| json!(board.all()));
        let work = || self.fetch_here(&loaded, |shown| drop(board.set(shown)));
        let rows = showing(work, look).map_err(|why| Failure::cannot(why, ""))?;
        Ok(json!(rows))
    }

    fn fetch_here(&self, loaded: &Loaded, show: impl FnOnce(Arc<Board>)) -> Result<Vec<crate::lists::Row>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("can't start the runtime: {error}"))?;
        runtime.block_on(fetch_alone(loaded, &self.ids, self.any_size, show))
    }
}

/// Does the work, and shows on a terminal how far it is.
fn showing<T: Send>(work: impl FnOnce() -> T + Send, look: impl Fn() -> Value) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let working = scope.spawn(work);
        let mut bars = Bars::default();
        while !working.is_finished() {
            bars.show(&look());
            thread::sleep(LOOK);
        }
        bars.all.clear().unwrap_or_default();
        working.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// One bar for each list on its way.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    each: Vec<(String, ProgressBar)>,
}

impl Bars {
    fn show(&mut self, rows: &Value) {
        for row in rows.as_array().into_iter().flatten() {
            let number = |field: &str| row.get(field).and_then(Value::as_u64).unwrap_or_default();
            let (id, received, expected) = (text(row, "id"), number("received_bytes"), number("expected_bytes"));
            let known = self.each.iter().find(|(other, _bar)| *other == id).map(|(_id, bar)| bar.clone());
            if row.get("fetching").and_then(Value::as_bool) != Some(true) {
                known.iter().for_each(ProgressBar::finish);
                continue;
            }
            let bar = known.unwrap_or_else(|| {
                let bar = self.all.add(ProgressBar::new(0).with_style(style()).with_prefix(id.clone()));
                self.each.push((id, bar.clone()));
                bar
            });
            bar.set_length(expected.max(received));
            bar.set_position(received);
        }
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{prefix:24!} {wide_bar} {bytes:>10} of {total_bytes:>10}");
    style.unwrap_or_else(|_never_wrong| ProgressStyle::default_bar())
}
