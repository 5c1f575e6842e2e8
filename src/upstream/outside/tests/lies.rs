//! Packets that are no response, or not quite.

use super::*;

/// Asks, and shows the query to `lie`, whose packets come before the true answer.
fn lied_to(name: &str, lie: impl Fn(&Scene, &Seen) -> Vec<Vec<u8>>) -> Scene {
    let mut scene = Scene::new(1);
    scene.ask(name, 1);
    let seen = scene.seen(0);
    for packet in lie(&scene, &seen) {
        scene.send(0, &packet, seen.from);
        scene.receive();
    }
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    scene
}

#[test]
fn the_true_answer_behind_every_lie_is_taken() {
    let change = |at: usize, flip: u8| {
        move |_scene: &Scene, seen: &Seen| {
            let mut packet = seen.reply(0);
            packet[at] ^= flip;
            vec![packet]
        }
    };
    let check = |lie: &dyn Fn(&Scene, &Seen) -> Vec<Vec<u8>>, reason: BadPacket| {
        let scene = lied_to("a.example", lie);
        assert_eq!(scene.ends(1), [settled("a.example", 0)], "{reason:?}");
        assert_eq!(scene.ignored(), [reason]);
        assert_eq!(scene.outside.open(), 0);
    };
    check(&change(1, 1), BadPacket::Id);
    check(&change(0, 0x80), BadPacket::Id);
    check(&change(2, 0x80), BadPacket::Query);
    check(&change(2, 0x08), BadPacket::Opcode);
    check(&change(5, 1), BadPacket::Question);
    check(&change(5, 3), BadPacket::Question);
    check(&change(13, 1), BadPacket::Question);
    check(&change(HEADER + 12, 0x1C), BadPacket::Question);
    check(&change(HEADER + 14, 2), BadPacket::Question);
    check(&change(7, 1), BadPacket::Malformed);
    check(&|_scene, _seen| vec![Vec::new()], BadPacket::Short);
    check(&|_scene, seen| vec![seen.reply(0)[..11].to_vec()], BadPacket::Short);
    check(&|_scene, seen| vec![seen.reply(0)[..HEADER + 3].to_vec()], BadPacket::Question);
}

#[test]
fn a_stranger_who_knows_everything_else_is_not_heard() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&seen.reply(3), seen.from).unwrap();
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert_eq!(scene.ends(1), [settled("a.example", 0)]);
}

#[test]
fn what_came_before_the_socket_was_connected_is_told_by_its_source() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    let stranger = fake("127.0.0.1:0");
    // A socket that hears the stranger stands for one that had heard him before.
    let number = scene.outside.open.questions.question(0).port;
    let hears_stranger =
        crate::socket::connected_udp("0.0.0.0:0".parse().unwrap(), stranger.local_addr().unwrap()).unwrap();
    let ours = SocketAddr::new(seen.from.ip(), hears_stranger.local_addr().unwrap().port());
    scene.outside.open.ports.port_mut(number).unwrap().socket = hears_stranger;
    stranger.send_to(&seen.reply(0), ours).unwrap();
    scene.drive(|outside, now, report| outside.read(number, now, report));
    assert_eq!((scene.ends(1), scene.ignored().as_slice()), (&[][..], &[BadPacket::Source][..]));
}

#[test]
fn an_answer_that_comes_twice_settles_no_other_question() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.ask("b.example", 2);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    scene.send(0, &seen.reply(3), seen.from);
    // The socket is watched while another question is open anywhere.
    scene.receive();
    assert_eq!((scene.ends(1), scene.ends(2)), (&[settled("a.example", 0)][..], &[][..]));
    assert_eq!(scene.ignored(), [BadPacket::Id]);
}

#[test]
fn what_was_laid_in_wait_is_thrown_away_before_a_question_is_asked() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    (0..3).for_each(|_guess| scene.send(0, &seen.reply(0), seen.from));
    // Asked until the socket with the guesses has had its turn; nothing is read meanwhile.
    for token in 2.. {
        scene.ask("b.example", token);
        if scene.seen(0).from == seen.from {
            break;
        }
    }
    assert_eq!(scene.ignored(), [BadPacket::Id; 3]);
}

/// The reply with the case of its question's first letter turned.
fn miscased(seen: &Seen) -> Vec<u8> {
    let mut packet = seen.reply(0);
    packet[HEADER + 1] ^= 0x20;
    packet
}

#[test]
fn an_answer_in_another_case_is_not_taken_and_the_true_one_is_still_heard() {
    let mut scene = Scene::new(1);
    // So that a letter is in upper case whatever was drawn.
    scene.ask(&"a".repeat(63), 1);
    let seen = scene.seen(0);
    scene.send(0, &miscased(&seen), seen.from);
    scene.receive();
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Miscased)]);
    assert_eq!(scene.ignored(), [BadPacket::Case]);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert_eq!((scene.ends(1).len(), scene.outside.open()), (1, 0));
    let Outcome::Miscased { mut ear } = scene.unsettled.remove(0).1.outcome else { panic!("not miscased") };
    assert!(matches!(ear.try_recv().unwrap(), Ok(Judged::Whole(whole)) if whole.rcode == 0));
}

#[test]
fn an_upstream_that_never_keeps_case_is_asked_in_lower_case() {
    let mut scene = Scene::new(1);
    let name = |number: u32| format!("{}{number}.example", "a".repeat(60));
    for token in 0..3 {
        scene.ask(&name(token), token);
        let mut seen = scene.seen(0);
        assert_ne!(seen.name(), seen.name().to_ascii_lowercase());
        seen.octets[HEADER..].make_ascii_lowercase();
        scene.send(0, &seen.reply(0), seen.from);
        scene.receive();
        assert_eq!(scene.ends(token), [End::Unsettled(Why::Miscased)]);
    }
    scene.ask(&name(3), 3);
    let seen = scene.seen(0);
    assert_eq!(seen.name(), seen.name().to_ascii_lowercase());
    // In whatever case the answer then comes.
    scene.send(0, &miscased(&seen), seen.from);
    scene.receive();
    assert_eq!(scene.ends(3), [settled(&name(3), 0)]);
    scene.expire(Duration::from_secs(3600));
    scene.ask(&name(4), 4);
    let seen = scene.seen(0);
    assert_ne!(seen.name(), seen.name().to_ascii_lowercase());
}

#[test]
fn an_upstream_that_kept_case_and_then_stops_costs_a_few_connections_and_not_one_for_each_question() {
    let mut scene = Scene::new(1);
    let mut miscased_ends = 0;
    for token in 0..40 {
        let name = format!("{}{token}.example", "a".repeat(60));
        scene.ask(&name, token);
        let mut seen = scene.seen(0);
        if token >= 20 {
            seen.octets[HEADER..].make_ascii_lowercase();
        }
        scene.send(0, &seen.reply(0), seen.from);
        scene.receive();
        miscased_ends += usize::from(scene.ends(token) == [End::Unsettled(Why::Miscased)]);
    }
    assert_eq!(miscased_ends, 3);
}

#[test]
fn guesses_in_another_case_between_true_answers_never_end_the_random_case() {
    let mut scene = Scene::new(1);
    for token in 0..200 {
        scene.ask(&format!("{}{token}.example", "a".repeat(60)), token);
        let seen = scene.seen(0);
        assert_ne!(seen.name(), seen.name().to_ascii_lowercase(), "{token}");
        // A forger who hits port and id of one question in ten.
        let packet = if token % 10 == 0 && token % 30 != 20 { miscased(&seen) } else { seen.reply(0) };
        scene.send(0, &packet, seen.from);
        scene.receive();
    }
}
