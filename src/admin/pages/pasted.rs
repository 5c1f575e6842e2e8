//! Lists that somebody has pasted to have them previewed: kept in memory for a while, and known by what they hold.

use std::sync::{Mutex, PoisonError};

use crate::digest::hex_digest;

/// Lists that are kept at most; each is as long as a form may be.
const KEPT_MAX: usize = 8;
/// Characters of a digest.
const KEY: usize = 32;

/// The lists, the newest first.
#[derive(Debug, Default)]
pub(super) struct Pasted(Mutex<Vec<(String, String)>>);

impl Pasted {
    /// Keeps one, and says by what it is known.
    pub(super) fn keep(&self, list: &str) -> String {
        let key: String = hex_digest(list.as_bytes()).chars().take(KEY).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _list)| *known != key);
        all.truncate(KEPT_MAX - 1);
        all.insert(0, (key.clone(), list.to_owned()));
        key
    }

    /// One of them.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(known, _list)| known == key).map(|(_key, list)| list.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_until_newer_ones_take_its_place() {
        let pasted = Pasted::default();
        let first = pasted.keep("a.example\n");
        for other in 1..KEPT_MAX {
            pasted.keep(&format!("{other}.example\n"));
            assert_eq!(pasted.keep("a.example\n"), first, "it is the same one");
        }
        assert_eq!(pasted.get(&first).as_deref(), Some("a.example\n"));
        for other in 0..KEPT_MAX {
            pasted.keep(&format!("new{other}.example\n"));
        }
        assert_eq!(pasted.get(&first), None);
    }
}
