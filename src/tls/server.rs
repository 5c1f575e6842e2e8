//! As whom this server shows itself to its clients: one identity for every encrypted transport, exchanged while connections
//! go on.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use rustls::crypto::ring::Ticketer;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::pem::Identity;
use super::provider;

/// What is spoken inside TLS, as both sides agree on it (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// DNS over TLS (RFC 7858).
    Dot,
    /// HTTP/2, or HTTP/1.1 for those who know no better (RFC 8484 §5.2).
    Https,
    /// HTTP/1.1 and nothing else.
    Http,
}

/// As whom the server shows itself, now; clones share it.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Shown>);

struct Shown {
    key: ArcSwap<CertifiedKey>,
    /// Those that the identity shown now was shown with: a session of the one before is begun anew.
    tickets: ArcSwap<Arc<dyn ProducesTickets>>,
}

impl ServerTls {
    /// Shows itself so.
    ///
    /// # Errors
    /// rustls's, when it can't use the identity or has no random numbers.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        let key = ArcSwap::from_pointee(identity.certified()?);
        Ok(Self(Arc::new(Shown { key, tickets: ArcSwap::from_pointee(Ticketer::new()?) })))
    }

    /// Shows itself so from the next handshake on. Connections go on; sessions made under another identity are not resumed.
    ///
    /// # Errors
    /// As above; then nothing has changed.
    pub fn show(&self, identity: &Identity) -> Result<(), Error> {
        let (key, tickets) = (identity.certified()?, Ticketer::new()?);
        if key.cert != self.0.key.load().cert {
            self.0.tickets.store(Arc::new(tickets));
        }
        self.0.key.store(Arc::new(key));
        Ok(())
    }

    /// As whom it shows itself now.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.0.key.load_full()
    }

    /// Makes TLS of accepted TCP connections, for those who want to speak so. Who offers other speech only is turned away.
    ///
    /// # Errors
    /// rustls's.
    pub fn acceptor(&self, speech: Speech) -> Result<TlsAcceptor, Error> {
        let mut config = self.config()?;
        config.alpn_protocols = match speech {
            Speech::Dot => vec![b"dot".to_vec()],
            Speech::Https => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Speech::Http => vec![b"http/1.1".to_vec()],
        };
        Ok(Arc::new(config).into())
    }

    /// For DNS over QUIC (RFC 9250), beside which nothing else is spoken there.
    ///
    /// # Errors
    /// rustls's.
    pub fn quic(&self) -> Result<Arc<dyn quinn::crypto::ServerConfig>, Error> {
        let mut config = self.config()?;
        config.alpn_protocols = vec![b"doq".to_vec()];
        let config = QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))?;
        Ok(Arc::new(config))
    }

    /// TLS 1.2 and 1.3, no early data: it can be replayed, and a query in it would count twice.
    fn config(&self) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let shown: Arc<dyn ResolvesServerCert> = Arc::<Shown>::clone(&self.0);
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown);
        // Sessions are kept by clients and not here: they cost no memory, and every listener resumes them.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.ticketer = Arc::<Shown>::clone(&self.0);
        Ok(config)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl ProducesTickets for Shown {
    fn enabled(&self) -> bool {
        self.tickets.load().enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.load().lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.load().encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.tickets.load().decrypt(cipher)
    }
}

/// Never shows the key.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("certificates", &self.key.load().cert.len()).finish_non_exhaustive()
    }
}

/// The name by which a client of QUIC has called the server, given what the handshake has told.
pub fn quic_server_name(told: Box<dyn Any>) -> Option<String> {
    told.downcast::<HandshakeData>().ok()?.server_name
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConnection};

    use super::*;
    use crate::tls::Trust;

    fn identity() -> (Identity, Trust) {
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let identity = Identity::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        (identity, Trust::default().believing(pem.as_bytes()).unwrap())
    }

    /// How a client that trusts so, and remembers its sessions, comes to a connection.
    fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<HandshakeKind, Error> {
        let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from("dns.example").unwrap())?;
        let mut server = ServerConnection::new(Arc::clone(server))?;
        let mut octets = Vec::new();
        for _flight in 0..6 {
            client.write_tls(&mut octets).unwrap();
            server.read_tls(&mut octets.as_slice()).unwrap();
            server.process_new_packets()?;
            octets.clear();
            server.write_tls(&mut octets).unwrap();
            client.read_tls(&mut octets.as_slice()).unwrap();
            client.process_new_packets()?;
            octets.clear();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(client.handshake_kind().unwrap())
    }

    #[test]
    fn a_session_is_resumed_until_another_identity_is_shown() {
        let ((first, trust), (second, other_trust)) = (identity(), identity());
        let tls = ServerTls::new(&first).unwrap();
        let server = Arc::new(tls.config().unwrap());
        let client = Arc::new(trust.client(true, &[]).unwrap().into_inner());
        assert_eq!(handshake(&server, &client).unwrap(), HandshakeKind::Full);
        assert_eq!(handshake(&server, &client).unwrap(), HandshakeKind::Resumed);
        tls.show(&first).unwrap();
        assert_eq!(handshake(&server, &client).unwrap(), HandshakeKind::Resumed, "nothing has changed");
        tls.show(&second).unwrap();
        assert!(handshake(&server, &client).is_err(), "it is another one now");
        let other = Arc::new(other_trust.client(true, &[]).unwrap().into_inner());
        assert_eq!(handshake(&server, &other).unwrap(), HandshakeKind::Full);
    }

    #[test]
    fn no_key_is_shown_to_people() {
        let tls = ServerTls::new(&identity().0).unwrap();
        assert_eq!(format!("{tls:?}"), "ServerTls(Shown { certificates: 1, .. })");
    }
}
