//! `embargo.toml` and `ban.toml` as written: every key, nothing understood yet.
//!
//! Every value may be missing: what is required, known or in range is told by the step from here to values ([`super::convert`],
//! [`super::ban`]), which names all mistakes at once. Neither `flatten` nor `untagged` is used: serde loses places in both.

use std::collections::BTreeMap;
use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, Error, MapAccess, Visitor},
};
use toml::Spanned;
use toml::value::Datetime;

use super::units::Amount;

/// A text with its place.
pub(super) type Text = Option<Spanned<String>>;
/// Texts, each with its place.
pub(super) type Texts = Option<Spanned<Vec<Spanned<String>>>>;
/// A number of things, with its place.
pub(super) type Count = Option<Spanned<i64>>;
/// A duration or a size, with its place.
pub(super) type Measure = Option<Spanned<Amount>>;
/// Yes or no, with its place.
pub(super) type Flag = Option<Spanned<bool>>;
/// A date or time, with its place.
pub(super) type Moment = Option<Spanned<Datetime>>;

/// `embargo.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Texts,
    pub(super) listen_tls: Texts,
    pub(super) listen_https: Texts,
    pub(super) listen_http: Texts,
    pub(super) listen_quic: Texts,
    pub(super) admin: Text,
    pub(super) access: super::access::Access,
    pub(super) allow: Texts,
    pub(super) proxies: Texts,
    pub(super) devices_from: Texts,
    pub(super) neighbours: Flag,
    pub(super) ptr_networks: Texts,
    pub(super) caching_forwarders: Texts,
    pub(super) workers: Count,
    pub(super) state_dir: Text,
    pub(super) time_zone: Text,
    pub(super) blocklists: Text,
    pub(super) protected: Texts,
    pub(super) any: Text,
    pub(super) about: About,
    pub(super) cookies: Cookies,
    pub(super) upstream: Upstream,
    pub(super) forward: Vec<Spanned<Forward>>,
    pub(super) local: Local,
    pub(super) rate_limit: super::rate_limit::RateLimit,
    pub(super) dnssec: Dnssec,
    pub(super) cache: Cache,
    pub(super) tcp: Tcp,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) https: Https,
    pub(super) block_page: super::block_page::BlockPage,
    pub(super) process: super::process::Process,
    pub(super) journal: Journal,
    pub(super) names: Names,
    pub(super) privacy: super::privacy::Privacy,
    pub(super) audit: super::privacy::Audit,
    pub(super) log: Log,
    pub(super) sink: Vec<Spanned<super::sink::Sink>>,
    pub(super) spool: super::sink::Spool,
    pub(super) webhook: Vec<Spanned<super::webhook::Webhook>>,
    pub(super) intake: Vec<Spanned<super::intake::Intake>>,
    pub(super) list: Vec<Spanned<FurtherList>>,
    pub(super) export: Vec<Spanned<super::export::Export>>,
    pub(super) report: Vec<Spanned<super::report::Report>>,
    pub(super) group: Vec<Spanned<Group>>,
    pub(super) leases: Vec<Spanned<super::leases::Leases>>,
    pub(super) assets: Vec<Spanned<super::leases::Assets>>,
    pub(super) exemption: Vec<Spanned<Exemption>>,
    pub(super) ban: BTreeMap<Spanned<String>, Change>,
}

/// `[about]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct About {
    pub(super) nsid: Text,
    pub(super) id: Text,
    pub(super) version: Text,
}

/// `[cookies]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cookies {
    pub(super) secret_file: Text,
    pub(super) required: Flag,
}

/// `[upstream]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Upstream {
    pub(super) servers: Texts,
    pub(super) order: Text,
    pub(super) trust_ad: Flag,
    pub(super) ecs_from: Texts,
    pub(super) bootstrap: Texts,
    pub(super) ca_file: Text,
    pub(super) client_certificate: Text,
    pub(super) client_key: Text,
    pub(super) hedge_after: Measure,
    pub(super) deadline: Measure,
    pub(super) exchange_max: Measure,
    pub(super) in_flight_max: Count,
    pub(super) source: Texts,
    pub(super) source_ports: Text,
}

/// `[dnssec]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dnssec {
    pub(super) validate: Flag,
    pub(super) trust_anchors: Text,
    pub(super) insecure: Texts,
    pub(super) negative_anchor: Vec<Spanned<NegativeAnchor>>,
}

/// `[[dnssec.negative_anchor]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NegativeAnchor {
    pub(super) zone: Text,
    pub(super) until: Moment,
}

/// `[[forward]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Forward {
    pub(super) zones: Texts,
    pub(super) servers: Texts,
    pub(super) order: Text,
    pub(super) trust_ad: Flag,
    pub(super) ecs_from: Texts,
}

/// `[local]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Local {
    pub(super) records: Texts,
    pub(super) hosts: Text,
    pub(super) ttl: Measure,
    pub(super) special_use_off: Texts,
    pub(super) rebind_protection: Flag,
    pub(super) rebind_allow: Texts,
}

/// `[cache]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    pub(super) size: Measure,
    pub(super) ttl_min: Measure,
    pub(super) ttl_max: Measure,
    pub(super) negative_ttl_max: Measure,
    pub(super) stale_max: Measure,
    pub(super) stale_after: Measure,
    pub(super) stale_rest: Measure,
    pub(super) failure_ttl: Measure,
    pub(super) failure_ttl_max: Measure,
    pub(super) prefetch_hits: Count,
    pub(super) bypass: Texts,
    pub(super) save: Flag,
}

/// `[tcp]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tcp {
    pub(super) connections_max: Count,
    pub(super) connections_per_client_max: Count,
    pub(super) queries_in_flight_max: Count,
    pub(super) idle: Measure,
}

/// `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: Text,
    pub(super) key: Text,
}

/// `[https]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Https {
    pub(super) path: Text,
    pub(super) proxies: Texts,
}

/// `[journal]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Journal {
    pub(super) attempts_keep: Measure,
    pub(super) clients_keep: Measure,
    pub(super) presence_keep: Measure,
    pub(super) days_keep: Measure,
    pub(super) size_max: Measure,
    pub(super) rows_in_memory_max: Count,
    pub(super) rows_per_second_max: Count,
}

/// `[names]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Names {
    pub(super) enabled: Flag,
    pub(super) keep: Measure,
    pub(super) size_max: Measure,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Text,
    pub(super) level: Text,
}

/// `[[list]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FurtherList {
    pub(super) id: Text,
    pub(super) file: Text,
    pub(super) url: Text,
    pub(super) zone: Text,
    pub(super) primaries: Texts,
    pub(super) key_file: Text,
    pub(super) tls_name: Text,
    pub(super) format: Text,
    pub(super) strict: Flag,
    pub(super) refresh: Measure,
    pub(super) time_max: Measure,
    pub(super) size_max: Measure,
    pub(super) shrink_max: Text,
    pub(super) growth_max: Text,
    pub(super) minisign_key: Text,
    pub(super) ca_file: Text,
    pub(super) internal: Flag,
}

/// A list of a ban's folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct List {
    pub(super) file: Text,
    pub(super) format: Text,
    pub(super) strict: Flag,
}

/// `[ban.<id>]`: what the operator changes about a ban.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    pub(super) mode: Text,
    pub(super) observe_from: Moment,
    pub(super) enforce_from: Moment,
    pub(super) action: Text,
    pub(super) ede: Ede,
    pub(super) ttl: Measure,
    pub(super) sinkhole: Texts,
    pub(super) contact: Text,
    pub(super) alternatives: Text,
    pub(super) page: super::block_page::Pages,
    pub(super) bound_by: Texts,
    pub(super) schedule: Texts,
    pub(super) time_zone: Text,
    pub(super) rollout: Count,
    pub(super) r#for: Vec<Spanned<Term>>,
}

/// `[[ban.<id>.for]]`: what the operator changes about a ban for the clients of some groups.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Term {
    pub(super) groups: Texts,
    pub(super) mode: Text,
    pub(super) observe_from: Moment,
    pub(super) enforce_from: Moment,
    pub(super) action: Text,
    pub(super) schedule: Texts,
    pub(super) time_zone: Text,
    pub(super) rollout: Count,
}

/// The keys that [`Change`] and [`Term`] share; serde's `flatten` would lose their places.
#[derive(Debug)]
pub(super) struct Stance<'f> {
    pub(super) mode: &'f Text,
    pub(super) observe_from: &'f Moment,
    pub(super) enforce_from: &'f Moment,
    pub(super) action: &'f Text,
    pub(super) schedule: &'f Texts,
    pub(super) time_zone: &'f Text,
    pub(super) rollout: &'f Count,
}

impl Change {
    pub(super) fn stance(&self) -> Stance<'_> {
        let Self { mode, observe_from, enforce_from, action, schedule, time_zone, rollout, .. } = self;
        Stance { mode, observe_from, enforce_from, action, schedule, time_zone, rollout }
    }
}

impl Term {
    pub(super) fn stance(&self) -> Stance<'_> {
        let Self { groups: _, mode, observe_from, enforce_from, action, schedule, time_zone, rollout } = self;
        Stance { mode, observe_from, enforce_from, action, schedule, time_zone, rollout }
    }
}

/// `[[group]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Group {
    pub(super) id: Text,
    pub(super) kind: Text,
    pub(super) networks: Texts,
    pub(super) devices: Texts,
    pub(super) privacy: Text,
    pub(super) country: Text,
    pub(super) department: Text,
    pub(super) listeners: Texts,
    pub(super) paths: Texts,
    pub(super) tls_names: Texts,
}

/// `[[exemption]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Exemption {
    pub(super) clients: Texts,
    pub(super) groups: Texts,
    pub(super) ban: Text,
    pub(super) category: Text,
    pub(super) name: Text,
    pub(super) until: Moment,
    pub(super) endless: Flag,
    pub(super) owner: Text,
    pub(super) reason: Text,
    pub(super) ticket: Text,
}

/// `ede = { code = …, text = "…" }`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ede {
    pub(super) code: Count,
    pub(super) text: Text,
}

/// `ban.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BanFile {
    pub(super) version: Count,
    pub(super) id: Text,
    pub(super) kind: Text,
    pub(super) title: Text,
    pub(super) vendor: Text,
    pub(super) lists: Option<Spanned<Vec<Spanned<ListName>>>>,
    pub(super) mode: Text,
    pub(super) observe_from: Moment,
    pub(super) enforce_from: Moment,
    pub(super) action: Text,
    pub(super) ede: Ede,
    pub(super) ttl: Measure,
    pub(super) sinkhole: Texts,
    pub(super) contact: Text,
    pub(super) alternatives: Text,
    pub(super) page: super::block_page::Pages,
    pub(super) law: Vec<Spanned<Law>>,
    pub(super) milestone: Vec<Spanned<Milestone>>,
    pub(super) fallback_resolvers: Texts,
}

impl BanFile {
    /// The keys that `ban.toml` shares with `[ban.<id>]`; serde's `flatten` would lose their places.
    pub(super) fn take_change(&mut self) -> Change {
        Change {
            mode: self.mode.take(),
            observe_from: self.observe_from.take(),
            enforce_from: self.enforce_from.take(),
            action: self.action.take(),
            ede: std::mem::take(&mut self.ede),
            ttl: self.ttl.take(),
            sinkhole: self.sinkhole.take(),
            contact: self.contact.take(),
            alternatives: self.alternatives.take(),
            page: std::mem::take(&mut self.page),
            ..Change::default()
        }
    }
}

/// `[[law]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Law {
    pub(super) id: Text,
    pub(super) jurisdiction: Text,
    pub(super) instrument: Text,
    pub(super) citation: Text,
    pub(super) issued: Moment,
    pub(super) effective: Moment,
    pub(super) applies_to: Text,
    pub(super) end_use: Text,
    pub(super) note: Text,
    pub(super) source: Text,
}

/// `[[milestone]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Milestone {
    pub(super) date: Moment,
    pub(super) text: Text,
}

/// One of a ban's `lists`: `"rules.txt"` or `{ file = "x.txt", format = "domains" }`.
#[derive(Debug, Default)]
pub(super) struct ListName(pub(super) List);

impl<'de> Deserialize<'de> for ListName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListNameVisitor)
    }
}

struct ListNameVisitor;

impl<'de> Visitor<'de> for ListNameVisitor {
    type Value = ListName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file name, or { file = \"…\", format = \"…\" }")
    }

    fn visit_str<E: Error>(self, file: &str) -> Result<ListName, E> {
        // The place is that of the whole entry, which is this text.
        Ok(ListName(List { file: Some(Spanned::new(0..0, file.to_owned())), ..List::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListName, A::Error> {
        List::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(ListName)
    }
}
