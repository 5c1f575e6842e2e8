//! Who was there at all, and when the server was, is on record: without it silence about a ban would prove nothing.

use embargo::journal::{Sign, Store, What};
use embargo::time::{Day, Timestamp};
use embargo::wire::{qtype, rcode};

use crate::harness::{Question, TestServer};
use crate::upstream_fake::FakeUpstream;
use crate::whom::ask_from;

#[tokio::test]
async fn a_client_is_on_record_as_active_whatever_it_asks_and_the_window_counts_its_queries() {
    let upstream = FakeUpstream::start().await;
    let site = "[[group]]\nid = \"berlin\"\nkind = \"site\"\nnetworks = [\"127.0.3.0/24\"]\n";
    let server = TestServer::new().ban("vendor", "a.example").upstream(&upstream).setting(site).start().await;
    // Forwarded, from the cache, and banned.
    for (client, name) in [(7, "b.example"), (7, "b.example"), (8, "b.example"), (9, "x.a.example")] {
        let answer = ask_from(&server, [127, 0, 3, client], &Question::new(name, qtype::A)).await;
        assert_eq!(answer.rcode() == rcode::NXDOMAIN, name == "x.a.example");
    }
    ask_from(&server, [127, 0, 4, 7], &Question::new("b.example", qtype::A)).await;
    let directory = server.stop().await;

    let store = Store::open_read_only(&directory.path().join("state")).unwrap();
    let windows = store.windows(Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap();
    // More than one if an hour ended meanwhile; a client of both is in both.
    assert!(windows.iter().map(|window| window.queries).sum::<u64>() >= 5, "{windows:?}");
    assert!(windows.iter().map(|window| window.active).sum::<u64>() >= 4, "{windows:?}");
    let presence = store.presence().unwrap();
    let active = Sign { ban: "", evidence: None, what: What::Active };
    let sets = presence.sets(active, 0, &(Day(0)..=Day(i32::MAX))).unwrap();
    let numbers: std::collections::BTreeSet<u32> = sets.iter().flat_map(|(_day, bits)| bits.iter()).collect();
    let devices = presence.devices(numbers).unwrap();
    let told: Vec<String> = devices.iter().map(|row| format!("{} {}", row.site, row.device)).collect();
    assert_eq!(told, ["berlin 127.0.3.7", "berlin 127.0.3.8", "berlin 127.0.3.9", "default 127.0.4.7"]);
}
