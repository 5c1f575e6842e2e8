//! `[rate_limit]` as written to what is meant.

use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::convert::{each, network};
use super::file::{Count, Text, Texts};
use super::reader::Reader;

/// Responses a second that can be set, and clients that one address can stand for.
const NUMBER_MAX: i64 = 1_000_000;

/// `[rate_limit]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    responses_per_second: Count,
    ipv4_prefix: Count,
    ipv6_prefix: Count,
    exempt: Texts,
    shared: Vec<Spanned<SharedAddress>>,
}

/// One of `shared` in `[rate_limit]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SharedAddress {
    network: Text,
    clients: Count,
}

/// Limits on responses to clients that prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// Responses a second to one client; `None`: no limit.
    pub responses_per_second: Option<NonZeroU32>,
    /// Bits of an IPv4 address that make a client.
    pub ipv4_prefix: u8,
    /// The same of IPv6.
    pub ipv6_prefix: u8,
    /// Networks without limit.
    pub exempt: Vec<IpNet>,
    /// Networks behind one address, and how many clients that stands for.
    pub shared: Vec<(IpNet, NonZeroU32)>,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        let (exempt, shared) = (Vec::new(), Vec::new());
        Self { responses_per_second: None, ipv4_prefix: 32, ipv6_prefix: 64, exempt, shared }
    }
}

pub(super) fn settings(file: &RateLimit, default: RateLimitSettings, reader: &mut Reader<'_>) -> RateLimitSettings {
    let shared = file.shared.iter().filter_map(|shared| address(shared, reader)).collect();
    RateLimitSettings {
        responses_per_second: NonZeroU32::new(reader.count(&file.responses_per_second, 0..=NUMBER_MAX, 0)),
        ipv4_prefix: reader.count(&file.ipv4_prefix, 8..=32, default.ipv4_prefix),
        ipv6_prefix: reader.count(&file.ipv6_prefix, 16..=128, default.ipv6_prefix),
        exempt: each(&file.exempt, network, reader).unwrap_or(default.exempt),
        shared,
    }
}

fn address(written: &Spanned<SharedAddress>, reader: &mut Reader<'_>) -> Option<(IpNet, NonZeroU32)> {
    let (table, shared) = (written.span(), written.get_ref());
    if shared.clients.is_none() {
        reader.missing("clients", Some(table.clone()));
    }
    let clients = NonZeroU32::new(reader.count(&shared.clients, 1..=NUMBER_MAX, 1));
    let Some(text) = &shared.network else {
        reader.missing("network", Some(table));
        return None;
    };
    match network(text.get_ref()) {
        Ok(network) => clients.map(|clients| (network, clients)),
        Err(error) => {
            reader.error(text.span(), error.to_string());
            None
        }
    }
}
