//! Packets that are no response: every one is ignored, and the true answer behind it is found.

use super::*;

/// A lie: what a forger sends first.
type Lie = fn(&Seen) -> Act;

/// Every lie of the table "bad packet first, true answer 100 ms later", and how it is counted.
fn lies() -> Vec<(&'static str, Lie, Option<BadPacket>)> {
    fn forged(seen: &Seen) -> Built {
        reply(seen).a(FORGED)
    }
    fn changed(seen: &Seen, change: impl FnOnce(&mut Vec<u8>, usize)) -> Act {
        let (mut octets, question_end) = (forged(seen).no_edns().octets(), 12 + seen.question().len());
        change(&mut octets, question_end);
        Act::Send(octets)
    }
    /// Offset of the answer's RDLENGTH from the end of the question: name, type, class, TTL.
    fn length_at(seen: &Seen) -> usize {
        seen.qname_wire().len() + 8
    }
    vec![
        ("wrong id", |s| Act::Send(forged(s).id(s.id() ^ 1).octets()), Some(BadPacket::Id)),
        ("four octets", |s| Act::Send(forged(s).octets()[..4].to_vec()), Some(BadPacket::Short)),
        ("no octets", |_| Act::Send(Vec::new()), Some(BadPacket::Short)),
        ("wrong name", |s| Act::Send(forged(s).question("b.example", A).octets()), Some(BadPacket::Question)),
        ("wrong type", |s| Act::Send(forged(s).question("a.example", 28).octets()), Some(BadPacket::Question)),
        ("no question, empty", |s| Act::Send(reply(s).no_question().octets()), Some(BadPacket::Question)),
        ("no question, answer", |s| Act::Send(forged(s).no_question().octets()), Some(BadPacket::Question)),
        ("garbage", |s| changed(s, |octets, _| octets[2..].fill(0xA5)), Some(BadPacket::Opcode)),
        ("garbage behind the question", |s| changed(s, |o, end| o[end..].fill(0xFF)), Some(BadPacket::Malformed)),
        ("a query", |s| Act::Send(forged(s).without(QR).octets()), Some(BadPacket::Query)),
        ("another opcode", |s| Act::Send(forged(s).opcode(4).octets()), Some(BadPacket::Opcode)),
        ("record length overrun", |s| changed(s, |o, end| o[end + length_at(s)] = 0xFF), Some(BadPacket::Malformed)),
        ("cut off", |s| changed(s, |o, _| o.truncate(o.len() - 2)), Some(BadPacket::Malformed)),
        ("count of 65535", |s| changed(s, |o, _| o[6..8].fill(0xFF)), Some(BadPacket::Malformed)),
        (
            "compression loop",
            |s| changed(s, |o, end| o[end..end + 2].copy_from_slice(&[0xC0, u8::try_from(end).unwrap()])),
            Some(BadPacket::Malformed),
        ),
        ("wrong source", |s| Act::SendFromElsewhere(forged(s).octets()), None),
        ("forged FORMERR", |s| Act::Send(reply(s).rcode(1).octets()), None),
        ("forged FORMERR without question", |s| Act::Send(reply(s).rcode(1).no_question().octets()), None),
        ("forged NOTIMP", |s| Act::Send(reply(s).rcode(4).octets()), None),
    ]
}

#[tokio::test]
async fn a_bad_packet_first_never_hides_the_true_answer() {
    let checks = lies().into_iter().map(|(label, lie, counted)| async move {
        let script = move |seen: &Seen| [vec![lie(seen), Act::Wait(ms(100))], answer(seen)].concat();
        let fake = FakeUpstream::scripted(script).await;
        let (upstreams, recorder) = start(&config(&[fake.address()]));

        let got = upstreams.ask(&question("a.example")).await.expect(label);

        assert_eq!((got.rcode, address(&got)), (rcode::NOERROR, Some(TRUE)), "{label}");
        if let Some(reason) = counted {
            assert_eq!(recorder.count(Event::Ignored(0, reason)), 1, "{label}");
        }
    });
    join_all(checks).await;
}

#[tokio::test]
async fn nothing_but_bad_packets_is_a_timeout_however_many() {
    let checks = lies().into_iter().filter(|(.., counted)| counted.is_some()).map(|(label, lie, _)| async move {
        let fake = FakeUpstream::scripted(move |seen| vec![lie(seen); 20]).await;
        let (upstreams, _) = start(&hasty(&[fake.address()]));
        let error = upstreams.ask(&question("a.example")).await.expect_err(label);
        assert_eq!(error, UpstreamError::Timeout { asked: 1 }, "{label}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn the_first_good_answer_wins() {
    let script = |seen: &Seen| [answer(seen), once(reply(seen).a(FORGED))].concat();
    let fake = FakeUpstream::scripted(script).await;
    let (upstreams, _) = start(&config(&[fake.address()]));
    assert_eq!(address(&upstreams.ask(&question("a.example")).await.unwrap()), Some(TRUE));
}
