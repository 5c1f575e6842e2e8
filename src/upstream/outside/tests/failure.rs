//! Silence, rejection, truncation, and a network that leads nowhere.

use super::*;

const HEDGE: Duration = ms(300);
const PATIENCE: Duration = ms(1500);
const DEADLINE: Duration = ms(2000);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What an ear has heard.
fn heard(unsettled: Unsettled) -> Option<Heard> {
    match unsettled.outcome {
        Outcome::Silent { mut ear } | Outcome::Rejected { mut ear, .. } | Outcome::Miscased { mut ear } => {
            ear.try_recv().ok()
        }
        Outcome::Truncated | Outcome::Failed(_) => None,
    }
}

#[test]
fn silence_is_reported_at_the_hedge_counted_at_the_end_of_patience_and_listened_to_until_the_deadline() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    assert_eq!(scene.outside.next_expiry(), Some(scene.now.plus(HEDGE)));
    scene.expire(ms(299));
    assert_eq!(scene.ends(1), []);
    scene.expire(ms(1));
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Silent)]);
    scene.expire(ms(1199));
    assert_eq!((scene.outside.open(), scene.told.failed.lock().unwrap().len()), (1, 0));
    scene.expire(ms(1));
    assert_eq!(*scene.told.failed.lock().unwrap(), [(0, FailReason::Timeout)]);
    assert_eq!((scene.outside.open(), scene.outside.next_expiry()), (1, Some(scene.now.plus(ms(500)))));
    scene.expire(ms(500));
    assert_eq!((scene.outside.open(), scene.outside.next_expiry()), (0, None));
    assert_eq!(*scene.told.failed.lock().unwrap(), [(0, FailReason::Timeout)], "once");
    assert_eq!(scene.ends(1).len(), 1);
    assert!(matches!(heard(scene.unsettled.remove(0).1), Some(Err(FailReason::Timeout))));
    assert_eq!(scene.upstreams.status()[0].in_flight, 0);
}

#[test]
fn questions_expire_in_the_order_in_which_they_were_asked() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    scene.expire(ms(200));
    scene.ask("b.example", 2);
    scene.expire(ms(100));
    assert_eq!((scene.ends(1).len(), scene.ends(2).len()), (1, 0));
    scene.expire(ms(200));
    assert_eq!((scene.ends(1).len(), scene.ends(2).len()), (1, 1));
    scene.expire(ms(1500));
    assert_eq!(scene.outside.open(), 1);
}

#[test]
fn an_answer_after_the_hedge_reaches_those_to_whom_the_question_went_on() {
    for rcode in [0, 2] {
        let mut scene = Scene::new(1);
        scene.ask("a.example", 1);
        let seen = scene.seen(0);
        scene.expire(HEDGE);
        scene.send(0, &seen.reply(rcode), seen.from);
        scene.receive();
        assert_eq!((scene.ends(1).len(), scene.outside.open()), (1, 0));
        let Some(Ok(Judged::Whole(response))) = heard(scene.unsettled.remove(0).1) else { panic!("nothing heard") };
        assert_eq!(response.rcode, u16::from(rcode));
        assert!(scene.told.failed.lock().unwrap().is_empty());
    }
}

#[test]
fn an_answer_after_patience_is_still_heard_until_the_deadline() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.expire(ms(1999));
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert!(matches!(heard(scene.unsettled.remove(0).1), Some(Ok(Judged::Whole(_)))));
    assert_eq!(*scene.told.answered.lock().unwrap(), [(0, 0)]);
    assert_eq!(*scene.told.failed.lock().unwrap(), [(0, FailReason::Timeout)]);
}

#[test]
fn patience_that_ends_before_the_hedge_is_counted_too() {
    let mut scene = Scene::with(1, |config| Config { hedge: ms(1800), ..config });
    scene.ask("a.example", 1);
    scene.expire(PATIENCE);
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Silent)]);
    assert_eq!(*scene.told.failed.lock().unwrap(), [(0, FailReason::Timeout)]);
}

#[test]
fn a_referral_goes_on_to_others_and_an_answer_behind_it_is_heard() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    let mut referral = seen.reply(0);
    referral[9] = 1;
    referral.extend_from_slice(b"\xC0\x0E\0\x02\0\x01\0\0\0\x3C\0\x02\xC0\x0C");
    scene.send(0, &referral, seen.from);
    scene.receive();
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Rejected)]);
    assert_eq!(*scene.told.failed.lock().unwrap(), [(0, FailReason::Unusable)]);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert!(matches!(heard(scene.unsettled.remove(0).1), Some(Ok(Judged::Whole(_)))));
}

#[test]
fn a_rejection_is_reported_and_only_an_answer_is_heard_behind_it() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    for rcode in [5, 2, 0] {
        scene.send(0, &seen.reply(rcode), seen.from);
        scene.receive();
    }
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Rejected)]);
    assert!(matches!(heard(scene.unsettled.remove(0).1), Some(Ok(Judged::Whole(whole))) if whole.rcode == 0));
    assert_eq!(*scene.told.answered.lock().unwrap(), [(0, 5), (0, 2), (0, 0)]);
}

#[test]
fn a_rejection_with_nothing_behind_it_is_no_timeout() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.send(0, b"\x00\x00\x81\x81\0\0\0\0\0\0\0\0", seen.from);
    scene.receive();
    let mut bare = vec![seen.octets[0], seen.octets[1], 0x81, 0x81];
    bare.extend_from_slice(&[0; 8]);
    scene.send(0, &bare, seen.from);
    scene.receive();
    assert_eq!(scene.ends(1), [End::Unsettled(Why::Rejected)]);
    scene.expire(DEADLINE);
    assert_eq!(scene.outside.open(), 0);
    assert!(scene.told.failed.lock().unwrap().is_empty());
    assert!(heard(scene.unsettled.remove(0).1).is_none());
}

#[test]
fn a_validation_failure_is_settled() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    let mut bogus = seen.reply(2);
    bogus[11] = 1;
    bogus.extend_from_slice(b"\0\0\x29\x04\xD0\0\0\0\0\0\x06\0\x0F\0\x02\0\x06");
    scene.send(0, &bogus, seen.from);
    scene.receive();
    assert_eq!(scene.ends(1), [settled("a.example", 2)]);
}

#[test]
fn a_truncated_answer_and_one_that_is_too_long_are_asked_for_otherwise() {
    for long in [false, true] {
        let mut scene = Scene::new(1);
        scene.ask("a.example", 1);
        let seen = scene.seen(0);
        let mut packet = seen.reply(0);
        if long {
            packet.resize(1233, 0);
        } else {
            packet[2] |= 0x02;
        }
        scene.send(0, &packet, seen.from);
        scene.receive();
        assert_eq!((scene.ends(1), scene.outside.open()), (&[End::Unsettled(Why::Truncated)][..], 0));
        assert!(scene.upstreams.status()[0].srtt_ms.is_some());
    }
}

#[test]
fn a_port_that_nobody_listens_on_fails_the_questions_sent_there() {
    let mut scene = Scene::new(1);
    // A socket that hears only itself keeps the port, and the kernel tells everyone else that nobody is there.
    let itself = scene.fakes[0].local_addr().unwrap();
    scene.fakes[0].connect(itself).unwrap();
    for token in 0..20 {
        scene.ask(&format!("n{token}.example"), token);
    }
    while scene.outside.open() > 0 {
        scene.receive();
    }
    assert_eq!(scene.reported.len(), 20);
    let unreachable = [End::Unsettled(Why::Failed(FailReason::Unreachable))];
    assert!(scene.reported.values().all(|ends| ends == &unreachable));
    assert_eq!(scene.upstreams.status()[0].failures, 20);
}
