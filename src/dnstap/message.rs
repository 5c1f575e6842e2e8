//! The schema of dnstap: what one message says. Fields that are not needed here are passed over; so are those of later versions.

use std::net::IpAddr;

use super::protobuf::{self, Fields, Malformed, Value};
use crate::time::Timestamp;
use crate::wire::Transport;

/// One message about a DNS message. Whoever makes one fills what is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnstap<'m> {
    /// Which server tells it.
    pub identity: Option<&'m [u8]>,
    /// Its version.
    pub version: Option<&'m [u8]>,
    /// Whatever the sender has to add.
    pub extra: Option<&'m [u8]>,
    /// What it saw.
    pub message: Message<'m>,
}

/// A DNS message that was seen, and its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'m> {
    /// Between whom it was.
    pub kind: Kind,
    /// How it travelled.
    pub protocol: Option<SocketProtocol>,
    /// Who asked.
    pub query_address: Option<IpAddr>,
    /// Who was asked.
    pub response_address: Option<IpAddr>,
    /// The port of who asked.
    pub query_port: Option<u16>,
    /// The port of who was asked.
    pub response_port: Option<u16>,
    /// When it was asked.
    pub query_time: Option<Timestamp>,
    /// The query as it was on the wire.
    pub query_message: Option<&'m [u8]>,
    /// When it was answered.
    pub response_time: Option<Timestamp>,
    /// The response as it was on the wire.
    pub response_message: Option<&'m [u8]>,
    /// What a policy has done about it.
    pub policy: Option<Policy<'m>>,
}

/// What a policy has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy<'m> {
    /// What kind of policy it is: `RPZ`, or another word.
    pub kind: Option<&'m [u8]>,
    /// The rule: of a response policy zone, its owner name on the wire.
    pub rule: Option<&'m [u8]>,
    /// What was done.
    pub action: Option<PolicyAction>,
    /// What matched.
    pub matched: Option<PolicyMatch>,
    /// What it was that matched: a name on the wire, or the octets of an address.
    pub value: Option<&'m [u8]>,
}

/// Declares an enumeration of the schema by its numbers.
macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant = $number),+ }

        impl $name {
            fn of(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

/// Between whom a message was, as the side saw it that tells of it. Those that concern no client of a resolver are one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// From a client to a resolver, as the resolver saw it.
    ClientQuery,
    /// From a resolver to a client, as the resolver saw it.
    ClientResponse,
    /// Any other, by its number.
    Other(u64),
    /// No number stood there, which the schema forbids.
    #[default]
    Missing,
}

numbered! {
    /// How a message travelled.
    SocketProtocol {
        /// UDP.
        Udp = 1,
        /// TCP.
        Tcp = 2,
        /// DNS over TLS.
        Dot = 3,
        /// DNS over HTTPS.
        Doh = 4,
        /// `DNSCrypt` over UDP.
        DnsCryptUdp = 5,
        /// `DNSCrypt` over TCP.
        DnsCryptTcp = 6,
        /// DNS over QUIC.
        Doq = 7,
    }
}

numbered! {
    /// What a policy has done.
    PolicyAction {
        /// Answered NXDOMAIN.
        Nxdomain = 1,
        /// Answered without records.
        Nodata = 2,
        /// Let it through.
        Pass = 3,
        /// Answered nothing.
        Drop = 4,
        /// Answered a truncated response, which sends the client to TCP.
        Truncate = 5,
        /// Answered with data of the policy.
        LocalData = 6,
    }
}

numbered! {
    /// What a rule of a policy matched.
    PolicyMatch {
        /// The name that was asked for.
        Qname = 1,
        /// The address of the client.
        ClientIp = 2,
        /// An address in the response.
        ResponseIp = 3,
        /// The name of a name server.
        NsName = 4,
        /// The address of a name server.
        NsIp = 5,
    }
}

impl Kind {
    fn number(self) -> u64 {
        match self {
            Self::ClientQuery => 5,
            Self::ClientResponse => 6,
            Self::Other(number) => number,
            Self::Missing => 0,
        }
    }

    fn of(number: u64) -> Self {
        match number {
            5 => Self::ClientQuery,
            6 => Self::ClientResponse,
            other => Self::Other(other),
        }
    }
}

impl From<Transport> for SocketProtocol {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Dot => Self::Dot,
            Transport::Doh => Self::Doh,
            Transport::Doq => Self::Doq,
        }
    }
}

impl From<SocketProtocol> for Transport {
    fn from(protocol: SocketProtocol) -> Self {
        match protocol {
            SocketProtocol::Udp | SocketProtocol::DnsCryptUdp => Self::Udp,
            SocketProtocol::Tcp | SocketProtocol::DnsCryptTcp => Self::Tcp,
            SocketProtocol::Dot => Self::Dot,
            SocketProtocol::Doh => Self::Doh,
            SocketProtocol::Doq => Self::Doq,
        }
    }
}

impl<'m> Dnstap<'m> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`] says why it is none.
    pub fn read(octets: &'m [u8]) -> Result<Self, Malformed> {
        let (mut dnstap, mut message) = (Self::default(), None);
        let mut fields = Fields::of(octets);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Octets(octets)) => dnstap.identity = Some(octets),
                (2, Value::Octets(octets)) => dnstap.version = Some(octets),
                (3, Value::Octets(octets)) => dnstap.extra = Some(octets),
                (14, Value::Octets(octets)) => message = Some(Message::read(octets)?),
                // The one type that there is.
                (15, Value::Number(1)) => (),
                (15, _) => return Err(Malformed("of a type that is not known")),
                _unknown => (),
            }
        }
        dnstap.message = message.ok_or(Malformed("it tells of no message"))?;
        Ok(dnstap)
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        for (field, value) in [(1, self.identity), (2, self.version), (3, self.extra)] {
            some(field, value, to);
        }
        let mut message = Vec::with_capacity(256);
        self.message.write(&mut message);
        protobuf::octets(14, &message, to);
        protobuf::number(15, 1, to);
    }
}

impl<'m> Message<'m> {
    fn read(octets: &'m [u8]) -> Result<Self, Malformed> {
        let mut message = Self::default();
        let (mut asked, mut answered) = ((None, 0), (None, 0));
        let mut fields = Fields::of(octets);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Number(number)) => message.kind = Kind::of(number),
                (3, Value::Number(number)) => message.protocol = SocketProtocol::of(number),
                (4, Value::Octets(octets)) => message.query_address = Some(address(octets)?),
                (5, Value::Octets(octets)) => message.response_address = Some(address(octets)?),
                (6, Value::Number(number)) => message.query_port = u16::try_from(number).ok(),
                (7, Value::Number(number)) => message.response_port = u16::try_from(number).ok(),
                (8, Value::Number(number)) => asked.0 = Some(number),
                (9, Value::Fixed(nanos)) => asked.1 = nanos,
                (10, Value::Octets(octets)) => message.query_message = Some(octets),
                (12, Value::Number(number)) => answered.0 = Some(number),
                (13, Value::Fixed(nanos)) => answered.1 = nanos,
                (14, Value::Octets(octets)) => message.response_message = Some(octets),
                (15, Value::Octets(octets)) => message.policy = Some(Policy::read(octets)?),
                _unknown => (),
            }
        }
        if message.kind == Kind::Missing {
            return Err(Malformed("it does not say between whom its message was"));
        }
        (message.query_time, message.response_time) = (moment(asked)?, moment(answered)?);
        Ok(message)
    }

    fn write(&self, to: &mut Vec<u8>) {
        protobuf::number(1, self.kind.number(), to);
        if let Some(address) = self.query_address.or(self.response_address) {
            protobuf::number(2, if address.is_ipv4() { 1 } else { 2 }, to);
        }
        if let Some(protocol) = self.protocol {
            protobuf::number(3, protocol as u64, to);
        }
        for (field, address) in [(4, self.query_address), (5, self.response_address)] {
            match address {
                Some(IpAddr::V4(address)) => protobuf::octets(field, &address.octets(), to),
                Some(IpAddr::V6(address)) => protobuf::octets(field, &address.octets(), to),
                None => (),
            }
        }
        for (field, port) in [(6, self.query_port), (7, self.response_port)] {
            if let Some(port) = port {
                protobuf::number(field, port.into(), to);
            }
        }
        time(8, self.query_time, to);
        some(10, self.query_message, to);
        time(12, self.response_time, to);
        some(14, self.response_message, to);
        if let Some(policy) = &self.policy {
            let mut octets = Vec::with_capacity(64);
            policy.write(&mut octets);
            protobuf::octets(15, &octets, to);
        }
    }
}

impl<'m> Policy<'m> {
    fn read(octets: &'m [u8]) -> Result<Self, Malformed> {
        let mut policy = Self::default();
        let mut fields = Fields::of(octets);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Octets(octets)) => policy.kind = Some(octets),
                (2, Value::Octets(octets)) => policy.rule = Some(octets),
                (3, Value::Number(number)) => policy.action = PolicyAction::of(number),
                (4, Value::Number(number)) => policy.matched = PolicyMatch::of(number),
                (5, Value::Octets(octets)) => policy.value = Some(octets),
                _unknown => (),
            }
        }
        Ok(policy)
    }

    fn write(&self, to: &mut Vec<u8>) {
        some(1, self.kind, to);
        some(2, self.rule, to);
        if let Some(action) = self.action {
            protobuf::number(3, action as u64, to);
        }
        if let Some(matched) = self.matched {
            protobuf::number(4, matched as u64, to);
        }
        some(5, self.value, to);
    }
}

fn some(field: u64, value: Option<&[u8]>, to: &mut Vec<u8>) {
    if let Some(value) = value {
        protobuf::octets(field, value, to);
    }
}

fn address(octets: &[u8]) -> Result<IpAddr, Malformed> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_longer| sixteen()).map_err(|_neither| Malformed("an address of neither 4 nor 16 octets"))
}

fn moment((seconds, nanos): (Option<u64>, u32)) -> Result<Option<Timestamp>, Malformed> {
    const BEYOND: Malformed = Malformed("a time that can't be");
    let Some(seconds) = seconds else { return Ok(None) };
    let seconds = i64::try_from(seconds).map_err(|_wide| BEYOND)?;
    let nanos = i32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(BEYOND)?;
    Timestamp::new(seconds, nanos).map(Some).map_err(|_beyond| BEYOND)
}

/// Appends a time: seconds in this field, and the rest in the next. Those before 1970 have no form.
fn time(field: u64, at: Option<Timestamp>, to: &mut Vec<u8>) {
    let Some(at) = at else { return };
    if let (Ok(seconds), Ok(nanos)) = (u64::try_from(at.as_second()), u32::try_from(at.subsec_nanosecond())) {
        protobuf::number(field, seconds, to);
        protobuf::fixed(field + 1, nanos, to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole() -> Dnstap<'static> {
        Dnstap {
            identity: Some(b"dns1"),
            version: Some(b"x 1.0"),
            extra: Some(b"\0\xff"),
            message: Message {
                kind: Kind::ClientResponse,
                protocol: Some(SocketProtocol::Doq),
                query_address: Some("192.0.2.7".parse().unwrap()),
                response_address: Some("2001:db8::1".parse().unwrap()),
                query_port: Some(65_535),
                response_port: Some(53),
                query_time: Some("2026-11-28T10:00:00.000000001Z".parse().unwrap()),
                query_message: Some(b"query"),
                response_time: Some("2026-11-28T10:00:01.999999999Z".parse().unwrap()),
                response_message: Some(b"response"),
                policy: Some(Policy {
                    kind: Some(b"RPZ"),
                    rule: Some(b"\x01a\0"),
                    action: Some(PolicyAction::LocalData),
                    matched: Some(PolicyMatch::Qname),
                    value: Some(b"\x01b\x01a\0"),
                }),
            },
        }
    }

    fn written(dnstap: &Dnstap<'_>) -> Vec<u8> {
        let mut octets = Vec::new();
        dnstap.write(&mut octets);
        octets
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let least = Message { kind: Kind::ClientQuery, ..Message::default() };
        for dnstap in [whole(), Dnstap { message: least, ..Dnstap::default() }] {
            assert_eq!(Dnstap::read(&written(&dnstap)), Ok(dnstap));
        }
    }

    #[test]
    fn octets_are_those_of_the_specification() {
        let message = Message { kind: Kind::ClientQuery, query_port: Some(300), ..Message::default() };
        let octets = written(&Dnstap { identity: Some(b"a"), message, ..Dnstap::default() });
        assert_eq!(octets, b"\x0a\x01a\x72\x05\x08\x05\x30\xac\x02\x78\x01");
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        let mut octets = written(&whole());
        octets.extend_from_slice(b"\xfa\x01\x02ab\xf8\x01\x96\x01\xfd\x01abcd\xf9\x01abcdefgh");
        assert_eq!(Dnstap::read(&octets), Ok(whole()));
    }

    #[test]
    fn what_is_cut_or_can_not_be_is_no_message() {
        let octets = written(&whole());
        for cut in 0..octets.len() - 2 {
            assert!(Dnstap::read(&octets[..cut]).is_err(), "{cut}");
        }
        for wrong in [
            &b"\x78\x01"[..],
            b"\x72\x00\x78\x01",
            b"\x72\x02\x08\x05\x78\x02",
            b"\x72\x05\x08\x05\x22\x01a\x78\x01",
            b"\x72\x0d\x08\x05\x40\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x08\x05",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x00\x01",
            b"\x0b",
        ] {
            assert!(Dnstap::read(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn rubbish_is_read_without_a_fault_and_what_reads_is_written_the_same(octets: Vec<u8>, at in 0..400_usize) {
            let _any = Dnstap::read(&octets).is_ok();
            let mut changed = written(&whole());
            let at = at % changed.len();
            changed.splice(at..(at + octets.len()).min(changed.len()), octets);
            if let Ok(dnstap) = Dnstap::read(&changed) {
                let again = written(&dnstap);
                prop_assert_eq!(Dnstap::read(&again), Ok(dnstap));
            }
        }
    }
}
