//! The CNAME chain of an answer up to a banned name, to be given to the client before it is cut off, or to an address.

use super::answer::Answer;
use super::layout::{Layout, RecordAt, Section, be16};
use super::name::{LowerName, Name};
use super::qtype;

/// A record of the chain, its names uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Owner name.
    pub owner: Name,
    /// CNAME, DNAME, or the RRSIG over one.
    pub rtype: u16,
    /// TTL as the upstream sent it.
    pub ttl: u32,
    /// RDATA without compression.
    pub rdata: Vec<u8>,
}

/// The links from the question to `stop`, each record set whole and with its signatures; empty when no chain leads there.
pub fn chain(answer: &Answer, stop: &Name) -> Vec<Link> {
    let Ok(layout) = Layout::read(answer.body()) else { return Vec::new() };
    let mut links = Vec::new();
    let mut current = Name::from(&layout.qname);
    // A loop of CNAMEs ends here too: there are no more steps than records.
    for _ in 0..layout.records.len() {
        let Some((found, target)) = step(answer.body(), &layout, &current) else { return Vec::new() };
        links.extend(found);
        if target == *stop {
            return links;
        }
        current = target;
    }
    Vec::new()
}

/// The links from the question to the last name that its aliases lead to, and that name.
pub fn whole_chain(answer: &Answer) -> (Vec<Link>, Name) {
    let Ok(layout) = Layout::read(answer.body()) else { return (Vec::new(), Name::from(&LowerName::ROOT)) };
    let (mut links, mut current) = (Vec::new(), Name::from(&layout.qname));
    for _ in 0..layout.records.len() {
        let Some((found, target)) = step(answer.body(), &layout, &current) else { break };
        links.extend(found);
        current = target;
    }
    (links, current)
}

/// The records that lead on from `current`, and the name they lead to.
fn step(body: &[u8], layout: &Layout, current: &Name) -> Option<(Vec<Link>, Name)> {
    let mut links = Vec::new();
    let mut target = None;
    let at = LowerName::from(current);
    for record in layout.section(Section::Answer) {
        let (owner, _end) = LowerName::read_compressed(body, record.start).ok()?;
        let own = owner == at;
        match record.rtype {
            qtype::CNAME if own => target = Some(name_at(body, record)?),
            qtype::DNAME if at.is_below(&owner) && !own => (),
            qtype::RRSIG if covers(body, record, qtype::CNAME) && own => (),
            qtype::RRSIG if covers(body, record, qtype::DNAME) && at.is_below(&owner) && !own => (),
            _ => continue,
        }
        links.push(link(body, record, &owner)?);
    }
    // A DNAME comes with the CNAME made of it (RFC 6672 §3.1); an upstream that leaves it out gives no chain.
    target.map(|target| (links, target))
}

fn covers(body: &[u8], signature: &RecordAt, rtype: u16) -> bool {
    be16(body, signature.rdata.start) == Ok(rtype)
}

fn name_at(body: &[u8], record: &RecordAt) -> Option<Name> {
    LowerName::read_compressed(body, record.rdata.start).ok().map(|(name, _end)| Name::from(&name))
}

fn link(body: &[u8], record: &RecordAt, owner: &LowerName) -> Option<Link> {
    let rdata = match record.rtype {
        // The signer's name is never compressed (RFC 4034 §3.1.7), so the octets stand for themselves.
        qtype::RRSIG => body.get(record.rdata.clone())?.to_vec(),
        _ => name_at(body, record)?.wire().to_vec(),
    };
    Some(Link { owner: Name::from(owner), rtype: record.rtype, ttl: record.ttl, rdata })
}
