//! What the settings mean: values that cannot be wrong, and the default of each. `config/embargo.toml` shows the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::access::AccessSettings;
use super::at::At;
use super::ban::BanChange;
use super::block_page::BlockPageSettings;
use super::exemption::FileExemption;
use super::export::ExportSettings;
use super::further::ListFile;
use super::leases::{AssetFile, LeaseFile};
use super::logged::{LogFormat, LogSettings};
use super::{process::ProcessSettings, rate_limit::RateLimitSettings, report::ReportSettings, sink::SinkSettings};
use crate::intake::IntakeConfig;
use crate::journal::{NamesConfig, PrivacyConfig};
use crate::local::{self, Record};
use crate::policy::{Door, Group, GroupIndex, ListFormat, Strictness};
use crate::report::SiteTags;
use crate::serve::AnyAnswer;
use crate::upstream::{Exempt, Order, UpstreamSpec};
use crate::wire::{Name, Secret};

/// Every setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Addresses to serve DNS on, UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Address of the admin HTTP server; `None`: off.
    pub admin: Option<SocketAddr>,
    /// Who may use it.
    pub access: AccessSettings,
    /// Whose clients are served; others are REFUSED.
    pub allow: Vec<Allowed>,
    /// Networks of proxies that say by a PROXY header for whom they speak; they too have to be among `allow`.
    pub proxies: Vec<IpNet>,
    /// Networks of forwarders that say by EDNS options whom they ask for.
    pub devices_from: Vec<IpNet>,
    /// Whether the system's neighbours are known by their hardware addresses.
    pub neighbours: bool,
    /// Networks whose clients are known by their names in the reverse zone, where nothing else is known.
    pub ptr_networks: Vec<IpNet>,
    /// Networks of servers that keep answers and give them to clients of their own.
    pub caching_forwarders: Vec<At<IpNet>>,
    /// Threads that read UDP; `None`: as many as there are processors.
    pub workers: Option<NonZeroUsize>,
    /// State directory as the file or flag says; see [`state_dir`](super::state_dir) for the rest of the order.
    pub state_dir: Option<PathBuf>,
    /// The zone in which a date without a time begins.
    pub time_zone: TimeZone,
    /// Where the ban folders are.
    pub blocklists: Blocklists,
    /// Names that no list can block, beside those that Embargo protects by itself.
    pub protected: Vec<Name>,
    /// What concerns this hop alone.
    pub hop: HopSettings,
    /// Upstreams.
    pub upstream: UpstreamSettings,
    /// Zones with upstreams of their own.
    pub forwards: Vec<ForwardSettings>,
    /// What is answered without asking anybody.
    pub local: LocalSettings,
    /// Limits on responses.
    pub rate_limit: RateLimitSettings,
    /// Validation of answers.
    pub dnssec: DnssecSettings,
    /// The cache.
    pub cache: CacheSettings,
    /// DNS over TCP.
    pub tcp: TcpSettings,
    /// Encrypted transports.
    pub encrypted: EncryptedSettings,
    /// As whom clients are shown this server over TLS, HTTPS and QUIC; `None`: it serves none of them.
    pub tls: Option<TlsSettings>,
    /// Where those are received who were sent to addresses of ours.
    pub block_page: BlockPageSettings,
    /// As whom the server runs, and which files it reaches.
    pub process: ProcessSettings,
    /// The record.
    pub journal: JournalSettings,
    /// The record of names asked.
    pub names: NamesConfig,
    /// How much of whom is recorded.
    pub privacy: PrivacyConfig,
    /// Whether the audit log notes who looks at what is kept of clients.
    pub audit_reads: bool,
    /// The log.
    pub log: LogSettings,
    /// Further lists, each a ban of its own.
    pub lists: Vec<ListFile>,
    /// Where attempts are sent to.
    pub sinks: Vec<SinkSettings>,
    /// Octets that may wait for those on the disk.
    pub spool_max_bytes: u64,
    /// Where other resolvers tell what they were asked.
    pub intakes: Vec<IntakeConfig>,
    /// Zones that other resolvers may have.
    pub exports: Vec<ExportSettings>,
    /// Reports that are made by themselves.
    pub reports: Vec<ReportSettings>,
    /// Sites, departments and groups.
    pub groups: Vec<Group>,
    /// What sites are tagged with.
    pub tags: Vec<SiteTags>,
    /// The doors by which clients come into groups.
    pub doors: Vec<(Door, GroupIndex)>,
    /// Files that say who holds which address.
    pub leases: Vec<LeaseFile>,
    /// Inventories.
    pub assets: Vec<AssetFile>,
    /// What the operator changes about bans.
    pub bans: Vec<BanChange>,
    /// Who is spared what.
    pub exemptions: Vec<FileExemption>,
}

/// What this server tells its clients that no upstream has to do with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HopSettings {
    /// What a question for all types (ANY) gets over UDP.
    pub any: AnyAnswer,
    /// The name server identifier (RFC 5001).
    pub nsid: Option<String>,
    /// The text of `id.server` and `hostname.bind`.
    pub id: Option<String>,
    /// The text of `version.server` and `version.bind`.
    pub version: Option<String>,
    /// Where the secrets of server cookies are written.
    pub cookie_secret_file: Option<At<PathBuf>>,
    /// Those secrets, once they are read.
    pub cookie_secrets: Vec<Secret>,
    /// Whether a client that speaks cookies has to show ours over UDP.
    pub cookie_required: bool,
}

/// Where the ban folders are.
#[derive(Clone, Debug, PartialEq)]
pub enum Blocklists {
    /// The ones shipped inside the binary.
    Embedded,
    /// A directory.
    Directory(At<PathBuf>),
}

/// Whom to ask, and how patiently.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// Whom to ask.
    pub servers: Vec<UpstreamSpec>,
    /// Who of them is asked first.
    pub order: Order,
    /// Whether their word that an answer is authentic is believed, where nobody on the way can have changed it.
    pub trust_ad: bool,
    /// Networks of clients whose subnet (RFC 7871) they are told.
    pub ecs_from: Vec<IpNet>,
    /// Who resolves the host names of servers; all of them by address.
    pub bootstrap: Vec<UpstreamSpec>,
    /// For encrypted servers.
    pub trust: TrustFiles,
    /// The next server is asked when this one has not answered for so long.
    pub hedge_after: Duration,
    /// Every answer leaves within this time.
    pub deadline: Duration,
    /// An exchange goes on for so long, past the deadline, to fill the cache.
    pub exchange_max: Duration,
    /// Questions open at one server at a time.
    pub in_flight_max: usize,
    /// Addresses of this host to ask from, at most one of each family; for the rest as the system routes.
    pub source: Vec<At<IpAddr>>,
    /// Ports to ask from over UDP; `None`: all that need no privilege.
    pub source_ports: Option<RangeInclusive<u16>>,
}

/// The files of encrypted upstreams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustFiles {
    /// Certificate authorities, in place of those that are compiled in.
    pub authorities: Option<At<PathBuf>>,
    /// Our certificate and its key.
    pub client: Option<(At<PathBuf>, At<PathBuf>)>,
}

/// Zones that are sent elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardSettings {
    /// Names that are sent there with all below them; at least one, and none of them the root.
    pub zones: Vec<Name>,
    /// Whom to ask.
    pub servers: At<Vec<UpstreamSpec>>,
    /// Who of them is asked first.
    pub order: Order,
    /// As [`UpstreamSettings::trust_ad`].
    pub trust_ad: bool,
    /// As [`UpstreamSettings::ecs_from`].
    pub ecs_from: Vec<IpNet>,
}

/// Validation of answers (RFC 4035).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnssecSettings {
    /// Whether answers are validated here.
    pub validate: bool,
    /// The file of keys that are trusted from the beginning; `None`: those of the root.
    pub trust_anchors: Option<At<PathBuf>>,
    /// Names below which nothing is validated, and until when.
    pub exempt: Vec<Exempt>,
}

/// What is answered without asking anybody.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalSettings {
    /// Own records.
    pub records: Vec<At<Record>>,
    /// A hosts file.
    pub hosts: Option<At<PathBuf>>,
    /// TTL of records that have none of their own.
    pub ttl: Duration,
    /// Special-use zones that are forwarded like any other name.
    pub special_use_off: Vec<Name>,
    /// Whether no public name may have a private address.
    pub rebind_protection: bool,
    /// Names that may none the less, with all below them.
    pub rebind_allow: Vec<Name>,
}

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// A network.
    Network(IpNet),
    /// `on-link`: the networks that the host itself is in, on the interfaces that it listens on.
    OnLink,
}

/// The cache's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Octets held at most.
    pub size_max_bytes: u64,
    /// TTLs of positive answers below are raised to this.
    pub ttl_min: Duration,
    /// TTLs above are lowered to this.
    pub ttl_max: Duration,
    /// The same for negative answers (RFC 2308 §5).
    pub negative_ttl_max: Duration,
    /// Time past its TTL for which an answer may still be given when no upstream answers (RFC 8767).
    pub stale_max: Duration,
    /// A client is given a stale answer when there is no fresh one after this time.
    pub stale_after: Duration,
    /// After that it is not asked for again for so long.
    pub stale_rest: Duration,
    /// Time for which a failure is kept (RFC 9520); each further one in a row twice as long.
    pub failure_ttl: Duration,
    /// And no longer than this.
    pub failure_ttl_max: Duration,
    /// Answers given so often are asked for again before they run out; 0: none.
    pub prefetch_hits: u32,
    /// Zones of which nothing is kept.
    pub bypass: Vec<Name>,
    /// Whether answers outlive the process, in a file of the state directory.
    pub save: bool,
}

/// Limits of DNS over TCP (RFC 7766).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once of one client address.
    pub connections_per_client_max: usize,
    /// Queries of one connection answered at once.
    pub queries_in_flight_max: usize,
    /// A connection without a query is closed after this time.
    pub idle: Duration,
}

/// Where clients are served over encrypted transports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedSettings {
    /// Addresses to serve DNS over TLS on.
    pub listen_tls: Vec<SocketAddr>,
    /// The same over HTTPS.
    pub listen_https: Vec<SocketAddr>,
    /// The same over HTTP in clear, for the reverse proxies of `https_proxies`.
    pub listen_http: Vec<SocketAddr>,
    /// Addresses to serve DNS over QUIC on.
    pub listen_quic: Vec<SocketAddr>,
    /// The path that is asked over HTTPS and HTTP.
    pub https_path: String,
    /// Networks of reverse proxies that say by `X-Forwarded-For` for whom they ask; they too have to be among `allow`.
    pub https_proxies: Vec<IpNet>,
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// The certificate, with those that vouch for it behind it.
    pub certificate: At<PathBuf>,
    /// Its private key.
    pub key: At<PathBuf>,
    /// What the certificate is for, once it is read.
    pub names: Vec<String>,
}

/// Limits of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// Days that attempts are kept.
    pub attempts_keep_days: u32,
    /// Days that clients are kept after they were last seen.
    pub clients_keep_days: u32,
    /// Days for which is kept how often each device asked on each day.
    pub device_days_keep_days: u32,
    /// Days for which is kept which devices were there.
    pub presence_keep_days: u32,
    /// Size of the store; the oldest attempts go first.
    pub size_max_bytes: u64,
    /// Rows in memory that wait for the disk.
    pub rows_in_memory_max: usize,
    /// New rows a second that tell name and rule.
    pub rows_per_second_max: u32,
}

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its format; `None`: the one that its first lines are in.
    pub format: Option<ListFormat>,
    /// What a bad line means.
    pub strictness: Strictness,
}

/// Loopback on a port that needs no privilege, and that no resolver of the system holds.
pub const DEFAULT_LISTEN: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 5300)];

/// Loopback: what the admin server shows is not for everyone.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8053);

/// Loopback, private (RFC 1918, RFC 4193), link-local and shared (RFC 6598) networks.
const DEFAULT_ALLOW: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

impl Settings {
    /// Whether a missing address is only a warning: it is one of the defaults, and the machine may have no IPv6.
    pub fn listen_is_optional(&self, address: SocketAddr) -> bool {
        self.listen == DEFAULT_LISTEN && DEFAULT_LISTEN.contains(&address)
    }
}

/// Those, and the networks that the host is in: the addresses of IPv6 in a private network are public ones.
fn default_allow() -> Vec<Allowed> {
    let private = DEFAULT_ALLOW.iter().map(|&(address, length)| IpNet::new_assert(address, length));
    private.map(Allowed::Network).chain([Allowed::OnLink]).collect()
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN.to_vec(),
            admin: Some(DEFAULT_ADMIN),
            access: AccessSettings::default(),
            allow: default_allow(),
            proxies: Vec::new(),
            devices_from: Vec::new(),
            neighbours: false,
            ptr_networks: Vec::new(),
            caching_forwarders: Vec::new(),
            workers: None,
            state_dir: None,
            time_zone: TimeZone::UTC,
            blocklists: Blocklists::Embedded,
            protected: Vec::new(),
            hop: HopSettings::default(),
            upstream: UpstreamSettings::default(),
            forwards: Vec::new(),
            local: LocalSettings::default(),
            rate_limit: RateLimitSettings::default(),
            dnssec: DnssecSettings::default(),
            cache: CacheSettings::default(),
            tcp: TcpSettings::default(),
            encrypted: EncryptedSettings::default(),
            tls: None,
            block_page: BlockPageSettings::default(),
            process: ProcessSettings::default(),
            journal: JournalSettings::default(),
            names: NamesConfig::default(),
            privacy: PrivacyConfig::default(),
            audit_reads: false,
            log: LogSettings { format: LogFormat::Text, level: "info".to_owned() },
            sinks: Vec::new(),
            spool_max_bytes: 256 << 20,
            intakes: Vec::new(),
            exports: Vec::new(),
            reports: Vec::new(),
            lists: Vec::new(),
            groups: Vec::new(),
            tags: Vec::new(),
            doors: Vec::new(),
            leases: Vec::new(),
            assets: Vec::new(),
            bans: Vec::new(),
            exemptions: Vec::new(),
        }
    }
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            servers: vec![UpstreamSpec::System],
            order: Order::Listed,
            trust_ad: false,
            ecs_from: Vec::new(),
            bootstrap: Vec::new(),
            trust: TrustFiles::default(),
            hedge_after: Duration::from_millis(300),
            deadline: Duration::from_secs(2),
            exchange_max: Duration::from_secs(10),
            in_flight_max: 8_192,
            source: Vec::new(),
            source_ports: None,
        }
    }
}

impl Default for LocalSettings {
    fn default() -> Self {
        let ttl = Duration::from_secs(u64::from(local::TTL));
        Self {
            records: Vec::new(),
            hosts: None,
            ttl,
            special_use_off: Vec::new(),
            rebind_protection: false,
            rebind_allow: Vec::new(),
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            size_max_bytes: 32 << 20,
            ttl_min: Duration::ZERO,
            ttl_max: DAY,
            negative_ttl_max: Duration::from_secs(60 * 60),
            stale_max: DAY,
            stale_after: Duration::from_millis(1800),
            stale_rest: Duration::from_secs(30),
            failure_ttl: Duration::from_secs(1),
            failure_ttl_max: Duration::from_secs(5 * 60),
            prefetch_hits: 3,
            bypass: Vec::new(),
            save: true,
        }
    }
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connections_per_client_max: 64,
            queries_in_flight_max: 64,
            idle: Duration::from_secs(10),
        }
    }
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            attempts_keep_days: 400,
            clients_keep_days: 400,
            device_days_keep_days: 90,
            presence_keep_days: 3_650,
            size_max_bytes: 4 << 30,
            rows_in_memory_max: 200_000,
            rows_per_second_max: 10_000,
        }
    }
}
