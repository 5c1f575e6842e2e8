//! Answers kept, aged, cut to size, and given to clients of every kind.

use super::*;
use crate::wire::{Response, chain};

const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x07eXample\0\0\x01\0\x01";

fn wire(text: &str) -> Vec<u8> {
    Name::parse(text).unwrap().wire().to_vec()
}

fn with_opt(question: &[u8], dnssec_ok: bool) -> Vec<u8> {
    let mut message = question.to_vec();
    message[11] = 1;
    message.extend_from_slice(&[0, 0, 41, 4, 0xD0, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    message
}

/// a.example CNAME b.example, b.example CNAME c.test, c.test A.
fn kept() -> Answer {
    let question = with_opt(QUESTION, false);
    let mut message = Response::to(&Query::read(&question).unwrap())
        .answer_at(&wire("a.example"), qtype::CNAME, 300, &wire("b.example"))
        .answer_at(&wire("b.example"), qtype::CNAME, 200, &wire("c.test"))
        .answer_at(&wire("c.test"), qtype::A, 100, &[192, 0, 2, 1])
        .ede(22, "hello")
        .finish(1232);
    message[3] |= 0x20;
    Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap()
}

const FIT: Fit<'static> = Fit { limit: 1232, age: 0, ttl_min: 0, ttl_max: u32::MAX, authentic: true, ede: None };

fn ttls(message: &[u8]) -> Vec<u32> {
    let layout = Layout::read(message).unwrap();
    layout.section(Section::Answer).map(|record| record.ttl).collect()
}

#[test]
fn each_client_gets_its_own_id_case_flags_and_ttls() {
    let answer = kept();
    let query = b"\xAB\xCD\x01\x10\0\x01\0\0\0\0\0\0\x01a\x07EXAMPLE\0\0\x01\0\x01";
    let message = answer.render(&Query::read(query).unwrap(), &Fit { age: 150, ..FIT }, Vec::new());
    assert_eq!(message[..4], [0xAB, 0xCD, 0x81, 0x90]);
    assert_eq!(message[12..27], query[12..27]);
    assert_eq!(ttls(&message), [150, 50, 0]);
    assert!(Layout::read(&message).unwrap().opt().is_none(), "a client without EDNS gets no OPT");
}

#[test]
fn ad_passes_only_to_clients_that_asked_and_from_upstreams_that_are_believed() {
    let answer = kept();
    let asks = with_opt(QUESTION, true);
    let ad = |query: &[u8], fit| answer.render(&Query::read(query).unwrap(), &fit, Vec::new())[3] & 0x20;
    assert_eq!(ad(&asks, FIT), 0x20);
    assert_eq!(ad(QUESTION, FIT), 0);
    assert_eq!(ad(&asks, Fit { authentic: false, ..FIT }), 0);
}

#[test]
fn the_upstreams_extended_error_is_passed_on() {
    let query = with_opt(QUESTION, false);
    let message = kept().render(&Query::read(&query).unwrap(), &FIT, Vec::new());
    let layout = Layout::read(&message).unwrap();
    let options: Vec<_> = edns_options(&message[layout.opt().unwrap().rdata.clone()]).collect();
    assert_eq!(options, [(OPTION_EDE, b"\0\x16hello".as_slice())]);
}

#[test]
fn an_answer_made_a_message_is_the_same_answer_again() {
    let question = with_opt(QUESTION, false);
    let query = Query::read(&question).unwrap();
    let answers = [
        Response::to(&query).rcode(23).finish(1232),
        Response::to(&query).answer(qtype::A, 60, &[192, 0, 2, 1]).finish(1232),
        Response::to(&query).rcode(rcode::NXDOMAIN).soa(&wire("example"), 60).ede(22, "hello").finish(1232),
    ];
    let keep = |message: &[u8]| Answer::keep(message, &Layout::read(message).unwrap()).unwrap();
    for answer in answers.iter().map(|message| keep(message)).chain([kept()]) {
        assert_eq!(keep(&answer.to_message()), answer);
    }
}

#[test]
fn an_answer_too_large_is_cut_to_its_question_with_tc() {
    let answer = kept();
    let fit = Fit { limit: answer.body().len() - 1, ..FIT };
    let message = answer.render(&Query::read(QUESTION).unwrap(), &fit, Vec::new());
    assert_eq!(message.len(), QUESTION.len());
    assert_eq!(message[2] & 0x02, 0x02);
}

#[test]
fn no_number_of_extended_errors_makes_a_response_larger_than_its_client_takes() {
    let question = with_opt(QUESTION, false);
    let query = Query::read(&question).unwrap();
    let response = (0..400).fold(Response::to(&query), |response, _number| response.ede(22, "hello"));
    let message = response.answer(qtype::A, 60, &[192, 0, 2, 1]).finish(65_535);
    let answer = Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap();
    assert!(answer.render(&query, &FIT, Vec::new()).len() <= FIT.limit);
}

#[test]
fn an_rcode_of_more_than_four_bits_is_whole() {
    let question = with_opt(QUESTION, false);
    let query = Query::read(&question).unwrap();
    let message = Response::to(&query).rcode(23).finish(1232);
    let answer = Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap();
    let again = answer.render(&query, &FIT, Vec::new());
    assert_eq!(Answer::keep(&again, &Layout::read(&again).unwrap()).unwrap().rcode(), 23);
}

#[test]
fn it_lives_as_long_as_its_least_ttl_and_a_negative_one_as_its_soa_says() {
    assert_eq!(kept().lifetime(), Some(100));
    let query = Query::read(QUESTION).unwrap();
    let keep = |message: Vec<u8>| Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap().lifetime();
    assert_eq!(keep(Response::to(&query).rcode(rcode::NXDOMAIN).soa(&wire("example"), 60).finish(512)), Some(60));
    assert_eq!(keep(Response::to(&query).rcode(rcode::NXDOMAIN).finish(512)), None);
    assert_eq!(keep(Response::to(&query).finish(512)), None);
    assert_eq!(keep(Response::to(&query).rcode(rcode::SERVFAIL).finish(512)), None);
    let huge = Response::to(&query).answer(qtype::A, u32::MAX, &[192, 0, 2, 1]).finish(512);
    assert_eq!(keep(huge), Some(0), "a TTL with the top bit set is 0 (RFC 2181 §8)");
}

#[test]
fn the_chain_ends_at_the_name_asked_for() {
    let answer = kept();
    let names: Vec<_> = answer.targets().iter().map(|target| target.name.to_string()).collect();
    assert_eq!(names, ["b.example", "c.test"]);
    let links = chain(&answer, &Name::parse("c.test").unwrap());
    assert_eq!(
        links.iter().map(|link| (link.owner.to_string(), link.ttl)).collect::<Vec<_>>(),
        [("a.example".to_owned(), 300), ("b.example".to_owned(), 200)]
    );
    assert_eq!(chain(&answer, &Name::parse("b.example").unwrap()).len(), 1);
    assert!(chain(&answer, &Name::parse("d.test").unwrap()).is_empty());
}

#[test]
fn what_an_answer_is_one_without_goes_before_it_is_truncated() {
    let mut message = Response::to(&Query::read(QUESTION).unwrap()).answer(qtype::A, 60, &[192, 0, 2, 1]).finish(512);
    for last in 0..20 {
        // An address of some name server.
        message.extend_from_slice(b"\x03ns1\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02");
        message.push(last);
        message[11] += 1;
    }
    let counts = |message: &[u8], limit| {
        let answer = Answer::keep(message, &Layout::read(message).unwrap()).unwrap();
        let given = answer.render(&Query::read(QUESTION).unwrap(), &Fit { limit, ..FIT }, Vec::new());
        assert_eq!(Layout::read(&given).unwrap().end, given.len());
        (given[2] & 0x02 != 0, given[7], given[9], given[11])
    };
    assert_eq!(counts(&message, 512), (false, 1, 0, 20));
    assert_eq!(counts(&message, 300), (false, 1, 0, 0));
    assert_eq!(counts(&message, 42), (true, 0, 0, 0));
    // The first of them as the name server of the zone, and as a proof.
    let mut proven = message.clone();
    (proven[9], proven[11]) = (1, 19);
    assert_eq!(counts(&proven, 300), (false, 1, 1, 0));
    proven[50] = 2;
    proven.splice(57..63, *b"\0\x06\x03ns1\xC0\x0C");
    assert_eq!(counts(&proven, 512), (false, 1, 1, 19));
    assert_eq!(counts(&proven, 300), (false, 1, 0, 0));
    // The same as a referral: without the addresses it leads nowhere.
    message[7] = 0;
    message[9] = 1;
    message[30] = 2;
    message.splice(37..43, *b"\0\x06\x03ns1\xC0\x0C");
    assert_eq!(counts(&message, 300), (true, 0, 0, 0));
}

#[test]
fn records_behind_the_opt_are_kept_and_point_where_they_did() {
    let mut message = QUESTION.to_vec();
    message[2] |= 0x80;
    message[7] = 1;
    message[11] = 3;
    // A name server in the answer, the OPT between its two addresses; the second owner points at the first.
    message[23..25].copy_from_slice(&qtype::NS.to_be_bytes());
    message.extend_from_slice(b"\xC0\x0C\0\x02\0\x01\0\0\0\x3C\0\x05\x02ns\xC0\x0E");
    message.extend_from_slice(b"\x03ns2\xC0\x0E\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01");
    message.extend_from_slice(b"\0\0\x29\x04\xD0\x01\0\0\0\0\0");
    message.extend_from_slice(b"\xC0\x2C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x02");
    let answer = Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap();
    assert_eq!(answer.rcode(), 16, "the upper bits of the OPT record");

    let mut query = QUESTION.to_vec();
    query[23..25].copy_from_slice(&qtype::NS.to_be_bytes());
    let given = answer.render(&Query::read(&query).unwrap(), &FIT, Vec::new());
    let layout = Layout::read(&given).unwrap();
    let owner = |at| LowerName::read_compressed(&given, at).unwrap().0.to_string();
    let rows: Vec<_> = layout.records.iter().map(|record| (owner(record.start), record.rtype)).collect();
    let expected = [("a.example", qtype::NS), ("ns2.example", qtype::A), ("ns2.example", qtype::A)];
    assert_eq!(rows, expected.map(|(owner, rtype)| (owner.to_owned(), rtype)));
    assert_eq!((owner(layout.records[0].rdata.start), layout.end), ("ns.example".to_owned(), given.len()));
}

#[test]
fn a_message_that_is_signed_for_somebody_else_is_not_kept() {
    let keep = |rtype: u16, rdata: &[u8]| {
        let mut message = QUESTION.to_vec();
        (message[2], message[11]) = (0x81, 1);
        message.push(0);
        message.extend_from_slice(&rtype.to_be_bytes());
        message.extend_from_slice(&[0, 255, 0, 0, 0, 0, 0]);
        message.push(u8::try_from(rdata.len()).unwrap());
        message.extend_from_slice(rdata);
        Answer::keep(&message, &Layout::read(&message).unwrap()).map(|_kept| ())
    };
    let sig = |covered: u8| [&[0, covered][..], &[0; 16], &[0, 1]].concat();
    assert_eq!(keep(qtype::TSIG, &[0; 16]), Err(Malformed::Signed));
    assert_eq!(keep(qtype::SIG, &sig(0)), Err(Malformed::Signed));
    assert_eq!(keep(qtype::SIG, &sig(1)), Ok(()));
}
