//! What the dashboard asks of the server behind it.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::parts::Parts;
use crate::admin::Behind;
use crate::config;
use crate::policy::{Ban, Policy};
use crate::report::{ExceptionRow, SigningKey};
use crate::time::Timestamp;

impl Behind for Parts {
    fn state_dir(&self) -> &Path {
        &self.first.state_dir
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        self.guard.in_force().map(|force| Arc::clone(&force.policy))
    }

    fn status(&self) -> Value {
        serde_json::to_value(Self::status(self)).unwrap_or_default()
    }

    fn device_now(&self, recorded: &str) -> String {
        recorded.parse().map_or_else(|()| recorded.to_owned(), |known| self.devices.device_of(&known).to_string())
    }

    fn configured(&self, ban: &Ban) -> Vec<ExceptionRow> {
        self.loaded.load().settings.exceptions_of(ban)
    }

    fn key(&self) -> Option<SigningKey> {
        // A key that others can read is as good as none.
        SigningKey::of(&self.first.state_dir).ok().flatten()
    }

    fn on_disk(&self) -> (Vec<String>, Option<Policy>) {
        match config::reload(&self.args, &self.first.environment, &self.loaded.load()) {
            Ok((loaded, _papers)) => {
                let load = config::policy(&loaded.settings, 1);
                (load.diagnostics.iter().map(ToString::to_string).collect(), load.policy)
            }
            Err(mistakes) => (mistakes.iter().map(ToString::to_string).collect(), None),
        }
    }
}
