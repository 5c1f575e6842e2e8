//! Zones of ours for other resolvers: written anew when the policy or the time changes what they say, and told of then.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::map;
use super::parts::Parts;
use crate::policy::{BanIndex, Policy};
use crate::priority::beside;
use crate::serve::InForce;
use crate::time::Timestamp;
use crate::transfer::{Primary, Published, ZoneConfig, publish, tell};
use crate::wire::LowerName;

/// What could not be written is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// Without a change of the policy it is looked this often: the clock may have been set.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Secondaries that are being told of a version.
type Telling = Vec<AbortOnDropHandle<()>>;

/// What has been written and told.
#[derive(Default)]
struct Done {
    /// The generation of the policy that all zones say, and for which time.
    said: Option<(u64, Range<Timestamp>)>,
    /// By zone.
    tellings: Vec<Telling>,
}

/// Writes the zones when the policy changes, and at each moment when a ban does, until `stop`.
pub(super) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let mut done = Done::default();
    loop {
        let wait = match parts.guard.in_force() {
            Some(in_force) => parts.publish(in_force, &mut done).await,
            None => LOOK,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = parts.policy_changed.notified() => (),
            () = tokio::time::sleep(wait) => (),
        }
    }
}

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("exports")
}

impl Parts {
    /// Writes every zone and tells of those that are new; how long they stay as they are.
    async fn publish(self: &Arc<Self>, in_force: Arc<InForce>, done: &mut Done) -> Duration {
        let loaded = self.loaded.load_full();
        let wanted = map::exports(&loaded.settings);
        self.metrics.zones.retain(&map::zones(&loaded.settings));
        let current = self.primary.load_full();
        let same = current.as_ref().is_some_and(|primary| primary.configs().eq(&wanted));
        if wanted.is_empty() && current.is_none() {
            return LOOK;
        }
        let (generation, now) = (in_force.policy.generation(), self.clock.now().wall);
        let is_said = |(said, period): &&(u64, Range<Timestamp>)| *said == generation && period.contains(&now);
        if let Some((_said, period)) = done.said.as_ref().filter(is_said).filter(|_said| same) {
            return wait_for(period.end, now);
        }
        let primary = current.filter(|_current| same);
        let primary = primary.unwrap_or_else(|| Arc::new(Primary::new(&wanted, &self.metrics, self.clock.clone())));
        done.tellings.resize_with(wanted.len(), Vec::new);
        let (mut all, mut untold) = (true, Vec::new());
        for (index, zone) in wanted.into_iter().enumerate() {
            let (state_dir, policy) = (directory(&self.first.state_dir), Arc::clone(&in_force));
            let zone = Arc::new(zone);
            let written = Arc::clone(&zone);
            let written = match self.lacking(&zone) {
                Some(lacking) => Err(lacking),
                None => beside(move || write(&state_dir, &written, &policy.policy, now)).await.flatten(),
            };
            match written {
                Ok((version, new)) => {
                    // Those who were told nothing yet are told at the start too (RFC 1996 §3.11): they may have slept.
                    if new || !same {
                        untold.push((index, zone, version.clone()));
                    }
                    self.give(&primary, index, version);
                }
                Err(error) => {
                    let name = LowerName::from(&zone.zone);
                    tracing::error!(zone = %name, %error, "A zone for other resolvers could not be written: they have it as it was.");
                    if let Some(before) = Published::last(&directory(&self.first.state_dir), &zone.zone) {
                        self.give(&primary, index, before);
                    }
                    all = false;
                }
            }
        }
        if !same {
            self.primary.store(Some(Arc::clone(&primary)));
            self.guard.publish(primary);
        }
        // Last: who hears of it asks for it at once.
        for (index, zone, version) in untold {
            self.tell(&zone, &version, done.tellings.get_mut(index));
        }
        let until = next_change(&in_force.policy, now);
        done.said = all.then_some((generation, now..until));
        if all { wait_for(until, now) } else { AGAIN.min(wait_for(until, now)) }
    }

    /// What a zone would lack now, and secondaries would then let through.
    fn lacking(&self, zone: &ZoneConfig) -> Option<std::io::Error> {
        let damaged = self.damaged.load();
        let is_said = |ban: &&Arc<str>| zone.bans.as_ref().is_none_or(|bans| bans.contains(ban));
        let ban = damaged.iter().find(is_said)?;
        Some(std::io::Error::other(format!("the kept list of the ban `{ban}` is damaged, and has not come again yet")))
    }

    fn give(&self, primary: &Primary, index: usize, version: Published) {
        if let Some(zone) = primary.configs().nth(index) {
            let name = LowerName::from(&zone.zone).to_string();
            self.metrics.zones.show_sent(&name, &version.triggers.all());
        }
        primary.give(index, version);
    }

    /// Tells every secondary of a version; who is still being told of the one before need not hear of that.
    fn tell(self: &Arc<Self>, zone: &Arc<ZoneConfig>, version: &Published, telling: Option<&mut Telling>) {
        let name = LowerName::from(&zone.zone).to_string();
        tracing::info!(
            zone = name,
            serial = version.serial,
            records = version.triggers.total(),
            unsaid = version.unsaid,
            "A zone for other resolvers is written."
        );
        let (about, cells) = ((version.serial, version.ttl), self.metrics.zones.sent(&name));
        let tells = zone.notify.iter().map(|&secondary| {
            let (zone, clock, cells, name) = (Arc::clone(zone), self.clock.clone(), cells.clone(), name.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                match tell(secondary, &zone.zone, about, zone.key.as_ref(), &clock).await {
                    Ok(true) => cells.notices_heard.inc(),
                    Ok(false) => {
                        cells.notices_unheard.inc();
                        tracing::warn!(zone = name, %secondary, "A secondary refuses to be told of a new version.");
                    }
                    Err(error) => {
                        cells.notices_unheard.inc();
                        tracing::warn!(zone = name, %secondary, %error, "A secondary could not be told of a new version.");
                    }
                }
            }))
        });
        if let Some(telling) = telling {
            *telling = tells.collect();
        }
    }
}

fn write(directory: &Path, zone: &ZoneConfig, policy: &Policy, at: Timestamp) -> std::io::Result<(Published, bool)> {
    let chosen = |BanIndex(index): BanIndex| {
        let id = policy.bans().get(index).map(|ban| &*ban.id);
        zone.bans.as_ref().is_none_or(|bans| bans.iter().any(|ban| Some(&**ban) == id))
    };
    publish(directory, &zone.zone, policy, at, &chosen)
}

/// When a ban changes what it does.
pub(super) fn next_change(policy: &Policy, now: Timestamp) -> Timestamp {
    policy.bans().iter().filter_map(|ban| ban.stance.next_change(now)).min().unwrap_or(Timestamp::MAX)
}

/// How long to wait for a moment, at most until it is looked again whether the clock has been set.
fn wait_for(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default().min(LOOK)
}
