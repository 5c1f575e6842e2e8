//! Upstreams with every fault there is, under load: one of three, then all of them.

use std::fs;
use std::time::Duration;

use super::client::{A, NOERROR, ask};
use super::dnsperf::{Load, Report};
use super::faulty::{Fault, Faulty};
use super::process::{SOON, until};
use super::said::dig;
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Every answer leaves within this, and has some time to arrive on a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(2 + 1);

/// Names nobody asked for before, so many a second.
fn names(prefix: &str, count: u32) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}.many.test A")).collect()
}

fn in_time(what: &str, report: &Report) {
    assert_eq!(report.completed, report.sent, "{what}: every query is answered");
    assert!(report.latency_max() < DEADLINE, "{what}: {:?}", report.latency_max());
}

#[test]
fn one_upstream_of_three_may_have_any_fault_and_no_client_hears_of_it() {
    const SECONDS: u32 = 5;
    const RATE: u32 = 40;
    let unbound = [Unbound::start(), Unbound::start()];
    // All at the same time: each server has a faulty upstream of its own, which is the first to be asked.
    let worlds: Vec<(Fault, Faulty, Server)> = Fault::ALL
        .into_iter()
        .map(|fault| {
            let faulty = Faulty::start();
            let server = Setup::new(&[faulty.address, unbound[0].address, unbound[1].address]).start();
            (fault, faulty, server)
        })
        .collect();
    for (fault, faulty, server) in &worlds {
        assert_eq!(ask(server.dns, "well.many.test", A).unwrap(), NOERROR, "{fault:?}");
        assert!(faulty.seen() > 0, "{fault:?}: it is the first to be asked");
        faulty.now_has(*fault);
    }

    let load = |(fault, _, server): &(Fault, Faulty, Server)| {
        Load::start(server.dns, &names(&format!("{fault:?}"), SECONDS * RATE), SECONDS, RATE)
    };
    let loads: Vec<Load> = worlds.iter().map(load).collect();

    for ((fault, faulty, server), load) in worlds.iter().zip(loads) {
        let report = load.report();
        in_time(&format!("{fault:?}"), &report);
        assert_eq!(report.rcode("NOERROR"), report.sent, "{fault:?}");
        let page = server.metrics();
        let name = faulty.address.to_string();
        let of = |metric: &str| page.sum_of(metric, &[("upstream", &name)]);
        assert!(of("embargo_upstream_failures_total") > 0, "{fault:?} was seen");
        assert_eq!(of("embargo_upstream_healthy"), 0, "{fault:?}: it is not asked in its turn any more");
        assert_eq!(page.sum("embargo_panics_total"), 0);
    }
}

#[test]
fn with_every_upstream_dead_what_was_known_is_given_and_the_rest_is_servfail_in_bounded_room() {
    const NAMES: u32 = 200;
    const SECONDS: u32 = 4;
    const RATE: u32 = 2_000;
    // What the attempts of tasks may hold at two upstreams, within their patience and beyond, and some for all else.
    const DESCRIPTORS_MAX: usize = 2 * (256 + 64) + 64;
    let faulty = [Faulty::start(), Faulty::start()];
    let mut server = Setup::new(&[faulty[0].address, faulty[1].address]).start();
    let known = names("known", NAMES);
    for name in &known {
        assert_eq!(ask(server.dns, name.trim_end_matches(" A"), A).unwrap(), NOERROR);
    }
    for upstream in &faulty {
        upstream.now_has(Fault::Silent);
    }
    until("what is known is stale", SOON, || {
        let ede = dig(server.dns, &["known0.many.test", "A"]).ede().join(" ");
        ede.starts_with("3 (Stale Answer)").then_some(())
    });
    let process = server.running().child.id();
    let descriptors = || fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let before = (descriptors(), server.running().resident_kib());

    let both: Vec<String> = known.into_iter().zip(names("dead", NAMES)).flat_map(|(a, b)| [a, b]).collect();
    let mut load = Load::start(server.dns, &both, SECONDS, RATE);
    let mut descriptors_most = 0;
    while load.goes_on() {
        descriptors_most = descriptors_most.max(descriptors());
        std::thread::yield_now();
    }
    let report = load.report();

    in_time("all dead", &report);
    assert_eq!(report.rcode("NOERROR") + report.rcode("SERVFAIL"), report.sent);
    assert!(
        report.rcode("NOERROR").abs_diff(report.rcode("SERVFAIL")) <= 1,
        "what was known, and nothing else, is given"
    );
    let dead = dig(server.dns, &["one.dead.test", "A"]);
    assert_eq!(dead.status(), "SERVFAIL");
    assert!(dead.ede()[0].starts_with("22 (No Reachable Authority)"), "{}", dead.text);
    assert!(descriptors_most < before.0 + DESCRIPTORS_MAX, "{descriptors_most} descriptors, {} before", before.0);
    let grown = server.running().resident_kib().saturating_sub(before.1);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    assert_eq!(server.metrics().sum("embargo_panics_total"), 0);

    for upstream in &faulty {
        upstream.now_has(Fault::None);
    }
    until("an upstream is seen to be back", SOON, || {
        (ask(server.dns, "dead0.many.test", A).ok()? == NOERROR).then_some(())
    });
}
