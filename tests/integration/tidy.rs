//! House rules of the source: the order of floors, one door per foreign crate, and the form of files.
//!
//! Each rule is a function from text to the sentences it has to say about it, and a bad text shows that it can fail.
//! What README and the configuration say about the code is held by [`super::readme`].

#![expect(clippy::string_slice, reason = "every place comes from a search in the same text")]

use std::fs;
use std::path::{Path, PathBuf};

/// Foreign crates and the only modules that may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("hickory_server", &["serve"]),
    ("hickory_resolver", &["upstream"]),
    ("hickory_proto", &["serve", "upstream"]),
    ("argon2", &["access"]),
    ("axum", &["admin"]),
    ("toml", &["config"]),
    ("rusqlite", &["journal"]),
    ("roaring", &["journal", "report"]),
    ("maud", &["admin", "block_page", "report"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("rustix", &["priority", "socket"]),
    ("landlock", &["confine"]),
    ("nix", &["confine"]),
    ("rustls", &["tls"]),
    ("tokio_rustls", &["block_page", "serve", "tls"]),
    ("hyper", &["admin", "block_page", "lists", "serve"]),
    ("quinn", &["serve", "tls"]),
    ("if_addrs", &["socket"]),
    ("idna", &["policy"]),
    ("memmap2", &["policy"]),
    ("url", &["lists"]),
    ("flate2", &["lists", "scan"]),
    ("ruzstd", &["scan"]),
    ("minisign_verify", &["lists"]),
    ("indicatif", &["cli"]),
];

/// The only module with `unsafe` blocks.
const UNSAFE_MODULE: &str = "socket";

/// Macros that mark work left undone, or left behind.
const LEFTOVERS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Lines of a file at most.
const LINES_MAX: usize = 500;

/// One file of the repository.
struct File {
    /// Its path from the repository's root, with `/`.
    path: String,
    text: String,
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below these folders whose name ends so. What a build has written there is nobody's text.
fn files(folders: &[&str], ending: &str) -> Vec<File> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_string_lossy().ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(File { path, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn sources() -> Vec<File> {
    let found = files(&["src"], ".rs");
    assert!(found.len() > 20, "the scan finds the sources");
    found
}

fn hold(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_module_uses_only_modules_declared_before_it() {
    let floors = declared(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    assert!(floors.len() > 8, "{floors:?}");
    let complaints = |file: &File| against_floors(&floors, &file.path, &file.text);
    hold(&sources().iter().flat_map(complaints).collect::<Vec<_>>());
}

#[test]
fn a_foreign_crate_has_one_door() {
    hold(&sources().iter().flat_map(|file| against_doors(&file.path, &file.text)).collect::<Vec<_>>());
}

#[test]
fn unsafe_code_is_in_the_socket_module_only() {
    hold(&sources().iter().flat_map(|file| against_unsafe(&file.path, &file.text)).collect::<Vec<_>>());
}

#[test]
fn a_file_says_what_it_is_for_and_is_short_and_finished() {
    let files = files(&["src", "tests"], ".rs");
    hold(&files.iter().flat_map(|file| against_form(&file.path, &file.text)).collect::<Vec<_>>());
}

#[test]
fn a_dependency_says_why_it_is_there() {
    hold(&unexplained(&fs::read_to_string(root().join("Cargo.toml")).unwrap()));
}

#[test]
fn a_metric_that_is_shown_is_counted_somewhere() {
    let (metrics, others): (Vec<File>, Vec<File>) =
        sources().into_iter().partition(|file| file.path.starts_with("src/metrics/"));
    let declared: Vec<String> = metrics.iter().flat_map(|file| public_metrics(&file.text)).collect();
    assert!(declared.len() > 10, "{declared:?}");
    let code: String = others.iter().map(|file| code_of(&file.text)).collect();
    hold(&uncounted(&declared, &code));
}

/// The public fields of `src/metrics` that are metrics: a comment behind each names it.
fn public_metrics(text: &str) -> Vec<String> {
    let field = |line: &str| Some(word(line.trim().strip_prefix("pub ")?));
    text.lines().filter(|line| line.contains("// embargo_")).filter_map(field).collect()
}

/// Metrics that the code never touches: they would say zero whatever happens.
fn uncounted(metrics: &[String], code: &str) -> Vec<String> {
    let touched = |metric: &str| {
        let field = format!(".{metric}");
        code.match_indices(&field).any(|(at, _)| !code[at + field.len()..].starts_with(is_word))
    };
    let dead = metrics.iter().filter(|metric| !touched(metric));
    dead.map(|metric| format!("src/metrics: nothing counts `{metric}`")).collect()
}

/// The modules that `lib.rs` declares, in order.
fn declared(lib: &str) -> Vec<String> {
    let name = |line: &str| line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    code_of(lib).lines().filter_map(name).collect()
}

/// The path of modules that a file is: `src/policy/list/rules.rs` is policy, list, rules; `lib.rs` and `main.rs` are none.
fn module_path(path: &str) -> Vec<&str> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let parts: Vec<&str> = inner.split('/').filter(|part| *part != "mod").collect();
    if parts == ["lib"] || parts == ["main"] { Vec::new() } else { parts }
}

/// Uses of modules that are declared later than the file's own.
fn against_floors(floors: &[String], path: &str, text: &str) -> Vec<String> {
    let module = module_path(path);
    let Some(own) = module.first() else { return Vec::new() };
    let Some(height) = floors.iter().position(|floor| floor == own) else {
        return vec![format!("{path}: lib.rs does not declare `{own}`")];
    };
    let code = code_of(text);
    let above = |used: &String| floors[height + 1..].contains(used);
    let say = |used: String| format!("{path}: `{own}` uses `{used}`, which lib.rs declares after it");
    let mut used = named_after(&code, "crate::");
    used.extend(named_after(&code, &"super::".repeat(module.len())));
    let mut complaints: Vec<String> = used.into_iter().filter(above).map(say).collect();
    complaints.dedup();
    complaints
}

/// The first name of each path that begins with `prefix`, with those in braces: `crate::{wire::Name, cache}` is wire, cache.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut start = true;
        for (at, character) in group.char_indices() {
            match character {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && !character.is_whitespace() => {
                    names.push(word(&group[at..]));
                    start = false;
                }
                _ => (),
            }
        }
    }
    names
}

/// The word that a text begins with.
fn word(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` stands in the code as a word of its own, followed by `after`.
fn has_word(code: &str, word: &str, after: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let rest = &code[at + word.len()..];
        !code[..at].ends_with(is_word) && !rest.starts_with(is_word) && rest.trim_start().starts_with(after)
    })
}

/// Foreign crates named in modules that are not their door.
fn against_doors(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let own = module_path(path).first().copied().unwrap_or("");
    let named = |name: &str| has_word(&code, name, "::") || has_word(&code, &format!("use {name}"), "");
    let wrong = DOORS.iter().filter(|(name, doors)| !doors.contains(&own) && named(name));
    wrong.map(|(name, doors)| format!("{path}: `{name}` is used only in {}", doors.join(" and "))).collect()
}

/// The word `unsafe` outside its module.
fn against_unsafe(path: &str, text: &str) -> Vec<String> {
    let found = module_path(path).first() != Some(&UNSAFE_MODULE) && has_word(&code_of(text), "unsafe", "");
    found.then(|| format!("{path}: `unsafe` is only in {UNSAFE_MODULE}")).into_iter().collect()
}

/// What is wrong with the form of a file.
fn against_form(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push(format!("{path}: does not begin with `//!`, what it is for"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{path}: {lines} lines, more than {LINES_MAX}: it is two files"));
    }
    let code = code_of(text);
    for leftover in LEFTOVERS {
        if has_word(&code, leftover, "!") {
            complaints.push(format!("{path}: `{leftover}!` is work left undone"));
        }
    }
    complaints
}

/// Dependencies of a `Cargo.toml` without a comment in the line above.
fn unexplained(manifest: &str) -> Vec<String> {
    let mut section = String::new();
    let mut before = "";
    let mut complaints = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            // `[dependencies.name]` is a dependency itself.
            if section.contains("dependencies.") && !before.starts_with('#') {
                complaints.push(format!("Cargo.toml: [{section}] has no reason above it"));
            }
        } else if section.ends_with("dependencies") {
            // A value over several lines begins its further lines with a bracket or quote, never with a bare name.
            let name = line.split_once('=').map_or("", |(name, _)| name.trim());
            if !name.is_empty() && !name.starts_with('#') && !before.starts_with('#') {
                complaints.push(format!("Cargo.toml: `{name}` has no reason above it"));
            }
        }
        before = line;
    }
    complaints
}

/// The text with comments, and what stands in strings and characters, blanked; lines stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let blank = blank_length(rest, code.chars().next_back().is_some_and(is_word));
        if blank == 0 {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        } else {
            code.extend(rest[..blank].chars().map(|blanked| if blanked == '\n' { '\n' } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    code
}

/// How many octets of comment, string or character literal a text begins with. A quote right after a word can't begin a raw
/// string: the `r` before it is the end of a name.
fn blank_length(text: &str, after_word: bool) -> usize {
    let up_to = |end: &str, skip: usize| text[skip..].find(end).map_or(text.len(), |at| skip + at + end.len());
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return up_to("*/", 2);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    let hashes =
        text.strip_prefix('r').map_or(0, |rest| rest.chars().take_while(|character| *character == '#').count());
    if !after_word && text.starts_with('r') && text[1 + hashes..].starts_with('"') {
        return up_to(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
    }
    // A quote begins a character if another one follows it or an escape; else it begins a lifetime.
    let mut inner = text.strip_prefix('\'').unwrap_or_default().chars();
    match (inner.next(), inner.next()) {
        (Some('\\'), _) => quoted(text, '\''),
        (Some(character), Some('\'')) => 2 + character.len_utf8(),
        _ => 0,
    }
}

/// The length of a literal between quotes, with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => (),
        }
    }
    text.len()
}

mod proof {
    //! Each rule fails on a bad text, and only then.

    use super::*;

    fn floors() -> Vec<String> {
        declared("//! pub mod none;\npub mod wire;\npub mod cache;\n\npub mod serve;\nmod private;\n")
    }

    fn check_floors(path: &str, text: &str, uses: &[&str]) {
        let complaints = against_floors(&floors(), path, text);
        assert_eq!(complaints.len(), uses.len(), "{text}: {complaints:?}");
        for (complaint, used) in complaints.iter().zip(uses) {
            assert!(complaint.contains(&format!("uses `{used}`")), "{complaint}");
        }
    }

    #[test]
    fn order_of_declaration_is_read_from_lib() {
        assert_eq!(floors(), ["wire", "cache", "serve"]);
    }

    #[test]
    fn a_use_of_a_higher_floor_is_found() {
        check_floors("src/wire/mod.rs", "use crate::cache::Entry;", &["cache"]);
        check_floors("src/wire/name.rs", "fn f() { crate::serve::start() }", &["serve"]);
        check_floors("src/wire/mod.rs", "use crate::{\n    cache::{Entry, wire},\n    serve,\n};", &["cache", "serve"]);
        check_floors("src/wire/deep/x.rs", "use super::super::super::serve::start;", &["serve"]);
        check_floors("src/wire.rs", "#[cfg(test)] mod tests { use crate::serve; }", &["serve"]);
    }

    #[test]
    fn uses_of_lower_floors_and_words_in_comments_are_fine() {
        check_floors("src/serve/mod.rs", "use crate::{cache, wire}; use crate::serve::Said;", &[]);
        check_floors("src/wire/mod.rs", "//! crate::serve\nlet text = \"crate::serve\";", &[]);
        check_floors("src/wire/deep/x.rs", "use super::serve; use super::super::cache;", &[]);
    }

    #[test]
    fn a_module_that_lib_does_not_declare_is_found() {
        assert_eq!(against_floors(&floors(), "src/stray.rs", "").len(), 1);
    }

    #[test]
    fn a_second_door_is_found() {
        let check = |path, text, count| assert_eq!(against_doors(path, text).len(), count, "{path} {text}");
        check("src/admin/mod.rs", "use toml::Value;", 1);
        check("src/admin/mod.rs", "use toml as t;", 1);
        check("src/main.rs", "fn f() -> rusqlite::Result<()>", 1);
        check("src/config/mod.rs", "use toml::Value;", 0);
        check("src/app/mod.rs", "// toml::Value\nlet toml = \"toml::x\"; my_toml::x()", 0);
        check("src/upstream/udp.rs", "use hickory_server::server::Request; use hickory_proto::op::Message;", 1);
    }

    #[test]
    fn unsafe_elsewhere_is_found() {
        let check = |path, text, count| assert_eq!(against_unsafe(path, text).len(), count, "{path} {text}");
        check("src/wire/name.rs", "unsafe { *p }", 1);
        check("src/socket.rs", "unsafe { *p }", 0);
        check("src/wire/name.rs", "#![deny(unsafe_code)] // unsafe\nlet text = \"unsafe\";", 0);
    }

    #[test]
    fn bad_form_is_found() {
        let check = |text: &str, count| assert_eq!(against_form("x.rs", text).len(), count, "{text}");
        check("fn f() {}", 1);
        check("//! Fine.\nfn f() { let dbg = 1; } // todo!()", 0);
        check("//! Not done.\nfn f() { todo!() }", 1);
        check("//! Left behind.\nfn f() { dbg!(1) }", 1);
        check(&format!("//! Long.\n{}", "//\n".repeat(LINES_MAX)), 1);
    }

    #[test]
    fn a_dependency_without_reason_is_found() {
        let check = |text: &str, count| assert_eq!(unexplained(text).len(), count, "{text}");
        check("[dependencies]\n# Why.\na = \"1\"\nb = \"1\"", 1);
        check("[dev-dependencies]\na = { version = \"1\" }", 1);
        check("[target.'cfg(unix)'.dependencies]\n# Why.\na = { version = \"1\", features = [\n    \"x\",\n] }", 0);
        check("[dependencies.a]\nversion = \"1\"", 1);
        check("[package]\nname = \"a\"", 0);
    }

    #[test]
    fn a_metric_that_nothing_counts_is_found() {
        let text = "    pub hits: Cell, // embargo_hits_total\n    lost: Vec<Cell>, // embargo_lost_total\n    pub queue: Cell, // embargo_queue";
        let metrics = public_metrics(text);
        assert_eq!(metrics, ["hits", "queue"]);
        assert_eq!(
            uncounted(&metrics, "self.record.hits.inc(); status.queued"),
            ["src/metrics: nothing counts `queue`"]
        );
        assert_eq!(uncounted(&metrics, "self\n    .hits\n    .inc(); x.queue.set(1)"), Vec::<String>::new());
    }

    #[test]
    fn comments_strings_and_characters_are_blanked_and_lifetimes_are_not() {
        let check = |text: &str, code: &str| assert_eq!(code_of(text).split_whitespace().collect::<String>(), code);
        check("a /* b */ c // d\ne", "ace");
        check(r#"f("x\"y", '\'', '"', b)"#, "f(,,,b)");
        check("r#\"a \" b\"# + for\"x\"", "+for");
        check("fn f<'a>(x: &'a str) -> &'static str", "fnf<'a>(x:&'astr)->&'staticstr");
        assert_eq!(code_of("a\n/* b\n*/ c").lines().count(), 3);
    }
}
