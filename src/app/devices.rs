//! What operators say of devices: into the audit log first, and into force at once.

use std::sync::Arc;

use serde_json::json;

use super::control::DeviceWord;
use super::parts::Parts;
use crate::audit::{Author, Event, Merged, REASON_MAX, Refusal, Split, said};
use crate::identity::Identifier;
use crate::orders::Answer;

impl Parts {
    /// Holds two identifiers for one device's, or one for nobody else's, before the answer.
    pub(super) async fn say_of_devices(&self, word: &DeviceWord, author: Author) -> Answer {
        let event = match event(word) {
            Ok(event) => event,
            Err(why) => return Answer::Wrong(why),
        };
        let (audit, now, noted) = (Arc::clone(&self.audit), self.clock.now().wall, event.clone());
        let by = author.clone();
        match tokio::task::spawn_blocking(move || audit.say(noted, by, now)).await {
            Ok(Ok(number)) => {
                self.spare();
                tracing::info!(
                    id = number,
                    ?author,
                    ?event,
                    head = self.audit.head(),
                    "An operator has said who is who."
                );
                Answer::Done(json!({"id": number, "device": word.device, "with": word.with}))
            }
            Ok(Err(refusal)) => Answer::Failed(refusal.to_string()),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// Takes that back.
    pub(super) async fn undo_of_devices(&self, number: u64, author: Author) -> Answer {
        let (audit, now, by) = (Arc::clone(&self.audit), self.clock.now().wall, author.clone());
        match tokio::task::spawn_blocking(move || audit.undo(number, by, now)).await {
            Ok(Ok(())) => {
                self.spare();
                tracing::info!(
                    id = number,
                    ?author,
                    head = self.audit.head(),
                    "What was said of devices is taken back."
                );
                Answer::Done(json!({"id": number, "undone": true}))
            }
            Ok(Err(refusal @ Refusal::NoWord(_))) => Answer::Wrong(refusal.to_string()),
            Ok(Err(refusal)) => Answer::Failed(refusal.to_string()),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// What is said, if it can be meant.
fn event(DeviceWord { device, with, reason }: &DeviceWord) -> Result<Event, String> {
    let reason = said("reason", reason, REASON_MAX).map_err(|error| error.to_string())?.to_string();
    let identifier = |text: &str| -> Result<String, String> {
        let identifier = text.parse::<Identifier>();
        identifier.map(|identifier| identifier.to_string()).map_err(|()| {
            format!("`{}` is no device; `embargo devices` shows those that are known", crate::diag::shown(text))
        })
    };
    let device = identifier(device)?;
    match with.as_deref().map(identifier).transpose()? {
        Some(with) if with == device => Err("a device is itself already".to_owned()),
        Some(with) => Ok(Event::Merged(Merged { device, with, reason })),
        None => Ok(Event::Split(Split { device, reason })),
    }
}
