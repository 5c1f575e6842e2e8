//! SHA-256 of what was read, in hexadecimal: how a file is known again.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};

/// A digest of octets that come piece by piece.
pub(super) struct Digest(Context);

impl Digest {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn add(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// In hexadecimal.
    pub(super) fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for octet in self.0.finish().as_ref() {
            // Writing to a `String` can't fail.
            let _infallible = write!(text, "{octet:02x}");
        }
        text
    }
}

/// The digest of octets that are at hand.
pub(super) fn hex_digest(octets: &[u8]) -> String {
    let mut digest = Digest::new();
    digest.add(octets);
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256_however_the_octets_come() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex_digest(b"abc"), expected);
        let mut digest = Digest::new();
        b"abc".chunks(1).for_each(|piece| digest.add(piece));
        assert_eq!(digest.finish(), expected);
    }
}
