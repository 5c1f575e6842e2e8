//! What is banned, for whom, from when: `Policy::decide(name, qtype, client, at) -> Verdict`.
//!
//! Values in, values out. Reading files, TOML and the clock are left to [`config`](crate::config) and [`clock`](crate::clock);
//! building an answer from a verdict is left to [`serve`](crate::serve).

mod address;
mod ahead;
mod arena;
mod attributes;
mod ban;
mod builder;
mod compare;
mod decide;
mod depths;
mod elsewhere;
mod entrance;
mod exempt;
mod explain;
mod export;
mod few;
mod glob;
mod hash;
mod language;
pub mod list;
mod literals;
mod lookup;
mod marks;
mod mixed;
mod network;
mod networks;
mod overlap;
mod pages;
mod pattern;
mod pause;
#[expect(clippy::module_inception, reason = "the one type that the folder is named after")]
mod policy;
mod room;
mod roster;
mod rule;
mod schedule;
mod shadow;
mod slots;
mod stance;
mod suffix;
mod verdict;
mod who;

#[cfg(test)]
mod tests;

pub use ahead::Ahead;
pub use attributes::Series;
pub use ban::{Action, Ban, BanKind, Ede, EndUse, Evidence, Law, Milestone, Mode};
pub use builder::{PolicyBuilder, RuleRefused};
pub use compare::{Comparison, RuleRow, VerdictChange};
pub use elsewhere::{AskedElsewhere, Met};
pub use entrance::{Door, Entrance, Word};
pub use exempt::{Exemption, Exemptions, Spared, SparedHit, Spares, Spoken, Whom};
pub use explain::{Candidate, Explanation, Lost, Standing};
pub use export::{ExportFormat, Exported};
pub use language::{Language, PageText};
pub use list::{HEAD, Line, ListFormat, ListReader, Parsed, Strictness};
pub use network::{NetworkFault, least_prefix};
pub use overlap::{Overlap, Overlaps};
pub use pattern::{Pattern, PatternError, PatternFault, PatternKind, PatternRef};
pub use policy::{BanIndex, ListIndex, ListInfo, Policy};
pub use room::GlobRoom;
pub use roster::{Holder, Named, Roster};
pub use rule::{Does, Effect, LISTED, Rule, UNCATEGORISED};
pub use schedule::{Schedule, Window, WindowError};
pub use shadow::{Shadow, Shadowing};
pub use stance::{Share, Stance, Term};
pub use suffix::is_registry_name;
pub use verdict::{Blocked, Client, Decision, Hit, Verdict};
pub use who::{Group, GroupIndex, GroupKind, Member, Membership, SiteIndex, Who};
