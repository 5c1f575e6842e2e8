//! Where the configuration and the state live when nobody says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Args;

/// Where a configuration is looked for without `--config`, first to last.
pub const CONFIG_FILES: [&str; 2] = ["config/embargo.toml", "/etc/embargo/embargo.toml"];

/// Where the host's own servers are written; the second is read when the first names only ourselves, which is so when
/// Embargo listens in place of systemd-resolved.
const RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/// The state directory of an installed service.
const SYSTEM_STATE: &str = "/var/lib/embargo";

/// What the process was given by its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Files that may hold the configuration, first to last; the first that exists is used.
    pub config_files: Vec<PathBuf>,
    /// `STATE_DIRECTORY`, as systemd sets it: one directory, or several with `:` between them.
    pub state_directory: Option<OsString>,
    /// `/var/lib/embargo`, if it is there.
    pub system_state: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// `HOME`.
    pub home: Option<OsString>,
    /// Where the host's own name servers are written, first to last; a further one is read when those before name only
    /// ourselves.
    pub resolv_conf: Vec<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        Self {
            config_files: CONFIG_FILES.iter().map(PathBuf::from).collect(),
            state_directory: std::env::var_os("STATE_DIRECTORY"),
            system_state: Some(PathBuf::from(SYSTEM_STATE)).filter(|directory| directory.is_dir()),
            xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
            resolv_conf: RESOLV_CONF.iter().map(PathBuf::from).collect(),
        }
    }

    /// The configuration file: the one named, or the first that exists; `None`: the embedded default.
    pub(super) fn config_file(&self, args: &Args) -> Option<PathBuf> {
        args.config.clone().or_else(|| self.config_files.iter().find(|file| file.exists()).cloned())
    }
}

/// The state directory: the flag, the configuration, `$STATE_DIRECTORY`, an existing `/var/lib/embargo`,
/// `$XDG_STATE_HOME/embargo`, `~/.local/state/embargo`; `None` when none of these is known.
pub fn state_dir(flag: Option<&Path>, configured: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    // An empty or relative variable is no place (XDG Base Directory Specification, "Referencing this specification").
    let absolute = |text: &OsString| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let given = flag.or(configured).map(Path::to_path_buf);
    given
        .or_else(|| environment.state_directory.as_ref().and_then(first_of).filter(|path| path.is_absolute()))
        .or_else(|| environment.system_state.clone())
        .or_else(|| environment.xdg_state_home.as_ref().and_then(absolute).map(|home| home.join("embargo")))
        .or_else(|| environment.home.as_ref().and_then(absolute).map(|home| home.join(".local/state/embargo")))
}

fn first_of(directories: &OsString) -> Option<PathBuf> {
    std::env::split_paths(directories).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Environment {
        Environment {
            config_files: Vec::new(),
            state_directory: Some("/run/a:/run/b".into()),
            system_state: Some("/var/lib/embargo".into()),
            xdg_state_home: Some("/home/u/.state".into()),
            home: Some("/home/u".into()),
            resolv_conf: Vec::new(),
        }
    }

    #[track_caller]
    fn check(flag: Option<&str>, configured: Option<&str>, environment: &Environment, expected: Option<&str>) {
        let found = state_dir(flag.map(Path::new), configured.map(Path::new), environment);
        assert_eq!(found.as_deref(), expected.map(Path::new));
    }

    #[test]
    fn each_place_is_used_when_those_before_it_are_not_given() {
        let mut environment = full();
        check(Some("flag"), Some("/file"), &environment, Some("flag"));
        check(None, Some("/file"), &environment, Some("/file"));
        check(None, None, &environment, Some("/run/a"));
        environment.state_directory = None;
        check(None, None, &environment, Some("/var/lib/embargo"));
        environment.system_state = None;
        check(None, None, &environment, Some("/home/u/.state/embargo"));
        environment.xdg_state_home = None;
        check(None, None, &environment, Some("/home/u/.local/state/embargo"));
        environment.home = None;
        check(None, None, &environment, None);
    }

    #[test]
    fn empty_and_relative_variables_are_no_place() {
        let empty = Some(OsString::new());
        let environment = Environment {
            state_directory: empty.clone(),
            xdg_state_home: Some("relative".into()),
            home: empty,
            ..Environment::default()
        };
        check(None, None, &environment, None);
    }
}
