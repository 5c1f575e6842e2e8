//! Why an upstream can't be asked, for its status and for the log, where the same is not said again and again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Server;

/// The same reason is logged once in so long.
const APART: Duration = Duration::from_secs(60);

/// The last reason, as long as it lasts.
#[derive(Debug)]
pub(super) struct Trouble {
    server: Server,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Arc<str>>,
    logged: Option<(Arc<str>, Instant)>,
}

impl State {
    /// Whether a reason has not been logged of late; it then counts as logged.
    fn is_news(&mut self, why: &Arc<str>) -> bool {
        let said = self.logged.as_ref().is_some_and(|(words, at)| words == why && at.elapsed() < APART);
        if !said {
            self.logged = Some((Arc::clone(why), Instant::now()));
        }
        !said
    }
}

impl Trouble {
    pub(super) fn new(server: Server) -> Self {
        Self { server, state: Mutex::default() }
    }

    /// The upstream can't be asked, and this is why.
    pub(super) fn is(&self, why: Arc<str>) {
        let mut state = self.state();
        if state.is_news(&why) {
            tracing::warn!(server = %self.server, error = %why, "Upstream can't be asked.");
        }
        state.now = Some(why);
    }

    /// It can be asked still; this is why it may not be before long.
    pub(super) fn looms(&self, why: &Arc<str>) {
        if self.state().is_news(why) {
            tracing::warn!(server = %self.server, error = %why, "Upstream is asked at the addresses that its name had last.");
        }
    }

    /// It can be asked.
    pub(super) fn is_over(&self) {
        self.state().now = None;
    }

    /// Why it can't be asked at present.
    pub(super) fn why(&self) -> Option<Arc<str>> {
        self.state().now.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
