//! Elastic Common Schema 8: <https://www.elastic.co/guide/en/ecs/current/ecs-field-reference.html>. What it has no field for
//! stands under `embargo`.

use serde_json::{Value, json};

use super::{Observer, VERSION, is_denied, json::without_nulls, rcode};
use crate::sinks::Event;
use crate::time::rfc3339;
use crate::wire::Transport;

/// The version whose fields these are.
const ECS: &str = "8.17.0";

pub(super) fn fields(event: &Event, observer: &Observer) -> Value {
    let row = &event.row;
    let denied = is_denied(row.action);
    without_nulls(json!({
        "@timestamp": rfc3339(row.first),
        "ecs": { "version": ECS },
        "event": {
            "id": event.id,
            "kind": if denied { "alert" } else { "event" },
            "category": ["network"],
            "type": ["protocol", if denied { "denied" } else { "allowed" }],
            "action": row.action.as_str(),
            "module": "embargo",
            "dataset": "embargo.attempts",
            "start": rfc3339(row.first),
            "end": rfc3339(row.last),
        },
        "dns": {
            "type": "query",
            "question": question(row.qname.as_deref(), row.qtype.as_deref()),
            "response_code": rcode(row.action).map(|(_number, word)| word),
        },
        "source": row.client.map(|client| json!({ "ip": client, "address": client.to_string() })),
        "device": row.device.as_ref().map(|device| json!({ "id": device })),
        "network": {
            "protocol": "dns",
            "transport": row.transport.map(transport),
            "type": row.client.map(|client| if client.is_ipv4() { "ipv4" } else { "ipv6" }),
        },
        "rule": { "name": row.pattern, "ruleset": row.ban, "category": row.category },
        "observer": {
            "vendor": "Embargo",
            "product": "Embargo",
            "type": "dns",
            "version": VERSION,
            "hostname": observer.host,
        },
        "related": {
            "ip": row.client.map(|client| [client]),
            "hosts": row.qname.as_ref().map(|qname| [qname]),
        },
        "embargo": {
            "count": row.count,
            "evidence": row.evidence.as_str(),
            "site": row.site,
            "transport": row.transport.map(Transport::as_str),
            "verified": row.verified,
        },
    }))
}

fn question(qname: Option<&str>, qtype: Option<&str>) -> Value {
    json!({ "name": qname, "type": qtype, "class": qname.map(|_name| "IN") })
}

/// The protocol below, as the schema wants it.
fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp | Transport::Doq => "udp",
        Transport::Tcp | Transport::Dot | Transport::Doh => "tcp",
    }
}
