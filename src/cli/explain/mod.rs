//! `embargo explain`: what is done with a name, by which rule, and why other rules have no say.
//!
//! Reads configuration, lists and exemptions as they are on disk; needs neither a running server nor its record.

mod freed;
mod text;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::EXIT_CODES;
use super::console::Console;
use super::failure::Failure;
use super::flags::OnDisk;
use super::known;
use super::query::{qname, qtype};
use super::when::When;
use crate::audit::Terms;
use crate::config::{self, PolicyLoad};
use crate::policy::{
    Candidate, Client, Decision, EndUse, Exemption, Exemptions, Explanation, Hit, Holder, Named, Policy, Roster, Spared,
};
use crate::time::{Timestamp, rfc3339};
use crate::wire::{LowerName, qtype as number, reached, rtype};
use freed::Freed;

/// The word for what a spared client gets.
const EXEMPT: &str = "exempt";

/// Explain what is done with a name, and why
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Explain {
    /// The name asked for; octets other than ASCII as `\DDD`, other alphabets as `xn--…`
    #[arg(value_name = "NAME", value_parser = qname)]
    name: LowerName,
    /// The type asked for
    #[arg(long = "type", value_name = "TYPE", default_value = "A", value_parser = qtype)]
    qtype: u16,
    /// Who asks
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// An address that the answer holds: where the name itself is not blocked, is the answer?
    #[arg(long, value_name = "IP")]
    answer: Option<IpAddr>,
    /// When: 2024-09-29 (midnight of the configured time zone), 2024-09-29T06:00:00Z, or 24h, 7d for so long ago; now by
    /// default
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// State directory, for the exemptions that were granted; by default that of the configuration
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
    #[command(flatten)]
    on_disk: OnDisk,
}

const JSON_HELP: &str = "One JSON object of {name, type, client, answer, device, groups, at, verdict, ban, pattern, file, line, category, \
                         evidence, action, mode, exemption, others, law}";

const EXAMPLES: &str = "\
Examples:
  embargo explain downloads.example.org
  embargo explain www.example.org --type HTTPS --client 192.0.2.7
  embargo explain www.example.org --answer 192.0.2.1    would an answer with this address be given?
  embargo explain www.example.org --at 2024-06-20 --json | jq -r .verdict
  embargo explain www.example.org --list names.txt      what would this list do?";

const NOTES: &str = "\
The verdict is enforce, observe, exempt, allow or none; each of them is exit code 0. Configuration and lists \
are read as they are on disk: after a change with a mistake, a running server still does as before. With --client, exemptions \
of the configuration and of the state directory count, at a time that has passed those that the audit log has then; without, it is \
what clients of no group get, and of a ban that is rolled out those that it has reached.";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    name: String,
    r#type: String,
    client: Option<IpAddr>,
    answer: Option<IpAddr>,
    /// The device that the client is, as the record knows it now.
    device: Option<String>,
    /// Sites, departments and groups that the client is of.
    groups: Vec<String>,
    at: String,
    verdict: &'static str,
    ban: Option<String>,
    pattern: Option<String>,
    file: Option<String>,
    line: Option<usize>,
    category: Option<String>,
    evidence: Option<&'static str>,
    action: Option<&'static str>,
    mode: Option<&'static str>,
    /// The one that frees the client.
    exemption: Option<Freed>,
    others: Vec<Other>,
    law: Vec<LawRow>,
}

/// What is known of a client as a device.
#[derive(Debug, Default)]
struct Known {
    device: Option<String>,
    named: Named,
    roster: Roster,
}

/// A rule that did not decide.
#[derive(Debug, Serialize)]
struct Other {
    ban: String,
    pattern: String,
    file: String,
    line: Option<usize>,
    category: String,
    evidence: &'static str,
    effect: &'static str,
    why: &'static str,
    /// Whether the lookup is an attempt of this rule's ban all the same.
    recorded: bool,
}

/// A legal basis of the ban that decided.
#[derive(Debug, Serialize)]
struct LawRow {
    id: String,
    citation: String,
    instrument: String,
    end_use: &'static str,
    /// Whether the operator has declared that it binds this network.
    bound: bool,
}

impl Explain {
    /// Loads what is on disk, asks policy, and shows what it says.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let about = |settings: &config::Settings| config::policy_about(settings, &self.name);
        let (settings, load, policy) = self.on_disk.load_by(console, about)?;
        let at = self.at.map_or(console.now, |at| at.resolve(console.now, &settings.time_zone));
        let all = self
            .client
            .map(|_client| super::exempt::all(&settings, self.state_dir.as_deref(), at, console))
            .transpose()?;
        let all = all.unwrap_or_default();
        let known = self.known(&settings, &policy, &all, console)?;
        self.tell((&policy, &all), &load, (at, &known), console)
    }

    /// What is known of the client as a device.
    fn known(
        &self,
        settings: &config::Settings,
        policy: &Policy,
        all: &[(Arc<Exemption>, Terms)],
        console: &mut Console<'_>,
    ) -> Result<Known, Failure> {
        let Some(client) = self.client.map(|client| client.to_canonical()) else { return Ok(Known::default()) };
        let devices = known::devices(settings, self.state_dir.as_deref(), console)?;
        let exempt: Vec<_> = all.iter().map(|(exemption, _terms)| Arc::clone(exemption)).collect();
        let roster = policy.with_groups(known::roster(settings, &exempt, &devices, console.now));
        let device = devices.at(client, console.now).map(|device| device.to_string());
        Ok(Known { device, named: roster.named(Holder::Address(client)), roster })
    }

    fn tell(
        &self,
        (policy, exemptions): (&Policy, &[(Arc<Exemption>, Terms)]),
        load: &PolicyLoad,
        (at, known): (Timestamp, &Known),
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let client = Client { device: known.named, ..self.client.map_or(Client::NOBODY, Client::at) };
        let mut explanation = self.explain(policy, &client, at);
        let all: Vec<_> = exemptions.iter().map(|(exemption, _terms)| Arc::clone(exemption)).collect();
        let compiled = Exemptions::with_devices(&all, policy, &known.roster);
        let spared = self.spared(policy, &compiled, &client, at);
        let freed = Freed::of(&spared, exemptions);
        // What spares the client of one ban does not of another.
        let decision = match spared.verdict.decision {
            Decision::Enforce(ref hit, _) => {
                explanation.sparing(&spared.hits, hit);
                &spared.verdict.decision
            }
            _ => &explanation.verdict.decision,
        };
        let standing = decision.hit().map(|hit| policy.standing(hit.ban_index, &client, at));
        let device = known.device.as_deref();
        let asked = text::Asked { policy, client, device, qtype: self.qtype, at, standing };
        let explained = self.explained(&explanation, (decision, freed), load, &asked);
        if self.json {
            return Ok(console.json(&explained)?);
        }
        let text = text::render(console.look, &explained, decision, &asked);
        Ok(write!(console.out, "{text}")?)
    }

    /// What is said of the name, or of the answer where something is said of that and the name is not blocked.
    fn explain<'p>(&self, policy: &'p Policy, client: &Client, at: Timestamp) -> Explanation<'p> {
        let of_name = policy.explain(&self.name, self.qtype, client, at);
        let Some(address) = self.answer.map(reached) else { return of_name };
        if matches!(of_name.verdict.decision, Decision::Enforce(..)) {
            return of_name;
        }
        let of_answer = policy.explain_address(address, &self.name, client, at);
        let silent = matches!(of_answer.verdict.decision, Decision::Pass);
        let mut explanation = if silent { of_name.clone() } else { of_answer.clone() };
        let others = if silent { of_answer.candidates } else { of_name.candidates };
        explanation.candidates.extend(others.into_iter().filter(|candidate| candidate.lost.is_some()));
        explanation
    }

    /// The same where the client may be spared.
    fn spared<'p>(&self, policy: &'p Policy, exemptions: &Exemptions, client: &Client, at: Timestamp) -> Spared<'p> {
        let of_name = policy.decide_sparing(exemptions, &self.name, self.qtype, client, at);
        let is_blocked = matches!(of_name.verdict.decision, Decision::Enforce(..));
        let Some(address) = self.answer.filter(|_address| !is_blocked).map(reached) else { return of_name };
        let spoken = |ban| of_name.spoken().of_addresses(policy, ban, &self.name, client);
        let of_answer = policy.decide_address_sparing(exemptions, address, &self.name, (client, at), spoken);
        if of_answer.hits.is_empty() && of_answer.verdict.is_pass() { of_name } else { of_answer }
    }

    fn explained(
        &self,
        explanation: &Explanation<'_>,
        (decision, freed): (&Decision<'_>, Option<Freed>),
        load: &PolicyLoad,
        asked: &text::Asked<'_>,
    ) -> Explained {
        let who = asked.policy.who();
        let is_exempt = freed.as_ref().is_some_and(|freed| freed.wholly);
        let (verdict, hit) = match decision {
            Decision::Pass => ("none", None),
            Decision::Allow(hit) => ("allow", Some(hit)),
            Decision::Observe(hit) => ("observe", Some(hit)),
            Decision::Enforce(hit, _blocked) => ("enforce", Some(hit)),
        };
        // A lookup that is allowed proves nothing.
        let attempt = hit.filter(|hit| !hit.allow);
        let all = explanation.verdict.decision.hit().into_iter().chain(&explanation.verdict.also);
        let attempts: Vec<_> = all.map(|hit| (hit.ban_index, hit.pattern)).collect();
        let recorded = |other: &Hit<'_>| !other.allow && attempts.contains(&(other.ban_index, other.pattern));
        let other = |candidate: &Candidate<'_>| {
            let hit = &candidate.hit;
            Some(Other {
                ban: hit.ban.id.to_string(),
                pattern: hit.pattern.to_string(),
                file: hit.list.name.to_string(),
                line: line_of(hit, load),
                category: hit.category.to_string(),
                evidence: hit.evidence.as_str(),
                effect: hit.effect.as_str(),
                why: candidate.lost?.as_str(),
                recorded: recorded(hit),
            })
        };
        let others = explanation.candidates.iter().filter_map(other).collect();
        Explained {
            name: self.name.to_string(),
            r#type: rtype::mnemonic(self.qtype).into_owned(),
            client: self.client,
            answer: self.answer,
            device: asked.device.map(str::to_owned),
            groups: who.member(&asked.client).iter().map(|index| who.group(index).id.to_string()).collect(),
            at: rfc3339(asked.at),
            verdict: if is_exempt { EXEMPT } else { verdict },
            ban: hit.map(|hit| hit.ban.id.to_string()),
            pattern: hit.map(|hit| hit.pattern.to_string()),
            file: hit.map(|hit| hit.list.name.to_string()),
            line: hit.and_then(|hit| line_of(hit, load)),
            category: attempt.map(|hit| hit.category.to_string()),
            evidence: attempt.map(|hit| hit.evidence.as_str()),
            action: if is_exempt { Some(EXEMPT) } else { action(decision) },
            mode: asked.standing.map(|standing| standing.mode.as_str()),
            exemption: freed,
            others,
            law: hit.map(laws).unwrap_or_default(),
        }
    }
}

/// The word that an attempt would be recorded with; an allowed lookup is none.
fn action(decision: &Decision<'_>) -> Option<&'static str> {
    match decision {
        Decision::Pass | Decision::Allow(_) => None,
        Decision::Observe(_) => Some("observe"),
        Decision::Enforce(_, blocked) => Some(blocked.action.as_str()),
    }
}

fn laws(hit: &Hit<'_>) -> Vec<LawRow> {
    let laws = hit.ban.laws.iter().map(|law| LawRow {
        id: law.id.to_string(),
        citation: law.citation.to_string(),
        instrument: law.instrument.to_string(),
        end_use: end_use(law.end_use),
        bound: hit.ban.bound_by.contains(&law.id),
    });
    laws.collect()
}

fn end_use(end_use: EndUse) -> &'static str {
    match end_use {
        EndUse::Yes => "yes",
        EndUse::No => "no",
        EndUse::Partial => "partial",
    }
}

/// The line of a rule, from 1.
fn line_of(hit: &Hit<'_>, load: &PolicyLoad) -> Option<usize> {
    let pattern = hit.pattern.to_string();
    let is_its = |(list, known, _line): &&(Arc<str>, String, usize)| *list == hit.list.name && *known == pattern;
    load.places.iter().find(is_its).map(|(_list, _pattern, line)| *line)
}

#[cfg(test)]
mod tests;
