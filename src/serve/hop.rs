//! What concerns this hop alone and no upstream: cookies, padding, idle connections, and what the server says about itself.

use crate::metrics::Outcome;
use crate::time::Now;
use crate::wire::{Asked, CLASS_CH, CLASS_IN, Cookies, Extras, Query, Response, Secret, qtype, rcode};

use super::client::Client;
use super::ending::Ending;

/// Names in class CH that ask for the version, as BIND and NSD have them.
const VERSION: [&[u8]; 2] = [b"\x07version\x04bind\0", b"\x07version\x06server\0"];
/// Names in class CH that ask which server it is (RFC 4892).
const ID: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];
/// The record in place of all records (RFC 8482 §4.2): CPU says why, OS says nothing.
const HINFO: &[u8] = b"\x07RFC8482\0";
/// Its TTL in seconds: long enough to keep who asks so from asking often, short enough to change one's mind (RFC 8482 §4.2).
const HINFO_TTL: u32 = 3600;

/// What the operator decides about this hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopConfig {
    /// Secrets of server cookies: cookies are made with the first, those of all are known. None: one that nobody else has.
    pub cookie_secrets: Vec<Secret>,
    /// Whether a client that speaks cookies has to show ours over UDP before it is answered (RFC 7873 §5.2.3).
    pub cookie_required: bool,
    /// The name server identifier (RFC 5001), at most [`NSID_MAX`](crate::wire::NSID_MAX) octets.
    pub nsid: Option<Box<[u8]>>,
    /// The text of `id.server` and `hostname.bind`, at most 255 octets.
    pub id: Option<Box<[u8]>>,
    /// The text of `version.server` and `version.bind`, at most 255 octets.
    pub version: Option<Box<[u8]>>,
    /// What a question for all types gets.
    pub any: AnyAnswer,
}

/// What a question for all types (ANY) gets over UDP when nothing is cached for it. Over streams it is always forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnyAnswer {
    /// One small record (RFC 8482 §4.2), so that nobody is flooded with the whole.
    #[default]
    Minimal,
    /// Whatever the upstream says.
    Forward,
}

impl AnyAnswer {
    /// Every answer.
    pub const ALL: [Self; 2] = [Self::Minimal, Self::Forward];

    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Forward => "forward",
        }
    }
}

/// This hop as its clients see it.
#[derive(Debug)]
pub(super) struct Hop {
    config: HopConfig,
    cookies: Cookies,
}

/// What the options of a query come to.
pub(super) struct Heard<'h> {
    /// What every response to it carries.
    pub(super) extras: Extras<'h>,
    /// Its client, whose address a cookie may have proven.
    pub(super) client: Client,
}

impl Hop {
    /// Without secrets in `config`, cookies are made with `own`.
    pub(super) fn new(config: HopConfig, own: Secret) -> Self {
        let cookies = match config.cookie_secrets.split_first() {
            Some((first, others)) => Cookies::new(*first, others.to_vec()),
            None => Cookies::new(own, Vec::new()),
        };
        Self { config, cookies }
    }

    /// Heeds what a query `asked` for by its options.
    pub(super) fn hear(&self, message: &[u8], asked: &Asked, client: &Client, now: Now) -> Heard<'_> {
        let mut client = *client;
        // A malformed cookie gets none; `Hop::objection` says so.
        let cookie = asked.cookie(message).ok().flatten().map(|cookie| {
            let (good, cookie) = self.cookies.meet(&cookie, client.address(), seconds(now));
            client.cookie_is_good = good;
            cookie
        });
        let extras = Extras {
            cookie,
            nsid: self.config.nsid.as_deref().filter(|_nsid| asked.nsid),
            keepalive: client.idle.filter(|_idle| asked.keepalive),
            subnet: None,
            padded: asked.padding && client.transport.is_encrypted(),
        };
        Heard { extras, client }
    }

    /// The same for a query as it is read; `None`: it has no options.
    pub(super) fn hear_all(&self, query: &Query<'_>, client: &Client, now: Now) -> Option<Heard<'_>> {
        let asked = query.edns?.options?;
        Some(self.hear(query.message, &asked, client, now))
    }

    /// The response code that a query gets for its EDNS, if it is not to be answered.
    pub(super) fn objection(&self, query: &Query<'_>, client: &Client) -> Option<u16> {
        let edns = query.edns?;
        // A version we do not know may mean anything, so nothing behind it is read (RFC 6891 §6.1.3).
        if edns.version > 0 {
            return Some(rcode::BADVERS);
        }
        match edns.options?.cookie(query.message) {
            Err(_malformed) => Some(rcode::FORMERR),
            // The response has a good one, with which the client asks again; who forges its address never sees it.
            Ok(Some(_)) if self.config.cookie_required && !client.verified() => Some(rcode::BADCOOKIE),
            Ok(_) => None,
        }
    }

    /// The response code for a cookie without a question (RFC 7873 §5.4).
    pub(super) fn cookie_only(message: &[u8], asked: &Asked, client: &Client) -> u16 {
        match asked.cookie(message) {
            Ok(Some(cookie)) if cookie.has_server_part() && !client.cookie_is_good => rcode::BADCOOKIE,
            Ok(_) => rcode::NOERROR,
            Err(_malformed) => rcode::FORMERR,
        }
    }

    /// What the server says about itself, if it is asked for that and may tell.
    pub(super) fn about(&self, query: &Query<'_>, client: &Client) -> Option<Ending> {
        if query.qclass != CLASS_CH || !matches!(query.qtype, qtype::TXT | qtype::ANY) {
            return None;
        }
        let text = match query.name.wire() {
            name if VERSION.contains(&name) => self.config.version.as_deref()?,
            name if ID.contains(&name) => self.config.id.as_deref()?,
            _ => return None,
        };
        let rdata = [&[u8::try_from(text.len()).ok()?], text].concat();
        // What it says may change with the next reload.
        let response = Response::to(query).answer_in(CLASS_CH, qtype::TXT, 0, &rdata);
        Some(Ending::response(query, client, response, Outcome::Local, rcode::NOERROR))
    }

    /// The answer to a question for all types over UDP: a record that says why there are not more, or where signatures are
    /// wanted, which we can't make, that TCP is the way to the whole answer. `ttl_max` is policy's.
    pub(super) fn any(&self, query: &Query<'_>, client: &Client, ttl_max: Option<u32>) -> Option<Ending> {
        let asked = query.qtype == qtype::ANY && query.qclass == CLASS_IN;
        if !asked || self.config.any == AnyAnswer::Forward || client.transport.proves_address() {
            return None;
        }
        let response = Response::to(query);
        let response = if query.dnssec_ok() {
            response.truncated()
        } else {
            response.answer(qtype::HINFO, ttl_max.map_or(HINFO_TTL, |max| max.min(HINFO_TTL)), HINFO)
        };
        Some(Ending::response(query, client, response, Outcome::Local, rcode::NOERROR))
    }
}

/// Seconds since 1970 as cookies have them, modulo 2^32.
fn seconds(now: Now) -> u32 {
    let [.., a, b, c, d] = now.wall.as_second().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;
    use crate::time::{Mono, Timestamp};
    use crate::wire::{Layout, Transport, edns_options};

    const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) };
    const COOKIE: &[u8] = b"\0\x0a\0\x0812345678";

    fn hop(config: HopConfig) -> Hop {
        Hop::new(config, Secret([7; 16]))
    }

    fn telling() -> Hop {
        let text = |text: &str| Some(text.as_bytes().into());
        hop(HopConfig { nsid: text("ns1"), id: text("id"), version: text("9"), ..HopConfig::default() })
    }

    fn client(transport: Transport) -> Client {
        Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 4242)), transport)
    }

    fn query(name: &[u8], [qtype, qclass]: [u16; 2], flags: u8, options: &[u8]) -> Vec<u8> {
        let opt = [0, 0, 41, 4, 0xD0, 0, 0, flags, 0, 0, u8::try_from(options.len()).unwrap()];
        let question = [name, &qtype.to_be_bytes(), &qclass.to_be_bytes()].concat();
        [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01", &question[..], &opt, options].concat()
    }

    /// The option codes of the response to a query for `a` with these options.
    fn codes(hop: &Hop, client: &Client, options: &[u8]) -> Vec<u16> {
        let message = query(b"\x01a\0", [qtype::A, CLASS_IN], 0, options);
        let query = Query::read(&message).unwrap();
        let heard = hop.hear_all(&query, client, NOW).unwrap();
        let response = Response::to(&query.with(&heard.extras)).finish(65_535);
        let opt = Layout::read(&response).unwrap().opt().unwrap().rdata.clone();
        edns_options(&response[opt]).map(|(code, _value)| code).collect()
    }

    fn rcode_of(hop: &Hop, client: &Client, options: &[u8]) -> Option<u16> {
        let message = query(b"\x01a\0", [qtype::A, CLASS_IN], 0, options);
        let query = Query::read(&message).unwrap();
        let client = hop.hear_all(&query, client, NOW).map_or(*client, |heard| heard.client);
        hop.objection(&query, &client)
    }

    #[test]
    fn a_response_has_the_options_that_were_asked_for_and_no_others() {
        let hop = telling();
        let udp = client(Transport::Udp);
        assert_eq!(codes(&hop, &udp, COOKIE), [10]);
        assert_eq!(codes(&hop, &udp, b"\0\x03\0\0"), [3]);
        // An unknown option, client subnet, keepalive and padding in clear.
        assert_eq!(codes(&hop, &udp, b"\xFD\xE9\0\0\0\x08\0\x04\0\x01\0\0\0\x0b\0\0\0\x0c\0\0"), [0_u16; 0]);
        let silent = Hop::new(HopConfig::default(), Secret([7; 16]));
        assert_eq!(codes(&silent, &udp, b"\0\x03\0\0"), [0_u16; 0]);
    }

    #[test]
    fn keepalive_is_for_connections_and_padding_for_encrypted_ones() {
        let (hop, options) = (telling(), b"\0\x0b\0\0\0\x0c\0\0");
        let on = |transport| client(transport).with_idle(Duration::from_secs(10));
        assert_eq!(codes(&hop, &on(Transport::Tcp), options), [11]);
        assert_eq!(codes(&hop, &on(Transport::Dot), options), [11, 12]);
        assert_eq!(codes(&hop, &client(Transport::Doh), options), [12]);
        let idle = |seconds| client(Transport::Tcp).with_idle(Duration::from_secs(seconds)).idle;
        assert_eq!((idle(10), idle(86_400)), (Some(100), Some(u16::MAX)));
    }

    #[test]
    fn a_good_cookie_proves_the_address_and_another_does_not() {
        let hop = hop(HopConfig::default());
        let udp = client(Transport::Udp);
        let met = |options: &[u8], client: &Client| {
            let message = query(b"\x01a\0", [qtype::A, CLASS_IN], 0, options);
            let heard = hop.hear_all(&Query::read(&message).unwrap(), client, NOW).unwrap();
            (heard.client.verified(), heard.extras.cookie)
        };
        let (verified, cookie) = met(COOKIE, &udp);
        assert!(!verified);
        let both = [&b"\0\x0a\0\x18"[..], &cookie.unwrap()].concat();
        assert_eq!(met(&both, &udp), (true, cookie));
        let other = Client::new("192.0.2.1:53".parse().unwrap(), Transport::Udp);
        assert!(!met(&both, &other).0 && met(&both, &client(Transport::Tcp)).0);
    }

    #[test]
    fn a_client_with_another_cookie_is_answered_unless_ours_is_required() {
        let lenient = hop(HopConfig::default());
        let strict = hop(HopConfig { cookie_required: true, ..HopConfig::default() });
        let (udp, tcp) = (client(Transport::Udp), client(Transport::Tcp));
        let wrong = b"\0\x0a\0\x181234567812345678abcdefgh";
        assert_eq!(rcode_of(&lenient, &udp, wrong), None);
        assert_eq!(rcode_of(&strict, &udp, wrong), Some(rcode::BADCOOKIE));
        assert_eq!(rcode_of(&strict, &udp, COOKIE), Some(rcode::BADCOOKIE));
        assert_eq!((rcode_of(&strict, &tcp, wrong), rcode_of(&strict, &udp, b"")), (None, None));
        assert_eq!(rcode_of(&lenient, &udp, b"\0\x0a\0\x011"), Some(rcode::FORMERR));
    }

    #[test]
    fn the_server_says_of_itself_only_what_it_may_tell_and_only_when_asked_for_text() {
        let said = |hop: &Hop, name: &[u8], kind| {
            let message = query(name, kind, 0, b"");
            let ending = hop.about(&Query::read(&message).unwrap(), &client(Transport::Udp))?;
            let Ending::Response { message, outcome: Outcome::Local, .. } = ending else { panic!("{ending:?}") };
            let layout = Layout::read(&message).unwrap();
            let record = layout.records[0].clone();
            assert_eq!((record.class, record.rtype, record.ttl), (CLASS_CH, qtype::TXT, 0));
            Some(message[record.rdata].to_vec())
        };
        let (hop, text) = (telling(), [qtype::TXT, CLASS_CH]);
        assert_eq!(said(&hop, b"\x07vErsion\x04bind\0", text).as_deref(), Some(&b"\x019"[..]));
        assert_eq!(said(&hop, b"\x07version\x06server\0", [qtype::ANY, CLASS_CH]).as_deref(), Some(&b"\x019"[..]));
        assert_eq!(said(&hop, b"\x02id\x06server\0", text).as_deref(), Some(&b"\x02id"[..]));
        assert_eq!(said(&hop, b"\x08hostname\x04bind\0", text).as_deref(), Some(&b"\x02id"[..]));
        assert_eq!(said(&hop, b"\x07authors\x04bind\0", text), None);
        assert_eq!(said(&hop, b"\x07version\x04bind\0", [qtype::A, CLASS_CH]), None);
        assert_eq!(said(&hop, b"\x07version\x04bind\0", [qtype::TXT, CLASS_IN]), None);
        let silent = Hop::new(HopConfig::default(), Secret([7; 16]));
        assert_eq!(said(&silent, b"\x07version\x04bind\0", text), None);
    }

    #[test]
    fn a_question_for_all_types_gets_one_small_record_over_udp_or_is_sent_to_tcp() {
        let any = |hop: &Hop, transport, kind, flags, ttl_max| {
            let message = query(b"\x01a\0", kind, flags, b"");
            let ending = hop.any(&Query::read(&message).unwrap(), &client(transport), ttl_max)?;
            let Ending::Response { message, .. } = ending else { panic!("{ending:?}") };
            let layout = Layout::read(&message).unwrap();
            let records = layout.section(crate::wire::Section::Answer);
            let records: Vec<_> = records.map(|record| (record.rtype, record.ttl)).collect();
            Some((message[2] & 0x02 != 0, records))
        };
        let (minimal, udp, all) = (hop(HopConfig::default()), Transport::Udp, [qtype::ANY, CLASS_IN]);
        assert_eq!(any(&minimal, udp, all, 0, None), Some((false, vec![(qtype::HINFO, HINFO_TTL)])));
        assert_eq!(any(&minimal, udp, all, 0, Some(5)), Some((false, vec![(qtype::HINFO, 5)])));
        assert_eq!(any(&minimal, udp, all, 0x80, None), Some((true, vec![])));
        assert_eq!(any(&minimal, Transport::Tcp, all, 0, None), None);
        assert_eq!(any(&minimal, udp, [qtype::A, CLASS_IN], 0, None), None);
        assert_eq!(any(&minimal, udp, [qtype::ANY, 255], 0, None), None);
        let forward = hop(HopConfig { any: AnyAnswer::Forward, ..HopConfig::default() });
        assert_eq!(any(&forward, udp, all, 0, None), None);
    }
}
