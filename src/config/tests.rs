//! Configurations, flags and lists as an operator writes them, and what is made of them.

use super::*;
use crate::policy::{Action, Client, Decision, Mode};
use crate::time::Timestamp;
use crate::wire::{LowerName, Name};

fn parsed(text: &str) -> Settings {
    let (settings, mistakes) = convert::settings(&Source::new("x.toml", text), Path::new("/base"));
    assert_eq!(mistakes, []);
    settings
}

fn environment(directory: &Path) -> Environment {
    Environment { home: Some(directory.into()), ..Environment::default() }
}

#[test]
fn the_shipped_configuration_says_the_defaults() {
    let shipped = parsed(include_str!("../../config/embargo.toml"));
    // The one difference is meant: in a checkout, the files can be edited.
    assert!(
        matches!(&shipped.blocklists, Blocklists::Directory(path) if path.value == Path::new("/base/../blocklists"))
    );
    assert_eq!(Settings { blocklists: Blocklists::Embedded, ..shipped }, Settings::default());
}

#[test]
fn the_shipped_configuration_names_every_setting() {
    // With its comments taken away from settings, the file still reads, and every key of the structs is in it.
    let text = include_str!("../../config/embargo.toml");
    let all: Vec<&str> =
        text.lines().map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line)).collect();
    let (settings, mistakes) = convert::settings(&Source::new("x.toml", all.join("\n")), Path::new("/base"));
    assert_eq!(mistakes, []);
    assert_eq!(settings.lists.len(), 3);
    assert_eq!(settings.forwards.len(), 1);
    assert_eq!(settings.bans.len(), 1);
    assert!(settings.workers.is_some() && settings.state_dir.is_some() && settings.local.hosts.is_some());
    for key in known_keys() {
        assert!(all.iter().any(|line| is_key_of(line, &key)), "config/embargo.toml does not show `{key}`");
    }
}

fn is_setting(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    line.starts_with('[')
        || (line.split(' ').nth(1) == Some("=")
            && word.bytes().all(|octet| octet.is_ascii_lowercase() || b"_.".contains(&octet)))
}

fn is_key_of(line: &str, key: &str) -> bool {
    // The key of a table below another one stands behind a dot.
    let trimmed = line.strip_prefix('[').map_or(line, |table| {
        let table = table.trim_start_matches('[');
        if table.starts_with(key) { table } else { table.rsplit('.').next().unwrap_or(table) }
    });
    trimmed.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', ']', '.']))
}

/// Every key, as the messages about unknown ones list them.
fn known_keys() -> Vec<String> {
    let mut keys = Vec::new();
    for table in [
        "",
        "[about]",
        "[cookies]",
        "[upstream]",
        "[dnssec]",
        "[[dnssec.negative_anchor]]",
        "[[forward]]",
        "[local]",
        "[rate_limit]",
        "[cache]",
        "[tcp]",
        "[tls]",
        "[journal]",
        "[log]",
        "[[sink]]",
        "[spool]",
        "[[webhook]]",
        "[[list]]",
        "[ban.x]",
    ] {
        let text = format!("{table}\nnot_there = 1\n");
        let (_settings, mistakes) = convert::settings(&Source::new("x.toml", text), Path::new(""));
        let known = mistakes.iter().find_map(|mistake| mistake.message.split_once("known keys: ")).unwrap().1;
        keys.extend(known.split(", ").map(str::to_owned));
    }
    assert!(keys.len() > 35, "{keys:?}");
    keys
}

#[test]
fn flags_go_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("embargo.toml");
    std::fs::write(&config, "listen = [\"192.0.2.1:53\"]\nadmin = \"off\"\nworkers = 3\n[[list]]\nfile = \"a.txt\"\n")
        .unwrap();
    let args = Args {
        config: Some(config.clone()),
        listen: vec!["127.0.0.1:0".to_owned()],
        upstream: vec!["tcp://192.0.2.53".to_owned()],
        list: vec!["b.txt".into()],
        ..Args::default()
    };

    let loaded = load(&args, &environment(directory.path())).unwrap();

    assert_eq!(loaded.settings.listen, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(loaded.settings.admin, None);
    assert_eq!(loaded.settings.workers, NonZeroUsize::new(3));
    assert_eq!(loaded.settings.upstream.servers, ["tcp://192.0.2.53".parse().unwrap()]);
    assert_eq!(loaded.watched(), [config, directory.path().join("a.txt"), "b.txt".into()]);
    assert_eq!(loaded.state_dir, directory.path().join(".local/state/embargo"));
}

#[test]
fn all_mistakes_of_file_and_flags_come_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("embargo.toml");
    std::fs::write(&config, "admin = 1\n[cache]\nsize = \"x\"\n").unwrap();
    let args = Args { config: Some(config), listen: vec!["::1".to_owned()], ..Args::default() };
    let mistakes = load(&args, &Environment::default()).unwrap_err();
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
}

#[test]
fn the_first_file_that_exists_is_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let second = directory.path().join("second.toml");
    std::fs::write(&second, "workers = 2\n").unwrap();
    let environment = Environment {
        config_files: vec![directory.path().join("first.toml"), second.clone()],
        ..environment(directory.path())
    };
    assert_eq!(load(&Args::default(), &environment).unwrap().file, Some(second));
}

#[test]
fn without_a_file_the_defaults_are_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = load(&Args::default(), &environment(directory.path())).unwrap();
    assert_eq!((loaded.file, loaded.settings), (None, Settings::default()));
}

#[test]
fn a_named_file_that_is_missing_is_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let args = Args { config: Some(directory.path().join("x.toml")), ..Args::default() };
    assert_eq!(load(&args, &environment(directory.path())).unwrap_err().len(), 1);
}

#[test]
fn the_operator_changes_what_a_ban_does() {
    let settings = parsed(
        "time_zone = \"America/New_York\"\n[ban.kaspersky]\nmode = \"observe\"\nenforce_from = 2030-01-01\naction = \"sinkhole\"\n\
         sinkhole = [\"192.0.2.1\", \"2001:db8::1\"]\nttl = \"2m\"\ncontact = \"it@example.org\"\nbound_by = [\"bis-2024\"]\n",
    );

    let load = policy(&settings, 1);

    assert_eq!(load.diagnostics, []);
    let policy = load.policy.unwrap();
    let ban = policy.bans().iter().find(|ban| &*ban.id == "kaspersky").unwrap();
    assert_eq!((ban.stance.mode, ban.stance.action, ban.ttl.as_secs()), (Mode::Observe, Action::Sinkhole, 120));
    assert_eq!(ban.stance.enforce_from, "2030-01-01T05:00:00Z".parse().ok());
    assert_eq!(ban.stance.observe_from, "2024-06-20T04:00:00Z".parse().ok());
    assert_eq!((ban.sinkhole_v4.len(), ban.sinkhole_v6.len(), ban.bound_by.len()), (1, 1, 1));
    assert_eq!(&*ban.ede.text, "Kaspersky is blocked by policy of this network; contact: it@example.org");
}

#[test]
fn shipped_texts_never_claim_that_a_law_prohibits() {
    let policy = policy(&Settings::default(), 1).policy.unwrap();
    for ban in policy.bans() {
        assert!(ban.ede.text.contains("polic"), "{}", ban.ede.text);
        assert!(!ban.ede.text.contains("law"), "{}", ban.ede.text);
        assert!(ban.bound_by.is_empty());
    }
}

/// As `--list FILE` reads it.
const READING: Reading = Reading { format: None, strictness: Strictness::Lenient };

/// Settings with only this plain list, made of these octets.
fn with_list(directory: &Path, name: &str, octets: &[u8]) -> Settings {
    std::fs::write(directory.join(name), octets).unwrap();
    let path = At::new(directory.join(name), &Source::new(name, ""), 0..0);
    Settings { lists: vec![ListFile::new(path, READING)], ..Settings::default() }
}

#[test]
fn a_plain_list_is_a_ban_of_its_own_and_its_bad_lines_are_skipped_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        with_list(directory.path(), "My List.txt", b"a.example\n# caf\xe9\nb\xe9.example\nbad..name\nc.example\n");

    let load = policy(&settings, 1);

    assert_eq!(load.diagnostics.len(), 2, "{:?}", load.diagnostics);
    let policy = load.policy.unwrap();
    let list = policy.lists().last().unwrap();
    assert_eq!((&*policy.bans()[list.ban.0].id, list.entries), ("my-list", 2));
}

#[test]
fn a_list_is_read_in_the_format_of_its_first_lines_and_says_that_nobody_has_told_it() {
    let directory = tempfile::tempdir().unwrap();
    let load = policy(&with_list(directory.path(), "x.txt", b"# x\n0.0.0.0 a.example b.example\n"), 1);
    let policy = load.policy.unwrap();
    let list = policy.lists().last().unwrap();
    assert_eq!((list.format, list.detected, list.entries), (ListFormat::Hosts, true, 2));
    assert!(load.files.iter().any(|file| file.saved_as.ends_with("lists/hosts/x")));
    let declared = parsed("[[list]]\nfile = \"/x\"\nformat = \"rpz\"\nstrict = true\n");
    let reading = Reading { format: Some(ListFormat::Rpz), strictness: Strictness::Strict };
    assert_eq!(declared.lists[0].reading, reading);
}

#[test]
fn a_page_binary_or_nothing_in_place_of_a_list_leaves_no_policy() {
    let directory = tempfile::tempdir().unwrap();
    let zero = [b"a.example\n".repeat(5_000), b"b\0.example\n".to_vec()].concat();
    for octets in
        [&b"\n <!DOCTYPE html>\n<p>Not found\n404\n"[..], b"\xff\xfea\0.\0b\0\n\0", &zero, b"", b"# a.example\n"]
    {
        let load = policy(&with_list(directory.path(), "x.txt", octets), 1);
        assert!(load.policy.is_none());
        assert_eq!(load.failed, ["x".into()]);
        assert_eq!(
            load.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count(),
            1,
            "{:?}",
            load.diagnostics
        );
    }
}

#[test]
fn somebodys_sinkhole_is_ours_where_there_is_one_and_else_the_bans_action() {
    let directory = tempfile::tempdir().unwrap();
    let settings = with_list(directory.path(), "x.txt", b"a.example A 192.0.2.1\nb.example CNAME .\n");
    let ours = parsed("[ban.x]\nsinkhole = [\"192.0.2.9\"]\n").bans;
    for (bans, warnings, does) in [(Vec::new(), 1, Action::Nxdomain), (ours, 0, Action::Sinkhole)] {
        let load = policy(&Settings { bans, ..settings.clone() }, 1);
        assert_eq!(load.diagnostics.len(), warnings, "{:?}", load.diagnostics);
        let policy = load.policy.unwrap();
        let client = Client::at([192, 0, 2, 7].into());
        let name = LowerName::parse("a.example").unwrap();
        let verdict = policy.decide(&name, 1, &client, Timestamp::UNIX_EPOCH);
        assert!(matches!(verdict.decision, Decision::Enforce(_, blocked) if blocked.action == does));
    }
}

#[test]
fn rejected_lines_are_counted_exactly_however_few_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "a.example\n".to_owned() + &"bad..name\n".repeat(1_000) + &"com\n".repeat(100);
    let load = policy(&with_list(directory.path(), "x.txt", lines.as_bytes()), 1);
    assert!(load.policy.is_some() && load.diagnostics.len() < 200, "{}", load.diagnostics.len());
    let name = directory.path().join("x.txt").display().to_string();
    assert_eq!(load.rejected_lines.get(name.as_str()), Some(&1_100));
}

#[test]
fn a_list_named_like_a_ban_gets_another_id_and_can_be_changed_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = with_list(directory.path(), "kaspersky.txt", b"a.example\n");
    let changed = parsed("[ban.kaspersky-2]\nmode = \"observe\"\n");
    let policy = policy(&Settings { bans: changed.bans, ..settings }, 1).policy.unwrap();
    let ban = policy.bans().iter().find(|ban| &*ban.id == "kaspersky-2").unwrap();
    assert_eq!(ban.stance.mode, Mode::Observe);
}

#[test]
fn a_fifo_is_refused_and_never_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let path = At::new(fifo, &Source::new("x", ""), 0..0);
    let settings = Settings { lists: vec![ListFile::new(path, READING)], ..Settings::default() };

    let load = policy(&settings, 1);

    assert!(load.policy.is_none());
    assert_eq!(load.failed, ["fifo".into()]);
    assert!(load.diagnostics[0].message.contains("no regular file"));
}

#[test]
fn no_list_can_block_what_clocks_are_set_by_or_what_the_operator_protects() {
    let directory = tempfile::tempdir().unwrap();
    let settings = with_list(directory.path(), "x.txt", b"pool.ntp.org\nvpn.example.org\na.example\n");
    let load = policy(&Settings { protected: vec![Name::parse("vpn.example.org").unwrap()], ..settings }, 1);
    assert_eq!(load.policy.unwrap().lists().last().unwrap().entries, 1, "{:?}", load.diagnostics);
    assert_eq!(load.diagnostics.len(), 2);
}

#[test]
fn one_broken_ban_is_named_and_keeps_the_policy_out() {
    let directory = tempfile::tempdir().unwrap();
    for (id, rules) in [("good", "a.example\n"), ("bad", "b..example\n")] {
        let folder = directory.path().join(id);
        std::fs::create_dir(&folder).unwrap();
        let ban = format!("version = 1\nid = \"{id}\"\ntitle = \"T\"\nlists = [\"rules.txt\"]\n");
        std::fs::write(folder.join("ban.toml"), ban).unwrap();
        std::fs::write(folder.join("rules.txt"), rules).unwrap();
    }
    std::fs::create_dir(directory.path().join("unfinished")).unwrap();
    let path = At::new(directory.path().to_owned(), &Source::new("x", ""), 0..0);

    let load = policy(&Settings { blocklists: Blocklists::Directory(path), ..Settings::default() }, 1);

    assert!(load.policy.is_none());
    assert_eq!(load.failed, ["bad".into()]);
    let severities: Vec<Severity> = load.diagnostics.iter().map(|diagnostic| diagnostic.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning]);
}

#[test]
fn a_policy_about_one_name_knows_the_lines_of_its_rules_and_refuses_the_lists_that_the_whole_one_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let many = (0..20_000).map(|number| format!("n{number}.example x\n")).collect::<Vec<_>>().concat();
    let text =
        format!("{many}b.a.example\n=b.a.example x visit\na.example\na.example x\nd.b.a.example\n!*.a.example\n");
    let settings = with_list(directory.path(), "x.txt", text.as_bytes());
    let load = policy_about(&settings, &LowerName::parse("b.a.example").unwrap());
    let list = load.policy.as_ref().unwrap().lists().last().unwrap();
    let places = load.places.iter().filter(|(name, _pattern, _line)| *name == list.name);
    let places: Vec<_> = places.map(|(_list, pattern, line)| format!("{line} {pattern}")).collect();
    let expected =
        ["20001 b.a.example", "20002 =b.a.example", "20003 a.example", "20004 a.example", "20006 !*.a.example"];
    assert_eq!(places, expected);
    // All before it and what is beside it is not held; one name below decides between NXDOMAIN and NODATA.
    assert_eq!(list.entries, 5);

    for text in ["com\n", "", "!a.example\n", "..\n", "<html>\n", "a.example x none sinkhole\n"] {
        let settings = with_list(directory.path(), "x.txt", text.as_bytes());
        let whole = policy(&settings, 1);
        let load = policy_about(&settings, &LowerName::parse("b.example").unwrap());
        assert_eq!(load.policy.is_some(), whole.policy.is_some(), "{text:?}");
    }
}
