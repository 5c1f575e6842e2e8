//! The forms of a report.

use super::document::Document;
use super::incident::Incident;
use super::{csv, html, markdown, oscal};
use crate::audit::is_unprinted;

/// The forms of a report. To add one: a file beside this one, a variant here, and what the compiler then asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page to read, print and keep.
    Html,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
    /// Text that other documents take in.
    Markdown,
    /// Assessment results of OSCAL, for tools that gather evidence.
    Oscal,
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Html, Self::Json, Self::Csv, Self::Markdown, Self::Oscal];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
            Self::Oscal => "oscal",
        }
    }

    /// How the names of its files end.
    pub fn extension(self) -> &'static str {
        if self == Self::Oscal { "oscal.json" } else { self.as_str() }
    }

    /// Rows of devices, and of sites, at most: what people read is shorter than what programs do.
    pub fn rows_max(self) -> usize {
        match self {
            Self::Html | Self::Markdown => 1_000,
            Self::Oscal => 10_000,
            Self::Json | Self::Csv => 100_000,
        }
    }

    /// What stands around the seal at the end.
    pub(crate) fn around_seal(self) -> (&'static str, &'static str) {
        match self {
            Self::Html | Self::Markdown => ("<!-- ", " -->\n"),
            Self::Json => (",\"seal\":\"", "\"}\n"),
            Self::Csv => ("\"seal\",,,,,,,\"", "\"\r\n"),
            Self::Oscal => oscal::AROUND_SEAL,
        }
    }

    /// What is on record about one device, as a page or for programs, still without its seal.
    pub fn render_incident(self, incident: &Incident) -> String {
        match self {
            Self::Html => html::render_incident(incident),
            Self::Json | Self::Csv | Self::Markdown | Self::Oscal => {
                serde_json::to_string(incident).unwrap_or_default()
            }
        }
    }

    /// The document in this form, still without its seal.
    pub fn render(self, document: &Document) -> String {
        match self {
            Self::Html => html::render(document),
            // Numbers, words and lists of them: nothing that JSON can't say.
            Self::Json => serde_json::to_string(document).unwrap_or_default(),
            Self::Csv => csv::render(document),
            Self::Markdown => markdown::render(document),
            Self::Oscal => oscal::render(document),
        }
    }
}

/// The text with whatever is not printed as itself escaped, so that no name can hide a part of itself or turn the others around.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprinted(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
