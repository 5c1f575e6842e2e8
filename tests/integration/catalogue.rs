//! The bans that are shipped switched off: they cost nothing until an operator names them, and then say about every name
//! what is known of it, and nothing about names that are others' too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use embargo::config::{self, PolicyLoad, Settings};
use embargo::policy::{Client, Decision, Mode, Policy};
use embargo::wire::LowerName;

use crate::blocklists::verdict;

const NAMES: &str = include_str!("../fixtures/config/vendor-names.csv");
const NOW: &str = "2026-10-01T00:00:00Z";

/// The vendors of the table that have a ban. Of the others, no name is known that a rule could be made of.
const BANS: [(&str, &str); 12] = [
    ("bytedance_tiktok", "tiktok"),
    ("dahua", "dahua"),
    ("deepseek", "deepseek"),
    ("dji", "dji"),
    ("drweb", "drweb"),
    ("hikvision", "hikvision"),
    ("huawei", "huawei"),
    ("manus", "manus"),
    ("tencent_wechat", "wechat"),
    ("tp_link", "tp-link"),
    ("xiaohongshu", "xiaohongshu"),
    ("zte", "zte"),
];

/// Clouds of Huawei that host third parties. The table says so of all of its clouds but these two.
const SHARED: [&str; 2] = ["myhuaweicloud.eu", "myhuaweicloud.ru"];

/// A row of the table, in its own words.
#[derive(Debug)]
struct Row {
    vendor: &'static str,
    name: &'static str,
    exact: bool,
    category: &'static str,
    signal: &'static str,
    confidence: &'static str,
    action: &'static str,
    sources: Vec<&'static str>,
}

/// What a row asks of its ban: evidence, and what is done.
type Asked = (&'static str, &'static str);

impl Row {
    fn all() -> Vec<Self> {
        let lines = NAMES.lines().filter(|line| !line.starts_with('#')).skip(1);
        let rows: Vec<Self> = lines.map(Self::new).collect();
        assert_eq!(rows.len(), 1558);
        rows
    }

    fn new(line: &'static str) -> Self {
        let columns: Vec<&str> = line.split(',').collect();
        let [vendor, name, kind, category, signal, confidence, action, sources] = columns[..] else { panic!("{line}") };
        let exact = kind == "exact";
        assert!(exact || kind == "suffix", "{line}");
        Self { vendor, name, exact, category, signal, confidence, action, sources: sources.split(' ').collect() }
    }

    /// What may be a rule: wanted, sure, and read where a reader can open it and we may take it from.
    fn asked(&self) -> Option<Asked> {
        let open = |source: &&&str| !["adguard", "ndpi", "unnamed"].contains(*source);
        let sources: Vec<_> = self.sources.iter().filter(open).collect();
        if self.action == "off" || self.confidence == "low" || sources.is_empty() || SHARED.contains(&self.name) {
            return None;
        }
        let evidence = match self.signal {
            "installed_product" => "installed",
            "device_or_app" | "device_or_sdk" => "device_or_app",
            "ambiguous" => "ambiguous",
            "service_use" => "service",
            "web_visit" => "visit",
            "not_product" => "none",
            other => panic!("{other}"),
        };
        let does = match self.action {
            "block" => "nxdomain",
            "log_only" => "observe",
            "allow" => "allow",
            other => panic!("{other}"),
        };
        // Weaker than the table on purpose: that a name is asked for says nothing of whose it is, and a list of a vendor's
        // names says nothing of who asks for them. Only a resolver's own bootstrap is asked for by nothing else.
        let owner_is_a_guess = sources.iter().all(|source| ***source == *"popularity");
        Some(match (evidence, does) {
            ("installed" | "device_or_app", "nxdomain" | "observe") if owner_is_a_guess => ("ambiguous", "observe"),
            (_, "nxdomain") if owner_is_a_guess => (evidence, "observe"),
            ("installed", _) if self.category != "app_dns_bypass" => ("likely", does),
            asked => asked,
        })
    }

    /// The names to ask for.
    fn names(&self) -> Vec<String> {
        let below = (!self.exact).then(|| format!("a.{}", self.name));
        [self.name.to_owned()].into_iter().chain(below).collect()
    }

    fn covers(&self, name: &str) -> bool {
        let below = name.strip_suffix(self.name).is_some_and(|rest| rest.ends_with('.'));
        name == self.name || (!self.exact && below)
    }
}

/// The policy with these bans switched on as an operator does it: by one line in the configuration.
fn switched_on(bans: &[&str]) -> Policy {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("embargo.toml");
    let mut text =
        "state_dir = \"/nowhere\"\n[ban.kaspersky]\nmode = \"off\"\n[ban.bypass]\nmode = \"off\"\n".to_owned();
    for ban in bans {
        writeln!(text, "[ban.{ban}]\nmode = \"enforce\"").unwrap();
    }
    std::fs::write(&file, text).unwrap();
    let args = config::Args { config: Some(file), ..config::Args::default() };
    let loaded = config::load(&args, &config::Environment::default()).unwrap();
    let PolicyLoad { policy, diagnostics, .. } = config::policy(&loaded.settings, 1);
    assert_eq!(diagnostics, []);
    policy.unwrap()
}

fn all_on() -> Policy {
    switched_on(&BANS.map(|(_, ban)| ban))
}

/// That no ban is held against a name, nor its lookup recorded.
#[track_caller]
fn is_let_alone(policy: &Policy, name: &str) {
    let (ban, evidence, does) = verdict(policy, name, NOW);
    assert!(does == "pass" || does == "allow", "{name}: {ban} {evidence} {does}");
}

#[test]
fn every_row_gets_the_verdict_its_columns_ask_for_once_its_ban_is_on() {
    let rows = Row::all();
    for (vendor, ban) in BANS {
        let policy = switched_on(&[ban]);
        let own: Vec<&Row> = rows.iter().filter(|row| row.vendor == vendor).collect();
        assert!(own.iter().any(|row| row.asked().is_some()), "{vendor}");
        for name in own.iter().filter(|row| row.action != "off").flat_map(|row| row.names()) {
            // A row that asks for nothing may lie below one that asks for something.
            let covering = own.iter().filter(|row| row.asked().is_some() && row.covers(&name));
            let asked = covering.max_by_key(|row| row.name.len()).and_then(|row| row.asked());
            let (by, evidence, does) = verdict(&policy, &name, NOW);
            match asked {
                None => is_let_alone(&policy, &name),
                Some((_, "allow")) => assert_eq!((by.as_str(), does), (ban, "allow"), "{name}"),
                Some(asked) => assert_eq!((by.as_str(), (evidence, does)), (ban, asked), "{name}"),
            }
        }
    }
}

#[test]
fn rows_that_ask_for_nothing_are_let_alone_with_every_ban_on() {
    let policy = all_on();
    let rows = Row::all();
    let off: Vec<_> = rows.iter().filter(|row| row.action == "off" || SHARED.contains(&row.name)).collect();
    assert_eq!(off.len(), 1218);
    for name in off.iter().flat_map(|row| row.names()) {
        is_let_alone(&policy, &name);
    }
    let without: Vec<_> = rows.iter().filter(|row| BANS.iter().all(|(vendor, _)| *vendor != row.vendor)).collect();
    for name in without.iter().flat_map(|row| row.names()) {
        is_let_alone(&policy, &name);
    }
}

#[test]
fn no_rule_stands_without_a_row() {
    let mut asked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let rows = Row::all();
    for row in rows.iter().filter(|row| row.asked().is_some_and(|(_, does)| does != "allow")) {
        let ban = BANS.iter().find(|(vendor, _)| *vendor == row.vendor);
        if let Some((_, ban)) = ban {
            asked.entry(ban).or_default().insert(format!("{}{}", if row.exact { "=" } else { "" }, row.name));
        }
    }
    for (_, ban) in BANS {
        let path = format!("{}/blocklists/{ban}/rules.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let patterns = text.lines().filter_map(|line| line.split([' ', '#']).next());
        let rules: BTreeSet<String> =
            patterns.filter(|word| !word.is_empty() && !word.starts_with('!')).map(str::to_owned).collect();
        assert_eq!(Some(&rules), asked.get(ban), "{ban}");
    }
}

#[test]
fn names_that_are_others_too_are_let_alone_with_every_ban_on() {
    let policy = all_on();
    for name in [
        // Clouds and networks that carry what others put there.
        "huaweicloud.com",
        "obs.cn-north-4.myhuaweicloud.com",
        "www.akamaized.net",
        "e1.a.akamaiedge.net",
        "x.akadns.net",
        "example.edgesuite.net",
        "example.edgekey.net",
        "example.map.fastly.net",
        "example.cdn.cloudflare.net",
        "example.mncdn.com",
        "example.liveplay.myqcloud.com",
        "example.onelink.appsflyersdk.com",
        // The vendor's parent, its neighbours, and brands it sold.
        "qq.com",
        "www.qq.com",
        "mail.qq.com",
        "qpic.cn",
        "autel.com",
        "www.hytera.com",
        // Carriers, and a name that was read in a list under the GPL only.
        "www.chinamobile.com",
        "189.cn",
        "10010.com",
        "xiaohongshu.com.my",
        "www.hihonor.com",
        "lorexservices.com",
        // Owners that nobody has shown.
        "x.hicloudcam.com",
        "x.ezviz7.com",
        "deepseeksvc.com",
        // Registries.
        "cn",
        "com.cn",
        "co.jp",
        // Whoever only looks alike.
        "mytiktok.com",
        "nothuawei.com",
        "tiktok.com.example",
        "zte.example",
        "fakedji.com",
        "mymanus.im",
        "manus.example",
        "xiaohongshu.com.example",
        "deepseek.ai",
    ] {
        is_let_alone(&policy, name);
    }
    assert_eq!(verdict(&policy, "tplinkwifi.net", NOW).2, "allow");
}

#[test]
fn advertising_and_embeds_never_count_as_the_application() {
    let policy = all_on();
    for name in ["analytics.tiktok.com", "tiktokpangle.us", "x.tiktokpangle-cdn-us.com"] {
        assert_eq!(verdict(&policy, name, NOW), ("tiktok".to_owned(), "none", "observe"), "{name}");
    }
    assert_eq!(verdict(&policy, "www.tiktok.com", NOW), ("tiktok".to_owned(), "ambiguous", "nxdomain"));
}

#[test]
fn a_ban_that_is_off_matches_nothing() {
    let PolicyLoad { policy, diagnostics, .. } = config::policy(&Settings::default(), 1);
    assert_eq!(diagnostics, []);
    let policy = policy.unwrap();
    let off = policy.bans().iter().filter(|ban| ban.stance.mode == Mode::Off).count();
    // With the vendors' bans, the networks of one.
    assert_eq!((off, policy.bans().len()), (BANS.len() + 1, BANS.len() + 3));
    assert!(!policy.screens_addresses());
    for name in Row::all().iter().flat_map(Row::names) {
        let (ban, _, _) = verdict(&policy, &name, NOW);
        // The application's own resolver is a signal of its own, whatever is banned.
        assert!(ban.is_empty() || ban == "bypass", "{name}: {ban}");
    }
}

#[test]
fn the_vendors_networks_are_watched_at_most_and_those_of_public_resolvers_are_none_of_them() {
    let policy = switched_on(&["kaspersky-networks"]);
    let client = Client::at([192, 0, 2, 1].into());
    let (name, now) = (LowerName::parse("www.example.org").unwrap(), NOW.parse().unwrap());
    let does = |address: &str| {
        let verdict = policy.decide_address(address.parse().unwrap(), &name, &client, now, |_ban| false);
        match verdict.decision {
            Decision::Pass => "pass",
            Decision::Observe(hit) => hit.evidence.as_str(),
            other => panic!("{address}: {other:?}"),
        }
    };
    assert_eq!([does("185.85.15.20"), does("2a03:2480:68::1")], ["none"; 2]);
    for other in ["8.8.8.8", "1.1.1.1", "223.6.6.6", "9.9.9.9", "185.228.168.168", "119.255.133.1", "93.159.226.1"] {
        assert_eq!(does(other), "pass", "{other}");
    }
}

#[test]
fn no_shipped_ban_but_the_first_binds_anyone_or_has_a_contact_by_default() {
    let policy = all_on();
    for ban in policy.bans().iter().filter(|ban| BANS.iter().any(|(_, id)| **id == *ban.id)) {
        assert!(ban.bound_by.is_empty() && ban.contact.is_empty() && !ban.alternatives.is_empty(), "{}", ban.id);
        assert!(ban.laws.iter().all(|law| !law.source.is_empty()), "{}", ban.id);
        assert_eq!(*ban.ede.text, *format!("{} is blocked by policy of this network", ban.title));
    }
}
