//! Kea's memfile (its Administrator Reference Manual, "Lease storage"): CSV with a header, appended to, the last row about an
//! address holds. Another header row stands where the file was cleaned up (LFC).

use super::table::{Row, lease_rows};
use super::{Found, Held, Lease, moment, named};
use crate::diag::Source;
use crate::identity::{ClientId, Identifier, Mac};
use crate::time::Timestamp;

/// The lifetime of a lease without end.
const FOR_EVER: i64 = 0xffff_ffff;
/// The state of a lease that is somebody's; all others are an address in use by somebody unknown, run out, or given back.
const ASSIGNED: &str = "0";
/// The type of a lease that is a whole prefix and no address.
const PREFIX: &str = "2";

pub(super) fn read(source: &Source, found: &mut Found) {
    lease_rows(source, &["address", "valid_lifetime", "expire"], found, |row| {
        if row.get("lease_type") == Some(PREFIX) {
            return Ok(None);
        }
        let identifiers = [
            row.get("duid").and_then(ClientId::parse).map(Identifier::Duid),
            row.get("client_id").and_then(ClientId::parse).map(Identifier::of_client_id),
            row.get("hwaddr").and_then(|text| text.parse::<Mac>().ok()).map(Identifier::Mac),
            // A comma is written so, because it would end the field.
            row.get("hostname").and_then(|text| named(&text.replace("&#x2c", ","))),
        ];
        Ok(Lease::new(row.address()?, held(row)?, identifiers.into_iter().flatten()))
    });
}

fn held(row: &Row<'_>) -> Result<Held, &'static str> {
    let lifetime = row.get("valid_lifetime").and_then(|text| text.parse::<i64>().ok());
    let lifetime =
        lifetime.filter(|lifetime| (0..=FOR_EVER).contains(lifetime)).ok_or("no number in `valid_lifetime`")?;
    let expire = row.get("expire").and_then(moment).ok_or("no time in `expire`")?;
    // A lease that was taken away is written once more, with no time to live.
    if lifetime == 0 || row.get("state").unwrap_or(ASSIGNED) != ASSIGNED {
        return Ok(Held::Not);
    }
    if lifetime == FOR_EVER {
        return Ok(Held::By { since: None, until: None });
    }
    let since = Timestamp::from_second(expire.as_second().saturating_sub(lifetime)).ok();
    Ok(Held::By { since, until: Some(expire) })
}

#[cfg(test)]
mod tests {
    use super::super::LeaseFormat::Kea;
    use super::super::tests::check;

    const V4: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n";
    const V6: &str = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,\
                      hostname,hwaddr,state,user_context,hwtype,hwaddr_source,pool_id\n";

    #[test]
    fn a_row_of_version_4_is_a_lease_and_one_without_lifetime_the_end_of_it() {
        let text = format!(
            "{V4}10.0.0.7,52:54:00:12:34:56,01:52:54:00:12:34:56,3600,1727600000,1,0,0,anna-pc,0,,0\n\
             10.0.0.8,52:54:00:12:34:57,,4294967295,1727600000,1,0,0,a&#x2cb,0,,0\n\
             10.0.0.10,52:54:00:12:34:59,01:52:54:00:12:34:59,3600,1727600000,1,0,0,anna-pc,0,,0\n\
             10.0.0.7,52:54:00:12:34:56,01:52:54:00:12:34:56,0,1727600000,1,0,0,,0,,0\n\
             {V4}10.0.0.9,52:54:00:12:34:58,,3600,1727600000,1,0,0,,1,,0\n"
        );
        let expected = [
            "10.0.0.7 free mac:52:54:00:12:34:56",
            "10.0.0.8 -..- mac:52:54:00:12:34:57 host:a?b",
            "10.0.0.10 1727596400..1727600000 mac:52:54:00:12:34:59 host:anna-pc",
            "10.0.0.9 free mac:52:54:00:12:34:58",
        ];
        check(Kea, &text, &expected, &[]);
    }

    #[test]
    fn a_row_of_version_6_is_a_lease_unless_it_is_a_prefix() {
        let text = format!(
            "{V6}2001:db8::7,00:03:00:01:52:54:00:12:34:56,4000,1727600000,1,3000,0,7,128,0,0,anna-pc,52:54:00:12:34:56,0,,1,2,0\n\
             2001:db8:1::,00:03:00:01:52:54:00:12:34:56,4000,1727600000,1,3000,2,7,56,0,0,,,0,,,,0\n"
        );
        let expected =
            "2001:db8::7 1727596000..1727600000 duid:00:03:00:01:52:54:00:12:34:56 mac:52:54:00:12:34:56 host:anna-pc";
        check(Kea, &text, &[expected], &[]);
    }

    #[test]
    fn a_row_that_is_being_written_is_named_and_the_others_stand() {
        let text = format!(
            "{V4}10.0.0.7,52:54:00:12:34:56,,x,1,1,0,0,,0,,0\n10.0.0.8,52:54:00:12:34:57,,3600,1727600000,1,0,0,,0,,0\n10.0.0.9,52:5"
        );
        let messages = [
            "leases:2:1: warning: no number in `valid_lifetime`",
            "leases:4:1: warning: not as many fields as the header has",
        ];
        check(Kea, &text, &["10.0.0.8 1727596400..1727600000 mac:52:54:00:12:34:57"], &messages);
        check(Kea, "a,b\n", &[], &["leases:1:1: warning: the header names no column `address`"]);
    }
}
