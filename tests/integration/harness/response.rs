//! A response as a client reads it.

use embargo::wire::{Layout, LowerName, OPTION_EDE, Section, edns_options};

/// A response that is well-formed.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) octets: Vec<u8>,
    layout: Layout,
}

/// One record: owner, type, TTL, data.
pub(crate) type Row = (String, u16, u32, Vec<u8>);

impl Response {
    /// Reads it, every octet.
    pub(crate) fn read(octets: Vec<u8>) -> Self {
        let layout = Layout::read(&octets).expect("a well-formed response");
        assert_eq!(layout.end, octets.len(), "nothing behind the last record");
        Self { octets, layout }
    }

    /// The response code, upper bits included.
    pub(crate) fn rcode(&self) -> u16 {
        let upper = self.layout.opt().map_or(0, |opt| opt.ttl >> 24);
        u16::try_from(upper).unwrap_or_default() << 4 | u16::from(self.octets[3] & 0x0F)
    }

    /// The second 16 bits of the header.
    pub(crate) fn flags(&self) -> u16 {
        u16::from_be_bytes([self.octets[2], self.octets[3]])
    }

    /// The question as echoed.
    pub(crate) fn question(&self) -> &[u8] {
        &self.octets[12..self.layout.question_end]
    }

    fn rows(&self, section: Section) -> Vec<Row> {
        let row = |record: &embargo::wire::RecordAt| {
            let (owner, _end) = LowerName::read_compressed(&self.octets, record.start).expect("an owner");
            (owner.to_string(), record.rtype, record.ttl, self.octets[record.rdata.clone()].to_vec())
        };
        self.layout.section(section).map(row).collect()
    }

    /// The answer section.
    pub(crate) fn answers(&self) -> Vec<Row> {
        self.rows(Section::Answer)
    }

    /// The authority section.
    pub(crate) fn authorities(&self) -> Vec<Row> {
        self.rows(Section::Authority)
    }

    /// Owner and TTL of the SOA in the authority section.
    pub(crate) fn soa(&self) -> Option<(String, u32)> {
        self.authorities().into_iter().find(|row| row.1 == 6).map(|row| (row.0, row.2))
    }

    /// The payload that the server announces, if it sent an OPT record.
    pub(crate) fn edns_payload(&self) -> Option<u16> {
        self.layout.opt().map(|opt| opt.class)
    }

    /// Every EDNS option as code and data.
    pub(crate) fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let rdata = self.layout.opt().map(|opt| &self.octets[opt.rdata.clone()]).unwrap_or_default();
        edns_options(rdata).map(|(code, value)| (code, value.to_vec())).collect()
    }

    /// The data of the first EDNS option of this code.
    pub(crate) fn option(&self, wanted: u16) -> Option<Vec<u8>> {
        self.options().into_iter().find(|(code, _value)| *code == wanted).map(|(_code, value)| value)
    }

    /// The first extended error.
    pub(crate) fn ede(&self) -> Option<(u16, String)> {
        self.edes().into_iter().next()
    }

    /// The codes of all extended errors.
    pub(crate) fn ede_codes(&self) -> Vec<u16> {
        self.edes().into_iter().map(|(code, _text)| code).collect()
    }

    /// Every extended error.
    fn edes(&self) -> Vec<(u16, String)> {
        let errors = self.options().into_iter().filter(|(code, _value)| *code == OPTION_EDE);
        let read = |(_code, value): (u16, Vec<u8>)| {
            (u16::from_be_bytes([value[0], value[1]]), String::from_utf8_lossy(&value[2..]).into_owned())
        };
        errors.map(read).collect()
    }
}
