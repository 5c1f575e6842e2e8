//! The languages in which the block page speaks.

use std::sync::Arc;

/// A language of the block page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
    /// Italian.
    It,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::En, Self::De, Self::Fr, Self::Es, Self::It];

    /// Its subtag (BCP 47), which is the word for it in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
            Self::It => "it",
        }
    }
}

/// What the block page says about one ban in one language, beside what it says about every ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageText {
    /// In which language.
    pub language: Language,
    /// A paragraph about the ban; empty: none.
    pub text: Arc<str>,
    /// What to use instead; empty: as in every other language.
    pub alternatives: Arc<str>,
}
