//! The admin server's way to the parts.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::control::Carry as _;
use super::parts::Parts;
use crate::access::Access;
use crate::admin::{Desk, House, Rules};
use crate::audit::Author;
use crate::orders::{Answer, Request};
use crate::policy::Policy;
use crate::time::Now;

/// What the admin server shows and asks. To be called within a tokio runtime.
pub(super) fn desk(parts: &Arc<Parts>) -> Desk {
    let (scrape, ready) = (Arc::clone(parts), Arc::clone(parts));
    let mut desk = Desk::new(Arc::clone(&parts.metrics), move || scrape.before_scrape(), move || ready.readiness());
    desk.tls = parts.admin_tls.clone();
    desk.house = Some(Arc::new(Seen { parts: Arc::clone(parts), runtime: Handle::current() }));
    desk
}

/// The server as the admin server sees it.
struct Seen {
    parts: Arc<Parts>,
    runtime: Handle,
}

impl House for Seen {
    fn carry(&self, request: Request, author: Author) -> Answer {
        if !request.is_question() {
            tracing::info!(?request, by = author.by, "The admin server was asked.");
        }
        self.runtime.block_on(self.parts.carry(request, author))
    }

    fn now(&self) -> Now {
        self.parts.clock.now()
    }

    fn state_dir(&self) -> &Path {
        &self.parts.first.state_dir
    }

    fn access(&self) -> &Access {
        &self.parts.access
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.parts.loaded.load().settings.access.rules)
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        self.parts.guard.in_force().map(|in_force| Arc::clone(&in_force.policy))
    }
}
