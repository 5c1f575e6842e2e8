//! What a client gets for a banned name.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::metrics::{DropReason, Outcome};
use crate::policy::{Action, Ban, Blocked, Hit};
use crate::wire::{LowerName, Query, Reply, qtype, rcode};

use super::client::Client;
use super::said::Said;

/// The answer to a query whose own name is banned.
pub(super) fn answer(query: &Query<'_>, client: &Client, hit: &Hit<'_>, blocked: &Blocked, room: Vec<u8>) -> Said {
    finish(query, client, hit, blocked, &query.name, Reply::within(room, query))
}

/// Ends `reply`, which holds the chain that led to `name`, as the ban of `name` demands.
pub(super) fn finish<'t>(
    query: &Query<'_>,
    client: &Client,
    hit: &Hit<'t>,
    blocked: &Blocked,
    name: &LowerName,
    reply: Reply<'t>,
) -> Said {
    let ban: &'t Ban = hit.ban;
    let reply = reply.ede(ban.ede.code, &ban.ede.text);
    let soa = name.suffix(blocked.soa_labels);
    let (reply, code) = match blocked.action {
        Action::Drop => return Said::Silence(DropReason::PolicyDrop),
        Action::Refuse => (Reply::to(query).ede(ban.ede.code, &ban.ede.text), rcode::REFUSED),
        Action::Nxdomain if blocked.nxdomain => (reply.soa(soa, blocked.ttl), rcode::NXDOMAIN),
        Action::Nxdomain | Action::Nodata => (reply.soa(soa, blocked.ttl), rcode::NOERROR),
        Action::Sinkhole => (sinkhole(query.qtype, ban, name, soa, blocked.ttl, reply), rcode::NOERROR),
    };
    Said::reply(query, client, reply, Outcome::Policy, code)
}

/// Our addresses for A, AAAA and ANY; every other type exists no more than under `nodata`, or an HTTPS or MX record would
/// lead on to the vendor.
fn sinkhole<'t>(asked: u16, ban: &Ban, name: &LowerName, soa: &[u8], ttl: u32, reply: Reply<'t>) -> Reply<'t> {
    let wants = |rtype| asked == rtype || asked == qtype::ANY;
    let v4 = ban.sinkhole_v4.iter().filter(|_address| wants(qtype::A)).map(Ipv4Addr::octets);
    let v6 = ban.sinkhole_v6.iter().filter(|_address| wants(qtype::AAAA)).map(Ipv6Addr::octets);
    let mut found = false;
    let mut reply = reply;
    for octets in v4 {
        (reply, found) = (reply.answer_at(name.wire(), qtype::A, ttl, &octets), true);
    }
    for octets in v6 {
        (reply, found) = (reply.answer_at(name.wire(), qtype::AAAA, ttl, &octets), true);
    }
    if found { reply } else { reply.soa(soa, ttl) }
}
