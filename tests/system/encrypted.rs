//! Unbound as an upstream over TLS and over HTTPS, with certificates made here: believed for what they say, and not otherwise.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::client::{A, ask};
use super::faithful::differences;
use super::process::{SOON, until};
use super::said::dig;
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// The name in Unbound's certificate.
const NAME: &str = "resolver.example";

/// A certificate authority, and its own certificate; a server's certificate of it in files.
pub(crate) struct Authority(Issuer<'static, KeyPair>, pub(crate) String);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(&self, directory: &Path) {
        self.issue_for(NAME, directory);
    }

    /// A certificate for a name or address.
    pub(crate) fn issue_for(&self, name: &str, directory: &Path) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        fs::write(directory.join("server.pem"), certificate.pem()).unwrap();
        fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
    }
}

/// A server that asks these upstreams, and believes the authorities in this file.
fn asking(upstreams: &[String], authorities: &Path) -> Server {
    let authorities = format!("ca_file = \"{}\"", authorities.display());
    Setup::asking(upstreams).setting("upstream", &authorities).setting("upstream", "trust_ad = true").start()
}

fn status(server: &Server) -> String {
    String::from_utf8(server.command(&["status"]).stdout).unwrap()
}

fn over_tls(address: SocketAddr, known_by: &str) -> String {
    format!("tls://{address}#{known_by}")
}

#[test]
fn an_unbanned_name_is_answered_over_tls_and_https_as_unbound_answers_it() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(directory.path());
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, &authority.1).unwrap();
    let unbound = Unbound::start_with_tls(directory.path());
    let secure = unbound.secure.unwrap();

    for upstream in [over_tls(secure.tls, NAME), format!("https://{}/dns-query#{NAME}", secure.https)] {
        let server = asking(std::slice::from_ref(&upstream), &ca);
        let found = differences(&server, &unbound, &["+notcp"]);
        assert!(found.is_empty(), "{upstream}\n{}", found.join("\n\n"));
        // `bogus.test` fails as it should.
        for reason in ["tls", "closed", "unusable", "timeout", "unreachable"] {
            let failed = server.metrics().sum_of("embargo_upstream_failures_total", &[("reason", reason)]);
            assert_eq!(failed, 0, "{upstream}: {reason}");
        }
    }
}

#[test]
fn an_unbound_that_is_not_believed_is_not_asked_until_it_is() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(directory.path());
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, Authority::new("another").1).unwrap();
    let unbound = Unbound::start_with_tls(directory.path());
    let upstream = over_tls(unbound.secure.unwrap().tls, NAME);
    let server = asking(&[upstream.clone(), unbound.address.to_string()], &ca);

    // The other upstream answers for it.
    assert_eq!(dig(server.dns, &["plain.test", "A"]).status(), "NOERROR");

    assert!(
        server.metrics().sum_of("embargo_upstream_failures_total", &[("upstream", &upstream), ("reason", "tls")]) > 0
    );
    let why = "signed by no authority that is believed here";
    assert!(server.log().contains(why), "{}", server.log());
    assert!(status(&server).contains(&format!("{upstream}: its certificate is {why}")));

    fs::write(&ca, &authority.1).unwrap();
    until("the changed file is believed", SOON, || {
        drop(ask(server.dns, "plain.test", A));
        (!status(&server).contains(why)).then_some(())
    });
    // Nobody else is left to ask.
    let alone = asking(&[upstream], &ca);
    assert_eq!(dig(alone.dns, &["www.signed.test", "A"]).status(), "NOERROR");
}

#[test]
fn unbound_over_tls_is_asked_again_when_it_has_been_restarted() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(directory.path());
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, &authority.1).unwrap();
    let mut unbound = Unbound::start_with_tls(directory.path());
    let server = asking(&[over_tls(unbound.secure.unwrap().tls, NAME)], &ca);
    assert_eq!(dig(server.dns, &["a.many.test", "A"]).status(), "NOERROR");

    unbound.kill();
    assert_eq!(dig(server.dns, &["b.many.test", "A"]).status(), "SERVFAIL");
    unbound.restart();

    let mut nth = 0;
    until("an answer over a new connection", SOON, || {
        nth += 1;
        (dig(server.dns, &[&format!("c{nth}.many.test"), "A"]).status() == "NOERROR").then_some(())
    });
}
