//! What other resolvers do with what is written, in their words and not in ours.

use super::*;

#[test]
fn no_name_of_a_list_becomes_another_kind_of_trigger_in_a_policy_zone() {
    for name in [
        "8.0.0.0.127.rpz-client-ip",
        "32.5.113.0.203.rpz-ip",
        "gtld-servers.net.rpz-nsdname",
        "32.5.113.0.203.rpz-nsip",
        "a.rpz-log",
    ] {
        let (text, exported) = export(&policy(ListFormat::Rules, &format!("a.example\n{name}\n")), ExportFormat::Rpz);
        assert_eq!((exported.names, exported.unsaid), (1, 1), "{text}");
        assert!(text.contains(&format!("; Not said here: `{name}`: in a policy zone it would be no name\n")), "{text}");
        assert!(!text.lines().any(|line| line.starts_with(name) || line.starts_with(&format!("*.{name}"))), "{text}");
    }
    let text = export(&policy(ListFormat::Rules, "rpz-ip.example\nrpz.ip\n*.a.rpz-nsdname\n"), ExportFormat::Rpz).0;
    assert!(text.contains("\nrpz-ip.example CNAME .\n") && text.contains("\nrpz.ip CNAME .\n"), "{text}");
    assert!(!text.contains("rpz-nsdname CNAME"), "{text}");
}
