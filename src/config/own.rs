//! Names that a list must not take from this server, its clients and its operator by accident.

use super::settings::Settings;
use crate::upstream::{Host, UpstreamSpec};
use crate::wire::Name;

/// Names that clocks are set by: a machine without the time can't check a signature, so no list may block them.
const CLOCKS: [&str; 15] = [
    "pool.ntp.org",
    "0.pool.ntp.org",
    "1.pool.ntp.org",
    "2.pool.ntp.org",
    "3.pool.ntp.org",
    "0.debian.pool.ntp.org",
    "2.android.pool.ntp.org",
    "ntp.ubuntu.com",
    "time.android.com",
    "time.apple.com",
    "time.aws.com",
    "time.cloudflare.com",
    "time.google.com",
    "time.nist.gov",
    "time.windows.com",
];

/// What no list can block: what the operator protects, clocks, where lists come from, whom we ask by name, and as whom clients
/// find us by encrypted transports.
pub(super) fn protected(settings: &Settings) -> Vec<Name> {
    let sources = settings.lists.iter().filter_map(|list| list.elsewhere.as_ref()?.host_name());
    let upstream = &settings.upstream;
    let forwards = settings.forwards.iter().flat_map(|forward| &forward.servers.value);
    let asked = upstream.servers.iter().chain(&upstream.bootstrap).chain(forwards).filter_map(host_name);
    let shown = settings.tls.iter().flat_map(|files| &files.names).map(String::as_str);
    // A certificate may be for addresses, and for all names below one: neither is a name that is asked for.
    let names = CLOCKS.into_iter().chain(sources).chain(asked).chain(shown.filter(|name| !name.contains(['*', ':'])));
    settings.protected.iter().cloned().chain(names.filter_map(|name| Name::parse(name).ok())).collect()
}

fn host_name(spec: &UpstreamSpec) -> Option<&str> {
    match spec {
        UpstreamSpec::Server { host: Host::Name(name), .. } => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::settings::{ForwardSettings, TlsSettings};
    use crate::config::{At, Blocklists, ListFile, Reading, policy};
    use crate::diag::Source;
    use crate::policy::{Client, Strictness};
    use crate::time::Timestamp;
    use crate::upstream::Order;
    use crate::wire::{LowerName, qtype};

    const OWN: [&str; 6] =
        ["vpn.own.test", "up.own.test", "boot.own.test", "zone.own.test", "dns.own.test", "pool.ntp.org"];

    fn at<T>(value: T) -> At<T> {
        At::new(value, &Source::new("test", ""), 0..0)
    }

    fn settings(list: PathBuf) -> Settings {
        let mut settings = Settings { protected: vec![Name::parse(OWN[0]).unwrap()], ..Settings::default() };
        settings.upstream.servers = vec!["https://up.own.test/dns-query".parse().unwrap()];
        settings.upstream.bootstrap = vec!["tls://boot.own.test".parse().unwrap()];
        let servers = at(vec!["quic://zone.own.test".parse().unwrap()]);
        let zones = vec![Name::parse("corp.example").unwrap()];
        settings.forwards =
            vec![ForwardSettings { zones, servers, order: Order::Listed, trust_ad: false, ecs_from: Vec::new() }];
        let names = ["dns.own.test", "*.own.test", "192.0.2.53"].map(str::to_owned).to_vec();
        settings.tls = Some(TlsSettings { certificate: at(PathBuf::new()), key: at(PathBuf::new()), names });
        settings.blocklists = Blocklists::Directory(at(list.parent().unwrap().join("none")));
        let reading = Reading { format: None, strictness: Strictness::Lenient };
        settings.lists = vec![ListFile::new(at(list), reading)];
        settings
    }

    #[test]
    fn no_list_takes_a_name_that_we_or_our_clients_need_and_the_rest_of_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("none")).unwrap();
        let list = directory.path().join("list.txt");
        std::fs::write(&list, format!("{}\nown.test\nother.own.test\n", OWN.join("\n"))).unwrap();
        let loaded = policy(&settings(list), 1);
        let told: Vec<String> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
        for name in OWN {
            let expected = format!("this would block `{name}`, which is protected; the rule is left out");
            assert!(told.contains(&expected), "{name}: {told:?}");
        }
        assert_eq!(told.len(), OWN.len() + 1, "own.test would block them all: {told:?}");
        let policy = loaded.policy.unwrap();
        let done = |name: &str| {
            let name = LowerName::parse(name).unwrap();
            policy.decide(&name, qtype::A, &Client::NOBODY, Timestamp::UNIX_EPOCH).decision.as_str()
        };
        assert_eq!((done("up.own.test"), done("other.own.test")), ("none", "nxdomain"));
    }
}
