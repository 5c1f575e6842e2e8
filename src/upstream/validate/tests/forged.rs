//! What a forger gets who may write any answer on the way, and has every record that was ever signed.

use hickory_resolver::proto::dnssec::Nsec3HashAlgorithm;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC3};
use hickory_resolver::proto::rr::RData;

use super::*;

/// Below an exempt name is what nobody validates.
const EXEMPT: &[&str] = &["exempt.test"];

#[tokio::test]
async fn an_alias_into_an_exempt_zone_excuses_no_forged_record() {
    let foreign = |zone: &Zone| {
        let mut record = zone.at("a", address(7));
        record.dns_class = DNSClass::CH;
        record
    };
    let stray = |zone: &Zone| zone.at("stray", alias("x.exempt.test"));
    let forged = |zone: &Zone| vec![zone.at("a", address(66)), stray(zone), foreign(zone)];
    check_instead(forged, EXEMPT, "EDE 10").await;
    let led = |zone: &Zone| vec![zone.at("a", alias("x.exempt.test")), foreign(zone)];
    check_instead(led, EXEMPT, "EDE 10").await;
    let signed = |zone: &Zone| zone.signed(vec![zone.at("a", alias("x.exempt.test"))], When::Now);
    check_instead(signed, EXEMPT, "- 0 [5 46]").await;
}

#[tokio::test]
async fn a_denial_by_another_zone_that_is_not_signed_proves_nothing() {
    let plain = Zone::new("plain.signed.test");
    for (code, name) in [(ResponseCode::NXDomain, "a.signed.test"), (ResponseCode::NoError, "a.signed.test")] {
        let (mut world, _zone, anchors) = world();
        world.says((name, RecordType::A), code, Vec::new(), vec![plain.soa()]);
        let found = answer(world, anchors, &[], &ask(name, RecordType::A, true)).await;
        assert_eq!(shown(found), "EDE 10", "{code}");
    }
}

#[tokio::test]
async fn a_wildcards_answer_is_not_excused_by_a_zone_that_is_not_signed() {
    let (mut world, zone, anchors) = world();
    let mut records = zone.signed_as(vec![zone.at("*.w", address(5))], &name("*.w.signed.test"), 3, When::Now);
    for record in &mut records {
        record.name = name("b.w.signed.test");
    }
    let plain = Zone::new("plain.signed.test");
    world.says(("b.w.signed.test", RecordType::A), ResponseCode::NoError, records, vec![plain.soa()]);
    let found = answer(world, anchors, &[], &ask("b.w.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "EDE 12");
}

#[tokio::test]
async fn an_alias_to_nothing_is_proven_by_what_denies_its_target() {
    let (mut world, zone, anchors) = world();
    let signed = |records| zone.signed(records, When::Now);
    let denial = |label| [signed(vec![zone.soa()]), signed(vec![zone.nsec(label, "c", &[RecordType::A])])].concat();
    world.says(
        ("led.signed.test", RecordType::MX),
        ResponseCode::NoError,
        signed(vec![zone.at("led", alias("b.signed.test"))]),
        denial("b"),
    );
    let found = answer(world, anchors, &[], &ask("led.signed.test", RecordType::MX, true)).await;
    assert_eq!(shown(found), "AD 0 [5 46 6 46 47 46]");
}

/// An NSEC3 record of the zone that covers all of its hashes but its owner's.
fn covers_all_but(zone: &Zone, owner: &str, opt_out: bool) -> Vec<Record> {
    let hash = Nsec3HashAlgorithm::SHA1.hash(&[], &name(owner), 0).unwrap();
    let label = data_encoding::BASE32_DNSSEC.encode(hash.as_ref());
    let nsec3 = NSEC3::new(
        Nsec3HashAlgorithm::SHA1,
        opt_out,
        0,
        Vec::new(),
        hash.as_ref().to_vec(),
        [RecordType::NS, RecordType::DS],
    );
    zone.signed(vec![zone.at(&label, RData::DNSSEC(DNSSECRData::NSEC3(nsec3)))], When::Now)
}

/// The root, `test` in it, and `signed.test` in that, each signed and vouched for by the one above.
fn three_zones() -> (World, Zone, Zone, Zone) {
    let (mut world, root, above, zone) = (World::default(), Zone::new(""), Zone::new("test"), Zone::new(ZONE));
    world.has((".", RecordType::DNSKEY), root.signed(root.keys(), When::Now));
    world.has(("test", RecordType::DS), root.signed(vec![root.at("test", above.ds())], When::Now));
    world.has(("test", RecordType::DNSKEY), above.signed(above.keys(), When::Now));
    world.has((ZONE, RecordType::DS), above.signed(vec![above.at("signed", zone.ds())], When::Now));
    world.has((ZONE, RecordType::DNSKEY), zone.signed(zone.keys(), When::Now));
    (world, root, above, zone)
}

#[tokio::test]
async fn opting_out_says_nothing_of_what_is_below_a_zone_that_is_signed() {
    // `signed.test` is in `test`, whose only other names have opted out. What is below it is none of them.
    let (mut world, root, above, zone) = three_zones();
    world.has(("www.signed.test", RecordType::NS), vec![zone.at("www", server("ns.evil.test"))]);
    let denial = [above.signed(vec![above.soa()], When::Now), covers_all_but(&above, ZONE, true)].concat();
    world.says(("www.signed.test", RecordType::DS), ResponseCode::NoError, Vec::new(), denial);
    world.has(("www.signed.test", RecordType::A), vec![zone.at("www", address(66))]);
    let found = answer(world, root.anchors(), &[], &ask("www.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "EDE 10");
}

#[tokio::test]
async fn a_zone_above_says_nothing_of_what_is_closer_than_a_wildcard() {
    for opt_out in [true, false] {
        let (mut world, root, above, zone) = three_zones();
        let mut records = zone.signed_as(vec![zone.at("*.w", address(5))], &name("*.w.signed.test"), 3, When::Now);
        for record in &mut records {
            record.name = name("b.w.signed.test");
        }
        let denial = covers_all_but(&above, ZONE, opt_out);
        world.says(("b.w.signed.test", RecordType::A), ResponseCode::NoError, records, denial);
        let found = answer(world, root.anchors(), &[], &ask("b.w.signed.test", RecordType::A, true)).await;
        assert_eq!(shown(found), "EDE 12", "{opt_out}");
    }
}

/// `signed.test` with a DNAME record at `d`, and the alias that is made of it.
fn renamed(zone: &Zone, target: &str) -> Vec<Record> {
    let mut rdata = Name::parse("to.signed.test").unwrap().wire().to_vec();
    rdata.make_ascii_lowercase();
    let rdata = hickory_resolver::proto::rr::rdata::NULL::with(rdata);
    let dname = zone.at("d", RData::Unknown { code: RecordType::DNAME, rdata });
    [zone.signed(vec![dname], When::Now), vec![zone.at("x.d", alias(target))]].concat()
}

#[tokio::test]
async fn an_alias_that_a_signed_dname_makes_needs_no_signature_of_its_own() {
    for (target, expected) in [("x.to.signed.test", "AD 0 [39 46 5 1 46]"), ("y.to.signed.test", "EDE 6")] {
        let (mut world, zone, anchors) = world();
        let end = zone.signed(vec![zone.at(target.strip_suffix(".signed.test").unwrap(), address(1))], When::Now);
        world.has(("x.d.signed.test", RecordType::A), [renamed(&zone, target), end].concat());
        for label in ["x.d", "d"] {
            let no_cut = zone.signed(vec![zone.soa()], When::Now);
            world.says((&format!("{label}.{ZONE}"), RecordType::NS), ResponseCode::NoError, Vec::new(), no_cut);
        }
        let found = answer(world, anchors, &[], &ask("x.d.signed.test", RecordType::A, true)).await;
        assert_eq!(shown(found), expected, "{target}");
    }
}

#[tokio::test]
async fn what_is_forged_beside_a_proven_answer_is_left_out() {
    let (mut world, zone, anchors) = world();
    let answers = zone.signed(vec![zone.at("a", address(1))], When::Now);
    world.says(
        ("a.signed.test", RecordType::A),
        ResponseCode::NoError,
        answers,
        vec![zone.at("bare", server("ns.evil.test"))],
    );
    let found = answer(world, anchors, &[], &ask("a.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "AD 0 [1 46]");
}

#[tokio::test]
async fn a_response_that_is_no_answer_is_never_authentic() {
    let (mut world, zone, anchors) = world();
    world.says(("a.signed.test", RecordType::A), ResponseCode::YXDomain, vec![zone.at("a", address(66))], Vec::new());
    let found = answer(world, anchors, &[], &ask("a.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "- 6 [1]");
}
