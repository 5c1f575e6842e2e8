//! A log cut into chunks of whole lines, so that several threads read it at once, and each with what its lines share.

use std::io;
use std::sync::Arc;

use ring::digest::{Context as Digest, SHA256};

use super::source::Source;
use super::text::Context;
use super::units::{Units, whole};

/// Octets of a chunk at most, and so of what is read as one.
pub(super) const CHUNK: usize = 1 << 20;

/// Whole lines, frames or packets of a log.
pub(super) struct Chunk {
    /// Its place among those of its log.
    pub(super) number: u64,
    pub(super) octets: Vec<u8>,
    /// Where in the log it begins.
    pub(super) start: u64,
    /// SHA-256 of the log up to its end.
    pub(super) digest: Vec<u8>,
    pub(super) context: Arc<Context>,
    /// A part of a line that is too long; the first such part of it if so.
    pub(super) long: Option<bool>,
    /// Lines that were passed over since the chunk before.
    pub(super) lines_before: u64,
}

/// A log on its way to chunks.
pub(super) struct Cutter<'p> {
    pub(super) source: Source<'p>,
    /// What has been read and not been given away.
    carry: Vec<u8>,
    pub(super) at: u64,
    digest: Digest,
    pub(super) context: Arc<Context>,
    units: Units,
    ended: bool,
    in_long: bool,
    number: u64,
    /// Octets behind the last whole line: a line that is still being written.
    pub(super) unfinished: usize,
    /// No frame, packet or block begins where the last chunk ended.
    pub(super) is_broken: bool,
    /// Where a chunk has to end, because the log was read so far before.
    floor: u64,
}

impl<'p> Cutter<'p> {
    /// From the beginning of a log, of which `head` was read already.
    pub(super) fn new(source: Source<'p>, (head, ended): (Vec<u8>, bool), context: Context, floor: u64) -> Self {
        let units = Units::of(context.format);
        Self {
            source,
            carry: head,
            at: 0,
            digest: Digest::new(&SHA256),
            context: Arc::new(context),
            units,
            ended,
            in_long: false,
            number: 0,
            unfinished: 0,
            is_broken: false,
            floor,
        }
    }

    /// The next chunk, in this memory; `None`: there are no more.
    pub(super) fn next(&mut self, mut octets: Vec<u8>) -> io::Result<Option<Chunk>> {
        octets.clear();
        octets.append(&mut self.carry);
        if !self.ended && octets.len() < CHUNK {
            self.ended = self.source.fill(&mut octets, CHUNK)?;
        }
        if octets.is_empty() || self.is_broken {
            return Ok(None);
        }
        // What is packed was packed when it was written to its end.
        let closed = self.ended && self.source.broken.is_none() && self.source.packing != super::source::Packing::None;
        let found = whole(&octets, (self.ended, closed), self.in_long, &mut self.units, &mut self.context);
        let first_of_long = found.long && !self.in_long;
        let long = (found.long || self.in_long).then_some(first_of_long);
        self.in_long = found.long;
        let before = usize::try_from(self.floor.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let size = if before > 0 { found.size.min(before) } else { found.size };
        self.is_broken = found.broken && size == found.size;
        if size == 0 {
            self.unfinished = octets.len();
            return Ok(None);
        }
        self.carry = octets[size..].to_vec();
        octets.truncate(size);
        self.digest.update(&octets);
        let digest = self.digest.clone().finish().as_ref().to_vec();
        let (start, number) = (self.at, self.number);
        self.at += size as u64;
        self.number += 1;
        let context = Arc::clone(&self.context);
        Ok(Some(Chunk { number, octets, start, digest, context, long, lines_before: 0 }))
    }

    /// Takes back the number of a chunk that nobody is given.
    pub(super) fn pass_over(&mut self) {
        self.number -= 1;
    }
}
