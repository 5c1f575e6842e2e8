//! SHA-256 in hexadecimal: how a file, or a line of a chain, is known again.

use std::fmt;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

/// Characters of a digest.
pub const DIGITS: usize = 64;

/// A digest of octets that come piece by piece.
#[derive(Clone)]
pub struct Digest(Context);

impl Digest {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Takes the next octets in.
    pub fn add(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Digest").finish_non_exhaustive()
    }
}

/// The digest of octets that are at hand.
pub fn hex_digest(octets: &[u8]) -> String {
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
        assert_eq!(expected.len(), DIGITS);
    }
}
