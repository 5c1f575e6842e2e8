//! Where names stand in the data of those types that may have them compressed: all of RFC 1035, and the later ones that a
//! receiver is to take apart (RFC 3597 §4). In every other type a name is whole, and its octets stand for themselves.

use std::ops::Range;

use super::layout::Malformed;
use super::qtype;

/// What the data of a type is made of, as far as its names: so many octets, so many character-strings, so many names, and
/// so many octets behind them; `None`: any number.
struct Form(usize, usize, usize, Option<usize>);

fn form(rtype: u16) -> Option<Form> {
    // Types that nobody uses any more but that may be asked for have their numbers.
    const MD_MF: [u16; 2] = [3, 4];
    const MB_MG_MR: [u16; 3] = [7, 8, 9];
    const MINFO: u16 = 14;
    const RP: u16 = 17;
    const AFSDB: u16 = 18;
    const RT: u16 = 21;
    const PX: u16 = 26;
    const NXT: u16 = 30;
    const KX: u16 = 36;
    Some(match rtype {
        qtype::NS | qtype::CNAME | qtype::PTR | qtype::DNAME => Form(0, 0, 1, Some(0)),
        old if MD_MF.contains(&old) || MB_MG_MR.contains(&old) => Form(0, 0, 1, Some(0)),
        qtype::SOA => Form(0, 0, 2, Some(20)),
        MINFO | RP => Form(0, 0, 2, Some(0)),
        qtype::MX | AFSDB | RT | KX => Form(2, 0, 1, Some(0)),
        PX => Form(2, 0, 2, Some(0)),
        qtype::SRV => Form(6, 0, 1, Some(0)),
        qtype::NAPTR => Form(4, 3, 1, Some(0)),
        qtype::SIG => Form(18, 0, 1, None),
        NXT => Form(0, 0, 1, None),
        _ => return None,
    })
}

/// Calls `name` with the offset of each name in the data of a record, in order; it returns the offset behind that name.
///
/// # Errors
/// Those of `name`; [`Malformed::Rdata`] where the data ends elsewhere than its type has it.
pub(super) fn walk_names(
    message: &[u8],
    rtype: u16,
    rdata: &Range<usize>,
    mut name: impl FnMut(usize) -> Result<usize, Malformed>,
) -> Result<(), Malformed> {
    let Some(Form(octets, strings, names, behind)) = form(rtype) else { return Ok(()) };
    let mut at = rdata.start + octets;
    for _string in 0..strings {
        at += 1 + usize::from(*message.get(at).ok_or(Malformed::Cut)?);
    }
    for _name in 0..names {
        at = name(at)?;
    }
    let whole = behind.map_or(at <= rdata.end, |behind| at + behind == rdata.end);
    if whole { Ok(()) } else { Err(Malformed::Rdata) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Layout, LowerName, without};

    /// A response for `a.example` with this data, which may point at `example`, 14; and the same where nothing points.
    fn check(rtype: u8, compressed: &[u8], whole: &[u8]) {
        let message = |rdata: &[u8]| {
            let mut message = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x00\0\x01".to_vec();
            message[24] = rtype;
            message.extend_from_slice(b"\xC0\x0C\0\x00\0\x01\0\0\0\x3C\0\x00");
            (message[30], message[38]) = (rtype, u8::try_from(rdata.len()).unwrap());
            message.extend_from_slice(rdata);
            message
        };
        let written = message(compressed);
        let layout = Layout::read(&written).unwrap();
        Answer::keep(&written, &layout).unwrap();
        let anew = without(&written, &layout, |_record| false).unwrap();
        let layout = Layout::read(&anew).unwrap();
        assert_eq!(&anew[layout.records[0].rdata.clone()], whole, "TYPE{rtype}");
        let owner = LowerName::read_compressed(&anew, layout.records[0].start).unwrap().0;
        assert_eq!(owner.to_string(), "a.example");
        // One octet too few or too many.
        let keep = |message: &[u8]| Layout::read(message).and_then(|layout| Answer::keep(message, &layout));
        assert!(keep(&message(&compressed[..compressed.len() - 1])).is_err(), "TYPE{rtype}");
        let long = keep(&message(&[compressed, b"x"].concat()));
        assert_eq!(long.is_err(), form(u16::from(rtype)).unwrap().3.is_some(), "TYPE{rtype}");
    }

    #[test]
    fn a_name_in_data_is_found_in_every_type_that_may_compress_it_and_nothing_may_follow() {
        const NAME: &[u8] = b"\x07example\0";
        for rtype in [2, 3, 4, 7, 8, 9, 12] {
            check(rtype, b"\xC0\x0E", NAME);
        }
        for rtype in [14, 17] {
            check(rtype, b"\xC0\x0E\xC0\x0E", &[NAME, NAME].concat());
        }
        for rtype in [15, 18, 21, 36] {
            check(rtype, b"\0\x0A\xC0\x0E", &[b"\0\x0A", NAME].concat());
        }
        check(6, &[&b"\xC0\x0E\xC0\x0E"[..], &[7; 20]].concat(), &[NAME, NAME, &[7; 20]].concat());
        check(26, b"\0\x0A\xC0\x0E\xC0\x0E", &[b"\0\x0A", NAME, NAME].concat());
        check(33, b"\0\x01\0\x02\0\x35\xC0\x0E", &[b"\0\x01\0\x02\0\x35", NAME].concat());
        check(35, b"\0\x01\0\x02\x01S\x03SIP\0\xC0\x0E", &[b"\0\x01\0\x02\x01S\x03SIP\0", NAME].concat());
    }

    #[test]
    fn behind_the_name_of_an_old_signature_anything_may_stand() {
        let front = [9_u8; 18];
        let whole = [&front[..], b"\x07example\0"].concat();
        check(24, &[&front[..], b"\xC0\x0E"].concat(), &whole);
        check(30, b"\xC0\x0E", b"\x07example\0");
    }
}
