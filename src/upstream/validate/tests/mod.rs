//! What a client is told of answers that are proven, unproven and false.

mod forged;
mod world;

use std::sync::Arc;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Record, RecordType};

use super::*;
use crate::clock::Clock;
use crate::wire::Layout;
use world::{TTL, When, World, Zone, address, alias, name, rewriting, server};

const ZONE: &str = "signed.test";

/// A zone with a name in it, an alias, and two zones below: one signed, one not. Its own key is vouched for by the zone above,
/// whose key is the anchor.
fn world() -> (World, Zone, Anchors) {
    let (mut world, zone, below) = (World::default(), Zone::new(ZONE), Zone::new("sub.signed.test"));
    let above = Zone::new("");
    world.has((".", RecordType::DNSKEY), above.signed(above.keys(), When::Now));
    world.has((ZONE, RecordType::DS), above.signed(vec![above.at("signed.test", zone.ds())], When::Now));
    let signed = |records| zone.signed(records, When::Now);
    for label in ["a", "bare", "b.w", "w"] {
        let no_cut = format!("{label}.{ZONE}");
        world.says((&no_cut, RecordType::NS), ResponseCode::NoError, Vec::new(), signed(vec![zone.soa()]));
    }
    world.has((ZONE, RecordType::DNSKEY), signed(zone.keys()));
    world.has((ZONE, RecordType::NS), signed(vec![zone.at("", server("ns.signed.test"))]));
    world.has(("a.signed.test", RecordType::A), signed(vec![zone.at("a", address(1)), zone.at("a", address(2))]));
    world.has(("a.signed.test", RecordType::NAPTR), signed(vec![zone.at("a", rewriting("b.signed.test"))]));
    let nsec = |label, next, types: &[RecordType]| signed(vec![zone.nsec(label, next, types)]);
    let nothing = |proof: Vec<Record>| [signed(vec![zone.soa()]), proof].concat();
    world.says(
        ("a.signed.test", RecordType::MX),
        ResponseCode::NoError,
        Vec::new(),
        nothing(nsec("a", "b", &[RecordType::A])),
    );
    let between = [nsec("a", "sub", &[RecordType::A]), nsec("", "a", &[RecordType::SOA, RecordType::NS])].concat();
    world.says(("none.signed.test", RecordType::A), ResponseCode::NXDomain, Vec::new(), nothing(between));
    world.says(("bare.signed.test", RecordType::A), ResponseCode::NXDomain, Vec::new(), signed(vec![zone.soa()]));

    world.has(("sub.signed.test", RecordType::DS), signed(vec![zone.at("sub", below.ds())]));
    world.has(("sub.signed.test", RecordType::DNSKEY), below.signed(below.keys(), When::Now));
    world.has(("x.sub.signed.test", RecordType::A), below.signed(vec![below.at("x", address(3))], When::Now));

    let plain = Zone::new("plain.signed.test");
    world.says(
        ("plain.signed.test", RecordType::DS),
        ResponseCode::NoError,
        Vec::new(),
        nothing(nsec("plain", "sub", &[RecordType::NS])),
    );
    world.has(("plain.signed.test", RecordType::NS), vec![plain.at("", server("ns.plain.signed.test"))]);
    world.says(("x.plain.signed.test", RecordType::NS), ResponseCode::NoError, Vec::new(), vec![plain.soa()]);
    world.has(("x.plain.signed.test", RecordType::A), vec![plain.at("x", address(4))]);

    let led = [signed(vec![zone.at("to", alias("x.plain.signed.test"))]), vec![plain.at("x", address(4))]];
    world.has(("to.signed.test", RecordType::A), led.concat());
    (world, zone, above.anchors())
}

fn ask(qname: &str, qtype: RecordType, dnssec_ok: bool) -> Ask {
    let name = Name::parse(qname).unwrap();
    Ask { name, qtype: qtype.into(), qclass: CLASS_IN, dnssec_ok, checking_disabled: false, subnet: None }
}

async fn answer(world: World, anchors: Anchors, exempt: &[&str], ask: &Ask) -> Result<Response, ValidationError> {
    let exempt = exempt.iter().map(|text| Exempt { name: Name::parse(text).unwrap(), until: None });
    let config = Validation { anchors, exempt: exempt.collect() };
    let world = Arc::new(world);
    validate(&Validator::new(config, Arc::clone(&world) as Arc<dyn Questions>), &world, ask).await
}

async fn validate(validator: &Validator, world: &World, ask: &Ask) -> Result<Response, ValidationError> {
    let message = world.ask(Validator::question(ask)).await?;
    let layout = Layout::read(&message).unwrap();
    let rcode = u16::from(message[3] & 0x0F);
    validator.validate(ask, Response { message, layout, rcode, upstream: 0 }, Clock::system().now().wall).await
}

/// `AD` or `-`, the RCODE, and the types of the records; or the extended error.
fn shown(answer: Result<Response, ValidationError>) -> String {
    match answer {
        Ok(Response { message, layout, .. }) => {
            assert_eq!(Layout::read(&message).unwrap(), layout);
            let types: Vec<String> = layout.records.iter().map(|record| record.rtype.to_string()).collect();
            let authentic = if message[3] & 0x20 == 0 { "-" } else { "AD" };
            format!("{authentic} {} [{}]", message[3] & 0x0F, types.join(" "))
        }
        Err(ValidationError::Bogus(bogus)) => format!("EDE {}", bogus.code),
        Err(ValidationError::Unanswered(error)) => format!("{error:?}"),
    }
}

async fn check(qname: &str, qtype: RecordType, dnssec_ok: bool, expected: &str) {
    let (world, _zone, anchors) = world();
    let found = shown(answer(world, anchors, &[], &ask(qname, qtype, dnssec_ok)).await);
    assert_eq!(found, expected, "{qname} {qtype} {dnssec_ok}");
}

#[tokio::test]
async fn what_a_zone_has_signed_is_authentic() {
    check("a.signed.test", RecordType::A, true, "AD 0 [1 1 46]").await;
    check("x.sub.signed.test", RecordType::A, true, "AD 0 [1 46]").await;
    check("a.signed.test", RecordType::MX, true, "AD 0 [6 46 47 46]").await;
    check("none.signed.test", RecordType::A, true, "AD 3 [6 46 47 46 47 46]").await;
}

#[tokio::test]
async fn a_client_without_do_gets_the_same_without_proofs() {
    check("a.signed.test", RecordType::A, false, "AD 0 [1 1]").await;
    check("none.signed.test", RecordType::A, false, "AD 3 [6]").await;
    // Its data holds a name, which has to be written anew.
    check("a.signed.test", RecordType::NAPTR, false, "AD 0 [35]").await;
}

#[tokio::test]
async fn a_zone_that_is_not_signed_is_answered_without_ad() {
    check("x.plain.signed.test", RecordType::A, true, "- 0 [1]").await;
    check("to.signed.test", RecordType::A, true, "- 0 [5 46 1]").await;
}

#[tokio::test]
async fn what_proves_nothing_is_no_denial() {
    check("bare.signed.test", RecordType::A, true, "EDE 12").await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_says_nothing_against_the_zone() {
    check("gone.signed.test", RecordType::A, true, "Timeout { asked: 1 }").await;
    let (mut world, zone) = (World::default(), Zone::new(ZONE));
    world.has(("a.signed.test", RecordType::A), zone.signed(vec![zone.at("a", address(1))], When::Now));
    let anchors = Zone::new("").anchors();
    let found = shown(answer(world, anchors, &[], &ask("a.signed.test", RecordType::A, true)).await);
    assert_eq!(found, "Timeout { asked: 1 }");
}

/// The same world with another answer for `a.signed.test` A.
async fn check_instead(make: impl Fn(&Zone) -> Vec<Record>, exempt: &[&str], expected: &str) {
    let (mut world, zone, anchors) = world();
    let records = make(&zone);
    world.has(("a.signed.test", RecordType::A), records);
    let found = shown(answer(world, anchors, exempt, &ask("a.signed.test", RecordType::A, true)).await);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_false_answer_is_refused_with_its_reason() {
    let record = |zone: &Zone| vec![zone.at("a", address(1))];
    let changed = |zone: &Zone| {
        let mut records = zone.signed(record(zone), When::Now);
        records[0] = zone.at("a", address(66));
        records
    };
    check_instead(changed, &[], "EDE 6").await;
    check_instead(|zone| zone.signed(record(zone), When::Past), &[], "EDE 7").await;
    check_instead(|zone| zone.signed(record(zone), When::Future), &[], "EDE 8").await;
    check_instead(record, &[], "EDE 10").await;
    let stranger = |_zone: &Zone| {
        let stranger = Zone::new(ZONE);
        stranger.signed(record(&stranger), When::Now)
    };
    check_instead(stranger, &[], "EDE 6").await;
}

#[tokio::test]
async fn below_an_exempt_name_nothing_is_validated_and_nothing_is_authentic() {
    check_instead(|zone| vec![zone.at("a", address(66))], &["signed.test"], "- 0 [1]").await;
    let mut ask = ask("a.signed.test", RecordType::A, true);
    assert!(Validator::covers(&ask));
    ask.checking_disabled = true;
    assert!(!Validator::covers(&ask), "CD: the client validates itself");
}

#[tokio::test]
async fn a_wildcards_answer_needs_the_proof_that_nothing_closer_is_there() {
    let star = |zone: &Zone| {
        let mut records = zone.signed_as(vec![zone.at("*.w", address(5))], &name("*.w.signed.test"), 3, When::Now);
        for record in &mut records {
            record.name = name("b.w.signed.test");
        }
        records
    };
    let found = |between: Option<(&'static str, &'static str)>| async move {
        let (mut world, zone, anchors) = world();
        let proof = |(from, to)| zone.signed(vec![zone.nsec(from, to, &[RecordType::A])], When::Now);
        let authorities = between.map(proof).unwrap_or_default();
        world.says(("b.w.signed.test", RecordType::A), ResponseCode::NoError, star(&zone), authorities);
        shown(answer(world, anchors, &[], &ask("b.w.signed.test", RecordType::A, true)).await)
    };
    assert_eq!(found(Some(("a.w", "c.w"))).await, "AD 0 [1 46 47 46]");
    assert_eq!(found(Some(("*.w", "x"))).await, "AD 0 [1 46 47 46]", "by the wildcard's own record");
    assert_eq!(found(None).await, "EDE 12");
    assert_eq!(found(Some(("a", "x"))).await, "EDE 12", "by which the wildcard would not be there either");
    assert_eq!(found(Some(("*.w", "a.w"))).await, "EDE 12", "nothing is said of the name");
    assert_eq!(found(Some(("a.b.w", "x"))).await, "EDE 12", "there is something closer than the wildcard");
}

#[tokio::test]
async fn more_signatures_than_an_honest_answer_has_are_not_looked_at() {
    let many = |zone: &Zone| {
        let records = zone.signed(vec![zone.at("a", address(1))], When::Past);
        [vec![records[0].clone()], vec![records[1].clone(); 65]].concat()
    };
    let (mut world, zone, anchors) = world();
    world.has(("a.signed.test", RecordType::A), many(&zone));
    let config = Validation { anchors, exempt: Vec::new() };
    let world = Arc::new(world);
    let validator = Validator::new(config, Arc::clone(&world) as Arc<dyn Questions>);
    let found = validate(&validator, &world, &ask("a.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "EDE 6");
    assert_eq!(world.asked.lock().unwrap().len(), 1, "nothing was asked but the question");
}

#[tokio::test]
async fn one_answer_has_only_so_many_questions_asked() {
    let (mut world, zone, anchors) = world();
    // An alias into a new zone at every step: each has keys and a parent to be asked for.
    let zones: Vec<Zone> = (0..16).map(|number| Zone::new(&format!("z{number}.test"))).collect();
    let mut records = vec![zone.at("a", alias("a.z0.test"))];
    records = zone.signed(records, When::Now);
    for (number, zone) in zones.iter().enumerate() {
        let next = if number == 15 { address(1) } else { alias(&format!("a.z{}.test", number + 1)) };
        records.extend(zone.signed(vec![zone.at("a", next)], When::Now));
        let apex = format!("z{number}.test");
        world.has((&apex, RecordType::DNSKEY), zone.signed(zone.keys(), When::Now));
    }
    world.has(("a.signed.test", RecordType::A), records);
    let config = Validation { anchors, exempt: Vec::new() };
    let world = Arc::new(world);
    let validator = Validator::new(config, Arc::clone(&world) as Arc<dyn Questions>);
    let found = validate(&validator, &world, &ask("a.signed.test", RecordType::A, true)).await;
    assert!(found.is_err(), "{found:?}");
    let asked = world.asked.lock().unwrap().len();
    assert!(asked <= 97, "{asked}");
}

/// The types and TTLs of the answer section for `a.signed.test` A where these records are the answer.
async fn ttls(make: impl Fn(&Zone) -> Vec<Record>) -> Vec<(u16, u32)> {
    let (mut world, zone, anchors) = world();
    world.has(("a.signed.test", RecordType::A), make(&zone));
    let found = answer(world, anchors, &[], &ask("a.signed.test", RecordType::A, true)).await.unwrap();
    let section = found.layout.section(crate::wire::Section::Answer);
    section.map(|record| (record.rtype, record.ttl)).collect()
}

#[tokio::test]
async fn no_ttl_outlasts_the_signature_over_its_record() {
    let half = |zone: &Zone| zone.signed(vec![zone.at("a", address(1))], When::For(1800));
    let found = ttls(half).await;
    // A second or two may pass between signing and judging.
    assert!(found.iter().all(|&(_rtype, ttl)| (1790..=1800).contains(&ttl)), "{found:?}");
}

#[tokio::test]
async fn no_ttl_is_more_than_its_zone_has_signed_and_those_of_other_names_stay() {
    let raised = |zone: &Zone| {
        let mut records = zone.signed(vec![zone.at("a", alias("to.signed.test"))], When::Now);
        for record in &mut records {
            record.ttl = 9 * TTL;
        }
        let mut led = zone.signed(vec![zone.at("to", address(1))], When::Now);
        for record in &mut led {
            record.ttl = 60;
        }
        [records, led].concat()
    };
    let (cname, rrsig) = (qtype::CNAME, qtype::RRSIG);
    assert_eq!(ttls(raised).await, [(cname, TTL), (rrsig, TTL), (qtype::A, 60), (rrsig, 60)]);
}

#[tokio::test]
async fn what_is_not_judged_is_not_authentic_whatever_the_upstream_says() {
    let (mut world, _zone, anchors) = world();
    world.says(("long.signed.test", RecordType::A), ResponseCode::YXDomain, Vec::new(), Vec::new());
    let found = answer(world, anchors, &[], &ask("long.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "- 6 []");
}

#[tokio::test]
async fn a_barred_name_is_not_asked_about_and_what_leads_there_is_still_validated() {
    let led = |changed: bool| async move {
        let (mut world, zone, anchors) = world();
        world.barred = vec!["x.sub.signed.test", "sub.signed.test"];
        let below = Zone::new("sub.signed.test");
        let mut records = zone.signed(vec![zone.at("led", alias("x.sub.signed.test"))], When::Now);
        if changed {
            records[0] = zone.at("led", alias("y.sub.signed.test"));
        }
        records.extend(below.signed(vec![below.at("x", address(9))], When::Now));
        world.has(("led.signed.test", RecordType::A), records);
        let world = Arc::new(world);
        let config = Validation { anchors, exempt: Vec::new() };
        let validator = Validator::new(config, Arc::clone(&world) as Arc<dyn Questions>);
        let found = shown(validate(&validator, &world, &ask("led.signed.test", RecordType::A, true)).await);
        let asked = world.asked.lock().unwrap();
        assert!(asked.iter().all(|asked| !asked.starts_with("sub.signed.test") || asked.ends_with(" 43")), "{asked:?}");
        found
    };
    assert_eq!(led(false).await, "- 0 [5 46 1 46]");
    assert_eq!(led(true).await, "EDE 6");
}

#[tokio::test]
async fn keys_that_nobody_answers_for_keep_no_other_zone_waiting() {
    let (mut world, _zone, anchors) = world();
    let slow = Zone::new("slow.test");
    for number in 0..2 * AT_ONCE_MAX {
        let signed = slow.signed(vec![slow.at(&format!("n{number}"), address(1))], When::Now);
        world.has((&format!("n{number}.slow.test"), RecordType::A), signed);
    }
    world.silent = vec!["slow.test"];
    let world = Arc::new(world);
    let config = Validation { anchors, exempt: Vec::new() };
    let validator = Arc::new(Validator::new(config, Arc::clone(&world) as Arc<dyn Questions>));
    for number in 0..2 * AT_ONCE_MAX {
        let (validator, world) = (Arc::clone(&validator), Arc::clone(&world));
        tokio::spawn(async move {
            let ask = ask(&format!("n{number}.slow.test"), RecordType::A, true);
            validate(&validator, &world, &ask).await
        });
    }
    while world.asked.lock().unwrap().iter().filter(|asked| *asked == "slow.test 48").count() < 2 * AT_ONCE_MAX {
        tokio::task::yield_now().await;
    }
    let found = validate(&validator, &world, &ask("a.signed.test", RecordType::A, true)).await;
    assert_eq!(shown(found), "AD 0 [1 1 46]");
}
