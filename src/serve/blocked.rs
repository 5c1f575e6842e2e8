//! What a client gets for a banned name.

use std::mem::take;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::metrics::{DropReason, Outcome};
use crate::policy::{Action, Ban, Blocked, Hit};
use crate::wire::{CLASS_IN, LowerName, Query, Response, qtype, rcode};

use super::client::Client;
use super::ending::Ending;

/// The answer to a query whose own name is banned. `room` is a buffer for it, left alone if there is none.
pub(super) fn answer(
    query: &Query<'_>,
    client: &Client,
    hit: &Hit<'_>,
    blocked: &Blocked,
    room: &mut Vec<u8>,
) -> Ending {
    if blocked.action == Action::Drop {
        return Ending::Silence(DropReason::PolicyDrop);
    }
    finish(query, client, hit, blocked, &query.name, Response::within(take(room), query))
}

/// Ends `response`, which holds the chain that led to `name`, as the ban of `name` demands.
pub(super) fn finish<'t>(
    query: &Query<'t>,
    client: &Client,
    hit: &Hit<'t>,
    blocked: &Blocked,
    name: &LowerName,
    response: Response<'t>,
) -> Ending {
    let ban: &'t Ban = hit.ban;
    let response = response.ede(ban.ede.code, &ban.ede.text);
    let soa = name.suffix(blocked.soa_labels);
    // Our addresses and zones are of the Internet; of another class there is nothing to tell but that it is banned.
    let ours = matches!(query.qclass, CLASS_IN | qtype::ANY);
    let (response, code) = match blocked.action {
        Action::Drop => return Ending::Silence(DropReason::PolicyDrop),
        // Nothing is blocked, so there is no reason to give.
        Action::TcpOnly => (response.anew(query).truncated(), rcode::NOERROR),
        // A chain that led here is not told.
        Action::Refuse => (response.anew(query).ede(ban.ede.code, &ban.ede.text), rcode::REFUSED),
        Action::Nxdomain if blocked.nxdomain && !ours => (response, rcode::NXDOMAIN),
        Action::Nxdomain | Action::Nodata | Action::Sinkhole if !ours => (response, rcode::NOERROR),
        Action::Nxdomain if blocked.nxdomain => (response.soa(soa, blocked.ttl), rcode::NXDOMAIN),
        Action::Nxdomain | Action::Nodata => (response.soa(soa, blocked.ttl), rcode::NOERROR),
        Action::Sinkhole => (sinkhole(query.qtype, ban, name, soa, blocked.ttl, response), rcode::NOERROR),
    };
    Ending::response(query, client, response, Outcome::Policy, code)
}

/// Our addresses for A, AAAA and ANY; every other type exists no more than under `nodata`, or an HTTPS or MX record would
/// lead on to the vendor.
fn sinkhole<'t>(asked: u16, ban: &Ban, name: &LowerName, soa: &[u8], ttl: u32, response: Response<'t>) -> Response<'t> {
    let wants = |rtype| asked == rtype || asked == qtype::ANY;
    let v4 = ban.sinkhole_v4.iter().filter(|_address| wants(qtype::A)).map(Ipv4Addr::octets);
    let v6 = ban.sinkhole_v6.iter().filter(|_address| wants(qtype::AAAA)).map(Ipv6Addr::octets);
    let mut found = false;
    let mut response = response;
    for octets in v4 {
        (response, found) = (response.answer_at(name.wire(), qtype::A, ttl, &octets), true);
    }
    for octets in v6 {
        (response, found) = (response.answer_at(name.wire(), qtype::AAAA, ttl, &octets), true);
    }
    if found { response } else { response.soa(soa, ttl) }
}
