//! Who holds which address, as the lease files say now.

use std::sync::Arc;
use std::time::Duration;

use super::parts::Parts;
use crate::config::{AssetFile, AssetsRead, LeaseFile};
use crate::identity::{Identifier, Lease};
use crate::priority::beside;

/// Attempts are waited for so long to be written before their addresses are another's.
const WRITING: Duration = Duration::from_secs(1);

impl Parts {
    /// Reads every lease file and takes over what they say. A file that can't be read leaves all as it was: what others say is
    /// not the whole.
    pub(super) async fn follow_leases(&self) {
        let loaded = self.loaded.load_full();
        if loaded.settings.leases.is_empty() && loaded.settings.assets.is_empty() && self.devices.is_empty() {
            return;
        }
        let assets = loaded.settings.assets.clone();
        let files = loaded.settings.leases.clone();
        let (devices, journal, clock) = (Arc::clone(&self.devices), Arc::clone(&self.journal), self.clock.clone());
        let read = beside(move || {
            // One that can't be read leaves all as it was, as leases do.
            if let Some(assets) = read_assets(&assets) {
                devices.take_assets(assets);
            }
            let leases = read(&files)?;
            // What one device has asked a moment ago and another will ask now is one row unless the first is written.
            if devices.ends(&leases, clock.now().wall)
                && let Err(error) = journal.flush(WRITING)
            {
                tracing::debug!(%error, "Attempts of before were not written before others took their addresses.");
            }
            devices.take(&leases, clock.now().wall);
            Some(leases.len())
        });
        let read = read.await;
        // Whoever is named as a device may have another address now.
        self.spare();
        match read {
            Ok(Some(leases)) => tracing::debug!(leases, "The lease files are read."),
            Ok(None) => tracing::warn!("Who holds which address is as it was before the file that can't be read."),
            Err(error) => tracing::error!(%error, "The lease files could not be read."),
        }
    }
}

/// What all inventories say; `None` if one can't be read.
fn read_assets(files: &[AssetFile]) -> Option<Vec<Vec<Identifier>>> {
    let mut all = Some(Vec::new());
    for file in files {
        let AssetsRead { assets, warnings } = file.read();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        match assets {
            Ok(assets) => all = all.map(|all: Vec<_>| all.into_iter().chain(assets).collect()),
            Err(unread) => {
                tracing::warn!("{unread}");
                all = None;
            }
        }
    }
    all
}

/// What all files say; `None` if one can't be read.
fn read(files: &[LeaseFile]) -> Option<Vec<Lease>> {
    let mut all = Some(Vec::new());
    for file in files {
        let read = file.read();
        for warning in &read.warnings {
            tracing::warn!("{warning}");
        }
        match read.leases {
            Ok(leases) => all = all.map(|all| all.into_iter().chain(leases).collect()),
            Err(unread) => {
                tracing::warn!("{unread}");
                all = None;
            }
        }
    }
    all
}
