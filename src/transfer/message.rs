//! Messages about a zone, written octet by octet: responses of ours, and the questions and notices that we send.

use crate::wire::{CLASS_IN, HEADER, PAYLOAD, Query, qtype, rcode};

/// Opcode NOTIFY (RFC 1996), in its place in a header.
pub(super) const NOTIFY: u8 = 4 << 3;
/// Flags of a response by who knows best.
const AUTHORITATIVE: u8 = 0x84;
/// The zone's name, which the question has in full: every other name ends there.
const ZONE: [u8; 2] = [0xC0, 0x0C];
/// Seconds between looks at the serial, for who hears no notices, and between tries.
const REFRESH: u32 = 300;
const RETRY: u32 = 60;
/// Seconds after which a secondary that reaches nobody lets a ban go: four weeks, since an outage is no reason to.
const EXPIRE: u32 = 2_419_200;

/// Header and question of a response to `query`.
pub(super) fn response(query: &Query<'_>, rcode: u16) -> Vec<u8> {
    let mut message = query.message[..query.question_end].to_vec();
    message[2] = AUTHORITATIVE | (query.message[2] & 0x01);
    if rcode != rcode::NOERROR {
        message[2] &= !0x04;
    }
    message[3] = u8::try_from(rcode & 0x0F).unwrap_or_default();
    message[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    message
}

/// A question about a zone of ours or theirs: header and question.
pub(super) fn question(id: u16, flags: u8, zone: &[u8], qtype: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut message = vec![high, low, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(zone);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    message
}

/// Appends an answer record whose owner is `owner` and then the zone's name.
pub(super) fn push_answer(message: &mut Vec<u8>, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) {
    message.extend_from_slice(owner);
    message.extend_from_slice(&ZONE);
    message.extend_from_slice(&rtype.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    message.extend_from_slice(&ttl.to_be_bytes());
    message.extend_from_slice(&u16::try_from(rdata.len()).unwrap_or(u16::MAX).to_be_bytes());
    message.extend_from_slice(rdata);
    let count = u16::from_be_bytes([message[6], message[7]]) + 1;
    message[6..8].copy_from_slice(&count.to_be_bytes());
}

/// Appends an OPT record without options: what speaks EDNS is answered so (RFC 6891 §6.1.1).
pub(super) fn push_opt(message: &mut Vec<u8>) {
    message.push(0);
    message.extend_from_slice(&qtype::OPT.to_be_bytes());
    message.extend_from_slice(&PAYLOAD.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    message[11] += 1;
}

/// The data of the SOA record of a zone of ours.
pub(super) fn soa(serial: u32, ttl: u32) -> Vec<u8> {
    let mut rdata = b"\x09localhost\0\x0ahostmaster\x09localhost\0".to_vec();
    for value in [serial, REFRESH, RETRY, EXPIRE, ttl] {
        rdata.extend_from_slice(&value.to_be_bytes());
    }
    rdata
}
