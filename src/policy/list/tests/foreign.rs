//! The formats of others: what their lines come to, and what they say that no rule can.

use super::*;

/// Each rule as `line:pattern does`, then each fault as `line:column message`.
#[track_caller]
fn check(format: ListFormat, text: &str, rules: &[&str], faults: &[&str]) {
    let (found, parsed) = parse(format, Strictness::Lenient, text);
    let one = |(line, rule): &(usize, Rule)| {
        let does = match rule.does {
            None => String::new(),
            Some(Does::Mode(mode)) => format!(" {}", mode.as_str()),
            Some(Does::Action(action)) => format!(" {}", action.as_str()),
        };
        format!("{line}:{}{does}", rule.pattern)
    };
    assert_eq!(found.iter().map(one).collect::<Vec<_>>(), rules, "{text}");
    let told = parsed.diagnostics.iter().map(|diagnostic| {
        let place = diagnostic.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
        format!("{}:{} {}", place.0, place.1, diagnostic.message)
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), faults.len(), "{text}\n{told:#?}");
    for (told, fault) in told.iter().zip(faults) {
        let (place, message) = fault.split_once(' ').unwrap();
        assert!(told.starts_with(&format!("{place} ")) && told.contains(message), "{text}\n{told}\n{fault}");
    }
}

#[test]
fn a_hosts_file_blocks_the_names_of_addresses_that_lead_nowhere() {
    check(
        ListFormat::Hosts,
        "# comment\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nfe80::1%lo0 localhost\n\
         255.255.255.255 broadcasthost\n0.0.0.0 0.0.0.0\n0.0.0.0\ta.example B.example. # why\n::ffff:127.0.0.1 c.example\n\
         :: bücher.example\r\n",
        &["8:=a.example", "8:=b.example", "9:=c.example", "10:=xn--bcher-kva.example"],
        &[],
    );
    check(
        ListFormat::Hosts,
        "192.0.2.1 a.example\na.example\n0.0.0.0\n0.0.0.0 a.example b..example c.example\n0.0.0.0 *.d.example\n",
        &["4:=a.example", "4:=c.example"],
        &[
            "1:1 an address to go to, no block",
            "2:1 a line begins with an address",
            "3:1 no name behind the address",
            "4:21 label is empty; this part of the line is skipped",
            "5:9 `*` can't stand here",
        ],
    );
}

#[test]
fn an_ad_blockers_list_is_read_as_far_as_it_is_about_names() {
    check(
        ListFormat::Adblock,
        "[Adblock Plus 2.0]\n! Title: x\n# comment\n||a.example^\n@@||b.a.example^|\n|c.example^\nd.example\n||*.e.example^\n\
         @@||f.example^$important\n||g.example^$denyallow=h.g.example|i.example\n||j.example^$dnsrewrite=NXDOMAIN\n\
         ||k.example^$dnsrewrite=NOERROR;A;192.0.2.1\n||l.example^$important,dnsrewrite=0.0.0.0\n0.0.0.0 m.example\n\
         ||n.example^$dnsrewrite=REFUSED\n||o.example^$dnsrewrite=NOERROR\n  ||p.example^  \n||пример.example^\n\
         ########\n## Section\n# price in $$\n#no $$ either\n",
        &[
            "4:a.example",
            "5:!b.a.example",
            "6:=c.example",
            "7:=d.example",
            "8:*.e.example",
            "9:!f.example",
            "10:g.example",
            "10:!h.g.example",
            "11:j.example nxdomain",
            "12:k.example sinkhole",
            "13:l.example",
            "14:=m.example",
            "15:n.example refuse",
            "16:o.example nodata",
            "17:p.example",
            "18:xn--e1afmkfd.example",
        ],
        &[],
    );
    check(
        ListFormat::Adblock,
        "a.example##.ad\n||a.example/ads^\n/ads[0-9]+/\n||a.example^$third-party\n||a*.example^\n||a.example\n\
         ||a.example^$badfilter=x\n||a.example^$dnstype=AAAA\n||a.example^$client=192.0.2.1\n||a.example^$important,ctag=x\n\
         ||192.0.2.1^\n||a.example^$dnsrewrite=SERVFAIL\n||^\na.example$$script\n||a.example:443^\n\
         ||a.example^$denyallow=b.a.example|b..a.example\n||a.example^$denyallow=b.a.example,denyallow=c.a.example\n\
         ||a.example^$denyallow\n@@||a.example^$dnsrewrite\n##.ad\n#@#.ad\n",
        &[],
        &[
            "1:1 about the elements of a page",
            "2:1 about URLs",
            "3:1 about URLs",
            "4:14 a modifier that has no meaning",
            "5:4 `*` stands for several labels",
            "6:1 without a `^`",
            "7:14 a modifier that has no meaning",
            "8:14 for some types only",
            "9:14 for some clients only",
            "10:24 for some clients only",
            "11:3 an address is no name",
            "12:14 an answer that no action gives",
            "13:3 pattern has no name",
            "14:1 about the elements",
            "15:1 about URLs",
            "16:38 label is empty",
            "17:36 stands twice",
            "18:14 of a block only",
            "19:16 takes back another line's answer",
            "20:1 about the elements",
            "21:1 about the elements",
        ],
    );
}

#[test]
fn dnsmasq_blocks_allows_and_forwards_by_names() {
    check(
        ListFormat::Dnsmasq,
        "# comment\naddress=/a.example/\naddress=/b.example/c.example/#\naddress=/d.example/0.0.0.0\n\
         address=/e.example/192.0.2.1 # why\nserver=/f.example/\nlocal=/g.example/\nserver=/h.a.example/#\n\
         --address=/.i.example/::\naddress=/*.j.example/#\n",
        &[
            "2:a.example nxdomain",
            "3:b.example",
            "3:c.example",
            "4:d.example",
            "5:e.example sinkhole",
            "6:f.example nxdomain",
            "7:g.example nxdomain",
            "8:!h.a.example",
            "9:i.example",
            "10:*.j.example",
        ],
        &[],
    );
    check(
        ListFormat::Dnsmasq,
        "no-resolv\nserver=192.0.2.1\nserver=/a.example/192.0.2.1\naddress=/a.example/x\naddress=/#/\naddress=//\n\
         address=/a.example/b..example/c.example/#\naddress=/a.example/ 0.0.0.0\nserver=/*a.example/#\n",
        &["7:a.example", "7:c.example"],
        &[
            "1:1 no rule about names",
            "2:1 not for some names",
            "3:19 sends questions elsewhere",
            "4:20 neither an address",
            "5:10 for every name",
            "6:10 for every name",
            "7:22 label is empty; this part",
            "8:21 more than one word",
            "9:9 `*` can't stand here",
        ],
    );
}

#[test]
fn unbound_blocks_by_zones_and_by_data_that_leads_nowhere() {
    check(
        ListFormat::Unbound,
        "# comment\nserver:\n  local-zone: \"a.example\" always_nxdomain\nlocal-zone: b.example. static # why\n\
         \tlocal-zone:'c.example'  refuse\nlocal-zone: \"d.example\" deny\nlocal-zone: \"e.example\" always_null\n\
         local-zone: \"f.a.example\" transparent\nlocal-zone: \"g.example\" redirect\n\
         local-data: \"g.example 30 IN A 192.0.2.1\"\nlocal-data: 'h.example A 0.0.0.0'\nlocal-zone: i.example inform\n\
         local-zone: \"j.example\" always_nodata\nlocal-zone: \"k.example\" redirect\n\
         local-data: \"k.example A 0.0.0.0\"\nlocal-data: \"k.example AAAA ::\"\nlocal-zone: l.example redirect\n\
         local-zone: m.example redirect\n",
        &[
            "3:a.example nxdomain",
            "4:b.example nxdomain",
            "5:c.example refuse",
            "6:d.example drop",
            "7:e.example",
            "8:!f.a.example",
            "9:g.example sinkhole",
            "11:=h.example",
            "12:i.example observe",
            "13:j.example nodata",
            // By addresses that lead nowhere, or by none: as the ban does.
            "14:k.example",
            "17:l.example",
            "18:m.example",
        ],
        &[],
    );
    check(
        ListFormat::Unbound,
        "local-zone: \"a.example\"\nlocal-zone:\nlocal-zone: a.example block_a\nlocal-data: \"a.example A 192.0.2.1\"\n\
         local-data: \"a.example TXT x\"\nport: 53\nrubbish\nlocal-zone: a..example static\nlocal-zone: a.example static x\n\
         server: x\n",
        &[],
        &[
            "1:12 not `local-zone:",
            "2:12 not `local-zone:",
            "3:23 a type of zone",
            "4:14 data of its own",
            "5:14 data of its own",
            "6:1 no rule about names",
            "7:1 not `option: value`",
            "8:15 label is empty",
            "9:30 nothing stands behind",
            "10:9 nothing stands behind",
        ],
    );
}

#[test]
fn a_policy_zone_says_what_is_done_with_which_names() {
    check(
        ListFormat::Rpz,
        "$TTL 30\n@ IN SOA localhost. root.localhost. (\n 1 ; serial\n 3600 600 86400 30 )\n  IN NS localhost.\n\
         a.example 60 IN CNAME .\n*.a.example IN 60 CNAME .\nb.example CNAME *.\nc.a.example CNAME rpz-passthru.\n\
         d.example CNAME rpz-drop. ; why\ne.example A 192.0.2.1\n  AAAA 2001:db8::1\nf.example A 0.0.0.0\n\
         g.example CNAME walled.example.\nh.example CNAME h.example.\ni\\.j.example CNAME .\nA.EXAMPLE cname .\n* CNAME .\n",
        &[
            "6:=a.example nxdomain",
            "7:*.a.example nxdomain",
            "8:=b.example nodata",
            "9:!=c.a.example",
            "10:=d.example drop",
            "11:=e.example sinkhole",
            "12:=e.example sinkhole",
            "13:=f.example",
            "14:=g.example sinkhole",
            "15:!=h.example",
            "16:=i\\.j.example nxdomain",
            "17:=a.example nxdomain",
            "18:*.. nxdomain",
        ],
        &[],
    );
    check(
        ListFormat::Rpz,
        "a.example CNAME rpz-passthru\n24.0.2.0.192.rpz-ip CNAME .\n32.zz.db8.2001.rpz-client-ip CNAME rpz-drop.\n\
         ns.example.rpz-nsdname CNAME .\n8.0.0.0.10.rpz-nsip CNAME .\nb.example TXT \"(x\"\nc.example CNAME\nd.example\n\
         e..example CNAME .\n$INCLUDE x\n24.1.2.0.192.rpz-ip CNAME .\nf.example CNAME rpz-tcp-only.\ng.example A x\n)\n\
         x.*.example CNAME .\nh.other. CNAME .\ni.example NS ns.other.\nj.example DNSKEY 256 3 8 AwEA\n\
         j.example RRSIG x\n@ CNAME .\n@ A 127.0.0.1\n",
        &["2:answer:192.0.2.0/24 nxdomain", "3:client:2001:db8::/32 drop", "12:=f.example tcp_only"],
        &[
            "1:17 without a dot at its end",
            "4:1 for name servers",
            "5:1 for name servers",
            "6:11 data of its own",
            "7:11 a record without data",
            "8:1 a record without a type",
            "9:3 label is empty",
            "10:1 a directive that is not followed",
            "11:1 the address has bits behind its prefix",
            "13:13 no address of this type",
            "14:1 no `(`",
            "15:3 `*` can't stand here",
            "16:1 not below the zone's name",
            "17:11 about a zone, and stands at a name in this one",
            "18:11 about a zone",
            "20:3 stands at the zone's own name",
        ],
    );
}

#[test]
fn owners_are_relative_to_the_zone_wherever_the_file_begins() {
    let zone = "a.example CNAME .\n$ORIGIN example.rpz.test.\nb CNAME .\nc.example.rpz.test. CNAME .\n";
    let rules = ["a.example", "b.example", "c.example"];
    for (head, lines) in [
        ("$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\n", 2),
        ("$ORIGIN rpz.test.\n", 1),
        ("RPZ.test. SOA a. b. 1 2 3 4 5\n", 1),
        ("$ORIGIN .\nrpz.test SOA a. b. 1 2 3 4 5\n$ORIGIN rpz.test.\n", 3),
        ("$ORIGIN test.\nrpz SOA a. b. 1 2 3 4 5\n$ORIGIN rpz\n", 3),
    ] {
        let at = [1, 3, 4].map(|line| line + lines);
        let rules: Vec<_> = at.iter().zip(rules).map(|(line, name)| format!("{line}:={name} nxdomain")).collect();
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        check(ListFormat::Rpz, &format!("{head}{zone}"), &rules, &[]);
    }
    check(
        ListFormat::Rpz,
        "$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\na.other. CNAME .\n CNAME .\nb CNAME .\n",
        &["5:=b nxdomain"],
        &["3:1 not below the zone's name, `rpz.test`", "4:2 a record without an owner"],
    );
    check(ListFormat::Rpz, "a.example CNAME (\n.\n", &[], &["3:1 the record that begins on line 1 has no `)`"]);
}

#[test]
fn other_encodings_are_told_once_and_comments_in_them_are_no_fault() {
    let mut reader = ListReader::new(ListFormat::Hosts, "r.txt".into(), Strictness::Lenient);
    let mut names = Vec::new();
    let mut sink = |rule: &Rule, _line: &Line<'_>| names.push(rule.pattern.to_string());
    reader.read(b"# caf\xe9\n0.0.0.0 b\xfccher.example\n0.0.0.0 a.example\n0.0.0.0 c\xfc.example\n", &mut sink);
    let parsed = reader.finish(&mut sink);
    assert_eq!(names, ["=a.example"]);
    assert_eq!((parsed.bad_lines, parsed.diagnostics.len()), (2, 2));
    assert_eq!(parsed.diagnostics[0].message, "is not UTF-8 from here; the line is skipped");
    assert_eq!(parsed.diagnostics[1].message, "1 more lines like these are not shown");
}

#[test]
fn a_line_that_another_one_takes_back_is_none_wherever_they_stand() {
    check(
        ListFormat::Adblock,
        "||a.example^\n||B.example^$important\n||a.example^$badfilter\n||b.example^$badfilter,important\n||c.example^\n\
         ||d.example^$badfilter,dnsrewrite=NXDOMAIN\n||d.example^$dnsrewrite=NXDOMAIN\n||d.example^\n",
        &["5:c.example", "8:d.example"],
        &[],
    );
    // What an exception or an important block stood above is in force again, unless another such line does.
    check(
        ListFormat::Adblock,
        "||a.example^\n@@||a.example^$badfilter\n@@||a.example^\n||c.example^\n@@||c.example^\n||c.example^$important\n\
         ||c.example^$important,dnsrewrite=NXDOMAIN\n||c.example^$important,badfilter\n",
        &["1:a.example", "7:c.example nxdomain"],
        &[],
    );
    check(
        ListFormat::Adblock,
        "||a.example^\n||x.example^$badfilter\n||y.example^$badfilter\n",
        &["1:a.example"],
        &["2:1 takes back (`badfilter`) what is no line of this list, and so does 1 more"],
    );
    let (_rules, parsed) = parse(ListFormat::Adblock, Strictness::Lenient, "||x.example^$badfilter\n||a.example^\n");
    let told: Vec<_> = parsed.diagnostics.iter().map(|diagnostic| &*diagnostic.message).collect();
    assert_eq!(told, ["takes back (`badfilter`) what is no line of this list"], "nothing of it is skipped");
    check(
        ListFormat::Adblock,
        "||a.example^\n||a.example^$badfilter\n||x.example^$badfilter",
        &[],
        &["3:1 takes back (`badfilter`) what is no line of this list"],
    );
}

#[test]
fn an_exception_stands_above_every_block_of_an_ad_blockers_list_and_important_above_both() {
    check(ListFormat::Adblock, "@@||w.example^\n||ads.w.example^\n|x.w.example^\n", &["1:!w.example"], &[]);
    check(ListFormat::Adblock, "||ads.w.example^\n0.0.0.0 x.w.example\n@@||w.example^", &["3:!w.example"], &[]);
    check(ListFormat::Adblock, "||imp.example^$important\n@@||x.imp.example^\n", &["1:imp.example"], &[]);
    check(
        ListFormat::Adblock,
        "||a.example^\n@@||b.a.example^\n||c.b.a.example^$important\n@@|d.c.b.a.example^$important\n@@||e.c.b.a.example^\n\
         ||b.a.example^\n|b.a.example^\n@@||*.f.example^\n||f.example^\n|f.example^\n||g.f.example^\n",
        &[
            "1:a.example",
            "2:!b.a.example",
            "3:c.b.a.example",
            "4:!=d.c.b.a.example",
            "8:!*.f.example",
            "9:f.example",
            "10:=f.example",
        ],
        &[],
    );
    // What one block is not for is no exception from another.
    check(
        ListFormat::Adblock,
        "||a.example^$denyallow=b.a.example\n||c.b.a.example^\n",
        &["1:a.example", "1:!b.a.example", "2:c.b.a.example"],
        &[],
    );
}
