//! How the server is: for `embargo status`, for `/readyz`, and for the lines printed at the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::lists::ZoneState;
use crate::journal;
use crate::lists;
use crate::policy::{Mode, Policy};
use crate::serve::Crowd;
use crate::time::{Timestamp, rfc3339};
use crate::transfer::{Primary, Published, Triggers, ZoneConfig};
use crate::upstream::UpstreamStatus;
use crate::wire::{LowerName, Name};

/// The whole status; its JSON form is what `embargo status --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) version: &'static str,
    pub(super) pid: u32,
    pub(super) started: String,
    pub(super) uptime_seconds: u64,
    pub(super) ready: bool,
    pub(super) config: Option<String>,
    pub(super) state_dir: String,
    pub(super) listen: Vec<String>,
    /// Where DNS is spoken otherwise than in clear, as URLs.
    pub(super) endpoints: Vec<String>,
    pub(super) admin: Option<String>,
    /// Where the block page is, as URLs.
    pub(super) block_page: Vec<String>,
    pub(super) policy: Option<PolicyStatus>,
    /// Lists that come from elsewhere.
    pub(super) sources: Vec<lists::Row>,
    pub(super) upstreams: Vec<UpstreamRow>,
    /// Addresses that stand for many.
    pub(super) crowds: Vec<CrowdRow>,
    pub(super) zones: Vec<ZoneRow>,
    pub(super) cache: CacheStatus,
    pub(super) journal: JournalStatus,
    pub(super) last_reload: Reload,
}

/// An address that stands for many.
#[derive(Debug, Serialize)]
pub(super) struct CrowdRow {
    pub(super) address: String,
    /// Of a hundred queries of an hour, those that came from it.
    pub(super) share_percent: u32,
    /// Different names at least that it asked for then.
    pub(super) names_at_least: u32,
    /// The end of that hour.
    pub(super) seen: String,
}

impl CrowdRow {
    pub(super) fn new(crowd: &Crowd) -> Self {
        let Crowd { address, share_percent, names, seen, .. } = *crowd;
        Self { address: address.to_string(), share_percent, names_at_least: names, seen: rfc3339(seen) }
    }
}

/// The policy in force.
#[derive(Debug, Serialize)]
pub(super) struct PolicyStatus {
    pub(super) generation: u64,
    /// Whether it is the saved copy, because the lists as they are have mistakes.
    pub(super) last_good: bool,
    pub(super) memory_bytes: usize,
    pub(super) bans: Vec<BanRow>,
    pub(super) lists: Vec<ListRow>,
}

/// One ban, as `status` and `check` show it.
#[derive(Debug, Serialize)]
pub(crate) struct BanRow {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The mode in force at the time asked for.
    pub(crate) mode: &'static str,
    /// When that changes by itself.
    /// Whether it does less than that to some clients.
    pub(crate) spares_some: bool,
    pub(crate) next_change: Option<String>,
    pub(crate) action: &'static str,
    /// Rules of all its lists.
    pub(crate) rules: u64,
    pub(crate) bound_by: Vec<String>,
    /// That it does nothing to anybody, and no date will change that.
    #[serde(skip)]
    pub(super) off: bool,
}

/// One list, as `status` and `check` show it.
#[derive(Debug, Serialize)]
pub(crate) struct ListRow {
    pub(crate) name: String,
    pub(crate) ban: String,
    pub(crate) format: &'static str,
    /// Whether its first lines have told the format, and nobody else.
    pub(crate) detected: bool,
    pub(crate) rules: u64,
    pub(crate) digest: String,
}

impl BanRow {
    /// The mode in words.
    pub(crate) fn mode_in_words(&self) -> String {
        if self.spares_some { format!("{} for some", self.mode) } else { self.mode.to_owned() }
    }

    /// Every ban of a policy, as it is at `at`.
    pub(crate) fn all(policy: &Policy, at: Timestamp) -> Vec<Self> {
        let rules = |ban: usize| policy.lists().iter().filter(|list| list.ban.0 == ban).map(|list| list.entries).sum();
        let rows = policy.bans().iter().enumerate().map(|(index, ban)| Self {
            id: ban.id.to_string(),
            title: ban.title.to_string(),
            mode: ban.mode_at(at).as_str(),
            spares_some: ban.spares_some_at(at),
            next_change: ban.next_change(at).map(rfc3339),
            action: ban.stance.action.as_str(),
            rules: rules(index),
            bound_by: ban.bound_by.iter().map(ToString::to_string).collect(),
            off: ban.ceiling() == Mode::Off,
        });
        rows.collect()
    }
}

impl ListRow {
    /// Every list of a policy.
    pub(crate) fn all(policy: &Policy) -> Vec<Self> {
        let rows = policy.lists().iter().map(|list| Self {
            name: list.name.to_string(),
            ban: policy.bans().get(list.ban.0).map(|ban| ban.id.to_string()).unwrap_or_default(),
            format: list.format.as_str(),
            detected: list.detected,
            rules: list.entries,
            digest: list.digest.clone(),
        });
        rows.collect()
    }
}

/// One upstream.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamRow {
    /// The first of the zones that it is asked for; `None`: every other name.
    pub(super) zone: Option<String>,
    /// As it is written in the configuration.
    pub(super) address: String,
    healthy: bool,
    in_flight: usize,
    queries: u64,
    failures: u64,
    srtt_ms: Option<f64>,
    /// Why it can't be asked at present.
    trouble: Option<String>,
}

/// A policy zone on the wire.
#[derive(Debug, Serialize)]
pub(super) struct ZoneRow {
    zone: String,
    /// `out`: for other resolvers; `in`: from others.
    direction: &'static str,
    /// `None`: there is no version yet.
    serial: Option<u32>,
    /// Its records.
    records: u64,
    /// The same by what they trigger on.
    triggers: BTreeMap<&'static str, u64>,
    /// Of ours: how much of the bans no policy zone can say.
    unsaid: u64,
    /// Of others': when a primary last said that this is the newest version.
    refreshed: Option<String>,
    /// Of others': whether that is longer ago than the zone says itself.
    expired: bool,
}

/// The cache.
#[derive(Debug, Serialize)]
pub(super) struct CacheStatus {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

/// The record.
#[derive(Debug, Serialize)]
pub(super) struct JournalStatus {
    pending: u64,
    lost: u64,
    last_commit: Option<String>,
    error: Option<String>,
    size_bytes: u64,
}

/// How the last reload went.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Reload {
    /// When; `None`: there was none since the start.
    pub(super) at: Option<String>,
    pub(super) ok: bool,
    /// What asked for it.
    pub(super) why: String,
    /// Every mistake, as `embargo check` prints it.
    pub(super) mistakes: Vec<String>,
    /// What was changed but takes effect only after a restart.
    pub(super) needs_restart: Vec<&'static str>,
}

impl PolicyStatus {
    pub(super) fn of(policy: &Policy, last_good: bool, at: Timestamp) -> Self {
        Self {
            generation: policy.generation(),
            last_good,
            memory_bytes: policy.memory_bytes(),
            bans: BanRow::all(policy, at),
            lists: ListRow::all(policy),
        }
    }
}

impl From<(Arc<str>, UpstreamStatus)> for UpstreamRow {
    fn from((title, status): (Arc<str>, UpstreamStatus)) -> Self {
        Self {
            zone: (*title != *".").then(|| title.to_string()),
            address: status.server.to_string(),
            healthy: status.healthy,
            in_flight: status.in_flight,
            queries: status.queries,
            failures: status.failures,
            srtt_ms: status.srtt_ms,
            trouble: status.trouble.map(|why| why.to_string()),
        }
    }
}

impl ZoneRow {
    /// Zones of ours.
    pub(super) fn sent(primary: &Primary) -> Vec<Self> {
        let row = |(config, version): (&ZoneConfig, Option<Arc<Published>>)| {
            let triggers = version.as_ref().map(|version| version.triggers).unwrap_or_default();
            Self {
                serial: version.as_ref().map(|version| version.serial),
                unsaid: version.as_ref().map_or(0, |version| version.unsaid),
                ..Self::of(&config.zone, "out", triggers)
            }
        };
        primary.published().map(row).collect()
    }

    /// A zone of others.
    pub(super) fn received(zone: &Name, state: Option<ZoneState>) -> Self {
        let Some(ZoneState { serial, triggers, refreshed, expired }) = state else {
            return Self::of(zone, "in", Triggers::default());
        };
        Self { serial: Some(serial), refreshed: Some(rfc3339(refreshed)), expired, ..Self::of(zone, "in", triggers) }
    }

    fn of(zone: &Name, direction: &'static str, triggers: Triggers) -> Self {
        Self {
            zone: LowerName::from(zone).to_string(),
            direction,
            serial: None,
            records: triggers.total(),
            triggers: triggers.all().into(),
            unsaid: 0,
            refreshed: None,
            expired: false,
        }
    }
}

impl From<journal::Status> for JournalStatus {
    fn from(status: journal::Status) -> Self {
        Self {
            pending: status.pending,
            lost: status.lost,
            last_commit: status.last_commit.map(rfc3339),
            error: status.store_error,
            size_bytes: status.size_bytes,
        }
    }
}
