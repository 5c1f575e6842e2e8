//! TOML text into the struct that says how it may look, with every mistake of form, not only the first.
//!
//! serde stops at the first fault. So the faulty entry is taken out of the parsed table and the rest is read again,
//! until it fits; the structs stay the one place that knows which keys exist.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::suggest::nearest_first;
use crate::diag::{Diagnostic, Source};

/// Mistakes of form named in one file at most; the operator fixes these and sees the rest.
const MISTAKES_MAX: usize = 50;

/// What could be read of a file.
pub(super) struct Written<T> {
    /// What fits; `None` after a fault of syntax.
    pub(super) value: Option<T>,
    /// Keys that stand in the file and were left out for their form: they are not missing.
    pub(super) unfit: Vec<String>,
}

/// Reads `source` into `T`. What does not fit is left out of the value and named in `mistakes`.
pub(super) fn read<T: for<'de> Deserialize<'de>>(source: &Source, mistakes: &mut Vec<Diagnostic>) -> Written<T> {
    let (mut table, faults) = DeTable::parse_recoverable(&source.text);
    let mut unfit = Vec::new();
    if !faults.is_empty() {
        mistakes.extend(of_syntax(source, &faults));
        return Written { value: None, unfit };
    }
    for _ in 0..MISTAKES_MAX {
        let fault = match T::deserialize(Deserializer::from(table.clone())) {
            Ok(value) => return Written { value: Some(value), unfit },
            Err(fault) => fault,
        };
        let span = fault.span().unwrap_or_default();
        let Some(path) = take_out(table.get_mut(), &span) else {
            mistakes.push(source.error(span, sentence(fault.message())));
            break;
        };
        mistakes.push(source.error(span, explained(fault.message(), &path)));
        unfit.extend(path.into_iter().next_back());
    }
    Written { value: None, unfit }
}

/// The first fault of each line: those behind it follow from it, more often than not.
fn of_syntax(source: &Source, faults: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = faults
        .iter()
        .map(|fault| source.error(fault.span().unwrap_or_default(), sentence(fault.message())))
        .take(MISTAKES_MAX)
        .collect();
    in_order(&mut found);
    found.dedup_by_key(|mistake| mistake.place.as_ref().map(|place| place.line));
    found
}

/// Sorts the mistakes of one file as an operator would meet them.
pub(super) fn in_order(mistakes: &mut [Diagnostic]) {
    mistakes.sort_by_key(|mistake| mistake.place.as_ref().map(|place| (place.line, place.column)));
}

/// Takes the entry whose key or value stands at `span` out of the table; returns its path, or `None` when there is
/// none.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<Vec<String>> {
    let found = table
        .iter()
        .find(|(key, value)| key.span() == *span || value.span() == *span)
        .map(|(key, _value)| key.get_ref().to_string());
    if let Some(key) = found {
        table.remove(key.as_str());
        return Some(vec![key]);
    }
    table.iter_mut().find_map(|(key, value)| {
        let mut path = take_out_below(value, span)?;
        path.insert(0, key.get_ref().to_string());
        Some(path)
    })
}

fn take_out_below<'i>(value: &mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<Vec<String>> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            let before = array.len();
            let elements = std::mem::replace(array, DeArray::new());
            let kept: DeArray<'i> = elements.into_iter().filter(|element| element.span() != *span).collect();
            *array = kept;
            if array.len() < before {
                return Some(Vec::new());
            }
            array.iter_mut().find_map(|element| take_out_below(element, span))
        }
        _ => None,
    }
}

/// serde's message in the words of this project; for an unknown key the known ones, nearest first.
fn explained(message: &str, path: &[String]) -> String {
    if !message.starts_with("unknown field") {
        return sentence(&in_words_of_toml(message));
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    let table = match path {
        [parents @ .., _key] if !parents.is_empty() => format!(" in [{}]", parents.join(".")),
        _ => String::new(),
    };
    format!("unknown key `{unknown}`{table}; known keys: {}", nearest_first(unknown, &known).join(", "))
}

/// serde's names of types as the operator knows them.
fn in_words_of_toml(message: &str) -> String {
    const WORDS: [(&str, &str); 3] = [
        ("expected i64", "expected a whole number"),
        ("expected a sequence", "expected an array, in [ ]"),
        ("map", "table"),
    ];
    WORDS.iter().fold(message.to_owned(), |message, (from, to)| message.replace(from, to))
}

/// One line that begins in lower case and has no full stop, as all our messages do.
fn sentence(message: &str) -> String {
    let line = message.lines().collect::<Vec<_>>().join(", ");
    let mut characters = line.trim_end_matches('.').chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        listen: Vec<String>,
        cache: Inner,
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        size: u32,
        name: String,
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) -> Outer {
        let mut mistakes = Vec::new();
        let value = read::<Outer>(&Source::new("x.toml", text), &mut mistakes).value.unwrap();
        in_order(&mut mistakes);
        let found: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let place = mistake.place.as_ref().unwrap();
                format!("{}:{} {}", place.line, place.column, mistake.message)
            })
            .collect();
        assert_eq!(found, expected);
        value
    }

    #[test]
    fn every_mistake_of_form_is_found_and_the_rest_is_kept() {
        let value = check(
            "lisen = []\nlisten = [\"a\", 7]\n[cache]\nsize = \"big\"\nname = \"n\"\n[[list]]\nsise = 1\n[[list]]\nname = \"m\"\n",
            &[
                "1:1 unknown key `lisen`; known keys: listen, list, cache",
                "2:16 invalid type: integer `7`, expected a string",
                "4:8 invalid type: string \"big\", expected u32",
                "7:1 unknown key `sise` in [list]; known keys: size, name",
            ],
        );
        assert_eq!(value.cache.name, "n");
        assert_eq!(value.listen, ["a"]);
        assert_eq!(value.list.len(), 2);
    }

    #[test]
    fn a_fault_of_syntax_is_told_once_a_line() {
        let mut mistakes = Vec::new();
        let source = Source::new("x", "listen = [\"a\"\ncache = 1\n");
        assert_eq!(read::<Outer>(&source, &mut mistakes).value, None);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    }
}
