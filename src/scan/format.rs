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
    pub const ALL: [Self; 10] = [
        Self::Pcap,
        Self::Pcapng,
        Self::Dnstap,
        Self::Zeek,
        Self::Json,
        Self::Bind,
        Self::Unbound,
        Self::Dnsmasq,
        Self::Windows,
        Self::Umbrella,
    ];

    /// The word for it on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::Windows => "windows",
            Self::Zeek => "zeek",
            Self::Umbrella => "umbrella",
            Self::Json => "json",
            Self::Dnstap => "dnstap",
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }

    /// Whether its chunks can be read without what stands before them.
    pub(super) fn is_parallel(self) -> bool {
        !matches!(self, Self::Pcap | Self::Pcapng)
    }
}
