//! Validation of answers by the server itself: what Unbound finds false, secure and unsigned, it finds too.

use std::fs;

use super::process::{SOON, printed, until};
use super::said::dig;
use super::server::{Server, Setup};
use super::unbound::{Unbound, sign_as, sign_more};

/// The zones: a root that is signed, below it zones that are signed, by names and by hashes of names, and some that are not; two
/// of those below one that has opted out.
const ZONES: [(&str, &str); 8] = [
    (".", "root.zone"),
    ("signed.test.", "signed.zone"),
    ("bogus.test.", "bogus.zone"),
    ("plain.test.", "plain.zone"),
    ("hashed.test.", "hashed.zone"),
    ("optout.test.", "optout.zone"),
    ("plain.optout.test.", "plain.optout.zone"),
    ("plain.deep.optout.test.", "plain.deep.optout.zone"),
];

/// A zone below the root.
const BODY: &str = r#"
$TTL 3600
@     IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300
@     IN NS  ns.test.
www   IN A   192.0.2.20
www   IN TXT "as it is"
*.w   IN A   192.0.2.21
to    IN CNAME www.plain.test.
none  IN CNAME www
lost  IN CNAME nothing
there IN CNAME www.hashed.test.
back  IN CNAME nothing.signed.test.
d     IN DNAME w
star  IN CNAME b.w
a.empty IN A  192.0.2.22
"#;

fn signed_root() -> Unbound {
    Unbound::with(&ZONES, |directory| {
        sign_as("signed.test", "signed", BODY, directory);
        sign_as("bogus.test", "bogus", BODY, directory);
        let zone = fs::read_to_string(directory.join("bogus.zone")).unwrap();
        fs::write(directory.join("bogus.zone"), zone.replace("192.0.2.20", "192.0.2.66")).unwrap();
        for name in ["plain", "plain.optout", "plain.deep.optout"] {
            fs::write(directory.join(format!("{name}.zone")), format!("$ORIGIN {name}.test.\n{BODY}")).unwrap();
        }
        sign_more("hashed.test", "hashed", BODY, &["-3", "-"], directory);
        let cuts = "plain IN NS ns.test.\nplain.deep IN NS ns.test.\n";
        sign_more("optout.test", "optout", &format!("{BODY}{cuts}"), &["-3", "ab", "-A"], directory);
        let ds = |zone: &str| fs::read_to_string(directory.join(format!("dsset-{zone}."))).unwrap();
        let root = format!(
            "$TTL 3600\n. IN SOA ns.test. hostmaster.test. 1 3600 600 86400 300\n. IN NS ns.test.\nns.test. IN A 127.0.0.1\n\
             signed.test. IN NS ns.test.\n{}bogus.test. IN NS ns.test.\n{}plain.test. IN NS ns.test.\n\
             hashed.test. IN NS ns.test.\n{}optout.test. IN NS ns.test.\n{}",
            ds("signed.test"),
            ds("bogus.test"),
            ds("hashed.test"),
            ds("optout.test"),
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
            // Once asked for, once from the cache.
            for _again in 0..2 {
                compare(&server, &unbound, &[&question, variant].concat());
            }
        }
    }
    let bogus = dig(server.dns, &["www.bogus.test", "A"]);
    assert_eq!((bogus.status(), bogus.ede()[0].split(':').next()), ("SERVFAIL", Some("6 (DNSSEC Bogus)")));
}

fn compare(server: &Server, unbound: &Unbound, words: &[&str]) {
    let (ours, theirs) = (dig(server.dns, words), dig(unbound.address, words));
    assert_eq!(
        (ours.status(), ours.flags(), ours.section("ANSWER")),
        (theirs.status(), theirs.flags(), theirs.section("ANSWER")),
        "{words:?}\n{}\n{}",
        ours.text,
        theirs.text
    );
}

#[test]
fn aliases_wildcards_and_denials_by_name_and_by_hash_are_judged_as_unbound_judges_them() {
    let unbound = signed_root();
    let server = validating(&unbound, "");
    let labels = [
        "www",
        "none",
        "lost",
        "there",
        "back",
        "to",
        "x.d",
        "y.x.d",
        "star",
        "a.w",
        "b.a.w",
        "*.w",
        "w",
        "empty",
        "a.empty",
        "b.empty",
        "c.www",
        "nothing",
        "x.nothing",
        "d",
    ];
    for zone in
        ["signed.test", "hashed.test", "optout.test", "plain.test", "plain.optout.test", "plain.deep.optout.test"]
    {
        for label in labels {
            for qtype in ["A", "MX", "DS"] {
                compare(&server, &unbound, &[&format!("{label}.{zone}"), qtype, "+dnssec"]);
            }
        }
        for qtype in ["DS", "SOA", "TXT", "DNSKEY", "NS", "CNAME"] {
            compare(&server, &unbound, &[zone, qtype, "+dnssec"]);
        }
    }
    for name in ["deep.optout.test", "nothing.deep.optout.test", "test", "nothing", "."] {
        for qtype in ["DS", "A", "NS"] {
            compare(&server, &unbound, &[name, qtype, "+dnssec"]);
        }
    }
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
