//! Who may ask: the networks that are written, and those that the host is in, followed as they change.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::config::{Allowed, Settings};
use crate::serve::Admission;
use crate::socket::on_link;

/// The host's addresses are looked at this often: a prefix that a provider has just delegated is served soon enough, and a
/// look costs two questions to the kernel.
const LOOK: Duration = Duration::from_secs(5);

/// The networks that are served by these settings when `listening` is served on.
pub(super) fn admission(settings: &Settings, listening: &[SocketAddr]) -> Admission {
    look(settings, listening).unwrap_or_else(|error| {
        tracing::warn!(%error, "The host does not tell which networks it is in: `on-link` in `allow` stands for none.");
        behind(Admission::new(written(settings)), settings)
    })
}

/// Looks at the host's addresses until `stop`.
pub(super) async fn follow(parts: Arc<Parts>, stop: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        // Not while a reload has other settings half in force.
        let _none_meanwhile = parts.reloading.lock().await;
        let loaded = parts.loaded.load();
        // What it does not tell now stays as it was.
        let Ok(now) = look(&loaded.settings, &parts.listen) else { continue };
        if now != *parts.guard.admission() {
            tracing::info!(networks = %now, "This host is in other networks than before; these are served now.");
            parts.guard.admit(now);
        }
    }
}

fn look(settings: &Settings, listening: &[SocketAddr]) -> io::Result<Admission> {
    let mut networks = written(settings);
    if settings.allow.contains(&Allowed::OnLink) {
        networks.extend(on_link(listening)?);
    }
    Ok(behind(Admission::new(networks), settings))
}

/// The proxies that are believed, of either kind, and the forwarders.
fn behind(admission: Admission, settings: &Settings) -> Admission {
    let admission = admission.behind(settings.proxies.clone()).behind_web(settings.encrypted.https_proxies.clone());
    admission.told_by(settings.devices_from.clone())
}

fn written(settings: &Settings) -> Vec<IpNet> {
    let network = |allowed: &Allowed| match allowed {
        Allowed::Network(network) => Some(*network),
        Allowed::OnLink => None,
    };
    settings.allow.iter().filter_map(network).collect()
}
