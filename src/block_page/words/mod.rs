//! The sentences of the page, by language. To add one: a file beside this one, and a variant of [`Language`].

mod de;
mod en;
mod es;
mod fr;
mod it;

use crate::policy::{EndUse, Language};

/// Everything that the page says by itself.
#[derive(Debug)]
pub(super) struct Words {
    /// Of a title.
    pub(super) blocked_title: fn(&str) -> String,
    /// Of a name and a title.
    pub(super) blocked: fn(&str, &str) -> String,
    pub(super) vendor: &'static str,
    pub(super) ground: &'static str,
    /// Where the operator names no law that binds.
    pub(super) policy: &'static str,
    /// Where he does; the laws follow.
    pub(super) policy_by_law: &'static str,
    pub(super) effective: &'static str,
    pub(super) since: &'static str,
    pub(super) contact: &'static str,
    pub(super) alternatives: &'static str,
    /// Above laws that nobody says bind this network.
    pub(super) acts: &'static str,
    pub(super) acts_note: &'static str,
    /// Why somebody sees this page, and that it is recorded.
    pub(super) why_here: &'static str,
    pub(super) neutral_title: &'static str,
    /// Of a name.
    pub(super) not_banned: fn(&str) -> String,
    pub(super) no_name: &'static str,
    pub(super) try_again: &'static str,
    prohibits: &'static str,
    prohibits_some: &'static str,
    binds_supplier: &'static str,
}

impl Words {
    /// Those of a language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &en::WORDS,
            Language::De => &de::WORDS,
            Language::Fr => &fr::WORDS,
            Language::Es => &es::WORDS,
            Language::It => &it::WORDS,
        }
    }

    /// Whether a law prohibits using the product. One that binds the supplier is never said to bind the user.
    pub(super) fn end_use(&self, end_use: EndUse) -> &'static str {
        match end_use {
            EndUse::Yes => self.prohibits,
            EndUse::Partial => self.prohibits_some,
            EndUse::No => self.binds_supplier,
        }
    }
}
