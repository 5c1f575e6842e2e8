//! Validation of answers by the server itself: what Unbound finds false, secure and unsigned, it finds too.

use std::fs;

use super::process::{SOON, printed, until};
use super::said::dig;
use super::server::{Server, Setup};
use super::unbound::{Unbound, sign_as};

/// The zones: a root that is signed, below it two zones that are signed and one that is not.
const ZONES: [(&str, &str); 4] =
    [(".", "root.zone"), ("signed.test.", "signed.zone"), ("bogus.test.", "bogus.zone"), ("plain.test.", "plain.zone")];

/// A zone below the root.
const BODY: &str = r#"
$TTL 3600
@     IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300
@     IN NS  ns.test.
www   IN A   192.0.2.20
www   IN TXT "as it is"
*.w   IN A   192.0.2.21
to    IN CNAME www.plain.test.
"#;

fn signed_root() -> Unbound {
    Unbound::with(&ZONES, |directory| {
        sign_as("signed.test", "signed", BODY, directory);
        sign_as("bogus.test", "bogus", BODY, directory);
        let zone = fs::read_to_string(directory.join("bogus.zone")).unwrap();
        fs::write(directory.join("bogus.zone"), zone.replace("192.0.2.20", "192.0.2.66")).unwrap();
        fs::write(directory.join("plain.zone"), format!("$ORIGIN plain.test.\n{BODY}")).unwrap();
        let ds = |zone: &str| fs::read_to_string(directory.join(format!("dsset-{zone}."))).unwrap();
        let root = format!(
            "$TTL 3600\n. IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300\n. IN NS ns.test.\nns.test. IN A 127.0.0.1\n\
             signed.test. IN NS ns.test.\n{}bogus.test. IN NS ns.test.\n{}plain.test. IN NS ns.test.\n",
            ds("signed.test"),
            ds("bogus.test")
        );
        fs::write(directory.join("anchors"), sign_as(".", "root", &root, directory)).unwrap();
    })
}

fn validating(unbound: &Unbound, more: &str) -> Server {
    let anchors = format!("trust_anchors = \"{}\"", unbound.anchors().display());
    let setup = Setup::new(&[unbound.address]).setting("dnssec", "validate = true").setting("dnssec", &anchors);
    setup.setting("dnssec", more).start()
}

#[test]
fn what_unbound_finds_false_secure_or_unsigned_is_found_so_here() {
    let unbound = signed_root();
    let server = validating(&unbound, "");
    for question in [
        ["www.signed.test", "A"],
        ["www.signed.test", "TXT"],
        ["www.signed.test", "MX"],
        ["a.w.signed.test", "A"],
        ["to.signed.test", "A"],
        ["none.signed.test", "A"],
        ["signed.test", "DNSKEY"],
        ["signed.test", "SOA"],
        ["www.plain.test", "A"],
        ["to.plain.test", "A"],
        ["none.plain.test", "A"],
        ["none.test", "A"],
        ["www.bogus.test", "A"],
        ["www.bogus.test", "TXT"],
    ] {
        for variant in [&["+adflag"][..], &["+dnssec"], &["+noadflag"]] {
            let words = [&question, variant].concat();
            // Once asked for, once from the cache.
            for _again in 0..2 {
                let (ours, theirs) = (dig(server.dns, &words), dig(unbound.address, &words));
                assert_eq!(
                    (ours.status(), ours.flags(), ours.section("ANSWER")),
                    (theirs.status(), theirs.flags(), theirs.section("ANSWER")),
                    "{words:?}\n{}\n{}",
                    ours.text,
                    theirs.text
                );
            }
        }
    }
    let bogus = dig(server.dns, &["www.bogus.test", "A"]);
    assert_eq!((bogus.status(), bogus.ede()[0].split(':').next()), ("SERVFAIL", Some("6 (DNSSEC Bogus)")));
}

#[test]
fn delv_finds_a_chain_of_keys_through_it() {
    let unbound = signed_root();
    let server = validating(&unbound, "");
    let (address, port) = (format!("@{}", server.dns.ip()), server.dns.port().to_string());
    let anchor = unbound.anchors().with_file_name("delv.key");
    fs::write(&anchor, unbound.anchors_for_bind()).unwrap();
    let common = [address.as_str(), "-p", &port, "-a", anchor.to_str().unwrap()];
    let said = printed("delv", common.iter().chain(&["www.signed.test", "A"]));
    assert!(said.contains("; fully validated") && said.contains("192.0.2.20"), "{said}");
}

#[test]
fn a_negative_anchor_lets_a_broken_zone_through_until_its_time() {
    let unbound = signed_root();
    let server = validating(&unbound, "negative_anchor = [{ zone = \"bogus.test\", until = 2999-01-01 }]");
    let open = dig(server.dns, &["www.bogus.test", "A", "+adflag"]);
    assert_eq!(open.status(), "NOERROR", "{}", open.text);
    assert!(!open.flags().contains("ad"), "{}", open.text);
    // A reload with a time that has passed ends it at once, for what is in the cache too.
    let text = fs::read_to_string(server.config()).unwrap();
    fs::write(server.config(), text.replace("2999-01-01", "2001-01-01")).unwrap();
    until("the zone is broken again", SOON, || {
        (dig(server.dns, &["www.bogus.test", "A"]).status() == "SERVFAIL").then_some(())
    });
}
