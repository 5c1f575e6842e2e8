//! Which trigger an owner name is: its name without that of the zone, which the file may say or leave to whoever loads it.

use super::super::Fault;
use super::tokens::Token;

/// The names that owners are relative to, without their last dots; `None`: nobody has said.
#[derive(Default)]
pub(super) struct Names {
    /// The name of the zone.
    apex: Option<String>,
    /// What relative names end in: the zone's name where nothing else is said.
    origin: Option<String>,
}

impl Names {
    /// `$ORIGIN name`.
    pub(super) fn turn_to(&mut self, name: &Token<'_>) -> Result<(), Fault> {
        self.origin = match (absolute(name.word), &self.origin) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(origin)) => Some(joined(name.word, origin)),
            (None, None) => return Err(Fault::new(name.span.clone(), "relative to a name that nobody has said")),
        };
        Ok(())
    }

    /// The owner of the SOA record: the name of the zone.
    pub(super) fn begin(&mut self, owner: &Token<'_>) -> Result<(), Fault> {
        let apex = match (absolute(owner.word), &self.origin) {
            (Some(name), _) => name.to_owned(),
            (None, Some(origin)) if owner.word == "@" => origin.clone(),
            (None, Some(origin)) => joined(owner.word, origin),
            (None, None) if owner.word == "@" => return Ok(()),
            (None, None) => return Err(Fault::new(owner.span.clone(), "relative to a name that nobody has said")),
        };
        if self.origin.is_none() {
            self.origin = Some(apex.clone());
        }
        self.apex = Some(apex);
        Ok(())
    }

    /// An owner as the zone sees it: relative to its name, empty for the zone itself. `room` is for names that have to be put
    /// together.
    pub(super) fn relative<'n>(&mut self, owner: &Token<'n>, room: &'n mut String) -> Result<&'n str, Fault> {
        // A file without SOA, or before it: its first origin is its name.
        if self.apex.is_none() {
            self.apex.clone_from(&self.origin);
        }
        let absolute = absolute(owner.word);
        if absolute.is_none() && self.origin == self.apex {
            return Ok(if owner.word == "@" { "" } else { owner.word });
        }
        let (Some(apex), Some(origin)) = (&self.apex, &self.origin) else {
            return Err(Fault::new(
                owner.span.clone(),
                "not below the zone's name, which no SOA and no $ORIGIN has said",
            ));
        };
        room.clear();
        match absolute {
            Some(name) => room.push_str(name),
            None if owner.word == "@" => room.push_str(origin),
            None => room.push_str(&joined(owner.word, origin)),
        }
        below(room, apex).ok_or_else(|| Fault::new(owner.span.clone(), format!("not below the zone's name, `{apex}`")))
    }
}

/// The name without its last dot; `None`: it is relative.
fn absolute(name: &str) -> Option<&str> {
    name.strip_suffix('.').filter(|rest| rest.bytes().rev().take_while(|octet| *octet == b'\\').count() % 2 == 0)
}

fn joined(name: &str, origin: &str) -> String {
    if origin.is_empty() { name.to_owned() } else { format!("{name}.{origin}") }
}

/// What stands in front of the zone's name.
fn below<'n>(name: &'n str, apex: &str) -> Option<&'n str> {
    if apex.is_empty() {
        return Some(name);
    }
    let start = name.len().checked_sub(apex.len())?;
    let (front, end) = (name.get(..start)?, name.get(start..)?);
    if !end.eq_ignore_ascii_case(apex) {
        return None;
    }
    if front.is_empty() { Some("") } else { absolute(front) }
}
