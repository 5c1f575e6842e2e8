//! `[[webhook]]`: where the first attempt of each device is posted to.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::convert::flag;
use super::disk::Origin;
use super::file::{Count, Flag, Text, Texts};
use super::further::parsed;
use super::reader::Reader;
use super::sink::{self, SinkSettings};
use super::trust;
use crate::diag::Diagnostic;
use crate::lists::{Hook, ListUrl};
use crate::policy::Evidence;
use crate::sinks::{Secret, SinkConfig, SinkKind, WebhookSink};
use crate::tls::Trust;

/// Octets of a file with a secret at most.
const SECRET_MAX: u64 = 4 << 10;
/// What is worth a message unless the operator says otherwise: that the product is there, or likely is.
const EVIDENCE: [Evidence; 2] = [Evidence::Installed, Evidence::Likely];
/// Messages in a minute at most.
const PER_MINUTE: u32 = 10;

/// `[[webhook]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Webhook {
    id: Text,
    url: Text,
    secret_file: Text,
    evidence: Texts,
    per_minute_max: Count,
    internal: Flag,
    ca_file: Text,
    client_certificate: Text,
    client_key: Text,
}

/// Adds every webhook to the sinks; one that is wrong is left out.
pub(super) fn add(written: &[Spanned<Webhook>], sinks: &mut Vec<SinkSettings>, base: &Path, reader: &mut Reader<'_>) {
    for webhook in written {
        if let Some(settings) = one(webhook, base, reader) {
            sink::push(settings, webhook.span(), sinks, reader);
        }
    }
}

fn one(written: &Spanned<Webhook>, base: &Path, reader: &mut Reader<'_>) -> Option<SinkSettings> {
    let (webhook, table) = (written.get_ref(), written.span());
    let id = sink::id(&webhook.id, table.clone(), reader);
    reader.required(&webhook.url, "url", Some(table));
    let written_url = webhook.url.as_ref().filter(|text| !text.get_ref().trim().is_empty());
    let url = written_url.and_then(|text| parsed::<ListUrl>(text, reader));
    let internal = flag(&webhook.internal, false);
    if let (Some(url), Some(text)) = (&url, &webhook.url)
        && !url.is_encrypted()
        && !internal
    {
        reader.error(text.span(), "who tried what is sent over `https://`; over `http://` only with `internal = true`");
    }
    let evidence = evidence(&webhook.evidence, reader);
    let per_minute_max = reader.count(&webhook.per_minute_max, 1..=600, PER_MINUTE);
    let files = (&webhook.ca_file, &webhook.client_certificate, &webhook.client_key);
    let trust = trust::of(files, base, reader);
    let secret = webhook.secret_file.as_ref().map(|text| reader.at(base.join(text.get_ref()), text.span()));
    let hook = Hook { url: url?, internal, trust: Trust::default() };
    let kind = SinkKind::Webhook(WebhookSink { hook, secret: None, evidence, per_minute_max });
    Some(SinkSettings { sink: SinkConfig { id: id?, kind }, trust, secret })
}

fn evidence(written: &Texts, reader: &mut Reader<'_>) -> Vec<Evidence> {
    let Some(texts) = written else { return EVIDENCE.to_vec() };
    if texts.get_ref().is_empty() {
        reader.error(texts.span(), "`evidence` is empty: nothing would ever be sent");
    }
    // What proves nothing is recorded, but makes nobody a device that was seen.
    let all: Vec<Evidence> = Evidence::ALL.into_iter().filter(|evidence| *evidence != Evidence::None).collect();
    let word = |text: &Spanned<String>, reader: &mut Reader<'_>| {
        reader.word(&Some(text.clone()), "evidence", &all, Evidence::as_str).map(|at| at.value)
    };
    texts.get_ref().iter().filter_map(|text| word(text, reader)).collect()
}

/// Reads the secret of a webhook. No message shows any of it.
pub(super) fn complete(settings: &mut SinkSettings, mistakes: &mut Vec<Diagnostic>) {
    let SinkSettings { sink: SinkConfig { kind: SinkKind::Webhook(webhook), .. }, trust, secret } = settings else {
        return;
    };
    webhook.hook.trust = trust.read(mistakes);
    let Some(path) = secret else { return };
    let name = path.value.display();
    match Origin::File(path.value.clone()).read(SECRET_MAX) {
        Ok(octets) => match String::from_utf8_lossy(&octets).trim().parse::<Secret>() {
            Ok(read) => webhook.secret = Some(read),
            Err(error) => mistakes.push(path.error(format!("{name}: {error}"))),
        },
        Err(error) => mistakes.push(path.error(format!("{name} {error}"))),
    }
}
