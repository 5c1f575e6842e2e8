//! What a forger can learn from what was asked before. The bounds are so loose that chance never meets them.

use std::collections::HashSet;

use super::*;

const QUESTIONS: u32 = 4000;

/// Questions with one answered as soon as it is asked.
fn many(scene: &mut Scene) -> Vec<Seen> {
    (0..QUESTIONS)
        .map(|token| {
            assert!(scene.ask("abcdefgh.example", token));
            let seen = scene.seen(0);
            scene.send(0, &seen.reply(0), seen.from);
            scene.receive();
            // Twenty to a socket's life at four sockets.
            scene.now = scene.now.plus(Duration::from_millis(25));
            seen
        })
        .collect()
}

/// How far counts are from equal, as a mean square over what chance alone makes of them: about 1.
fn unevenness(counts: &[u32]) -> f64 {
    let mean = f64::from(counts.iter().sum::<u32>()) / f64::from(u32::try_from(counts.len()).unwrap());
    let squares: f64 = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum();
    squares / mean / f64::from(u32::try_from(counts.len() - 1).unwrap())
}

#[test]
fn ports_ids_and_case_are_spread_and_ports_change() {
    let mut scene = Scene::new(1);
    let all = many(&mut scene);
    assert!(scene.outside.open.ports.count() <= ACTIVE);

    let mut ids = [0_u32; 64];
    for seen in &all {
        ids[usize::from(seen.id() >> 10)] += 1;
    }
    assert!(unevenness(&ids) < 4.0, "{ids:?}");
    let steps: HashSet<u16> = all.windows(2).map(|two| two[1].id().wrapping_sub(two[0].id())).collect();
    assert!(steps.len() > 3500, "an id says nothing about the next: {}", steps.len());

    let ports: HashSet<u16> = all.iter().map(|seen| seen.from.port()).collect();
    // 100 seconds, of which each socket lives two.
    assert!((150..=250).contains(&ports.len()), "{}", ports.len());
    assert!(ports.iter().all(|port| *port >= 1024));
    let mut spread = [0_u32; 8];
    for port in &ports {
        spread[usize::from((port - 1024) / 8064)] += 1;
    }
    assert!(unevenness(&spread) < 8.0, "{spread:?}");
    assert!(
        ports.iter().any(|port| *port < 32_768) && ports.iter().any(|port| *port > 61_000),
        "not the system's range"
    );

    let changes = all.windows(2).filter(|two| two[0].from != two[1].from).count();
    assert!((2600..3400).contains(&changes), "the socket is drawn anew for each question: {changes}");

    let mut upper = [0_u32; 15];
    for seen in &all {
        let letters = seen.name().iter().filter(|octet| octet.is_ascii_alphabetic());
        upper.iter_mut().zip(letters).for_each(|(count, octet)| *count += u32::from(octet.is_ascii_uppercase()));
    }
    assert!(upper.iter().all(|count| (1600..2400).contains(count)), "{upper:?}");
}

#[test]
fn a_socket_gives_no_id_twice_and_takes_so_many_questions() {
    let mut scene = Scene::new(1);
    let mut by_port: HashMap<SocketAddr, Vec<u16>> = HashMap::new();
    for token in 0..6000 {
        scene.ask("a.example", token);
        let seen = scene.seen(0);
        scene.send(0, &seen.reply(0), seen.from);
        scene.receive();
        by_port.entry(seen.from).or_default().push(seen.id());
    }
    // Twelve times 512 are a little more than 6000.
    assert!(by_port.len() >= 12, "{}", by_port.len());
    for ids in by_port.values() {
        assert!(ids.len() <= 512);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}

#[test]
fn a_socket_that_was_idle_for_long_is_not_used_again() {
    let mut scene = Scene::new(1);
    let mut before = HashSet::new();
    for token in 0..40 {
        scene.ask("a.example", token);
        let seen = scene.seen(0);
        scene.send(0, &seen.reply(0), seen.from);
        scene.receive();
        before.insert(seen.from);
    }
    assert_eq!(before.len(), ACTIVE);
    scene.now = scene.now.plus(Duration::from_secs(2));
    for token in 40..80 {
        scene.ask("a.example", token);
        assert!(!before.contains(&scene.seen(0).from));
    }
}
