//! A ban: a vendor, the law behind it, its dates, and what is done to its names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use super::language::{Language, PageText};
use super::stance::{Stance, Term};
use super::who::Member;
use crate::time::Timestamp;
use crate::wire::ede;

/// What is done about a rule or a ban: the ceiling for each rule of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Never matches.
    Off,
    /// Counted and recorded, answered normally.
    Observe,
    /// Counted, recorded, and answered by the ban's action.
    Enforce,
}

impl Mode {
    /// Every mode, weakest first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Observe, Self::Enforce];

    /// The word for it in files, JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// How a banned lookup is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// NXDOMAIN with a SOA; NODATA where some name below is not answered so (RFC 8020).
    Nxdomain,
    /// NOERROR without an answer, with a SOA.
    Nodata,
    /// Addresses of ours for A and AAAA, NODATA for every other type.
    Sinkhole,
    /// REFUSED.
    Refuse,
    /// No response at all; a stream is closed.
    Drop,
    /// Over UDP a truncated response, which sends the client to TCP; over a stream it is answered normally. It keeps
    /// nobody from a name, but those who forge addresses.
    TcpOnly,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [Self::Nxdomain, Self::Nodata, Self::Sinkhole, Self::Refuse, Self::Drop, Self::TcpOnly];

    /// The word for it in files, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nxdomain => "nxdomain",
            Self::Nodata => "nodata",
            Self::Sinkhole => "sinkhole",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::TcpOnly => "tcp_only",
        }
    }
}

/// What a lookup proves about the client, strongest first. Only `Installed` counts as product present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Only the vendor's software makes this lookup.
    Installed,
    /// Nearly always software.
    Likely,
    /// A device on this network, or a person's viewer application.
    DeviceOrApp,
    /// Product or person.
    Ambiguous,
    /// A service used with nothing installed.
    Service,
    /// A browser.
    Visit,
    /// Looks like the vendor and proves nothing.
    None,
}

impl Evidence {
    /// Every grade, strongest first.
    pub const ALL: [Self; 7] =
        [Self::Installed, Self::Likely, Self::DeviceOrApp, Self::Ambiguous, Self::Service, Self::Visit, Self::None];

    /// The word for it in files, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Likely => "likely",
            Self::DeviceOrApp => "device_or_app",
            Self::Ambiguous => "ambiguous",
            Self::Service => "service",
            Self::Visit => "visit",
            Self::None => "none",
        }
    }
}

/// Whether a ban is a vendor ban or only a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanKind {
    /// A vendor ban, with law and dates.
    Ban,
    /// A signal such as encrypted-DNS names: no law, hidden unless asked for.
    Signal,
}

/// An extended DNS error to send with a blocked answer (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ede {
    /// INFO-CODE: 15 Blocked by default.
    pub code: u16,
    /// EXTRA-TEXT, at most 120 octets.
    pub text: Arc<str>,
}

/// Whether a legal basis prohibits using the product, not only supplying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndUse {
    /// Using it is prohibited.
    Yes,
    /// Only supplying it is.
    No,
    /// Using it is prohibited to some.
    Partial,
}

/// One legal basis of a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Law {
    /// Unique within the ban; what the operator's `bound_by` names.
    pub id: Arc<str>,
    /// Country or body, for example `US`.
    pub jurisdiction: Arc<str>,
    /// The instrument's name.
    pub instrument: Arc<str>,
    /// Where it is published.
    pub citation: Arc<str>,
    /// Day of issue.
    pub issued: Option<Date>,
    /// Day from which it has effect.
    pub effective: Option<Date>,
    /// Whom it binds.
    pub applies_to: Arc<str>,
    /// Whether using the product is prohibited.
    pub end_use: EndUse,
    /// What a reader should know.
    pub note: Arc<str>,
    /// Where this was read.
    pub source: Arc<str>,
}

/// A date in the life of a ban, shown in pages and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// The day.
    pub date: Date,
    /// What happened or happens.
    pub text: Arc<str>,
}

/// A ban as declared by its `ban.toml`, valid by construction.
#[derive(Clone, Debug, PartialEq)]
pub struct Ban {
    /// `[a-z0-9-]{1,32}`; the label value everywhere.
    pub id: Arc<str>,
    /// A ban, or only a signal.
    pub kind: BanKind,
    /// Short name for people.
    pub title: Arc<str>,
    /// The vendor's legal name.
    pub vendor: Arc<str>,
    /// What it does to clients of which no term speaks.
    pub stance: Stance,
    /// What it does to the clients of some groups. The first one that speaks of a client holds.
    pub terms: Vec<Term>,
    /// Sent with blocked answers.
    pub ede: Ede,
    /// TTL of blocked answers, in whole seconds.
    pub ttl: Duration,
    /// IPv4 addresses given by [`Action::Sinkhole`].
    pub sinkhole_v4: Vec<Ipv4Addr>,
    /// IPv6 addresses given by [`Action::Sinkhole`].
    pub sinkhole_v6: Vec<Ipv6Addr>,
    /// Whom to ask.
    pub contact: Arc<str>,
    /// What to use instead.
    pub alternatives: Arc<str>,
    /// What the block page says in addition, by language.
    pub pages: Vec<PageText>,
    /// Legal bases.
    pub laws: Vec<Law>,
    /// Those of `laws` that bind this network, by the operator's word.
    pub bound_by: Vec<Arc<str>>,
    /// Dates to show.
    pub milestones: Vec<Milestone>,
    /// Public resolvers that the product asks when its own names do not resolve: DNS never sees them, flow logs do.
    pub fallback: Vec<IpAddr>,
}

impl Ban {
    /// TTL of blocked answers when nobody says otherwise: short, so that a lifted ban is felt soon.
    pub const TTL_DEFAULT: Duration = Duration::from_secs(30);

    /// A ban of which nothing is said but its id: see [`Stance::default`] for what it does.
    pub fn named(id: impl Into<Arc<str>>) -> Self {
        let id = id.into();
        Self {
            kind: BanKind::Ban,
            title: Arc::clone(&id),
            vendor: "".into(),
            stance: Stance::default(),
            terms: Vec::new(),
            ede: Ede { code: ede::BLOCKED, text: "".into() },
            ttl: Self::TTL_DEFAULT,
            sinkhole_v4: Vec::new(),
            sinkhole_v6: Vec::new(),
            contact: "".into(),
            alternatives: "".into(),
            pages: Vec::new(),
            laws: Vec::new(),
            bound_by: Vec::new(),
            milestones: Vec::new(),
            fallback: Vec::new(),
            id,
        }
    }

    /// What the block page says about it in a language, if anything is written.
    pub fn page(&self, language: Language) -> Option<&PageText> {
        self.pages.iter().find(|page| page.language == language)
    }

    /// Every stance that it takes towards some client.
    pub(super) fn stances(&self) -> impl Iterator<Item = &Stance> {
        [&self.stance].into_iter().chain(self.terms.iter().map(|term| &term.stance))
    }

    /// The term that speaks of a client of these groups, if any does.
    pub(super) fn term_for(&self, member: Member<'_>) -> Option<&Term> {
        self.terms.iter().find(|term| member.is_of_any(&term.groups))
    }

    /// What it does to a client of these groups.
    pub(super) fn stance_for(&self, member: Member<'_>) -> &Stance {
        self.term_for(member).map_or(&self.stance, |term| &term.stance)
    }

    /// The most that it does to any client at `at`.
    pub fn mode_at(&self, at: Timestamp) -> Mode {
        self.stances().map(|stance| stance.mode_at(at)).max().unwrap_or(Mode::Off)
    }

    /// Whether it does less than that to some clients: those of a group, or outside its share.
    pub fn spares_some_at(&self, at: Timestamp) -> bool {
        let most = self.mode_at(at);
        self.stances().any(|stance| stance.mode_at(at) < most || most == Mode::Enforce && stance.rollout.is_some())
    }

    /// The next moment after `at` at which it does something else to some client, if any.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        self.stances().filter_map(|stance| stance.next_change(at)).min()
    }

    /// The most that it ever does to any client.
    pub fn ceiling(&self) -> Mode {
        self.stances().map(|stance| stance.mode).max().unwrap_or(Mode::Off)
    }

    /// Whether what it does depends on the time or on the client.
    pub(super) fn varies(&self) -> bool {
        !self.terms.is_empty() || !self.stance.is_constant()
    }

    /// Whether what it does depends on the client.
    pub(super) fn is_by_client(&self) -> bool {
        !self.terms.is_empty() || self.stance.rollout.is_some()
    }
}
