//! One list asked for, and what came judged: whether it is a list, and not suspiciously less or more than before.

use std::sync::Arc;
use std::time::Duration;

use crate::app::watch::Mark;
use crate::config::{Elsewhere, Judged, ListFile, Subscribed, file_digest, judge_list};
use crate::lists::{FetchError, Fetched, Incoming, Kept, Progress, Store};
use crate::metrics::FetchResult;
use crate::priority::beside;
use crate::time::Timestamp;
use crate::upstream::Questions;

/// Messages about one refused list that are passed on.
const MISTAKES_SHOWN: usize = 3;
/// It is looked this often whether what is kept of a list is there.
const LOOK: Duration = Duration::from_secs(2);

/// What came of asking.
pub(super) enum New {
    /// What is kept is the newest, as is known now.
    Unchanged(Kept),
    /// A version to be kept.
    Changed(Incoming, Kept),
}

/// Why there is nothing new.
#[derive(Debug)]
pub(super) struct NothingNew {
    /// How that counts.
    pub(super) result: FetchResult,
    /// In words.
    pub(super) why: String,
    /// When the source wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl NothingNew {
    fn refused(why: String) -> Self {
        Self { result: FetchResult::Refused, why, retry_after: None }
    }

    /// This machine can't.
    pub(super) fn failed(why: String) -> Self {
        Self { result: FetchResult::Failed, why, retry_after: None }
    }
}

impl From<FetchError> for NothingNew {
    fn from(error: FetchError) -> Self {
        let result = if error.is_refusal() { FetchResult::Refused } else { FetchResult::Failed };
        Self { result, retry_after: error.retry_after(), why: error.to_string() }
    }
}

/// What is kept of a list, as far as it is what came from the source that is configured now, whole,
/// and signed by this key if there is one.
pub(super) async fn intact(list: &ListFile, source: &str, key: Option<&str>) -> Option<Kept> {
    let kept = Store::known(&list.path.value).filter(|kept| kept.source == source)?;
    if key.is_some() && kept.signed_by.as_deref() != key {
        return None;
    }
    let path = list.path.value.clone();
    let digest = beside(move || file_digest(&path)).await.ok().flatten();
    (digest.as_deref() == Some(kept.digest.as_str())).then_some(kept)
}

/// Returns when what is kept of a list is no longer what came, or was mended: it is then wanted anew.
pub(super) async fn harmed(list: &ListFile, elsewhere: &Elsewhere) {
    let mut mark = Mark::of(&list.path.value);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Mark::of(&list.path.value);
        if now != std::mem::replace(&mut mark, now) {
            let kept = intact(list, &elsewhere.source, elsewhere.signed_by()).await;
            if kept.is_none_or(|kept| kept.checked().is_none()) {
                return;
            }
        }
    }
}

/// Asks the source of a list; `any_size`: an operator has looked at what it has.
pub(super) async fn ask(
    (store, id): (&Store, &Arc<str>),
    list: &ListFile,
    (elsewhere, subscribed): (&Elsewhere, &Subscribed),
    questions: &dyn Questions,
    (now, any_size): (Timestamp, bool),
    progress: &Arc<Progress>,
) -> Result<New, NothingNew> {
    let kept = intact(list, &elsewhere.source, elsewhere.signed_by()).await;
    let (size_max, subscription) = (elsewhere.guards.size_max_bytes, &subscribed.subscription);
    // To take it whatever its size, it must come.
    let known = kept.as_ref().filter(|_kept| !any_size);
    let fetched = subscription.fetch((store, id), known, size_max, questions, progress).await?;
    let (incoming, etag, last_modified) = match (fetched, kept.clone()) {
        (Fetched::Unchanged, Some(kept)) => return Ok(New::Unchanged(Kept { checked: now, ..kept })),
        (Fetched::Unchanged, None) => {
            return Err(NothingNew::failed(
                "the server answers that nothing has changed, and nothing is kept".to_owned(),
            ));
        }
        (Fetched::Came { incoming, etag, last_modified }, _) => (incoming, etag, last_modified),
    };
    let digest = incoming.digest();
    if let Some(kept) = kept.filter(|kept| kept.digest == digest) {
        return Ok(New::Unchanged(Kept { checked: now, etag, last_modified, ..kept }));
    }
    let rules = judged(list, elsewhere, &incoming, any_size).await?;
    let bytes = incoming.bytes();
    let source = elsewhere.source.clone();
    let (digest_before, signed_by) = (None, elsewhere.signed_by().map(str::to_owned));
    let (fetched, checked) = (now, now);
    let kept = Kept { source, digest, digest_before, bytes, rules, fetched, checked, etag, last_modified, signed_by };
    Ok(New::Changed(incoming, kept))
}

/// How many rules came, if it is a list that may be kept.
pub(super) async fn judged(
    list: &ListFile,
    elsewhere: &Elsewhere,
    incoming: &Incoming,
    any_size: bool,
) -> Result<u64, NothingNew> {
    let (path, name, reading) = (incoming.path().to_path_buf(), elsewhere.source.clone(), list.reading);
    let judged = beside(move || judge_list(&path, name, reading))
        .await
        .map_err(|error| NothingNew::failed(error.to_string()))?;
    let judged = judged.map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().take(MISTAKES_SHOWN).map(ToString::to_string).collect();
        NothingNew::refused(told.join("\n"))
    })?;
    // Another source has another list.
    let before = Store::known(&list.path.value).filter(|kept| kept.source == elsewhere.source);
    let suspicion = match before {
        Some(before) => {
            elsewhere.guards.judge(before.rules, judged.banned).err().map(|suspicion| suspicion.to_string())
        }
        None => no_list_of_its_format(list, judged),
    };
    match suspicion.filter(|_suspicion| !any_size) {
        Some(suspicion) => {
            let id = list.id.as_ref().map(|id| Arc::clone(&id.value)).unwrap_or_default();
            let way_out = format!("if that is right, `embargo lists fetch {id} --any-size` takes it");
            Err(NothingNew::refused(format!("{suspicion}; {way_out}")))
        }
        None => Ok(judged.banned),
    }
}

/// What speaks against the first version of a list whose format nobody has written: some words of a text are names, too.
fn no_list_of_its_format(list: &ListFile, Judged { banned, bad_lines, format }: Judged) -> Option<String> {
    (list.reading.format.is_none() && bad_lines > banned).then(|| {
        let format = format.as_str();
        format!(
            "it has {bad_lines} lines that are not understood and {banned} rules, read as `{format}`: it may be no list, or \
             one of another format, which then must be written (`format = \"{format}\"` if it is that)"
        )
    })
}

/// Writes down that what is kept is the newest.
pub(super) async fn noted(store: &Store, id: &Arc<str>, kept: &Kept) {
    let (store, id, kept) = (store.clone(), Arc::clone(id), kept.clone());
    let noted = beside(move || store.note(&id, &kept)).await;
    if let Ok(Err(error)) = noted {
        tracing::warn!(%error, "It can't be written down that a list is the newest; it will be asked for again.");
    }
}
