//! A kept list that is damaged, mended by the last good copy of it: what was banned stays banned, whatever happens to a disk.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Settings, judge_list};
use crate::lists::{Kept, Store};
use crate::time::Timestamp;

/// Puts the last good copy of the list that makes this ban in the place of the kept one, if there is one that is whole. Whether it did.
pub(in crate::app) fn mend(state_dir: &Path, settings: &Settings, ban: &Arc<str>) -> bool {
    match try_to(state_dir, settings, ban) {
        Ok(mended) => {
            if mended {
                tracing::error!(list = %ban, "The kept copy of a list was damaged or gone; the last good copy is in its place.");
            }
            mended
        }
        Err(error) => {
            tracing::error!(list = %ban, %error, "The kept copy of a list is damaged, and the last good copy can't be put in its place.");
            false
        }
    }
}

fn try_to(state_dir: &Path, settings: &Settings, ban: &Arc<str>) -> io::Result<bool> {
    let list = settings.lists.iter().find(|list| list.id.as_ref().is_some_and(|id| id.value == *ban));
    let Some((list, elsewhere)) = list.and_then(|list| Some((list, list.elsewhere.as_ref()?))) else {
        return Ok(false);
    };
    let Some(good) = config::last_good_list(state_dir, ban) else { return Ok(false) };
    let (store, mut file) = (Store::new(state_dir), File::open(&good)?);
    let mut incoming = store.receive(ban).map_err(io::Error::other)?;
    io::copy(&mut file, &mut incoming)?;
    let (known, key) = (Store::known(&list.path.value), elsewhere.signed_by());
    let signed_by = known.filter(|known| known.knows(&incoming.digest())).and_then(|known| known.signed_by);
    // Nobody has verified this one, or by another key.
    if key.is_some() && signed_by.as_deref() != key {
        return Ok(false);
    }
    let rules = judge_list(incoming.path(), elsewhere.source.clone(), list.reading).map_or(0, |judged| judged.banned);
    // When it came, and what its server called it, nobody knows any more: it was not later than it was saved, and is asked for soon.
    let saved = file.metadata()?.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    let saved = saved.unwrap_or(Timestamp::UNIX_EPOCH);
    let kept = Kept {
        source: elsewhere.source.clone(),
        digest: incoming.digest(),
        digest_before: None,
        bytes: incoming.bytes(),
        rules,
        fetched: saved,
        checked: Kept::UNCHECKED,
        etag: None,
        last_modified: None,
        signed_by,
    };
    store.keep(ban, incoming, &kept).map_err(io::Error::other)?;
    Ok(true)
}
