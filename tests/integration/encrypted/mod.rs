//! Encrypted transports, as clients speak them that know nothing of our code.

mod certificate;
mod client;
mod ddr;
mod doors;
mod dot;
mod floods;
mod https;
mod proxies;
mod quic;
mod zone;

use std::net::SocketAddr;
use std::time::Duration;

use embargo::app::Spoken;
use embargo::wire::{Transport, rcode};
use tempfile::TempDir;

use crate::harness::{Response, RunningServer, TestServer};
use crate::upstream_fake::certificates::{Authority, Certificate};
use crate::upstream_fake::{Act, FakeUpstream, Seen, reply};

use client::{Dot, Http, Quic};

/// A listed proxy that speaks by PROXY headers. Loopback has many addresses.
const PROXY: [u8; 4] = [127, 0, 0, 2];
/// A listed reverse proxy.
const WEB_PROXY: [u8; 4] = [127, 0, 0, 4];
/// A client that is none.
const ANYBODY: [u8; 4] = [127, 0, 0, 3];
/// The name in its certificates.
const NAME: &str = "dns.example";

/// A server on every encrypted transport, its authority, and an upstream for which every name is `192.0.2.1`.
struct World {
    server: RunningServer,
    authority: Authority,
    upstream: FakeUpstream,
    files: TempDir,
}

impl World {
    /// One that enforces `geo.example`, with further tables of settings.
    async fn new(tables: &str) -> Self {
        Self::banning("geo.example\n", tables).await
    }

    /// One that enforces these rules.
    async fn banning(rules: &str, tables: &str) -> Self {
        let (authority, upstream, files) =
            (Authority::new(), FakeUpstream::start().await, tempfile::tempdir().unwrap());
        write(&files, &authority.issue(&[NAME]));
        let server = TestServer::new()
            .ban("kaspersky", rules)
            .upstream(&upstream)
            .setting(&settings(&files, tables))
            .start()
            .await;
        Self { server, authority, upstream, files }
    }

    fn address(&self, wanted: impl Fn(&Spoken) -> bool) -> SocketAddr {
        self.server.endpoints().iter().find(|endpoint| wanted(&endpoint.spoken)).unwrap().address
    }

    fn tls(&self) -> SocketAddr {
        self.address(|spoken| *spoken == Spoken::Tls)
    }

    fn https(&self) -> SocketAddr {
        self.address(|spoken| matches!(spoken, Spoken::Https(_)))
    }

    fn http(&self) -> SocketAddr {
        self.address(|spoken| matches!(spoken, Spoken::Http(_)))
    }

    fn quic(&self) -> SocketAddr {
        self.address(|spoken| *spoken == Spoken::Quic)
    }

    /// A client over QUIC that believes the authority.
    async fn doq(&self) -> Quic {
        Quic::connect(self.quic(), &self.authority.trust()).await.unwrap()
    }

    /// A client over HTTP/2 that believes the authority.
    async fn http_2(&self) -> Http {
        Http::connect(self.https(), &self.authority.trust()).await.unwrap()
    }

    /// Whether a banned name was blocked by this answer, and recorded as the only attempt, that of `client`.
    async fn has_blocked(&self, answer: Vec<u8>, client: [u8; 4], transport: Transport) {
        assert_eq!(Response::read(answer).rcode(), rcode::NXDOMAIN);
        assert_eq!(self.upstream.queries_seen(), 0);
        let attempts = self.server.attempts().await;
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].transport, attempts[0].verified), (Some(transport), true));
        assert_eq!(attempts[0].client, Some(client.into()));
    }

    /// A client over TLS that believes the authority.
    async fn dot(&self) -> Dot {
        Dot::connect(self.tls(), &self.authority.trust()).await.unwrap()
    }
}

/// `192.0.2.1`, for names that say `slow` a while later.
fn address(seen: &Seen) -> Vec<Act> {
    let slow = seen.octets.windows(4).any(|octets| octets == b"slow");
    let mut acts = if slow { vec![Act::Wait(Duration::from_millis(300))] } else { Vec::new() };
    acts.push(Act::Send(reply(seen).a([192, 0, 2, 1]).octets()));
    acts
}

/// Where its certificate stands.
fn settings(files: &TempDir, tables: &str) -> String {
    let at = files.path().display();
    format!(
        "listen_tls = [\"127.0.0.1:0\"]\nlisten_https = [\"127.0.0.1:0\"]\nlisten_http = [\"127.0.0.1:0\"]\nlisten_quic = [\"127.0.0.1:0\"]\n\
         allow = [\"127.0.0.0/8\", \"192.0.2.0/24\"]\nproxies = [\"127.0.0.2\"]\n\
         [tls]\ncertificate = \"{at}/chain.pem\"\nkey = \"{at}/key.pem\"\n[https]\nproxies = [\"127.0.0.4\"]\n{tables}"
    )
}

fn write(files: &TempDir, certificate: &Certificate) {
    std::fs::write(files.path().join("chain.pem"), &certificate.pem).unwrap();
    std::fs::write(files.path().join("key.pem"), certificate.key.serialize_pem()).unwrap();
}
