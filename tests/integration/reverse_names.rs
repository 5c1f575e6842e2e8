//! Clients that neither leases nor neighbours name are asked for in their reverse zones: only those of networks that are named.

use std::collections::BTreeSet;
use std::time::Duration;

use embargo::wire::{qtype, rcode};

use crate::harness::{Question, RunningServer, TestServer};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply, wire};
use crate::whom::ask_from;

/// A server of the reverse zone, which has a name for one address and knows no other.
async fn reverse_zone() -> FakeUpstream {
    FakeUpstream::scripted(|seen| {
        let answer = match &*seen.qname() {
            "7.1.0.127.in-addr.arpa" => reply(seen).answer(qtype::PTR, &wire("Anna-PC.corp.example")).ttl(300),
            _ => reply(seen).nxdomain("127.in-addr.arpa"),
        };
        vec![Act::Send(answer.octets())]
    })
    .await
}

/// The devices by which the attempts of a client are known.
async fn devices(server: &RunningServer, client: &str) -> BTreeSet<Option<String>> {
    let rows = server.attempts().await;
    rows.into_iter()
        .filter(|row| row.client.is_some_and(|address| address.to_string() == client))
        .map(|row| row.device)
        .collect()
}

fn asked(zone: &FakeUpstream) -> BTreeSet<String> {
    zone.queries().iter().filter(|seen| seen.qtype() == qtype::PTR).map(Seen::qname).collect()
}

#[tokio::test]
async fn a_client_is_known_by_the_name_that_its_reverse_zone_has_and_nobody_outside_is_asked_for() {
    let (upstream, zone) = (FakeUpstream::start().await, reverse_zone().await);
    let settings = format!(
        "ptr_networks = [\"127.0.1.0/24\"]\n[[forward]]\nzones = [\"127.in-addr.arpa\"]\nservers = [\"{}\"]\n",
        zone.address()
    );
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(&settings).start().await;
    let question = Question::new("a.example", qtype::A);
    let named = Some("host:anna-pc.corp.example".to_owned());
    // Its first attempts are of the address: the name is asked for behind them.
    let known = async {
        loop {
            for client in [[127, 0, 1, 7], [127, 0, 1, 8], [127, 0, 2, 7]] {
                assert_eq!(ask_from(&server, client, &question).await.rcode(), rcode::NXDOMAIN);
            }
            if devices(&server, "127.0.1.7").await.contains(&named) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known).await.expect("the name is found");
    zone.has_seen(2).await;
    let expected = ["7.1.0.127.in-addr.arpa", "8.1.0.127.in-addr.arpa"].map(str::to_owned);
    assert_eq!(asked(&zone), expected.into(), "and nobody outside the networks");
    assert_eq!(devices(&server, "127.0.1.8").await, [None].into());
    assert_eq!(devices(&server, "127.0.2.7").await, [None].into());
    // Each once, however often it asks.
    assert_eq!(zone.queries().iter().filter(|seen| seen.qtype() == qtype::PTR).count(), 2);
}
