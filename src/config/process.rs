//! `[process]`: as whom the server runs, and which files it reaches.

use serde::Deserialize;
use toml::Spanned;

use super::file::{Flag, Text};
use super::reader::Reader;

/// `[process]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Process {
    user: Text,
    group: Text,
    landlock: Flag,
}

/// As whom the server runs, and which files it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The user that it becomes once its sockets are bound, where it is started as root.
    pub user: Option<String>,
    /// A group in place of that user's own.
    pub group: Option<String>,
    /// Whether the kernel confines it to its files; `None`: where it becomes a user.
    pub landlock: Option<bool>,
}

/// What the table says.
pub(super) fn settings(file: &Process, reader: &mut Reader<'_>) -> ProcessSettings {
    let mut named = |text: &Text, what: &str| {
        let written = text.as_ref()?;
        let name = written.get_ref().trim();
        if name.is_empty() || name.contains(['\0', '/', ':']) {
            reader.error(written.span(), format!("no {what}; write its name or number"));
            return None;
        }
        Some(name.to_owned())
    };
    let (user, group) = (named(&file.user, "user"), named(&file.group, "group"));
    if let (Some(group), None) = (&file.group, &file.user) {
        reader.error(group.span(), "is taken together with a `user`, which is missing");
    }
    ProcessSettings { user, group, landlock: file.landlock.as_ref().map(|flag: &Spanned<bool>| *flag.get_ref()) }
}
