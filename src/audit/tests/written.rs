//! Exemptions as text: what is meant is read back, and what can't be meant is refused.

use super::written;
use crate::audit::{Entry, Event, OWNER_MAX, REASON_MAX, Terms, Written, said, whom};
use crate::policy::Whom;
use crate::time::Timestamp;

#[track_caller]
fn refused(written: Written, part: &str) {
    let error = Terms::try_from(written).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn every_exemption_is_read_back_as_it_was_written() {
    let group = |group: &str| Written { client: None, group: Some(group.to_owned()), ..written() };
    let all = [
        written(),
        Written { client: Some("2001:db8::/32".to_owned()), ..written() },
        Written { ban: None, category: Some("update".to_owned()), ..group("berlin") },
        Written { ban: None, name: Some("a\\.b\\027.example".to_owned()), ..group("lab") },
        Written { until: None, endless: true, ticket: Some("CHG-7 \"ö\"".to_owned()), ..written() },
    ];
    for written in all {
        let terms = Terms::try_from(written).unwrap();
        assert_eq!(Terms::try_from(Written::from(terms.clone())).unwrap(), terms);
        let event = Event::Granted(Box::new(terms));
        let entry = Entry { number: 7, at: super::second(3), uid: None, by: None, event };
        let (line, hash) = entry.line("before").unwrap();
        assert_eq!(Entry::read(line.trim_end().as_bytes(), 7, "before"), Ok((entry, hash)));
    }
}

#[test]
fn an_entry_looks_so() {
    let event = Event::Granted(Box::new(written().try_into().unwrap()));
    let entry = Entry { number: 1, at: super::second(0), uid: Some(1000), by: None, event };
    insta::assert_snapshot!(entry.line(&"0".repeat(64)).unwrap().0.trim_end(), @r#"{"number":1,"at":"2027-01-01T12:00:00.000Z","uid":1000,"granted":{"client":"192.0.2.7","ban":"vendor","until":"2027-01-01T12:00:30.000Z","owner":"J. Doe","reason":"to remove it"},"prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"520ea5b225a331f987a886dd10b1da86bde39c11382e928db7d2575737031e63"}"#);
}

#[test]
fn an_exemption_is_of_one_kind_of_client_and_of_one_thing_and_has_an_end_or_says_that_it_has_none() {
    let id = || Some("x".to_owned());
    refused(Written { client: None, ..written() }, "exactly one of `client` and `group`");
    refused(Written { group: id(), ..written() }, "exactly one of `client` and `group`");
    refused(Written { ban: None, ..written() }, "exactly one of `ban`");
    refused(Written { category: id(), ..written() }, "exactly one of `ban`");
    refused(Written { name: id(), ..written() }, "exactly one of `ban`");
    refused(Written { until: None, ..written() }, "exactly one of `until` and `endless`");
    refused(Written { endless: true, ..written() }, "exactly one of `until` and `endless`");
    refused(Written { until: id(), ..written() }, "`x` is no moment");
}

#[test]
fn nobody_is_spared_by_mistake() {
    for (client, part) in [
        ("", "no address and no network"),
        ("192.0.2.300", "no address and no network"),
        ("host.example", "no address and no network"),
        ("192.0.2.7/24", "write 192.0.2.0/24"),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
        ("mac:00:00:5e:00:53", "is no device"),
        ("duid:0001", "is no device"),
        ("host:anna-pc", "what a device calls itself"),
        ("asset:=1+1", "is no device"),
    ] {
        refused(Written { client: Some(client.to_owned()), ..written() }, part);
    }
    let named = |name: &str| Written { ban: None, name: Some(name.to_owned()), ..written() };
    refused(named("."), "every name");
    let registry = Terms::try_from(named("co.uk")).unwrap();
    assert!(registry.check(Timestamp::UNIX_EPOCH).unwrap_err().to_string().contains("public suffix"));
    refused(named("a..example"), "is no name");
    // Such may be in a log that an older program wrote, so they are read, and not granted.
    for written in [
        Written { client: Some("0.0.0.0/1".to_owned()), ..written() },
        named("*.bad.example"),
        Written { until: Some("2300-01-01T00:00:00Z".to_owned()), ..written() },
    ] {
        let terms = Terms::try_from(written).unwrap();
        assert!(terms.check(super::second(0)).is_err(), "{terms:?}");
    }
    assert!(Terms::try_from(written()).unwrap().check(super::second(0)).is_ok());
    assert!(whom("10.0.0.0/8").is_ok() && whom("2001:db8::/16").is_err() && whom("2001::/16").is_ok());
    let network = |text: &str| Whom::Network(text.parse().unwrap());
    assert_eq!(whom("::ffff:192.0.2.7").unwrap(), network("192.0.2.7/32"));
    assert_eq!(whom("face::1").unwrap(), network("face::1/128"));
    assert_eq!(whom("mac:00-00-5E-00-53-01").unwrap(), Whom::Device("mac:00:00:5e:00:53:01".into()));
}

#[test]
fn what_people_read_is_there_bounded_and_printed_as_it_is() {
    refused(Written { owner: " ".to_owned(), ..written() }, "`owner` is empty");
    refused(Written { reason: String::new(), ..written() }, "`reason` is empty");
    refused(Written { ticket: Some(String::new()), ..written() }, "`ticket` is empty");
    refused(Written { reason: "ö".repeat(REASON_MAX + 1), ..written() }, "longer than 500 characters");
    assert!(said("owner", &"ö".repeat(OWNER_MAX), OWNER_MAX).is_ok());
    for character in ['\n', '\t', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{200b}', '\u{feff}'] {
        let text = format!("a{character}b");
        refused(Written { owner: text.clone(), ..written() }, "is not printed");
        refused(Written { ticket: Some(text), ..written() }, "is not printed");
    }
}
