//! What a log tells of one query, and why a line of it tells nothing.

use std::net::{IpAddr, SocketAddr};

use crate::identity::Identifier;
use crate::metrics::Did;
use crate::time::Timestamp;
use crate::wire::{LowerName, NameError, Transport};

/// One query that somebody else has logged or captured: the one form that all formats are read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was asked.
    pub at: Timestamp,
    /// Who asked.
    pub client: IpAddr,
    /// Which device that was, where the log names it and the address is anybody's.
    pub device: Option<Identifier>,
    /// The name asked for.
    pub name: LowerName,
    /// The type asked for.
    pub qtype: u16,
    /// How it came; `None`: the log does not say.
    pub transport: Option<Transport>,
    /// Whether the log says that the client has shown that the address is its own.
    pub verified: bool,
    /// What was done about it, where the log says so; otherwise it was answered.
    pub did: Did,
    /// Where it went, if it is no query but a connection that somebody has seen.
    pub to: Option<SocketAddr>,
}

impl Entry {
    /// A query that was answered, of which the log says no more than this.
    pub(super) fn new(at: Timestamp, client: IpAddr, name: LowerName, qtype: u16) -> Self {
        let client = client.to_canonical();
        let (device, transport, to) = (None, None, None);
        Self { at, client, device, name, qtype, transport, verified: false, did: Did::Observe, to }
    }

    /// The same where the log says how it came.
    pub(super) fn over(self, transport: Transport) -> Self {
        Self { transport: Some(transport), verified: transport.proves_address(), ..self }
    }
}

/// What became of one line, frame or packet: a query, something else that belongs there, or a fault.
pub(super) type Told = Result<Option<Entry>, Fault>;

/// Why something in a log was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No column, field or word where one belongs.
    #[error("no {0} in it")]
    Missing(&'static str),
    /// Something stands there, but not this.
    #[error("{0} can't be read")]
    Unread(&'static str),
    /// The name.
    #[error("the name can't be read: {0}")]
    Name(#[from] NameError),
    /// The time is later than now.
    #[error("its time lies in the future: was the clock wrong, or is it another time zone?")]
    Ahead,
    /// The time is one that a clock says which was never set.
    #[error("its time lies before the year 2000: was the clock set?")]
    Unset,
    /// A day that the calendar does not have, or the year does not.
    #[error("there is no such day")]
    Day,
    /// More octets than any line has.
    #[error("a line of more than 1 MiB")]
    Long,
    /// It is not what the format has there.
    #[error("{0}")]
    Form(&'static str),
}
