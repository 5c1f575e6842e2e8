//! Who holds which address, as the lease files and the system's neighbours say now.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::rest::Seen;
use crate::clock::Clock;
use crate::config::{AssetFile, AssetsRead, LeaseFile};
use crate::identity::{Devices, Identifier, Lease, Mac};
use crate::journal::Journal;
use crate::priority::beside;
use crate::socket::neighbours;

/// Attempts are waited for so long to be written before their addresses are another's.
const WRITING: Duration = Duration::from_secs(1);

/// Neighbours are looked at this often.
const LOOK: Duration = Duration::from_secs(5);

/// What was said last of who holds which address.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// `None`: they have not been read yet, and what was known before holds.
    files: Option<Vec<Lease>>,
    neighbours: Vec<Lease>,
    /// Names of reverse zones.
    names: Vec<Lease>,
}

impl Parts {
    /// Asks the system for its neighbours and takes over who they are, if they are others than before. Those that are not
    /// served are nobody's business here.
    async fn follow_neighbours(&self) -> io::Result<()> {
        let (devices, journal, clock) = (Arc::clone(&self.devices), Arc::clone(&self.journal), self.clock.clone());
        let (words, admission) = (Arc::clone(&self.words), self.guard.admission());
        let no_files = self.loaded.load().settings.leases.is_empty();
        let read = beside(move || {
            let mut served = neighbours()?;
            served.retain(|(address, _link)| admission.allows(*address));
            // The order of the kernel's table is no news.
            served.sort_unstable();
            let of = |(address, link)| Lease::of_neighbour(address, Mac(link));
            let now: Vec<_> = served.into_iter().filter_map(of).collect();
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = words.neighbours != now;
            if changed {
                words.neighbours = now;
                if no_files {
                    words.files.get_or_insert_default();
                }
                words.put_in_force((&devices, &journal, &clock));
            }
            Ok::<bool, io::Error>(changed)
        });
        if read.await?? {
            self.spare();
        }
        Ok(())
    }

    /// The lease files once nobody writes them anew.
    pub(super) async fn leases_at_rest(&self) -> Arc<Seen> {
        let paths = self.loaded.load().lease_files();
        self.lease_files.at_rest(&paths).await
    }

    /// Reads every lease file and takes over what they say. A file that can't be read or was cut leaves all as it was: what others
    /// say is not the whole.
    pub(super) async fn follow_leases(&self) {
        let loaded = self.loaded.load_full();
        if loaded.settings.leases.is_empty() && loaded.settings.assets.is_empty() && self.devices.is_empty() {
            return;
        }
        let (seen, before) = (self.leases_at_rest().await, self.lease_files.in_force());
        let cut = before.cut(&seen);
        if !cut.is_empty() {
            for cut in cut {
                tracing::warn!("{cut}");
            }
            return tracing::warn!("Who holds which address is as it was before the file that was cut.");
        }
        let assets = loaded.settings.assets.clone();
        let files = loaded.settings.leases.clone();
        let (devices, journal, clock) = (Arc::clone(&self.devices), Arc::clone(&self.journal), self.clock.clone());
        let (words, neighbours) = (Arc::clone(&self.words), loaded.settings.neighbours);
        let (paths, as_seen) = (loaded.lease_files(), Arc::clone(&seen));
        let read = beside(move || {
            // One that can't be read leaves all as it was, as leases do.
            if let Some(assets) = read_assets(&assets) {
                devices.take_assets(assets);
            }
            let leases = read(&files)?;
            // Whoever has begun to write them anew meanwhile is followed when that is over.
            let disturbed = as_seen.is_disturbed(&Seen::look(&paths, &as_seen));
            if disturbed {
                return None;
            }
            let (count, mut words) = (leases.len(), words.lock().unwrap_or_else(PoisonError::into_inner));
            words.files = Some(leases);
            if !neighbours {
                words.neighbours.clear();
            }
            words.put_in_force((&devices, &journal, &clock));
            Some(count)
        });
        let read = read.await;
        // Whoever is named as a device may have another address now.
        self.spare();
        match read {
            Ok(Some(leases)) => {
                tracing::debug!(leases, "The lease files are read.");
                self.lease_files.taken(seen);
            }
            Ok(None) => tracing::warn!("Who holds which address is as it was before the file that can't be read."),
            Err(error) => tracing::error!(%error, "The lease files could not be read."),
        }
    }
}

/// Looks at the system's neighbours until `stop`, while that is wanted.
pub(super) async fn keep_neighbours(parts: Arc<Parts>, stop: CancellationToken) {
    let (mut looks, mut told, mut was_on) = (tokio::time::interval(LOOK), false, false);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let is_on = parts.loaded.load().settings.neighbours;
        if std::mem::replace(&mut was_on, is_on) && !is_on {
            parts.follow_leases().await;
        }
        if !is_on {
            continue;
        }
        match parts.follow_neighbours().await {
            Ok(()) => told = false,
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "The system does not tell its neighbours: clients are not known by them.");
            }
            Err(_told_already) => (),
        }
    }
}

impl Words {
    /// Has these names hold where nothing else is known; without lease files there is nothing to wait for.
    pub(super) fn hold_names(&mut self, names: Vec<Lease>, no_files: bool, of: (&Devices, &Journal, &Clock)) {
        self.names = names;
        if no_files {
            self.files.get_or_insert_default();
        }
        self.put_in_force(of);
    }

    /// Has all of it hold from now on.
    fn put_in_force(&self, (devices, journal, clock): (&Devices, &Journal, &Clock)) {
        let Some(files) = &self.files else { return };
        let all = || files.iter().chain(&self.neighbours).chain(&self.names);
        // What one device has asked a moment ago and another will ask now is one row unless the first is written.
        if devices.ends(all(), clock.now().wall)
            && let Err(error) = journal.flush(WRITING)
        {
            tracing::debug!(%error, "Attempts of before were not written before others took their addresses.");
        }
        devices.take(all(), clock.now().wall);
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
