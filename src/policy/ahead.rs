//! What the names of many queries need of a long list, read from memory for all of them at once.
//!
//! Such a table is larger than the processor's caches, and a lookup waits for memory three times: for the tags, for the slot
//! they lead to, and for the rule that stands there. The processor waits for many words at a time if nothing but reading stands
//! between them; the lookups that follow then find theirs near.

use super::policy::Policy;
use crate::wire::LowerName;

/// Octets of rules up to which they are near anyway: a processor has no less of a cache for each of its cores.
const NEAR_BYTES: usize = 512 << 10;
/// Hashes kept for a batch: names with more places where rules may stand are read by their lookups.
const HASHES_MAX: usize = 256;

/// Room for looking ahead, so that none is allocated for each batch.
#[derive(Debug)]
pub struct Ahead {
    hashes: Vec<u64>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { hashes: Vec::with_capacity(HASHES_MAX) }
    }
}

impl Policy {
    /// Reads what [`Policy::decide`] will read of these names, and decides nothing; returns how many rules were read. Asks for
    /// no name if the table is small.
    pub fn look_ahead(&self, names: impl Iterator<Item = LowerName>, ahead: &mut Ahead) -> usize {
        if self.literals.memory_bytes() <= NEAR_BYTES {
            return 0;
        }
        ahead.hashes.clear();
        for name in names {
            self.hash_ahead(&name, &mut ahead.hashes);
        }
        self.literals.fetch(&mut ahead.hashes)
    }

    /// Adds the hash of each suffix at which [`Policy::way`] will look for literal rules.
    fn hash_ahead(&self, name: &LowerName, hashes: &mut Vec<u64>) {
        for (depth, hash) in self.key.suffixes(name) {
            let stands = self.depths.at(depth);
            if stands.has_literals() && hashes.len() < HASHES_MAX {
                hashes.push(hash);
            }
            if stands.is_last() {
                return;
            }
        }
    }
}
