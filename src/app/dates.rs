//! What bans do from a date on, noted in the audit log when that date comes: no reload is needed for it, and none may follow for
//! weeks.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exempt::tell_noted;
use super::exports::next_change;
use super::parts::Parts;
use super::policy::modes;
use crate::time::Timestamp;

/// It is looked this often: the policy may be another, and the clock may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// Notes each change by date, until `stop`.
pub(super) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let mut looked = parts.clock.now().wall;
    loop {
        let now = parts.clock.now().wall;
        if parts.change_after(looked) <= now {
            parts.note_modes().await;
        }
        looked = now;
        let wait = Duration::try_from(parts.change_after(now).duration_since(now)).unwrap_or_default();
        if stop.run_until_cancelled(tokio::time::sleep(wait.min(LOOK))).await.is_none() {
            return;
        }
    }
}

impl Parts {
    /// When a ban changes next what it does.
    fn change_after(&self, at: Timestamp) -> Timestamp {
        self.guard.in_force().map_or(Timestamp::MAX, |in_force| next_change(&in_force.policy, at))
    }

    /// Notes what bans do now, if the audit log says otherwise.
    async fn note_modes(&self) {
        // What comes into force meanwhile notes its modes itself.
        let _one_at_a_time = self.reloading.lock().await;
        let Some(in_force) = self.guard.in_force() else { return };
        let (audit, now) = (Arc::clone(&self.audit), self.clock.now().wall);
        let noted = tokio::task::spawn_blocking(move || audit.dated(modes(&in_force.policy, now), now)).await;
        tell_noted(noted);
    }
}
