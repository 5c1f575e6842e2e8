//! The random case of a name's letters (draft-vixie-dnsext-dns0x20), and how it is taken back, since nobody asked for it.

use rand::RngCore;

use crate::wire::{HEADER, Layout, qtype};

/// Longest label (RFC 1035 §3.1); greater length octets are pointers.
const MAX_LABEL: u8 = 63;

/// Gives each letter of a lower-case name on the wire a random case; returns whether any is in upper case now. A length
/// octet is below every letter.
pub(super) fn scatter(name: &mut [u8], random: &mut impl RngCore) -> bool {
    let mut any = false;
    for part in name.chunks_mut(64) {
        let mut bits = random.next_u64();
        for octet in part {
            let upper = octet.is_ascii_lowercase() && bits & 1 == 1;
            *octet ^= u8::from(upper) << 5;
            any |= upper;
            bits >>= 1;
        }
    }
    any
}

/// Puts a response to a name that was `sent` in random case back into lower case: the question, to which compressed names
/// point, and every label of an owner name or a CNAME's target that repeats one of ours to the letter (an uncompressed
/// owner, a target made by a DNAME). Labels in another case are the upstream's own and stay. Signatures are made over
/// lower case (RFC 4034 §6.2).
pub(super) fn gather(message: &mut [u8], layout: &Layout, sent: &[u8]) {
    if let Some(question) = message.get_mut(HEADER..HEADER + sent.len()) {
        question.make_ascii_lowercase();
    }
    for record in &layout.records {
        gather_name(message, record.start, sent);
        if record.rtype == qtype::CNAME {
            gather_name(message, record.rdata.start, sent);
        }
    }
}

/// The labels that stand at `at`; what a pointer leads to has its own turn.
fn gather_name(message: &mut [u8], mut at: usize, sent: &[u8]) {
    while let Some(&size @ 1..=MAX_LABEL) = message.get(at) {
        let end = at + 1 + usize::from(size);
        let Some(label) = message.get_mut(at..end) else { return };
        if labels(sent).any(|ours| ours == label) {
            label.make_ascii_lowercase();
        }
        at = end;
    }
}

/// The labels of a name on the wire, each with its length octet.
fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let size = usize::from(*rest.first().filter(|size| **size != 0)?);
        let (label, behind) = rest.split_at_checked(1 + size)?;
        rest = behind;
        Some(label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_alone_are_scattered_and_each_about_half_the_time() {
        let plain = [b"\x3fabcdefghijklmnopqrstuvwxyz-_0123456789\x00\xe4{`".as_slice(); 5].concat();
        let mut upper = vec![0_u32; plain.len()];
        let mut random = rand::rng();
        for _ in 0..400 {
            let mut name = plain.clone();
            assert!(scatter(&mut name, &mut random));
            assert!(name.eq_ignore_ascii_case(&plain));
            upper.iter_mut().zip(&name).for_each(|(count, octet)| *count += u32::from(octet.is_ascii_uppercase()));
        }
        for (octet, count) in plain.iter().zip(upper) {
            // Ten standard deviations from half of 400.
            assert!(
                if octet.is_ascii_lowercase() { (100..300).contains(&count) } else { count == 0 },
                "{octet} {count}"
            );
        }
        assert!(!scatter(&mut b"\x011\x012\0".to_vec(), &mut random));
    }

    #[test]
    fn what_repeats_our_case_is_put_back_and_the_rest_stays() {
        let sent = b"\x03wWw\x07eXample\0";
        let mut message = b"\0\x07\x81\x80\0\x01\0\x03\0\0\0\0\x03wWw\x07eXample\0\0\x01\0\x01".to_vec();
        let mut expected = b"\0\x07\x81\x80\0\x01\0\x03\0\0\0\0\x03www\x07example\0\0\x01\0\x01".to_vec();
        let mut add = |theirs: &[u8], ours: &[u8]| {
            message.extend_from_slice(theirs);
            expected.extend_from_slice(ours);
        };
        // A pointer to the question, and a target made from its first label.
        add(
            b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x0A\x03wWw\x03Net\xC0\x10",
            b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x0A\x03www\x03Net\xC0\x10",
        );
        // Our name in full; an owner and data of the upstream's own.
        add(
            b"\x03wWw\x07eXample\0\0\x10\0\x01\0\0\0\x3C\0\x04\x03wWw",
            b"\x03www\x07example\0\0\x10\0\x01\0\0\0\x3C\0\x04\x03wWw",
        );
        add(b"\x07Example\0\0\x10\0\x01\0\0\0\x3C\0\x04\x03wWw", b"\x07Example\0\0\x10\0\x01\0\0\0\x3C\0\x04\x03wWw");
        message[7] = 3;
        let layout = Layout::read(&message).unwrap();
        gather(&mut message, &layout, sent);
        assert_eq!(message, expected);
        assert_eq!(Layout::read(&message).unwrap(), layout);
    }
}
