//! What is sent and answered, described once: requests are checked by it, answers in tests are, and OpenAPI tells it.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::problem::Problem;
use crate::time::{Day, Timestamp};

/// The form of a JSON value, or of a parameter that is written as text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// RFC 3339 with its offset.
    Time,
    /// A day: 2026-12-24.
    Day,
    /// An address of IPv4 or IPv6.
    Address,
    /// A whole number from one to another.
    Whole(i64, i64),
    /// Yes or no.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// That, or null.
    Maybe(&'static Shape),
    /// That, of a parameter that has to be given.
    Needed(&'static Shape),
    /// So many of that as there are.
    List(&'static Shape),
    /// A page of a list of that: its rows, and where the next page begins.
    Page(&'static Shape),
    /// These fields, and no others.
    Object(&'static [Field]),
    /// A form of its own, told elsewhere.
    Free,
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// Whether it is always there.
    pub(super) required: bool,
}

/// A field that is always there.
pub(super) const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

/// Any number that is no fault.
pub(super) const COUNT: Shape = Shape::Whole(0, i64::MAX);

impl Shape {
    /// Whether a value has it.
    ///
    /// # Errors
    /// The first place that has not.
    pub(super) fn check(&self, value: &Value, place: &str) -> Result<(), Problem> {
        let wrong = |what: &str| Err(Problem::bad(place, what.to_owned()));
        match (self, value) {
            (Self::Free, _) | (Self::Flag, Value::Bool(_)) | (Self::Maybe(_), Value::Null) => Ok(()),
            (Self::Maybe(inner) | Self::Needed(inner), value) => inner.check(value, place),
            (Self::Flag, _) => wrong("has to be true or false"),
            (Self::Whole(least, most), Value::Number(number)) => {
                let fits = number.as_i64().map_or(*most == i64::MAX && number.as_u64().is_some(), |number| {
                    (*least..=*most).contains(&number)
                });
                if fits { Ok(()) } else { wrong(&format!("has to be a whole number from {least} to {most}")) }
            }
            (Self::Whole(least, most), _) => wrong(&format!("has to be a whole number from {least} to {most}")),
            (Self::Text | Self::Time | Self::Day | Self::Address | Self::Word(_), Value::String(text)) => {
                self.check_text(text, place)
            }
            (Self::Text | Self::Time | Self::Day | Self::Address | Self::Word(_), _) => wrong("has to be a text"),
            (Self::List(inner), Value::Array(items)) => {
                items.iter().enumerate().try_for_each(|(at, item)| inner.check(item, &format!("{place}[{at}]")))
            }
            (Self::List(_), _) => wrong("has to be a list"),
            (Self::Object(fields), Value::Object(object)) => check_object(fields, object, place),
            (Self::Page(inner), Value::Object(object)) => check_object(&page(inner), object, place),
            (Self::Object(_) | Self::Page(_), _) => wrong("has to be an object"),
        }
    }

    /// The same of what is written as text.
    ///
    /// # Errors
    /// It has not.
    pub(super) fn check_text(&self, text: &str, place: &str) -> Result<(), Problem> {
        let fits = match self {
            Self::Time => text.parse::<Timestamp>().is_ok(),
            Self::Day => text.parse::<Day>().is_ok(),
            Self::Address => text.parse::<IpAddr>().is_ok(),
            Self::Whole(least, most) => text.parse::<i64>().is_ok_and(|number| (*least..=*most).contains(&number)),
            Self::Flag => matches!(text, "true" | "false"),
            Self::Word(words) => words.contains(&text),
            Self::Needed(inner) => return inner.check_text(text, place),
            _ => true,
        };
        if fits {
            return Ok(());
        }
        let form = match self {
            Self::Time => "a moment such as 2026-12-24T18:00:00Z".to_owned(),
            Self::Day => "a day such as 2026-12-24".to_owned(),
            Self::Address => "an address such as 192.0.2.7 or 2001:db8::7".to_owned(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            _ => "another form".to_owned(),
        };
        Err(Problem::bad(place, format!("has to be {form}")))
    }

    /// As OpenAPI tells it (JSON Schema 2020-12).
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Day => json!({"type": "string", "format": "date"}),
            Self::Address => json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
            Self::Whole(least, i64::MAX) => json!({"type": "integer", "minimum": least}),
            Self::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Needed(inner) => inner.schema(),
            Self::Maybe(inner) => json!({"anyOf": [inner.schema(), {"type": "null"}]}),
            Self::List(inner) => json!({"type": "array", "items": inner.schema()}),
            Self::Object(fields) => object(fields),
            Self::Page(inner) => object(&page(inner)),
            Self::Free => json!({}),
        }
    }
}

fn page(inner: &'static Shape) -> [Field; 2] {
    [field("items", Shape::List(inner)), field("next", Shape::Maybe(&Shape::Text))]
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.shape.schema())).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn check_object(fields: &[Field], object: &Map<String, Value>, place: &str) -> Result<(), Problem> {
    let at = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    for Field { name, shape, required } in fields {
        match object.get(*name) {
            Some(value) => shape.check(value, &at(name))?,
            None if *required => return Err(Problem::bad(at(name), "is missing")),
            None => (),
        }
    }
    let known = |key: &String| fields.iter().any(|field| field.name == key);
    match object.keys().find(|key| !known(key)) {
        None => Ok(()),
        Some(key) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            Err(Problem::bad(super::call::cut(key), format!("unknown field; known: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Shape = Shape::Object(&[
        field("who", Shape::Text),
        optional("until", Shape::Maybe(&Shape::Time)),
        optional("many", Shape::List(&Shape::Whole(1, 3))),
        optional("kind", Shape::Word(&["a", "b"])),
    ]);

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        let check = |value: Value, field: Option<&str>| {
            let found = FORM.check(&value, "").err();
            assert_eq!(found.as_ref().and_then(|problem| problem.field.as_deref()), field, "{value}");
        };
        check(json!({"who": "x", "until": null, "many": [1, 3], "kind": "b"}), None);
        check(json!({"who": "x", "until": "2026-12-24T18:00:00+01:00"}), None);
        check(json!({}), Some("who"));
        check(json!({"who": 1}), Some("who"));
        check(json!({"who": "x", "until": "tomorrow"}), Some("until"));
        check(json!({"who": "x", "many": [1, 4]}), Some("many[1]"));
        check(json!({"who": "x", "kind": "c"}), Some("kind"));
        check(json!({"who": "x", "whom": "y"}), Some("whom"));
        check(json!([]), Some(""));
    }
}
