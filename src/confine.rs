//! What the process may do: as whom it runs, and which files it reaches.
//!
//! Both are for a process with a single thread: what is made later inherits them, and what is there already would not. Leaves
//! sockets, which are bound before, to those who need them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, path_beneath_rules,
};
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

/// The rights that are asked for: those of files. Newer ones, of sockets and signals, this process needs.
const RIGHTS: ABI = ABI::V5;

/// Why the process is not confined as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The system knows nobody of that name.
    #[error("the system knows no {kind} `{name}`; `{kind}add --system {name}` makes one")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// As it was written.
        name: String,
    },
    /// It refuses a step.
    #[error("the system does not let this process become {user}: {error}")]
    Refused {
        /// The user.
        user: String,
        /// The operating system's reason.
        error: io::Error,
    },
    /// After everything it could still become root again.
    #[error("this process could become root again after it has become {user}; it does not go on")]
    Reversible {
        /// The user.
        user: String,
    },
    /// Something in the state directory is another's.
    #[error("{} belongs to the user with the id {owner}, so that {user} could not write it; `chown -R {user}: {}` gives it over", path.display(), top.display())]
    Foreign {
        /// What it is.
        path: PathBuf,
        /// The state directory.
        top: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        user: String,
    },
    /// The state directory can't be looked at.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// The rules for files can't be made.
    #[error("access to files can't be confined: {0}")]
    Rules(#[from] RulesetError),
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// A user that the process is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
    /// Whether the system knows further groups of it.
    is_known: bool,
}

impl Identity {
    /// The user of this name or number, with this group in place of its own.
    ///
    /// # Errors
    /// [`ConfineError::Unknown`].
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, ConfineError> {
        let unknown = |kind, name: &str| ConfineError::Unknown { kind, name: name.to_owned() };
        let number = user.parse().ok().map(Uid::from_raw);
        let by_number = number.and_then(|uid| User::from_uid(uid).ok().flatten());
        let found = User::from_name(user).ok().flatten().or(by_number);
        let group_id = |name: &str| {
            let found = Group::from_name(name).ok().flatten().map(|group| group.gid);
            found.or_else(|| name.parse().ok().map(Gid::from_raw)).ok_or_else(|| unknown("group", name))
        };
        let own = found.as_ref().map(|user| user.gid);
        let uid = found.as_ref().map(|user| user.uid).or(number).ok_or_else(|| unknown("user", user))?;
        let gid = match group {
            Some(group) => group_id(group)?,
            None => own.unwrap_or_else(|| Gid::from_raw(uid.as_raw())),
        };
        let name = found.as_ref().map_or_else(|| user.to_owned(), |user| user.name.clone());
        Ok(Self { name, uid, gid, is_known: found.is_some() })
    }

    /// Whether the process is this user already.
    pub fn is_current(&self) -> bool {
        geteuid() == self.uid && getegid() == self.gid
    }

    /// Sees that the state directory will be this user's: makes it, or complains of what in it is somebody else's.
    ///
    /// # Errors
    /// [`ConfineError::Foreign`], or the operating system's.
    pub fn own(&self, directory: &Path) -> Result<(), ConfineError> {
        let unreadable = |path: &Path, error| ConfineError::Unreadable { path: path.to_owned(), error };
        if !directory.exists() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            let given = made.and_then(|()| chown(directory, Some(self.uid.as_raw()), Some(self.gid.as_raw())));
            return given.map_err(|error| unreadable(directory, error));
        }
        let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
        let inside = entries.filter_map(Result::ok).map(|entry| entry.path());
        for path in std::iter::once(directory.to_owned()).chain(inside) {
            let owner = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.uid(),
                // A server that ends removes its socket.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&path, error)),
            };
            if owner != self.uid.as_raw() {
                let (top, user) = (directory.to_owned(), self.name.clone());
                return Err(ConfineError::Foreign { path, top, owner, user });
            }
        }
        Ok(())
    }

    /// Becomes this user, for good: with its groups, and without any capability.
    ///
    /// # Errors
    /// The operating system's, or it could be undone.
    pub fn take(&self) -> Result<(), ConfineError> {
        let refused = |error: nix::Error| ConfineError::Refused { user: self.name.clone(), error: error.into() };
        match CString::new(self.name.clone()) {
            Ok(name) if self.is_known => initgroups(&name, self.gid).map_err(refused)?,
            _ => setgroups(&[self.gid]).map_err(refused)?,
        }
        setgid(self.gid).map_err(refused)?;
        setuid(self.uid).map_err(refused)?;
        let is_reversible = !self.uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
        if is_reversible { Err(ConfineError::Reversible { user: self.name.clone() }) } else { Ok(()) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Confines this process, and all it will ever start, to reading below some paths and to writing below others. Paths that are
/// not there are left out. Says what holds now.
///
/// # Errors
/// [`ConfineError::Rules`]; a kernel that knows no such rules is no error.
pub fn confine_files(read: &[PathBuf], write: &[PathBuf]) -> Result<Confined, ConfineError> {
    // Nothing is ever executed.
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let writing = AccessFs::from_all(RIGHTS) & !AccessFs::Execute;
    let rules = Ruleset::default().handle_access(AccessFs::from_all(RIGHTS))?.create()?;
    let rules = rules.add_rules(path_beneath_rules(read, reading))?.add_rules(path_beneath_rules(write, writing))?;
    Ok(match rules.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, .. } => Confined::By { abi: effective_abi as i32 },
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => Confined::Not,
    })
}

/// Whether the kernel confines this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// It does, by the rules of this version of its interface.
    By {
        /// The version.
        abi: i32,
    },
    /// It knows no such rules, or they are switched off.
    Not,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_number_and_one_that_is_not_there_is_named() {
        let root = Identity::find("root", None).unwrap();
        assert_eq!((root.name(), &root), ("root", &Identity::find("0", Some("0")).unwrap()));
        let number = Identity::find("54321", None).unwrap();
        assert_eq!((number.uid.as_raw(), number.gid.as_raw(), number.is_current()), (54_321, 54_321, false));
        for (user, group, expected) in [
            ("no-such-user", None, "the system knows no user `no-such-user`"),
            ("0", Some("no-such-group"), "groupadd"),
        ] {
            let error = Identity::find(user, group).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_another_users_in_the_state_directory_is_named_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let own = fs::metadata(directory.path()).unwrap().uid();
        Identity::find(&own.to_string(), None).unwrap().own(directory.path()).unwrap();
        let other = Identity::find("54321", None).unwrap().own(directory.path()).unwrap_err().to_string();
        let expected = format!("belongs to the user with the id {own}");
        assert!(other.contains(&expected) && other.contains("chown -R 54321: "), "{other}");
    }

    #[test]
    fn files_are_reached_where_they_are_allowed_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["read", "write", "other"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("file"), name).unwrap();
        }
        let (read, write) = (vec![path("read"), path("none")], vec![path("write")]);
        // A thread of its own: it can't be undone.
        let confined = std::thread::spawn(move || confine_files(&read, &write).unwrap()).join().unwrap();
        let (read, write) = (vec![path("read"), path("none")], vec![path("write")]);
        let at = |name: &str| path(name).join("file");
        let (first, second, third) = (at("read"), at("write"), at("other"));
        let reached = std::thread::spawn(move || {
            drop(confine_files(&read, &write));
            let writes = |path: &Path| fs::write(path, "new").is_ok();
            let reads = |path: &Path| fs::read(path).is_ok();
            [reads(&first), writes(&first), reads(&second), writes(&second), reads(&third), writes(&third)]
        });
        let expected = match confined {
            Confined::By { .. } => [true, false, true, true, false, false],
            Confined::Not => [true; 6],
        };
        assert_eq!(reached.join().unwrap(), expected);
        assert!(fs::read(at("other")).is_ok(), "this thread is not confined");
    }
}
