//! `[[sink]]` and `[spool]`: where attempts are sent to as they are recorded, and how much may wait for receivers.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::at::At;
use super::ban::is_id;
use super::convert::seconds;
use super::file::{Count, Measure, Text};
use super::reader::Reader;
use super::settings::TrustFiles;
use super::trust;
use super::webhook::{self, Webhook};
use crate::diag::Diagnostic;
use crate::sinks::{DnstapSink, Facility, Fields, FileSink, Over, Place, SinkConfig, SinkKind, Socket, SyslogSink};
use crate::tls::Trust;

/// Sinks at most: each has a task, and holds what it has not sent.
const SINKS_MAX: usize = 16;
const DAY: u64 = 24 * 60 * 60;

/// `[[sink]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sink {
    id: Text,
    kind: Text,
    fields: Text,
    file: Text,
    rotate_size: Measure,
    rotate_after: Measure,
    keep_files: Count,
    socket: Text,
    server: Text,
    transport: Text,
    facility: Text,
    ca_file: Text,
    client_certificate: Text,
    client_key: Text,
}

/// `[spool]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spool {
    size_max: Measure,
}

/// A receiver of what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkSettings {
    /// The sink; whom it believes is known once the files are read.
    pub sink: SinkConfig,
    /// Whom its server is vouched for by, and as whom we show ourselves.
    pub trust: TrustFiles,
    /// The file with the secret that its messages are signed with.
    pub secret: Option<At<PathBuf>>,
}

/// What a sink is, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    File,
    Syslog,
    Dnstap,
}

impl Word {
    const ALL: [Self; 3] = [Self::File, Self::Syslog, Self::Dnstap];

    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Syslog => "syslog",
            Self::Dnstap => "dnstap",
        }
    }
}

/// How a stream or datagrams are carried, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Udp,
    Tcp,
    Tls,
}

impl Carried {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// Octets that may wait for receivers.
pub(super) fn spool(written: &Spool, default: u64, reader: &mut Reader<'_>) -> u64 {
    reader.bytes(&written.size_max, 1 << 20..=1 << 40, default)
}

/// Every sink, and every webhook; one that is wrong is left out.
pub(super) fn settings(
    (written, webhooks): (&[Spanned<Sink>], &[Spanned<Webhook>]),
    base: &Path,
    reader: &mut Reader<'_>,
) -> Vec<SinkSettings> {
    if let Some(beyond) = written.get(SINKS_MAX) {
        reader.error(beyond.span(), format!("at most {SINKS_MAX} sinks"));
    }
    let mut sinks: Vec<SinkSettings> = Vec::new();
    for written in written {
        if let Some(settings) = one(written, base, reader) {
            push(settings, written.span(), &mut sinks, reader);
        }
    }
    webhook::add(webhooks, &mut sinks, base, reader);
    sinks
}

/// Adds a sink whose id no other has.
pub(super) fn push(
    settings: SinkSettings,
    table: Range<usize>,
    sinks: &mut Vec<SinkSettings>,
    reader: &mut Reader<'_>,
) {
    if sinks.iter().any(|before| before.sink.id == settings.sink.id) {
        reader.error(table, format!("a sink with the id `{}` is there already", settings.sink.id));
    } else if sinks.len() >= 2 * SINKS_MAX {
        reader.error(table, format!("at most {SINKS_MAX} webhooks"));
    } else {
        sinks.push(settings);
    }
}

fn one(written: &Spanned<Sink>, base: &Path, reader: &mut Reader<'_>) -> Option<SinkSettings> {
    let (sink, table) = (written.get_ref(), written.span());
    let id = id(&sink.id, table.clone(), reader);
    if sink.kind.is_none() {
        reader.missing("kind", Some(table.clone()));
    }
    let word = reader.word(&sink.kind, "kind of sink", &Word::ALL, Word::as_str)?.value;
    only_of_others(sink, word, reader);
    let fields = reader.word(&sink.fields, "field set", &Fields::ALL, Fields::as_str);
    let fields = fields.map_or(Fields::default(), |at| at.value);
    let kind = match word {
        Word::File => SinkKind::File(file(sink, fields, base, table, reader)?),
        Word::Syslog => SinkKind::Syslog(syslog(sink, fields, table, reader)?),
        Word::Dnstap => SinkKind::Dnstap(DnstapSink { to: socket(sink, base, table, reader)? }),
    };
    let files = (&sink.ca_file, &sink.client_certificate, &sink.client_key);
    let trust = trust::of(files, base, reader);
    Some(SinkSettings { sink: SinkConfig { id: id?, kind }, trust, secret: None })
}

pub(super) fn id(written: &Text, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let id = reader.required(written, "id", Some(table));
    let text = written.as_ref().filter(|_written| !id.trim().is_empty())?;
    if !is_id(&id) {
        reader.error(text.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
        return None;
    }
    Some(id)
}

/// What means nothing for a sink of this kind.
fn only_of_others(sink: &Sink, word: Word, reader: &mut Reader<'_>) {
    let span = |text: &Text| text.as_ref().map(Spanned::span);
    let measure = |measure: &Measure| measure.as_ref().map(Spanned::span);
    let (files, syslog, servers) = (&[Word::File][..], &[Word::Syslog][..], &[Word::Syslog, Word::Dnstap][..]);
    let keys = [
        ("fields", span(&sink.fields), &[Word::File, Word::Syslog][..]),
        ("file", span(&sink.file), files),
        ("rotate_size", measure(&sink.rotate_size), files),
        ("rotate_after", measure(&sink.rotate_after), files),
        ("keep_files", sink.keep_files.as_ref().map(Spanned::span), files),
        ("facility", span(&sink.facility), syslog),
        ("socket", span(&sink.socket), &[Word::Dnstap]),
        ("server", span(&sink.server), servers),
        ("transport", span(&sink.transport), servers),
        ("ca_file", span(&sink.ca_file), servers),
        ("client_certificate", span(&sink.client_certificate), servers),
        ("client_key", span(&sink.client_key), servers),
    ];
    for (key, span, owners) in keys {
        if let Some(span) = span.filter(|_written| !owners.contains(&word)) {
            let owners: Vec<_> = owners.iter().map(|owner| format!("`{}`", owner.as_str())).collect();
            reader.error(span, format!("`{key}` belongs to a sink of the kind {}", owners.join(" or ")));
        }
    }
}

fn file(sink: &Sink, fields: Fields, base: &Path, table: Range<usize>, reader: &mut Reader<'_>) -> Option<FileSink> {
    let path = reader.required(&sink.file, "file", Some(table));
    let rotate_after = reader.duration_at(&sink.rotate_after, seconds(60..=366 * DAY)).map(|at| at.value);
    let rotate_bytes = reader.bytes(&sink.rotate_size, 1 << 16..=1 << 40, 64 << 20);
    let keep = reader.count(&sink.keep_files, 0..=1_000, 10);
    (!path.trim().is_empty()).then(|| FileSink { path: base.join(&*path), fields, rotate_bytes, rotate_after, keep })
}

fn syslog(sink: &Sink, fields: Fields, table: Range<usize>, reader: &mut Reader<'_>) -> Option<SyslogSink> {
    let to = place(&sink.server, table.clone(), reader);
    let carried = carried(sink, table, reader);
    let facility = reader.word(&sink.facility, "facility", &Facility::ALL, Facility::as_str);
    let over = match carried?.value {
        Carried::Udp => Over::Udp,
        Carried::Tcp => Over::Tcp,
        Carried::Tls => Over::Tls(Trust::default()),
    };
    Some(SyslogSink { to: to?, over, fields, facility: facility.map_or_else(Facility::default, |at| at.value) })
}

/// Where a receiver of dnstap is: on this host, or on another.
fn socket(sink: &Sink, base: &Path, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Socket> {
    if let Some(path) = &sink.socket {
        let of_servers = [("server", &sink.server), ("transport", &sink.transport)];
        for (key, text) in of_servers.iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
            reader.error(text.span(), format!("a sink has a `socket` or a `server`: `{key}` belongs to the latter"));
        }
        if path.get_ref().trim().is_empty() {
            reader.error(path.span(), "`socket` is empty");
            return None;
        }
        return Some(Socket::Unix(base.join(path.get_ref())));
    }
    if sink.server.is_none() {
        reader.error(table, "a sink of the kind `dnstap` needs a `socket` or a `server`");
        return None;
    }
    let to = place(&sink.server, table.clone(), reader);
    let carried = carried(sink, table, reader)?;
    match carried.value {
        Carried::Tcp => Some(Socket::Tcp(to?)),
        Carried::Tls => Some(Socket::Tls(to?, Trust::default())),
        Carried::Udp => {
            let span = sink.transport.as_ref().map(Spanned::span).unwrap_or_default();
            reader.error(span, "dnstap goes over `tcp` or `tls`");
            None
        }
    }
}

fn carried(sink: &Sink, table: Range<usize>, reader: &mut Reader<'_>) -> Option<At<Carried>> {
    if sink.transport.is_none() {
        reader.missing("transport", Some(table));
    }
    reader.word(&sink.transport, "transport", &Carried::ALL, Carried::as_str)
}

fn place(written: &Text, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Place> {
    reader.required(written, "server", Some(table));
    let text = written.as_ref().filter(|text| !text.get_ref().trim().is_empty())?;
    text.get_ref().parse().map_err(|error: crate::sinks::PlaceError| reader.error(text.span(), error.to_string())).ok()
}

/// Reads whom servers are vouched for by; what is wrong with a file is a mistake where it is named.
pub(super) fn complete(sinks: &mut [SinkSettings], mistakes: &mut Vec<Diagnostic>) {
    for settings in sinks {
        webhook::complete(settings, mistakes);
        let SinkSettings { sink, trust, .. } = settings;
        match &mut sink.kind {
            SinkKind::Syslog(SyslogSink { over: Over::Tls(believed), .. })
            | SinkKind::Dnstap(DnstapSink { to: Socket::Tls(_, believed) }) => *believed = trust.read(mistakes),
            _in_clear_or_complete => (),
        }
    }
}

impl SinkSettings {
    /// The files it is told by.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.trust.paths().chain(self.secret.as_ref().map(|path| &path.value))
    }
}
