//! EDNS options, each of which concerns one hop (RFC 6891 §6.1.2): what a client asks for by them, and what a response to it
//! carries. Nothing here is passed on, in either direction, but for the subnet of a client for which that is set; an option that
//! is named neither here nor in `told` is ignored.

use std::ops::Range;

use super::cookie::{COOKIE, Cookie};
use super::layout::{Malformed, be16};
use super::subnet::{OPTION_SUBNET, Subnet};
use super::told::{self, Told};

/// Name server identifier (RFC 5001).
const OPTION_NSID: u16 = 3;
/// DNS cookie (RFC 7873).
const OPTION_COOKIE: u16 = 10;
/// edns-tcp-keepalive (RFC 7828).
const OPTION_KEEPALIVE: u16 = 11;
/// Padding (RFC 7830).
pub const OPTION_PADDING: u16 = 12;
/// Octets in front of an option's data.
const FRONT: usize = 4;
/// Responses are padded to a multiple of this many octets (RFC 8467 §4.1).
const BLOCK: usize = 468;
/// Octets of an NSID at most: one with a cookie and the longest question fits any datagram.
pub const NSID_MAX: usize = 128;

/// What the options of a query ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where in the message the data of its first COOKIE option stands; further ones are ignored (RFC 7873 §5.2).
    cookie: Option<(u16, u16)>,
    /// The same of its first client subnet (RFC 7871).
    subnet: Option<(u16, u16)>,
    /// How much the option tells that says most of whom it is asked for, and its place.
    told: Option<(u8, (u16, u16))>,
    /// It wants to know which server answers.
    pub nsid: bool,
    /// It wants to know how long the connection may be idle.
    pub keepalive: bool,
    /// It is padded, and wants the response to be.
    pub padding: bool,
}

impl Asked {
    /// Reads the options of an OPT record; `None`: there are none.
    ///
    /// # Errors
    /// [`Malformed::Options`] when one is cut: who knows what else is missing.
    pub(super) fn read(message: &[u8], rdata: Range<usize>) -> Result<Option<Self>, Malformed> {
        if rdata.is_empty() {
            return Ok(None);
        }
        let mut asked = Self { cookie: None, subnet: None, told: None, nsid: false, keepalive: false, padding: false };
        let mut at = rdata.start;
        while at < rdata.end {
            let cut = |_cut: Malformed| Malformed::Options;
            let (code, size) = (be16(message, at).map_err(cut)?, be16(message, at + 2).map_err(cut)?);
            at += FRONT;
            if at + usize::from(size) > rdata.end {
                return Err(Malformed::Options);
            }
            // A query is far shorter than 64 KiB.
            let place = u16::try_from(at).ok().map(|at| (at, size));
            match code {
                OPTION_COOKIE if asked.cookie.is_none() => asked.cookie = place,
                OPTION_SUBNET if asked.subnet.is_none() => asked.subnet = place,
                OPTION_NSID => asked.nsid = true,
                OPTION_KEEPALIVE => asked.keepalive = true,
                OPTION_PADDING => asked.padding = true,
                code => asked.tell(told::rank(code).zip(place)),
            }
            at += usize::from(size);
        }
        Ok(Some(asked))
    }

    /// Keeps what tells most.
    fn tell(&mut self, found: Option<(u8, (u16, u16))>) {
        self.told = [self.told, found].into_iter().flatten().min_by_key(|(rank, _place)| *rank);
    }

    /// Whom the sender says that it asks for, in `message`, which these options were read from. Only of senders to believe.
    pub fn told<'m>(&self, message: &'m [u8]) -> Option<Told<'m>> {
        let by_option = self.told.and_then(|(rank, place)| told::read(rank, data(message, place)?));
        by_option.or_else(|| self.subnet(message)?.one_address().map(Told::Address))
    }

    /// Whether there is a COOKIE option.
    pub fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// The COOKIE option of `message`, which these options were read from.
    ///
    /// # Errors
    /// [`Malformed::Options`] when it is no cookie.
    pub fn cookie<'m>(&self, message: &'m [u8]) -> Result<Option<Cookie<'m>>, Malformed> {
        let Some(place) = self.cookie else { return Ok(None) };
        data(message, place).and_then(Cookie::read).map(Some).ok_or(Malformed::Options)
    }

    /// The client subnet in `message`, which these options were read from; one that is malformed is as none.
    #[inline]
    pub fn subnet(&self, message: &[u8]) -> Option<Subnet> {
        data(message, self.subnet?).and_then(Subnet::of_query)
    }
}

/// The data of an option.
fn data(message: &[u8], (at, size): (u16, u16)) -> Option<&[u8]> {
    message.get(usize::from(at)..)?.get(..usize::from(size))
}

/// What a response tells this client, beside the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// Its cookie and ours.
    pub cookie: Option<[u8; COOKIE]>,
    /// Which server answers, at most [`NSID_MAX`] octets.
    pub nsid: Option<&'a [u8]>,
    /// How long the connection may be idle, in tenths of a second.
    pub keepalive: Option<u16>,
    /// For which networks the answer is.
    pub subnet: Option<Subnet>,
    /// Whether the response is padded; only on encrypted transports, where its length says something else can't be seen.
    pub padded: bool,
}

impl Extras<'_> {
    /// Octets of the options, padding left out.
    pub(super) fn size(&self) -> usize {
        let one = |octets: Option<usize>| octets.map_or(0, |octets| FRONT + octets);
        one(self.cookie.map(|cookie| cookie.len()))
            + one(self.nsid.map(<[u8]>::len))
            + one(self.keepalive.map(|_tenths| 2))
            + self.subnet.map_or(0, |subnet| subnet.size())
    }

    /// Appends the options, padding left out.
    pub(super) fn write(&self, octets: &mut Vec<u8>) {
        if let Some(cookie) = &self.cookie {
            push(octets, OPTION_COOKIE, cookie);
        }
        if let Some(tenths) = self.keepalive {
            push(octets, OPTION_KEEPALIVE, &tenths.to_be_bytes());
        }
        if let Some(nsid) = self.nsid {
            push(octets, OPTION_NSID, nsid);
        }
        if let Some(subnet) = &self.subnet {
            subnet.write(octets);
        }
    }

    /// Appends the option that makes a whole message of a length which says little; it has to be the last one.
    pub(super) fn pad(&self, octets: &mut Vec<u8>, limit: usize) {
        let bare = octets.len() + FRONT;
        if self.padded && bare <= limit {
            let end = bare.next_multiple_of(BLOCK).min(limit);
            push(octets, OPTION_PADDING, &[]);
            let size = u16::try_from(end - bare).unwrap_or_default();
            octets[bare - 2..].copy_from_slice(&size.to_be_bytes());
            octets.resize(end, 0);
        }
    }
}

fn push(octets: &mut Vec<u8>, code: u16, value: &[u8]) {
    octets.extend_from_slice(&code.to_be_bytes());
    octets.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
    octets.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rdata: &[u8], expected: Result<Option<(bool, bool, bool, bool)>, Malformed>) {
        let asked = Asked::read(rdata, 0..rdata.len());
        let asked = asked.map(|asked| asked.map(|it| (it.has_cookie(), it.nsid, it.keepalive, it.padding)));
        assert_eq!(asked, expected, "{rdata:02x?}");
    }

    #[test]
    fn what_is_asked_for_is_read_and_the_rest_ignored() {
        check(b"", Ok(None));
        check(b"\0\x03\0\0", Ok(Some((false, true, false, false))));
        check(b"\0\x0b\0\0\0\x0c\0\x03xyz", Ok(Some((false, false, true, true))));
        check(b"\0\x08\0\x04\0\x01\0\0\xFE\xFF\0\x01z", Ok(Some((false, false, false, false))));
        check(b"\0\x0a\0\x0812345678", Ok(Some((true, false, false, false))));
    }

    #[test]
    fn a_cut_option_spoils_all() {
        let whole = b"\0\x03\0\0\0\x0a\0\x0812345678";
        for end in 1..whole.len() {
            let expected = if end == 4 { Ok(Some((false, true, false, false))) } else { Err(Malformed::Options) };
            check(&whole[..end], expected);
        }
    }

    #[test]
    fn only_the_first_cookie_counts() {
        let rdata = b"\0\x0a\0\x0812345678\0\x0a\0\x01x";
        let asked = Asked::read(rdata, 0..rdata.len()).unwrap().unwrap();
        assert_eq!(asked.cookie(rdata), Ok(Cookie::read(b"12345678")));
        let bad = b"\0\x0a\0\x01x\0\x0a\0\x0812345678";
        let asked = Asked::read(bad, 0..bad.len()).unwrap().unwrap();
        assert_eq!(asked.cookie(bad), Err(Malformed::Options));
    }

    #[test]
    fn padding_fills_a_block_up_to_the_limit() {
        let padded = |size: usize, limit: usize| {
            let mut octets = vec![1; size];
            Extras { padded: true, ..Extras::default() }.pad(&mut octets, limit);
            octets.len()
        };
        assert_eq!(padded(100, 65_535), 468);
        assert_eq!((padded(464, 65_535), padded(465, 65_535)), (468, 936));
        assert_eq!((padded(100, 200), padded(197, 200)), (200, 197));
        let mut octets = vec![1; 100];
        Extras::default().pad(&mut octets, 1232);
        assert_eq!(octets.len(), 100);
    }

    #[test]
    fn the_size_told_is_the_size_written() {
        let subnet = Subnet::of_query(b"\0\x01\x18\0\xC0\0\x02");
        let extras =
            Extras { cookie: Some([7; COOKIE]), nsid: Some(b"ns1"), keepalive: Some(100), subnet, padded: true };
        let mut octets = Vec::new();
        extras.write(&mut octets);
        assert_eq!(octets.len(), extras.size());
        assert_eq!(octets[..6], [0, 10, 0, 24, 7, 7]);
        assert_eq!(octets[28..], *b"\0\x0b\0\x02\0\x64\0\x03\0\x03ns1\0\x08\0\x07\0\x01\x18\0\xC0\0\x02");
        assert_eq!(Extras::default().size(), 0);
    }
}
