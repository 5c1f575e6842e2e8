//! Octets of names, a word at a time: for so few of them a call, or a loop over each, costs more than the work.

/// Bit 7 of each octet of a word.
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Bit 0 of each octet of a word.
const LOW: u64 = 0x0101_0101_0101_0101;

/// Whether two names of one length are the same octets: word by word, because a call costs more than comparing a name.
#[inline]
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    match (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        (Some(left_end), Some(right_end)) => {
            // The last whole word may end before the name does; the last eight octets are the rest, and more.
            let (left, right) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
            left_end == right_end && left.iter().zip(right).all(|(left, right)| left == right)
        }
        _ => left.iter().zip(right).all(|(left, right)| left == right),
    }
}

/// Writes `from` with its ASCII letters in lower case to the beginning of `to`, as far as there is room.
#[inline]
pub(super) fn write_lower(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
        *to = lower(*from);
    }
    match from.last_chunk::<8>() {
        // The last eight octets are those behind the last whole word, and more.
        Some(last) => {
            if let Some(end) = to.get_mut(from.len() - 8..).and_then(<[u8]>::first_chunk_mut) {
                *end = lower(*last);
            }
        }
        None => to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_ascii_lowercase()),
    }
}

/// Eight octets with their ASCII letters in lower case: bit 5 is set where an octet is `A` to `Z`.
#[inline]
fn lower(octets: [u8; 8]) -> [u8; 8] {
    let word = u64::from_le_bytes(octets);
    let seven = word & !HIGH;
    let from_a = seven + (0x80 - u64::from(b'A')) * LOW;
    let behind_z = seven + (0x7F - u64::from(b'Z')) * LOW;
    let letters = (from_a ^ behind_z) & !word & HIGH;
    (word | letters >> 2).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_octet_has_its_lower_case_at_every_place() {
        for octet in 0..=u8::MAX {
            for place in 0..8 {
                let mut octets = [b'@', b'A', b'Z', b'[', 0xC1, 0xDA, 0, 0xFF];
                octets[place] = octet;
                assert_eq!(lower(octets), octets.map(|octet| octet.to_ascii_lowercase()));
            }
        }
    }

    proptest! {
        #[test]
        fn octets_of_any_number_are_written_and_compared(octets in prop::collection::vec(any::<u8>(), 0..40), at in 0..40_usize) {
            let mut written = [0xEE; 48];
            write_lower(&mut written, &octets);
            prop_assert_eq!(&written[..octets.len()], octets.to_ascii_lowercase());
            prop_assert!(written[octets.len()..].iter().all(|octet| *octet == 0xEE), "nothing behind them");
            prop_assert!(is_same(&octets, &octets.clone()));
            let mut other = octets.clone();
            if let Some(octet) = other.get_mut(at) {
                *octet ^= 1;
                prop_assert!(!is_same(&octets, &other));
            }
        }
    }
}
