//! Rules in, a [`Policy`] out.
//!
//! Rules go straight into the table's own memory as they come; building adds the slots and drops what stands twice, so
//! that a reload holds the old policy, the new one and little else.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Arena;
use super::attributes::{ATTRIBUTES_MAX, Attributes, Interner, ceiling, does};
use super::ban::{Ban, Mode};
use super::depths::Depths;
use super::glob::{self, GLOBS_MAX, GLOBS_PER_SUFFIX_MAX, Glob, Globs, Group};
use super::hash::Key;
use super::literals::Literals;
use super::marks;
use super::network::{least_prefix, least_prefix_of_answers};
use super::networks::{NETWORKS_MAX, NetworksBuilder};
use super::pattern::{Pattern, PatternKind, PatternRef};
use super::pause::Pause;
use super::policy::{BanIndex, ListIndex, ListInfo, Policy};
use super::rule::{Does, Effect, Rule};
use super::suffix;
use super::who::Who;
use crate::diag::{Diagnostic, Severity};
use crate::wire::{LowerName, Name};

/// Work of taking a rule and of finding its place, in the steps of a [`Pause`].
const RULE: usize = 4;
const PLACE: usize = 1;

/// Takes bans, lists and their rules, and compiles them.
#[derive(Debug)]
pub struct PolicyBuilder {
    key: Key,
    protected: Vec<LowerName>,
    who: Who,
    bans: Vec<Arc<Ban>>,
    lists: Vec<ListInfo>,
    interner: Interner,
    arena: Arena,
    literals: usize,
    globs: HashMap<Box<[u8]>, Vec<Glob>>,
    glob_count: usize,
    answers: NetworksBuilder,
    clients: NetworksBuilder,
    /// By list: rules whose pattern stands already with other columns, and the first of them.
    conflicts: Vec<(u64, String)>,
    pause: Pause,
    /// The one name that will be asked for.
    about: Option<LowerName>,
}

/// Why a rule was not taken; the message of a warning at its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// An enforced rule for everything.
    #[error("no list can enforce the root; the rule is left out")]
    Root,
    /// An enforced rule at a public suffix.
    #[error("`{suffix}` is a public suffix, which no list can enforce; the rule is left out")]
    PublicSuffix {
        /// The suffix.
        suffix: Name,
    },
    /// An enforced rule that would hit a protected name.
    #[error("this would block `{name}`, which is protected; the rule is left out")]
    Protected {
        /// The protected name.
        name: Name,
    },
    /// Too many globs with the same literal suffix.
    #[error("more than {max} globs below `{suffix}`; the rule is left out")]
    GlobsPerSuffix {
        /// The literal suffix.
        suffix: String,
        /// The limit.
        max: usize,
    },
    /// Too many globs.
    #[error("more than {max} globs in all; the rule is left out")]
    Globs {
        /// The limit.
        max: usize,
    },
    /// An enforced rule for nearly every address there is.
    #[error(
        "`{network}` is nearly everybody: no list can enforce a rule for more than a /{least}; the rule is left out"
    )]
    Wide {
        /// The network.
        network: IpNet,
        /// The shortest prefix.
        least: u8,
    },
    /// Too many networks.
    #[error("more than {max} networks in all; the rule is left out")]
    Networks {
        /// The limit.
        max: usize,
    },
    /// Too many different combinations of list, pattern kind, category, evidence and action.
    #[error("more than {max} combinations of list, pattern kind, category, evidence and action; the rule is left out")]
    Attributes {
        /// The limit.
        max: usize,
    },
}

impl PolicyBuilder {
    /// A builder. `seed` should be random and secret, so that nobody can choose names that collide in the table.
    /// No rule can enforce a `protected` name.
    pub fn new(seed: u64, protected: Vec<Name>) -> Self {
        Self {
            key: Key::new(seed),
            protected: protected.into_iter().map(|name| LowerName::from(&name)).collect(),
            who: Who::default(),
            bans: Vec::new(),
            lists: Vec::new(),
            interner: Interner::default(),
            arena: Arena::new(),
            literals: 0,
            globs: HashMap::new(),
            glob_count: 0,
            answers: NetworksBuilder::default(),
            clients: NetworksBuilder::default(),
            conflicts: Vec::new(),
            pause: Pause::default(),
            about: None,
        }
    }

    /// Calls `pause` after every 100 to 200 microseconds of work: a whole list takes long.
    #[must_use]
    pub fn pausing(mut self, pause: fn()) -> Self {
        self.pause = Pause::new(pause);
        self
    }

    /// Holds only what has a say about this name: rules at it, above it and below it, and all that are not for one name. Such a
    /// policy is good for no other name.
    #[must_use]
    pub fn about(mut self, asked: Option<LowerName>) -> Self {
        self.about = asked;
        self
    }

    /// Knows these groups, of which the terms of bans speak.
    #[must_use]
    pub fn knowing(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    /// Adds a ban.
    pub fn ban(&mut self, ban: impl Into<Arc<Ban>>) -> BanIndex {
        self.bans.push(ban.into());
        BanIndex(self.bans.len() - 1)
    }

    /// Adds a list of a ban.
    pub fn list(&mut self, list: ListInfo) -> ListIndex {
        self.lists.push(list);
        self.conflicts.push((0, String::new()));
        ListIndex(self.lists.len() - 1)
    }

    /// Adds a rule of a list. A pattern that stands in its ban already is dropped and counted when the policy is built.
    ///
    /// # Errors
    /// [`RuleRefused`] when the rule is left out: a warning, the list stands.
    pub fn rule(&mut self, list: ListIndex, rule: &Rule) -> Result<(), RuleRefused> {
        self.pause.step(RULE);
        let BanIndex(ban) = self.lists[list.0].ban;
        let network = rule.pattern.network();
        if matches!(ceiling(rule, &self.bans[ban]), Effect::Enforce(_)) {
            match network {
                Some(network) => narrow(network, rule.pattern.kind())?,
                None => self.guard(&rule.pattern)?,
            }
        }
        let attributes = self.interner.intern(list.0, ban, &self.bans[ban], rule);
        let attributes = attributes.ok_or(RuleRefused::Attributes { max: ATTRIBUTES_MAX })?;
        if let Some(network) = network {
            return self.network(attributes, network, rule.pattern.kind());
        }
        if rule.pattern.kind() == PatternKind::Glob {
            return self.glob(attributes, &rule.pattern);
        }
        if self.about.as_ref().is_some_and(|asked| !rule.pattern.concerns(asked)) {
            return Ok(());
        }
        self.arena.push(attributes, rule.pattern.name().wire());
        self.literals += 1;
        Ok(())
    }

    /// Refuses an enforced rule that would take down more than a vendor.
    fn guard(&self, pattern: &Pattern) -> Result<(), RuleRefused> {
        public(pattern)?;
        let name = pattern.name();
        let hit = self.protected.iter().find(|protected| match pattern.kind() {
            PatternKind::Suffix => protected.is_below(name),
            PatternKind::Below => protected.labels() > name.labels() && protected.is_below(name),
            PatternKind::Exact => *protected == name,
            PatternKind::Glob => glob::matches(name.wire(), protected.wire()),
            // Which names it is about is seen when they are asked.
            PatternKind::Answer | PatternKind::Client => false,
        });
        hit.map_or(Ok(()), |name| Err(RuleRefused::Protected { name: name.into() }))
    }

    fn network(&mut self, attributes: u16, network: IpNet, kind: PatternKind) -> Result<(), RuleRefused> {
        if self.answers.len() + self.clients.len() >= NETWORKS_MAX {
            return Err(RuleRefused::Networks { max: NETWORKS_MAX });
        }
        let table = if kind == PatternKind::Client { &mut self.clients } else { &mut self.answers };
        table.push(network, attributes);
        Ok(())
    }

    fn glob(&mut self, attributes: u16, pattern: &Pattern) -> Result<(), RuleRefused> {
        let name = pattern.name();
        let suffix = name.suffix(glob::literal_labels(name));
        let hanging = self.globs.get(suffix).map(Vec::as_slice).unwrap_or_default();
        let row = self.interner.row(attributes);
        let same_name = hanging.iter().filter(|glob| *glob.wire == *name.wire());
        if let Some(older) =
            same_name.map(|glob| self.interner.row(glob.attributes)).find(|older| older.same_pattern(row))
        {
            drop_duplicate(&mut self.lists, &mut self.conflicts, older, row, name.wire());
            return Ok(());
        }
        if hanging.len() >= GLOBS_PER_SUFFIX_MAX {
            let suffix = LowerName::read(suffix, 0).map_or(LowerName::ROOT, |(name, _end)| name).to_string();
            return Err(RuleRefused::GlobsPerSuffix { suffix, max: GLOBS_PER_SUFFIX_MAX });
        }
        if self.glob_count >= GLOBS_MAX {
            return Err(RuleRefused::Globs { max: GLOBS_MAX });
        }
        self.glob_count += 1;
        self.lists[row.list].entries += 1;
        let glob = Glob { attributes, labels: name.labels(), wire: name.wire().into() };
        self.globs.entry(suffix.into()).or_default().push(glob);
        Ok(())
    }

    /// The policy, and warnings about whole lists.
    pub fn build(self, generation: u64) -> (Policy, Vec<Diagnostic>) {
        let Self { key, protected, who, bans, mut lists, interner, arena, literals, globs, .. } = self;
        let Self { answers, clients, mut conflicts, mut pause, .. } = self;
        let (mut counts, mut covers) = (vec![0; interner.len()], 0);
        let mut stands = |older, newer, name: &[u8]| {
            let (older, newer) = (interner.row(older), interner.row(newer));
            let stands = older.same_pattern(newer);
            if stands {
                drop_duplicate(&mut lists, &mut conflicts, older, newer, name);
            }
            stands
        };
        let mut network_kept = |number| {
            counts[usize::from(number)] += 1;
            interner.row(number).ceiling != Effect::Off
        };
        let answers = answers.build(&mut stands, &mut network_kept);
        let clients = clients.build(&mut stands, &mut network_kept);
        let kept = |number, labels| {
            pause.step(PLACE);
            counts[usize::from(number)] += 1;
            covers |= u128::from(marks::is_cover(interner.row(number))) << labels;
        };
        let literals = Literals::build(key, arena, literals, stands, kept);
        let groups = globs.into_iter().map(|(suffix, globs)| Group { suffix, globs }).collect();
        let globs = Globs::new(key, groups);
        let (attributes, series) = interner.finish();
        for (attributes, count) in attributes.iter().zip(counts) {
            lists[attributes.list].entries += count;
        }
        let mixed = marks::gather(key, &attributes, &literals, &globs, covers, &mut pause);
        let (ranks, depths) = (ranks(&bans), Depths::new(literals.depths(), globs.depths()));
        let diagnostics =
            lists.iter().zip(conflicts).filter_map(|(list, conflict)| conflict_message(list, conflict)).collect();
        let otherwise = |attributes: &Attributes| attributes.answers.otherwise && !attributes.kind.is_network();
        let otherwise = attributes.iter().any(otherwise);
        let policy = Policy {
            generation,
            bans,
            ranks,
            lists,
            series,
            key,
            depths,
            attributes,
            literals,
            globs,
            mixed,
            answers,
            clients,
            protected,
            otherwise,
            who,
        };
        (policy, diagnostics)
    }
}

impl Rule {
    /// Why no list could hold this rule, whatever is protected; `None`: one could.
    pub fn refused(&self) -> Option<RuleRefused> {
        let enforces = !self.pattern.allow()
            && !self.pattern.kind().is_network()
            && matches!(does(self), Does::Mode(Mode::Enforce) | Does::Action(_));
        if enforces { public(&self.pattern).err() } else { None }
    }
}

/// Refuses an enforced rule for nearly every client or address that there is.
fn narrow(network: IpNet, kind: PatternKind) -> Result<(), RuleRefused> {
    let least = if kind == PatternKind::Client { least_prefix(&network) } else { least_prefix_of_answers(&network) };
    if network.prefix_len() < least { Err(RuleRefused::Wide { network, least }) } else { Ok(()) }
}

/// Refuses what is everybody's.
fn public(pattern: &Pattern) -> Result<(), RuleRefused> {
    let name = pattern.name();
    if name.labels() == 0 {
        return Err(RuleRefused::Root);
    }
    // Which names a glob matches is seen when they are asked.
    if pattern.kind() != PatternKind::Glob && suffix::is_registry(name, name.labels()) {
        return Err(RuleRefused::PublicSuffix { suffix: name.into() });
    }
    Ok(())
}

fn drop_duplicate(
    lists: &mut [ListInfo],
    conflicts: &mut [(u64, String)],
    older: &Attributes,
    newer: &Attributes,
    wire: &[u8],
) {
    lists[newer.list].duplicates += 1;
    lists[newer.list].bans_twice += u64::from(!newer.allow && newer.does != Does::Mode(Mode::Off));
    if !older.same_columns(newer) {
        let (count, example) = &mut conflicts[newer.list];
        if *count == 0 {
            *example = PatternRef { wire, kind: newer.kind, allow: newer.allow }.to_string();
        }
        *count += 1;
    }
}

fn conflict_message(list: &ListInfo, (count, example): (u64, String)) -> Option<Diagnostic> {
    let message = match count {
        0 => return None,
        1 => format!("`{example}` stands already with other columns; the first rule is in force"),
        _ => format!(
            "{count} patterns stand already with other columns, `{example}` first; the first rules are in force"
        ),
    };
    Some(Diagnostic::whole(Severity::Warning, Arc::clone(&list.name), message))
}

/// The place of each ban among all, by id.
fn ranks(bans: &[Arc<Ban>]) -> Vec<usize> {
    let mut order: Vec<_> = (0..bans.len()).collect();
    order.sort_by_key(|&index| &bans[index].id);
    let mut ranks = vec![0; bans.len()];
    for (rank, &index) in order.iter().enumerate() {
        ranks[index] = rank;
    }
    ranks
}
