//! `embargo.toml` as written to [`Settings`]; all mistakes at once.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use toml::Spanned;
use tracing_subscriber::EnvFilter;

use super::access;
use super::at::At;
use super::ban::{BanChange, Change, is_id};
use super::block_page;
use super::dnssec;
use super::encrypted;
use super::exemption;
use super::export;
use super::file::{self, File, Text, Texts};
use super::further;
use super::hop;
use super::intake;
use super::leases;
use super::local;
use super::logged::{LogFormat, LogSettings};
use super::privacy;
use super::process;
use super::rate_limit;
use super::reader::Reader;
use super::report;
use super::settings::{
    Allowed, Blocklists, CacheSettings, ForwardSettings, JournalSettings, Reading, Settings, TcpSettings,
    UpstreamSettings,
};
use super::sink;
use super::stance::TermChange;
use super::trust;
use super::unreadable::Unreadable;
use super::who;
use crate::diag::{Diagnostic, Source};
use crate::journal::NamesConfig;
use crate::policy::{Group, ListFormat, Strictness};
use crate::upstream::{GROUPS_MAX, Order, UpstreamSpec};
use crate::wire::Name;

/// What `admin` is set to when nobody shall be served.
const OFF: &str = "off";
/// What `allow` calls the networks that the host is in.
const ON_LINK: &str = "on-link";

/// Reads a configuration; `base` is the directory that its relative paths start from.
pub(super) fn settings(source: &Source, base: &Path) -> (Settings, Vec<Diagnostic>) {
    let mut reader = Reader::new(source);
    let Some(file) = reader.file::<File>() else { return (Settings::default(), reader.finish()) };
    let default = Settings::default();
    let zone = time_zone(&file.time_zone, &mut reader);
    let groups = who::groups(&file.group, &mut reader);
    let encrypted = encrypted::settings(&file, &mut reader);
    let doors = who::doors(&file.group, &encrypted.https_path, &mut reader);
    let settings = Settings {
        listen: at_least_one(&file.listen, listen, default.listen, &mut reader),
        admin: admin(&file.admin, default.admin, &mut reader),
        access: access::settings(&file.access, base, &mut reader),
        allow: each(&file.allow, allowed, &mut reader).unwrap_or(default.allow),
        proxies: each(&file.proxies, network, &mut reader).unwrap_or_default(),
        neighbours: flag(&file.neighbours, false),
        ptr_networks: each(&file.ptr_networks, network, &mut reader).unwrap_or_default(),
        devices_from: each(&file.devices_from, network, &mut reader).unwrap_or_default(),
        caching_forwarders: places(&file.caching_forwarders, network, &mut reader),
        workers: workers(&file.workers, &mut reader),
        state_dir: file.state_dir.as_ref().map(|dir| base.join(dir.get_ref())),
        blocklists: blocklists(file.blocklists.as_ref(), base, &reader),
        protected: each(&file.protected, name, &mut reader).unwrap_or_default(),
        hop: hop::settings(&file, base, &mut reader),
        upstream: upstream(&file.upstream, base, default.upstream, &mut reader),
        forwards: forwards(&file.forward, has_some(&file.upstream.bootstrap), &mut reader),
        rate_limit: rate_limit::settings(&file.rate_limit, default.rate_limit, &mut reader),
        local: local::settings(&file.local, base, &default.local, &mut reader),
        dnssec: dnssec::settings(&file.dnssec, base, &zone, &mut reader),
        cache: cache(&file.cache, default.cache, &mut reader),
        tcp: tcp(&file.tcp, default.tcp, &mut reader),
        encrypted,
        block_page: block_page::settings(&file.block_page, base, &mut reader),
        process: process::settings(&file.process, &mut reader),
        tls: file.tls.as_ref().map(|written| encrypted::tls(written, base, &mut reader)),
        journal: journal(&file.journal, default.journal, &mut reader),
        names: names(&file.names, default.names, &mut reader),
        privacy: privacy::settings(&file.privacy, &file.group, &groups, &mut reader),
        audit_reads: flag(&file.audit.reads, default.audit_reads),
        log: log(&file.log, default.log, &mut reader),
        sinks: sink::settings((&file.sink, &file.webhook), base, &mut reader),
        spool_max_bytes: sink::spool(&file.spool, default.spool_max_bytes, &mut reader),
        intakes: intake::settings(&file.intake, base, &mut reader),
        exports: export::settings(&file.export, base, &mut reader),
        reports: report::settings(&file.report, base, &zone, &mut reader),
        lists: further::lists(&file.list, base, &mut reader),
        bans: file.ban.iter().map(|(id, change)| ban_change(id, change, &groups, &zone, &mut reader)).collect(),
        exemptions: exemption::read(&file.exemption, &groups, &zone, &mut reader),
        tags: who::tags(&file.group, &groups, &mut reader),
        doors,
        groups,
        leases: leases::files(&file.leases, base, &mut reader),
        assets: leases::assets(&file.assets, base, &mut reader),
        time_zone: zone,
    };
    (settings, reader.finish())
}

fn blocklists(written: Option<&Spanned<String>>, base: &Path, reader: &Reader<'_>) -> Blocklists {
    written.map_or(Blocklists::Embedded, |directory| {
        Blocklists::Directory(reader.at(base.join(directory.get_ref()), directory.span()))
    })
}

/// Reads each text by `read`; what it says becomes a mistake at the text.
pub(super) fn each<T>(
    texts: &Texts,
    read: impl Fn(&str) -> Result<T, Unreadable>,
    reader: &mut Reader<'_>,
) -> Option<Vec<T>> {
    let mut values = Vec::new();
    for text in texts.as_ref()?.get_ref() {
        match read(text.get_ref()) {
            Ok(value) => values.push(value),
            Err(error) => reader.error(text.span(), error.to_string()),
        }
    }
    Some(values)
}

/// The same with their places, for what is found wrong later.
fn places<T>(texts: &Texts, read: impl Fn(&str) -> Result<T, Unreadable>, reader: &mut Reader<'_>) -> Vec<At<T>> {
    let mut values = Vec::new();
    for text in texts.iter().flat_map(Spanned::get_ref) {
        match read(text.get_ref()) {
            Ok(value) => values.push(reader.at(value, text.span())),
            Err(error) => reader.error(text.span(), error.to_string()),
        }
    }
    values
}

fn at_least_one<T>(
    texts: &Texts,
    read: impl Fn(&str) -> Result<T, Unreadable>,
    default: Vec<T>,
    reader: &mut Reader<'_>,
) -> Vec<T> {
    let known = reader.mistakes.len();
    let values = each(texts, read, reader).unwrap_or(default);
    if values.is_empty() && reader.mistakes.len() == known {
        let span = texts.as_ref().map(Spanned::span).unwrap_or_default();
        reader.error(span, "needs at least one entry; remove the line for the default");
    }
    values
}

/// An address to listen on, for the file and for flags.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Unreadable> {
    text.parse().map_err(|_no_address| match text.parse::<IpAddr>() {
        Ok(address) => Unreadable::NoPort { with_port: SocketAddr::new(address, 53) },
        Err(_) => Unreadable::NoAddress,
    })
}

/// The address of the admin server, or off, for the file and for flags.
pub(super) fn admin_address(text: &str) -> Result<Option<SocketAddr>, Unreadable> {
    if text == OFF { Ok(None) } else { listen(text).map(Some) }
}

/// An upstream, for the file and for flags. Only where there is a `bootstrap` it may be written by host name.
pub(super) fn upstream_spec(bootstrap: bool) -> impl Fn(&str) -> Result<UpstreamSpec, Unreadable> {
    move |text| match text.parse::<UpstreamSpec>()? {
        spec if spec.is_by_name() && !bootstrap => Err(Unreadable::Unresolved),
        spec => Ok(spec),
    }
}

/// A server that resolves the names of others.
fn bootstrap_spec(text: &str) -> Result<UpstreamSpec, Unreadable> {
    match text.parse::<UpstreamSpec>()? {
        spec if spec.is_by_name() || spec == UpstreamSpec::System => Err(Unreadable::Bootstrap),
        spec => Ok(spec),
    }
}

/// Whether anything is written.
fn has_some(texts: &Texts) -> bool {
    texts.as_ref().is_some_and(|texts| !texts.get_ref().is_empty())
}

fn admin(written: &Text, default: Option<SocketAddr>, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let Some(text) = written else { return default };
    admin_address(text.get_ref()).unwrap_or_else(|error| {
        reader.error(text.span(), error.to_string());
        default
    })
}

/// Who is served.
fn allowed(text: &str) -> Result<Allowed, Unreadable> {
    if text == ON_LINK { Ok(Allowed::OnLink) } else { network(text).map(Allowed::Network) }
}

/// A network, or an address alone.
pub(super) fn network(text: &str) -> Result<IpNet, Unreadable> {
    let network = IpNet::from_str(text).or_else(|_no_prefix| IpAddr::from_str(text).map(IpNet::from));
    let network = network.map_err(|_neither| Unreadable::NoNetwork)?;
    if network.addr() == network.network() { Ok(network) } else { Err(Unreadable::HostBits { meant: network.trunc() }) }
}

/// A domain name.
pub(super) fn name(text: &str) -> Result<Name, Unreadable> {
    Ok(Name::parse(text)?)
}

/// A time zone by its name; UTC when nothing or nothing right is written.
pub(super) fn time_zone(written: &Text, reader: &mut Reader<'_>) -> TimeZone {
    let Some(text) = written.as_ref().filter(|text| text.get_ref() != "UTC") else { return TimeZone::UTC };
    TimeZone::get(text.get_ref()).unwrap_or_else(|_unknown| {
        reader.error(text.span(), "unknown time zone; write \"UTC\" or a name such as \"America/New_York\"");
        TimeZone::UTC
    })
}

fn workers(written: &file::Count, reader: &mut Reader<'_>) -> Option<NonZeroUsize> {
    NonZeroUsize::new(reader.count(written, 1..=1_024, 0))
}

/// Seconds as limits.
pub(super) fn seconds(limits: RangeInclusive<u64>) -> RangeInclusive<Duration> {
    Duration::from_secs(*limits.start())..=Duration::from_secs(*limits.end())
}

fn upstream(
    file: &file::Upstream,
    base: &Path,
    default: UpstreamSettings,
    reader: &mut Reader<'_>,
) -> UpstreamSettings {
    const HEDGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(8);
    const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(8);
    let settings = UpstreamSettings {
        servers: at_least_one(&file.servers, upstream_spec(has_some(&file.bootstrap)), default.servers, reader),
        order: order(&file.order, reader),
        trust_ad: flag(&file.trust_ad, default.trust_ad),
        ecs_from: each(&file.ecs_from, network, reader).unwrap_or(default.ecs_from),
        bootstrap: each(&file.bootstrap, bootstrap_spec, reader).unwrap_or(default.bootstrap),
        trust: trust::files(file, base, reader),
        hedge_after: reader.duration(&file.hedge_after, HEDGE, default.hedge_after),
        deadline: reader.duration(&file.deadline, DEADLINE, default.deadline),
        exchange_max: reader.duration(&file.exchange_max, seconds(1..=30), default.exchange_max),
        in_flight_max: reader.count(&file.in_flight_max, 1..=65_535, default.in_flight_max),
        source: source(&file.source, reader),
        source_ports: source_ports(&file.source_ports, reader),
    };
    let place = |written: &file::Measure| written.as_ref().map(Spanned::span);
    if settings.hedge_after >= settings.deadline {
        let span = place(&file.hedge_after).or(place(&file.deadline)).unwrap_or_default();
        reader.error(span, "`hedge_after` must be less than `deadline`, or no second server is ever asked");
    }
    if settings.exchange_max < settings.deadline {
        let span = place(&file.exchange_max).or(place(&file.deadline)).unwrap_or_default();
        reader.error(span, "`exchange_max` must not be less than `deadline`");
    }
    settings
}

/// Yes or no.
pub(super) fn flag(written: &file::Flag, default: bool) -> bool {
    written.as_ref().map_or(default, |flag| *flag.get_ref())
}

/// The addresses to ask from: one of each family.
fn source(written: &Texts, reader: &mut Reader<'_>) -> Vec<At<IpAddr>> {
    let mut addresses: Vec<At<IpAddr>> = Vec::new();
    for text in written.iter().flat_map(Spanned::get_ref) {
        let address = text.get_ref().parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let Some(address) = address.filter(|address| !address.is_unspecified() && !address.is_multicast()) else {
            reader.error(text.span(), "no address of a host; write for example \"192.0.2.1\" or \"2001:db8::1\"");
            continue;
        };
        if addresses.iter().any(|other| other.value.is_ipv4() == address.is_ipv4()) {
            reader.error(text.span(), "one address of each family is asked from");
        }
        addresses.push(reader.at(address, text.span()));
    }
    addresses
}

/// The ports to ask from: enough of them, since they are what a forger has to guess.
fn source_ports(written: &Text, reader: &mut Reader<'_>) -> Option<RangeInclusive<u16>> {
    const PORTS_MIN: usize = 1024;
    let text = written.as_ref()?;
    let range = text.get_ref().split_once('-').and_then(|(low, high)| {
        let (low, high): (u16, u16) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        (low >= 1024 && low <= high).then_some(low..=high)
    });
    match range {
        None => reader.error(text.span(), "no range of ports from 1024 up; write for example \"1024-65535\""),
        Some(range) if range.len() < PORTS_MIN => {
            let least = format!("must be {PORTS_MIN} ports at least: they are what a forger of answers has to guess");
            reader.error(text.span(), least);
        }
        Some(range) => return Some(range),
    }
    None
}

fn order(written: &Text, reader: &mut Reader<'_>) -> Order {
    reader.word(written, "order", &Order::ALL, Order::as_str).map_or(Order::default(), |at| at.value)
}

/// The zones that are sent elsewhere; each to one place.
fn forwards(written: &[Spanned<file::Forward>], bootstrap: bool, reader: &mut Reader<'_>) -> Vec<ForwardSettings> {
    let mut met = HashSet::new();
    let mut forwards = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let (table, file) = (written.span(), written.get_ref());
        if index == GROUPS_MAX {
            reader
                .error(table.clone(), format!("at most {GROUPS_MAX} `[[forward]]` are used; one can have many zones"));
        }
        let zones = given(&file.zones, "zones", &table, zone, reader);
        for text in file.zones.iter().flat_map(Spanned::get_ref) {
            if zone(text.get_ref()).is_ok_and(|zone| !met.insert(zone)) {
                reader.error(text.span(), "this zone is sent elsewhere already");
            }
        }
        let servers = given(&file.servers, "servers", &table, upstream_spec(bootstrap), reader);
        let span = file.servers.as_ref().map_or(table, Spanned::span);
        let (order, trust_ad) = (order(&file.order, reader), flag(&file.trust_ad, false));
        let ecs_from = each(&file.ecs_from, network, reader).unwrap_or_default();
        forwards.push(ForwardSettings { zones, servers: reader.at(servers, span), order, trust_ad, ecs_from });
    }
    forwards
}

/// Texts of which there must be one.
fn given<T>(
    texts: &Texts,
    key: &str,
    table: &Range<usize>,
    read: impl Fn(&str) -> Result<T, Unreadable>,
    reader: &mut Reader<'_>,
) -> Vec<T> {
    match texts {
        None => reader.missing(key, Some(table.clone())),
        Some(texts) if texts.get_ref().is_empty() => reader.error(texts.span(), "needs at least one entry"),
        Some(_entries) => (),
    }
    each(texts, read, reader).unwrap_or_default()
}

fn zone(text: &str) -> Result<Name, Unreadable> {
    let zone = name(text)?;
    if zone.wire() == [0] { Err(Unreadable::RootZone) } else { Ok(zone) }
}

fn cache(file: &file::Cache, default: CacheSettings, reader: &mut Reader<'_>) -> CacheSettings {
    const DAY: u64 = 24 * 60 * 60;
    const STALE_AFTER: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(8);
    // RFC 9520 §3.2 sets both ends.
    let failure_limits = || seconds(1..=300);
    let settings = CacheSettings {
        size_max_bytes: reader.bytes(&file.size, 1 << 20..=1 << 40, default.size_max_bytes),
        ttl_min: reader.duration(&file.ttl_min, seconds(0..=DAY), default.ttl_min),
        ttl_max: reader.duration(&file.ttl_max, seconds(1..=7 * DAY), default.ttl_max),
        negative_ttl_max: reader.duration(&file.negative_ttl_max, seconds(1..=DAY), default.negative_ttl_max),
        stale_max: reader.duration(&file.stale_max, seconds(0..=7 * DAY), default.stale_max),
        stale_after: reader.duration(&file.stale_after, STALE_AFTER, default.stale_after),
        stale_rest: reader.duration(&file.stale_rest, seconds(1..=3600), default.stale_rest),
        failure_ttl: reader.duration(&file.failure_ttl, failure_limits(), default.failure_ttl),
        failure_ttl_max: reader.duration(&file.failure_ttl_max, failure_limits(), default.failure_ttl_max),
        prefetch_hits: reader.count(&file.prefetch_hits, 0..=1_000_000, default.prefetch_hits),
        bypass: each(&file.bypass, name, reader).unwrap_or(default.bypass),
        save: flag(&file.save, default.save),
    };
    let place = |written: &file::Measure| written.as_ref().map(Spanned::span);
    if settings.ttl_min > settings.ttl_max {
        let span = place(&file.ttl_min).or(place(&file.ttl_max)).unwrap_or_default();
        reader.error(span, "`ttl_min` must not be more than `ttl_max`");
    }
    if settings.failure_ttl > settings.failure_ttl_max {
        let span = place(&file.failure_ttl).or(place(&file.failure_ttl_max)).unwrap_or_default();
        reader.error(span, "`failure_ttl` must not be more than `failure_ttl_max`");
    }
    settings
}

fn tcp(file: &file::Tcp, default: TcpSettings, reader: &mut Reader<'_>) -> TcpSettings {
    let each = default.connections_per_client_max;
    TcpSettings {
        connections_max: reader.count(&file.connections_max, 1..=1_000_000, default.connections_max),
        connections_per_client_max: reader.count(&file.connections_per_client_max, 1..=1_000_000, each),
        queries_in_flight_max: reader.count(&file.queries_in_flight_max, 1..=10_000, default.queries_in_flight_max),
        idle: reader.duration(&file.idle, seconds(1..=600), default.idle),
    }
}

fn journal(file: &file::Journal, default: JournalSettings, reader: &mut Reader<'_>) -> JournalSettings {
    /// Ten years: more than any of the laws asks for.
    const DAYS_MAX: u32 = 3_660;
    JournalSettings {
        attempts_keep_days: reader.days(&file.attempts_keep, DAYS_MAX, default.attempts_keep_days),
        device_days_keep_days: reader.days(&file.days_keep, DAYS_MAX, default.device_days_keep_days),
        presence_keep_days: reader.days(&file.presence_keep, DAYS_MAX, default.presence_keep_days),
        clients_keep_days: reader.days(&file.clients_keep, DAYS_MAX, default.clients_keep_days),
        size_max_bytes: reader.bytes(&file.size_max, 16 << 20..=16 << 40, default.size_max_bytes),
        rows_in_memory_max: reader.count(&file.rows_in_memory_max, 1_000..=10_000_000, default.rows_in_memory_max),
        rows_per_second_max: reader.count(&file.rows_per_second_max, 100..=1_000_000, default.rows_per_second_max),
    }
}

fn names(file: &file::Names, default: NamesConfig, reader: &mut Reader<'_>) -> NamesConfig {
    /// Two years: who asked what is nobody's business for longer.
    const DAYS_MAX: u32 = 732;
    NamesConfig {
        enabled: flag(&file.enabled, default.enabled),
        keep_days: reader.days(&file.keep, DAYS_MAX, default.keep_days),
        size_max_bytes: reader.bytes(&file.size_max, 1 << 20..=1 << 40, default.size_max_bytes),
    }
}

fn log(file: &file::Log, default: LogSettings, reader: &mut Reader<'_>) -> LogSettings {
    let format = reader.word(&file.format, "log format", &LogFormat::ALL, LogFormat::as_str);
    let level = match &file.level {
        Some(level) if EnvFilter::try_new(level.get_ref()).is_ok() => level.get_ref().clone(),
        Some(level) => {
            reader.error(level.span(), "no log filter; write off, error, warn, info, debug or trace");
            default.level
        }
        None => default.level,
    };
    LogSettings { format: format.map_or(default.format, |at| at.value), level }
}

/// How a list is read; what is not written is left open, or to `strictness`.
pub(super) fn reading(format: &Text, strict: &file::Flag, strictness: Strictness, reader: &mut Reader<'_>) -> Reading {
    let format = reader.word(format, "list format", &ListFormat::ALL, ListFormat::as_str).map(|at| at.value);
    let strictness = match strict.as_ref().map(Spanned::get_ref) {
        Some(true) => Strictness::Strict,
        Some(false) => Strictness::Lenient,
        None => strictness,
    };
    Reading { format, strictness }
}

fn ban_change(
    id: &Spanned<String>,
    change: &file::Change,
    groups: &[Group],
    zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> BanChange {
    if !is_id(id.get_ref()) {
        reader.error(id.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
    }
    let laws = change.bound_by.iter().flat_map(Spanned::get_ref);
    BanChange {
        id: reader.at(id.get_ref().as_str().into(), id.span()),
        bound_by: laws.map(|law| reader.at(law.get_ref().as_str().into(), law.span())).collect(),
        change: Change::read(change, zone, reader),
        terms: change.r#for.iter().map(|term| TermChange::read(term, groups, zone, reader)).collect(),
    }
}
