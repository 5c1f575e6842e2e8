//! The settings of the upstreams, as they are meant.

use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use super::{Order, Servers, Source};
use crate::tls::Trust;

/// How upstreams are asked. Every limit counts per upstream. Sensible times are in the order `hedge` < `retry` <
/// `patience` < `deadline` <= `exchange_max`; in any other order the later ones come to nothing, and nothing breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom to ask.
    pub servers: Servers,
    /// Who of them is asked first.
    pub order: Order,
    /// Whether the AD bit of upstreams on this host, or behind an encrypted transport, is believed (RFC 4035 §4.9.3). From
    /// others it never is: anybody on the way could set it.
    pub trust_ad: bool,
    /// Clients whose subnet (RFC 7871) these servers are told, if they say one.
    pub subnets_from: Vec<IpNet>,
    /// Where questions come from.
    pub source: Source,
    /// The next upstream is asked after this much silence; earlier attempts stay open.
    pub hedge: Duration,
    /// A silent upstream is asked again this long after the last attempt there, three times at most.
    pub retry: Duration,
    /// An attempt that meets silence for so long counts as failed; it may stay open.
    pub patience: Duration,
    /// The client's answer leaves by then: no new attempt begins later.
    pub deadline: Duration,
    /// The exchange ends by then, whatever is still open.
    pub exchange_max: Duration,
    /// An unhealthy upstream is probed this often.
    pub probe_interval: Duration,
    /// Attempts with a socket of their own, within their patience. Each may hold a socket, so the sum over all upstreams of
    /// this and of `late_max` belongs well below the limit of open files.
    pub in_flight_max: NonZeroUsize,
    /// Attempts that stay open beyond their patience, so that a slow answer still fills the cache.
    pub late_max: usize,
    /// Questions that are open at an upstream at once, by whatever means. Those of [`Outside`](super::Outside)s share sockets
    /// and those over a connection share that, so most of them cost the upstream's room rather than ours.
    pub open_max: usize,
    /// The same of an upstream that is asked over connections, within their patience and beyond: each question costs some
    /// memory and no socket.
    pub streams_max: NonZeroUsize,
    /// A connection is made within this time, the TLS handshake included.
    pub connect_timeout: Duration,
    /// After a failure to connect, nothing is tried for so long.
    pub connect_pause: Duration,
    /// A connection that has been unused for so long is not trusted to be alive (RFC 7766 §6.2.3).
    pub idle_max: Duration,
    /// Who resolves the host names of upstreams that are written by name; these are written by address.
    pub bootstrap: Option<Servers>,
    /// A host name is resolved again no sooner than this, however short the time of the last answer.
    pub names_apart: Duration,
    /// Whom encrypted upstreams must be vouched for by, and as whom we show ourselves to them.
    pub trust: Trust,
}

impl Config {
    /// These servers with the default times and limits.
    pub fn new(servers: Servers) -> Self {
        Self {
            servers,
            order: Order::Listed,
            trust_ad: false,
            subnets_from: Vec::new(),
            source: Source::default(),
            hedge: Duration::from_millis(300),
            retry: Duration::from_millis(800),
            patience: Duration::from_millis(1500),
            deadline: Duration::from_secs(2),
            exchange_max: Duration::from_secs(10),
            probe_interval: Duration::from_secs(2),
            in_flight_max: const { NonZeroUsize::new(256).unwrap() },
            late_max: 64,
            open_max: 8192,
            streams_max: const { NonZeroUsize::new(2048).unwrap() },
            connect_timeout: Duration::from_millis(1200),
            connect_pause: Duration::from_millis(500),
            idle_max: Duration::from_secs(10),
            bootstrap: None,
            names_apart: Duration::from_secs(5),
            trust: Trust::default(),
        }
    }
}
