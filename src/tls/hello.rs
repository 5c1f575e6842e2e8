//! The greeting of a TLS client, read before anything is said: by what name it came, and then either a handshake or an alert.

use std::io;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, ParsedCertificate};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsAcceptor};

use super::ServerTls;

/// A fatal alert `unrecognized_name` (RFC 8446 §6, RFC 6066 §3) in a record of its own, as one before a ServerHello is.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// A connection of which the greeting is read, and nothing is said yet.
pub struct Hello<S>(StartHandshake<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Hello<S> {
    /// Reads the greeting, in however many records it comes, up to 64 KiB. Who says anything else gets the alert for that.
    ///
    /// # Errors
    /// It is no greeting, or it broke off; nothing bounds the time.
    pub async fn read(stream: S) -> io::Result<Self> {
        LazyConfigAcceptor::new(Acceptor::default(), stream).await.map(Self)
    }

    /// The name by which the client came (SNI, RFC 6066 §3); `None`: it gave none, or an address. With ECH it is the public
    /// one of the outer greeting.
    pub fn name(&self) -> Option<String> {
        self.0.accepted.client_hello().server_name().map(str::to_owned)
    }

    /// Turns the client away: nobody is here by that name.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn turn_away(self) -> io::Result<S> {
        let mut stream = self.0.io;
        stream.write_all(&UNRECOGNIZED_NAME).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// Goes on with the handshake.
    ///
    /// # Errors
    /// It fails, most often because the client does not believe the certificate.
    pub async fn accept(self, tls: &TlsAcceptor) -> io::Result<TlsStream<S>> {
        self.0.into_stream(std::sync::Arc::clone(tls.config())).await
    }
}

impl ServerTls {
    /// Whether the certificate that is shown now is for this name.
    pub fn is_for(&self, name: &str) -> bool {
        let key = self.key();
        let certificate = key.cert.first().and_then(|first| ParsedCertificate::try_from(first).ok());
        let name = ServerName::try_from(name).ok();
        certificate.zip(name).is_some_and(|(certificate, name)| verify_server_name(&certificate, &name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, ClientConnection, Error};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::tls::{Identity, Speech, Trust};

    fn greeting(name: &str) -> (ClientConnection, Vec<u8>) {
        let config = std::sync::Arc::new(Trust::default().client(true, &[]).unwrap().into_inner());
        let mut client = ClientConnection::new(config, ServerName::try_from(name.to_owned()).unwrap()).unwrap();
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        (client, octets)
    }

    /// The same octets of a handshake in records of so many each.
    fn in_records(octets: &[u8], size: usize) -> Vec<u8> {
        let record = |piece: &[u8]| [&[22, 3, 1, 0, u8::try_from(piece.len()).unwrap()], piece].concat();
        octets[5..].chunks(size).flat_map(record).collect()
    }

    async fn read(octets: &[u8]) -> Option<Option<String>> {
        let (mut client, server) = tokio::io::duplex(1 << 17);
        client.write_all(octets).await.unwrap();
        client.shutdown().await.unwrap();
        Hello::read(server).await.ok().map(|hello| hello.name())
    }

    #[tokio::test]
    async fn a_name_is_read_whole_or_in_pieces_and_what_is_no_greeting_is_none() {
        let (_client, octets) = greeting("a.acme.example");
        let name = Some(Some("a.acme.example".to_owned()));
        assert_eq!(read(&octets).await, name);
        assert_eq!(read(&in_records(&octets, 100)).await, name);
        assert_eq!(read(&in_records(&octets, 1)).await, name);
        assert_eq!(read(&greeting("192.0.2.1").1).await, Some(None), "an address is no name");
        for cut in [0, 1, 5, 6, octets.len() - 1] {
            assert_eq!(read(&octets[..cut]).await, None, "{cut}");
        }
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: a.acme.example\r\n\r\n").await, None);
        assert_eq!(read(&[22; 4096]).await, None);
        let endless = [&[22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF][..], &vec![0; 1 << 16]].concat();
        assert_eq!(read(&endless).await, None, "longer than a greeting may be");
    }

    #[tokio::test]
    async fn who_is_turned_away_is_told_that_nobody_is_here_by_that_name() {
        let (mut client, octets) = greeting("a.acme.example");
        let (mut near, far) = tokio::io::duplex(1 << 16);
        near.write_all(&octets).await.unwrap();
        drop(Hello::read(far).await.unwrap().turn_away().await.unwrap());
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        client.read_tls(&mut answer.as_slice()).unwrap();
        let said = client.process_new_packets().unwrap_err();
        assert_eq!(said, Error::AlertReceived(AlertDescription::UnrecognisedName));
    }

    #[test]
    fn a_certificate_is_for_its_names_and_no_others() {
        let made = rcgen::generate_simple_self_signed(["*.acme.example".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let tls = ServerTls::new(&Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()).unwrap();
        assert!(tls.is_for("a.acme.example") && tls.is_for("A.Acme.Example"));
        assert!(!tls.is_for("a.b.acme.example") && !tls.is_for("acme.example") && !tls.is_for("192.0.2.1"));
        assert!(tls.acceptor(Speech::Http).is_ok());
    }
}
