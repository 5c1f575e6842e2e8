//! A verdict is the same for an answer that was just found and for one that is known.

use super::*;

/// Asks that are answered from what is known and by asking alike: whole ones, of our class, that want recursion.
fn whole_asks() -> impl Strategy<Value = Ask> {
    asks().prop_map(|ask| Ask {
        qclass: 1,
        flags: ask.flags | 0x0100,
        version: 0,
        spoilt: Vec::new(),
        behind: Vec::new(),
        ..ask
    })
}

#[test]
fn a_fresh_answer_is_screened_as_a_cached_one_on_every_transport_for_every_client() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rules = [BANNED.as_slice(), &NETWORKS].concat();
    let (cached, fresh) = (World::enforcing(policy(&rules)), World::knowing(policy(&rules), true));
    let sources = prop::sample::select(vec![1_u8, 1, 1, 2, 3, 8, 10, 11]);
    let (answered, found) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 1500, ..ProptestConfig::default() };
    let strategy = (whole_asks(), prop::sample::select(Transport::ALL.to_vec()), sources);
    TestRunner::new(config)
        .run(&strategy, |(ask, transport, source)| {
            let (message, client) =
                (ask.octets(), Client::new(SocketAddr::from(([127, 0, 0, source], 4242)), transport));
            let end = |world: &World| {
                let mut ledger = world.metrics.received(transport, Family::of(client.address()), Mono(0));
                let ending = runtime.block_on(world.handler.end(&message, &client, &mut ledger, world.clock.now()));
                ledger.responded(Outcome::Local, 0, Mono(0));
                ending
            };
            match (end(&cached), end(&fresh)) {
                (
                    Ending::Response { message, outcome, rcode },
                    Ending::Response { message: new, outcome: how, rcode: code },
                ) => {
                    answered.set(answered.get() + 1);
                    let is_found = outcome == Outcome::Cached;
                    found.set(found.get() + usize::from(is_found));
                    prop_assert_eq!(is_found, how == Outcome::Forwarded, "{:?} {:?}", outcome, how);
                    prop_assert_eq!((message, rcode), (new, code));
                }
                (one, two) => prop_assert_eq!(one, two),
            }
            prop_assert_eq!(cached.page("embargo_attempts_total"), fresh.page("embargo_attempts_total"));
            prop_assert_eq!(cached.page("embargo_list_hits_total"), fresh.page("embargo_list_hits_total"));
            Ok(())
        })
        .unwrap();
    assert!(answered.get() > 500 && found.get() > 50, "{answered:?} {found:?}");
    assert!(cached.sum("embargo_attempts_total", "exempt") > 20 && cached.sum("embargo_list_hits_total", "") > 100);
}

/// Asks as many names as that, each of which has to be asked for, and says whether their client is then known to stand for many.
fn stands_for_many(names: u32) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new();
    world.handler.guard.admit(Admission::new(vec!["192.0.2.0/24".parse().unwrap()]));
    let (door, client) = (world.door(), Client::new(SocketAddr::from(([192, 0, 2, 7], 4242)), Transport::Tcp));
    let ask = |name: &str| {
        let mut message = Ask::of("unknown.example");
        // One in sixteen is looked at, by its id.
        message[1] = 0;
        message.splice(12..20, [&[7], name.as_bytes()].concat());
        let mut ledger = world.metrics.received(Transport::Tcp, Family::of(client.address()), Mono(0));
        let begun = door.at_once_or_permit(&message, &client, &mut ledger);
        let door::Begun::Waits(unanswered, _permit) = begun else { panic!("{begun:?}") };
        runtime.block_on(door.carry(&message, &unanswered));
    };
    (0..names).for_each(|number| ask(&format!("n{number:06}")));
    world.hands.advance(Duration::from_secs(3_600));
    ask("another");
    !world.handler.guard.crowds().is_empty()
}

#[test]
fn a_query_that_waits_is_looked_at_once_for_crowds() {
    assert_eq!([stands_for_many(300), stands_for_many(450)], [false, true]);
}
