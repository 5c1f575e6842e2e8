//! What each field set says of the same event, and that no text from outside gets out of its place.

use proptest::prelude::*;
use serde_json::Value;

use super::super::event::sample::{bare, event, row};
use super::*;
use crate::metrics::Did;
use crate::sinks::Facility;
use crate::wire::{LowerName, Presented};

fn observer() -> Observer {
    Observer { host: "dns1.example.org".to_owned(), pid: 77 }
}

fn line(fields: Fields, event: &Event) -> String {
    let mut line = Vec::new();
    fields.write(event, &observer(), &mut line);
    String::from_utf8(line).unwrap()
}

fn json(fields: Fields, event: &Event) -> Value {
    serde_json::from_str(&line(fields, event)).unwrap()
}

fn message(fields: Fields, event: &Event) -> String {
    let mut message = Vec::new();
    syslog::write(event, fields, Facility::default(), &observer(), false, &mut message);
    String::from_utf8(message).unwrap()
}

#[test]
fn plain_is_the_json_of_attempts_with_an_id_and_an_observer() {
    insta::assert_snapshot!(line(Fields::Plain, &event(row("a.upd.example", 3))), @r##"{"action":"nxdomain","ban":"vendor","category":"update","client":"192.0.2.7","count":3,"device":"mac:52:54:00:00:00:0a","evidence":"installed","first":"2026-11-28T10:00:00.125Z","id":"0123456789abcdef-7","last":"2026-11-28T10:00:00.625Z","observer":"dns1.example.org","pattern":"upd.example","qname":"a.upd.example","qtype":"AAAA","site":"berlin","transport":"udp","verified":false}"##);
}

#[test]
fn ecs_names_client_question_rule_and_what_was_done() {
    insta::assert_snapshot!(line(Fields::Ecs, &event(row("a.upd.example", 3))), @r##"{"@timestamp":"2026-11-28T10:00:00.125Z","device":{"id":"mac:52:54:00:00:00:0a"},"dns":{"question":{"class":"IN","name":"a.upd.example","type":"AAAA"},"response_code":"NXDOMAIN","type":"query"},"ecs":{"version":"8.17.0"},"embargo":{"count":3,"evidence":"installed","site":"berlin","transport":"udp","verified":false},"event":{"action":"nxdomain","category":["network"],"dataset":"embargo.attempts","end":"2026-11-28T10:00:00.625Z","id":"0123456789abcdef-7","kind":"alert","module":"embargo","start":"2026-11-28T10:00:00.125Z","type":["protocol","denied"]},"network":{"protocol":"dns","transport":"udp","type":"ipv4"},"observer":{"hostname":"dns1.example.org","product":"Embargo","type":"dns","vendor":"Embargo","version":"0.1.0"},"related":{"hosts":["a.upd.example"],"ip":["192.0.2.7"]},"rule":{"category":"update","name":"upd.example","ruleset":"vendor"},"source":{"address":"192.0.2.7","ip":"192.0.2.7"}}"##);
}

#[test]
fn ocsf_has_every_attribute_that_its_class_requires() {
    let said = json(Fields::Ocsf, &event(row("a.upd.example", 3)));
    for required in ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"] {
        assert!(!said[required].is_null(), "{required}");
    }
    assert!(said["metadata"]["product"]["vendor_name"].is_string() && said["metadata"]["version"].is_string());
    insta::assert_snapshot!(said, @r##"{"action":"Denied","action_id":2,"activity_id":6,"activity_name":"Traffic","category_name":"Network Activity","category_uid":4,"class_name":"DNS Activity","class_uid":4003,"connection_info":{"direction":"Inbound","direction_id":1,"protocol_name":"udp","protocol_num":17},"count":3,"disposition":"Blocked","disposition_id":2,"dst_endpoint":{"hostname":"dns1.example.org","svc_name":"dns"},"end_time":1795860000625,"firewall_rule":{"category":"update","name":"upd.example","type":"installed"},"is_alert":true,"metadata":{"logged_time":1795860000625,"product":{"name":"Embargo","vendor_name":"Embargo","version":"0.1.0"},"profiles":["security_control"],"uid":"0123456789abcdef-7","version":"1.3.0"},"policy":{"name":"vendor","uid":"vendor"},"query":{"class":"IN","hostname":"a.upd.example","type":"AAAA"},"rcode":"NXDomain","rcode_id":3,"severity":"High","severity_id":4,"src_endpoint":{"ip":"192.0.2.7","uid":"mac:52:54:00:00:00:0a","zone":"berlin"},"start_time":1795860000125,"time":1795860000125,"type_name":"DNS Activity: Traffic","type_uid":400306,"unmapped":{"action":"nxdomain","category":"update","evidence":"installed","site":"berlin","transport":"udp","verified":false}}"##);
}

#[test]
fn cef_has_seven_parts_before_its_keys() {
    insta::assert_snapshot!(line(Fields::Cef, &event(row("a.upd.example", 3))), @r##"CEF:0|Embargo|Embargo|0.1.0|vendor:installed|Banned name refused|8|rt=1795860000625 start=1795860000125 end=1795860000625 cnt=3 externalId=0123456789abcdef-7 dvchost=dns1.example.org app=DNS src=192.0.2.7 proto=UDP act=nxdomain destinationDnsDomain=a.upd.example cs1=vendor cs1Label=Ban cs2=update cs2Label=Category cs3=installed cs3Label=Evidence cs4=berlin cs4Label=Site cs5=upd.example cs5Label=Rule cs6=AAAA cs6Label=Query Type sourceServiceName=mac:52:54:00:00:00:0a"##);
}

#[test]
fn syslog_carries_structured_data_or_another_set_as_its_text() {
    insta::assert_snapshot!(message(Fields::Plain, &event(row(r"a\010b.upd.example", 3))), @r##"<132>1 2026-11-28T10:00:00.125Z dns1.example.org embargo 77 attempt [attempt@32473 id="0123456789abcdef-7" first="2026-11-28T10:00:00.125Z" last="2026-11-28T10:00:00.625Z" count="3" client="192.0.2.7" device="mac:52:54:00:00:00:0a" site="berlin" qname="a\\010b.upd.example" qtype="AAAA" ban="vendor" category="update" evidence="installed" pattern="upd.example" action="nxdomain" transport="udp" verified="false" version="0.1.0"] 192.0.2.7 asked for a\010b.upd.example (AAAA), banned by vendor (installed): nxdomain, 3 times"##);
    let cef = message(Fields::Cef, &event(row("a.upd.example", 3)));
    assert!(cef.contains(" embargo 77 attempt - CEF:0|Embargo|"), "{cef}");
    let mut counted = Vec::new();
    syslog::write(&event(row("a.upd.example", 3)), Fields::Cef, Facility::default(), &observer(), true, &mut counted);
    assert_eq!(String::from_utf8(counted).unwrap(), format!("{} {cef}", cef.len()));
}

#[test]
fn what_is_several_is_left_out_and_counts_stay() {
    let event = event(bare(70_000));
    assert_eq!(json(Fields::Ecs, &event)["embargo"]["count"], 70_000);
    assert!(
        json(Fields::Ecs, &event)["source"].is_null() && json(Fields::Ecs, &event)["dns"]["question"]["name"].is_null()
    );
    assert_eq!(json(Fields::Ocsf, &event)["count"], 70_000);
    assert!(line(Fields::Cef, &event).contains(" cnt=70000 ") && !line(Fields::Cef, &event).contains("src="));
    assert!(message(Fields::Plain, &event).ends_with(
        "several clients asked for several names (several types), banned by vendor (installed): nxdomain, 70000 times"
    ));
}

#[test]
fn every_set_says_whether_the_client_was_kept_from_it() {
    for did in Did::ALL {
        let event = event(crate::journal::AttemptRow { action: did, ..row("a.upd.example", 1) });
        let denied = !matches!(did, Did::Observe | Did::Exempt);
        let ecs = json(Fields::Ecs, &event);
        assert_eq!(ecs["event"]["type"][1], if denied { "denied" } else { "allowed" });
        assert_eq!(json(Fields::Ocsf, &event)["action_id"], if denied { 2 } else { 1 });
        assert!(line(Fields::Cef, &event).contains(&format!(" act={} ", did.as_str())));
        assert_eq!(message(Fields::Plain, &event).starts_with("<134>1 "), !denied);
    }
}

/// Reads the values of structured data as a receiver does (RFC 5424 §6.3.3).
fn values(message: &str) -> Vec<(String, String)> {
    let data = message.split_once('[').unwrap().1;
    let mut characters = data.chars();
    let mut values = Vec::new();
    let id: String = characters.by_ref().take_while(|character| *character != ' ').collect();
    assert_eq!(id, "attempt@32473");
    loop {
        let name: String = characters.by_ref().take_while(|character| *character != '=').collect();
        assert_eq!(characters.next(), Some('"'));
        let mut value = String::new();
        loop {
            match characters.next().unwrap() {
                '"' => break,
                '\\' => value.push(characters.next().unwrap()),
                ']' => panic!("an end in a value: {message}"),
                other => value.push(other),
            }
        }
        values.push((name, value));
        match characters.next() {
            Some(' ') => (),
            Some(']') => return values,
            other => panic!("{other:?} in {message}"),
        }
    }
}

/// Reads the value of a key as a receiver of CEF does: up to the next key.
fn cef_value(line: &str, key: &str) -> String {
    let rest = line.split_once(&format!(" {key}=")).unwrap().1;
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.push(characters.next().unwrap()),
            '=' => {
                // The word before is the next key.
                return value.rsplit_once(' ').unwrap().0.to_owned();
            }
            other => value.push(other),
        }
    }
    value
}

#[test]
fn hostile_texts_stay_in_their_place() {
    let name = LowerName::read(b"\x0ca\n\"]|=\\<b>\x1b\0\x04=cmd\x07example\0", 0).unwrap().0;
    let qname = Presented(name.wire()).to_string();
    let device = "host:pc\r\n<0>1 \"] | = \\ \u{202e}ü\u{9b}31m \0";
    let event = event(crate::journal::AttemptRow {
        device: Some(device.to_owned()),
        category: "a|b=c]\"\n".to_owned(),
        ..row(&qname, 1)
    });
    for fields in Fields::ALL {
        for text in [line(fields, &event), message(fields, &event)] {
            assert!(text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{text}");
        }
    }
    assert_eq!(json(Fields::Plain, &event)["device"], device);
    assert_eq!(json(Fields::Ecs, &event)["dns"]["question"]["name"], *qname);
    let values = values(&message(Fields::Plain, &event));
    let value = |key: &str| values.iter().find(|(name, _value)| name == key).unwrap().1.clone();
    assert_eq!(value("qname"), qname);
    assert_eq!(value("category"), r#"a|b=c]"\010"#);
    assert_eq!(value("device"), inert(device));
    let cef = line(Fields::Cef, &event);
    assert_eq!(cef_value(&cef, "destinationDnsDomain"), qname);
    assert_eq!(cef_value(&cef, "cs2"), r#"a|b=c]"\010"#);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_a_device_is_called_every_line_is_one_line_of_ascii_and_reads_back(device: String, category: String) {
        let event = event(crate::journal::AttemptRow {
            device: Some(device.clone()),
            category: category.clone(),
            ..row("a.upd.example", 1)
        });
        for fields in Fields::ALL {
            for text in [line(fields, &event), message(fields, &event)] {
                prop_assert!(text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{}", text);
            }
        }
        prop_assert_eq!(&json(Fields::Plain, &event)["device"], &device);
        let values = values(&message(Fields::Plain, &event));
        prop_assert!(values.contains(&("category".to_owned(), inert(&category).into_owned())));
    }
}
