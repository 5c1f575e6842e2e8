//! An attempt in the form in which the fold hashes and compares it: everything but names as numbers.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use hashbrown::DefaultHashBuilder;

use super::{Attempt, Did, SeriesId};
use crate::policy::PatternRef;
use crate::time::Timestamp;
use crate::wire::Transport;

/// How an attempt came and what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Form {
    pub(super) action: Did,
    /// `None` in an overflow row.
    pub(super) transport: Option<Transport>,
    pub(super) verified: bool,
}

/// How much of an attempt a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Name and type.
    Whole,
    /// The type.
    Nameless,
    /// Neither.
    Bare,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// As an IPv6 address, IPv4 mapped (RFC 4291 §2.5.5.2).
    pub(super) client: u128,
    /// Since 1970.
    pub(super) minute: u32,
    /// Of the minute.
    pub(super) second: u8,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) series: SeriesId,
    /// In lower case on the wire.
    pub(super) qname: &'a [u8],
    pub(super) qtype: u16,
    pub(super) pattern: PatternRef<'a>,
    pub(super) form: Form,
}

impl<'a> Asked<'a> {
    pub(super) fn new(attempt: &Attempt<'a>) -> Self {
        let client = match attempt.client {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let &Attempt { action, transport, verified, .. } = attempt;
        Self {
            client,
            minute: minute(attempt.at),
            second: u8::try_from(attempt.at.as_second().rem_euclid(60)).unwrap_or_default(),
            at: attempt.at.as_millisecond(),
            series: attempt.series,
            qname: attempt.qname.wire(),
            qtype: attempt.qtype,
            pattern: attempt.pattern,
            form: Form { action, transport: Some(transport), verified },
        }
    }

    /// The name, if a row of this detail tells it; no name is empty, not even the root.
    pub(super) fn name(&self, detail: Detail) -> &'a [u8] {
        if detail == Detail::Whole { self.qname } else { &[] }
    }

    /// The type, if a row of this detail tells it.
    pub(super) fn qtype(&self, detail: Detail) -> Option<u16> {
        (detail != Detail::Bare).then_some(self.qtype)
    }

    /// Everything that tells the lines of one client, rule and minute apart but the name, without loss, in 25 bits.
    pub(super) fn bits(&self, detail: Detail) -> u32 {
        let told = match detail {
            Detail::Whole => u32::from(self.qtype),
            Detail::Nameless => 1 << 16 | u32::from(self.qtype),
            Detail::Bare => 2 << 16,
        };
        let Form { action, transport, verified } = self.form;
        let transport = transport.map_or(7, |transport| transport as u32);
        told | (action as u32) << 18 | transport << 21 | u32::from(verified) << 24
    }
}

/// The minute since 1970 of a moment. Moments before 1970 are in the first.
pub(super) fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

/// The address that [`Asked::client`] stands for.
pub(super) fn address(client: u128) -> IpAddr {
    Ipv6Addr::from_bits(client).to_canonical()
}

/// Hashes with a secret of this process, so that nobody outside can choose attempts that collide.
#[derive(Debug, Default)]
pub(super) struct Hashes(DefaultHashBuilder);

impl Hashes {
    /// Who, in which minute, and by which rule.
    pub(super) fn rule(&self, asked: &Asked<'_>) -> u64 {
        let PatternRef { wire, kind, allow } = asked.pattern;
        let series = u64::from(asked.series.0) << 3 | (kind as u64) << 1 | u64::from(allow);
        let mut hasher = self.0.build_hasher();
        hasher.write_u128(asked.client);
        hasher.write_u64(u64::from(asked.minute) << 35 ^ series);
        hasher.write(wire);
        hasher.finish()
    }

    /// What was asked how, of that client, minute and rule.
    pub(super) fn line(&self, rule: u64, asked: &Asked<'_>, detail: Detail) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(rule);
        hasher.write_u64(u64::from(asked.bits(detail)));
        hasher.write(asked.name(detail));
        hasher.finish()
    }

    /// The name alone.
    pub(super) fn name(&self, asked: &Asked<'_>) -> u32 {
        let mut hasher = self.0.build_hasher();
        hasher.write(asked.qname);
        let hash = hasher.finish();
        u32::try_from(hash >> 32).unwrap_or_default()
    }
}
