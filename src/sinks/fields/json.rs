//! JSON in ASCII alone: a line that a terminal, a pager or another encoding can do nothing wrong with.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Escapes every character that is not printable ASCII.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if (' '..='~').contains(&character) {
                to.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(to, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// Appends the value.
pub(super) fn write(value: &Value, to: &mut Vec<u8>) {
    // A value has no keys but texts, and memory takes everything.
    value.serialize(&mut Serializer::with_formatter(to, Ascii)).unwrap_or_default();
}

/// Removes members that are null: field sets know no such values.
pub(super) fn without_nulls(mut value: Value) -> Value {
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_key, member| {
            prune(member);
            !member.is_null()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_reads_as_what_it_was() {
        let text = "a\u{7f}\u{9b}31m\u{202e}ü🦀\n\"\\ok ";
        let value = serde_json::json!({ "k": text, "none": null, "in": { "none": null, "n": 1 } });
        let mut line = Vec::new();
        write(&value, &mut line);
        assert!(line.iter().all(|octet| (b' '..=b'~').contains(octet)), "{}", String::from_utf8_lossy(&line));
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), value);
        assert_eq!(without_nulls(value), serde_json::json!({ "k": text, "in": { "n": 1 } }));
    }
}
