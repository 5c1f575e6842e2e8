//! Patterns as they are written, and their faults with their places.

use std::ops::Range;

use proptest::prelude::*;

use crate::policy::network::NetworkFault;
use crate::policy::pattern::{Pattern, PatternError, PatternFault, PatternKind};
use crate::wire::NameError;

#[track_caller]
fn check(text: &str, kind: PatternKind, canonical: &str) {
    let pattern = Pattern::parse(text).unwrap();
    assert_eq!((pattern.kind(), pattern.allow()), (kind, text.starts_with('!')), "{text:?}");
    assert_eq!(pattern.to_string(), canonical, "{text:?}");
    assert_eq!(Pattern::parse(canonical).unwrap(), pattern, "{text:?}");
}

#[track_caller]
fn check_fault(text: &str, fault: PatternFault, span: Range<usize>) {
    assert_eq!(Pattern::parse(text), Err(PatternError { fault, span }), "{text:?}");
}

#[test]
fn every_kind_is_read_and_printed() {
    check("Geo.Example.", PatternKind::Suffix, "geo.example");
    check("=geo.example", PatternKind::Exact, "=geo.example");
    check("*.geo.example", PatternKind::Below, "*.geo.example");
    check("ksn-*.geo.example", PatternKind::Glob, "ksn-*.geo.example");
    check("ftp.downloads*.geo.example", PatternKind::Glob, "ftp.downloads*.geo.example");
    check("a.*.geo.example", PatternKind::Glob, "a.*.geo.example");
    check("*a*.geo.example", PatternKind::Glob, "*a*.geo.example");
    check("!geo.example", PatternKind::Suffix, "!geo.example");
    check("!=geo.example", PatternKind::Exact, "!=geo.example");
    check("!*.geo.example", PatternKind::Below, "!*.geo.example");
    check("!a*.geo.example", PatternKind::Glob, "!a*.geo.example");
    check(r"a\.b\010.example", PatternKind::Suffix, r"a\.b\010.example");
    check("_dns.resolver.arpa", PatternKind::Suffix, "_dns.resolver.arpa");
    check("0/25.2.0.192.in-addr.arpa", PatternKind::Suffix, "0/25.2.0.192.in-addr.arpa");
    check(".", PatternKind::Suffix, ".");
    check("answer:192.0.2.0/24", PatternKind::Answer, "answer:192.0.2.0/24");
    check("!answer:192.0.2.1/32", PatternKind::Answer, "!answer:192.0.2.1");
    check("client:2001:DB8::/32", PatternKind::Client, "client:2001:db8::/32");
    check("!client:2001:db8::1", PatternKind::Client, "!client:2001:db8::1");
}

#[test]
fn a_fault_names_its_octets() {
    use PatternFault as Fault;
    let name = Fault::Name;
    check_fault("", Fault::Empty, 0..0);
    check_fault("!", Fault::Empty, 0..1);
    check_fault("!=", Fault::Empty, 0..2);
    check_fault("*", Fault::StarAlone, 0..1);
    check_fault("*.", Fault::StarAlone, 0..2);
    check_fault("!*", Fault::StarAlone, 0..2);
    check_fault("a..example", name(NameError::EmptyLabel), 2..3);
    check_fault(".a.example", name(NameError::EmptyLabel), 0..1);
    check_fault("a.example..", name(NameError::EmptyLabel), 10..11);
    check_fault("*..example", name(NameError::EmptyLabel), 2..3);
    check_fault("!=b\u{fc}cher.example", name(NameError::NotAscii), 3..5);
    check_fault(r"a\256.example", name(NameError::Escape), 1..5);
    check_fault(r"a\1", name(NameError::Escape), 1..3);
    check_fault(r"a\", name(NameError::Escape), 1..2);
    check_fault(&format!("=x.{}.example", "a".repeat(64)), name(NameError::LongLabel), 66..67);
    check_fault(&"abcdefg.".repeat(32), name(NameError::LongName), 253..256);
    check_fault("a**.example", Fault::DoubleStar, 1..3);
    check_fault(r"\*.example", Fault::EscapedStar, 0..2);
    check_fault(r"\042.example", Fault::EscapedStar, 0..4);
    check_fault("=a*.example", Fault::PrefixedGlob, 0..11);
    check_fault("*.a*.example", Fault::PrefixedGlob, 0..12);
    check_fault("*.*.example", Fault::PrefixedGlob, 0..11);
    check_fault("a.example*", Fault::GlobWithoutSuffix, 0..10);
    check_fault("a*.", Fault::GlobWithoutSuffix, 0..3);
    check_fault("!!a.example", Fault::Prefix, 1..2);
    check_fault("==a.example", Fault::Prefix, 1..2);
    check_fault("=!a.example", Fault::Prefix, 1..2);
    check_fault("a b", Fault::Octet(b' '), 1..2);
    check_fault("http://a.example", Fault::Octet(b':'), 4..5);
    let alone = |text: &str| Fault::AddressAlone(text.parse().unwrap());
    check_fault("192.0.2.1", alone("192.0.2.1/32"), 0..9);
    check_fault("=192.0.2.1.", alone("192.0.2.1/32"), 1..11);
    check_fault("192.0.2.0/24", alone("192.0.2.0/24"), 0..12);
    check_fault("192.0.2.1/24", Fault::Address, 0..12);
    check_fault("!answer:192.0.2.1/24", Fault::Network(NetworkFault::Bits), 8..20);
    check_fault("client:0.0.0.0/0", Fault::Network(NetworkFault::Prefix), 7..16);
    check_fault("client:a.example", Fault::Network(NetworkFault::Text), 7..16);
    check_fault("=answer:192.0.2.1", Fault::Octet(b':'), 7..8);
}

#[test]
fn a_name_of_255_octets_is_a_pattern() {
    let text = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    assert_eq!(Pattern::parse(&text).unwrap().name().wire().len(), 255);
    assert_eq!(Pattern::parse(&format!("*.{text}.")).unwrap().to_string(), format!("*.{text}"));
}

proptest! {
    #[test]
    fn any_text_is_a_pattern_that_survives_printing_or_a_fault_inside_it(text in "[!=*.\\\\a0-9 \u{e9}]{0,20}|!?(answer|client):[0-9a-f.:/]{0,24}|.{0,300}") {
        match Pattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern)),
            Err(error) => prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len()),
        }
    }
}
