//! Who of a group is asked first.

use embargo::upstream::Order;

use super::*;

async fn answering_after(milliseconds: u64) -> FakeUpstream {
    FakeUpstream::scripted(move |seen| [vec![Act::Wait(ms(milliseconds))], answer(seen)].concat()).await
}

/// Asks names of their own, one after another; how many each upstream has answered.
async fn answered(upstreams: &Upstreams, count: usize, prefix: &str) -> Vec<usize> {
    let mut answered = vec![0; upstreams.status().len()];
    for number in 0..count {
        let got = upstreams.ask(&question(&format!("{prefix}{number}.example"))).await.unwrap();
        answered[got.upstream] += 1;
    }
    answered
}

#[tokio::test]
async fn as_listed_the_second_is_asked_only_when_the_first_fails() {
    let (first, second) = (answering_after(5).await, FakeUpstream::start().await);
    let (upstreams, _) = start(&config(&[first.address(), second.address()]));
    assert_eq!(answered(&upstreams, 100, "n").await, [100, 0]);
}

#[tokio::test]
async fn the_fastest_is_found_by_its_answers_and_found_again_when_another_becomes_it() {
    let (slow, fast) = (answering_after(40).await, FakeUpstream::start().await);
    let (upstreams, _) = start(&Config { order: Order::Fastest, ..config(&[slow.address(), fast.address()]) });

    let counts = answered(&upstreams, 150, "a").await;
    assert!(counts[1] > 140, "{counts:?}");

    slow.now_does(answer);
    fast.now_does(|seen| [vec![Act::Wait(ms(20))], answer(seen)].concat());
    let mut rounds = 0;
    while answered(&upstreams, 64, &format!("b{rounds}x")).await[0] < 60 {
        rounds += 1;
        assert!(rounds < 30, "the first is the faster one now");
    }
}

#[tokio::test]
async fn at_random_all_take_their_share_and_an_ill_one_none() {
    let fakes = [FakeUpstream::start().await, FakeUpstream::start().await, FakeUpstream::start().await];
    let addresses: Vec<_> = fakes.iter().map(FakeUpstream::address).collect();
    let (upstreams, recorder) = start(&Config { order: Order::Random, ..hasty(&addresses) });
    let counts = answered(&upstreams, 150, "a").await;
    assert!(counts.iter().all(|count| *count > 15), "{counts:?}");

    fakes[1].now_does(|_seen| Vec::new());
    answered(&upstreams, 30, "b").await;
    recorder.has_seen(Event::Health(1, false), 1).await;
    assert_eq!(answered(&upstreams, 60, "c").await[1], 0);
}
