//! An explanation for people: the verdict first, then the rule, the ban and its basis, then the rules that lost.

use std::fmt::Write as _;

use super::{EXEMPT, Explained, number};
use crate::cli::console::{Look, Tone};
use crate::cli::table::Table;
use crate::diag::shown;
use crate::policy::{
    Action, Ban, BanKind, Blocked, Client, Decision, EndUse, Evidence, Hit, Law, Mode, PatternKind, Policy, Stance,
    Standing,
};
use crate::time::{Timestamp, rfc3339};

/// The question, and how the ban that decided stands towards who asks it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    pub(super) policy: &'p Policy,
    pub(super) client: Client,
    /// What the client is known as.
    pub(super) device: Option<&'p str>,
    pub(super) qtype: u16,
    pub(super) at: Timestamp,
    pub(super) standing: Option<Standing<'p>>,
}

/// The whole text.
pub(super) fn render(look: Look, explained: &Explained, decision: &Decision<'_>, asked: &Asked<'_>) -> String {
    let mut page = Page(String::new());
    let (tone, outcome) = match &explained.exemption {
        Some(freed) if freed.wholly => (Tone::Good, freed.outcome()),
        _ => outcome(decision, asked),
    };
    let verdict = look.paint(tone, &explained.verdict.to_uppercase());
    page.line(&format!("{verdict}  {} {}  at {}", explained.name, explained.r#type, explained.at));
    page.line(&outcome);
    if let Some(device) = asked.device {
        page.field("client", device);
    }
    if let Some(hit) = decision.hit() {
        page.line("");
        rule(explained, hit, &mut page);
        ban(hit.ban, asked, &mut page);
        if let Some(freed) = &explained.exemption {
            page.field(EXEMPT, &freed.to_string());
        }
    }
    if !explained.others.is_empty() {
        page.line("");
        page.line("Rules that did not decide:");
        page.0.push_str(&others(look, explained));
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A named value; an empty one is left out. What it holds can't steer the terminal.
    fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            // Writing to a String can't fail.
            let _infallible = writeln!(self.0, "  {name:<10}{}", shown(value));
        }
    }
}

/// What happens to the lookup, in a sentence.
fn outcome(decision: &Decision<'_>, asked: &Asked<'_>) -> (Tone, String) {
    match decision {
        Decision::Pass => {
            (Tone::Good, "No ban has a say: it is answered as if there were none, and nothing is recorded.".to_owned())
        }
        Decision::Allow(_) => (
            Tone::Good,
            "An allow rule lifts the ban: it is answered as if there were none, and nothing is recorded.".to_owned(),
        ),
        Decision::Observe(_) => {
            let why = match &asked.standing {
                Some(Standing { mode: Mode::Enforce, .. }) => "the rule",
                Some(Standing { term: None, stance: Stance { rollout: None, .. }, .. }) => "the ban, at that time,",
                _ => "the ban, for this client at that time,",
            };
            (Tone::Warn, format!("It is answered normally, and recorded as an attempt: {why} only observes."))
        }
        Decision::Enforce(hit, blocked) => {
            let answer = answer(hit, blocked, asked.qtype);
            let how = match hit.pattern.kind {
                _ if blocked.action == Action::TcpOnly => "over TCP, TLS, HTTPS and QUIC normally",
                PatternKind::Answer => "the upstream's answer is withheld",
                _ => "it is never sent upstream",
            };
            (Tone::Bad, format!("{answer}; {how}, and recorded as an attempt."))
        }
    }
}

fn answer(hit: &Hit<'_>, blocked: &Blocked, qtype: u16) -> String {
    let (ban, kind) = (hit.ban, hit.pattern.kind);
    let ttl = blocked.ttl;
    match blocked.action {
        Action::Nxdomain if blocked.nxdomain => format!("It is answered NXDOMAIN, for {ttl} s"),
        Action::Nxdomain if kind == PatternKind::Answer => {
            format!("It is answered NODATA, for {ttl} s (not NXDOMAIN: the name exists)")
        }
        Action::Nxdomain => {
            format!("It is answered NODATA, for {ttl} s (not NXDOMAIN: some name below is not blocked)")
        }
        Action::Nodata => format!("It is answered NODATA, for {ttl} s"),
        Action::Sinkhole => sinkhole(ban, qtype, ttl),
        Action::Refuse => "It is REFUSED".to_owned(),
        Action::Drop => "It gets no response at all".to_owned(),
        Action::TcpOnly => "Over UDP it is answered with a truncated response".to_owned(),
    }
}

fn sinkhole(ban: &Ban, qtype: u16, ttl: u32) -> String {
    let wants = |rtype| qtype == rtype || qtype == number::ANY;
    let v4 = ban.sinkhole_v4.iter().filter(|_address| wants(number::A)).map(ToString::to_string);
    let v6 = ban.sinkhole_v6.iter().filter(|_address| wants(number::AAAA)).map(ToString::to_string);
    let addresses: Vec<String> = v4.chain(v6).collect();
    match addresses.as_slice() {
        [] => format!("It is answered NODATA, for {ttl} s (a sinkhole has no records of this type)"),
        addresses => format!("It is answered with the sinkhole {}, for {ttl} s", addresses.join(", ")),
    }
}

fn rule(explained: &Explained, hit: &Hit<'_>, page: &mut Page) {
    let line = explained.line.map_or_else(String::new, |line| format!(":{line}"));
    page.field("rule", &hit.pattern.to_string());
    page.field("file", &format!("{}{line}", hit.list.name));
    if !hit.allow {
        page.field("category", hit.category);
        page.field("evidence", &format!("{}: {}", hit.evidence.as_str(), proves(hit.evidence)));
    }
}

/// What a grade says about the client.
fn proves(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Installed => "only the vendor's software makes this lookup",
        Evidence::Likely => "nearly always the vendor's software",
        Evidence::DeviceOrApp => "one of the vendor's devices on this network, or a person's app for one",
        Evidence::Ambiguous => "the product or a person",
        Evidence::Service => "a service is used, with nothing installed",
        Evidence::Visit => "a browser",
        Evidence::None => "proves nothing about the product",
    }
}

fn ban(ban: &Ban, asked: &Asked<'_>, page: &mut Page) {
    let vendor = if ban.vendor.is_empty() { String::new() } else { format!(" ({})", ban.vendor) };
    page.field("ban", &format!("{}: {}{vendor}", ban.id, ban.title));
    if let Some(standing) = &asked.standing {
        page.field("mode", &mode(standing, asked));
        page.field("for", &whom(standing, asked.policy));
    }
    for (index, basis) in bases(ban).iter().enumerate() {
        page.field(if index == 0 { "basis" } else { "" }, basis);
    }
    page.field("contact", &ban.contact);
    page.field("instead", &ban.alternatives);
}

fn mode(standing: &Standing<'_>, asked: &Asked<'_>) -> String {
    let (stance, mode, at) = (standing.stance, standing.mode, asked.at);
    if let Some(share) = stance.rollout.filter(|_share| mode < stance.mode_at(at)) {
        return format!("{}: the client is not among the {share} that the ban is enforced on", mode.as_str());
    }
    let from = match mode {
        _ if stance.schedule.is_some() => None,
        Mode::Off => None,
        Mode::Observe => stance.observe_from,
        Mode::Enforce => stance.enforce_from,
    };
    let since = from.filter(|&from| from <= at).map(|from| format!(" since {}", rfc3339(from)));
    let next = stance.next_change(at).map(|next| format!(", {} from {}", stance.mode_at(next).as_str(), rfc3339(next)));
    let nobody = mode == Mode::Enforce && asked.client.address.is_unspecified();
    let share =
        stance.rollout.filter(|_share| nobody).map(|share| format!(" on {share} of clients; --client tells which"));
    format!("{}{}{}{}", mode.as_str(), share.unwrap_or_default(), since.unwrap_or_default(), next.unwrap_or_default())
}

/// The groups for which the ban has a term of its own, where it holds for the client.
fn whom(standing: &Standing<'_>, policy: &Policy) -> String {
    let groups = standing.term.iter().flat_map(|term| &term.groups).map(|index| policy.who().group(*index));
    let groups: Vec<String> = groups.map(|group| format!("{} {}", group.kind.as_str(), group.id)).collect();
    groups.join(", ")
}

/// Why the ban stands. Only laws that the operator has declared to bind this network are a basis: most bind suppliers.
fn bases(ban: &Ban) -> Vec<String> {
    if ban.kind == BanKind::Signal {
        return vec!["a signal, not a ban: it prohibits nothing".to_owned()];
    }
    let (bound, others): (Vec<&Law>, Vec<&Law>) = ban.laws.iter().partition(|law| ban.bound_by.contains(&law.id));
    let mut bases: Vec<String> = bound.into_iter().map(law).collect();
    if bases.is_empty() {
        bases.push("policy of this network".to_owned());
    }
    if !others.is_empty() {
        let ids: Vec<&str> = others.iter().map(|law| &*law.id).collect();
        bases.push(format!("on file, not declared to bind this network: {}", ids.join(", ")));
    }
    bases
}

fn law(law: &Law) -> String {
    let end_use = match law.end_use {
        EndUse::Yes => "prohibits use",
        EndUse::Partial => "prohibits some use",
        EndUse::No => "prohibits supply, not use",
    };
    let binds = if law.applies_to.is_empty() { String::new() } else { format!("; binds {}", law.applies_to) };
    let effective = law.effective.map_or_else(String::new, |date| format!(", in effect from {date}"));
    format!("{} ({}, {}): {end_use}{binds}{effective}", law.instrument, law.jurisdiction, law.citation)
}

fn others(look: Look, explained: &Explained) -> String {
    let mut table = Table::new(look, &["RULE", "FILE", "BAN", "EVIDENCE", "EFFECT", "WHY"]);
    for other in &explained.others {
        let line = other.line.map_or_else(String::new, |line| format!(":{line}"));
        let recorded = if other.recorded { "; an attempt of its ban all the same" } else { "" };
        table.row([
            Some(other.pattern.clone()),
            Some(format!("{}{line}", other.file)),
            Some(other.ban.clone()),
            Some(other.evidence.to_owned()),
            Some(other.effect.to_owned()),
            Some(format!("{}{recorded}", other.why)),
        ]);
    }
    table.render()
}
