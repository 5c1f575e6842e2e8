//! One capture, written as packets, as frames and as lines, makes the same table; hostile names are inert in all of them.

use std::io::Write;

use embargo::dnstap::{Control, Dnstap, Kind, Message, SocketProtocol, write_control, write_data};
use embargo::wire::LowerName;
use serde_json::{Value, json};

use super::place::Place;

/// 2026-11-28T10:00:00Z.
const BEGIN: u32 = 1_795_860_000;

/// A query as everybody sees it.
struct Seen {
    /// Milliseconds since [`BEGIN`].
    at: u32,
    client: u8,
    over_tcp: bool,
    /// Labels with any octets.
    name: &'static [&'static [u8]],
    qtype: u16,
}

const SEEN: [Seen; 6] = [
    Seen { at: 0, client: 7, over_tcp: false, name: &[b"A", b"upd", b"acme", b"example"], qtype: 1 },
    Seen { at: 1_250, client: 7, over_tcp: true, name: &[b"a", b"upd", b"acme", b"example"], qtype: 28 },
    Seen { at: 2_500, client: 8, over_tcp: false, name: &[b"=cmd()\"'", b"upd", b"acme", b"example"], qtype: 16 },
    Seen {
        at: 61_001,
        client: 9,
        over_tcp: false,
        name: &[b"a\nb\x1b[31m\0", b"<b>", b"upd", b"acme", b"example"],
        qtype: 65,
    },
    Seen { at: 61_002, client: 9, over_tcp: false, name: &[b"www", b"acme", b"example"], qtype: 1 },
    Seen { at: 61_003, client: 9, over_tcp: false, name: &[b"www", b"example", b"org"], qtype: 1 },
];

impl Seen {
    fn message(&self) -> Vec<u8> {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in self.name {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend_from_slice(label);
        }
        message.push(0);
        message.extend_from_slice(&self.qtype.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message
    }

    fn seconds(&self) -> u32 {
        BEGIN + self.at / 1_000
    }

    fn micros(&self) -> u32 {
        self.at % 1_000 * 1_000
    }

    /// Frames of an Ethernet: one datagram in a tagged one, or a stream in pieces, of which one comes twice.
    fn frames(&self) -> Vec<Vec<u8>> {
        let message = self.message();
        if !self.over_tcp {
            let mut udp = [40_000_u16.to_be_bytes(), 53_u16.to_be_bytes()].concat();
            udp.extend_from_slice(&u16::try_from(message.len() + 8).unwrap().to_be_bytes());
            udp.extend_from_slice(&[0, 0]);
            udp.extend_from_slice(&message);
            return vec![self.frame(17, &udp, true)];
        }
        let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
        let segment = |sequence: u32, flags: u8, octets: &[u8]| {
            let mut tcp = [40_001_u16.to_be_bytes(), 53_u16.to_be_bytes()].concat();
            tcp.extend_from_slice(&sequence.to_be_bytes());
            tcp.extend_from_slice(&[0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
            tcp.extend_from_slice(octets);
            self.frame(6, &tcp, false)
        };
        // The numbers go around within the message.
        let first = u32::MAX - 3;
        let piece = |from: usize, to: usize| {
            segment(first.wrapping_add(1 + u32::try_from(from).unwrap()), 0x18, &framed[from..to])
        };
        vec![segment(first, 2, b""), piece(0, 1), piece(1, 9), piece(1, 9), piece(9, framed.len()), segment(0, 4, b"")]
    }

    fn frame(&self, protocol: u8, segment: &[u8], tagged: bool) -> Vec<u8> {
        let mut frame = vec![2; 12];
        if tagged {
            frame.extend_from_slice(&[0x81, 0, 0, 7]);
        }
        frame.extend_from_slice(&[8, 0, 0x45, 0]);
        frame.extend_from_slice(&u16::try_from(segment.len() + 20).unwrap().to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, self.client, 192, 0, 2, 53]);
        frame.extend_from_slice(segment);
        // What a short frame is filled up with is none of it.
        frame.resize(frame.len().max(60), 0xEE);
        frame
    }

    /// As Zeek writes octets that can't be printed.
    fn for_zeek(&self) -> String {
        let octet = |octet: &u8| match octet {
            b'\\' => r"\\".to_owned(),
            0x21..=0x7e => char::from(*octet).to_ascii_lowercase().to_string(),
            other => format!("\\x{other:02x}"),
        };
        self.name.iter().map(|label| label.iter().map(octet).collect::<String>()).collect::<Vec<_>>().join(".")
    }

    /// As BIND writes names.
    fn for_bind(&self) -> String {
        let octet = |octet: &u8| match octet {
            b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => format!("\\{}", char::from(*octet)),
            0x21..=0x7e => char::from(*octet).to_string(),
            other => format!("\\{other:03}"),
        };
        self.name.iter().map(|label| label.iter().map(octet).collect::<String>()).collect::<Vec<_>>().join(".")
    }

    fn qtype(&self) -> &'static str {
        match self.qtype {
            1 => "A",
            16 => "TXT",
            28 => "AAAA",
            _ => "TYPE65",
        }
    }
}

fn pcap() -> Vec<u8> {
    let mut octets = [0xA1B2_C3D4_u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4], [0, 0, 4, 0], [1, 0, 0, 0]].concat();
    for seen in &SEEN {
        for frame in seen.frames() {
            let size = u32::try_from(frame.len()).unwrap();
            for word in [seen.seconds(), seen.micros(), size, size] {
                octets.extend_from_slice(&word.to_le_bytes());
            }
            octets.extend_from_slice(&frame);
        }
    }
    octets
}

/// Big-endian, in milliseconds.
fn pcapng() -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let size = u32::try_from(padded + 12).unwrap().to_be_bytes();
        let mut octets = [&kind.to_be_bytes()[..], &size, body].concat();
        octets.resize(8 + padded, 0);
        octets.extend_from_slice(&size);
        octets
    };
    let mut octets = block(0x0A0D_0D0A, &[0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    octets.extend(block(1, &[0, 1, 0, 0, 0, 4, 0, 0, 0, 9, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0]));
    octets.extend(block(5, b"some figures"));
    for seen in &SEEN {
        for frame in seen.frames() {
            let size = u32::try_from(frame.len()).unwrap().to_be_bytes();
            let ticks = (u64::from(seen.seconds()) * 1_000 + u64::from(seen.at % 1_000)).to_be_bytes();
            octets.extend(block(6, &[&[0; 4][..], &ticks, &size, &size, &frame].concat()));
        }
    }
    octets
}

fn dnstap() -> Vec<u8> {
    let mut octets = Vec::new();
    write_control(Control::Start, &mut octets);
    for seen in &SEEN {
        let message = seen.message();
        let at = format!("2026-11-28T10:{:02}:{:02}.{:03}Z", seen.at / 60_000, seen.at / 1_000 % 60, seen.at % 1_000);
        let mut frame = Vec::new();
        for kind in [Kind::ClientQuery, Kind::ClientResponse, Kind::Other(3)] {
            let asked = kind != Kind::ClientResponse;
            let message = Message {
                kind,
                protocol: Some(if seen.over_tcp { SocketProtocol::Tcp } else { SocketProtocol::Udp }),
                query_address: Some([192, 0, 2, seen.client].into()),
                query_time: Some(at.parse().unwrap()),
                query_message: asked.then_some(&message[..]),
                response_message: (!asked).then_some(&message[..]),
                ..Message::default()
            };
            frame.clear();
            Dnstap { message, ..Dnstap::default() }.write(&mut frame);
            write_data(&frame, &mut octets);
        }
    }
    write_control(Control::Stop, &mut octets);
    octets
}

fn zeek() -> Vec<u8> {
    let mut text = b"#separator \\x09\n#path\tdns\n#fields\tts\tid.orig_h\tid.resp_p\tproto\tquery\tqtype\n".to_vec();
    for seen in &SEEN {
        let proto = if seen.over_tcp { "tcp" } else { "udp" };
        let (at, micros, client, name) = (seen.seconds(), seen.micros(), seen.client, seen.for_zeek());
        writeln!(text, "{at}.{micros:06}\t192.0.2.{client}\t53\t{proto}\t{name}\t{}", seen.qtype).unwrap();
    }
    text
}

fn bind() -> Vec<u8> {
    let mut text = Vec::new();
    for seen in &SEEN {
        let name = seen.for_bind();
        let (minute, second, millis) = (seen.at / 60_000, seen.at / 1_000 % 60, seen.at % 1_000);
        let flags = if seen.over_tcp { "+T" } else { "+" };
        let (client, qtype) = (seen.client, seen.qtype());
        writeln!(
            text,
            "28-Nov-2026 10:{minute:02}:{second:02}.{millis:03} client @0x1 192.0.2.{client}#40000 ({name}): query: {name} IN {qtype} {flags} (192.0.2.53)"
        )
        .unwrap();
    }
    text
}

#[test]
fn the_same_capture_as_packets_frames_and_lines_gives_the_same_table() {
    let mut tables: Vec<(&str, Value, Value)> = Vec::new();
    for (format, octets) in
        [("pcap", pcap()), ("pcapng", pcapng()), ("dnstap", dnstap()), ("zeek", zeek()), ("bind", bind())]
    {
        let place = Place::new();
        place.write("log", &octets);
        let file = place.scan(&["log"]);
        assert_eq!(
            (&file["format"], &file["queries"], &file["attempts"]),
            (&json!(format), &json!(6), &json!(5)),
            "{file}"
        );
        assert_eq!((&file["rejects"], &file["error"]), (&json!(0), &json!(null)), "{file}");
        let again = place.scan(&["log"]);
        assert_eq!((&again["standing"], &again["attempts"]), (&json!("known"), &json!(0)), "{format}");
        tables.push((format, place.json(&["clients"]), place.json(&["attempts"])));
    }
    let (_format, clients, attempts) = &tables[0];
    assert_eq!(clients.as_array().unwrap().len(), 4, "{clients}");
    let names: Vec<_> = attempts.as_array().unwrap().iter().map(|row| row["qname"].as_str().unwrap()).collect();
    assert_eq!(names[1], r"a\010b\027\09131m\000.\060b\062.upd.acme.example");
    assert!(names.iter().all(|name| LowerName::parse(name).is_ok()), "{names:?}");
    for (format, other_clients, other_attempts) in &tables[1..] {
        assert_eq!((other_clients, other_attempts), (clients, attempts), "{format}");
    }
}

#[test]
fn a_capture_that_has_grown_is_read_on_and_one_that_breaks_off_or_holds_rubbish_says_so() {
    let place = Place::new();
    let whole = pcap();
    // Within the stream: what is known of it is not forgotten.
    place.write("log", &whole[..420]);
    let first = place.scan(&["log"]);
    place.write("log", &whole);
    let second = place.scan(&["log"]);
    assert_eq!(second["standing"], "continued");
    assert_eq!(first["attempts"].as_u64().unwrap() + second["attempts"].as_u64().unwrap(), 5, "{first} {second}");
    assert!(first["unfinished"].as_u64().unwrap() > 0);

    place.write("broken", &[&whole[..], &[0xFF; 64]].concat());
    let output = place.run(&["scan", "broken"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no frame or packet begins at octet"));
    assert_eq!(place.attempts(), 5);
}
