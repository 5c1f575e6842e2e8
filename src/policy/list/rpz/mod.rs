//! Response policy zones as zone files (RFC 1035 §5, draft-vixie-dnsop-dns-rpz): each owner name is a trigger, its record the
//! action.
//!
//! What a forwarder never sees (names and addresses of name servers) and what no action of ours says is diagnosed.

mod action;
mod names;
mod tokens;
mod trigger;

use std::ops::Range;

use self::action::{Meaning, meaning};
use self::names::Names;
use self::tokens::{Joined, Token, tokens};
use self::trigger::{Trigger, trigger};
use super::{Fault, Line, Out, plain};
use crate::policy::pattern::Pattern;

/// A zone on its way from its lines to rules.
#[derive(Default)]
pub(super) struct Zone {
    names: Names,
    /// The owner of the record before, as a trigger; `None`: there was none that could be understood.
    owner: Option<String>,
    /// A record in parentheses that has not ended.
    open: Option<Joined>,
    /// A buffer for names that are not written whole.
    room: String,
}

impl Zone {
    /// Reads a line: a record, a directive, or a part of a record in parentheses, whose end gives its rules.
    pub(super) fn read(&mut self, line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
        if self.open.is_none() && !line.text.contains(['(', ')']) {
            return self.record(line, out);
        }
        let mut open = self.open.take().unwrap_or_else(|| Joined::new(line.number));
        open.add(line.text)?;
        if open.is_whole() {
            let mut whole = Line { text: open.text(), number: open.number(), ..line.clone() };
            return self.record(&mut whole, out);
        }
        self.open = Some(open);
        Ok(())
    }

    /// What is wrong at the end of the file.
    pub(super) fn finish(&self) -> Option<Fault> {
        let open = self.open.as_ref()?;
        Some(Fault::new(0..1, format!("the record that begins on line {} has no `)`", open.number())))
    }

    fn record(&mut self, line: &mut Line<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
        let text = line.text;
        let mut words = tokens(text);
        let Some(first) = words.next() else { return Ok(()) };
        if first.word.starts_with('$') {
            return self.directive(&first, &mut words);
        }
        let mut owner_span = 0..0;
        let next = if text.starts_with([' ', '\t']) {
            Some(first)
        } else {
            owner_span = first.span.clone();
            // Whatever is wrong with it, the records behind it are not those of the owner before.
            self.owner = None;
            let (names, room) = (&mut self.names, &mut self.room);
            let record_type = type_of(tokens(text).skip(1)).map_or("", |token| token.word);
            if record_type.eq_ignore_ascii_case("SOA") {
                names.begin(&first)?;
            }
            let owner = names.relative(&first, room)?;
            let kept = self.owner.get_or_insert_default();
            kept.clear();
            kept.push_str(owner);
            words.next()
        };
        let Some(owner) = &self.owner else {
            return Err(Fault::new(whole(text), "a record without an owner name before it"));
        };
        let Some(record_type) = type_of(next.into_iter().chain(&mut words)) else {
            return Err(Fault::new(whole(text), "a record without a type"));
        };
        match meaning(&record_type, words.next().as_ref(), owner)? {
            Meaning::Nothing => Ok(()),
            // What belongs to the zone itself.
            Meaning::Action { .. } if owner.is_empty() => Ok(()),
            Meaning::Action { allow, does } => {
                let span = if owner_span.is_empty() { record_type.span } else { owner_span };
                let pattern = match trigger(owner).map_err(|message| Fault::new(span.clone(), message))? {
                    Trigger::Name(kind, name) => plain(&place(owner, name, &span), name, kind, allow)?,
                    Trigger::Network(kind, network) => Pattern::of_network(network, kind, allow),
                };
                out.give(line, span, pattern, does);
                Ok(())
            }
        }
    }

    fn directive<'t>(
        &mut self,
        directive: &Token<'t>,
        words: &mut impl Iterator<Item = Token<'t>>,
    ) -> Result<(), Fault> {
        let missing = || Fault::new(directive.span.clone(), "nothing stands behind the directive");
        let value = words.next().ok_or_else(missing)?;
        if directive.word.eq_ignore_ascii_case("$ORIGIN") {
            return self.names.turn_to(&value);
        }
        if directive.word.eq_ignore_ascii_case("$TTL") {
            // Answers have the TTL of their ban.
            return Ok(());
        }
        Err(Fault::new(directive.span.clone(), "a directive that is not followed; known: $ORIGIN, $TTL"))
    }
}

/// Where the name of an owner stands: at the end of it, unless the owner is not written as it is meant.
fn place(owner: &str, name: &str, span: &Range<usize>) -> Range<usize> {
    let is_written = span.len() == owner.len() && name.len() <= owner.len();
    if is_written { span.end - name.len()..span.end } else { span.clone() }
}

fn whole(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    start..text.len()
}

/// The type of a record: what stands behind TTL and class, which may come in either order.
fn type_of<'t>(mut words: impl Iterator<Item = Token<'t>>) -> Option<Token<'t>> {
    let is_class = |word: &str| ["IN", "CH", "HS"].iter().any(|class| class.eq_ignore_ascii_case(word));
    let is_time = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    words.find(|token| !is_class(token.word) && !is_time(token.word))
}
