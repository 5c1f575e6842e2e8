//! The octets of a list on their way to the disk: unpacked, bounded, hashed, and their signature verified, piece by piece.
//!
//! ```text
//! from the network ─► unpacked if the server packed them ─► signed ─► unpacked if the file is packed ─► bounded ─► disk
//! ```
//! A signature is made over the file that its author publishes, so over what the server's own packing is taken off.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use hyper::body::Bytes;
use minisign_verify::{PublicKey, Signature, StreamVerifier};
use tokio::sync::mpsc;

use super::kept::Incoming;
use super::subscription::SigningKey;

/// What a packed file begins with (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// What comes from the network.
pub(super) enum Piece {
    /// The next octets.
    Octets(Bytes),
    /// There are no more. Whoever breaks off does not say this.
    End,
}

/// What is known of the octets before they come.
pub(super) struct Expected {
    /// Whether the server has packed them for the way (`Content-Encoding`).
    pub(super) packed: bool,
    /// Octets at most, packed or not.
    pub(super) size_max: u64,
    /// Whose signature this text is to be, if they must be signed.
    pub(super) signed: Option<(SigningKey, String)>,
}

/// Why what came is no list that can be kept.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More octets than are taken.
    #[error("it has more than {max} octets, which is size_max")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Packed, and broken.
    #[error("what came can't be unpacked: {0}")]
    Unpack(io::Error),
    /// It ended before its end.
    #[error("it was broken off")]
    BrokenOff,
    /// The file beside it is no signature that can be used.
    #[error("its .minisig file is no signature that can be used: {0}")]
    NoSignature(minisign_verify::Error),
    /// Signed by somebody else, or not this.
    #[error("it is not signed by `minisign_key`: {0}")]
    Forged(minisign_verify::Error),
    /// The disk.
    #[error("it can't be written: {0}")]
    Disk(io::Error),
}

/// Brings what comes to the disk. Blocks: for a thread of its own.
pub(super) fn receive(
    mut pieces: mpsc::Receiver<Piece>,
    incoming: Incoming,
    expected: &Expected,
) -> Result<Incoming, BodyError> {
    let max = expected.size_max;
    let key = expected.signed.as_ref().map(|(key, signature)| (key.inner(), signature));
    let signature = key.map(|(_key, text)| Signature::decode(text)).transpose().map_err(BodyError::NoSignature)?;
    let verifier = key.zip(signature.as_ref()).map(|((key, _text), signature)| verifier(key, signature)).transpose()?;
    let disk = Bounded { inner: incoming, left: max, max };
    let signed = Signed { verifier, inner: Packed::Unknown(Vec::new(), disk) };
    let mut way = if expected.packed { Packed::gzip(signed) } else { Packed::Plain(signed) };
    let mut left = max;
    loop {
        match pieces.blocking_recv() {
            None => return Err(BodyError::BrokenOff),
            Some(Piece::End) => break,
            Some(Piece::Octets(octets)) => {
                // Before it is unpacked too: empty members cost time and give nothing.
                left = left.checked_sub(octets.len() as u64).ok_or(BodyError::TooLarge { max })?;
                way.write_all(&octets).map_err(fault)?;
            }
        }
    }
    let Signed { verifier, inner } = way.finish().map_err(fault)?;
    if let Some(mut verifier) = verifier {
        verifier.finalize().map_err(BodyError::Forged)?;
    }
    Ok(inner.finish().map_err(fault)?.inner)
}

fn verifier<'k>(key: &'k PublicKey, signature: &'k Signature) -> Result<StreamVerifier<'k>, BodyError> {
    key.verify_stream(signature).map_err(BodyError::Forged)
}

/// An error of ours as it was, one of the unpacking otherwise.
fn fault(error: io::Error) -> BodyError {
    match error.downcast::<BodyError>() {
        Ok(ours) => ours,
        Err(error) => BodyError::Unpack(error),
    }
}

/// The end of the way.
struct Bounded {
    inner: Incoming,
    left: u64,
    max: u64,
}

impl Write for Bounded {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(octets.len() as u64) else {
            return Err(io::Error::other(BodyError::TooLarge { max: self.max }));
        };
        self.left = left;
        self.inner.write_all(octets).map_err(|error| io::Error::other(BodyError::Disk(error)))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The place on the way where a signature is made.
struct Signed<'k> {
    verifier: Option<StreamVerifier<'k>>,
    inner: Packed<Bounded>,
}

impl Write for Signed<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Some(verifier) = &mut self.verifier {
            verifier.update(octets);
        }
        self.inner.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Octets that may be packed.
enum Packed<W: Write> {
    /// Too few of them to tell.
    Unknown(Vec<u8>, W),
    Plain(W),
    Gzip(Box<MultiGzDecoder<W>>),
    /// In between two of the above.
    Gone,
}

impl<W: Write> Packed<W> {
    fn gzip(inner: W) -> Self {
        Self::Gzip(Box::new(MultiGzDecoder::new(inner)))
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(decoder) => decoder.finish(),
            Self::Unknown(first, mut inner) => inner.write_all(&first).map(|()| inner),
            Self::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write_all(octets)?,
            Self::Gzip(decoder) => decoder.write_all(octets)?,
            Self::Unknown(first, _inner) => {
                first.extend_from_slice(octets);
                if first.len() >= GZIP.len()
                    && let Self::Unknown(first, inner) = std::mem::replace(self, Self::Gone)
                {
                    *self = if first.starts_with(&GZIP) { Self::gzip(inner) } else { Self::Plain(inner) };
                    self.write_all(&first)?;
                }
            }
            Self::Gone => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::kept::Store;
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What is on the disk after these octets have come one by one.
    fn received(octets: &[u8], packed: bool, size_max: u64, end: bool) -> Result<String, BodyError> {
        let state = tempfile::tempdir().unwrap();
        let (sender, pieces) = mpsc::channel(octets.len() + 1);
        for octet in octets {
            sender.try_send(Piece::Octets(Bytes::copy_from_slice(&[*octet]))).ok().unwrap();
        }
        if end {
            sender.try_send(Piece::End).ok().unwrap();
        }
        drop(sender);
        let incoming = Store::new(state.path()).receive("a").unwrap();
        let incoming = receive(pieces, incoming, &Expected { packed, size_max, signed: None })?;
        assert_eq!(incoming.bytes(), std::fs::metadata(incoming.path()).unwrap().len());
        Ok(std::fs::read_to_string(incoming.path()).unwrap())
    }

    #[test]
    fn a_list_comes_plain_packed_for_the_way_or_as_a_packed_file() {
        let text = b"a.example\nb.example\n";
        let packed = gzip(text);
        let both = gzip(&packed);
        for (octets, encoded) in [(&text[..], false), (&packed, false), (&packed, true), (&both, true)] {
            assert_eq!(received(octets, encoded, 1000, true).unwrap().as_bytes(), text);
        }
        assert_eq!(received(b"", false, 1000, true).unwrap(), "");
        assert_eq!(received(b"a", false, 1000, true).unwrap(), "a");
    }

    #[test]
    fn a_bomb_ends_at_the_limit_and_what_is_cut_or_broken_is_no_list() {
        let bomb = gzip(&vec![b'a'; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(received(&bomb, true, 20_000, true), Err(BodyError::TooLarge { max: 20_000 })));
        assert!(matches!(received(b"12345", false, 4, true), Err(BodyError::TooLarge { max: 4 })));
        let packed = gzip(b"a.example\n");
        assert!(matches!(received(&packed[..packed.len() - 3], true, 1000, true), Err(BodyError::Unpack(_))));
        assert!(matches!(received(b"no gzip at all", true, 1000, true), Err(BodyError::Unpack(_))));
        assert!(matches!(received(b"a.example\n", false, 1000, false), Err(BodyError::BrokenOff)));
    }
}
