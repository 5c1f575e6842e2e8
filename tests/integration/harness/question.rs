//! A query to send, built octet by octet.

use embargo::wire::Name;

use crate::upstream_fake::{CD, RD, wire};

/// A query and how it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    name: Vec<u8>,
    qtype: u16,
    qclass: u16,
    flags: u16,
    /// EDNS: payload and DO.
    edns: Option<(u16, bool)>,
    edns_version: u8,
    options: Vec<u8>,
    pub(super) over_tcp: bool,
}

impl Question {
    /// A plain query over UDP with RD, without EDNS; the name keeps its case.
    pub(crate) fn new(name: &str, qtype: u16) -> Self {
        // Escapes are read by our own reader, which forgets the case; plain names keep theirs.
        let escaped = name.contains('\\').then(|| Name::parse(name).unwrap().wire().to_vec());
        let name = escaped.unwrap_or_else(|| wire(name));
        Self { name, qtype, qclass: 1, flags: RD, edns: None, edns_version: 0, options: Vec::new(), over_tcp: false }
    }

    /// Over TCP.
    pub(crate) fn tcp(self) -> Self {
        Self { over_tcp: true, ..self }
    }

    /// With EDNS, this payload.
    pub(crate) fn edns(self, payload: u16) -> Self {
        Self { edns: Some((payload, false)), ..self }
    }

    /// With EDNS and DO.
    pub(crate) fn dnssec_ok(self) -> Self {
        Self { edns: Some((1232, true)), ..self }
    }

    /// With an EDNS version that does not exist.
    pub(crate) fn edns_version(self, version: u8) -> Self {
        Self { edns: Some((1232, false)), edns_version: version, ..self }
    }

    /// With an EDNS option.
    pub(crate) fn option(mut self, code: u16, value: &[u8]) -> Self {
        self.edns = self.edns.or(Some((1232, false)));
        self.options.extend(code.to_be_bytes());
        self.options.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        self.options.extend(value);
        self
    }

    /// With CD.
    pub(crate) fn checking_disabled(self) -> Self {
        Self { flags: self.flags | CD, ..self }
    }

    /// Without RD.
    pub(crate) fn no_recursion(self) -> Self {
        Self { flags: self.flags & !RD, ..self }
    }

    /// Of another class.
    pub(crate) fn class(self, qclass: u16) -> Self {
        Self { qclass, ..self }
    }

    /// The message.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut message = vec![0xAB, 0xCD];
        message.extend_from_slice(&self.flags.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(self.edns.is_some())]);
        message.extend_from_slice(&self.name);
        message.extend_from_slice(&self.qtype.to_be_bytes());
        message.extend_from_slice(&self.qclass.to_be_bytes());
        if let Some((payload, dnssec_ok)) = self.edns {
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&payload.to_be_bytes());
            message.extend_from_slice(&[0, self.edns_version, if dnssec_ok { 0x80 } else { 0 }, 0]);
            message.extend_from_slice(&u16::try_from(self.options.len()).unwrap().to_be_bytes());
            message.extend_from_slice(&self.options);
        }
        message
    }
}
