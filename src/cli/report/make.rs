//! Making a report: reads the policy, the audit log and the record, and writes the document.

use super::{Report, key};
use crate::audit;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{flags, record};
use crate::config;
use crate::journal::{Presence, Store, StoreError};
use crate::policy::{Ban, BanKind, GroupKind, Policy};
use crate::report::{Asked, Document, ExceptionRow, History, Inputs, ListRow, SignalRow, SigningKey, seal};

/// Makes it.
///
/// # Errors
/// What was asked can't be meant, or the record can't be read.
pub(super) fn make(report: &Report, console: &mut Console<'_>) -> Result<(), Failure> {
    let wanted = &report.asked;
    let (Some(ban), Some(from), Some(to), Some(baseline)) = (&wanted.ban, wanted.from, wanted.to, wanted.baseline)
    else {
        return Err(Failure::usage("--ban, --from, --to and --baseline are needed"));
    };
    let asked = Asked::new(from, to, baseline).ok_or_else(|| {
        Failure::usage(format!(
            "no window to compare: {baseline} (--baseline) <= {from} (--from) <= {to} (--to) must hold"
        ))
    })?;
    let loaded = report.state.loaded(console)?;
    let load = config::policy(&loaded.settings, 1);
    let Some(policy) = load.policy else { return Err(Failure::Mistakes(load.diagnostics)) };
    flags::known_bans(&policy, std::slice::from_ref(ban))?;
    let Some(ban) = policy.bans().iter().find(|known| *known.id == **ban) else { return Ok(()) };
    let directory = loaded.state_dir;
    record::flush(console, &directory)?;
    let history = history(&directory)?;
    let store = Store::open_read_only(&directory).map_err(record::unread)?;
    let presence = store.presence().map_err(record::unread)?;
    if let Some(site) = &wanted.site {
        known_site(site, &policy, &presence)?;
    }
    let key = key::read(&directory)?;
    let (since, until) = asked.moments();
    let windows = store.windows(since, until).map_err(record::unread)?;
    let inputs = Inputs {
        ban,
        lists: lists(&policy, ban),
        asked: &asked,
        site: wanted.site.as_deref(),
        history: &history,
        windows,
        signals: signals(&store, &policy, &asked, wanted.site.as_deref()).map_err(record::unread)?,
        configured: configured(&loaded.settings, ban),
        signed_by: key.as_ref().map(SigningKey::fingerprint),
        rows_max: report.format.rows_max(),
    };
    let document = Document::build(&presence, &inputs).map_err(record::unread)?;
    let text = report.format.render(&document);
    Ok(console.out.write_all(seal(&text, report.format, key.as_ref()).as_bytes())?)
}

/// The audit log of a state directory.
///
/// # Errors
/// The operating system's.
pub(super) fn history(directory: &std::path::Path) -> Result<History, Failure> {
    let mut history = History::default();
    let reading = audit::read(directory, |entry, _hash| history.take(entry));
    let path = audit::path(directory);
    let reading = reading.map_err(|error| Failure::cannot(format!("{}: {error}", path.display()), ""))?;
    history.damage = reading.damage.map(|(_entry, damage)| damage.to_string());
    (history.count, history.head) = (reading.entries, reading.head);
    Ok(history)
}

/// A site that nobody knows is a mistake: an empty report would be taken for one.
fn known_site(site: &str, policy: &Policy, presence: &Presence<'_>) -> Result<(), Failure> {
    let recorded = presence.numbered().map_err(record::unread)?;
    let groups = policy.who().groups().iter().filter(|group| group.kind == GroupKind::Site);
    let mut known: Vec<&str> =
        recorded.iter().map(|range| &*range.site).chain(groups.map(|group| &*group.id)).collect();
    known.sort_unstable();
    known.dedup();
    if known.contains(&site) {
        return Ok(());
    }
    let some = known.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = if known.len() > 20 { ", …" } else { "" };
    Err(Failure::usage(format!("unknown site `{site}`; known sites: {some}{more}")))
}

/// What bans that are only signals have seen in the window.
fn signals(store: &Store, policy: &Policy, asked: &Asked, site: Option<&str>) -> Result<Vec<SignalRow>, StoreError> {
    let mut signals = Vec::new();
    for ban in policy.bans().iter().filter(|ban| ban.kind == BanKind::Signal) {
        let rows = store.by_category(&ban.id, asked.window_moments(), site)?;
        signals.extend(rows.into_iter().map(|row| SignalRow::of(&ban.id, row)));
    }
    Ok(signals)
}

fn lists(policy: &Policy, ban: &Ban) -> Vec<ListRow> {
    let of_ban = policy.lists().iter().filter(|list| policy.bans().get(list.ban.0).is_some_and(|of| of.id == ban.id));
    of_ban
        .map(|list| ListRow { name: list.name.to_string(), sha256: list.digest.clone(), rules: list.entries })
        .collect()
}

/// Exemptions of the configuration that could spare somebody this ban.
pub(super) fn configured(settings: &config::Settings, ban: &Ban) -> Vec<ExceptionRow> {
    let all =
        settings.exemptions.iter().flat_map(|exemption| exemption.terms.iter().map(|terms| (&exemption.id, terms)));
    let of_ban =
        all.filter(|(_id, terms)| !matches!(&terms.what, crate::policy::Spares::Ban(other) if *other != ban.id));
    of_ban.map(|(id, terms)| ExceptionRow::configured(id, terms)).collect()
}
