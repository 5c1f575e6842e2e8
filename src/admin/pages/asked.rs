//! The address of a page: what was asked for, and addresses that ask for something else of it.

use std::fmt::Write as _;

use super::trouble::Trouble;

/// Fields of an address at most, and octets of its query.
const FIELDS_MAX: usize = 32;
const OCTETS_MAX: usize = 8_192;

/// An address: its path, encoded as it came, and its fields in their order. Empty ones are left out, as forms send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    path: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    /// Reads the query of an address.
    pub(super) fn read(path: String, query: &str) -> Result<Self, Trouble> {
        if query.len() > OCTETS_MAX {
            return Err(Trouble::Wrong("the address is too long".to_owned()));
        }
        let mut fields = Vec::new();
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        if fields.len() > FIELDS_MAX {
            return Err(Trouble::Wrong("the address has too many fields".to_owned()));
        }
        Ok(Self { path, fields })
    }

    /// The last segment of its path, decoded.
    pub(super) fn last(&self) -> Result<String, Trouble> {
        decoded(self.path.rsplit('/').next().unwrap_or_default())
    }

    /// The path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _value)| known == name).map(|(_name, value)| value.trim())
    }

    /// Every field but these.
    pub(super) fn others<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.fields.iter().map(|(name, value)| (&**name, &**value));
        fields.filter(|(name, _value)| !names.contains(name))
    }

    /// This address with other values of some fields, or without them.
    pub(super) fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let names: Vec<&str> = changes.iter().map(|(name, _value)| *name).collect();
        let changed = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let fields: Vec<(&str, &str)> = self.others(&names).chain(changed).collect();
        joined(self.path.clone(), &fields)
    }
}

/// An address of this path with these fields.
pub(super) fn link(path: &str, fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().copied().filter(|(_name, value)| !value.is_empty()).collect();
    joined(path.to_owned(), &fields)
}

fn joined(mut address: String, fields: &[(&str, &str)]) -> String {
    for (at, (name, value)) in fields.iter().enumerate() {
        address.push(if at == 0 { '?' } else { '&' });
        address.push_str(&encoded(name));
        address.push('=');
        address.push_str(&encoded(value));
    }
    address
}

/// A text as a part of an address (RFC 3986, 2.1).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~:".contains(&octet) {
            out.push(char::from(octet));
        } else {
            // Writing to a String can't fail.
            let _infallible = write!(out, "%{octet:02X}");
        }
    }
    out
}

/// A part of an address as text; `+` is a blank, as forms send it.
fn decoded(text: &str) -> Result<String, Trouble> {
    let wrong = || Trouble::Wrong("the address is not encoded as addresses are".to_owned());
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = digit().zip(digit()).ok_or_else(wrong)?;
                u8::try_from(high * 16 + low).map_err(|_error| wrong())?
            }
            other => other,
        });
    }
    String::from_utf8(octets).map_err(|_error| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_was_made_of() {
        let hostile = "a&b=c+d%\"<>'é/?#";
        let address = link("/activity", &[("name", hostile), ("ban", ""), ("site", "hq")]);
        let (path, query) = address.split_once('?').unwrap();
        let asked = Asked::read(path.to_owned(), query).unwrap();
        assert_eq!((asked.get("name"), asked.get("ban"), asked.get("site")), (Some(hostile), None, Some("hq")));
        assert_eq!(asked.with(&[("name", None), ("site", Some("b c"))]), "/activity?site=b%20c");
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        let long = "a=b&".repeat(40);
        for query in ["a=%", "a=%4", "a=%GG", "a=%FF", &long, &"a".repeat(9_000)] {
            assert!(Asked::read("/".to_owned(), query).is_err(), "{query}");
        }
        let asked = Asked::read("/".to_owned(), "&&a&b=&c=%20x+y").unwrap();
        assert_eq!((asked.get("a"), asked.get("b"), asked.get("c")), (None, None, Some("x y")));
    }
}
