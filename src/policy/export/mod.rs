//! The policy in the words of other resolvers, so that those that can't be replaced enforce the same.
//!
//! Each name that a rule names is judged by the policy itself, and so is a name below it of which no rule speaks: what is
//! written are verdicts, not rules. What a format has no words for stands there as a comment, and is counted. Leaves choosing
//! bans and printing to `cli`.

mod adblock;
mod entries;
mod hosts;
mod page;
mod rpz;
mod zones;

use std::io;

use self::entries::{Above, Entry, Judge, NetworkEntry};
use self::page::Page;
use super::ban::Ban;
use super::pattern::{PatternKind, PatternRef};
use super::policy::{BanIndex, Policy};
use crate::time::{Timestamp, rfc3339};

/// The formats that a policy can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// A response policy zone: says nearly everything.
    Rpz,
    /// `0.0.0.0 name`: each name for itself alone.
    Hosts,
    /// One plain name a line, each for itself and all below it.
    Domains,
    /// `local-zone`, for the configuration of Unbound.
    Unbound,
    /// `address=/name/`, for the configuration of dnsmasq.
    Dnsmasq,
    /// `||name^`, for ad blockers.
    Adblock,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Names that something is said of.
    pub names: usize,
    /// How much the format could not say: each stands in the text as a comment.
    pub unsaid: usize,
    /// The first of them.
    pub shown: Vec<String>,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Rpz, Self::Hosts, Self::Domains, Self::Unbound, Self::Dnsmasq, Self::Adblock];

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rpz => "rpz",
            Self::Hosts => "hosts",
            Self::Domains => "domains",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::Adblock => "adblock",
        }
    }

    /// Whether it can say how a name is blocked.
    fn has_actions(self) -> bool {
        matches!(self, Self::Rpz | Self::Unbound | Self::Dnsmasq)
    }

    /// What a comment begins with.
    fn comment(self) -> &'static str {
        match self {
            Self::Rpz => ";",
            Self::Adblock => "!",
            Self::Hosts | Self::Domains | Self::Unbound | Self::Dnsmasq => "#",
        }
    }

    /// Writes what is said of a name and those below it; returns the weight of what was said, where the format has weights.
    fn entry(self, entry: &Entry<'_>, page: &mut Page<'_>) -> io::Result<Option<u8>> {
        match self {
            Self::Rpz => rpz::entry(entry, page)?,
            Self::Hosts => hosts::entry(entry, page)?,
            Self::Domains => zones::domains(entry, page)?,
            Self::Unbound => zones::unbound(entry, page)?,
            Self::Dnsmasq => zones::dnsmasq(entry, page)?,
            Self::Adblock => return adblock::entry(entry, page),
        }
        Ok(None)
    }
}

impl ExportFormat {
    /// Writes what is said of a network.
    fn network(self, entry: &NetworkEntry<'_>, page: &mut Page<'_>) -> io::Result<()> {
        if self == Self::Rpz {
            return rpz::network(entry, page);
        }
        let pattern = PatternRef { wire: entry.name.wire(), kind: entry.kind, allow: false };
        page.unsaid(format_args!("`{pattern}`: no networks"))
    }
}

impl Policy {
    /// Writes what the `chosen` bans do at `at` in a format.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn export(
        &self,
        format: ExportFormat,
        at: Timestamp,
        chosen: &dyn Fn(BanIndex) -> bool,
        out: &mut dyn io::Write,
    ) -> io::Result<Exported> {
        let mut judge = Judge::new(self, at, chosen, format == ExportFormat::Rpz);
        let mut page = Page::new(out, format.comment());
        self.head(format, at, chosen, &mut page)?;
        let networks: Vec<_> = judge.networks().collect();
        if format == ExportFormat::Rpz {
            Self::shield(&mut judge, &networks, &mut page)?;
        }
        if judge.leaves_out_tcp_only() {
            page.unsaid(format_args!("names whose clients are sent to TCP (`tcp_only`): they are let through"))?;
        }
        if !format.has_actions() {
            for action in judge.actions() {
                let word = action.as_str();
                page.unsaid(format_args!("some names are answered by `{word}` here: there as all others are"))?;
            }
        }
        for glob in judge.globs() {
            page.unsaid(format_args!("`{glob}`: no `*` inside a label"))?;
        }
        let mut above: Vec<Above<'_>> = Vec::new();
        for name in judge.names() {
            while above.last().is_some_and(|above| !name.is_below(&above.name)) {
                above.pop();
            }
            let between = if format == ExportFormat::Rpz { Judge::between(&name, above.last()) } else { Vec::new() };
            for name in between.into_iter().chain([name]) {
                let Some(entry) = judge.entry(name, above.last()) else { continue };
                let weight = format.entry(&entry, &mut page)?;
                above.push(Above { name: entry.name, below: entry.below, weight });
            }
        }
        for network in &networks {
            format.network(network, &mut page)?;
        }
        page.finish()
    }

    /// Keeps networks from taking protected names, and says where a zone can't.
    fn shield(judge: &mut Judge<'_, '_>, networks: &[NetworkEntry<'_>], page: &mut Page<'_>) -> io::Result<()> {
        let blocks = |kind| networks.iter().any(|network| network.kind == kind && network.said.is_block());
        if blocks(PatternKind::Answer) {
            judge.shield();
            page.comment(format_args!("Protected names are let through, by zones behind this one too."))?;
            page.unsaid(format_args!("public suffixes that lead to a network of these: they are let through here"))?;
        }
        if blocks(PatternKind::Client) {
            // A client comes before a name there, whatever stands in the same zone.
            page.unsaid(format_args!("protected names for clients that are blocked: they are let through here"))?;
        }
        Ok(())
    }

    fn head(
        &self,
        format: ExportFormat,
        at: Timestamp,
        chosen: &dyn Fn(BanIndex) -> bool,
        page: &mut Page<'_>,
    ) -> io::Result<()> {
        let bans = || self.bans().iter().enumerate().filter(|(index, _ban)| chosen(BanIndex(*index)));
        let ids: Vec<&str> = bans().map(|(_index, ban)| &*ban.id).collect();
        page.comment(format_args!("Bans of Embargo as of {}: {}", rfc3339(at), ids.join(", ")))?;
        page.comment(format_args!(
            "Names that are observed or excepted are let through, but for those that a line here tells of. Clients that are exempt here are blocked there."
        ))?;
        if format == ExportFormat::Rpz {
            let ttl = bans().map(|(_index, ban)| ban.ttl.as_secs()).min().unwrap_or(30);
            rpz::head(ttl, at, page)?;
        }
        for (_index, ban) in bans() {
            Self::unsaid_of(ban, at, page)?;
        }
        Ok(())
    }

    /// What no format can say of a ban as a whole.
    fn unsaid_of(ban: &Ban, at: Timestamp, page: &mut Page<'_>) -> io::Result<()> {
        let id = &ban.id;
        if let Some(change) = ban.stance.next_change(at) {
            let (mode, change) = (ban.stance.mode_at(change).as_str(), rfc3339(change));
            page.unsaid(format_args!("`{id}` is to {mode} from {change}: export again then"))?;
        }
        if ban.stance.rollout.is_some() {
            page.unsaid(format_args!("`{id}` is enforced on a share of clients only: it is left out here"))?;
        }
        if !ban.terms.is_empty() {
            page.unsaid(format_args!(
                "`{id}` does otherwise to some groups of clients: here it does as to all others"
            ))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
