//! What can't be meant is told before any server is asked; and how exemptions are shown.

use crate::audit::{Audit, REASON_MAX, Terms, Written};
use crate::cli::tests::{json_of, run};

/// A whole `exempt add` in words; `--state-dir` names a directory where no server runs.
const ADD: &str = "exempt add --client 192.0.2.7 --ban acme --for 6s --owner o --reason r --state-dir /nonexistent";

/// What the words say with `from` exchanged for `to`.
#[track_caller]
fn refused(from: &str, to: &str, part: &str) {
    assert!(ADD.contains(from));
    let line = ADD.replace(from, to);
    // `_` stands for a blank within a word.
    let words: Vec<String> = line.split_whitespace().map(|word| word.replace('_', " ")).collect();
    let ran = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {}", ran.err);
    assert!(ran.err.contains(part), "{line}: {}", ran.err);
}

#[test]
fn an_exemption_that_can_not_be_meant_is_refused_with_what_to_write() {
    refused("--client 192.0.2.7", "", "--client <IP|NET|DEVICE>");
    refused("--client 192.0.2.7", "--client 192.0.2.7 --group lab", "cannot be used with");
    refused("--client 192.0.2.7", "--client 192.0.2.7/24", "write 192.0.2.0/24");
    refused("--client 192.0.2.7", "--client ::/0", "is everybody");
    refused("--client 192.0.2.7", "--client host", "no address and no network");
    refused("--client 192.0.2.7", "--client host:anna-pc", "what a device calls itself");
    refused("--ban acme", "", "--ban <ID>");
    refused("--ban acme", "--ban acme --name a.example", "cannot be used with");
    refused("--ban acme", "--name .", "every name");
    refused("--ban acme", "--name a..example", "is no name");
    refused("--client 192.0.2.7", "--client 0.0.0.0/1", "is nearly everybody: an exemption is for a /8 at the widest");
    refused("--client 192.0.2.7", "--client 2000::/3", "is nearly everybody: an exemption is for a /16 at the widest");
    refused("--ban acme", "--name *.bad.example", "write bad.example: it covers all below it");
    refused("--for 6s", "--for 100000w", "longer than 10 years; write --endless");
    refused("--for 6s", "", "--endless");
    refused("--for 6s", "--for 6s --endless", "cannot be used with");
    refused("--for 6s", "--for 0s", "is over at once");
    refused("--for 6s", "--for 6", "no span; write 6s");
    refused("--for 6s", "--for -6s", "");
    refused("--for 6s", "--for 2027-01-01", "no span");
    refused("--for 6s", "--until 24h", "no moment");
    refused("--for 6s", "--until tomorrow", "no moment");
    refused("--for 6s", "--until 2025-03-10T12:00:00Z", "has passed already; it is 2025-03-10T12:00:00.123Z");
    refused("--owner o", "", "--owner <WHO>");
    refused("--owner o", "--owner _", "is empty");
    refused("--reason r", &format!("--reason {}", "r".repeat(REASON_MAX + 1)), "longer than 500 characters");
    refused("--reason r", "--reason r --ticket a\u{202e}b", "is not printed");
}

#[test]
fn nothing_in_an_exemption_can_steer_the_terminal() {
    let line = ADD.replace("--reason r", "--reason a\u{1b}[31m");
    let ran = run(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
}

#[test]
fn what_was_granted_is_shown_from_the_log_when_no_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let audit = Audit::new(directory.path());
    let at = |text: &str| text.parse().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let (owner, reason) = ("J. Doe".to_owned(), "removal tool".to_owned());
    let base = Written { owner, reason, until: text("2025-03-11T00:00:00Z"), ..Written::default() };
    let all = [
        Written { client: text("192.0.2.7"), ban: text("acme"), ticket: text("CHG-7"), ..base.clone() },
        Written { group: text("lab"), name: text("upd.example"), until: text("2025-03-10T08:00:00Z"), ..base.clone() },
        Written { client: text("2001:db8::/32"), category: text("update"), until: None, endless: true, ..base.clone() },
        Written { client: text("192.0.2.8"), ban: text("acme"), ..base },
    ];
    for written in all {
        let terms = Terms::try_from(written).unwrap();
        audit.grant(terms, Some(1000), 0, at("2025-03-10T07:00:00Z")).unwrap();
    }
    audit.expire(at("2025-03-10T08:00:00Z")).unwrap();
    audit.revoke(4, Some(0), at("2025-03-10T09:00:00Z")).unwrap();
    let state = directory.path().display().to_string();

    let ran = run(&["exempt", "list", "--all", "--state-dir", &state]);
    insta::assert_snapshot!(ran.out, @r"
    ID  STATE    WHO            WHAT              UNTIL                     OWNER   REASON        TICKET
    1   live     192.0.2.7      ban acme          2025-03-11T00:00:00.000Z  J. Doe  removal tool  CHG-7
    2   expired  group lab      name upd.example  2025-03-10T08:00:00.000Z  J. Doe  removal tool  -
    3   live     2001:db8::/32  category update   endless                   J. Doe  removal tool  -
    4   revoked  192.0.2.8      ban acme          2025-03-11T00:00:00.000Z  J. Doe  removal tool  -
    ");
    let rows = json_of(&["exempt", "list", "--state-dir", &state, "--json"]);
    assert_eq!((rows[0]["id"].as_str(), rows[1]["id"].as_str()), (Some("1"), Some("3")));
    assert_eq!((rows[0]["left_seconds"].as_u64(), rows[1]["until"].is_null()), (Some(43_199), true));
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let ran = run(&["audit", "--state-dir", &state]);
    for part in [
        "1000  granted: 192.0.2.7 is spared ban acme until 2025-03-11T00:00:00.000Z; J. Doe: removal tool, ticket CHG-7\n",
        "1000  granted: 2001:db8::/32 is spared category update without end; J. Doe: removal tool\n",
        " 5  2025-03-10 08:00:00Z  -     expired 2\n",
        " 6  2025-03-10 09:00:00Z  0     revoked 4\n",
        "\n\nINTACT  6 entries, the last with the hash ",
    ] {
        assert!(ran.out.contains(part), "{}", ran.out);
    }
}

#[test]
fn one_of_a_group_that_there_is_not_is_told_of_by_a_check() {
    let directory = tempfile::tempdir().unwrap();
    let (owner, reason) = ("o".to_owned(), "r".to_owned());
    let written = Written {
        group: Some("lab".to_owned()),
        ban: Some("kaspersky".to_owned()),
        endless: true,
        ..Written::default()
    };
    let terms = Terms::try_from(Written { owner, reason, ..written }).unwrap();
    Audit::new(directory.path()).grant(terms, None, 0, "2025-03-10T07:00:00Z".parse().unwrap()).unwrap();
    let ran = run(&["check", "--state-dir", &directory.path().display().to_string()]);
    let told = "audit.log: warning: exemption 1 spares nobody: there is no group `lab`. Revoke it, or it spares whoever gets that id next";
    assert!(ran.code == 0 && ran.out.contains(told), "{}{}", ran.out, ran.err);
}
