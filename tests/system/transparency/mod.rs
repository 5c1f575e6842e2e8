//! A few thousand questions of every kind: what a client gets through the server is what the upstream itself says, fresh and
//! from the cache, but for the differences that [`differences`] allows.
//!
//! Each question goes to the upstream and twice through the server, octet by octet the same. One upstream is an authority
//! (NSD), with referrals; the other a resolver that validates what that authority says (Unbound).

mod peers;
mod seen;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use embargo::wire::Name;

use crate::server::Setup;
use peers::{Peers, ZONES};
use seen::{AA, RA, Seen, TC};

/// Names below each zone: what exists, what does not, aliases, wildcards, and what only looks odd.
const NAMES: [&str; 32] = [
    "@",
    "www",
    "WWW",
    "mail",
    "_sip._tcp",
    "_443._tcp.www",
    "_dns",
    "long",
    "many",
    "x.wild",
    "a.b.wild",
    "there.wild",
    "*.wild",
    "x.there.wild",
    "wild",
    "c1",
    "c4",
    "dangling",
    "away",
    "dn",
    "www.dn",
    "none.dn",
    "empty",
    "deep.empty",
    "zero",
    "short",
    "week",
    "\\000nul",
    "dot\\.in",
    "sp\\032ace",
    "upper",
    "nothing",
];

/// Names below each zone that an authority refers to somebody else, who is not there.
const REFERRED: [&str; 3] = ["gone", "www.gone", "a.b.gone"];

/// A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, LOC, SRV, NAPTR, DNAME, DS, SSHFP, RRSIG, NSEC, DNSKEY, NSEC3PARAM, TLSA, SVCB,
/// HTTPS, CAA, and types that nobody knows.
const TYPES: [u16; 26] =
    [1, 2, 5, 6, 12, 13, 15, 16, 28, 29, 33, 35, 39, 43, 44, 46, 47, 48, 51, 52, 64, 65, 257, 731, 65_280, 65_281];

/// Bits of the flags of a query.
const RD: u16 = 0x0100;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;

const SERVFAIL: u16 = 2;
const RRSIG: u16 = 46;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// TTLs that the server keeps to by its settings: of positive and of negative answers.
const TTL_MAX: [u32; 2] = [24 * 60 * 60, 60 * 60];

/// A question and how it is asked.
#[derive(Clone, Debug)]
struct Question {
    name: String,
    flags: u16,
    payload: u16,
    message: Vec<u8>,
    over_tcp: bool,
}

impl Question {
    /// Octets of a response at most.
    fn limit(&self) -> usize {
        if self.over_tcp { usize::from(u16::MAX) } else { usize::from(self.payload.clamp(512, 1232)) }
    }
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.roll(values.len())]
    }
}

/// Every name, those of `more` too, with every type that is not left out, each asked in one of the ways there are.
fn questions(more: &[&str], left_out: &[u16]) -> Vec<Question> {
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut questions = Vec::new();
    for zone in ZONES {
        for name in NAMES.iter().chain(more) {
            let name = if *name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
            let types = TYPES.iter().filter(|qtype| !left_out.contains(qtype));
            questions.extend(types.map(|qtype| question(&name, *qtype, &mut dice)));
        }
    }
    questions
}

fn question(name: &str, qtype: u16, dice: &mut Dice) -> Question {
    let mut message = vec![0x4E, 0x42];
    let flags = RD | dice.of(&[0, AD]) | dice.of(&[0, 0, CD]);
    // One in eight without EDNS.
    let edns = dice.roll(8) > 0;
    for word in [flags, 1, 0, 0, u16::from(edns)] {
        message.extend(word.to_be_bytes());
    }
    // In whatever case; the length of a label is no letter.
    let wire = Name::parse(name).unwrap().wire().to_vec();
    message.extend(wire.iter().map(|octet| if dice.roll(2) == 0 { octet.to_ascii_uppercase() } else { *octet }));
    for word in [qtype, 1] {
        message.extend(word.to_be_bytes());
    }
    let payload = if edns { dice.of(&[0_u16, 512, 900, 1232, 4096, 65_535]) } else { 0 };
    if edns {
        message.extend([0, 0, 41]);
        message.extend(payload.to_be_bytes());
        message.extend([0, 0, dice.of(&[0, 0x80]), 0]);
        // None; NSID; one that nobody knows; a client subnet; padding.
        let options: [&[u8]; 6] =
            [b"", b"", b"\0\x03\0\0", b"\xFD\xE9\0\x03mac", b"\0\x08\0\x07\0\x01\x18\0\xC0\0\x02", b"\0\x0c\0\x02\0\0"];
        let options = dice.of(&options);
        message.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        message.extend(options);
    }
    Question { name: format!("{name} TYPE{qtype}"), flags, payload, message, over_tcp: dice.roll(3) == 0 }
}

/// Asks, and waits for the response.
fn ask(server: SocketAddr, question: &Question) -> Vec<u8> {
    if question.over_tcp {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let size = u16::try_from(question.message.len()).unwrap().to_be_bytes();
        stream.write_all(&[&size[..], &question.message].concat()).unwrap();
        let mut size = [0; 2];
        stream.read_exact(&mut size).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut message).unwrap();
        return message;
    }
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(&question.message).unwrap();
    let mut buffer = vec![0; 65_535];
    let size = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{server} is silent ({error}): {question:?}"));
    buffer.truncate(size);
    buffer
}

/// Whether a response has every answer and every record of authority that one over TCP has, in no more octets than that.
fn is_whole(ours: &Seen, whole: &Seen, limit: usize) -> bool {
    let told = |seen: &Seen| {
        let [answers, authorities, _additionals] = seen.sorted();
        let records = |section: &[&(seen::Record, u32)]| section.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
        [records(&answers), records(&authorities)]
    };
    ours.length <= limit && told(ours) == told(whole)
}

/// What differs between our response and the upstream's, `apart` of which lies between both, but for what is allowed:
///
/// - AA: we are no authority; RA: we offer recursion, an authority does not; CD: it is the query's (RFC 4035 §3.2.2), while an
///   authority clears it;
/// - a referral, which is no answer: whoever asks for recursion is told that there is none;
/// - which of the errors of validation a validator names, since it does not keep to one, and that we remember a failure;
/// - the TTL of a CNAME that is made of a DNAME, which Unbound says to be 0 once it knows the DNAME;
/// - additional records, which an upstream leaves out of a small datagram, and we too (RFC 2181 §9): ours are among those that
///   it gives over TCP (`whole`);
/// - TTLs: ours may be younger or older by the time between both, and are no longer than the cache's limits;
/// - TC on a response that is longer than what the client takes or one packet carries, 1232 octets (RFC 9715), though an upstream
///   sends longer ones, or leaves out more;
/// - no TC on a response that is whole and fits, since we write names shorter than an upstream that compresses them by case only;
/// - what stands in a truncated response: its client asks again over TCP and uses none of it (RFC 2181 §9);
/// - EDNS: the payload, which is each server's own, and options other than extended errors, which end at each hop (RFC 6891);
/// - the order of records within a set, which servers rotate, and the case of names behind the question (RFC 4343).
fn differences(question: &Question, ours: &Seen, theirs: &Seen, whole: &Seen, apart: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, same: bool| {
        if !same {
            found.push(what.to_owned());
        }
    };
    if theirs.is_referral() {
        differ("referral", ours.rcode == SERVFAIL && ours.errors.is_empty() == ours.edns.is_none());
        return found;
    }
    // Of an answer that is not there AD says nothing.
    let cut = if (ours.flags | theirs.flags) & TC == 0 { 0 } else { AD };
    let others = AA | RA | CD | TC | cut;
    differ("flags", ours.flags & !others == theirs.flags & !others);
    differ("TC is cleared", ours.flags & TC >= theirs.flags & TC || is_whole(ours, whole, question.limit()));
    differ("TC is set", ours.flags & TC == theirs.flags & TC || whole.length > question.limit());
    differ("rcode", ours.rcode == theirs.rcode);
    differ("CD", ours.flags & CD == question.flags & CD);
    differ("RA is missing", ours.flags & RA != 0);
    differ("AA is set", ours.flags & AA == 0);
    differ("question", ours.question == theirs.question);
    differ("EDNS version or flags", ours.edns == theirs.edns);
    differ("extended errors", ours.errors_alike() == theirs.errors_alike());
    differ("an option that was not asked for", ours.options.is_empty());
    if (ours.flags | theirs.flags) & TC == 0 {
        differ("order of the answer", ours.order() == theirs.order());
        let has_dname = theirs.order().iter().any(|(_owner, rtype)| *rtype == 39);
        for (number, (ours, theirs)) in ours.sorted().iter().zip(theirs.sorted()).enumerate() {
            let records =
                |section: &[&(seen::Record, u32)]| section.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
            let section = ["answer", "authority", "additional"][number];
            if number == 2 {
                let whole = records(&whole.sorted()[2]);
                differ(section, records(ours).iter().all(|record| whole.contains(record)));
                continue;
            }
            differ(section, records(ours) == records(&theirs));
            let near =
                |a: u32, b: u32| TTL_MAX.iter().any(|max| a.abs_diff(b.min(*max)) <= apart) || a.abs_diff(b) <= apart;
            let made = |record: &seen::Record| has_dname && record.is_cname();
            let ttls = ours.iter().zip(&theirs).all(|(ours, theirs)| near(ours.1, theirs.1) || made(&ours.0));
            differ(&format!("TTLs of the {section}"), ttls);
        }
    }
    found
}

/// Asks `upstream` every question, directly and through the server; the kinds of difference and one example of each.
fn compare(upstream: SocketAddr, more: &[&str], left_out: &[u16]) -> (usize, BTreeMap<String, (usize, String)>) {
    let server = Setup::new(&[upstream]).setting("upstream", "trust_ad = true").start();
    let questions = questions(more, left_out);
    let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for question in &questions {
        let start = Instant::now();
        let before = Seen::read(&ask(upstream, question));
        let whole = Seen::read(&ask(upstream, &Question { over_tcp: true, ..question.clone() }));
        for turn in ["asked", "asked again"] {
            let octets = ask(server.dns, question);
            let ours = Seen::read(&octets);
            // An upstream may say a thing in another way once it has it in its cache.
            let after = Seen::read(&ask(upstream, question));
            // A second may begin between two responses of the same moment.
            let apart = u32::try_from(start.elapsed().as_secs()).unwrap() + 1;
            let compared = |theirs| (differences(question, &ours, theirs, &whole, apart), theirs);
            let (found, theirs) =
                [&before, &after].map(compared).into_iter().min_by_key(|(found, _)| found.len()).unwrap();
            for what in found {
                let kind = kinds.entry(what).or_default();
                kind.0 += 1;
                if kind.1.is_empty() {
                    let Question { name, message, over_tcp, .. } = question;
                    let asked = format!("{name}, TCP {over_tcp}, as {message:02x?}");
                    kind.1 = format!("{turn}: {asked}\nours:   {ours}\ntheirs: {theirs}");
                }
            }
        }
    }
    let page = server.metrics();
    let count = |outcome| page.sum_of("embargo_dns_responses_total", &[("outcome", outcome)]);
    // Both ways were taken often enough to say something.
    assert!(count("forwarded") > 1_000 && count("cached") > 1_000, "{} {}", count("forwarded"), count("cached"));
    (questions.len(), kinds)
}

#[track_caller]
fn check(upstream: SocketAddr, more: &[&str], left_out: &[u16]) {
    let (asked, kinds) = compare(upstream, more, left_out);
    let mut told = String::new();
    for (kind, (count, example)) in &kinds {
        writeln!(told, "{kind}: {count} times, first when {example}").unwrap();
    }
    assert!(kinds.is_empty(), "of {asked} questions, asked twice:\n{told}");
}

#[test]
fn through_the_server_an_authority_says_what_it_says_itself() {
    check(Peers::start().nsd, &REFERRED, &[]);
}

#[test]
fn through_the_server_a_validating_resolver_says_what_it_says_itself() {
    check(Peers::start().unbound, &[], &[]);
}

#[test]
fn through_the_server_bind_says_what_it_says_itself() {
    let peers = Peers::start();
    let (address, _running) = peers.named();
    // Of signatures asked for by themselves it gives those that it has met, and for none the word of one that offers no recursion.
    check(address, &[], &[RRSIG]);
}

#[test]
fn through_the_server_knot_resolver_says_what_it_says_itself() {
    let peers = Peers::start();
    let (address, _running) = peers.kresd();
    check(address, &[], &[]);
}
