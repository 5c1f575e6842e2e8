//! What a primary answers to AXFR or IXFR, message by message: the whole zone, or what has changed (RFC 5936 §2.2, RFC 1995 §4).

use std::io::Write;

use super::changes::Changes;
use super::fault::Fault;
use super::row::line;
use super::soa::Soa;
use crate::wire::{HEADER, LowerName, Section, be16, qtype, rcode, read_record};

/// Where in the answer we are.
#[derive(Debug)]
enum State {
    /// Nothing came yet.
    Begin,
    /// The newest SOA record came, and what follows tells which answer it is.
    Newest,
    /// The records of the whole zone follow.
    Whole,
    /// Records that were deleted follow.
    Deleting,
    /// Records that were added follow, up to the version with this serial.
    Adding(u32),
    /// All has come.
    Done,
}

/// An answer on its way.
pub(super) struct Incoming<'z> {
    zone: &'z LowerName,
    id: u16,
    /// The version that is there; `None`: the whole zone was asked for.
    held: Option<u32>,
    state: State,
    newest: Option<Soa>,
    /// Whether the whole zone comes.
    whole: bool,
    changes: Changes,
    /// Records that came.
    records: u64,
}

/// What an answer was.
#[derive(Debug)]
pub(super) enum Answer {
    /// There is nothing newer.
    Current(Soa),
    /// The whole zone, whose records were written.
    Whole(Soa),
    /// What has changed.
    Changes(Soa, Changes),
}

impl<'z> Incoming<'z> {
    pub(super) fn new(zone: &'z LowerName, id: u16, held: Option<u32>) -> Self {
        let (state, changes) = (State::Begin, Changes::default());
        Self { zone, id, held, state, newest: None, whole: false, changes, records: 0 }
    }

    /// Records that came so far.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Takes the next message; the lines of a whole zone go to `whole`. Says whether all has come.
    pub(super) fn take(&mut self, message: &[u8], whole: &mut dyn Write) -> Result<bool, Fault> {
        let mut at = self.begin(message)?;
        for _ in 0..be16(message, 6)? {
            let record = read_record(message, at, Section::Answer)?;
            at = record.rdata.end;
            self.records += 1;
            if record.rtype == qtype::SOA {
                let (owner, _end) = LowerName::read_compressed(message, record.start)?;
                if owner != *self.zone {
                    return Err(Fault::Foreign("an SOA record of another zone"));
                }
                self.soa(Soa::read(message, &record)?, whole)?;
            } else {
                let line = line(message, &record, self.zone)?;
                self.row(line.as_deref(), whole)?;
            }
        }
        // One SOA record alone: there is nothing newer, or more has changed than the primary remembers.
        if matches!(self.state, State::Newest) && self.held.is_some() && self.records == 1 {
            self.state = State::Done;
        }
        Ok(matches!(self.state, State::Done))
    }

    /// Checks the header; returns where the answers start.
    fn begin(&self, message: &[u8]) -> Result<usize, Fault> {
        if message.len() < HEADER || message[..2] != self.id.to_be_bytes() || message[2] & 0xFA != 0x80 {
            return Err(Fault::Foreign("not the response to what was asked"));
        }
        match u16::from(message[3] & 0x0F) {
            rcode::NOERROR => (),
            other => return Err(Fault::Rcode(other)),
        }
        let mut at = HEADER;
        for _ in 0..be16(message, 4)? {
            let (name, end) = LowerName::read_compressed(message, at)?;
            if name != *self.zone {
                return Err(Fault::Foreign("the response to another question"));
            }
            at = end + 4;
        }
        Ok(at)
    }

    fn soa(&mut self, soa: Soa, whole: &mut dyn Write) -> Result<(), Fault> {
        let newest = self.newest.as_ref().map(|newest| newest.serial);
        let is_newest = newest == Some(soa.serial);
        self.state = match (&self.state, self.held) {
            (State::Begin, _) => {
                self.newest = Some(soa);
                State::Newest
            }
            // A zone without a record but this one.
            (State::Newest, None) if is_newest => self.begin_whole(whole).map(|()| State::Done)?,
            (State::Newest, Some(held)) if soa.serial == held => State::Deleting,
            (State::Newest, Some(_other)) if is_newest => self.begin_whole(whole).map(|()| State::Done)?,
            (State::Newest, Some(_other)) => return Err(Fault::Unfit),
            (State::Deleting, _) => State::Adding(soa.serial),
            (State::Adding(to), _) if newest == Some(*to) && is_newest => State::Done,
            (State::Adding(to), _) if newest != Some(*to) && soa.serial == *to => State::Deleting,
            (State::Whole, _) if is_newest => State::Done,
            (State::Done, _) => return Err(Fault::Foreign("records behind its end")),
            _ => return Err(Fault::Foreign("SOA records of versions that do not follow each other")),
        };
        Ok(())
    }

    fn begin_whole(&mut self, whole: &mut dyn Write) -> Result<(), Fault> {
        self.whole = true;
        if let Some(newest) = &self.newest {
            writeln!(whole, "{newest}")?;
        }
        Ok(())
    }

    /// A record that may be a rule; `None`: one about the zone itself.
    fn row(&mut self, line: Option<&str>, whole: &mut dyn Write) -> Result<(), Fault> {
        match self.state {
            State::Begin => return Err(Fault::Foreign("it does not begin with an SOA record")),
            State::Newest => {
                self.begin_whole(whole)?;
                self.state = State::Whole;
            }
            State::Done => return Err(Fault::Foreign("records behind its end")),
            State::Whole | State::Deleting | State::Adding(_) => (),
        }
        let Some(line) = line else { return Ok(()) };
        match self.state {
            State::Deleting => self.changes.delete(line),
            State::Adding(_) => self.changes.add(line),
            _ => Ok(writeln!(whole, "{line}")?),
        }
    }

    /// What it was, once all has come.
    pub(super) fn finish(self) -> Result<Answer, Fault> {
        let (State::Done, Some(soa)) = (&self.state, self.newest) else {
            return Err(Fault::Cut { records: self.records });
        };
        match self.held {
            Some(held) if self.records == 1 => {
                // Newer, and nothing else: the changes are not known there any more.
                if soa.is_after(held) { Err(Fault::Unfit) } else { Ok(Answer::Current(soa)) }
            }
            Some(_held) if !self.whole => Ok(Answer::Changes(soa, self.changes)),
            _ => Ok(Answer::Whole(soa)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::message::{push_answer, question, soa as soa_data};

    fn message(records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut message = question(7, 0x84, b"\x03rpz\x07example\0", qtype::AXFR);
        for (owner, rtype, rdata) in records {
            push_answer(&mut message, owner, *rtype, 60, rdata);
        }
        message
    }

    fn zone() -> LowerName {
        LowerName::parse("rpz.example").unwrap()
    }

    #[test]
    fn one_record_a_message_is_a_zone_too() {
        let (zone, soa) = (zone(), soa_data(7, 60));
        let (mut incoming, mut lines) = (Incoming::new(&zone, 7, None), Vec::new());
        let first: (&[u8], u16, &[u8]) = (b"", qtype::SOA, &soa);
        assert!(!incoming.take(&message(&[first]), &mut lines).unwrap());
        assert!(!incoming.take(&message(&[(b"\x01a", qtype::CNAME, b"\0")]), &mut lines).unwrap());
        assert!(incoming.take(&message(&[first]), &mut lines).unwrap());
        assert!(matches!(incoming.finish(), Ok(Answer::Whole(soa)) if soa.serial == 7));
        assert!(String::from_utf8(lines).unwrap().ends_with("\na CNAME .\n"));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(
            octets in proptest::collection::vec(any::<u8>(), 0..200),
            flips in proptest::collection::vec((0..120_usize, any::<u8>()), 0..6),
            held in proptest::option::of(any::<u32>()),
        ) {
            let (zone, soa) = (zone(), soa_data(7, 60));
            let records: [(&[u8], u16, &[u8]); 3] = [(b"", qtype::SOA, &soa), (b"\x01a", qtype::A, &[1, 2, 3, 4]), (b"", qtype::SOA, &soa)];
            let mut message = message(&records);
            for (at, value) in flips {
                let at = at % message.len();
                message[at] = value;
            }
            for message in [&message, &octets] {
                let mut incoming = Incoming::new(&zone, 7, held);
                let _any = incoming.take(message, &mut Vec::new());
                let _any = incoming.finish();
            }
        }
    }
}
