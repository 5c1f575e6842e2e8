//! `embargo exempt add`.

use std::time::Duration;

use clap::Args;

use super::{change, until, what, whom};
use crate::app::ExemptionRow;
use crate::app::control::{Exempt, Request};
use crate::audit::{self, OWNER_MAX, REASON_MAX, TICKET_MAX, TermsError, Written};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::when::{When, WhenError, span};
use crate::cli::{EXIT_CODES, flags};
use crate::diag::shown;
use crate::time::rfc3339;
use crate::wire::LowerName;

/// Have the running server spare somebody something, from now on
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
#[command(group = clap::ArgGroup::new("whom").args(["client", "group", "site"]).required(true))]
#[command(group = clap::ArgGroup::new("what").args(["ban", "category", "name"]).required(true))]
#[command(group = clap::ArgGroup::new("end").args(["span", "until", "endless"]).required(true))]
pub(super) struct Add {
    /// An address, a network, or a device: mac:00:16:3e:12:34:56, duid:…, client-id:…, asset:INV-17
    #[arg(long, value_name = "IP|NET|DEVICE", value_parser = client)]
    client: Option<String>,
    /// A site, department or group of the configuration, by its id
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// A site of the configuration, by its id
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// A whole ban, by its id
    #[arg(long, value_name = "ID")]
    ban: Option<String>,
    /// Rules of a category, whatever their ban
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// A name and all below it, whatever the ban
    #[arg(long, value_name = "NAME", value_parser = audit::name)]
    name: Option<LowerName>,
    /// For how long: 6s, 30m, 24h, 7d, 4w
    #[arg(long = "for", value_name = "SPAN", value_parser = lasting)]
    span: Option<Duration>,
    /// Until when: 2026-12-24 (00:00 in the `time_zone` of the configuration), or 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<When>,
    /// Without an end
    #[arg(long)]
    endless: bool,
    /// Who answers for it
    #[arg(long, value_name = "WHO", value_parser = |text: &str| said("owner", text, OWNER_MAX))]
    owner: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| said("reason", text, REASON_MAX))]
    reason: String,
    /// Where it was asked for
    #[arg(long, value_name = "T", value_parser = |text: &str| said("ticket", text, TICKET_MAX))]
    ticket: Option<String>,
    /// One JSON object, as `exempt list --json` has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: flags::State,
}

/// Why a text is no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum EndError {
    /// No span.
    #[error("no span; write 6s, 30m, 24h, 7d or 4w")]
    NoSpan,
    /// No time at all.
    #[error("is over at once; write a longer span")]
    Zero,
    /// Longer than anybody means.
    #[error("is longer than 10 years; write --endless for no end")]
    Far,
    /// No moment.
    #[error("no moment; write 2026-12-24 or 2026-12-24T18:00:00Z, or --for 24h for a span from now on")]
    NoMoment,
    /// A moment that no clock here can show.
    #[error(transparent)]
    Moment(WhenError),
}

fn lasting(text: &str) -> Result<Duration, EndError> {
    let span = span(text).ok_or(EndError::NoSpan)?;
    if span.is_zero() {
        return Err(EndError::Zero);
    }
    audit::near(span).map(|()| span).map_err(|_too_far| EndError::Far)
}

fn end(text: &str) -> Result<When, EndError> {
    match text.parse() {
        Err(range @ WhenError::Range) => Err(EndError::Moment(range)),
        // So long ago can't be the end.
        Ok(When::Ago(_)) | Err(_) => Err(EndError::NoMoment),
        Ok(when) => Ok(when),
    }
}

/// As the server is told of it, if it can be exempted.
fn client(text: &str) -> Result<String, TermsError> {
    audit::whom(text).map(|_whom| text.to_owned())
}

fn said(what: &'static str, text: &str, most: usize) -> Result<String, TermsError> {
    audit::said(what, text, most).map(|text| text.to_string())
}

impl Add {
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let answer = change(&self.state, &Request::ExemptAdd(Box::new(self.asked(console)?)), console)?;
        if self.json {
            return Ok(console.json(&answer)?);
        }
        let row: ExemptionRow = serde_json::from_value(answer)
            .map_err(|error| Failure::cannot(format!("the server's answer is none: {error}"), ""))?;
        let (whom, what, until) = (whom(&row), what(&row), until(&row));
        let line = format!("Exemption {}: {whom} is spared {what} until {until}.", row.id);
        Ok(writeln!(console.out, "{}", shown(&line.replace("until endless", "without end")))?)
    }

    fn asked(&self, console: &Console<'_>) -> Result<Exempt, Failure> {
        let now = console.now;
        let until = match self.until {
            // The same date as in the configuration is the same moment.
            Some(until) => Some(until.resolve(now, &self.state.loaded(console)?.settings.time_zone)),
            None => None,
        };
        if let Some(until) = until.filter(|until| *until <= now) {
            return Err(Failure::usage(format!(
                "--until {}: has passed already; it is {}",
                rfc3339(until),
                rfc3339(now)
            )));
        }
        let terms = Written {
            client: self.client.clone(),
            group: self.group.clone().or_else(|| self.site.clone()),
            ban: self.ban.clone(),
            category: self.category.clone(),
            name: self.name.as_ref().map(ToString::to_string),
            until: until.map(rfc3339),
            endless: self.endless,
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
        };
        let lasts_ms = self.span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        Ok(Exempt { terms, lasts_ms, is_site: self.site.is_some() })
    }
}
