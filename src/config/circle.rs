//! Policy zones that lead back to us: a name that we export and take in again would never leave, whatever becomes of its list.

use std::net::SocketAddr;
use std::sync::Arc;

use super::at::At;
use super::export::ExportSettings;
use super::further::{ListFile, Way};
use super::settings::Settings;
use super::zone::ZoneList;
use crate::diag::Diagnostic;
use crate::wire::LowerName;

/// Lists that are our own exports.
pub(super) fn mistakes(settings: &Settings) -> Vec<Diagnostic> {
    let of_zone = |(list, id, zone): (&ListFile, &Arc<str>, &ZoneList)| {
        let same = |export: &&ExportSettings| LowerName::from(&export.zone) == LowerName::from(&zone.wanted.zone);
        let export = exports_of(settings, id).find(same)?;
        let primary = zone.wanted.primaries.iter().find(|primary| is_ours(settings, **primary))?;
        let name = LowerName::from(&export.zone);
        Some(list.path.error(format!(
            "this is our own export: {primary} is this server, and `{name}` has the ban `{id}`, so no name would ever leave it; give \
             that [[export]] its `bans`, without `{id}`"
        )))
    };
    zones(settings).filter_map(of_zone).collect()
}

/// Lists of whom we export them to. Nobody can tell from here what is made of them there.
pub(super) fn warnings(settings: &Settings) -> Vec<Diagnostic> {
    let of_zone = |(list, id, zone): (&ListFile, &Arc<str>, &ZoneList)| {
        let partner = |export: &ExportSettings, primary: &SocketAddr| {
            let alone = export.allow.iter().filter(|network| network.prefix_len() == network.max_prefix_len());
            alone.map(ipnet::IpNet::addr).chain(export.notify.iter().map(SocketAddr::ip)).any(|ip| ip == primary.ip())
        };
        let pair = exports_of(settings, id)
            .find_map(|export| Some((export, zone.wanted.primaries.iter().find(|primary| partner(export, primary))?)));
        let (export, primary) = pair?;
        let name = LowerName::from(&export.zone);
        Some(list.path.warning(format!(
            "this list comes from {}, which is given it back with `{name}`: if it exports what it has from here, no name ever leaves \
             either; give that [[export]] its `bans`, without `{id}`",
            primary.ip()
        )))
    };
    zones(settings).filter_map(of_zone).collect()
}

fn zones(settings: &Settings) -> impl Iterator<Item = (&ListFile, &Arc<str>, &ZoneList)> {
    settings.lists.iter().filter_map(|list| match &list.elsewhere.as_ref()?.way {
        Way::Zone(zone) => Some((list, &list.id.as_ref()?.value, &**zone)),
        Way::Url(_) => None,
    })
}

fn exports_of<'s>(settings: &'s Settings, id: &'s str) -> impl Iterator<Item = &'s ExportSettings> {
    let has = move |bans: &Vec<At<Arc<str>>>| bans.iter().any(|ban| *ban.value == *id);
    settings.exports.iter().filter(move |export| export.bans.as_ref().is_none_or(has))
}

fn is_ours(settings: &Settings, primary: SocketAddr) -> bool {
    let ip = primary.ip().to_canonical();
    // A socket of IPv6 without an address hears IPv4 too.
    let everywhere = |listen: &SocketAddr| listen.ip().is_unspecified() && (listen.is_ipv6() || ip.is_ipv4());
    let here = |listen: &SocketAddr| listen.ip() == ip || (everywhere(listen) && ip.is_loopback());
    settings.listen.iter().any(|listen| listen.port() == primary.port() && here(listen))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::convert;
    use super::*;
    use crate::diag::Source;

    /// How often these lines are told as a mistake, and as a warning.
    #[track_caller]
    fn check(lines: &str, expected: (usize, usize)) {
        let text = format!("listen = [\"0.0.0.0:53\", \"192.0.2.53:53\"]\n{lines}");
        let (settings, wrong) = convert::settings(&Source::new("x.toml", text), Path::new(""));
        assert_eq!(wrong.len(), 0, "{wrong:?}");
        assert_eq!((mistakes(&settings).len(), warnings(&settings).len()), expected, "{lines}");
    }

    #[test]
    fn a_zone_of_ours_is_no_list_of_ours_and_a_partner_is_told_of() {
        let list =
            |primary: &str| format!("[[list]]\nid = \"far\"\nzone = \"RPZ.test\"\nprimaries = [\"{primary}\"]\n");
        let export =
            |zone: &str, more: &str| format!("[[export]]\nzone = \"{zone}\"\nallow = [\"198.51.100.0/24\"]\n{more}\n");
        for own in ["192.0.2.53", "127.0.0.1", "::1"] {
            check(&format!("{}{}", list(own), export("rpz.test", "")), (usize::from(own != "::1"), 0));
        }
        check(&format!("{}{}", list("192.0.2.53:5353"), export("rpz.test", "")), (0, 0));
        check(&format!("{}{}", list("192.0.2.53"), export("other.test", "")), (0, 0));
        check(&format!("{}{}", list("192.0.2.53"), export("rpz.test", "bans = [\"v\"]")), (0, 0));
        check(&format!("{}{}", list("198.51.100.1"), export("other.test", "")), (0, 0));
        let told = export("other.test", "notify = [\"198.51.100.1\"]");
        check(&format!("{}{told}", list("198.51.100.1")), (0, 1));
        check(&format!("{}{told}", list("198.51.100.2")), (0, 0));
        let spared = export("other.test", "notify = [\"198.51.100.1\"]\nbans = [\"v\"]");
        check(&format!("{}{spared}", list("198.51.100.1")), (0, 0));
    }
}
