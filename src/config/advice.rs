//! What is right and still deserves attention: settings that do less than whoever wrote them may think.

use std::sync::Arc;

use super::settings::Settings;
use crate::diag::{Diagnostic, Severity};
use crate::policy::{Action, BanIndex, Policy};

/// Warnings about `policy` under these settings.
pub fn advice(settings: &Settings, policy: &Policy) -> Vec<Diagnostic> {
    let mut advice = hidden_clients(settings, policy);
    for index in (0..policy.bans().len()).map(BanIndex) {
        advice.extend([Action::Refuse, Action::Drop].into_iter().filter_map(|action| impatient(policy, index, action)));
    }
    advice
}

/// A forwarder that names nobody hides its clients.
fn hidden_clients(settings: &Settings, policy: &Policy) -> Vec<Diagnostic> {
    if !policy.tells_clients_apart() {
        return Vec::new();
    }
    let proxies = || settings.proxies.iter().chain(&settings.encrypted.https_proxies).chain(&settings.devices_from);
    let nameless = settings.caching_forwarders.iter().filter(|at| !proxies().any(|proxy| proxy.contains(&at.value)));
    let warnings = nameless.map(|at| {
        at.warning(
            "clients behind this forwarder can't be told apart: it is no proxy that names them (`proxies`), so groups, shares \
             and rules for clients hold for all of them as for its own address",
        )
    });
    warnings.collect()
}

fn impatient(policy: &Policy, index: BanIndex, action: Action) -> Option<Diagnostic> {
    let ban = policy.bans().get(index.0).filter(|_ban| policy.answers_by(index, action))?;
    let why = match action {
        Action::Refuse => "clients that are refused ask another server, if they have one",
        _ => "clients that get no response wait some ten seconds and then ask another server, if they have one",
    };
    let message =
        format!("names of this ban are answered by `{}`: {why}; `nxdomain` and `nodata` end it here", action.as_str());
    Some(Diagnostic::whole(Severity::Warning, Arc::clone(&ban.id), message))
}
