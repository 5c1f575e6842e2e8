//! The label values of the metrics that are known when Embargo is compiled: one enum for each label.
//!
//! Each has `ALL`, `as_str` and a place in an array, so that a counter is found by an index and nothing a client sends
//! can become a label.

use std::net::IpAddr;

use crate::wire::qtype;

/// Declares a label's values: the enum, every variant in order, and the word for each.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word for it in metrics, JSON and rows.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The place of this value in [`Self::ALL`].
            pub(crate) fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// How a query that got a response was answered.
    Outcome {
        /// By an upstream, asked for this query or for an equal one in flight.
        Forwarded = "forwarded",
        /// From the cache, within its TTL.
        Cached = "cached",
        /// From the cache, past its TTL (RFC 8767).
        Stale = "stale",
        /// By a ban.
        Policy = "policy",
        /// From data of our own.
        Local = "local",
        /// With REFUSED: not served, or not for this query.
        Refused = "refused",
        /// With an rcode that says what was wrong with the query or with us.
        Error = "error",
    }
}

label! {
    /// How a connection to the block page ended.
    BlockPageEnd {
        /// A banned name was asked for in clear, and the page said so.
        Page = "page",
        /// A banned name was asked for over TLS, and the operator's certificate was shown.
        Certificate = "certificate",
        /// A banned name was asked for over TLS, and turned away by an alert.
        Alert = "alert",
        /// The name is not banned for this client.
        NotBanned = "not_banned",
        /// No name was given.
        NoName = "no_name",
        /// What came was neither HTTP nor TLS, or broke off.
        Broken = "broken",
        /// What came did not come whole in time.
        Slow = "slow",
        /// The client is none of those that are served.
        NotServed = "not_served",
        /// There were too many connections, of this client or in all.
        Refused = "refused",
    }
}

label! {
    /// How a transfer of a zone ended.
    TransferEnd {
        /// The whole zone.
        Axfr = "axfr",
        /// What had changed.
        Ixfr = "ixfr",
        /// Nothing was newer.
        Current = "current",
        /// What had changed did not fit what was there: the whole zone was asked for.
        Unfit = "unfit",
        /// By address, key or transport.
        Refused = "refused",
        /// As many as may be were under way.
        Busy = "busy",
        /// A signature was missing or wrong.
        Unsigned = "unsigned",
        /// Not to its end.
        Cut = "cut",
        /// Larger than it may be.
        TooLarge = "too_large",
        /// For any other reason.
        Failed = "failed",
    }
}

label! {
    /// Why a message that was read got no response.
    DropReason {
        /// A ban's action is `drop`.
        PolicyDrop = "policy_drop",
        /// Shorter than a DNS header.
        Short = "short",
        /// It is a response, not a query: answering one could start an endless exchange.
        ResponseBit = "response_bit",
        /// The client is not served, and silence is what it gets.
        NotServed = "not_served",
        /// A proxy did not say for whom it speaks, or somebody who is no proxy did.
        ProxyHeader = "proxy_header",
        /// It breaks the rules of its transport, and the connection ended with it.
        Breach = "breach",
        /// The kernel did not take the response.
        SendFailure = "send_failure",
        /// The connection ended, or the work was given up, before there was a response.
        ClientGone = "client_gone",
        /// The server is at fault: what it did for this message panicked.
        Fault = "fault",
    }
}

label! {
    /// Why a query got no answer although one could have been had.
    Shed {
        /// As many questions are open as the server takes on, or as many octets of answers wait to be taken.
        Room = "room",
        /// As many of this client as is its share, and the rest is kept for others.
        ClientShare = "client_share",
    }
}

label! {
    /// Why Embargo closed a connection that its client had not done with.
    Cut {
        /// At the limit it made way for another one, idle as it was.
        Evicted = "evicted",
        /// At the limit no other one could make way for it.
        Refused = "refused",
        /// It came from a proxy that did not say for whom it speaks.
        ProxyHeader = "proxy_header",
        /// Its TLS handshake failed, or did not end in time.
        Handshake = "handshake",
        /// It spoke HTTP in clear, and was no listed reverse proxy.
        Clear = "clear",
    }
}

label! {
    /// Why an HTTP request was answered without DNS: the status that it got, and more.
    HttpFault {
        /// No message, no base64url, or a message that is no query: 400.
        NoQuery = "no_query",
        /// A proxy does not say for whom it speaks: 400.
        Unnamed = "unnamed",
        /// Another path: 404.
        Path = "path",
        /// Neither GET nor POST: 405.
        Method = "method",
        /// A body that did not come in time: 408.
        Slow = "slow",
        /// More than a DNS message can have: 413.
        Large = "large",
        /// Another media type: 415.
        Type = "type",
    }
}

label! {
    /// The family of a client's address; an IPv4-mapped IPv6 address is IPv4.
    Family {
        /// IPv4.
        V4 = "1",
        /// IPv6.
        V6 = "2",
    }
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

label! {
    /// What was done about a banned lookup: the `action` of metrics, rows and JSON.
    Did {
        /// Answered NXDOMAIN.
        Nxdomain = "nxdomain",
        /// Answered NOERROR without records.
        Nodata = "nodata",
        /// Answered with an address of ours.
        Sinkhole = "sinkhole",
        /// Answered REFUSED.
        Refuse = "refuse",
        /// Not answered.
        Drop = "drop",
        /// Answered with a truncated response, which sends the client to TCP.
        TcpOnly = "tcp_only",
        /// Answered as if there were no ban.
        Observe = "observe",
        /// Answered as if there were no ban, by an exemption.
        Exempt = "exempt",
    }
}

impl Did {
    /// What is recorded of a lookup that another resolver was asked, by somebody who would have been spared here: spared here is
    /// not spared there.
    #[must_use]
    pub fn spared_here(self) -> Self {
        if self == Self::Observe { Self::Exempt } else { self }
    }
}

label! {
    /// Why a sink never gets attempts that are recorded.
    SinkLoss {
        /// Its receiver was away for longer than the spool has room.
        Overflow = "overflow",
        /// The spool could not be written.
        Disk = "disk",
        /// What stood in the spool could not be read.
        Damage = "damage",
        /// The receiver has read it and wants no such thing.
        Refused = "refused",
    }
}

label! {
    /// What became of a message of another resolver.
    IntakeOutcome {
        /// An attempt.
        Attempt = "attempt",
        /// No ban has a say.
        Clean = "clean",
        /// The response to a query that was told before.
        Paired = "paired",
        /// About something else than a query of a client.
        PassedOver = "passed_over",
        /// It can't be read.
        Malformed = "malformed",
        /// More than the intake takes in a second.
        Limited = "limited",
        /// There was no policy yet.
        Unready = "unready",
    }
}

label! {
    /// Why another resolver was refused.
    IntakeRefusal {
        /// It may not connect from there.
        Address = "address",
        /// As many as may be are connected.
        Places = "places",
        /// It speaks something else.
        Protocol = "protocol",
    }
}

label! {
    /// Why counts of attempts are not in the store.
    Loss {
        /// The store could not be written and memory for waiting rows was used up.
        Disk = "disk",
        /// The writer fell behind and memory for waiting rows was used up.
        Overflow = "overflow",
        /// The process stopped before the store could be written.
        Shutdown = "shutdown",
    }
}

label! {
    /// Why an exchange with an upstream failed.
    UpstreamFailure {
        /// As many attempts as allowed were in flight there; nothing was sent.
        Busy = "busy",
        /// This host gave no socket.
        Local = "local",
        /// A response over a stream that can't be used.
        Unusable = "unusable",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The connection ended before the response.
        Closed = "closed",
        /// The network says that nobody is there.
        Unreachable = "unreachable",
        /// No response in time.
        Timeout = "timeout",
        /// SERVFAIL.
        Servfail = "servfail",
        /// REFUSED.
        Refused = "refused",
        /// Any other rcode that is no answer.
        Rcode = "rcode",
    }
}

label! {
    /// Why a packet that reached a socket towards an upstream was not taken for the response.
    IgnoredPacket {
        /// Shorter than a DNS header.
        Short = "short",
        /// From another address.
        Source = "source",
        /// Another message id.
        Id = "id",
        /// A query, not a response.
        Query = "query",
        /// Another opcode.
        Opcode = "opcode",
        /// Another question.
        Question = "question",
        /// Our question in another case.
        Case = "case",
        /// Not to be read.
        Malformed = "malformed",
    }
}

label! {
    /// The level of a log message.
    Level {
        /// Something does not work.
        Error = "error",
        /// Something needs attention.
        Warn = "warn",
        /// What happens.
        Info = "info",
        /// For those who look for a fault.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

label! {
    /// Windows over which clients are counted, rolling, ending now.
    Window {
        /// 24 hours.
        Day = "1d",
        /// 7 days.
        Week = "7d",
        /// 30 days.
        Month = "30d",
    }
}

impl Window {
    /// Its length in milliseconds.
    pub fn millis(self) -> i64 {
        const DAY: i64 = 86_400_000;
        match self {
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

/// Query types that are counted by name. Every other type is `other`, so that 65,536 types can't become 65,536 series.
const QTYPES: [(u16, &str); 18] = [
    (qtype::A, "A"),
    (qtype::AAAA, "AAAA"),
    (qtype::HTTPS, "HTTPS"),
    (qtype::PTR, "PTR"),
    (qtype::NS, "NS"),
    (qtype::CNAME, "CNAME"),
    (qtype::SOA, "SOA"),
    (qtype::MX, "MX"),
    (qtype::TXT, "TXT"),
    (qtype::SRV, "SRV"),
    (qtype::NAPTR, "NAPTR"),
    (qtype::DS, "DS"),
    (qtype::DNSKEY, "DNSKEY"),
    (qtype::RRSIG, "RRSIG"),
    (qtype::TLSA, "TLSA"),
    (qtype::SVCB, "SVCB"),
    (qtype::CAA, "CAA"),
    (qtype::ANY, "ANY"),
];
/// The place of `other` among the query type labels.
const QTYPE_OTHER: usize = QTYPES.len();
/// The place of `none` among the query type labels: no question could be read.
pub(super) const QTYPE_NONE: usize = QTYPES.len() + 1;
/// Number of query type labels.
pub(super) const QTYPE_COUNT: usize = QTYPES.len() + 2;

/// The place of each query type's label, as far as there is one: the highest of them is CAA.
static QTYPE_PLACES: [u8; 258] = places(&QTYPES);

/// The place of a query type's label.
pub(super) fn qtype_index(qtype: u16) -> usize {
    QTYPE_PLACES.get(usize::from(qtype)).map_or(QTYPE_OTHER, |&place| usize::from(place))
}

/// The query type labels in order.
pub(super) fn qtype_labels() -> impl Iterator<Item = &'static str> {
    QTYPES.iter().map(|&(_, word)| word).chain(["other", "none"])
}

/// Rcodes that are counted by name (IANA DNS parameters; RFC 6895 §2.3). Every other one is `other`.
const RCODES: [(u16, &str); 10] = [
    (0, "NOERROR"),
    (3, "NXDOMAIN"),
    (2, "SERVFAIL"),
    (5, "REFUSED"),
    (1, "FORMERR"),
    (4, "NOTIMP"),
    (6, "YXDOMAIN"),
    (9, "NOTAUTH"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];
/// Number of rcode labels.
pub(super) const RCODE_COUNT: usize = RCODES.len() + 1;

/// The place of each rcode's label, as far as there is one: the highest of them is BADCOOKIE.
static RCODE_PLACES: [u8; 24] = places(&RCODES);

/// The place of an rcode's label.
pub(super) fn rcode_index(rcode: u16) -> usize {
    RCODE_PLACES.get(usize::from(rcode)).map_or(RCODES.len(), |&place| usize::from(place))
}

/// For each number its place among `named`; the place behind them for a number that has no name.
#[expect(clippy::cast_possible_truncation, reason = "fewer than 256 numbers have names")]
const fn places<const NUMBERS: usize>(named: &[(u16, &str)]) -> [u8; NUMBERS] {
    let mut places = [named.len() as u8; NUMBERS];
    let mut place = 0;
    while place < named.len() {
        places[named[place].0 as usize] = place as u8;
        place += 1;
    }
    places
}

/// The rcode labels in order.
pub(super) fn rcode_labels() -> impl Iterator<Item = &'static str> {
    RCODES.iter().map(|&(_, word)| word).chain(["other"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_with_a_name_is_found_at_its_place_and_every_other_one_behind_them() {
        for number in 0..=u16::MAX {
            let named = |all: &[(u16, &str)]| all.iter().position(|&(other, _)| other == number).unwrap_or(all.len());
            assert_eq!((qtype_index(number), rcode_index(number)), (named(&QTYPES), named(&RCODES)));
        }
    }

    #[test]
    fn a_label_is_at_its_own_place() {
        for (place, did) in Did::ALL.into_iter().enumerate() {
            assert_eq!(did.index(), place);
        }
        assert_eq!(qtype_labels().nth(qtype_index(qtype::HTTPS)), Some("HTTPS"));
        assert_eq!(qtype_labels().nth(qtype_index(65280)), Some("other"));
        assert_eq!(qtype_labels().nth(QTYPE_NONE), Some("none"));
        assert_eq!(qtype_labels().count(), QTYPE_COUNT);
        assert_eq!(rcode_labels().nth(rcode_index(3)), Some("NXDOMAIN"));
        assert_eq!(rcode_labels().nth(rcode_index(4095)), Some("other"));
        assert_eq!(rcode_labels().count(), RCODE_COUNT);
    }
}
