//! An attempt in the form in which the fold hashes and compares it: everything but names as numbers.

use std::net::{IpAddr, Ipv6Addr};

use super::{Attempt, Did, SeriesId};
use crate::identity::ToldId;
use crate::policy::{PatternKind, PatternRef};
use crate::time::Timestamp;
use crate::wire::Transport;

/// The bits of [`Asked::bits`] that stand for several names, and for several names and types.
const SEVERAL_NAMES: u32 = 1 << 16;
const SEVERAL_TYPES: u32 = 2 << 16;
/// Either of them.
pub(super) const SEVERAL: u32 = SEVERAL_NAMES | SEVERAL_TYPES;

/// How an attempt came and what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Form {
    pub(super) action: Did,
    /// `None` in an overflow row.
    pub(super) transport: Option<Transport>,
    pub(super) verified: bool,
}

impl Form {
    /// That of [`Asked::bits`].
    pub(super) fn of(bits: u32) -> Self {
        let place = |shift: u32| (bits >> shift & 7) as usize;
        // Made of an action; the first is as good an other end as any.
        let action = Did::ALL.get(place(18)).copied().unwrap_or(Did::Nxdomain);
        Self { action, transport: Transport::ALL.get(place(21)).copied(), verified: bits >> 24 & 1 == 1 }
    }
}

/// The type in [`Asked::bits`], if they tell it.
pub(super) fn qtype(bits: u32) -> Option<u16> {
    (bits & SEVERAL_TYPES == 0).then(|| u16::try_from(bits & 0xFFFF).unwrap_or_default())
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
    pub(super) told: Option<ToldId>,
    /// Since 1970.
    pub(super) minute: u32,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) series: SeriesId,
    /// Minute and series in one word.
    pub(super) when: u64,
    /// In lower case on the wire.
    pub(super) qname: &'a [u8],
    pub(super) pattern: PatternRef<'a>,
    pub(super) form: Form,
    whole: u32,
}

impl<'a> Asked<'a> {
    #[inline]
    pub(super) fn new(attempt: &Attempt<'a>) -> Self {
        let client = match attempt.client {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let &Attempt { told, series, action, transport, verified, .. } = attempt;
        let minute = minute(attempt.at);
        let form = Form { action, transport: Some(transport), verified };
        Self {
            client,
            told,
            minute,
            at: attempt.at.as_millisecond(),
            series,
            when: u64::from(minute) << 32 | u64::from(series.0),
            qname: attempt.qname.wire(),
            pattern: attempt.pattern,
            form,
            whole: whole(attempt.qtype, form),
        }
    }

    /// The same where nobody knows how the query came.
    pub(super) fn without_transport(mut self) -> Self {
        self.form.transport = None;
        self.whole = self.whole & 0xFFFF | whole(0, self.form);
        self
    }

    /// The same where neither name, type nor rule are told.
    pub(super) fn without_rule(&self) -> Self {
        Self { qname: &[], pattern: PatternRef { wire: &[], kind: PatternKind::Suffix, allow: false }, ..*self }
    }

    /// Whether the rule is told; no pattern is empty, not even the root's.
    #[inline]
    pub(super) fn tells_rule(&self) -> bool {
        !self.pattern.wire.is_empty()
    }

    /// The second of the minute.
    pub(super) fn second(&self) -> u8 {
        u8::try_from((self.at / 1000).rem_euclid(60)).unwrap_or_default()
    }

    /// The name, if a row of this detail tells it; no name is empty, not even the root.
    #[inline]
    pub(super) fn name(&self, detail: Detail) -> &'a [u8] {
        if detail == Detail::Whole { self.qname } else { &[] }
    }

    /// Everything that tells the lines of one client, rule and minute apart but the name, without loss, in 25 bits.
    #[inline]
    pub(super) fn bits(&self, detail: Detail) -> u32 {
        match detail {
            Detail::Whole => self.whole,
            Detail::Nameless => self.whole | SEVERAL_NAMES,
            Detail::Bare => self.whole & !0xFFFF | SEVERAL_TYPES,
        }
    }
}

// Three bits each, the last value of the second for no transport.
const _: () = assert!(Did::ALL.len() <= 8 && Transport::ALL.len() <= 7, "they no longer fit their bits");

/// The bits of [`Asked::bits`] with name and type.
#[inline]
fn whole(qtype: u16, form: Form) -> u32 {
    let Form { action, transport, verified } = form;
    let transport = transport.map_or(7, |transport| transport as u32);
    u32::from(qtype) | (action as u32) << 18 | transport << 21 | u32::from(verified) << 24
}

/// The minute since 1970 of a moment. Moments before 1970 are in the first.
pub(super) fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_second() / 60).unwrap_or(0)
}

/// The address that [`Asked::client`] stands for.
pub(super) fn address(client: u128) -> IpAddr {
    Ipv6Addr::from_bits(client).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bits_are_made_of_is_read_from_them() {
        for (action, transport) in Did::ALL.into_iter().zip(Transport::ALL.map(Some).into_iter().chain([None]).cycle())
        {
            for (verified, asked) in [(false, 1), (true, u16::MAX)] {
                let form = Form { action, transport, verified };
                let bits = whole(asked, form);
                assert_eq!(
                    (Form::of(bits), qtype(bits), qtype(bits | SEVERAL_NAMES)),
                    (form, Some(asked), Some(asked))
                );
                let bare = bits & !0xFFFF | SEVERAL_TYPES;
                assert_eq!((Form::of(bare), qtype(bare)), (form, None));
            }
        }
    }
}
