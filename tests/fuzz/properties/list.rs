//! Lists: every line is a rule, is empty, or is counted as bad; what a rule says is read again the same.

use embargo::diag::{Diagnostic, Source};
use embargo::policy::{Line, ListFormat, ListReader, Pattern, Rule, Strictness};

/// Messages about one list at most, the one about the rest included.
const DIAGNOSTICS_MAX: usize = 101;
/// Octets of a line at most.
const LINE_MAX: usize = 4096;
/// Rules of one text after whose names it is asked: each reads the text from its beginning.
const ASKED_MAX: usize = 3;

/// Holds the property for a text in every format.
pub(crate) fn check(octets: &[u8]) {
    let source = Source::new("fuzz.txt", String::from_utf8_lossy(octets));
    for format in ListFormat::ALL {
        let mut rules: Vec<(usize, Rule)> = Vec::new();
        let lenient = format.parse(&source, Strictness::Lenient, &mut |rule, line| {
            rules.push((line.number, rule.clone()));
        });
        assert_eq!(lenient.rules, rules.len());
        // In the others lines of other kinds say nothing, and one may have several rules.
        if matches!(format, ListFormat::Rules | ListFormat::Domains)
            && !lenient.diagnostics.iter().any(Diagnostic::is_error)
        {
            assert_eq!(lenient.rules + lenient.bad_lines + silent_lines(&source.text), source.text.split('\n').count());
        }
        assert!(rules.is_sorted_by_key(|(number, _rule)| *number));
        assert!(lenient.diagnostics.len() <= DIAGNOSTICS_MAX.min(lenient.bad_lines + 1));
        assert_eq!(lenient.diagnostics.is_empty(), lenient.bad_lines == 0);
        for diagnostic in &lenient.diagnostics {
            let text = diagnostic.to_string();
            assert!(text.starts_with("fuzz.txt"), "{text}");
            assert!(!text.contains(|character: char| character.is_control() && character != '\n'), "{text:?}");
        }
        for (number, rule) in rules.iter().take(ASKED_MAX) {
            let text = rule.pattern.to_string();
            assert_eq!(Pattern::parse(&text).as_ref(), Ok(&rule.pattern), "line {number}: {text}");
            about(format, &source, rule, &rules);
        }
        strict(format, &source, lenient.bad_lines, rules.len());
    }
}

/// Whoever reads a text for one name alone misses no rule that has a say about it.
fn about(format: ListFormat, source: &Source, asked: &Rule, rules: &[(usize, Rule)]) {
    let name = asked.pattern.name();
    let mut reader = ListReader::new(format, "fuzz.txt".into(), Strictness::Lenient);
    let mut given = Vec::new();
    reader.foresee(source.text.as_bytes());
    let mut sink = |rule: &Rule, line: &Line<'_>| given.push((line.number, rule.clone()));
    for piece in source.text.as_bytes().chunks(50) {
        reader.about(name);
        reader.read(piece, &mut sink);
    }
    reader.finish(&mut sink);
    let concerned = |(_line, rule): &&(usize, Rule)| rule.pattern.concerns(name);
    assert!(given.iter().filter(concerned).eq(rules.iter().filter(concerned)), "{name}");
}

/// A strict text is taken whole or not at all.
fn strict(format: ListFormat, source: &Source, bad_lines: usize, rules: usize) {
    let mut taken = 0;
    let parsed = format.parse(source, Strictness::Strict, &mut |_rule, _line| taken += 1);
    let expected = if bad_lines == 0 { rules } else { 0 };
    assert_eq!((parsed.rules, taken, parsed.bad_lines), (expected, expected, bad_lines));
}

/// Lines that say nothing: blank ones and comments. One that is too long is bad, whatever it says.
fn silent_lines(text: &str) -> usize {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let silent = |line: &&str| {
        let words = line.trim_start_matches([' ', '\t']);
        line.len() <= LINE_MAX && (words.is_empty() || words.starts_with('#'))
    };
    lines.filter(silent).count()
}
