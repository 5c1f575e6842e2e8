//! The address of a page: what was asked for, and addresses that ask for something else of it.

use std::fmt::Write as _;

use crate::admin::call::Call;

/// An address: its path, encoded as it came, and its fields in their order. Empty ones are left out, as forms send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    path: String,
    part: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    /// What a request asks for.
    pub(super) fn of(call: &Call) -> Self {
        Self::new(call.uri.path(), call.part("part"), call.query.clone())
    }

    /// Nothing in particular.
    pub(super) fn nothing() -> Self {
        Self::new("/", "", Vec::new())
    }

    fn new(path: &str, part: &str, mut fields: Vec<(String, String)>) -> Self {
        fields.retain(|(_name, value)| !value.is_empty());
        Self { path: path.to_owned(), part: part.to_owned(), fields }
    }

    /// The part of its path that stands for something.
    pub(super) fn part(&self) -> &str {
        &self.part
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
        let meant: Vec<&str> = changes.iter().map(|(name, _value)| *name).collect();
        let given = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let fields: Vec<(&str, &str)> = self.others(&meant).chain(given).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::call::pairs;

    #[test]
    fn an_address_says_what_it_was_made_of() {
        let hostile = "a&b=c+d%\"<>'é/?#";
        let address = link("/activity", &[("name", hostile), ("ban", ""), ("site", "hq")]);
        let (path, query) = address.split_once('?').unwrap();
        let asked = Asked::new(path, "", pairs(query).unwrap());
        assert_eq!((asked.get("name"), asked.get("ban"), asked.get("site")), (Some(hostile), None, Some("hq")));
        assert_eq!(asked.with(&[("name", None), ("site", Some("b c"))]), "/activity?site=b%20c");
    }
}
