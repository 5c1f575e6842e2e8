//! First attempts as a webhook gets them: one JSON object for all that has come since the last one, signed if there is a secret as
//! "Standard Webhooks" has it (<https://www.standardwebhooks.com>), for which receivers find libraries.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::BASE64;
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::json;

use super::config::WebhookSink;
use super::error::SendError;
use super::event::Event;
use super::line::Given;
use super::messages::Messages;
use crate::time::Timestamp;
use crate::upstream::Questions;

/// What the object says that it is.
const TYPE: &str = "embargo.first_attempts";
/// Octets of a secret: so many at least, and at most.
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that the receiver knows too.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

/// A text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no secret; write `whsec_` and 24 to 64 octets in base64, as `echo whsec_$(openssl rand -base64 32)` prints them"
)]
pub struct SecretError;

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let octets = text.strip_prefix("whsec_").and_then(|text| BASE64.decode(text.as_bytes()).ok());
        octets.filter(|octets| SECRET.contains(&octets.len())).map(|octets| Self(octets.into())).ok_or(SecretError)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret").finish_non_exhaustive()
    }
}

/// Posts all of these in one message.
pub(super) async fn post(
    sink: &WebhookSink,
    questions: &dyn Questions,
    messages: &Messages,
    now: Timestamp,
) -> Result<Given, SendError> {
    let Some(first) = &messages.first else { return Ok(Given::Taken) };
    let body = body(messages, first, now);
    let fields = fields(sink.secret.as_ref(), &id(messages, first), now, &body);
    let reply = sink.hook.post(questions, &fields, body).await?;
    match reply {
        taken if taken.is_taken() => Ok(Given::Taken),
        refused if refused.is_final() => Ok(Given::Refused(refused.code)),
        later => Err(SendError::Status { code: later.code, retry_after: later.retry_after }),
    }
}

/// The name of a message: another one when more has come by the time that it is sent again.
fn id(messages: &Messages, first: &Event) -> String {
    format!("{}-{}", first.id, messages.ends.len())
}

/// The fields of the head that receivers check (Standard Webhooks 1.0.0, "Webhook headers").
fn fields(secret: Option<&Secret>, id: &str, now: Timestamp, body: &str) -> Vec<(&'static str, String)> {
    let seconds = now.as_second();
    let mut fields = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string())];
    if let Some(Secret(octets)) = secret {
        let tag = sign(&Key::new(HMAC_SHA256, octets), format!("{id}.{seconds}.{body}").as_bytes());
        fields.push(("webhook-signature", format!("v1,{}", BASE64.encode(tag.as_ref()))));
    }
    fields
}

fn body(messages: &Messages, first: &Event, now: Timestamp) -> String {
    let head = json!({ "type": TYPE, "timestamp": now.to_string(), "text": text(first, messages.ends.len()) });
    let mut body = head.to_string();
    // The events are in it as they are in the spool of texts: JSON already, and ASCII.
    body.truncate(body.len() - 1);
    body.push_str(",\"events\":[");
    let mut begin = 0;
    for &end in &messages.ends {
        if begin > 0 {
            body.push(',');
        }
        body.push_str(&String::from_utf8_lossy(messages.octets.get(begin..end).unwrap_or_default()));
        begin = end;
    }
    body.push_str("]}");
    body
}

/// A sentence for people, as chat rooms show it.
fn text(first: &Event, events: usize) -> String {
    let row = &first.row;
    let client = row.client.map_or_else(|| "?".to_owned(), |client| client.to_string());
    let who = row.device.as_ref().map_or_else(|| client.clone(), |device| format!("{device} ({client})"));
    let (qname, evidence) = (row.qname.as_deref().unwrap_or("several names"), row.evidence.as_str());
    let more = match events - 1 {
        0 => String::new(),
        1 => " One more device did such a thing for the first time.".to_owned(),
        more => format!(" {more} more devices did such a thing for the first time."),
    };
    let (ban, site) = (&row.ban, &row.site);
    format!(
        "Device {who} of site {site} looked up {qname} for the first time, which ban {ban} is about ({evidence}).{more}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sinks::event::{Mark, Placed, sample};
    use crate::sinks::fields::{Fields, Observer};

    fn messages(names: &[&str]) -> Messages {
        let observer = Observer { host: "dns1".to_owned(), pid: 1 };
        let mut messages = Messages::default();
        for (rows, name) in (0..).zip(names) {
            let before = Mark { rows, attempts: rows };
            let event = Placed { before, row: sample::row(name, 1) }.into_event(&"0123456789abcdef".into());
            Fields::Plain.write(&event, &observer, &mut messages.octets);
            messages.ends.push(messages.octets.len());
            messages.first.get_or_insert(event);
        }
        messages
    }

    #[test]
    fn a_message_has_every_event_and_a_sentence() {
        let now = "2026-11-28T10:00:01Z".parse().unwrap();
        for (names, more) in [
            (&["a.upd.example"][..], ""),
            (&["a.upd.example", "b.upd.example"], " One more device did such a thing for the first time."),
            (&["a.upd.example", r"\034.upd.example", "c"], " 2 more devices did such a thing for the first time."),
        ] {
            let messages = messages(names);
            let body: Value = serde_json::from_str(&body(&messages, messages.first.as_ref().unwrap(), now)).unwrap();
            let found: Vec<&str> =
                body["events"].as_array().unwrap().iter().map(|e| e["qname"].as_str().unwrap()).collect();
            assert_eq!(found, names);
            assert_eq!((&body["type"], &body["timestamp"]), (&json!(TYPE), &json!("2026-11-28T10:00:01Z")));
            let text = "Device mac:52:54:00:00:00:0a (192.0.2.7) of site berlin looked up a.upd.example for the first time, \
                        which ban vendor is about (installed).";
            assert_eq!(body["text"], format!("{text}{more}"));
        }
    }

    /// The example of the specification.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let fields = fields(Some(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", now, r#"{"test": 2432232314}"#);
        assert_eq!(fields[1], ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(fields[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?"] {
            assert_eq!(wrong.parse::<Secret>(), Err(SecretError), "{wrong}");
        }
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
