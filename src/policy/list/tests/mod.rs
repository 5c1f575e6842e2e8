//! Lists line by line: what is read, what is refused, and where the caret stands.

mod foreign;

use proptest::prelude::*;

use super::*;
use crate::policy::rule::Does;
use crate::policy::{Action, Evidence, Mode, Pattern};
use crate::wire::LowerName;

fn parse(format: ListFormat, strictness: Strictness, text: &str) -> (Vec<(usize, Rule)>, Parsed) {
    let mut rules = Vec::new();
    let source = Source::new("r.txt", text);
    let parsed = format.parse(&source, strictness, &mut |rule, line| rules.push((line.number, rule.clone())));
    assert_eq!(parsed.rules, rules.len());
    (rules, parsed)
}

/// Each rule of a strict text as `line:pattern category evidence does`.
fn shown(text: &str) -> Vec<String> {
    let (rules, parsed) = parse(ListFormat::Rules, Strictness::Strict, text);
    assert_eq!(parsed.diagnostics, [], "{text:?}");
    let one = |(line, rule): &(usize, Rule)| {
        let does = match rule.does {
            None => "",
            Some(Does::Mode(mode)) => mode.as_str(),
            Some(Does::Action(action)) => action.as_str(),
        };
        format!("{line}:{} {} {} {does}", rule.pattern, rule.category, rule.evidence.as_str())
    };
    rules.iter().map(one).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(text), expected, "{text:?}");
}

/// The fault of one line: `column+width: message`.
#[track_caller]
fn check_fault(format: ListFormat, text: &str, column: usize, carets: &str, message: &str) {
    let (rules, parsed) = parse(format, Strictness::Strict, text);
    assert_eq!((rules.len(), parsed.bad_lines), (0, 1), "{text:?}");
    let diagnostic = &parsed.diagnostics[0];
    assert!(diagnostic.is_error());
    assert_eq!(diagnostic.place.as_ref().unwrap().column, column, "{diagnostic}");
    assert!(diagnostic.message.contains(message), "{diagnostic}");
    assert_eq!(diagnostic.to_string().rsplit(' ').next(), Some(carets), "{diagnostic}");
}

#[test]
fn missing_columns_take_their_defaults() {
    check("a.example", &["1:a.example uncategorised ambiguous "]);
    check("a.example update", &["1:a.example update ambiguous "]);
    check("a.example update installed", &["1:a.example update installed "]);
    check("a.example web visit enforce", &["1:a.example web visit enforce"]);
    check("a.example web visit sinkhole # why", &["1:a.example web visit sinkhole"]);
    check("!a.example web visit off", &["1:!a.example web visit off"]);
}

#[test]
fn no_word_of_a_comment_is_a_column_however_few_stand_before_it() {
    check("a.example # update installed off more\n", &["1:a.example uncategorised ambiguous "]);
    check("a.example x # installed off more\n", &["1:a.example x ambiguous "]);
    check("a.example x likely # off, more\n", &["1:a.example x likely "]);
    check("a.example x likely observe # off, more\n", &["1:a.example x likely observe"]);
}

#[test]
fn spaces_tabs_comments_and_line_ends_are_no_part_of_a_rule() {
    check("", &[]);
    check("# a.example\n\n \t # b.example\n", &[]);
    check(
        "\u{feff}a.example\r\nB.Example.\r\n",
        &["1:a.example uncategorised ambiguous ", "2:b.example uncategorised ambiguous "],
    );
    check("\ta.example \t update\t# source: é", &["1:a.example update ambiguous "]);
}

#[test]
fn every_word_of_the_last_two_columns_is_known() {
    for evidence in Evidence::ALL {
        check(&format!("a.example c {}", evidence.as_str()), &[&format!("1:a.example c {} ", evidence.as_str())]);
    }
    let words = Mode::ALL.map(Mode::as_str).into_iter().chain(Action::ALL.map(Action::as_str));
    for word in words {
        check(&format!("a.example c none {word}"), &[&format!("1:a.example c none {word}")]);
    }
}

#[test]
fn a_fault_points_at_its_octets() {
    let rules = ListFormat::Rules;
    check_fault(rules, "a..example c", 3, "^", "label is empty");
    check_fault(rules, "a.example Update", 11, "^^^^^^", "category is not");
    check_fault(
        rules,
        "a.example observe",
        11,
        "^^^^^^^",
        "`observe` is a mode or an action, which the fourth column holds",
    );
    check_fault(rules, "a.example drop none", 11, "^^^^", "`NAME CATEGORY EVIDENCE drop`");
    check_fault(rules, "0.0.0.0 a.example", 1, "^^^^^^^", "an address is no name");
    check_fault(
        rules,
        "a.example c strong",
        13,
        "^^^^^^",
        "unknown evidence `strong`; known: installed, likely, device_or_app",
    );
    check_fault(
        rules,
        "a.example c none block",
        18,
        "^^^^^",
        "known: off, observe, enforce, nxdomain, nodata, sinkhole, refuse, drop",
    );
    check_fault(rules, "!a.example c none drop", 19, "^^^^", "an allow rule can't `drop`");
    check_fault(rules, "a.example c none drop why", 23, "^^^", "more than four columns");
    check_fault(rules, "||a.example^", 1, "^", "`|` can't stand in a name");
    check_fault(rules, "a.example#", 10, "^", "`#` can't stand in a name");
    check_fault(rules, "a.example\u{b}", 10, "^^^^^", "can't stand in a name");
    check_fault(rules, "a\0.example", 2, "^^^^^", "`\\x00` can't stand in a name; write it as `\\000`");
    check_fault(rules, &format!("a.example #{}", "x".repeat(LINE_MAX)), 1, "^", "line is longer than 4096 octets");
    let domains = ListFormat::Domains;
    check_fault(domains, "127.0.0.1 a.example", 11, "^^^^^^^^^", "one name a line");
    check_fault(domains, "=a.example", 1, "^^^^^^^^^^", "not a plain name");
    check_fault(domains, "!a.example", 1, "^^^^^^^^^^", "not a plain name");
    check_fault(domains, "*.a.example", 1, "^^^^^^^^^^^", "not a plain name");
}

#[test]
fn a_strict_list_with_one_bad_line_gives_no_rule_and_shows_all_faults() {
    let (rules, parsed) = parse(ListFormat::Rules, Strictness::Strict, "a.example\nb..example\nc.example x y\n");
    assert!(rules.is_empty());
    assert_eq!((parsed.bad_lines, parsed.diagnostics.len()), (2, 2));
}

#[test]
fn a_lenient_list_skips_and_counts_bad_lines() {
    let (rules, parsed) = parse(ListFormat::Domains, Strictness::Lenient, "a.example\nb..example\nc.example\n");
    assert_eq!(rules.iter().map(|(line, _rule)| *line).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(&*rules[0].1.category, "list");
    assert_eq!(parsed.bad_lines, 1);
    assert!(!parsed.diagnostics[0].is_error());
    assert_eq!(parsed.diagnostics[0].message, "label is empty; the line is skipped");
}

#[test]
fn messages_are_bounded_and_their_number_is_exact() {
    let (_rules, parsed) = parse(ListFormat::Rules, Strictness::Lenient, &"..\n".repeat(1234));
    assert_eq!((parsed.bad_lines, parsed.diagnostics.len()), (1234, 101));
    assert_eq!(parsed.diagnostics[100].message, "1134 more lines like these are not shown");
}

/// What a reader that is about `name` from the second line on gives of a text, with its lines.
fn sifted(format: ListFormat, name: &LowerName, text: &str, piece: usize) -> Vec<(usize, Pattern)> {
    let mut reader = ListReader::new(format, "r.txt".into(), Strictness::Lenient);
    reader.foresee(text.as_bytes());
    let mut given = Vec::new();
    let mut sink = |rule: &Rule, line: &Line<'_>| given.push((line.number, rule.pattern.clone()));
    let first = text.find('\n').map_or(text.len(), |end| end + 1);
    reader.read(&text.as_bytes()[..first], &mut sink);
    reader.about(name);
    for octets in text.as_bytes()[first..].chunks(piece) {
        reader.read(octets, &mut sink);
    }
    reader.finish(&mut sink);
    given
}

#[test]
fn a_reader_about_one_name_passes_over_what_has_no_say_and_keeps_the_numbers_of_lines() {
    let text = "first.test\nexample.org\nexample.com\nwww.example.com\n# example.com\nexample.net\ncomcast.test\ncom\n\
                a.com.test\nKSN-*.Example.ORG\nshop.com\n!x.www.example.com\nb.example.com.test\n=.\n\\101.example.com\n\
                answer:192.0.2.0/24\n=EXAMPLE.COM\nlast.test";
    let name = LowerName::parse("www.example.com").unwrap();
    let expected = [
        "1 first.test",
        "3 example.com",
        "4 www.example.com",
        "7 comcast.test",
        "8 com",
        "10 ksn-*.example.org",
        "12 !x.www.example.com",
        "13 b.example.com.test",
        "14 =.",
        "15 e.example.com",
        "16 answer:192.0.2.0/24",
        "17 =example.com",
        "18 last.test",
    ];
    let given = sifted(ListFormat::Rules, &name, text, 4096);
    // The last line is open until the end, and what stands beside odd lines is looked at line by line.
    assert_eq!(given.iter().map(|(line, pattern)| format!("{line} {pattern}")).collect::<Vec<_>>(), expected);
}

proptest! {
    #[test]
    fn a_reader_about_one_name_gives_every_rule_that_has_a_say(
        format in prop::sample::select(ListFormat::ALL.to_vec()),
        lines in prop::collection::vec(
            "(|\\|\\||@@\\|\\||0\\.0\\.0\\.0 |address=/|server=/|local-zone: \"|!|=|\\*\\.|A\\.|\\.)((a|b|B|x\\*|\\\\098)\\.){0,3}(b\\.c|c|C|bc|é|)(|\\^|/|/#|/b\\.c/|\" static|\\.| CNAME \\.| CNAME rpz-passthru\\.| x ambiguous sinkhole| b\\.c)",
            1..40,
        ),
        name in "([ab]\\.){0,2}(b\\.c|c)",
        piece in 1..200_usize,
    ) {
        let (text, name) = (format!("x.test\n{}", lines.join("\n")), LowerName::parse(&name).unwrap());
        let mut whole = Vec::new();
        format.parse(&Source::new("r.txt", text.as_str()), Strictness::Lenient, &mut |rule, line| {
            whole.push((line.number, rule.pattern.clone()));
        });
        let given = sifted(format, &name, &text, piece);
        prop_assert!(given.iter().all(|rule| whole.contains(rule)), "{} {:?}", text, given);
        let concerned = |rules: Vec<(usize, Pattern)>| -> Vec<_> {
            rules.into_iter().filter(|(_line, pattern)| pattern.concerns(&name)).collect()
        };
        prop_assert_eq!(concerned(given), concerned(whole), "{}", text);
    }
}

#[test]
fn an_endless_line_is_one_bad_line_and_held_in_part_only() {
    let mut reader = ListReader::new(ListFormat::Domains, "r.txt".into(), Strictness::Lenient);
    let mut names = Vec::new();
    let mut sink = |rule: &Rule, _line: &Line<'_>| names.push(rule.pattern.to_string());
    for piece in [&b"a.exam"[..], b"ple\r\nx"].into_iter().chain([&[b'x'; 1000][..]; 100]).chain([&b"\nb.example"[..]])
    {
        reader.read(piece, &mut sink);
    }
    let parsed = reader.finish(&mut sink);
    assert_eq!(names, ["a.example", "b.example"]);
    assert_eq!(parsed.bad_lines, 1);
    assert!(parsed.diagnostics[0].message.contains("longer than 4096"), "{}", parsed.diagnostics[0]);
}

proptest! {
    #[test]
    fn a_list_says_the_same_however_it_is_cut(
        octets in prop_oneof![
            "([a.!=*\\u{feff}]{1,8}( [a-z]{1,4} (none|visit|x))?\r?\n){0,9}".prop_map(String::into_bytes),
            prop::collection::vec(prop::sample::select(b"ab.\n\r \xEF\xBB\xBF\xC3#".to_vec()), 0..60),
        ],
        cuts in prop::collection::vec(0..60_usize, 0..5),
    ) {
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let mut reader = ListReader::new(ListFormat::Rules, "r.txt".into(), strictness);
                let mut rules = Vec::new();
                let mut sink = |rule: &Rule, line: &Line<'_>| rules.push((line.number, line.pattern.clone(), rule.clone()));
                pieces.for_each(|piece| reader.read(piece, &mut sink));
                let parsed = reader.finish(&mut sink);
                (rules, parsed)
            };
            let mut cuts: Vec<_> = cuts.iter().map(|cut| (*cut).min(octets.len())).chain([0, octets.len()]).collect();
            cuts.sort_unstable();
            let whole = read(&mut std::iter::once(&octets[..]));
            prop_assert_eq!(&read(&mut cuts.windows(2).map(|ends| &octets[ends[0]..ends[1]])), &whole);
            if let Ok(text) = String::from_utf8(octets.clone()) {
                let parsed = ListFormat::Rules.parse(&Source::new("r.txt", text), strictness, &mut |_rule, _line| ());
                prop_assert_eq!((parsed.bad_lines, parsed.diagnostics), (whole.1.bad_lines, whole.1.diagnostics));
            } else if strictness == Strictness::Strict {
                prop_assert_eq!(&whole.1.diagnostics[0].message, "is not UTF-8 from here");
            }
        }
    }

    #[test]
    fn any_text_is_read_without_panic_and_every_line_is_accounted_for(
        text in prop_oneof![".*", "[a*!=.# \t\r\n\\\\0-9é\u{0}]{0,200}", "([a.!=*]{1,8} [a-z]{1,4} (none|visit|x) (off|drop|y)?\r?\n){0,9}"],
    ) {
        for format in ListFormat::ALL {
            let (rules, parsed) = parse(format, Strictness::Lenient, &text);
            // One carriage return ends a line; a second one is a word.
            let words = |line: &str| {
                let line = line.strip_suffix('\r').unwrap_or(line);
                line.trim_start_matches([' ', '\t', '\u{feff}']).to_owned()
            };
            let blank = text.split('\n').map(words).filter(|words| words.is_empty() || words.starts_with('#')).count();
            // In the others lines of other kinds say nothing, and one may have several rules.
            if matches!(format, ListFormat::Rules | ListFormat::Domains) && !parsed.diagnostics.iter().any(Diagnostic::is_error) {
                prop_assert_eq!(rules.len() + parsed.bad_lines + blank, text.split('\n').count());
            }
            let (strict, parsed) = parse(format, Strictness::Strict, &text);
            prop_assert_eq!(strict.len(), if parsed.bad_lines == 0 { rules.len() } else { 0 }, "{}", format.as_str());
            for diagnostic in parsed.diagnostics {
                let _shown = diagnostic.to_string();
            }
        }
    }
}
