//! DNS messages as octets: names, the query read in place, answers built and aged without decoding them.
//!
//! Leaves full decoding (and every hickory type) to `serve` and `upstream`.

mod answer;
mod chain;
mod cookie;
mod held;
mod host;
mod layout;
mod name;
mod octets;
mod options;
mod present;
mod private;
mod proxy;
mod query;
mod rdata;
mod relevant;
mod response;
mod steady;
mod subnet;
pub mod rtype;
mod told;
pub mod tsig;

pub use answer::{Answer, Fit, Target, sane_ttl};
pub use chain::{Link, chain, whole_chain};
pub use cookie::{COOKIE, Cookie, Cookies, Secret};
pub use held::{Held, reached};
pub use layout::{
    HEADER, Layout, Malformed, RecordAt, Section, be16, be32, edns_options, extended_errors, read_record,
};
pub use name::{LowerName, Name, NameError};
pub(crate) use octets::is_same;
pub use options::{Asked, Extras, NSID_MAX, OPTION_PADDING};
pub use present::Presented;
pub use private::is_private;
pub use proxy::{NoHeader, PROXY_FIXED, PROXY_HEADER_MAX, PROXY_SIGNATURE, Proxied, proxy_header_size};
pub use query::{CLASS_ANY, CLASS_CH, CLASS_IN, Edns, QUERY_MAX, Query, Unfit};
pub use relevant::{aliases_circle, without};
pub use response::{EDE_TEXT_MAX, OPTION_EDE, PAYLOAD, Response, ede, rcode};
pub use subnet::Subnet;
pub use told::Told;

/// Record types that Embargo treats apart; every other type passes as a number (RFC 3597).
#[allow(missing_docs, reason = "the names are those of the IANA registry")]
pub mod qtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const SIG: u16 = 24;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const NAPTR: u16 = 35;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const NSEC3: u16 = 50;
    pub const TLSA: u16 = 52;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
    pub const CAA: u16 = 257;
}

/// Parameters of SVCB and HTTPS records (RFC 9460 §14.3.2, RFC 9461 §5).
#[allow(missing_docs, reason = "the names are those of the IANA registry")]
pub mod svc_param {
    pub const ALPN: u16 = 1;
    pub const NO_DEFAULT_ALPN: u16 = 2;
    pub const PORT: u16 = 3;
    pub const IPV4HINT: u16 = 4;
    pub const IPV6HINT: u16 = 6;
    pub const DOHPATH: u16 = 7;
}

/// How a message travelled; the word for it in metrics, JSON and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the transports' own names")]
pub enum Transport {
    Udp,
    Tcp,
    Dot,
    Doh,
    Doq,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Dot, Self::Doh, Self::Doq];

    /// `udp`, `tcp`, `dot`, `doh` or `doq`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
        }
    }

    /// Whether nobody on the way can read what is said, so that its length is all there is to see.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Dot | Self::Doh | Self::Doq)
    }

    /// Whether a response may be many messages (RFC 5936 §4.2, RFC 9103 §7).
    pub fn carries_transfers(self) -> bool {
        matches!(self, Self::Tcp | Self::Dot)
    }

    /// Whether a handshake has shown that the client owns its address.
    pub fn proves_address(self) -> bool {
        self != Self::Udp
    }
}
