//! How a server is authenticated: always, and strictly (RFC 8310 §5). By its name and the authorities that are believed,
//! by the pin of its key, or by both, which then must both agree (§6.6).

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pem::{Identity, PemError, certificates};
use super::provider;

/// What begins a pin as written.
const PIN_SCHEME: &str = "sha256/";

/// SHA-256 of a public key as certificates carry it (`SubjectPublicKeyInfo`, RFC 7858 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

/// A text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no pin; write `sha256/` and the SHA-256 of the key in base64, 44 characters")]
pub struct PinError {
    text: String,
}

/// Whom we believe, and as whom we show ourselves. Equal if both are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// `None`: those that are compiled in.
    authorities: Option<Vec<CertificateDer<'static>>>,
    identity: Option<Identity>,
}

/// Settings of TLS connections to one server, ready to be used.
#[derive(Clone, Debug)]
pub struct ClientTls(ClientConfig);

/// A connection that is read and written on a thread of its own, encrypted.
#[derive(Debug)]
pub struct Encrypted(StreamOwned<ClientConnection, TcpStream>);

/// The one judge of a server's certificate.
#[derive(Debug)]
struct Strict {
    /// `None`: the pin alone counts, so that a server with a certificate of its own making can be asked.
    named: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pin {
    /// The pin of a certificate's key.
    ///
    /// # Errors
    /// The octets are no certificate.
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, &key).as_ref());
        Ok(Self(octets))
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let octets = text.strip_prefix(PIN_SCHEME).and_then(|digits| BASE64.decode(digits.as_bytes()).ok());
        let pin = octets.and_then(|octets| octets.try_into().ok());
        pin.map(Self).ok_or_else(|| PinError { text: text.to_owned() })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PIN_SCHEME}{}", BASE64.encode(&self.0))
    }
}

impl Trust {
    /// Believes the certificate authorities of this PEM text, and no others.
    ///
    /// # Errors
    /// [`PemError`] when there is none, or one can't be used.
    pub fn believing(mut self, authorities: &[u8]) -> Result<Self, PemError> {
        let authorities = certificates(authorities)?;
        roots(&authorities).map_err(PemError::Unusable)?;
        self.authorities = Some(authorities);
        Ok(self)
    }

    /// Shows itself so to servers that ask who we are.
    #[must_use]
    pub fn showing(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Settings for connections to a server that is authenticated by its name (unless not `named`) and, if there are pins,
    /// by one of these.
    ///
    /// # Errors
    /// Neither name nor pin: nobody would be authenticated. Or what rustls says.
    pub fn client(&self, named: bool, pins: &[Pin]) -> Result<ClientTls, rustls::Error> {
        if !named && pins.is_empty() {
            return Err(rustls::Error::General("neither a name nor a pin to authenticate by".to_owned()));
        }
        let provider = provider();
        let strict = Strict {
            named: if named { Some(self.verifier()?) } else { None },
            pins: pins.to_vec(),
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(strict));
        Ok(ClientTls(match &self.identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
            None => builder.with_no_client_auth(),
        }))
    }

    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let roots = match &self.authorities {
            Some(authorities) => roots(authorities)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        built.map_err(|error| rustls::Error::General(error.to_string()))
    }
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(roots)
}

impl ClientTls {
    /// One that talks to nobody but whoever has this identity, by whatever name.
    ///
    /// # Errors
    /// rustls's.
    pub fn only(identity: &Identity) -> Result<Self, rustls::Error> {
        let own = identity.chain.first().ok_or_else(|| rustls::Error::General("no certificate".to_owned()))?;
        Trust::default().client(false, &[Pin::of(own)?])
    }

    /// Encrypts a connection for those who wait for it on a thread of their own.
    ///
    /// # Errors
    /// rustls's, or it is no name.
    pub fn over<S: Read + Write>(self, name: &str, stream: S) -> io::Result<impl Read + Write> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(self.0), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }

    /// For whoever makes the connections.
    pub fn into_inner(self) -> ClientConfig {
        self.0
    }

    /// Encrypts a connection to the server of this name or address.
    ///
    /// # Errors
    /// The connection's; [`explain`] has words for those of TLS.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(self, name: &str, stream: S) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(self.0)).connect(name, stream).await
    }

    /// The same on a thread of its own, for DNS (RFC 9103 §7.1: `dot` is the protocol); the times of the stream hold.
    ///
    /// # Errors
    /// The connection's, in words.
    pub fn block(mut self, name: &str, mut stream: TcpStream) -> io::Result<Encrypted> {
        self.0.alpn_protocols = vec![b"dot".to_vec()];
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(self.0), name).map_err(io::Error::other)?;
        // Now, so that nobody is told anything before it is known who that is.
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| match explain(&error) {
                Some(words) => io::Error::new(error.kind(), words),
                None => error,
            })?;
        }
        Ok(Encrypted(StreamOwned::new(connection, stream)))
    }
}

impl Encrypted {
    /// What carries it.
    pub fn tcp(&self) -> &TcpStream {
        &self.0.sock
    }
}

impl Read for Encrypted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Encrypted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ServerCertVerifier for Strict {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(named) = &self.named {
            named.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        }
        if !self.pins.is_empty() {
            let pin = Pin::of(certificate)?;
            if !self.pins.contains(&pin) {
                return Err(rustls::Error::General(format!("its key is {pin}, which is none of the pins")));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether this can be the name by which a server is authenticated: a host name, or an address that stands in certificates.
pub fn is_server_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}

/// Why a handshake failed, in words for an operator; `None` if it was not for TLS.
pub fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(in_words(error));
        }
        // An `io::Error` says nothing of what it wraps by `source`, only of what that one's source is.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet".to_owned()
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by no authority that is believed here".to_owned()
            }
            CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("its certificate is for another name: {}", presented.join(", "))
            }
            other => format!("its certificate is not accepted: {other}"),
        },
        rustls::Error::General(text) => text.clone(),
        rustls::Error::AlertReceived(alert) => format!("it refused the TLS connection: {alert:?}"),
        other => format!("TLS failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_shown_as_it_was_written() {
        let text = "sha256/YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg=";
        assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        for wrong in ["", "sha256/", "YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg=", "sha256/AAAA", "sha1/AAAA"] {
            let message = wrong.parse::<Pin>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{wrong}` is no pin")), "{message}");
        }
    }

    #[test]
    fn the_pin_of_a_certificate_is_that_of_its_key() {
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        let expected = digest(&SHA256, &rcgen::PublicKeyData::subject_public_key_info(&made.signing_key));
        assert_eq!(Pin::of(made.cert.der()).unwrap().0, expected.as_ref());
    }

    #[test]
    fn nobody_is_asked_without_being_authenticated() {
        assert!(Trust::default().client(false, &[]).is_err());
        assert!(Trust::default().client(true, &[]).is_ok());
    }

    #[test]
    fn names_and_addresses_can_be_authenticated_and_nothing_else() {
        assert!(["dns.example", "192.0.2.53", "2001:db8::53"].into_iter().all(is_server_name));
        assert!(!["", "dns_example..", "a b", "dns.example:853"].into_iter().any(is_server_name));
    }
}
