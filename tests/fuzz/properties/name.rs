//! Names: read, printed and read again they are the same; hickory reads the same ones.

use embargo::wire::{LowerName, Name};
use hickory_resolver::proto::rr;
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

/// Holds the property for octets as a message and as a text; the first octet says where in the message the name begins.
pub(crate) fn check(octets: &[u8]) {
    let Some((&at, octets)) = octets.split_first() else { return };
    let at = usize::from(at);
    let compressed = LowerName::read_compressed(octets, at);
    if let Ok((name, end)) = &compressed {
        assert!(at < *end && *end <= octets.len());
        stands(name);
    }
    if let Ok((name, end)) = LowerName::read(octets, at) {
        assert_eq!(name.wire(), octets[at..end].to_ascii_lowercase());
        assert_eq!(compressed, Ok((name, end)), "a name without pointers is read the same by both readers");
    }
    against_hickory(octets, at, compressed.ok());
    if let Ok(name) = std::str::from_utf8(octets).map_err(drop).and_then(|text| LowerName::parse(text).map_err(drop)) {
        stands(&name);
    }
}

/// What is true of every name.
fn stands(name: &LowerName) {
    let (wire, text) = (name.wire(), name.to_string());
    assert!(wire.len() <= 255 && wire.last() == Some(&0) && !wire.iter().any(u8::is_ascii_uppercase));
    assert!(text.bytes().all(|octet| octet.is_ascii_graphic()), "{text:?}");
    assert_eq!(LowerName::parse(&text).as_ref(), Ok(name));
    assert_eq!(LowerName::read(wire, 0), Ok((name.clone(), wire.len())));
    let owned = Name::from(name);
    assert_eq!((owned.wire(), owned.to_string()), (wire, text));
    assert_eq!(LowerName::from(&owned), *name);
    let mut octets = 1;
    for labels in 0..=name.labels() {
        let suffix = name.suffix(labels);
        if labels > 0 {
            octets += 1 + name.label(name.labels() - labels).len();
        }
        assert_eq!(suffix.len(), octets);
        let (ancestor, _end) = LowerName::read(suffix, 0).expect("the end of a name is a name");
        assert!(name.is_below(&ancestor) && ancestor.labels() == labels);
    }
    assert_eq!(octets, wire.len());
}

/// What hickory reads we read; what it refuses has a pointer, for it lets no name run on into the one that points at it.
fn against_hickory(octets: &[u8], at: usize, ours: Option<(LowerName, usize)>) {
    let mut decoder = BinDecoder::new(octets);
    if decoder.read_slice(at).is_err() {
        return assert!(ours.is_none(), "a name beyond the end");
    }
    match (rr::Name::read(&mut decoder), ours) {
        (Ok(theirs), Some((name, end))) => {
            let theirs = theirs.to_bytes().expect("a name that was read can be written");
            assert_eq!((name.wire(), end), (&*theirs.to_ascii_lowercase(), decoder.index()));
        }
        (Ok(theirs), None) => panic!("hickory reads {theirs}"),
        (Err(error), Some((name, end))) => assert_ne!(end - at, name.wire().len(), "hickory refuses {name}: {error}"),
        (Err(_), None) => (),
    }
}
