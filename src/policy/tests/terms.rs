//! What a ban does to some clients and at some hours.

use jiff::tz::TimeZone;

use super::*;

const STRANGER: Client = Client::at(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));

/// A ban that takes one stance towards the lab and another one towards all others.
fn two_faced(all: Stance, lab: Stance) -> Ban {
    Ban { terms: vec![Term { groups: vec![GroupIndex(1)], stance: lab }], ..taking(all, "v") }
}

#[track_caller]
fn check_for(policy: &Policy, client: &Client, asked: &str, expected: &str) {
    assert_eq!(shown_to(policy, asked, qtype::A, client, time("2030-01-01T00:00:00Z")), expected, "{asked}");
}

#[test]
fn a_ban_can_be_off_for_all_and_in_force_for_one_group() {
    let ban = two_faced(Stance { mode: Mode::Off, ..Stance::default() }, Stance::default());
    let policy = World::new().with_groups().ban(ban, "a.example\nx.a.example c visit").build();
    check_for(&policy, &CLIENT, "a.example", "pass");
    check_for(&policy, &STRANGER, "a.example", "pass");
    check_for(&policy, &MEMBER, "a.example", "nxdomain-as-nodata v/a.example soa a.example");
    check_for(&policy, &MEMBER, "x.a.example", "observe v/x.a.example");
}

#[test]
fn the_first_term_that_speaks_of_a_client_holds() {
    let term = |groups: &[u16], mode| Term {
        groups: groups.iter().copied().map(GroupIndex).collect(),
        stance: Stance { mode, ..Stance::default() },
    };
    let terms = vec![term(&[0], Mode::Off), term(&[0, 1], Mode::Observe), term(&[1], Mode::Off)];
    let policy = World::new().with_groups().ban(Ban { terms, ..Ban::named("v") }, "a.example").build();
    check_for(&policy, &STRANGER, "a.example", "pass");
    check_for(&policy, &MEMBER, "a.example", "observe v/a.example");
    check_for(&policy, &CLIENT, "a.example", "nxdomain v/a.example soa a.example");
}

#[test]
fn nxdomain_is_not_said_above_a_name_that_another_ban_answers_otherwise_for_some() {
    let refusing = two_faced(Stance::default(), Stance { action: Action::Refuse, ..Stance::default() });
    // `v` sorts before `w`, so below x.a.example it has its say first.
    let policy = World::new().with_groups().ban(Ban::named("w"), "a.example").ban(refusing, "x.a.example").build();
    for client in [CLIENT, MEMBER] {
        check_for(&policy, &client, "a.example", "nxdomain-as-nodata w/a.example soa a.example");
    }
    check_for(&policy, &MEMBER, "x.a.example", "refuse v/x.a.example soa x.a.example, nxdomain w/a.example");
}

#[test]
fn outside_its_hours_a_ban_observes_and_answers_live_no_longer_than_the_hour() {
    let hours = Schedule::new(vec![Window::parse("daily 08:00-18:00").unwrap()], TimeZone::UTC);
    let ban = taking(Stance { schedule: Some(hours), ..Stance::default() }, "v");
    let policy = World::new().ban(ban, "a.example").build();
    let at = |hour: &str| {
        let at = time(&format!("2030-01-01T{hour}Z"));
        let verdict = policy.decide(&name("a.example"), qtype::A, &CLIENT, at);
        let ttl = match &verdict.decision {
            Decision::Enforce(_, blocked) => Some(blocked.ttl),
            _ => verdict.ttl_cap,
        };
        (shown(&policy, "a.example", qtype::A, at), ttl)
    };
    let (observed, blocked) = ("observe v/a.example".to_owned(), "nxdomain v/a.example soa a.example".to_owned());
    assert_eq!(at("07:59:50"), (observed.clone(), Some(10)));
    assert_eq!(at("08:00:00"), (blocked.clone(), Some(30)));
    assert_eq!(at("17:59:59"), (blocked, Some(1)));
    assert_eq!(at("18:00:00"), (observed, Some(300)));
}

#[test]
fn a_rollout_enforces_on_its_share_and_observes_the_others() {
    let share = Share::new(25).unwrap();
    let ban = taking(Stance { rollout: Some(share), ..Stance::default() }, "v");
    let policy = World::new().ban(ban, "a.example").build();
    let mut enforced = 0;
    for last in 0..=255 {
        let client = Client::at(IpAddr::from([192, 0, 2, last]));
        let is_in = share.holds("v", client.address);
        let expected = if is_in { "nxdomain v/a.example soa a.example" } else { "observe v/a.example" };
        check_for(&policy, &client, "a.example", expected);
        enforced += usize::from(is_in);
    }
    assert!((32..96).contains(&enforced), "{enforced}");
}

#[test]
fn a_standing_tells_the_term_and_whether_the_rollout_has_reached_the_client() {
    let share = Share::new(1).unwrap();
    let lab = Stance { rollout: Some(share), ..Stance::default() };
    let policy = World::new().with_groups().ban(two_faced(Stance::default(), lab), "a.example").build();
    let at = time("2030-01-01T00:00:00Z");
    let of = |client: &Client| policy.standing(BanIndex(0), client, at);
    assert_eq!((of(&CLIENT).mode, of(&CLIENT).term.is_some()), (Mode::Enforce, false));
    assert!(!share.holds("v", MEMBER.address));
    assert_eq!((of(&MEMBER).mode, of(&MEMBER).term.is_some()), (Mode::Observe, true));
}
