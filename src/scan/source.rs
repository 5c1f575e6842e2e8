//! The octets of a log, unpacked, whatever it is packed with.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::time::Timestamp;

/// What a gzip file begins with (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1F, 0x8B];
/// The same of a frame of Zstandard (RFC 8878 §3.1.1).
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// Octets read from the disk at a time.
const PIECE: usize = 256 << 10;

/// How a log is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// How far reading is, for whoever shows it: octets on the disk.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
}

impl Progress {
    /// Octets that were read of all files so far.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A log that is being read.
pub(super) struct Source<'p> {
    unpacked: Box<dyn Read + Send + 'p>,
    pub(super) packing: Packing,
    /// When it was written last.
    pub(super) written: Timestamp,
    /// Why it ends before its end, if it does.
    pub(super) broken: Option<io::Error>,
}

impl<'p> Source<'p> {
    /// Opens a file.
    pub(super) fn open(path: &Path, progress: &'p Progress) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file, so it can't be read twice"));
        }
        let written = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::MAX);
        let mut counted = BufReader::with_capacity(PIECE, Counted { file, progress });
        let head = counted.fill_buf()?;
        let packing = match head {
            head if head.starts_with(GZIP) => Packing::Gzip,
            head if head.starts_with(ZSTD) => Packing::Zstd,
            _ => Packing::None,
        };
        let unpacked: Box<dyn Read + Send + 'p> = match packing {
            Packing::None => Box::new(counted),
            Packing::Gzip => Box::new(MultiGzDecoder::new(counted)),
            Packing::Zstd => Box::new(Zstd { packed: counted, frame: FrameDecoder::new(), is_open: false }),
        };
        Ok(Self { unpacked, packing, written, broken: None })
    }

    /// Fills the buffer up to this length, or to the end of the log; whether that is reached. What is packed and breaks off has
    /// its end there.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, length: usize) -> io::Result<bool> {
        let mut filled = buffer.len();
        buffer.resize(length.max(filled), 0);
        let ended = loop {
            if filled == buffer.len() {
                break false;
            }
            match self.unpacked.read(&mut buffer[filled..]) {
                Ok(0) => break true,
                Ok(size) => filled += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) if self.packing != Packing::None => {
                    self.broken = Some(error);
                    break true;
                }
                Err(error) => return Err(error),
            }
        };
        buffer.truncate(filled);
        Ok(ended)
    }
}

/// A file that counts what is read of it.
struct Counted<'p> {
    file: File,
    progress: &'p Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.file.read(buffer)?;
        self.progress.read.fetch_add(size as u64, Ordering::Relaxed);
        Ok(size)
    }
}

/// Frames of Zstandard, one behind the other.
struct Zstd<R> {
    packed: R,
    frame: FrameDecoder,
    is_open: bool,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            while self.is_open && self.frame.can_collect() == 0 && !self.frame.is_finished() {
                self.frame
                    .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let size = if self.is_open { self.frame.read(buffer)? } else { 0 };
            if size > 0 || buffer.is_empty() {
                return Ok(size);
            }
            if self.packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.is_open = match self.frame.reset(&mut self.packed) {
                Ok(()) => true,
                // Frames may hold what is nobody's content (RFC 8878 §3.1.2).
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.packed).take(length.into()), &mut io::sink())?;
                    false
                }
                Err(error) => return Err(io::Error::other(error)),
            };
        }
    }
}
