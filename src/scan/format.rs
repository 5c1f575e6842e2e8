//! The formats that are read. To add one: a file that reads it, a variant here, and what the compiler then asks for.

/// The format of a log or capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The query log of BIND 9.
    Bind,
    /// The query log of Unbound.
    Unbound,
    /// The log of dnsmasq and Pi-hole.
    Dnsmasq,
    /// The debug log of the DNS server of Windows.
    Windows,
    /// `dns.log` of Zeek, in columns.
    Zeek,
    /// `conn.log` of Zeek, in columns or as JSON: connections, for those to fallback resolvers.
    ZeekConn,
    /// What the kernel logs of packets for nftables and iptables: the same.
    Nftables,
    /// The DNS log of Cisco Umbrella.
    Umbrella,
    /// JSON Lines.
    Json,
    /// dnstap.
    Dnstap,
    /// Packets, as tcpdump writes them.
    Pcap,
    /// Packets, as Wireshark writes them.
    Pcapng,
}

impl Format {
    /// Every format, in the order in which they are tried.
    pub const ALL: [Self; 12] = [
        Self::Pcap,
        Self::Pcapng,
        Self::Dnstap,
        Self::Zeek,
        Self::ZeekConn,
        Self::Json,
        Self::Bind,
        Self::Unbound,
        Self::Dnsmasq,
        Self::Windows,
        Self::Umbrella,
        Self::Nftables,
    ];

    /// The word for it on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::Windows => "windows",
            Self::Zeek => "zeek",
            Self::ZeekConn => "zeek-conn",
            Self::Nftables => "nftables",
            Self::Umbrella => "umbrella",
            Self::Json => "json",
            Self::Dnstap => "dnstap",
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }

    /// Formats that tell of connections and not of queries.
    pub const FLOWS: [Self; 2] = [Self::ZeekConn, Self::Nftables];

    /// Whether its chunks can be read without what stands before them.
    pub(super) fn is_parallel(self) -> bool {
        !matches!(self, Self::Pcap | Self::Pcapng)
    }
}
