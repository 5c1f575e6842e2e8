//! Names that are the same for every client: none is read out of octets that differ from copy to copy.
//!
//! Id, flags and counts are written anew for each client and TTLs age. A pointer may lead there, and then a record would
//! have one owner when it is screened and another when it is given out, or none at all.

use super::layout::{HEADER, Layout, Malformed, RecordAt};
use super::name::{LowerName, NameError};
use super::qtype;
use super::rdata::walk_names;

/// Octets of a TTL.
const TTL: usize = 4;

/// Looks through every name of a message that [`Layout::read`] has passed.
///
/// # Errors
/// [`NameError::Pointer`] when a pointer leads into the header or a TTL.
pub(super) fn check(message: &[u8], layout: &Layout) -> Result<(), Malformed> {
    for record in &layout.records {
        check_name(message, layout, record, record.start)?;
        walk_names(message, record.rtype, &record.rdata, |at| {
            check_name(message, layout, record, at)?;
            Ok(LowerName::pass_compressed(message, at)?)
        })?;
        // What is no name in such a type is its reader's affair, as all else in its data.
        let whole = never_compressed(record).filter(|&at| {
            let until = message.get(..record.rdata.end).unwrap_or_default();
            LowerName::pass_compressed(until, at).is_ok()
        });
        if let Some(at) = whole {
            check_name(message, layout, record, at)?;
        }
    }
    Ok(())
}

/// Where a name stands in the RDATA of a type that has it whole (RFC 4034 §3.1.7 and §4.1.1, RFC 9460 §2.2). There are readers
/// that follow a pointer there too.
fn never_compressed(record: &RecordAt) -> Option<usize> {
    let start = record.rdata.start;
    match record.rtype {
        qtype::RRSIG => Some(start + 18),
        qtype::NSEC => Some(start),
        qtype::SVCB | qtype::HTTPS => Some(start + 2),
        _ => None,
    }
}

/// Walks the name at `at`, which has no loop.
fn check_name(message: &[u8], layout: &Layout, record: &RecordAt, mut at: usize) -> Result<(), Malformed> {
    loop {
        let octet = *message.get(at).ok_or(NameError::Cut)?;
        let size = if octet < 0xC0 { 1 + usize::from(octet) } else { 2 };
        // Where the record itself stands its own names do not differ, and neither does the question but for its case.
        let in_question = at >= HEADER && at + size <= layout.question_end;
        if at < record.start && !in_question && differs(layout, at, at + size) {
            return Err(NameError::Pointer.into());
        }
        match octet {
            0 => return Ok(()),
            1..0xC0 => at += size,
            _ => {
                let low = *message.get(at + 1).ok_or(NameError::Cut)?;
                at = usize::from(u16::from_be_bytes([octet & 0x3F, low]));
            }
        }
    }
}

/// Whether one of these octets is of the header or of a TTL.
fn differs(layout: &Layout, start: usize, end: usize) -> bool {
    // Records stand in order, so the first TTL that ends behind `start` is the only one to begin before `end`.
    let next = layout.records.partition_point(|record| record.ttl_offset() + TTL <= start);
    start < HEADER || layout.records.get(next).is_some_and(|record| record.ttl_offset() < end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Answer;

    /// A response for `a.example` A with these octets as `count` records.
    #[track_caller]
    fn check(count: u8, records: &[u8], expected: Result<(), Malformed>) {
        let mut message = b"\x12\x00\x81\x80\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01".to_vec();
        // In the authority section, where no record is a stray.
        message[9] = count;
        message.extend_from_slice(records);
        let layout = Layout::read(&message).unwrap();
        assert_eq!(super::check(&message, &layout), expected);
        if expected.is_err() {
            assert_eq!(Answer::keep(&message, &layout).map(drop), expected);
        }
    }

    const REFUSED: Result<(), Malformed> = Err(Malformed::Name(NameError::Pointer));

    #[test]
    fn names_that_point_to_names_are_the_same_for_everyone() {
        check(1, b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01", Ok(()));
        // The target of a CNAME, and the owner that points at it.
        let chain =
            b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x04\x01b\xC0\x0E\xC0\x27\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01";
        check(2, chain, Ok(()));
    }

    #[test]
    fn a_name_read_out_of_the_id_is_refused() {
        check(1, b"\xC0\x01\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01", REFUSED);
    }

    #[test]
    fn names_that_are_never_compressed_are_read_out_of_nothing_that_differs_either() {
        let record = |rtype: u16, before: &[u8], pointer: u8| {
            let size = u16::try_from(before.len() + 2).unwrap().to_be_bytes();
            let fields = [&b"\xC0\x0C"[..], &rtype.to_be_bytes(), b"\0\x01\0\0\0\x3C", &size, before];
            [fields.concat(), vec![0xC0, pointer]].concat()
        };
        let types = [
            (qtype::RRSIG, vec![0; 18]),
            (qtype::NSEC, vec![]),
            (qtype::HTTPS, vec![0; 2]),
            (qtype::NAPTR, b"\0\0\0\0\x01u\0\x02!!".to_vec()),
        ];
        for (rtype, before) in types {
            check(1, &record(rtype, &before, 1), REFUSED);
            check(1, &record(rtype, &before, 12), Ok(()));
            // A pointer forward, which is no name; data that may have names must have them ([`walk_names`]).
            if rtype != qtype::NAPTR {
                check(1, &record(rtype, &before, 0xFF), Ok(()));
            }
        }
    }

    #[test]
    fn a_name_read_out_of_a_ttl_is_refused() {
        let second = |pointer: u8| {
            let first = b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01".to_vec();
            [first, vec![0xC0, pointer], b"\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01".to_vec()].concat()
        };
        // The first octet of the TTL is a zero, the end of a name; so is the first of the class, which is always the same.
        check(2, &second(33), REFUSED);
        check(2, &second(31), Ok(()));
    }
}
