//! Discovery of designated resolvers (RFC 9462), as a client finds what is really served.

use embargo::wire::qtype;

use super::{NAME, World, write};

#[tokio::test]
async fn clients_of_plain_dns_are_led_to_every_encrypted_endpoint_once_the_certificate_is_for_their_address() {
    let world = World::new("").await;
    assert_eq!(world.server.query("_dns.resolver.arpa", qtype::SVCB).await.answers().len(), 0);
    write(&world.files, &world.authority.issue(&[NAME, "127.0.0.1"]));
    world.server.reload().await;
    let told = world.server.query("_dns.resolver.arpa", qtype::SVCB).await;
    let has = |answer: &[u8], octets: &[u8]| answer.windows(octets.len()).any(|window| window == octets);
    for (alpn, address) in [(&b"\x03dot"[..], world.tls()), (b"\x02h2", world.https()), (b"\x03doq", world.quic())] {
        let found = told.answers().iter().any(|row| {
            has(&row.3, b"\x03dns\x07example\0") && has(&row.3, alpn) && has(&row.3, &address.port().to_be_bytes())
        });
        assert!(found, "{alpn:?} {:?}", told.answers());
    }
    assert_eq!(told.answers().len(), 3, "HTTP in clear is for proxies alone");
    assert_eq!(world.upstream.queries_seen(), 0);
}
