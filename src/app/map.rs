//! Settings as written to the settings of each module.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::cache;
use crate::config::{ExportSettings, Loaded, Settings, Way};
use crate::journal;
use crate::serve::{ForwarderConfig, HopConfig, ListenConfig, RateConfig, StreamConfig};
use crate::sinks::{Observer, SinkConfig};
use crate::transfer::ZoneConfig;
use crate::wire::LowerName;

/// Different questions open at upstreams at a time.
const OPEN_MAX: usize = 4096;
/// Popular answers that are asked for again at a time.
const RENEWALS_MAX: usize = 64;
/// Queries that wait for an answer at a time; each holds some kilobytes.
const WAITING_MAX: usize = 16_384;
/// A message that has begun to come, or an answer that is being taken, is waited for this long.
const SLOW: Duration = Duration::from_secs(5);

/// Threads that read UDP.
pub(super) fn workers(settings: &Settings) -> NonZeroUsize {
    settings.workers.unwrap_or_else(|| available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

pub(super) fn hop(settings: &Settings) -> HopConfig {
    let hop = &settings.hop;
    let octets = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().into());
    HopConfig {
        cookie_secrets: hop.cookie_secrets.clone(),
        cookie_required: hop.cookie_required,
        nsid: octets(&hop.nsid),
        id: octets(&hop.id),
        version: octets(&hop.version),
        any: hop.any,
    }
}

/// Zones for other resolvers.
pub(super) fn exports(settings: &Settings) -> Vec<ZoneConfig> {
    let zone = |export: &ExportSettings| ZoneConfig {
        zone: export.zone.clone(),
        bans: export.bans.as_ref().map(|bans| bans.iter().map(|ban| Arc::clone(&ban.value)).collect()),
        allow: export.allow.clone(),
        key: export.key_file.as_ref().and_then(|file| file.key.clone()),
        notify: export.notify.clone(),
    };
    settings.exports.iter().map(zone).collect()
}

/// The names of all policy zones on the wire, ours and others'.
pub(super) fn zones(settings: &Settings) -> Vec<String> {
    let others = settings.lists.iter().filter_map(|list| match &list.elsewhere.as_ref()?.way {
        Way::Zone(zone) => Some(&zone.wanted.zone),
        Way::Url(_) => None,
    });
    let ours = settings.exports.iter().map(|export| &export.zone);
    ours.chain(others).map(|zone| LowerName::from(zone).to_string()).collect()
}

pub(super) fn cache(settings: &Settings) -> cache::Config {
    cache::Config {
        bytes_max: settings.cache.size_max_bytes,
        ttl_min: settings.cache.ttl_min,
        ttl_max: settings.cache.ttl_max,
        negative_ttl_max: settings.cache.negative_ttl_max,
        stale_max: settings.cache.stale_max,
        stale_rest: settings.cache.stale_rest,
        failure_ttl: settings.cache.failure_ttl,
        failure_ttl_max: settings.cache.failure_ttl_max,
        prefetch_hits: settings.cache.prefetch_hits,
        bypass: settings.cache.bypass.iter().collect(),
    }
}

pub(super) fn forwarder(settings: &Settings) -> ForwarderConfig {
    ForwarderConfig {
        deadline: settings.upstream.deadline,
        stale_after: settings.cache.stale_after,
        open_max: OPEN_MAX,
        renewals_max: RENEWALS_MAX,
    }
}

pub(super) fn listen(settings: &Settings) -> ListenConfig {
    ListenConfig {
        waiting_max: WAITING_MAX,
        streams: StreamConfig {
            connections_max: settings.tcp.connections_max,
            connections_per_client_max: settings.tcp.connections_per_client_max,
            queries_in_flight_max: settings.tcp.queries_in_flight_max,
            idle: settings.tcp.idle,
            slow: SLOW,
        },
    }
}

pub(super) fn rates(settings: &Settings) -> Option<RateConfig> {
    let limit = &settings.rate_limit;
    Some(RateConfig {
        per_second: limit.responses_per_second?,
        v4_prefix: limit.ipv4_prefix,
        v6_prefix: limit.ipv6_prefix,
        exempt: limit.exempt.clone(),
        shared: limit.shared.clone(),
    })
}

/// Where attempts are sent to.
pub(super) fn sinks(settings: &Settings) -> Vec<SinkConfig> {
    settings.sinks.iter().map(|settings| settings.sink.clone()).collect()
}

/// Who we are to receivers: what `[about]` calls this host, or its own name.
pub(super) fn observer(settings: &Settings) -> Observer {
    let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    let host = settings.hop.id.clone().or_else(|| own().ok()).unwrap_or_default();
    Observer { host, pid: std::process::id() }
}

/// How the record is kept.
pub(crate) fn journal(loaded: &Loaded) -> journal::Config {
    let settings = &loaded.settings.journal;
    journal::Config {
        attempts_keep_days: settings.attempts_keep_days,
        clients_keep_days: settings.clients_keep_days,
        device_days_keep_days: settings.device_days_keep_days,
        presence_keep_days: settings.presence_keep_days,
        size_max_bytes: settings.size_max_bytes,
        rows_in_memory_max: settings.rows_in_memory_max,
        rows_per_second_max: settings.rows_per_second_max,
        ..journal::Config::new(&loaded.state_dir)
    }
}
