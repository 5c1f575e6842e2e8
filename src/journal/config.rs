//! Settings of the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Outlet, Privacy};
use crate::identity::Devices;

/// Settings of the journal; every limit has its unit in its name.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of `embargo.db`; made with mode 0700 if it is not there.
    pub state_dir: PathBuf,
    /// Rows kept in memory at most. Past it, attempts fold into overflow rows without client and name.
    pub rows_in_memory_max: usize,
    /// Overflow rows kept in memory at most. Past it, attempts are lost and counted as lost.
    pub overflow_max_rows: usize,
    /// New rows a second that tell name and rule; past it attempts fold into a row for each client, ban and category, past
    /// twice as many into overflow rows. No more than twice as many are written in a second, either; those of names that come
    /// again wait for the next.
    pub rows_per_second_max: u32,
    /// Time between two transactions.
    pub commit_interval: Duration,
    /// Time between two tries to open a store that could not be opened.
    pub reopen_interval: Duration,
    /// Time to wait for a lock that another process holds on the store.
    pub lock_timeout: Duration,
    /// Days that attempts are kept.
    pub attempts_keep_days: u32,
    /// Days that clients are kept after they were last seen.
    pub clients_keep_days: u32,
    /// Days for which is kept how often each device asked on each day, and in which hours; then by months.
    pub device_days_keep_days: u32,
    /// Days for which is kept which devices were there.
    pub presence_keep_days: u32,
    /// Size of the store at most; the oldest attempts go first. Under 64 MiB a full memory may not fit in.
    pub size_max_bytes: u64,
    /// Whose device asked.
    pub devices: Arc<Devices>,
    /// How much of clients is written, at first.
    pub privacy: Arc<Privacy>,
    /// Who is given what is written, too.
    pub outlet: Option<Arc<dyn Outlet>>,
}

impl Config {
    /// The defaults, with the store in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            rows_in_memory_max: 200_000,
            overflow_max_rows: 10_000,
            rows_per_second_max: 10_000,
            commit_interval: Duration::from_secs(1),
            reopen_interval: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            attempts_keep_days: 400,
            clients_keep_days: 400,
            device_days_keep_days: 90,
            presence_keep_days: 3_650,
            size_max_bytes: 4 << 30,
            devices: Arc::default(),
            privacy: Arc::default(),
            outlet: None,
        }
    }
}
