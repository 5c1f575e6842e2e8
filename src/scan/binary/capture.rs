//! Captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), whoever's octets come first.

use super::super::entry::Fault;
use super::super::times::Times;
use super::Sink;
use super::flows::Flows;
use super::packet::{LINK_ETHERNET, Packet};
use crate::time::Timestamp;

/// What captures of pcap begin with: either order of octets, micro- or nanoseconds.
pub(in crate::scan) const MAGIC: [[u8; 4]; 4] =
    [[0xA1, 0xB2, 0xC3, 0xD4], [0xD4, 0xC3, 0xB2, 0xA1], [0xA1, 0xB2, 0x3C, 0x4D], [0x4D, 0x3C, 0xB2, 0xA1]];
/// The same of pcapng.
pub(in crate::scan) const NG_MAGIC: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
/// Octets before the first packet of a pcap.
pub(in crate::scan) const PCAP_HEAD: usize = 24;
/// Octets before each packet of a pcap.
const RECORD_HEAD: usize = 16;
/// Octets of a packet or block at most.
pub(in crate::scan) const RECORD_MAX: usize = 512 << 10;
/// Interfaces of a section at most.
const INTERFACES_MAX: usize = 1_024;

/// Whose order of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scan) enum Endian {
    Big,
    Little,
}

impl Endian {
    fn word(self, octets: &[u8], at: usize) -> Option<u32> {
        let word = <[u8; 4]>::try_from(octets.get(at..at + 4)?).ok()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(word),
            Self::Little => u32::from_le_bytes(word),
        })
    }

    fn half(self, octets: &[u8], at: usize) -> Option<u16> {
        let half = <[u8; 2]>::try_from(octets.get(at..at + 2)?).ok()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(half),
            Self::Little => u16::from_le_bytes(half),
        })
    }

    fn size(self, octets: &[u8], at: usize) -> Option<usize> {
        self.word(octets, at).and_then(|size| usize::try_from(size).ok())
    }

    /// Of a pcap, by what it begins with.
    pub(in crate::scan) fn of_pcap(head: &[u8]) -> Option<Self> {
        match head.first()? {
            0xA1 => Some(Self::Big),
            _ => Some(Self::Little),
        }
    }
}

/// An interface that packets were captured at.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    /// Parts of a second that its times count.
    per_second: u64,
}

/// A capture that is being read, chunk by chunk.
#[derive(Debug, Default)]
pub(in crate::scan) struct Capture {
    endian: Option<Endian>,
    interfaces: Vec<Interface>,
    flows: Flows,
}

/// The size of the packet with its head that a pcap goes on with. `None`: it is not all there; an error: there is none.
pub(in crate::scan) fn pcap_record(octets: &[u8], endian: Endian) -> Result<Option<usize>, Fault> {
    let Some(size) = endian.size(octets, 8) else { return Ok(None) };
    let size = RECORD_HEAD + size;
    if size > RECORD_MAX {
        return Err(Fault::Form("no packet begins there"));
    }
    Ok(Some(size).filter(|size| *size <= octets.len()))
}

/// The same of the block that a pcapng goes on with; a section says whose order of octets it has.
pub(in crate::scan) fn ng_block(octets: &[u8], endian: &mut Option<Endian>) -> Result<Option<usize>, Fault> {
    const NONE: Fault = Fault::Form("no block begins there");
    let Some(start) = octets.get(..12) else { return Ok(None) };
    if start.starts_with(&NG_MAGIC) {
        *endian = match start[8..] {
            [0x1A, 0x2B, 0x3C, 0x4D] => Some(Endian::Big),
            [0x4D, 0x3C, 0x2B, 0x1A] => Some(Endian::Little),
            _ => return Err(NONE),
        };
    }
    let size = endian.and_then(|endian| endian.size(start, 4)).ok_or(NONE)?;
    if !(12..=RECORD_MAX).contains(&size) || size % 4 != 0 {
        return Err(NONE);
    }
    Ok(Some(size).filter(|size| *size <= octets.len()))
}

impl Capture {
    /// Reads the packets of a chunk of a pcap; `first`: the head of the file stands before them.
    pub(in crate::scan) fn pcap(&mut self, octets: &[u8], first: bool, times: &Times, sink: &mut impl Sink) {
        let mut at = 0;
        if first && let Some(endian) = Endian::of_pcap(octets) {
            let per_second =
                if matches!(octets, [0xA1, 0xB2, 0x3C, ..] | [0x4D, ..]) { 1_000_000_000 } else { 1_000_000 };
            // The uppermost bits say what is behind each packet.
            let link =
                endian.word(octets, 20).map_or(LINK_ETHERNET, |link| u16::try_from(link & 0xFFFF).unwrap_or_default());
            (self.endian, self.interfaces) = (Some(endian), vec![Interface { link, per_second }]);
            at = PCAP_HEAD;
        }
        let Some(endian) = self.endian else { return };
        while let Some(rest) = octets.get(at..)
            && let Ok(Some(size)) = pcap_record(rest, endian)
        {
            let (seconds, parts) = (endian.word(rest, 0).unwrap_or(0), endian.word(rest, 4).unwrap_or(0));
            let interface = self.interfaces[0];
            let when = moment(seconds.into(), parts.into(), interface.per_second);
            self.packet(at, (interface.link, &rest[RECORD_HEAD..size]), when, times, sink);
            at += size;
        }
    }

    /// Reads the blocks of a chunk of a pcapng.
    pub(in crate::scan) fn pcapng(&mut self, octets: &[u8], times: &Times, sink: &mut impl Sink) {
        let mut at = 0;
        while let Some(rest) = octets.get(at..)
            && let Ok(Some(size)) = ng_block(rest, &mut self.endian)
        {
            self.block(at, &rest[..size], times, sink);
            at += size;
        }
    }

    fn block(&mut self, at: usize, block: &[u8], times: &Times, sink: &mut impl Sink) {
        let Some(endian) = self.endian else { return };
        if block.starts_with(&NG_MAGIC) {
            self.interfaces.clear();
            return;
        }
        match endian.word(block, 0) {
            Some(1) if self.interfaces.len() < INTERFACES_MAX => {
                let link = endian.half(block, 8).unwrap_or(LINK_ETHERNET);
                let per_second = resolution(endian, block).filter(|parts| *parts > 0).unwrap_or(1_000_000);
                self.interfaces.push(Interface { link, per_second });
            }
            // Enhanced packets; those of other kinds have no time.
            Some(6) => {
                let packet = enhanced(endian, block)
                    .and_then(|(interface, ticks, packet)| Some((*self.interfaces.get(interface)?, ticks, packet)));
                let Some((Interface { link, per_second }, ticks, packet)) = packet else {
                    sink.unit();
                    return sink.fault(Fault::Form("a packet of no interface, or cut off"));
                };
                let when = moment(ticks / per_second, ticks % per_second, per_second);
                self.packet(at, (link, packet), when, times, sink);
            }
            Some(3) => {
                sink.unit();
                sink.fault(Fault::Missing("time"));
            }
            _ => (),
        }
    }

    fn packet(
        &mut self,
        at: usize,
        (link, octets): (u16, &[u8]),
        when: Option<Timestamp>,
        times: &Times,
        sink: &mut impl Sink,
    ) {
        sink.unit();
        let packet = match Packet::read(link, octets) {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(fault) => return sink.fault(fault),
        };
        let when = match when.ok_or(Fault::Unread("the time")).and_then(|when| times.sane(when)) {
            Ok(when) => when,
            Err(fault) => return sink.fault(fault),
        };
        self.flows.take(&packet, when, |told| match told {
            Ok(Some(entry)) => sink.query(at, &entry),
            Ok(None) => (),
            Err(fault) => sink.fault(fault),
        });
    }
}

/// Interface, time and octets of an enhanced packet block.
fn enhanced(endian: Endian, block: &[u8]) -> Option<(usize, u64, &[u8])> {
    let interface = endian.size(block, 8)?;
    let ticks = u64::from(endian.word(block, 12)?) << 32 | u64::from(endian.word(block, 16)?);
    let size = endian.size(block, 20)?;
    Some((interface, ticks, block.get(28..28_usize.checked_add(size)?)?))
}

/// Parts of a second in the option `if_tsresol` of an interface.
fn resolution(endian: Endian, block: &[u8]) -> Option<u64> {
    let mut at = 16;
    loop {
        let (code, size) = (endian.half(block, at)?, usize::from(endian.half(block, at + 2)?));
        match code {
            0 => return None,
            9 => {
                let exponent = *block.get(at + 4)?;
                return if exponent & 0x80 == 0 {
                    10_u64.checked_pow(exponent.into())
                } else {
                    2_u64.checked_pow((exponent & 0x7F).into())
                };
            }
            _ => at += 4 + size.next_multiple_of(4),
        }
    }
}

fn moment(seconds: u64, parts: u64, per_second: u64) -> Option<Timestamp> {
    let nanos = u128::from(parts) * 1_000_000_000 / u128::from(per_second.max(1));
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}
