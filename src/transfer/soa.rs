//! The SOA record of a zone: which version it is, and how often to look for another.

use std::fmt;
use std::time::Duration;

use super::is_newer;
use crate::wire::{LowerName, Malformed, RecordAt, be32};

/// A primary is asked no more often than so, whatever its zone says, and no less often.
const LEAST: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// An SOA record (RFC 1035 §3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The version.
    pub serial: u32,
    mname: String,
    rname: String,
    refresh: u32,
    retry: u32,
    expire: u32,
    minimum: u32,
}

impl Soa {
    /// Reads the data of a record.
    pub(super) fn read(message: &[u8], record: &RecordAt) -> Result<Self, Malformed> {
        let name = |at| LowerName::read_compressed(message, at);
        let (mname, at) = name(record.rdata.start)?;
        let (rname, at) = name(at)?;
        let field = |index: usize| be32(message, at + 4 * index);
        if at + 20 != record.rdata.end {
            return Err(Malformed::Rdata);
        }
        Ok(Self {
            serial: field(0)?,
            mname: absolute(&mname),
            rname: absolute(&rname),
            refresh: field(1)?,
            retry: field(2)?,
            expire: field(3)?,
            minimum: field(4)?,
        })
    }

    /// Reads the line that [`fmt::Display`] writes.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("@ SOA ")?.split(' ');
        let mut name = || words.next().map(str::to_owned);
        let (mname, rname) = (name()?, name()?);
        let mut number = || words.next()?.parse().ok();
        let (serial, refresh, retry, expire, minimum) = (number()?, number()?, number()?, number()?, number()?);
        Some(Self { serial, mname, rname, refresh, retry, expire, minimum })
    }

    /// Whether this version comes after that one.
    pub fn is_after(&self, serial: u32) -> bool {
        is_newer(self.serial, serial)
    }

    /// Time until the next look after one that went well.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(self.refresh.into()).clamp(LEAST, MOST)
    }

    /// The same after one that did not.
    pub fn retry(&self) -> Duration {
        Duration::from_secs(self.retry.into()).clamp(LEAST, self.refresh())
    }

    /// Time after which, without one that went well, the zone says that it should not be believed any more.
    pub fn expire(&self) -> Duration {
        Duration::from_secs(self.expire.into()).max(self.refresh())
    }
}

fn absolute(name: &LowerName) -> String {
    if name.labels() == 0 { ".".to_owned() } else { format!("{name}.") }
}

impl fmt::Display for Soa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, mname, rname, refresh, retry, expire, minimum } = self;
        write!(f, "@ SOA {mname} {rname} {serial} {refresh} {retry} {expire} {minimum}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_times_without_sense_are_bounded() {
        let text = "@ SOA ns.example. . 4294967295 0 0 0 60";
        let soa = Soa::parse(text).unwrap();
        assert_eq!(soa.to_string(), text);
        assert_eq!((soa.refresh(), soa.retry(), soa.expire()), (LEAST, LEAST, LEAST));
        let far = Soa::parse("@ SOA . . 1 4294967295 4294967295 4294967295 60").unwrap();
        assert_eq!((far.refresh(), far.retry()), (MOST, MOST));
        assert!(Soa::parse("@ SOA . . 1 2 3 4").is_none() && Soa::parse("@ NS .").is_none());
    }

    #[test]
    fn serials_go_round() {
        let soa = |serial: u32| Soa::parse(&format!("@ SOA . . {serial} 1 1 1 1")).unwrap();
        assert!(soa(1).is_after(u32::MAX) && soa(2).is_after(1));
        assert!(!soa(1).is_after(1) && !soa(u32::MAX).is_after(1));
    }
}
