//! What is not taken, and what is let go.

use super::*;

#[test]
fn a_thread_takes_so_many_questions_and_gives_the_next_one_back() {
    let mut scene = Scene::new(1);
    let mut taken = 0;
    while scene.ask("a.example", taken) {
        taken += 1;
        scene.seen(0);
    }
    assert_eq!((taken, scene.outside.open()), (4096, 4096));
    assert_eq!(scene.told.failed.lock().unwrap().len(), 0);
    scene.expire(Duration::from_secs(2));
    assert_eq!(scene.outside.open(), 0);
    assert_eq!(scene.upstreams.status()[0].in_flight, 0);
}

#[test]
fn an_upstream_takes_so_many_questions_of_all_threads() {
    let mut scene = Scene::with(1, |config| Config { open_max: 2, ..config });
    assert!(scene.ask("a.example", 1) && scene.ask("b.example", 2) && !scene.ask("c.example", 3));
    assert_eq!(scene.upstreams.status()[0].queries, 2);
    let seen = scene.seen(0);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert!(scene.ask("c.example", 3) && !scene.ask("d.example", 4));
}

#[test]
fn questions_left_behind_by_their_thread_leave_the_upstream() {
    let Scene { runtime: _runtime, upstreams, mut outside, now, .. } = {
        let mut scene = Scene::new(1);
        scene.ask("a.example", 1);
        scene
    };
    assert_eq!((upstreams.status()[0].in_flight, outside.open()), (1, 1));
    outside.flush(now, |_token, _end| panic!("nothing is queued"));
    drop(outside);
    assert_eq!(upstreams.status()[0].in_flight, 0);
}

#[test]
fn an_upstream_that_is_ill_is_passed_over_and_where_all_are_the_first_is_asked() {
    let mut scene = Scene::new(2);
    for token in 0..6 {
        assert!(scene.ask(&format!("n{token}.example"), token));
        assert_eq!(scene.outside.open.questions.open(), 1);
        scene.seen(usize::from(token >= 3));
        scene.expire(Duration::from_secs(2));
    }
    assert_eq!(scene.upstreams.status().iter().filter(|status| status.healthy).count(), 0);
    assert!(scene.ask("n6.example", 6));
    let seen = scene.seen(0);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    assert_eq!(scene.ends(6).len(), 1);
    assert!(scene.upstreams.status()[0].healthy);
}

#[test]
fn an_upstream_over_tcp_is_left_to_others() {
    let mut scene = Scene::new(1);
    let server = Server::tcp(scene.fakes[0].local_addr().unwrap());
    let config = Config::new(Servers::new(vec![server]).unwrap());
    let observer: Arc<dyn Observer> = Arc::<Told>::clone(&scene.told);
    let inside = scene.runtime.enter();
    scene.upstreams = Arc::new(Upstreams::new(&config, &observer));
    drop(inside);
    assert!(!scene.ask("a.example", 1));
}

#[test]
fn after_a_reload_the_old_upstream_is_heard_and_the_new_one_asked() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.fakes.push(fake("127.0.0.1:0"));
    scene.upstreams = ask_these(&scene.runtime, &scene.fakes[1..], &scene.told, |config| config);
    scene.ask("b.example", 2);
    let newer = scene.seen(1);
    assert_eq!(scene.outside.open.ports.count(), 2);
    scene.send(0, &seen.reply(0), seen.from);
    scene.receive();
    // The old socket is closed with its last question.
    assert_eq!((scene.ends(1).len(), scene.outside.open.ports.count()), (1, 1));
    scene.send(1, &newer.reply(0), newer.from);
    scene.receive();
    assert_eq!(scene.ends(2).len(), 1);
}

#[test]
fn sockets_are_bounded_also_when_each_keeps_a_question_that_is_never_answered() {
    let mut scene = Scene::with(1, |config| Config { patience: Duration::from_secs(3600), ..config });
    let mut token = 0;
    // Each socket that takes a question after two seconds is a new one.
    while scene.ask("a.example", token) {
        scene.seen(0);
        token += 1;
        scene.now = scene.now.plus(Duration::from_secs(2));
    }
    assert_eq!((token, scene.outside.open.ports.count()), (128, 128));
    // Given back for a moment only: the limit is looked at again.
    assert!(!scene.ask("a.example", token));
    scene.expire(Duration::from_secs(3600));
    assert!(scene.ask("a.example", token));
}

#[test]
fn a_thread_with_nothing_to_ask_holds_no_port_for_long() {
    let mut scene = Scene::new(1);
    scene.ask("a.example", 1);
    let seen = scene.seen(0);
    scene.expire(Duration::from_secs(1));
    assert_eq!(scene.outside.open.ports.count(), 1);
    scene.expire(Duration::from_secs(1));
    assert_eq!((scene.outside.open(), scene.outside.open.ports.count()), (0, 0));
    let nobody = UdpSocket::bind(seen.from);
    assert!(nobody.is_ok(), "the port is free again");
}

#[test]
fn what_is_rejected_and_heard_no_more_takes_nobodys_place() {
    let mut scene = Scene::with(1, |config| Config { open_max: 8, ..config });
    let mut reject = |token, heard_on: bool| {
        let taken = scene.ask("a.example", token);
        if taken {
            let seen = scene.seen(0);
            scene.send(0, &seen.reply(2), seen.from);
            scene.receive();
            assert!(matches!(scene.ends(token), [End::Unsettled(_)]));
        }
        if !heard_on {
            scene.unsettled.clear();
        }
        taken
    };
    assert!((0..100).all(|token| reject(token, false)), "exchanges that ended");
    let taken = (100..120).filter(|token| reject(*token, true)).count();
    assert!((7..=8).contains(&taken), "exchanges that go on: {taken}");
}
