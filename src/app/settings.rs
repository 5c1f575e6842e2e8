//! The settings in force as programs are told of them: by the names of the configuration file, durations in seconds, sizes in
//! bytes. Secrets are in files of their own, and of these only the places are told.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{Allowed, At, Blocklists, Loaded, Settings};

/// All of them but lists, sinks and what else the status tells.
pub(super) fn shown(loaded: &Loaded) -> Value {
    let settings = &loaded.settings;
    json!({
        "file": loaded.file.as_ref().map(|path| path.display().to_string()),
        "state_dir": loaded.state_dir.display().to_string(),
        "listen": texts(&settings.listen),
        "listen_tls": texts(&settings.encrypted.listen_tls),
        "listen_https": texts(&settings.encrypted.listen_https),
        "listen_http": texts(&settings.encrypted.listen_http),
        "listen_quic": texts(&settings.encrypted.listen_quic),
        "admin": settings.admin.map(|address| address.to_string()),
        "access": access(settings),
        "allow": settings.allow.iter().map(allowed).collect::<Vec<_>>(),
        "proxies": texts(&settings.proxies),
        "devices_from": texts(&settings.devices_from),
        "neighbours": settings.neighbours,
        "caching_forwarders": texts(settings.caching_forwarders.iter().map(|at| at.value)),
        "workers": settings.workers,
        "time_zone": settings.time_zone.iana_name().unwrap_or("UTC"),
        "blocklists": match &settings.blocklists {
            Blocklists::Embedded => Value::Null,
            Blocklists::Directory(at) => at.value.display().to_string().into(),
        },
        "protected": texts(&settings.protected),
        "upstream": upstream(settings),
        "dnssec": {"validate": settings.dnssec.validate},
        "cache": cache(settings),
        "tcp": tcp(settings),
        "tls": settings.tls.as_ref().map(|tls| json!({"certificate": path(&tls.certificate), "names": tls.names})),
        "journal": journal(settings),
        "log": {"level": settings.log.level},
        "spool_max_bytes": settings.spool_max_bytes,
        "sinks": settings.sinks.len(),
        "intakes": settings.intakes.len(),
        "exports": settings.exports.len(),
        "groups": settings.groups.iter().map(|group| json!({"id": *group.id, "kind": group.kind.as_str()})).collect::<Vec<_>>(),
        "leases": settings.leases.len(),
        "assets": settings.assets.len(),
        "exemptions": settings.exemptions.len(),
    })
}

fn texts<T: Display>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

fn allowed(allowed: &Allowed) -> String {
    match allowed {
        Allowed::OnLink => "on-link".to_owned(),
        Allowed::Network(network) => network.to_string(),
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn path(at: &At<std::path::PathBuf>) -> String {
    at.value.display().to_string()
}

fn access(settings: &Settings) -> Value {
    let rules = &settings.access.rules;
    json!({
        "hosts": rules.hosts,
        "loopback_reads": rules.loopback_reads,
        "certificate": settings.access.tls.as_ref().map(|tls| path(&tls.certificate)),
        "proxies": texts(&rules.proxies),
        "user_header": rules.user_header,
        "forwarded_scopes": rules.forwarded_scopes,
    })
}

fn upstream(settings: &Settings) -> Value {
    let upstream = &settings.upstream;
    let forward = |zones: &[crate::wire::Name], servers: &[crate::upstream::UpstreamSpec]| json!({"zones": texts(zones), "servers": texts(servers)});
    json!({
        "servers": texts(&upstream.servers),
        "order": upstream.order.as_str(),
        "trust_ad": upstream.trust_ad,
        "bootstrap": texts(&upstream.bootstrap),
        "hedge_after": seconds(upstream.hedge_after),
        "deadline": seconds(upstream.deadline),
        "exchange_max": seconds(upstream.exchange_max),
        "in_flight_max": upstream.in_flight_max,
        "forward": settings.forwards.iter().map(|to| forward(&to.zones, &to.servers.value)).collect::<Vec<_>>(),
    })
}

fn cache(settings: &Settings) -> Value {
    let cache = &settings.cache;
    json!({
        "size": cache.size_max_bytes,
        "ttl_min": seconds(cache.ttl_min),
        "ttl_max": seconds(cache.ttl_max),
        "negative_ttl_max": seconds(cache.negative_ttl_max),
        "stale_max": seconds(cache.stale_max),
        "failure_ttl": seconds(cache.failure_ttl),
        "prefetch_hits": cache.prefetch_hits,
        "save": cache.save,
    })
}

fn tcp(settings: &Settings) -> Value {
    let tcp = &settings.tcp;
    json!({
        "connections_max": tcp.connections_max,
        "connections_per_client_max": tcp.connections_per_client_max,
        "queries_in_flight_max": tcp.queries_in_flight_max,
        "idle": seconds(tcp.idle),
    })
}

fn journal(settings: &Settings) -> Value {
    let journal = &settings.journal;
    json!({
        "attempts_keep_days": journal.attempts_keep_days,
        "clients_keep_days": journal.clients_keep_days,
        "presence_keep_days": journal.presence_keep_days,
        "size_max": journal.size_max_bytes,
        "rows_in_memory_max": journal.rows_in_memory_max,
        "rows_per_second_max": journal.rows_per_second_max,
    })
}
