//! Record types in words: the mnemonics of the IANA registry, and `TYPE12345` for the rest (RFC 3597 §5).

use std::borrow::Cow;

/// Types with a mnemonic, in the order of their numbers (IANA, "Resource Record (RR) TYPEs").
const MNEMONICS: [(u16, &str); 89] = [
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAP-PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (40, "SINK"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (258, "AVC"),
    (259, "DOA"),
    (260, "AMTRELAY"),
    (32768, "TA"),
    (32769, "DLV"),
];

/// The mnemonic of a type, or `TYPE` and its number.
pub fn mnemonic(rtype: u16) -> Cow<'static, str> {
    match MNEMONICS.binary_search_by_key(&rtype, |&(number, _)| number) {
        Ok(place) => Cow::Borrowed(MNEMONICS[place].1),
        Err(_) => Cow::Owned(format!("TYPE{rtype}")),
    }
}

/// The number of a type, from its mnemonic or `TYPE12345`, in any case. `*` is not read: write `ANY`.
pub fn parse(text: &str) -> Option<u16> {
    let known = MNEMONICS.iter().find(|(_, word)| word.eq_ignore_ascii_case(text));
    known.map(|&(number, _)| number).or_else(|| {
        let (prefix, digits) = text.split_at_checked(4)?;
        let numeric = prefix.eq_ignore_ascii_case("TYPE") && digits.bytes().all(|digit| digit.is_ascii_digit());
        numeric.then(|| digits.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_printed_and_read_back() {
        for rtype in 0..=u16::MAX {
            assert_eq!(parse(&mnemonic(rtype)), Some(rtype));
        }
        assert_eq!(mnemonic(65), "HTTPS");
        assert_eq!(mnemonic(65280), "TYPE65280");
    }

    #[test]
    fn only_types_are_read() {
        assert_eq!(parse("aaaa"), Some(28));
        assert_eq!(parse("type28"), Some(28));
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "TYPE-1", "AAAAA", "é", "TYP€1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
