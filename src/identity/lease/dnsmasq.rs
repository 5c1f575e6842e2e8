//! dnsmasq's file: one lease a line, `END MAC ADDRESS NAME CLIENT-ID`, and below a line `duid …` those of version 6,
//! `END IAID ADDRESS NAME DUID`; `*` is what is not known, an end of 0 is none (dnsmasq's `lease.c`).

use std::net::IpAddr;

use super::{Found, Held, Lease, moment, named};
use crate::diag::Source;
use crate::identity::{ClientId, Identifier, Mac};

pub(super) fn read(source: &Source, found: &mut Found) {
    for (number, line) in (1..).zip(source.text.lines()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            // The server's own.
            [] | ["duid", _] => (),
            [end, hardware, address, name, id] => match lease(end, hardware, address, name, id) {
                Ok(lease) => found.add(lease),
                Err(why) => found.warn(source, number, line, 0..line.len(), why),
            },
            _ => found.warn(
                source,
                number,
                line,
                0..line.len(),
                "a lease is an end, a MAC, an address, a name and an id",
            ),
        }
    }
}

fn lease(end: &str, hardware: &str, address: &str, name: &str, id: &str) -> Result<Option<Lease>, &'static str> {
    let address: IpAddr = address.parse().map_err(|_error| "no address in the third place")?;
    let until = moment(end).ok_or("no time in the first place")?;
    let held = Held::By { since: None, until: Some(until).filter(|until| until.as_second() != 0) };
    let id = ClientId::parse(id);
    let (hardware, id) = if address.is_ipv6() {
        // In the second place is the number of the association.
        (None, id.map(Identifier::Duid))
    } else {
        // Hardware other than Ethernet is `TYPE-MAC`.
        (hardware.parse::<Mac>().ok(), id.map(Identifier::of_client_id))
    };
    Ok(Lease::new(address, held, [hardware.map(Identifier::Mac), id, named(name)].into_iter().flatten()))
}

#[cfg(test)]
mod tests {
    use super::super::LeaseFormat::Dnsmasq;
    use super::super::tests::check;

    #[test]
    fn a_line_is_a_lease_of_either_version() {
        let text = "1727600000 52:54:00:12:34:56 10.0.0.7 anna-pc 01:52:54:00:12:34:56\n\
                    0 00:1b:21:00:00:01 10.0.0.8 * *\n\
                    duid 00:01:00:01:2a:00:00:00:52:54:00:00:00:01\n\
                    1727600001 123456 2001:db8::7 anna-pc 00:03:00:01:52:54:00:12:34:56\n";
        let expected = [
            "10.0.0.7 -..1727600000 mac:52:54:00:12:34:56 host:anna-pc",
            "10.0.0.8 -..- mac:00:1b:21:00:00:01",
            "2001:db8::7 -..1727600001 duid:00:03:00:01:52:54:00:12:34:56 host:anna-pc",
        ];
        check(Dnsmasq, text, &expected, &[]);
    }

    #[test]
    fn half_a_line_is_named_and_the_others_stand() {
        let text = "1727600000 52:54:00:12:34:56 10.0.0.7 * *\nx 52:54:00:12:34:57 10.0.0.8 * *\n1727600000 52:54";
        let messages = [
            "leases:2:1: warning: no time in the first place",
            "leases:3:1: warning: a lease is an end, a MAC, an address, a name and an id",
        ];
        check(Dnsmasq, text, &["10.0.0.7 -..1727600000 mac:52:54:00:12:34:56"], &messages);
    }
}
