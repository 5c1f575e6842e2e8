//! A report says what the record says, the same each time, and nothing that a client has slipped into it.

mod published;
mod record;
mod roaming;

use std::collections::BTreeSet;

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;
use crate::audit::{Entry, Event, Reloaded, Terms, Written};
use crate::identity::Devices;
use crate::journal::{CategoryRow, Erasure, LevelRow};
use crate::metrics::Did;
use crate::policy::{Ban, EndUse, Evidence, Law, Milestone};
use crate::time::Day;
use record::{Record, Tried};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// Ten days in March against the ten before the 11th of February.
fn asked() -> Asked {
    Asked::new(day("2026-03-11"), day("2026-03-20"), day("2026-02-11")).unwrap()
}

fn ban() -> Ban {
    let law = Law {
        id: "act-7".into(),
        jurisdiction: "XX".into(),
        instrument: "Act 7".into(),
        citation: "7 XX 1".into(),
        issued: Some(date(2026, 2, 11)),
        effective: Some(date(2026, 3, 11)),
        applies_to: "suppliers".into(),
        end_use: EndUse::No,
        note: "".into(),
        source: "".into(),
    };
    Ban {
        title: "Acme".into(),
        laws: vec![law],
        bound_by: vec!["act-7".into()],
        milestones: vec![Milestone { date: date(2026, 3, 11), text: "Everything is to be gone.".into() }],
        ..Ban::named("acme")
    }
}

fn history() -> History {
    let mut history = History::default();
    let (modes, why) = ([("acme".to_owned(), "enforce".to_owned())].into(), "start".to_owned());
    let reloaded = Event::Reloaded(Reloaded { why, policy: "5f1c".to_owned(), modes, ..Reloaded::default() });
    let written = Written {
        client: Some("192.0.2.3".to_owned()),
        ban: Some("acme".to_owned()),
        endless: true,
        owner: "=HYPERLINK(\"x\")".to_owned(),
        reason: "<script>alert(1)</script> | `x`".to_owned(),
        ..Written::default()
    };
    let granted = Event::Granted(Box::new(Terms::try_from(written).unwrap()));
    for (number, event) in [(1, reloaded), (2, granted)] {
        history.take(&Entry { number, at: "2026-01-01T00:00:00Z".parse().unwrap(), uid: None, by: None, event });
    }
    (history.count, history.head) = (2, "ab".repeat(32));
    history
}

/// What a report is made from where nothing else matters.
fn inputs<'a>(ban: &'a Ban, asked: &'a Asked, history: &'a History) -> Inputs<'a> {
    Inputs {
        ban,
        lists: Vec::new(),
        asked,
        site: None,
        grouping: Grouping::default(),
        inventory: BTreeSet::new(),
        lookups_since: None,
        today: day("2026-06-01"),
        flows: false,
        history,
        windows: Vec::new(),
        signals: Vec::new(),
        configured: Vec::new(),
        signed_by: None,
        rows_max: 1_000,
    }
}

fn document(record: &Record, site: Option<&str>) -> Document {
    document_of(record, site, &asked())
}

fn document_of(record: &Record, site: Option<&str>, asked: &Asked) -> Document {
    document_by(record, (site, &Devices::default()), asked)
}

fn document_by(record: &Record, (site, devices): (Option<&str>, &Devices), asked: &Asked) -> Document {
    let store = record.store();
    let presence = store.presence().unwrap().uniting(devices).unwrap();
    let (ban, history) = (ban(), history());
    let lists = vec![ListRow { name: "rules.txt".to_owned(), sha256: "cd".repeat(32), rules: 3 }];
    let canary = CategoryRow { category: "canary_relay".to_owned(), devices: 2, lookups: 9 };
    let signals = vec![SignalRow::of("bypass", canary)];
    let inputs = Inputs { lists, site, signals, ..inputs(&ban, asked, &history) };
    Document::build(&presence, &inputs).unwrap()
}

/// Five devices: one that stays, one that goes, one that comes, one that comes back, and one of another site that is spared.
fn record() -> Record {
    let record = Record::new();
    let seen = |client, at| Tried::by(client, at);
    record.write(&[
        seen(1, "2026-02-03T08:00:00Z"),
        seen(1, "2026-03-12T08:00:00Z"),
        Tried { verified: true, ..seen(1, "2026-03-13T09:00:00Z") },
        Tried { verified: true, ..seen(1, "2026-03-14T10:00:00Z") },
        seen(2, "2026-02-05T08:00:00Z"),
        seen(3, "2026-03-11T00:00:00Z"),
        seen(4, "2026-01-02T08:00:00Z"),
        seen(4, "2026-03-20T23:59:59Z"),
        Tried { site: "paris", ..seen(5, "2026-02-10T23:59:59Z") },
        Tried { site: "paris", action: Did::Exempt, ..seen(5, "2026-03-15T08:00:00Z") },
        // No product.
        Tried { evidence: Evidence::Visit, ..seen(6, "2026-03-15T08:00:00Z") },
        // A day too early for the baseline, and too late for the window.
        seen(7, "2026-01-31T08:00:00Z"),
        seen(8, "2026-03-21T00:00:00Z"),
    ]);
    record
}

fn json(document: &Document) -> Value {
    serde_json::from_str(&Format::Json.render(document)).unwrap()
}

#[test]
fn the_figures_are_those_of_the_record() {
    let told = json(&document(&record(), None));
    let figures = &told["figures"];
    let expected = json!({
        "baseline": 3, "now": 4, "decline_percent": -33.3, "silent_sites": 0, "silent_baseline": 0, "still": 2, "still_percent": 66.7, "new": 1, "returned": 1,
        "clean": 0, "quiet": 0, "unknown": 1, "exempt": 1, "confirmed": 1, "suspected": 3, "reinfected": 0,
        "sites_baseline": 2, "sites_now": 2, "sites_decline_percent": 0.0,
        "addresses_baseline": 3, "addresses_now": 4, "addresses_decline_percent": -33.3,
        "panel_sites": 0, "panel_baseline": 0, "panel_now": 0, "panel_decline_percent": null,
        "active_baseline": null, "active_now": null, "days_to_clean_median": null, "connected": 0, "many": 0,
    });
    assert_eq!(*figures, expected);
    let evidence =
        |grade: &str| told["evidence"].as_array().unwrap().iter().find(|row| row["evidence"] == grade).cloned();
    assert_eq!(evidence("visit").unwrap()["now"], 1);
    assert_eq!((&told["days"][2]["devices"], &told["days"][2]["from"]), (&json!(1), &json!("2026-02-03")));
    assert_eq!(told["enforcement"][0]["mode"], "enforce");
    assert_eq!(told["signals"][0]["meaning"], "control_applied");
    assert_eq!(told["coverage"]["record_since"], "2026-01-02");
}

#[test]
fn each_open_device_is_told_with_its_story() {
    let told = json(&document(&record(), None));
    let story = |row: &Value| {
        let words =
            ["site", "device", "state", "since_baseline", "first", "last"].map(|name| row[name].as_str().unwrap());
        format!("{} {}", words.join(" "), row["days"])
    };
    let devices: Vec<String> = told["open"]["devices"].as_array().unwrap().iter().map(story).collect();
    let expected = [
        "berlin 192.0.2.1 confirmed still 2026-02-03 2026-03-14 3",
        "berlin 192.0.2.3 suspected new 2026-03-11 2026-03-11 1",
        "berlin 192.0.2.4 suspected returned 2026-01-02 2026-03-20 1",
        "paris 192.0.2.5 suspected still 2026-02-10 2026-03-15 1",
    ];
    assert_eq!(devices, expected);
    assert_eq!(told["open"]["devices"][3]["exempt"], true);
}

#[test]
fn who_was_there_without_a_lookup_for_long_enough_is_clean_and_nobody_else_is() {
    let record = record();
    let figures = |record: &Record| json(&document(record, None))["figures"].clone();
    // The day of the last lookup does not count.
    record.active(2, "2026-02-05", 14);
    let told = figures(&record);
    assert_eq!((&told["clean"], &told["quiet"], &told["unknown"]), (&json!(0), &json!(1), &json!(0)));
    record.active(2, "2026-03-20", 1);
    let told = figures(&record);
    assert_eq!((&told["clean"], &told["quiet"], &told["unknown"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!((&told["active_baseline"], &told["active_now"]), (&json!(1), &json!(1)));
    let panel = ["panel_sites", "panel_baseline", "panel_now"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(panel, [0, 0, 0], "of no site it is known on half of the days who was active");
    record.active(9, "2026-03-11", 5);
    let panel = ["panel_sites", "panel_baseline", "panel_now"].map(|name| figures(&record)[name].as_u64().unwrap());
    assert_eq!(panel, [1, 2, 3], "of Paris it is not known");
    let told = json(&document(&record, None));
    assert_eq!((&told["coverage"]["baseline"]["days"], &told["coverage"]["window"]["days"]), (&json!(6), &json!(6)));
}

#[test]
fn a_report_of_one_site_counts_nobody_elsewhere() {
    let told = json(&document(&record(), Some("paris")));
    assert_eq!((&told["figures"]["baseline"], &told["figures"]["now"]), (&json!(1), &json!(1)));
    assert_eq!(told["open"]["devices"].as_array().unwrap().len(), 1);
    assert_eq!(told["evidence"].as_array().unwrap().iter().map(|row| row["now"].as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(told["about"]["site"], "paris");
}

#[test]
fn dates_of_the_law_are_told_with_the_devices_around_them() {
    let record = record();
    let rows = json(&document(&record, None))["milestones"].clone();
    // Of some of those days nothing is on record: they are no days without devices.
    assert_eq!((&rows[0]["before"], &rows[0]["after"], &rows[1]["after"]), (&json!(null), &json!(null), &json!(null)));
    record.active(9, "2026-01-01", 90);
    let told = json(&document(&record, None));
    let rows = told["milestones"].as_array().unwrap();
    assert_eq!((&rows[0]["date"], &rows[0]["before"], &rows[0]["after"]), (&json!("2026-02-11"), &json!(2), &json!(0)));
    assert_eq!((&rows[1]["before"], &rows[1]["after"]), (&json!(0), &json!(3)));
    assert_eq!(rows[1]["texts"], json!(["Everything is to be gone.", "Act 7 (XX) takes effect."]));
}

#[test]
fn nothing_on_record_is_no_decline() {
    let record = record();
    // The servers of both sites died.
    let asked = Asked::new(day("2026-05-11"), day("2026-05-20"), day("2026-02-11")).unwrap();
    let silent = document_of(&record, None, &asked);
    let told = json(&silent);
    let percents = ["now", "decline_percent", "sites_decline_percent", "addresses_decline_percent"];
    assert_eq!(
        percents.map(|name| told["figures"][name].clone()),
        [json!(null), json!(null), json!(null), json!(null)]
    );
    assert_eq!((&told["sites"][0]["now"], &told["sites"][0]["decline_percent"]), (&json!(null), &json!(null)));
    assert_eq!((&told["days"][3]["devices"], &told["days"][2]["devices"]), (&json!(null), &json!(1)));
    assert!(
        silent.statement[0].contains("nothing is on record; it is unknown how many devices"),
        "{:?}",
        silent.statement
    );
    assert!(!silent.statement.join(" ").contains("fewer"), "{:?}", silent.statement);
    // One site is known to be without, of the other one there is nothing: it is left out, and told of.
    record.active(9, "2026-05-11", 10);
    let half = document_of(&record, None, &asked);
    let told = json(&half);
    let figures =
        ["now", "decline_percent", "silent_sites", "silent_baseline"].map(|name| told["figures"][name].clone());
    assert_eq!(figures, [json!(0), json!(100.0), json!(1), json!(1)]);
    let says = "On 1 site with 1 of these nothing is on record in the window; without it there are 100.0 % fewer now.";
    assert!(half.statement[0].contains(says), "{:?}", half.statement);
    let decline = |site: &str| {
        let rows = told["sites"].as_array().unwrap();
        rows.iter().find(|row| row["site"] == site).unwrap()["decline_percent"].clone()
    };
    assert_eq!((decline("berlin"), decline("paris")), (json!(100.0), json!(null)));
}

#[test]
fn the_same_record_and_question_make_the_same_octets() {
    let record = record();
    for format in Format::ALL {
        assert_eq!(format.render(&document(&record, None)), format.render(&document(&record, None)));
    }
}

#[test]
fn a_law_that_binds_the_supplier_is_never_said_to_prohibit_use() {
    let text = document(&record(), None).statement.join(" ");
    assert!(text.contains("Act 7 (7 XX 1), which binds suppliers and does not prohibit use."), "{text}");
    assert!(text.contains("33.3 % more now"), "{text}");
}

#[test]
fn what_people_wrote_is_text_in_every_form() {
    let document = document(&record(), None);
    let page = Format::Html.render(&document);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "no script is left in the page");
    assert!(Format::Markdown.render(&document).contains("\\<script\\>alert(1)\\</script\\> \\| \\`x\\`"));
    let sheet = Format::Csv.render(&document);
    assert!(sheet.lines().all(|line| line.split("\",\"").all(|cell| !cell.trim_matches('"').starts_with('='))));
    let named =
        Document { about: About { title: "a\u{202e}b\u{1b}[31m".to_owned(), ..document.about.clone() }, ..document };
    for format in [Format::Html, Format::Csv, Format::Markdown] {
        let text = format.render(&named);
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{format:?}");
    }
}

#[test]
fn oscal_is_whole_and_refers_to_nothing_that_is_not_there() {
    let document = document(&record(), None);
    let sealed = seal(&Format::Oscal.render(&document), Format::Oscal, None);
    assert_eq!(sealed, seal(&Format::Oscal.render(&document), Format::Oscal, None));
    assert!(verify(sealed.as_bytes(), None).is_ok());
    let told: Value = serde_json::from_str(&sealed).unwrap();
    let all = &told["assessment-results"];
    let result = &all["results"][0];
    let (mut uuids, mut named) = (Vec::new(), Vec::new());
    walk(all, &mut |key, value| match (key, value.as_str()) {
        ("uuid", Some(uuid)) => uuids.push(uuid.to_owned()),
        ("observation-uuid" | "subject-uuid", Some(uuid)) => named.push(uuid.to_owned()),
        ("href", Some(href)) => named.push(href.trim_start_matches('#').to_owned()),
        ("value" | "title" | "description", Some(text)) => assert!(!text.trim().is_empty() && text.trim() == text),
        _ => (),
    });
    let is_uuid = |uuid: &String| {
        let of = |at: usize| uuid.as_bytes()[at];
        uuid.len() == 36
            && of(14) == b'5'
            && b"89ab".contains(&of(19))
            && [8, 13, 18, 23].iter().all(|at| of(*at) == b'-')
    };
    assert!(uuids.iter().all(is_uuid), "{uuids:?}");
    assert!(named.len() > 4 && named.iter().all(|uuid| uuids.contains(uuid)), "{named:?}");
    let count = uuids.len();
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), count, "each is another's");
    assert_eq!(all["metadata"]["oscal-version"], "1.1.2");
    assert_eq!(result["findings"][0]["target"]["status"]["state"], "not-satisfied");
    let devices = result["local-definitions"]["inventory-items"].as_array().unwrap();
    assert_eq!(devices.len(), document.open.devices.len());
    let last = all["back-matter"]["resources"].as_array().unwrap().last().unwrap();
    assert!(last["description"].as_str().unwrap().starts_with("embargo-seal 1 sha256 "));
}

/// Every member of every object.
fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                visit(key, value);
                walk(value, visit);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| walk(value, visit)),
        _ => (),
    }
}

#[test]
fn sites_are_put_together_by_what_they_are_tagged_with() {
    let record = record();
    let store = record.store();
    let presence = store.presence().unwrap();
    let (ban, asked, history) = (ban(), asked(), history());
    let tags = vec![SiteTags { site: "berlin".into(), country: Some("DE".into()), department: None }];
    let of = |by| {
        let grouping = Grouping { tags: tags.clone(), by };
        let inputs = Inputs { grouping, flows: true, ..inputs(&ban, &asked, &history) };
        Document::build(&presence, &inputs).unwrap()
    };
    let all = of(None);
    let sum = |rows: &[GroupRow]| {
        rows.iter().map(|row| (row.baseline, row.now.unwrap_or_default())).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    assert_eq!(sum(&all.groups), (all.figures.baseline, all.figures.now.unwrap_or_default()));
    assert!(all.groups.iter().all(|row| row.by == "country") && all.groups.iter().any(|row| row.name == "not tagged"));
    for (format, title) in
        [(Format::Html, "<h2>Countries</h2>"), (Format::Markdown, "## Countries"), (Format::Csv, "\"country\"")]
    {
        assert!(format.render(&all).contains(title), "{title}");
    }
    let countries = of(Some(By::Country));
    assert!(countries.sites.is_empty() && countries.groups.len() == all.groups.len());
    let sites = of(Some(By::Site));
    assert!(sites.groups.is_empty() && sites.sites.len() == all.sites.len());
    assert!(all.limits.iter().any(|limit| limit.contains("measured where the firewall")));
}

#[test]
fn what_privacy_left_out_is_said_and_never_of_whom() {
    let (coverage, mut history) = (document(&record(), None).coverage, history());
    let at = |text: &str| text.parse().unwrap();
    history.levels = vec![
        LevelRow { site: "berlin".to_owned(), from: at("2026-01-01T00:00:00Z"), level: "hashed" },
        LevelRow { site: "paris".to_owned(), from: at("2026-01-01T00:00:00Z"), level: "counts" },
        LevelRow { site: "paris".to_owned(), from: at("2026-01-02T00:00:00Z"), level: "full" },
    ];
    history.erasures = vec![Erasure { at: at("2026-02-01T00:00:00Z"), devices: 2, attempts: 9 }];
    let (ban, asked) = (ban(), asked());
    let limits = method::limits(&coverage, &history, &inputs(&ban, &asked, &history)).join("\n");
    assert!(
        limits.contains("At the site `berlin`, from 2026-01-01T00:00:00.000Z, clients are pseudonyms."),
        "{limits}"
    );
    assert!(!limits.contains("paris"), "that was over before the baseline");
    assert!(
        limits.contains("Erased from the record because it was asked for: 2 devices and addresses with 9 attempts")
    );
}

#[test]
fn each_kind_of_proof_has_its_own_devices_whichever_the_figures_are_of() {
    let record = Record::new();
    let visit = |client, at| Tried { evidence: Evidence::Visit, ..Tried::by(client, at) };
    record.write(&[
        Tried::by(1, "2026-02-03T08:00:00Z"),
        Tried::by(1, "2026-03-12T08:00:00Z"),
        visit(2, "2026-03-12T08:00:00Z"),
        visit(3, "2026-03-12T08:00:00Z"),
    ]);
    let store = record.store();
    let presence = store.presence().unwrap();
    for evidence in [Evidence::Installed, Evidence::Visit, Evidence::Likely] {
        let subject = Subject { ban: "acme", evidence, asked: &asked(), site: None, spans: &[] };
        let found = Figures::read(&presence, &subject).unwrap().evidence;
        assert_eq!((found[&Evidence::Installed], found[&Evidence::Visit]), ((1, 1), (0, 2)), "{evidence:?}");
    }
}

#[test]
fn a_window_that_is_not_over_and_lookups_that_are_gone_are_said() {
    let record = record();
    let store = record.store();
    let presence = store.presence().unwrap();
    let (ban, asked, history) = (ban(), asked(), history());
    let made_on = |today: &str, lookups_since| {
        let signals = vec![SignalRow::gone("bypass", "encrypted_dns".to_owned())];
        let inputs = Inputs { today: day(today), lookups_since, signals, ..inputs(&ban, &asked, &history) };
        Document::build(&presence, &inputs).unwrap()
    };
    let says = |document: &Document, text: &str| {
        document.statement.iter().chain(&document.limits).any(|line| line.contains(text))
    };
    for (today, expected) in [
        ("2026-03-18", "The window is not over: this was found on 2026-03-18, when 2 days of it are still to come."),
        ("2026-03-20", "The window is not over: this was found on 2026-03-20, when its last day is not over."),
    ] {
        assert!(says(&made_on(today, None), expected), "{today}");
    }
    assert!(!says(&made_on("2026-03-21", None), "not over"));
    let gone = made_on("2026-03-21", Some(day("2026-03-15")));
    assert!(says(&gone, "Lookups one by one are on record from 2026-03-15 on only"), "{:?}", gone.limits);
    assert_eq!(
        (&json(&gone)["signals"][0]["devices"], &json(&gone)["signals"][0]["lookups"]),
        (&json!(null), &json!(null))
    );
    for format in [Format::Html, Format::Markdown] {
        assert!(format.render(&gone).contains("not on record"), "{format:?}");
    }
}

#[test]
fn rows_beyond_the_limit_are_counted() {
    let record = record();
    let store = record.store();
    let presence = store.presence().unwrap();
    let (ban, asked, history) = (ban(), asked(), History::default());
    let inputs = Inputs { rows_max: 1, ..inputs(&ban, &asked, &history) };
    let document = Document::build(&presence, &inputs).unwrap();
    assert_eq!((document.open.devices.len(), document.open.left_out, document.sites_left_out), (1, 3, 1));
    assert!(Format::Html.render(&document).contains("3 more devices are not listed"));
    assert!(document.limits.iter().any(|limit| limit.starts_with("There is no audit log")));
}

#[test]
fn forms_are_as_they_were_reviewed() {
    let document = document(&record(), None);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/fixtures/report");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // The page is looked at in a browser.
    settings.bind(|| {
        insta::assert_snapshot!("markdown", Format::Markdown.render(&document));
        insta::assert_snapshot!("csv", Format::Csv.render(&document).replace("\r\n", "\n"));
    });
}
