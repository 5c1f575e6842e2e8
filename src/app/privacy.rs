//! How much of clients is recorded: the settings, with the key of pseudonyms where they want any.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::control::Erasing;
use super::parts::Parts;
use crate::audit::{Audit, Author, ErasedNote, Event, Looked, TICKET_MAX, said};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::journal::{Erased, Journal, Key, KeyError, Privacy, Whose};
use crate::orders::Answer;
use crate::sinks::Sinks;
use crate::time::Timestamp;

/// The store is written anew within this, or it is said that it was not.
pub(crate) const ERASE: Duration = Duration::from_secs(600);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What can be had: without a key only counts where pseudonyms are wanted.
    pub(crate) privacy: Arc<Privacy>,
    /// Why there is no key, where one is wanted.
    pub(crate) trouble: Option<KeyError>,
}

/// How much of whom this configuration has recorded. The key is made if it is wanted for the first time.
pub(crate) fn of(loaded: &Loaded) -> Wanted {
    let config = loaded.settings.privacy.clone();
    let (key, trouble) = match config.needs_key().then(|| Key::of(&loaded.state_dir)).transpose() {
        Ok(key) => (key, None),
        Err(error) => (None, Some(error)),
    };
    Wanted { privacy: Arc::new(Privacy::new(config, &loaded.settings.groups, key)), trouble }
}

/// The same, and what is in the way is logged.
pub(super) fn told_of(loaded: &Loaded) -> Arc<Privacy> {
    let Wanted { privacy, trouble } = of(loaded);
    if let Some(error) = trouble {
        tracing::error!(%error, "There is no key for pseudonyms: of clients that should have one only counts are recorded.");
    }
    privacy
}

impl Parts {
    /// Records no more of whom than this configuration has it.
    pub(super) fn keep_privacy(&self, loaded: &Loaded) {
        self.journal.keep_privacy(&told_of(loaded));
    }

    /// Notes in the audit log who looks at what is kept of clients from now on, if that is wanted.
    pub(super) fn keep_looks(&self, loaded: &Loaded) {
        if let Err(error) = self.audit.keep_looks(loaded.settings.audit_reads, self.clock.now().wall) {
            tracing::error!(%error, "Whether it is noted who looks at clients could not be written to the audit log.");
        }
    }

    /// Notes that somebody looks at what is kept of clients, where that is noted.
    pub(super) async fn note_look(&self, looked: Looked, author: Author) -> Answer {
        let (audit, now) = (Arc::clone(&self.audit), self.clock.now().wall);
        match tokio::task::spawn_blocking(move || audit.look(looked, author, now)).await {
            Ok(Ok(noted)) => Answer::Done(json!({"noted": noted})),
            Ok(Err(refusal)) => Answer::Failed(refusal.to_string()),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// Erases all that is kept of somebody, and notes how much that was.
    pub(super) async fn erase(&self, Erasing { whose, ticket }: Erasing, author: Author) -> Answer {
        let ticket = match ticket.map(|text| said("ticket", &text, TICKET_MAX)).transpose() {
            Ok(ticket) => ticket.map(|text| text.to_string()),
            Err(error) => return Answer::Wrong(error.to_string()),
        };
        let erasing = Eraser {
            journal: Arc::clone(&self.journal),
            sinks: Arc::clone(&self.sinks),
            audit: Arc::clone(&self.audit),
            clock: self.clock.clone(),
            key: Key::read(&self.first.state_dir),
        };
        match tokio::task::spawn_blocking(move || erasing.erase(whose, ticket, author)).await {
            Ok(Ok(erased)) => {
                let Erased { devices, attempts, .. } = erased;
                tracing::info!(devices, attempts, head = self.audit.head(), "What was kept of a client is erased.");
                serde_json::to_value(erased).map_or_else(|error| Answer::Failed(error.to_string()), Answer::Done)
            }
            Ok(Err(why)) => Answer::Failed(why),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// What erasing needs.
struct Eraser {
    journal: Arc<Journal>,
    sinks: Arc<Sinks>,
    audit: Arc<Audit>,
    clock: Clock,
    key: Result<Option<Key>, KeyError>,
}

impl Eraser {
    /// First the record, which hands on to sinks what still waits in memory; then what waits for them.
    fn erase(self, whose: Whose, ticket: Option<String>, author: Author) -> Result<Erased, String> {
        let key = self.key.map_err(|error| error.to_string())?;
        let (person, mut erased) = self.journal.erase(whose, key, ERASE).map_err(|error| error.to_string())?;
        erased.waiting = self.sinks.erase(&person).map_err(|error| format!("the spool of sinks: {error}"))?;
        note(&self.audit, &erased, ticket, (author, self.clock.now().wall))?;
        Ok(erased)
    }
}

/// Notes in the audit log how much was erased, if anything was.
///
/// # Errors
/// Why that could not be noted.
pub(crate) fn note(
    audit: &Audit,
    erased: &Erased,
    ticket: Option<String>,
    (author, at): (Author, Timestamp),
) -> Result<(), String> {
    if erased.is_nothing() {
        return Ok(());
    }
    let note = ErasedNote { devices: erased.devices, attempts: erased.attempts, ticket };
    let noted = audit.note(Event::Erased(note), author, at);
    noted.map_err(|refusal| format!("it is erased, but the audit log does not say so: {refusal}"))
}
