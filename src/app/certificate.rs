//! The certificate that clients are shown: taken at the start, exchanged at a reload.

use crate::config::Loaded;
use crate::diag::{Diagnostic, Severity};
use crate::metrics::Metrics;
use crate::tls::{Paper, ServerTls};

/// As whom clients are shown the server from the start.
///
/// # Errors
/// What keeps the certificate from being used.
pub(super) fn first(loaded: &Loaded, metrics: &Metrics) -> Result<Option<ServerTls>, String> {
    let Some(identity) = &loaded.identity else { return Ok(None) };
    let tls = ServerTls::new(identity).map_err(|error| format!("the certificate can't be used: {error}"))?;
    count(loaded, metrics);
    Ok(Some(tls))
}

/// Shows clients the certificate that was just read; connections go on with the one they know.
///
/// # Errors
/// It can't be used, and the one before is shown on.
pub(super) fn exchange(
    tls: Option<&ServerTls>,
    before: &Loaded,
    now: &Loaded,
    metrics: &Metrics,
) -> Result<(), Diagnostic> {
    let (Some(tls), Some(identity)) = (tls, &now.identity) else { return Ok(()) };
    if now.identity == before.identity {
        return Ok(());
    }
    tls.show(identity).map_err(|error| Diagnostic::whole(Severity::Error, "tls", error.to_string()))?;
    if let Some(Paper { names, until, .. }) = Paper::of(identity) {
        tracing::info!(?names, %until, "Clients are shown another certificate.");
    }
    count(now, metrics);
    Ok(())
}

/// As whom those who come to the admin server are shown it, from the start.
///
/// # Errors
/// What keeps the certificate from being used.
pub(super) fn of_admin(loaded: &Loaded) -> Result<Option<ServerTls>, String> {
    let tls = loaded.admin_identity.as_ref().map(ServerTls::new).transpose();
    tls.map_err(|error| format!("the certificate of the admin server can't be used: {error}"))
}

/// Shows them the one that was just read.
///
/// # Errors
/// It can't be used, and the one before is shown on.
pub(super) fn exchange_of_admin(tls: Option<&ServerTls>, before: &Loaded, now: &Loaded) -> Result<(), Diagnostic> {
    let (Some(tls), Some(identity)) = (tls, &now.admin_identity) else { return Ok(()) };
    if now.admin_identity == before.admin_identity {
        return Ok(());
    }
    tls.show(identity).map_err(|error| Diagnostic::whole(Severity::Error, "access", error.to_string()))
}

fn count(loaded: &Loaded, metrics: &Metrics) {
    if let Some(paper) = loaded.identity.as_ref().and_then(Paper::of) {
        metrics.process.certificate_expiry.set(paper.until);
    }
}
