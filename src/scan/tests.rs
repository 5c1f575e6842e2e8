//! Whatever stands in a log, reading it ends, and without a fault of ours.

use std::sync::Arc;

use proptest::prelude::*;

use super::binary::{Capture, Sink, read_dnstap};
use super::cut::CHUNK;
use super::entry::{Entry, Fault};
use super::format::Format;
use super::text::test::context;
use super::units::{Units, whole};
use crate::dnstap::{Control, Dnstap, Kind, Message, write_control, write_data};

/// Lines of every format, to be spoiled.
const LINES: [(Format, &str); 8] = [
    (
        Format::Bind,
        "28-Nov-2026 10:00:00.123 client @0x7f 192.0.2.7#53124 (a.example): query: a.example IN A +E(0)K (192.0.2.53)",
    ),
    (Format::Unbound, "[1795860000] unbound[1234:0] info: 192.0.2.7 a.example. A IN"),
    (Format::Dnsmasq, "Nov 28 10:00:00 dnsmasq[123]: 17 192.0.2.7/53124 query[type=65] a.example from 192.0.2.7"),
    (
        Format::Windows,
        "11/28/2026 10:00:00 AM 0E4C PACKET  00 UDP Rcv 192.0.2.7 8d3a   Q [0001   D   NOERROR] A (1)a(7)example(0)",
    ),
    (Format::Zeek, "1795860000.123456\tC1\t192.0.2.7\t53\tudp\ta\\x0ab.example\t1\tA"),
    (
        Format::Umbrella,
        r#""2026-11-28 10:00:00","a ""b""","c","192.0.2.7","203.0.113.1","Blocked","1 (A)","NOERROR","a.example.","x""#,
    ),
    (Format::Json, r#"{"ts":1795860000.5,"id.orig_h":"192.0.2.7","query":"a\\x0a.example","qtype":1}"#),
    (
        Format::Json,
        r#"{"timestamp":"2026-11-28T10:00:00Z","src_ip":"192.0.2.7","dns":{"queries":[{"rrname":"a","rrtype":"A"}]}}"#,
    ),
];

const ZEEK_HEAD: &str = "#fields\tts\tuid\tid.orig_h\tid.resp_p\tproto\tquery\tqtype\tqtype_name";

/// What tells how to read a line.
fn head(line: &str) -> String {
    format!("{ZEEK_HEAD}\n{line}\n")
}

/// Counts what it is given.
#[derive(Default)]
struct Counted {
    units: usize,
    queries: usize,
    faults: usize,
}

impl Sink for Counted {
    fn unit(&mut self) {
        self.units += 1;
    }

    fn query(&mut self, _at: usize, _entry: &Entry) {
        self.queries += 1;
    }

    fn fault(&mut self, _fault: Fault) {
        self.faults += 1;
    }
}

/// A message that asks for `a.example`.
const MESSAGE: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

/// A frame of an Ethernet with a datagram over IPv6, behind a header that tells nothing.
fn frame() -> Vec<u8> {
    let size = u16::try_from(MESSAGE.len() + 8).unwrap();
    let mut frame = vec![2; 12];
    frame.extend_from_slice(&[0x86, 0xDD, 0x60, 0, 0, 0]);
    frame.extend_from_slice(&(size + 8).to_be_bytes());
    frame.extend_from_slice(&[60, 64]);
    frame.extend_from_slice(&[0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    frame.extend_from_slice(&[0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53]);
    frame.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    frame.extend_from_slice(&[0x9C, 0x40, 0, 53]);
    frame.extend_from_slice(&size.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(MESSAGE);
    frame
}

fn pcap() -> Vec<u8> {
    let mut octets = vec![0xA1, 0xB2, 0x3C, 0x4D, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1];
    let size = u32::try_from(frame().len()).unwrap().to_be_bytes();
    for word in [1_795_860_000_u32.to_be_bytes(), [0; 4], size, size] {
        octets.extend_from_slice(&word);
    }
    octets.extend_from_slice(&frame());
    octets
}

fn pcapng() -> Vec<u8> {
    let mut octets =
        b"\x0A\x0D\x0D\x0A\x1C\0\0\0\x4D\x3C\x2B\x1A\x01\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1C\0\0\0".to_vec();
    octets.extend_from_slice(b"\x01\0\0\0\x14\0\0\0\x01\0\0\0\0\0\0\0\x14\0\0\0");
    let frame = frame();
    let padded = frame.len().next_multiple_of(4);
    let (size, block) = (u32::try_from(frame.len()).unwrap(), u32::try_from(padded + 32).unwrap());
    let micros = 1_795_860_000_000_000_u64;
    let (high, low) = (u32::try_from(micros >> 32).unwrap(), (micros & 0xFFFF_FFFF) as u32);
    for word in [6, block, 0, high, low, size, size] {
        octets.extend_from_slice(&u32::to_le_bytes(word));
    }
    octets.extend_from_slice(&frame);
    octets.resize(octets.len() + padded - frame.len(), 0);
    octets.extend_from_slice(&block.to_le_bytes());
    octets
}

fn dnstap() -> Vec<u8> {
    let mut octets = Vec::new();
    write_control(Control::Start, &mut octets);
    let message = Message {
        kind: Kind::ClientQuery,
        query_address: Some("192.0.2.7".parse().unwrap()),
        query_time: Some("2026-11-28T10:00:00Z".parse().unwrap()),
        query_message: Some(MESSAGE),
        ..Message::default()
    };
    let mut frame = Vec::new();
    Dnstap { message, ..Dnstap::default() }.write(&mut frame);
    write_data(&frame, &mut octets);
    octets
}

/// What is read of a whole file of a format without lines, and how many octets of it are whole frames, packets or blocks.
fn read(format: Format, octets: &[u8]) -> (Counted, usize) {
    let mut context = Arc::new(context(format, ""));
    let size = whole(octets, (true, false), false, &mut Units::of(format), &mut context).size;
    let (mut counted, mut capture) = (Counted::default(), Capture::default());
    let units = &octets[..size];
    match format {
        Format::Pcap => capture.pcap(units, true, &context.times, &mut counted),
        Format::Pcapng => capture.pcapng(units, &context.times, &mut counted),
        _ => read_dnstap(units, &context.times, false, &mut counted),
    }
    (counted, size)
}

/// A format, and what makes a file of it.
type Made = (Format, fn() -> Vec<u8>);

const BINARY: [Made; 3] = [(Format::Pcap, pcap), (Format::Pcapng, pcapng), (Format::Dnstap, dnstap)];

#[test]
fn what_is_not_spoiled_is_read() {
    for (format, line) in LINES {
        let read = context(format, &head(line)).read(line.as_bytes());
        assert!(matches!(read, Ok(Some(_))), "{line}: {read:?}");
    }
    for (format, octets) in BINARY {
        let (counted, size) = read(format, &octets());
        assert_eq!((counted.units, counted.queries, counted.faults, size), (1, 1, 0, octets().len()), "{format:?}");
    }
}

#[test]
fn a_line_that_never_ends_is_passed_over_piece_by_piece() {
    let mut context = Arc::new(context(Format::Bind, ""));
    let mut piece = |octets: &[u8], in_long| {
        let whole = whole(octets, (false, false), in_long, &mut Units::Lines, &mut context);
        (whole.size, whole.long)
    };
    let endless = vec![b'x'; CHUNK];
    assert_eq!(piece(&endless, false), (CHUNK, true));
    assert_eq!(piece(&endless, true), (CHUNK, true));
    assert_eq!(piece(b"xx\nline\n", true), (3, false));
    assert_eq!(piece(b"line\nhalf", false), (5, false));
    assert_eq!(piece(b"half", false), (0, false));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoiled_line_is_read_or_is_a_fault(which in 0..LINES.len(), at in 0..200_usize, octets: Vec<u8>, cut in 0..300_usize) {
        let (format, line) = LINES[which];
        let mut line = line.as_bytes().to_vec();
        let at = at % line.len();
        line.splice(at..(at + octets.len()).min(line.len()), octets);
        line.truncate(cut.max(1));
        let context = context(format, &head(LINES[which].1));
        if let Ok(Some(entry)) = context.read(&line) {
            prop_assert!(entry.at.as_second() >= 946_684_800 && entry.name.wire().len() <= 255);
        }
    }

    #[test]
    fn spoiled_frames_and_packets_are_read_to_where_they_can_be(
        which in 0..BINARY.len(), at in 0..300_usize, octets: Vec<u8>, cut in 0..400_usize
    ) {
        let (format, whole) = BINARY[which];
        let mut file = whole();
        let at = at % file.len();
        file.splice(at..(at + octets.len()).min(file.len()), octets);
        file.truncate(cut.max(1));
        let (counted, size) = read(format, &file);
        prop_assert!(size <= file.len() && counted.queries + counted.faults <= counted.units.max(1) * 64);
    }
}
