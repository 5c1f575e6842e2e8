//! How each list from elsewhere is doing: for `embargo lists status`, for the status of the server, and for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::kept::Kept;
use crate::metrics::{FetchResult, Metrics};
use crate::time::{Timestamp, rfc3339};

/// One list, as `lists status` shows it; the names are an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The ban that it makes.
    pub id: String,
    /// Where it comes from.
    pub source: String,
    /// When the version that is kept came; `None`: none ever did, and the ban has no rule.
    pub fetched: Option<String>,
    /// When its source last said that it is the newest.
    pub checked: Option<String>,
    /// SHA-256 of it.
    pub digest: Option<String>,
    /// Its octets.
    pub bytes: u64,
    /// Its rules.
    pub rules: u64,
    /// How it went the last time since the start.
    pub result: Option<&'static str>,
    /// Why the last time brought nothing.
    pub error: Option<String>,
    /// When it is asked for again.
    pub next: Option<String>,
    /// Whether it is on its way.
    pub fetching: bool,
    /// Octets that came so far.
    pub received_bytes: u64,
    /// Octets that are to come; 0 if its source does not say.
    pub expected_bytes: u64,
}

impl Row {
    /// Whether there is none, or its source could not be asked whether it is the newest.
    pub fn is_wanting(&self) -> bool {
        self.fetched.is_none() || self.error.is_some()
    }
}

/// How far a list has come.
#[derive(Debug, Default)]
pub struct Progress {
    received: AtomicU64,
    expected: AtomicU64,
}

impl Progress {
    /// So many octets are to come.
    pub fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
    }

    /// So many more have come.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// All of them.
#[derive(Debug)]
pub struct Board {
    metrics: Arc<Metrics>,
    rows: Mutex<BTreeMap<Arc<str>, Live>>,
}

#[derive(Debug, Default)]
struct Live {
    row: Row,
    /// While it is on its way.
    progress: Option<Arc<Progress>>,
}

impl Board {
    /// Without a list; counts in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, rows: Mutex::default() }
    }

    /// Forgets every list but these.
    pub fn retain(&self, ids: &[Arc<str>]) {
        let mut rows = self.rows();
        rows.retain(|id, _live| ids.contains(id));
        let left: Vec<&str> = rows.keys().map(|id| &**id).collect();
        self.metrics.fetches.retain(&left);
    }

    /// Shows a list from this source, and what is kept of it.
    pub fn show(&self, id: &Arc<str>, source: &str, kept: Option<&Kept>) {
        let mut rows = self.rows();
        let Live { row, progress } = rows.entry(Arc::clone(id)).or_default();
        // Whoever followed it before may have been called off on the way.
        *progress = None;
        // How it went with another source says nothing of this one.
        if row.source != source {
            *row = Row { id: id.to_string(), source: source.to_owned(), ..Row::default() };
            self.metrics.fetches.set_successful(id);
        }
        let checked = kept.and_then(Kept::checked);
        (row.fetched, row.checked) = (kept.map(|kept| rfc3339(kept.fetched)), checked.map(rfc3339));
        row.digest = kept.map(|kept| kept.digest.clone());
        (row.bytes, row.rules) = kept.map_or((0, 0), |kept| (kept.bytes, kept.rules));
        self.metrics.fetches.show(id, checked, row.bytes);
    }

    /// The list is on its way from now on.
    pub fn began(&self, id: &Arc<str>) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.rows().entry(Arc::clone(id)).or_default().progress = Some(Arc::clone(&progress));
        progress
    }

    /// It is no longer: so it went, and this was wrong.
    pub fn ended(&self, id: &Arc<str>, result: FetchResult, error: Option<String>) {
        let mut rows = self.rows();
        let live = rows.entry(Arc::clone(id)).or_default();
        live.progress = None;
        (live.row.result, live.row.error) = (Some(result.as_str()), error);
        self.metrics.fetches.ended(id, result);
    }

    /// What was wrong the last time is so no longer, and nobody has asked again.
    pub fn mended(&self, id: &Arc<str>, result: FetchResult) {
        let mut rows = self.rows();
        let live = rows.entry(Arc::clone(id)).or_default();
        (live.row.result, live.row.error) = (Some(result.as_str()), None);
        self.metrics.fetches.set_successful(id);
    }

    /// It is asked for again then.
    pub fn due(&self, id: &Arc<str>, at: Timestamp) {
        self.rows().entry(Arc::clone(id)).or_default().row.next = Some(rfc3339(at));
    }

    /// Every list, by id.
    pub fn all(&self) -> Vec<Row> {
        let shown = |live: &Live| {
            let count = |of: fn(&Progress) -> &AtomicU64| {
                live.progress.as_ref().map_or(0, |progress| of(progress).load(Ordering::Relaxed))
            };
            Row {
                fetching: live.progress.is_some(),
                received_bytes: count(|progress| &progress.received),
                expected_bytes: count(|progress| &progress.expected),
                ..live.row.clone()
            }
        };
        self.rows().values().map(shown).collect()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Live>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_never_came_is_shown_so_and_one_on_its_way_says_how_far() {
        let metrics = Arc::new(Metrics::new());
        let board = Board::new(Arc::clone(&metrics));
        let id: Arc<str> = "ads".into();
        board.show(&id, "https://lists.example/", None);
        let progress = board.began(&id);
        progress.expect(10);
        progress.received(4);
        let row = &board.all()[0];
        assert_eq!((row.fetched.as_ref(), row.fetching, row.received_bytes, row.expected_bytes), (None, true, 4, 10));
        assert!(metrics.render().contains("embargo_list_fetch_last_success_timestamp_seconds{list=\"ads\"} 0\n"));

        board.ended(&id, FetchResult::Failed, Some("no".to_owned()));
        let row = &board.all()[0];
        assert_eq!((row.fetching, row.result, row.error.as_deref()), (false, Some("failed"), Some("no")));
        assert!(metrics.render().contains("embargo_list_fetches_total{list=\"ads\",result=\"failed\"} 1\n"));

        board.retain(&[]);
        assert_eq!(board.all(), []);
        assert!(!metrics.render().contains("embargo_list_fetch_last_successful{"));
    }
}
