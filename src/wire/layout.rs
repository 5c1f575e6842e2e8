//! A bounds-checked walk over a whole message: where its records stand, without decoding what is not needed.
//!
//! Every owner name, and every name in the RDATA of the types in use that may have it compressed (RFC 1035, RFC 3597 §4), is
//! followed once, so that a message which passes can be relayed without a client choking on it.

use std::ops::Range;

use super::name::{LowerName, NameError};
use super::qtype;
use super::rdata::walk_names;
use super::response::OPTION_EDE;

/// Octets of a header (RFC 1035 §4.1.1).
pub const HEADER: usize = 12;

/// Why octets are no DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer than 12 octets.
    #[error("message is shorter than its header")]
    Short,
    /// The octets end inside the question or a record.
    #[error("message is cut off")]
    Cut,
    /// A name is no name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// RDATA of a type with a fixed form does not have it.
    #[error("record data has the wrong length for its type")]
    Rdata,
    /// Not exactly one question.
    #[error("message has not exactly one question")]
    Questions,
    /// More than one OPT record, one outside the additional section, or one whose owner is not the root (RFC 6891 §6.1.1).
    #[error("message has a misplaced OPT record")]
    Opt,
    /// An EDNS option that is longer than its record, or whose data has the wrong form.
    #[error("message has a malformed EDNS option")]
    Options,
    /// A signature of the whole message (TSIG, SIG(0)): it is for whoever shares the key, nothing may stand behind it
    /// (RFC 8945 §5.1), and it is true of no message that is given to anybody else.
    #[error("message is signed for somebody else")]
    Signed,
    /// CNAME or DNAME records that lead back to where they began, or too many of them.
    #[error("message has a chain of CNAMEs without end")]
    Chain,
    /// More names that the answer leads to than are screened.
    #[error("message leads to too many names")]
    Targets,
}

/// The section that a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Answer.
    Answer,
    /// Authority.
    Authority,
    /// Additional.
    Additional,
}

/// One record and where its parts stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// The section it stands in.
    pub section: Section,
    /// Offset of the owner name.
    pub start: usize,
    /// Offset of the TYPE field, just behind the owner name.
    pub fields: usize,
    /// TYPE.
    pub rtype: u16,
    /// CLASS.
    pub class: u16,
    /// TTL as it stands, not capped.
    pub ttl: u32,
    /// Where the RDATA stands; its end is the record's end.
    pub rdata: Range<usize>,
}

impl RecordAt {
    /// Offset of the four octets of the TTL.
    pub fn ttl_offset(&self) -> usize {
        self.fields + 4
    }
}

/// Where everything stands in one message with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The question's name.
    pub qname: LowerName,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
    /// Offset behind the question.
    pub question_end: usize,
    /// Every record, in order, the OPT included.
    pub records: Vec<RecordAt>,
    /// Index in `records` of the OPT record.
    pub opt: Option<usize>,
    /// Offset behind the last record; the message may be longer.
    pub end: usize,
}

/// Two octets at `offset`, in network order.
///
/// # Errors
/// [`Malformed::Cut`] when the octets end before.
pub fn be16(message: &[u8], offset: usize) -> Result<u16, Malformed> {
    let octets = message.get(offset..offset + 2).ok_or(Malformed::Cut)?;
    Ok(u16::from_be_bytes([octets[0], octets[1]]))
}

/// Four octets at `offset`, in network order.
///
/// # Errors
/// [`Malformed::Cut`] when the octets end before.
pub fn be32(message: &[u8], offset: usize) -> Result<u32, Malformed> {
    Ok((u32::from(be16(message, offset)?) << 16) | u32::from(be16(message, offset + 2)?))
}

impl Layout {
    /// That of no message yet, for [`Layout::read_over`].
    pub fn empty() -> Self {
        Self { qname: LowerName::ROOT, qtype: 0, qclass: 0, question_end: 0, records: Vec::new(), opt: None, end: 0 }
    }

    /// Walks a message that has exactly one question.
    ///
    /// # Errors
    /// [`Malformed`] at the first thing that is not as RFC 1035 and RFC 6891 say.
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut layout = Self::empty();
        layout.read_over(message)?;
        Ok(layout)
    }

    /// The same in the place of another message's, so that who reads many messages allocates for none of them.
    ///
    /// # Errors
    /// As [`Layout::read`]; this value is of no use then but to be read over again.
    pub fn read_over(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.records.clear();
        self.opt = None;
        if message.len() < HEADER {
            return Err(Malformed::Short);
        }
        if be16(message, 4)? != 1 {
            return Err(Malformed::Questions);
        }
        let after = self.qname.read_in_place(message, HEADER)?;
        (self.qtype, self.qclass) = (be16(message, after)?, be16(message, after + 2)?);
        self.question_end = after + 4;
        self.end = self.question_end;
        for (section, count_at) in [(Section::Answer, 6), (Section::Authority, 8), (Section::Additional, 10)] {
            for _ in 0..be16(message, count_at)? {
                let record = read_record(message, self.end, section)?;
                self.end = record.rdata.end;
                self.push(message, record)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, message: &[u8], record: RecordAt) -> Result<(), Malformed> {
        if record.rtype == qtype::OPT {
            let at_root = record.fields == record.start + 1 && message.get(record.start) == Some(&0);
            if self.opt.is_some() || record.section != Section::Additional || !at_root {
                return Err(Malformed::Opt);
            }
            self.opt = Some(self.records.len());
        }
        self.records.push(record);
        Ok(())
    }

    /// The records of one section, the OPT left out.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &RecordAt> {
        self.records.iter().filter(move |record| record.section == section && record.rtype != qtype::OPT)
    }

    /// The OPT record, if there is one.
    pub fn opt(&self) -> Option<&RecordAt> {
        self.opt.and_then(|index| self.records.get(index))
    }
}

/// Reads the record at `start`.
///
/// # Errors
/// [`Malformed`] when there is none.
pub fn read_record(message: &[u8], start: usize, section: Section) -> Result<RecordAt, Malformed> {
    let fields = LowerName::pass_compressed(message, start)?;
    let rtype = be16(message, fields)?;
    let class = be16(message, fields + 2)?;
    let ttl = be32(message, fields + 4)?;
    let size = usize::from(be16(message, fields + 8)?);
    let rdata = fields + 10..fields + 10 + size;
    if rdata.end > message.len() {
        return Err(Malformed::Cut);
    }
    check_rdata(message, rtype, &rdata)?;
    Ok(RecordAt { section, start, fields, rtype, class, ttl, rdata })
}

/// Follows the names of the types in use whose RDATA may be compressed, and holds the fixed sizes of addresses.
fn check_rdata(message: &[u8], rtype: u16, rdata: &Range<usize>) -> Result<(), Malformed> {
    let is = |size: usize| if rdata.len() == size { Ok(()) } else { Err(Malformed::Rdata) };
    match rtype {
        qtype::A => is(4),
        qtype::AAAA => is(16),
        qtype::NS | qtype::CNAME | qtype::PTR | qtype::DNAME | qtype::MX | qtype::SRV | qtype::SOA => {
            let within = message.get(..rdata.end).ok_or(Malformed::Cut)?;
            walk_names(within, rtype, rdata, |at| Ok(LowerName::pass_compressed(within, at)?))
        }
        // The rest is looked into when an answer is kept: nobody here needs to understand it in a query.
        _ => Ok(()),
    }
}

/// Every EDNS option in an OPT record's RDATA as (code, data); stops at the first that is cut (RFC 6891 §6.1.2).
pub fn edns_options(rdata: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = rdata;
    std::iter::from_fn(move || {
        let size = usize::from(be16(rest, 2).ok()?);
        let code = be16(rest, 0).ok()?;
        let value = rest.get(4..4 + size)?;
        rest = rest.get(4 + size..)?;
        Some((code, value))
    })
}

/// The codes of a message's extended DNS errors (RFC 8914).
pub fn extended_errors<'m>(message: &'m [u8], layout: &Layout) -> impl Iterator<Item = u16> + use<'m> {
    let rdata = layout.opt().and_then(|opt| message.get(opt.rdata.clone())).unwrap_or_default();
    let errors = edns_options(rdata).filter(|(code, _value)| *code == OPTION_EDE);
    errors.filter_map(|(_code, value)| be16(value, 0).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `a.example A` answered by one A record whose owner points at the question.
    fn answer() -> Vec<u8> {
        let mut message = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x01\0\x01".to_vec();
        message.extend_from_slice(b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01");
        message
    }

    #[test]
    fn records_are_found_where_they_stand() {
        let message = answer();
        let layout = Layout::read(&message).unwrap();
        assert_eq!(layout.qname.to_string(), "a.example");
        assert_eq!((layout.qtype, layout.qclass, layout.question_end), (1, 1, 27));
        let record = &layout.records[0];
        assert_eq!((record.rtype, record.ttl, record.ttl_offset()), (1, 60, 33));
        assert_eq!(&message[record.rdata.clone()], [192, 0, 2, 1]);
        assert_eq!(layout.end, message.len());
    }

    #[test]
    fn every_cut_is_an_error() {
        let message = answer();
        for end in 0..message.len() {
            assert!(Layout::read(&message[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_second_opt_and_one_outside_the_additional_section_are_refused() {
        let opt = b"\0\0\x29\x04\xD0\0\0\0\0\0\0";
        let question = b"\x01a\0\0\x01\0\x01";
        let build = |counts: [u8; 3], opts: usize| {
            let mut message = vec![0, 0, 1, 0, 0, 1, 0, counts[0], 0, counts[1], 0, counts[2]];
            message.extend_from_slice(question);
            for _ in 0..opts {
                message.extend_from_slice(opt);
            }
            Layout::read(&message).map(|layout| layout.opt)
        };
        assert_eq!(build([0, 0, 1], 1), Ok(Some(0)));
        assert_eq!(build([0, 0, 2], 2), Err(Malformed::Opt));
        assert_eq!(build([1, 0, 0], 1), Err(Malformed::Opt));
    }

    #[test]
    fn data_longer_than_its_type_is_refused() {
        let mut message = answer();
        message[38] = 5;
        message.push(0);
        assert_eq!(Layout::read(&message), Err(Malformed::Rdata));
    }

    #[test]
    fn options_stop_at_the_first_cut_one() {
        let options: Vec<_> = edns_options(b"\0\x0a\0\x02ab\0\x0f\0\x09x").collect();
        assert_eq!(options, [(10, b"ab".as_slice())]);
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((0..43_usize, any::<u8>()), 0..6)) {
            let _any = Layout::read(&octets);
            let mut message = answer();
            for (at, value) in flips {
                message[at] = value;
            }
            let _any = Layout::read(&message);
        }
    }
}
