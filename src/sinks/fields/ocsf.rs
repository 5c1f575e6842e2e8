//! Open Cybersecurity Schema Framework 1.3, class DNS Activity (4003) with the profile Security Control:
//! <https://schema.ocsf.io/1.3.0/classes/dns_activity>. What it has no attribute for stands under `unmapped`.

use serde_json::{Value, json};

use super::{Observer, VERSION, is_denied, json::without_nulls, rcode};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::sinks::Event;
use crate::wire::Transport;

/// The version whose attributes these are.
const OCSF: &str = "1.3.0";
/// DNS Activity.
const CLASS: u32 = 4003;
/// A query and what was done about it.
const TRAFFIC: u32 = 6;

pub(super) fn fields(event: &Event, observer: &Observer) -> Value {
    let row = &event.row;
    let denied = is_denied(row.action);
    let (severity, severity_word) = severity(row.evidence);
    let (disposition, disposition_word) = disposition(row.action);
    without_nulls(json!({
        "category_uid": 4,
        "category_name": "Network Activity",
        "class_uid": CLASS,
        "class_name": "DNS Activity",
        "activity_id": TRAFFIC,
        "activity_name": "Traffic",
        "type_uid": CLASS * 100 + TRAFFIC,
        "type_name": "DNS Activity: Traffic",
        "severity_id": severity,
        "severity": severity_word,
        "time": row.first.as_millisecond(),
        "start_time": row.first.as_millisecond(),
        "end_time": row.last.as_millisecond(),
        "count": row.count,
        "metadata": {
            "version": OCSF,
            "uid": event.id,
            "profiles": ["security_control"],
            "product": { "name": "Embargo", "vendor_name": "Embargo", "version": VERSION },
            "logged_time": row.last.as_millisecond(),
        },
        "query": row.qname.as_ref().map(|qname| json!({ "hostname": qname, "type": row.qtype, "class": "IN" })),
        "rcode_id": rcode(row.action).map(|(number, _word)| number),
        "rcode": rcode(row.action).map(|(number, _word)| match number { 0 => "NoError", 3 => "NXDomain", _ => "Refused" }),
        // The one endpoint that is always known; the class needs one of them.
        "dst_endpoint": { "hostname": observer.host, "svc_name": "dns" },
        "src_endpoint": row.client.map(|client| json!({ "ip": client, "uid": row.device, "zone": row.site })),
        "connection_info": {
            "direction_id": 1,
            "direction": "Inbound",
            "protocol_name": row.transport.map(|transport| if is_udp(transport) { "udp" } else { "tcp" }),
            "protocol_num": row.transport.map(|transport| if is_udp(transport) { 17 } else { 6 }),
        },
        "action_id": if denied { 2 } else { 1 },
        "action": if denied { "Denied" } else { "Allowed" },
        "disposition_id": disposition,
        "disposition": disposition_word,
        "is_alert": denied,
        "policy": { "name": row.ban, "uid": row.ban },
        "firewall_rule": row.pattern.as_ref().map(|pattern| json!({ "name": pattern, "category": row.category, "type": row.evidence.as_str() })),
        "unmapped": {
            "action": row.action.as_str(),
            "category": row.category,
            "evidence": row.evidence.as_str(),
            "site": row.site,
            "transport": row.transport.map(Transport::as_str),
            "verified": row.verified,
        },
    }))
}

fn is_udp(transport: Transport) -> bool {
    matches!(transport, Transport::Udp | Transport::Doq)
}

/// How grave it is: what it proves, since what was done about it is told elsewhere.
fn severity(evidence: Evidence) -> (u32, &'static str) {
    match evidence {
        Evidence::Installed => (4, "High"),
        Evidence::Likely | Evidence::DeviceOrApp => (3, "Medium"),
        Evidence::Ambiguous | Evidence::Service => (2, "Low"),
        Evidence::Visit | Evidence::None => (1, "Informational"),
    }
}

fn disposition(did: Did) -> (u32, &'static str) {
    match did {
        Did::Nxdomain | Did::Nodata | Did::Sinkhole | Did::Refuse | Did::TcpOnly => (2, "Blocked"),
        Did::Drop => (6, "Dropped"),
        Did::Observe => (17, "Logged"),
        Did::Exempt => (1, "Allowed"),
    }
}
