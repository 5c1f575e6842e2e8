//! Who made a network card, by the first octets of its hardware address: from a file that the system has.

use std::collections::HashMap;

use super::Mac;

/// Makers that are read at most.
const VENDORS_MAX: usize = 200_000;
/// Characters of a name at most.
const NAME_MAX: usize = 64;
/// Bits of an assignment: MA-L, MA-M and MA-S of IEEE.
const SIZES: [u8; 3] = [36, 28, 24];

/// Makers by what they were assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vendors(HashMap<(u8, u64), Box<str>>);

impl Vendors {
    /// Reads `oui.csv` of IEEE, `nmap-mac-prefixes`, or `manuf` of Wireshark; what is none of their lines is left out.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| csv_line(line).or_else(|| plain_line(line)));
        Self(lines.take(VENDORS_MAX).collect())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who made the card; `None`: not known, or its owner made the address up.
    pub fn of(&self, mac: Mac) -> Option<&str> {
        if mac.is_randomised() {
            return None;
        }
        let bits = mac.0.iter().fold(0, |bits, octet| bits << 8 | u64::from(*octet));
        SIZES.iter().find_map(|size| self.0.get(&(*size, bits >> (48 - size)))).map(|name| &**name)
    }
}

type Line = ((u8, u64), Box<str>);

/// `MA-L,00163E,"Xensource, Inc.",…`
fn csv_line(line: &str) -> Option<Line> {
    let (_registry, rest) = line.split_once(',').filter(|(registry, _rest)| registry.starts_with("MA-"))?;
    let (digits, rest) = rest.split_once(',')?;
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split("\",").next()?.replace("\"\"", "\""),
        None => rest.split(',').next()?.to_owned(),
    };
    Some((assigned(digits)?, named(&name)?))
}

/// `00163E Xensource`, or `00:16:3E<tab>Xensource<tab>Xensource, Inc.`, or with `/28` behind six octets.
fn plain_line(line: &str) -> Option<Line> {
    let (prefix, name) = line.split_once([' ', '\t'])?;
    let name = name.trim().rsplit('\t').next()?;
    let (digits, bits) =
        prefix.split_once('/').map_or((prefix, None), |(digits, bits)| (digits, bits.parse::<u8>().ok()));
    let digits: String = digits.chars().filter(|character| !matches!(character, ':' | '-')).collect();
    let digits = match bits {
        Some(bits) => digits.get(..usize::from(bits / 4))?,
        None => digits.as_str(),
    };
    Some((assigned(digits)?, named(name)?))
}

fn assigned(digits: &str) -> Option<(u8, u64)> {
    let size = u8::try_from(digits.len() * 4).ok().filter(|size| SIZES.contains(size))?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((size, u64::from_str_radix(digits, 16).ok().filter(|_bits| plain)?))
}

/// The name, cut to its longest and without what steers a terminal.
fn named(name: &str) -> Option<Box<str>> {
    let plain = name.trim().chars().filter(|character| !character.is_control());
    let name: String = plain.take(NAME_MAX).collect();
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, mac: &str, expected: Option<&str>) {
        assert_eq!(Vendors::read(text).of(mac.parse().unwrap()), expected, "{text}");
    }

    #[test]
    fn a_maker_is_found_in_every_kind_of_file_and_a_smaller_assignment_first() {
        let mac = "00:16:3e:12:34:56";
        check(
            "Registry,Assignment,Organization Name\nMA-L,00163E,\"Xensource, \"\"Inc.\"\"\",x\n",
            mac,
            Some("Xensource, \"Inc.\""),
        );
        check("MA-L,00163E,Xensource,x\n", mac, Some("Xensource"));
        check("# comment\n00163E Xensource\n", mac, Some("Xensource"));
        check("00:16:3E\tXensourc\tXensource, Inc.\n", mac, Some("Xensource, Inc."));
        check("00163E All\n00:16:3E:10:00:00/28\tSmall\tSmall Ltd\n", mac, Some("Small Ltd"));
        check("00163E All\n00:16:3E:20:00:00/28\tSmall\tSmall Ltd\n", mac, Some("All"));
        check("00163F All\n", mac, None);
    }

    #[test]
    fn of_an_address_that_was_made_up_there_is_no_maker_and_rubbish_is_none() {
        check("02163E X\n", "02:16:3e:00:00:01", None);
        for rubbish in ["", ",", "MA-L,", "MA-L,00163E,", "+0163E X", "00163 X", "00:16:3E/99 X", "\u{1b}[31m X"] {
            assert!(Vendors::read(rubbish).is_empty(), "{rubbish:?}");
        }
        check("00163E a\u{1b}[31mb\n", "00:16:3e:00:00:01", Some("a[31mb"));
    }
}
