//! The ban and the record alone, for tests that put something of their own behind them.

use std::path::PathBuf;
use std::sync::Arc;

use embargo::clock::Clock;
use embargo::config::{self, Args, Environment};
use embargo::journal::{self, Journal};
use embargo::metrics::Metrics;
use embargo::serve::{Admission, Guard};
use tempfile::TempDir;

/// A guard that serves loopback and enforces `geo.example`, with what it stands on.
pub(crate) struct Guarded {
    pub(crate) guard: Arc<Guard>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    directory: TempDir,
}

impl Guarded {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("mine.txt");
        std::fs::write(&list, "geo.example\n").unwrap();
        let args = Args { state_dir: Some(directory.path().join("state")), list: vec![list], ..Args::default() };
        let loaded = config::load(&args, &Environment::default()).unwrap();
        let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
        let record = journal::Config::new(&loaded.state_dir);
        let journal = Arc::new(Journal::start(record, Arc::clone(&metrics), clock.clone()).unwrap());
        let served = Admission::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let guard = Guard::new(served, Arc::clone(&journal), Arc::clone(&metrics), clock.clone());
        guard.enforce(config::policy(&loaded.settings, 1).policy.unwrap());
        Self { guard: Arc::new(guard), journal, metrics, clock, directory }
    }

    /// Where the record is.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }
}
