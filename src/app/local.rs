//! Data of our own into force: own records, the hosts file, special-use names.

use super::designated::designated;
use super::parts::Parts;
use crate::config::{self, Loaded, Settings};
use crate::local::{self, Local};
use crate::upstream::Servers;
use crate::wire::is_private;

impl Parts {
    /// Puts into force what is answered here by these settings, while `servers` are asked for the rest.
    pub(super) fn answer_locally(&self, loaded: &Loaded, servers: &Servers) {
        let designated = designated(&self.endpoints, &self.listen, loaded);
        self.guard.answer_locally(local(&loaded.settings, servers).designating(designated));
    }
}

/// What is answered here by these settings, while `servers` are asked for the rest.
pub(super) fn local(settings: &Settings, servers: &Servers) -> Local {
    let load = config::local(settings);
    for diagnostic in &load.diagnostics {
        tracing::warn!("{diagnostic}");
    }
    Local::new(local::Config {
        records: settings.local.records.iter().map(|record| record.value.clone()).collect(),
        hosts: load.hosts,
        ttl: u32::try_from(settings.local.ttl.as_secs()).unwrap_or(local::TTL_MAX),
        passed: settings.local.special_use_off.clone(),
        forwarded: settings.forwards.iter().flat_map(|forward| forward.zones.iter().cloned()).collect(),
        private_upstreams: servers.as_slice().iter().all(|server| {
            // One that is known by name only may be anywhere.
            server.address().is_some_and(|address| is_private(address.ip()))
        }),
        rebinding: settings.local.rebind_protection.then(|| settings.local.rebind_allow.clone()),
    })
}
