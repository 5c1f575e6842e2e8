//! Responses: one that is kept is given to every client as a well-formed message, within its limit, that answers the
//! client's own question.

use embargo::wire::{Answer, Edns, Fit, HEADER, Layout, Query, chain};
use hickory_resolver::proto::op::Message;

/// Octets that say how the client asks, in front of the response.
const ASKS: usize = 8;

/// Holds the property for one response.
pub(crate) fn check(octets: &[u8]) {
    let Some((&ask, response)) = octets.split_first_chunk::<ASKS>() else { return };
    let Ok(layout) = Layout::read(response) else { return };
    // Only responses to queries, and whole ones, are kept: QR=1, opcode QUERY, TC=0.
    if response[2] & 0xFA != 0x80 {
        return;
    }
    assert!(layout.end <= response.len() && layout.question_end <= layout.end);
    let Ok(answer) = Answer::keep(response, &layout) else { return };
    let body = Layout::read(answer.body()).expect("what is kept is a message");
    assert_eq!((&body.qname, body.qtype, body.qclass), (&layout.qname, layout.qtype, layout.qclass));
    assert!(body.opt.is_none() && body.end == answer.body().len());
    // Without what does not belong to the question, names are written whole: it may be longer than it came.
    assert!(answer.body().len() <= response.len().max(usize::from(u16::MAX)));
    for target in answer.targets() {
        drop(chain(&answer, &target.name));
    }
    let lifetime = answer.lifetime();
    assert!(lifetime.is_none_or(|seconds| i32::try_from(seconds).is_ok()), "{lifetime:?}");

    let message = question(ask, &response[HEADER..layout.question_end]);
    let query = Query::read(&message).expect("the question of a response can be asked");
    let fit = fit(ask, &query);
    // A buffer that held another client's answer.
    let rendered = answer.render(&query, &fit, vec![0xEE; 64]);
    gives(&rendered, &query, &answer, &body, &fit);
    if Message::from_vec(response).is_ok() {
        let read = Message::from_vec(&rendered);
        assert!(read.is_ok(), "hickory reads {response:02x?} and not {rendered:02x?}: {read:?}");
    }
}

/// What is true of every message that is given to a client.
fn gives(rendered: &[u8], query: &Query<'_>, answer: &Answer, body: &Layout, fit: &Fit<'_>) {
    assert!(rendered.len() <= fit.limit, "{} octets of {}", rendered.len(), fit.limit);
    let given = Layout::read(rendered).expect("a response is a message");
    assert_eq!(given.end, rendered.len());
    assert_eq!(rendered[..2], query.message[..2], "its own id");
    assert_eq!(rendered[HEADER..given.question_end], query.message[HEADER..query.question_end], "its own question");
    assert_eq!(rendered[2] & 0xF9, 0x80 | (query.message[2] & 1), "QR, QUERY, no AA, RD as asked");
    let authentic = rendered[3] & 0x20 != 0;
    assert!(!authentic || (query.wants_authentic_data() && fit.authentic), "AD is for who wants it");
    assert_eq!(rendered[3] & 0xD0, 0x80 | (query.message[3] & 0x10), "RA, CD as asked");
    assert_eq!(given.opt().is_some(), query.edns.is_some());
    let opt = given.opt().map_or(0, |opt| u16::try_from(opt.ttl >> 24).expect("eight bits"));
    let rcode = (opt << 4) | u16::from(rendered[3] & 15);
    assert_eq!(rcode, if query.edns.is_some() { answer.rcode() } else { answer.rcode() & 15 });
    let records: Vec<_> = given.records.iter().filter(|record| record.rtype != 41).collect();
    if rendered[2] & 2 != 0 {
        return assert!(records.is_empty(), "what is truncated is empty");
    }
    assert_eq!(records.len(), body.records.len());
    for (given, kept) in records.into_iter().zip(&body.records) {
        assert_eq!((given.section, given.rtype, given.class), (kept.section, kept.rtype, kept.class));
        assert_eq!(rendered[given.rdata.clone()], answer.body()[kept.rdata.clone()]);
        assert!(given.ttl <= fit.ttl_max && (given.ttl <= kept.ttl.max(fit.ttl_min)), "{} of {}", given.ttl, kept.ttl);
    }
}

/// A query for this question, in upper case or lower, with flags and EDNS as `ask` says.
fn question(ask: [u8; ASKS], question: &[u8]) -> Vec<u8> {
    let mut message = vec![ask[0], ask[1], ask[2] & 1, ask[2] & 0x30, 0, 1, 0, 0, 0, 0, 0, (ask[2] >> 1) & 1];
    let (name, rest) = question.split_at(question.len() - 4);
    // Length octets are no letters: the longest label has 63.
    let in_case = |octet: &u8| if ask[2] & 4 == 0 { octet.to_ascii_lowercase() } else { octet.to_ascii_uppercase() };
    message.extend(name.iter().map(in_case));
    message.extend(rest);
    if ask[2] & 2 != 0 {
        message.extend([0, 0, 41, ask[3], ask[4], 0, 0, ask[2] & 0x80, 0, 0, 0]);
    }
    message
}

fn fit(ask: [u8; ASKS], query: &Query<'_>) -> Fit<'static> {
    assert_eq!(query.edns.map(|Edns { version, .. }| version), query.edns.map(|_edns| 0));
    let over_tcp = ask[2] & 8 != 0;
    Fit {
        limit: if over_tcp { usize::from(u16::MAX) } else { query.udp_limit(1232) },
        age: u32::from(ask[5]) << (ask[6] & 7),
        ttl_min: if ask[6] & 8 == 0 { 0 } else { 30 },
        ttl_max: if ask[6] & 16 == 0 { u32::MAX } else { u32::from(ask[7]).max(30) },
        authentic: ask[6] & 32 == 0,
        ede: (ask[6] & 64 != 0).then_some((3, "upstreams do not answer")),
    }
}
