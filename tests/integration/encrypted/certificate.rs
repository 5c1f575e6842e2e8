//! The certificate, exchanged while clients ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use embargo::app::control::Request;
use embargo::wire::rcode;

use super::client::Dot;
use super::{NAME, World, write};
use crate::harness::{Question, Response};
use crate::upstream_fake::A;
use crate::upstream_fake::certificates::Authority;

/// What every client asks.
fn query() -> Vec<u8> {
    Question::new("free.example", A).octets()
}

/// Asks again and again until `stop`; on a new connection each time if `short_lived`. Says how often.
async fn asks_on(world: Arc<World>, stop: Arc<AtomicBool>, asked: Arc<AtomicUsize>, short_lived: bool) {
    let mut client = world.dot().await;
    while !stop.load(Ordering::Relaxed) {
        let answer = client.ask(&query()).await.unwrap();
        assert_eq!(Response::read(answer).answers().len(), 1);
        asked.fetch_add(1, Ordering::Relaxed);
        if short_lived {
            client = world.dot().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_exchanged_under_load_and_no_query_fails() {
    let world = Arc::new(World::new("").await);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = [true, false, true]
        .into_iter()
        .map(|short_lived| {
            let (world, stop, asked) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&asked));
            tokio::spawn(asks_on(world, stop, asked, short_lived))
        })
        .collect();
    for _exchange in 0..20 {
        write(&world.files, &world.authority.issue(&[NAME]));
        world.server.reload().await;
        let seen = asked.load(Ordering::Relaxed);
        let more = async {
            while asked.load(Ordering::Relaxed) < seen + 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), more).await.expect("clients go on");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn the_new_certificate_is_shown_to_new_connections_and_the_old_ones_go_on() {
    let world = World::new("").await;
    let (mut before, other) = (world.dot().await, Authority::new());
    write(&world.files, &other.issue(&[NAME]));
    world.server.reload().await;
    assert!(Dot::connect(world.tls(), &world.authority.trust()).await.is_err());
    assert!(Dot::connect(world.tls(), &other.trust()).await.is_ok());
    assert!(before.ask(&query()).await.is_ok());
}

#[tokio::test]
async fn a_broken_list_keeps_the_certificate_before_as_it_keeps_everything() {
    let (world, other) = (World::new("").await, Authority::new());
    write(&world.files, &other.issue(&[NAME]));
    world.server.change_ban("kaspersky", "", "bad..example\n").await;
    assert!(Dot::connect(world.tls(), &world.authority.trust()).await.is_ok());
    world.server.change_ban("kaspersky", "", "geo.example\n").await;
    assert!(Dot::connect(world.tls(), &other.trust()).await.is_ok());
}

#[tokio::test]
async fn a_broken_new_file_keeps_the_certificate_before_and_says_so() {
    let world = World::new("").await;
    let (chain, key) = (world.files.path().join("chain.pem"), world.files.path().join("key.pem"));
    let other = world.authority.issue(&[NAME, "other.example"]);
    // As it may be while somebody renews it: half of it, that of another key, gone, nonsense.
    for (file, text) in [
        (&chain, Some(other.pem.chars().take(other.pem.len() / 2).collect())),
        (&chain, Some(other.pem.clone())),
        (&chain, None),
        (&key, Some("nonsense".to_owned())),
    ] {
        match text {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        world.server.reload().await;
        assert_eq!(world.server.metric("config_last_reload_successful", &[]).await, 0);
        assert!(world.dot().await.ask(&query()).await.is_ok());
    }
    write(&world.files, &other);
    world.server.reload().await;
    assert_eq!(world.server.metric("config_last_reload_successful", &[]).await, 1);
    assert!(world.dot().await.ask(&query()).await.is_ok());
}

#[tokio::test]
async fn a_ban_does_not_wait_until_a_certificate_can_be_read() {
    let world = World::new("").await;
    std::fs::remove_file(world.files.path().join("key.pem")).unwrap();
    let mut client = world.dot().await;
    world.server.change_ban("kaspersky", "", "geo.example\nfree.example\n").await;
    assert_eq!(Response::read(client.ask(&query()).await.unwrap()).rcode(), rcode::NXDOMAIN);
    assert_eq!(world.server.metric("config_last_reload_successful", &[]).await, 0);
    let status = world.server.control(Request::Status).await;
    let told = status["last_reload"]["mistakes"][0].as_str().unwrap();
    assert!(told.contains("key.pem"), "{told}");
}
