//! A hosts file (hosts(5)): an address and the names it has, one line each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Diagnostic, Severity, Source};
use crate::wire::Name;

/// Octets of a hosts file at most.
pub const HOSTS_MAX: u64 = 16 << 20;
/// Messages about one file at most.
const MESSAGES_MAX: usize = 100;
/// Addresses of one family that a name has at most: more are no use to a client, and cost every answer.
const ADDRESSES_MAX: usize = 128;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The address.
    pub address: IpAddr,
    /// Its names, the canonical one first.
    pub names: Vec<Name>,
}

/// Reads a hosts file: the lines that are understood, and a warning for each part that is not.
///
/// Lines about loopback, link-local and multicast addresses are passed over: they speak of the machine that has the file, and
/// would send every client to itself.
pub fn hosts(source: &Source) -> (Vec<Host>, Vec<Diagnostic>) {
    let (mut found, mut messages) = (Vec::new(), Vec::new());
    let mut addresses = HashMap::new();
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut warn = |place: Range<usize>, message: String| {
            if messages.len() < MESSAGES_MAX {
                let name = Arc::clone(&source.name);
                messages.push(Diagnostic::on_line(Severity::Warning, name, number, line, place, message));
            }
        };
        let Some(mut host) = host(line, &mut warn) else { continue };
        host.names.retain(|name| {
            let of_name: &mut usize = addresses.entry((name.clone(), host.address.is_ipv4())).or_default();
            *of_name += 1;
            *of_name <= ADDRESSES_MAX
        });
        if host.names.is_empty() {
            warn(0..line.trim_end().len(), format!("left out: its names have {ADDRESSES_MAX} addresses already"));
        } else {
            found.push(host);
        }
    }
    (found, messages)
}

fn host(line: &str, warn: &mut impl FnMut(Range<usize>, String)) -> Option<Host> {
    let mut words = words(line);
    let (place, word) = words.next()?;
    // The zone of a link-local address (`fe80::1%lo0`) means something on one machine only.
    let bare = word.split_once('%').map_or(word, |(bare, _zone)| bare);
    let Ok(address) = bare.parse::<IpAddr>().map(|address| address.to_canonical()) else {
        warn(place, "no address; a line is an address and its names".to_owned());
        return None;
    };
    if !is_for_others(address) {
        return None;
    }
    let mut names = Vec::new();
    for (place, word) in words {
        match Name::parse(word) {
            Ok(name) => names.push(name),
            Err(error) => warn(place, error.to_string()),
        }
    }
    if names.is_empty() {
        warn(place, "the address has no name".to_owned());
        return None;
    }
    Some(Host { address, names })
}

/// The words in front of a comment, with their places.
fn words(line: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let start = at + rest.find(|character: char| !character.is_ascii_whitespace())?;
        let word = line.get(start..)?.split(|character: char| character.is_ascii_whitespace()).next()?;
        at = start + word.len();
        Some((start..at, word))
    })
}

fn is_for_others(address: IpAddr) -> bool {
    let of_machine = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_unspecified() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address == Ipv6Addr::UNSPECIFIED || address.is_unicast_link_local()
        }
    };
    !of_machine && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str], expected_messages: &[&str]) {
        let (found, messages) = hosts(&Source::new("hosts", text));
        let shown: Vec<String> = found.iter().map(|host| format!("{} {:?}", host.address, host.names)).collect();
        assert_eq!(shown, expected, "{text:?}");
        let messages: Vec<String> =
            messages.iter().map(|message| message.to_string().lines().next().unwrap().to_owned()).collect();
        assert_eq!(messages, expected_messages, "{text:?}");
    }

    #[test]
    fn a_line_is_an_address_and_its_names() {
        check("192.0.2.1 NAS.example nas # the box\n", &["192.0.2.1 [Name(nas.example), Name(nas)]"], &[]);
        check("\u{feff}\t2001:db8::1\tv6.example\r\n\n# nothing\n", &["2001:db8::1 [Name(v6.example)]"], &[]);
        check("::ffff:192.0.2.1 mapped.example", &["192.0.2.1 [Name(mapped.example)]"], &[]);
    }

    #[test]
    fn lines_about_the_machine_itself_are_passed_over() {
        check("127.0.0.1 localhost\n127.0.1.1 box\n::1 ip6-localhost\nff02::1 ip6-allnodes\n", &[], &[]);
        check("fe80::1%lo0 localhost\n0.0.0.0 ads.example\n", &[], &[]);
    }

    #[test]
    fn a_name_has_only_so_many_addresses_of_a_family_and_others_are_not_kept_from_theirs() {
        let lines =
            (0..200).map(|last| format!("192.0.2.{last} a.example b{last}.example\n2001:db8::{last} a.example\n"));
        let (found, messages) = hosts(&Source::new("hosts", lines.collect::<String>()));
        let of = |name: &str| {
            let name = Name::parse(name).unwrap();
            found.iter().filter(|host| host.names.contains(&name)).count()
        };
        assert_eq!((of("a.example"), of("b199.example"), found.len()), (2 * ADDRESSES_MAX, 1, 200 + ADDRESSES_MAX));
        let first = messages[0].to_string();
        assert!(first.starts_with("hosts:258:1: warning: left out: its names have 128 addresses already"), "{first}");
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_place_and_the_rest_stands() {
        check(
            "x.example 192.0.2.1\n192.0.2.2 a..b good.example\n  192.0.2.3\n",
            &["192.0.2.2 [Name(good.example)]"],
            &[
                "hosts:1:1: warning: no address; a line is an address and its names",
                "hosts:2:11: warning: label is empty",
                "hosts:3:3: warning: the address has no name",
            ],
        );
        assert_eq!(hosts(&Source::new("hosts", "?\n".repeat(1000))).1.len(), MESSAGES_MAX);
    }
}
