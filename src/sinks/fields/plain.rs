//! Our own JSON: the members of `embargo attempts --json`, with what tells one event and one sender from the others.

use serde_json::{Value, json};

use super::Observer;
use crate::sinks::Event;

pub(super) fn fields(event: &Event, observer: &Observer) -> Value {
    // A row has no keys but texts.
    let mut value = serde_json::to_value(&event.row).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("id".to_owned(), json!(event.id));
        members.insert("observer".to_owned(), json!(observer.host));
    }
    value
}
