//! A policy zone that comes over TLS (RFC 9103): of a primary that is known by its certificate, and of no other.

use std::time::Duration;

use embargo::app::control::Request;
use embargo::wire::{qtype, rcode};

use super::{NAME, World};
use crate::harness::TestServer;
use crate::upstream_fake::certificates::Authority;

#[tokio::test]
async fn a_zone_comes_over_tls_from_who_shows_the_right_certificate_and_from_nobody_else() {
    let world = World::new("[[export]]\nzone = \"rpz.test\"\nallow = [\"127.0.0.1\"]\n").await;
    let own = world.files.path().join("own.pem");
    let other = world.files.path().join("other.pem");
    std::fs::write(&own, world.authority.pem()).unwrap();
    std::fs::write(&other, Authority::new().pem()).unwrap();
    let zone = |name: &str, authorities: &std::path::Path| {
        format!(
            "[[list]]\nid = \"far\"\nzone = \"rpz.test\"\nprimaries = [\"{}\"]\ntls_name = \"{name}\"\nca_file = \"{}\"\n",
            world.tls(),
            authorities.display()
        )
    };
    let server = TestServer::new().upstream(&world.upstream).setting(&zone("other.example", &own)).start().await;
    let fetched = async || server.control(Request::ListsFetch { ids: Vec::new(), any_size: false }).await[0].clone();
    for (settings, part) in [
        (zone("other.example", &own), "certificate"),
        (zone(NAME, &other), "its certificate is signed by no authority that is believed here"),
    ] {
        server.change_settings(&settings).await;
        let row = fetched().await;
        assert!(row["error"].as_str().is_some_and(|error| error.contains(part)), "{row}");
        assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NOERROR);
    }

    server.change_settings(&zone(NAME, &own)).await;
    // As soon as the primary has it.
    let comes = async { while !fetched().await["error"].is_null() {} };
    tokio::time::timeout(Duration::from_secs(20), comes).await.unwrap();
    assert_eq!(server.query("geo.example", qtype::A).await.rcode(), rcode::NXDOMAIN);
}
