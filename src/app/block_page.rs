//! The block page: its sockets, how it looks now, and its start.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::parts::Parts;
use super::{Failure, bind, files};
use crate::block_page::{BlockPage, Desk, Listeners, Look, Unusable};
use crate::config::{Loaded, Settings};
use crate::diag::{Diagnostic, Severity};
use crate::socket::Held;

/// Where the page is.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Where it is told over HTTP.
    pub http: Vec<SocketAddr>,
    /// Where it is over HTTPS, to those for whose name there is a certificate.
    pub https: Vec<SocketAddr>,
}

impl Places {
    /// Each as a URL.
    pub(super) fn urls(&self) -> Vec<String> {
        let http = self.http.iter().map(|address| format!("http://{address}/"));
        http.chain(self.https.iter().map(|address| format!("https://{address}/"))).collect()
    }
}

/// Takes from `held`, or binds, its sockets.
///
/// # Errors
/// One message that names the address, the likely reason and the way out.
pub(super) fn bind(settings: &Settings, held: &mut Held) -> Result<(Listeners, Places), Failure> {
    let mut each = |addresses: &[SocketAddr]| {
        let one = |&address: &SocketAddr| {
            let bound = bind::tcp(address, held).and_then(|listener| Ok((listener.local_addr()?, listener)));
            bound.map_err(|error| Failure::Cannot(bind::explain(address, &error)))
        };
        let (addresses, listeners): (Vec<_>, Vec<_>) =
            addresses.iter().map(one).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok::<_, Failure>((addresses, listeners))
    };
    let page = &settings.block_page;
    let ((http, for_http), (https, for_https)) = (each(&page.http)?, each(&page.https)?);
    Ok((Listeners { http: for_http, https: for_https }, Places { http, https }))
}

/// How it looks by these settings.
///
/// # Errors
/// The certificate can't be used.
pub(super) fn look(loaded: &Loaded) -> Result<Look, Unusable> {
    let settings = &loaded.settings;
    Look::new(settings.block_page.language, settings.time_zone.clone(), loaded.block_page.as_ref())
}

/// Starts it, if there is anywhere to answer; to be called once a policy is in force or waited for.
///
/// # Errors
/// There is no thread for it.
pub(super) fn start(parts: &Parts, listeners: Listeners) -> Result<Option<BlockPage>, Failure> {
    if listeners.all().next().is_none() {
        return Ok(None);
    }
    let desk = Desk {
        guard: Arc::clone(&parts.guard),
        journal: Arc::clone(&parts.journal),
        metrics: Arc::clone(&parts.metrics),
        clock: parts.clock.clone(),
        look: Arc::clone(&parts.look),
    };
    let most = files::of_page(parts.first.settings.block_page.connections_max);
    let started = BlockPage::start(listeners, most, desk);
    started.map(Some).map_err(|error| Failure::Cannot(format!("the block page can't be served: {error}")))
}

/// Shows the page as the settings that were just read have it.
///
/// # Errors
/// The certificate can't be used, and the page before is shown on.
pub(super) fn exchange(now: &ArcSwap<Look>, loaded: &Loaded) -> Result<(), Diagnostic> {
    let look = look(loaded).map_err(|error| Diagnostic::whole(Severity::Error, "block_page", error.to_string()))?;
    now.store(Arc::new(look));
    Ok(())
}
