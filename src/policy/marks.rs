//! Which names have something else than NXDOMAIN below them: gathered once, while a policy is built.

use super::attributes::Attributes;
use super::glob::Globs;
use super::hash::Key;
use super::literals::Literals;
use super::mixed::{Mixed, MixedBuilder, Reach, Scope};
use super::pattern::PatternKind;
use super::pause::Pause;
use super::rule::Effect;
use crate::wire::LowerName;

/// Marks every name that NXDOMAIN could be said of but for a rule below it. Bit n of `covers`: some literal rule for
/// which [`is_cover`] holds has n labels.
pub(super) fn gather(
    key: Key,
    attributes: &[Attributes],
    literals: &Literals,
    globs: &Globs,
    covers: u128,
    pause: &mut Pause,
) -> Mixed {
    let mut marks = Marks { attributes, literals, key, covers, mixed: MixedBuilder::default() };
    if covers == 0 || attributes.iter().all(|attributes| scope(attributes).is_none()) {
        return marks.mixed.build();
    }
    for (number, wire) in literals.entries() {
        pause.step(1);
        if let Some(scope) = scope(&attributes[usize::from(number)])
            && let Ok((name, _end)) = LowerName::read(wire, 0)
        {
            marks.above(&name, name.labels(), scope);
        }
    }
    for group in globs.groups() {
        let Ok((suffix, _end)) = LowerName::read(&group.suffix, 0) else { continue };
        for glob in &group.globs {
            if let Some(scope) = scope(&attributes[usize::from(glob.attributes)]) {
                marks.above(&suffix, suffix.labels() + 1, scope);
                if glob.labels > suffix.labels() + 1 {
                    marks.mixed.mark(key.whole(&suffix), scope, Reach::Below);
                }
            }
        }
    }
    marks.mixed.build()
}

struct Marks<'p> {
    attributes: &'p [Attributes],
    literals: &'p Literals,
    key: Key,
    covers: u128,
    mixed: MixedBuilder,
}

impl Marks<'_> {
    /// Marks those of `name` and its ancestors that have fewer than `labels` labels, from the topmost covered one down.
    fn above(&mut self, name: &LowerName, labels: usize, scope: Scope) {
        let mut covered = false;
        for (depth, hash) in self.key.suffixes(name).take(labels) {
            covered = covered || self.covers >> depth & 1 == 1 && self.is_covered(hash, name.suffix(depth));
            if covered {
                self.mixed.mark(hash, scope, Reach::Here);
            }
        }
    }

    fn is_covered(&self, hash: u64, wire: &[u8]) -> bool {
        self.literals.at(hash, wire).any(|(number, _name)| is_cover(&self.attributes[usize::from(number)]))
    }
}

/// Whether a rule answers all names below its own with NXDOMAIN for some client, when nothing else speaks for them.
pub(super) fn is_cover(attributes: &Attributes) -> bool {
    attributes.answers.nxdomain && matches!(attributes.kind, PatternKind::Suffix | PatternKind::Below)
}

/// For whom a rule makes the names above it mixed. What a ban allows or observes keeps no other ban from enforcing;
/// what it answers otherwise may come before another ban's answer.
fn scope(attributes: &Attributes) -> Option<Scope> {
    match attributes.ceiling {
        _ if attributes.answers.otherwise => Some(Scope::AnyBan),
        Effect::Off | Effect::Enforce(_) => None,
        Effect::Allow | Effect::Observe => Some(Scope::Ban(attributes.ban)),
    }
}
