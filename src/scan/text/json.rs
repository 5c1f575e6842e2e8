//! JSON Lines: an object a line, with the fields that a query needs under whatever names.
//!
//! Known by themselves are the names of Zeek (`json-logs`), Suricata EVE, the Elastic Common Schema, Amazon Route 53 Resolver and
//! `AdGuard` Home; others are given with `--field`. A field within a field is named with a dot.

use std::net::IpAddr;

use serde_json::Value;

use super::super::entry::{Entry, Fault, Told};
use super::super::names;
use super::super::times::Times;
use super::{address, is_of_neighbours, qtype};
use crate::metrics::Did;
use crate::time::Timestamp;
use crate::wire::{LowerName, Transport};

/// Names of fields, the first that is there counts.
#[derive(Clone, Debug)]
pub struct Fields {
    time: Vec<String>,
    client: Vec<String>,
    name: Vec<String>,
    qtype: Vec<String>,
    transport: Vec<String>,
}

/// What a field may be given for.
pub const PARTS: [&str; 5] = ["time", "client", "name", "type", "transport"];

const TIME: &[&str] = &["ts", "@timestamp", "timestamp", "time", "query_timestamp", "query_time", "T"];
const CLIENT: &[&str] =
    &["id.orig_h", "source.ip", "client.ip", "src_ip", "srcaddr", "client_ip", "source_ip", "client", "IP"];
const NAME: &[&str] = &[
    "dns.question.name",
    "dns.rrname",
    "dns.queries.0.rrname",
    "query",
    "query_name",
    "qname",
    "QH",
    "question",
    "domain",
    "name",
];
const TYPE: &[&str] =
    &["dns.question.type", "dns.rrtype", "dns.queries.0.rrtype", "qtype_name", "query_type", "qtype", "QT", "type"];
const TRANSPORT: &[&str] = &["network.transport", "proto", "transport", "protocol", "CP"];
/// Of the server that was asked.
const PORT: &[&str] = &["id.resp_p", "dest_port", "destination.port"];

impl Default for Fields {
    fn default() -> Self {
        let [time, client, name, qtype, transport] =
            [TIME, CLIENT, NAME, TYPE, TRANSPORT].map(|names| names.iter().map(|&name| name.to_owned()).collect());
        Self { time, client, name, qtype, transport }
    }
}

impl Fields {
    /// Takes this name for a part of a query, one of [`PARTS`], in place of those that are known.
    pub fn set(&mut self, part: &str, name: &str) {
        let names = match part {
            "time" => &mut self.time,
            "client" => &mut self.client,
            "name" => &mut self.name,
            "type" => &mut self.qtype,
            _ => &mut self.transport,
        };
        *names = vec![name.to_owned()];
    }
}

pub(super) fn read(line: &[u8], times: &Times, fields: &Fields) -> Told {
    let object: Value = serde_json::from_slice(line).map_err(|_error| Fault::Form("no JSON object"))?;
    if !object.is_object() {
        return Err(Fault::Form("no JSON object"));
    }
    // A response, where requests are logged too.
    let kind = object.pointer("/dns/type").or(object.pointer("/dns/message_type")).and_then(Value::as_str);
    if kind.is_some_and(|kind| !matches!(kind, "query" | "request")) {
        return Ok(None);
    }
    // EVE repeats a query in the alert that it raised: counted, a rule for a banned name would double every lookup.
    let event = object.get("event_type").and_then(Value::as_str);
    if object.get("dns").is_some() && event.is_some_and(|event| event != "dns") {
        return Ok(None);
    }
    let port = PORT.iter().find_map(|name| find(&object, name)).and_then(Value::as_u64);
    if port.and_then(|port| u16::try_from(port).ok()).is_some_and(is_of_neighbours) {
        return Ok(None);
    }
    // Whatever else the same file logs has no name.
    let Some(name) = first(&object, &fields.name).and_then(Value::as_str) else { return Ok(None) };
    let at = time(first(&object, &fields.time).ok_or(Fault::Missing("time"))?, times)?;
    let client = client(first(&object, &fields.client).ok_or(Fault::Missing("client"))?)?;
    let word = first(&object, &fields.qtype).ok_or(Fault::Missing("query type"))?;
    let of_zeek = object.get("id.orig_h").is_some();
    let entry = Entry::new(at, client, name_of(name, of_zeek)?, type_of(word)?);
    let transport = first(&object, &fields.transport).and_then(Value::as_str).and_then(transport);
    let entry = Entry { did: did(&object), ..entry };
    Ok(Some(match transport {
        Some(transport) => entry.over(transport),
        None => entry,
    }))
}

/// What was done about it, where one of the logs that are known by themselves tells of a block.
fn did(object: &Value) -> Did {
    let word = |name: &str| find(object, name).and_then(Value::as_str);
    if word("firewall_rule_action") == Some("BLOCK") {
        return if word("rcode") == Some("NXDOMAIN") { Did::Nxdomain } else { Did::Nodata };
    }
    // By default AdGuard Home answers with an address that leads nowhere.
    let is_filtered = find(object, "Result.IsFiltered").and_then(Value::as_bool) == Some(true);
    if is_filtered { Did::Sinkhole } else { Did::Observe }
}

/// The first of these fields that is there and is not null.
fn first<'v>(object: &'v Value, names: &[String]) -> Option<&'v Value> {
    names.iter().filter_map(|name| find(object, name)).find(|value| !value.is_null())
}

/// A field by its name, or by the names of those around it with dots between.
fn find<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| {
        name.split('.').try_fold(object, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            value => value.get(part),
        })
    })
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, by how many there are; or a date and time.
fn time(value: &Value, times: &Times) -> Result<Timestamp, Fault> {
    const NONE: Fault = Fault::Unread("the time");
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.split('.').next().unwrap_or_default().len();
            match (number.as_i64(), whole) {
                (None, _) | (Some(_), ..=11) => times.epoch(text.as_bytes()),
                (Some(number), 12..=14) => times.sane(Timestamp::from_millisecond(number).map_err(|_beyond| NONE)?),
                (Some(number), 15..=17) => times.sane(Timestamp::from_microsecond(number).map_err(|_beyond| NONE)?),
                (Some(number), _) => times.sane(Timestamp::from_nanosecond(number.into()).map_err(|_beyond| NONE)?),
            }
        }
        Value::String(text) => match times.epoch(text.as_bytes()) {
            Err(Fault::Unread(_)) => times.leading(text.as_bytes()).map(|(at, _rest)| at),
            known => known,
        },
        _ => Err(NONE),
    }
}

fn client(value: &Value) -> Result<IpAddr, Fault> {
    value.as_str().ok_or(Fault::Unread("the client's address")).and_then(|text| address(text.as_bytes()))
}

fn name_of(name: &str, of_zeek: bool) -> Result<LowerName, Fault> {
    if of_zeek { names::zeek(name.as_bytes()) } else { names::presented(name.as_bytes()) }
}

fn type_of(value: &Value) -> Result<u16, Fault> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    let word = || value.as_str().map(|text| text.parse().map_or_else(|_word| qtype(text.as_bytes()), Ok));
    number.map(Ok).or_else(word).unwrap_or(Err(Fault::Unread("the query type")))
}

fn transport(word: &str) -> Option<Transport> {
    let word = word.to_ascii_lowercase();
    Transport::ALL.into_iter().find(|transport| transport.as_str() == word).or(match word.as_str() {
        "tls" => Some(Transport::Dot),
        "https" => Some(Transport::Doh),
        "quic" => Some(Transport::Doq),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check, context, fault};
    use super::*;
    use crate::scan::Format;

    fn read(qtype: &'static str, transport: &'static str) -> Read<'static> {
        let (at, client, name) = ("2026-11-28T10:00:00.123Z", "192.0.2.7", "www.example.org");
        Read { at, client, name, qtype, transport, verified: transport == "tcp" }
    }

    #[test]
    fn blocks_are_told_by_the_logs_that_have_them() {
        let of = |more: &str| {
            let line = format!(
                r#"{{"query_timestamp":"2026-11-28T10:00:00Z","srcaddr":"192.0.2.7","query_name":"a.example","query_type":"A"{more}}}"#
            );
            context(Format::Json, "").read(line.as_bytes()).unwrap().unwrap().did
        };
        for (more, did) in [
            ("", Did::Observe),
            (r#","firewall_rule_action":"ALERT""#, Did::Observe),
            (r#","firewall_rule_action":"BLOCK","rcode":"NXDOMAIN""#, Did::Nxdomain),
            (r#","firewall_rule_action":"BLOCK","rcode":"NOERROR""#, Did::Nodata),
            (r#","Result":{"IsFiltered":true,"Reason":3}"#, Did::Sinkhole),
            (r#","Result":{}"#, Did::Observe),
        ] {
            assert_eq!(of(more), did, "{more}");
        }
    }

    #[test]
    fn alerts_and_names_asked_among_neighbours_are_no_queries() {
        for line in [
            r#"{"timestamp":"2026-11-28T10:00:00.123000+0000","event_type":"alert","src_ip":"192.0.2.7","dns":{"type":"request","queries":[{"rrname":"www.example.org","rrtype":"MX"}]}}"#,
            r#"{"ts":1795860000.123,"id.orig_h":"192.0.2.7","id.resp_p":5353,"proto":"udp","query":"www.example.org","qtype":1}"#,
        ] {
            check(Format::Json, line, None);
        }
    }

    #[test]
    fn objects_of_everybody_are_read() {
        for (line, expected) in [
            (
                r#"{"ts":1795860000.123,"uid":"C","id.orig_h":"192.0.2.7","proto":"udp","query":"www.example.org","qtype":1,"qtype_name":"A"}"#,
                Some(read("A", "udp")),
            ),
            (
                r#"{"timestamp":"2026-11-28T10:00:00.123000+0000","event_type":"dns","src_ip":"192.0.2.7","proto":"TCP","dns":{"type":"query","rrname":"www.example.org","rrtype":"AAAA"}}"#,
                Some(read("AAAA", "tcp")),
            ),
            (
                r#"{"timestamp":"2026-11-28T10:00:00.123000+0000","src_ip":"192.0.2.7","dns":{"version":3,"type":"request","queries":[{"rrname":"www.example.org","rrtype":"MX"}]}}"#,
                Some(read("MX", "")),
            ),
            (
                r#"{"@timestamp":"2026-11-28T10:00:00.123Z","source":{"ip":"192.0.2.7"},"dns":{"question":{"name":"www.example.org","type":"A"}}}"#,
                Some(read("A", "")),
            ),
            (
                r#"{"query_timestamp":"2026-11-28T10:00:00.123Z","query_name":"www.example.org.","query_type":"A","srcaddr":"192.0.2.7","transport":"UDP"}"#,
                Some(read("A", "udp")),
            ),
            (
                r#"{"T":"2026-11-28T11:00:00.123+01:00","QH":"www.example.org","QT":"HTTPS","IP":"192.0.2.7"}"#,
                Some(read("HTTPS", "")),
            ),
            (
                r#"{"time":1795860000123,"client":"192.0.2.7","name":"www.example.org","type":28}"#,
                Some(read("AAAA", "")),
            ),
            (
                r#"{"timestamp":"2026-11-28T10:00:00.123000+0000","src_ip":"192.0.2.7","dns":{"type":"answer","rrname":"www.example.org","rrtype":"AAAA"}}"#,
                None,
            ),
            (r#"{"timestamp":"2026-11-28T10:00:00.123000+0000","event_type":"flow","src_ip":"192.0.2.7"}"#, None),
        ] {
            check(Format::Json, line, expected);
        }
    }

    #[test]
    fn fields_of_other_names_are_given() {
        let mut context = context(Format::Json, "");
        let mut fields = Fields::default();
        for (part, name) in PARTS.into_iter().zip(["a.when", "who", "what", "kind", "how"]) {
            fields.set(part, name);
        }
        context.fields = std::sync::Arc::new(fields);
        let line = br#"{"a":{"when":"2026-11-28 10:00:00"},"who":"::ffff:192.0.2.7","what":"a\nb.example","kind":"1","how":"dot"}"#;
        let entry = context.read(line).unwrap().unwrap();
        assert_eq!(
            (entry.client.to_string().as_str(), entry.name.to_string().as_str()),
            ("192.0.2.7", r"a\010b.example")
        );
        assert_eq!((entry.qtype, entry.transport, entry.verified), (1, Some(Transport::Dot), true));
    }

    #[test]
    fn what_is_broken_is_a_fault() {
        for line in [
            r#"{"ts":1795860000,"#,
            "[]",
            r#"{"ts":true,"client":"192.0.2.7","query":"a","qtype":1}"#,
            r#"{"client":"192.0.2.7","query":"a","qtype":1}"#,
            r#"{"ts":1795860000,"client":7,"query":"a","qtype":1}"#,
            r#"{"ts":1795860000,"client":"192.0.2.7","query":"a","qtype":65536}"#,
            r#"{"ts":1795860000,"client":"192.0.2.7","query":"a"}"#,
            r#"{"ts":-1e300,"client":"192.0.2.7","query":"a","qtype":1}"#,
        ] {
            fault(Format::Json, line);
        }
    }
}
