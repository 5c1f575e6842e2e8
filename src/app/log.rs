//! The log: text or JSON on standard error, every line also counted.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::pace::Pace;
use crate::clock::Clock;
use crate::config::{LogFormat, LogSettings};
use crate::metrics::{Level, Metrics};

/// hickory logs query names unescaped, so none of it is let through, whatever the level. notify tells of watches that ended
/// with their folders, which the poll behind it notices too. What the libraries of encrypted transports have to tell is written by
/// clients: a name that rustls does not like, say.
const SILENCED: [&str; 8] = [
    "hickory_server=off",
    "hickory_net=off",
    "hickory_proto=off",
    "hickory_resolver=off",
    "h2=off",
    "quinn_proto=off",
    "rustls=off",
    "notify=warn",
];

/// Starts logging; a second start in one process (tests) changes nothing.
pub(super) fn init(settings: &LogSettings, metrics: Arc<Metrics>, clock: Clock) {
    let mut filter = EnvFilter::new(&settings.level);
    for directive in SILENCED.iter().filter_map(|directive| directive.parse().ok()) {
        filter = filter.add_directive(directive);
    }
    let written = filter.clone().and(Pace::new(clock));
    let registry = tracing_subscriber::registry().with(Counted(metrics).with_filter(filter));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let started = match settings.format {
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true).with_current_span(false).with_filter(written)).try_init()
        }
        LogFormat::Text => {
            if let Some(journal) = under_journald() {
                // journald keeps level and fields apart, and stamps lines itself.
                registry.with(journal.with_filter(written)).try_init()
            } else {
                // Set to nothing it says nothing (no-color.org).
                let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let colours = std::io::stderr().is_terminal() && !no_colour;
                registry.with(lines.with_ansi(colours).with_filter(written)).try_init()
            }
        }
    };
    drop(started);
}

/// The journal's own socket, when standard error leads to it (systemd.exec(5), `JOURNAL_STREAM`).
fn under_journald() -> Option<tracing_journald::Layer> {
    std::env::var_os("JOURNAL_STREAM")?;
    tracing_journald::layer().ok()
}

/// Logs and counts every panic, wherever it happens; the query or task that met it is lost, the server goes on.
pub fn count_panics(metrics: Arc<Metrics>) {
    std::panic::set_hook(Box::new(move |panic| {
        metrics.process.panics.inc();
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let owned = payload.downcast_ref::<String>().map(String::as_str);
        let message = payload.downcast_ref::<&str>().copied().or(owned).unwrap_or("no message");
        tracing::error!(place, message = %crate::diag::shown(message), "A part of the server panicked; please report it.");
    }));
}

/// Counts messages by level.
struct Counted(Arc<Metrics>);

impl<S: Subscriber> Layer<S> for Counted {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        self.0.process.log_messages(level).inc();
    }
}
