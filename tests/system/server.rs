//! The server under test: its configuration, its ports, its state, and its commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::figures::Page;
use super::process::{Running, SOON, free_address, http_get, until};

/// The program: the release binary if `.ci/run` says where it is.
pub(crate) fn binary() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_embargo"));
    std::env::var_os("EMBARGO_BINARY").map_or_else(own, |path| fs::canonicalize(path).unwrap())
}

/// A command of the program, without anything this machine could say to it by its environment.
pub(crate) fn embargo() -> Command {
    let mut command = Command::new(binary());
    for name in ["STATE_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    dns: SocketAddr,
    admin: SocketAddr,
    directory: TempDir,
    state: PathBuf,
    sections: BTreeMap<String, String>,
    around: Vec<String>,
}

impl Setup {
    /// A server with the shipped blocklists (a copy, to be edited) that forwards to these upstreams.
    pub(crate) fn new(upstreams: &[SocketAddr]) -> Self {
        Self::asking(&upstreams.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    /// The same with upstreams as an operator writes them.
    pub(crate) fn asking(upstreams: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists"), &directory.path().join("blocklists"));
        let servers: Vec<String> = upstreams.iter().map(|server| format!("\"{server}\"")).collect();
        let mut sections = BTreeMap::new();
        sections.insert("upstream".to_owned(), format!("servers = [{}]\n", servers.join(", ")));
        // The upstreams of these tests have it, so that nothing asked for here can be asked for anywhere else.
        sections.insert("local".to_owned(), "special_use_off = [\"test\"]\n".to_owned());
        let state = directory.path().join("state");
        let (dns, admin) = (free_address(), free_address());
        Self { dns, admin, state, directory, sections, around: Vec::new() }
    }

    /// Adds a line to a section of the configuration; the section `""` is the part before the first.
    pub(crate) fn setting(mut self, section: &str, line: &str) -> Self {
        writeln!(self.sections.entry(section.to_owned()).or_default(), "{line}").unwrap();
        self
    }

    /// Serves DNS at this address.
    pub(crate) fn at(self, dns: SocketAddr) -> Self {
        Self { dns, ..self }
    }

    /// Runs the server by these words: `unshare -m sh -c … sh`.
    pub(crate) fn around(mut self, words: &[&str]) -> Self {
        self.around = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Keeps its state below this folder.
    pub(crate) fn state_in(mut self, folder: &Path) -> Self {
        self.state = folder.join("state");
        self
    }

    /// Where its state is kept.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Server {
        let server = self.start_unready();
        server.wait();
        server
    }

    /// Starts it.
    pub(crate) fn start_unready(self) -> Server {
        fs::create_dir_all(&self.state).unwrap();
        let mut text = format!(
            "listen = [\"{}\"]\nadmin = \"{}\"\nblocklists = \"blocklists\"\nstate_dir = \"{}\"\n",
            self.dns,
            self.admin,
            self.state.display()
        );
        for (section, lines) in &self.sections {
            if section.is_empty() {
                text.push_str(lines);
            } else {
                write!(text, "[{section}]\n{lines}").unwrap();
            }
        }
        fs::write(self.directory.path().join("embargo.toml"), text).unwrap();
        let running = spawn(self.directory.path(), &self.around, &[]);
        Server {
            dns: self.dns,
            admin: self.admin,
            state: self.state,
            around: self.around,
            running,
            directory: self.directory,
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it answers, over UDP and TCP.
    pub(crate) dns: SocketAddr,
    /// Where its metrics are.
    pub(crate) admin: SocketAddr,
    /// Where its state is kept.
    pub(crate) state: PathBuf,
    around: Vec<String>,
    running: Running,
    directory: TempDir,
}

impl Server {
    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("embargo.toml")
    }

    /// A file of its blocklists.
    pub(crate) fn list(&self, path: &str) -> PathBuf {
        self.directory.path().join("blocklists").join(path)
    }

    /// The metrics page now.
    pub(crate) fn metrics(&self) -> Page {
        let (status, body) = http_get(self.admin, "/metrics").expect("the admin server answers");
        assert_eq!(status, 200, "{body}");
        Page::read(&body)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.running.log()
    }

    /// The process.
    pub(crate) fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Runs a command of the program with this server's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = embargo();
        command.args(arguments).arg("--config").arg(self.directory.path().join("embargo.toml"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What a command prints with `--json`; it must end well.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat());
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{out}{err}", output.status);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{out}{err}"))
    }

    /// Ends it at once, as a loss of power would.
    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    /// Asks it to stop, and waits for its end.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.running.signal("TERM");
        self.running.ended(SOON)
    }

    /// Starts it again with the same configuration and state.
    pub(crate) fn restart(&mut self) {
        self.restart_unready();
        self.wait();
    }

    /// The same without waiting until it is ready.
    pub(crate) fn restart_unready(&mut self) {
        self.running = spawn(self.directory.path(), &self.around, &[]);
    }

    /// Starts another process in its place, and waits for the end of the one before.
    #[track_caller]
    pub(crate) fn take_over(&mut self) -> ExitStatus {
        let new = self.start_beside(&["--take-over"]);
        let mut old = std::mem::replace(&mut self.running, new);
        let status = old.ended(SOON);
        self.wait();
        status
    }

    /// Starts another process with the same configuration and state, and with these flags.
    pub(crate) fn start_beside(&self, flags: &[&str]) -> Running {
        spawn(self.directory.path(), &self.around, flags)
    }

    fn wait(&self) {
        until("the server is ready", SOON, || http_get(self.admin, "/readyz").filter(|(status, _)| *status == 200));
    }

    /// Waits until everything that was counted is in the store or lost; returns the page.
    #[track_caller]
    pub(crate) fn at_rest(&self) -> Page {
        until("every attempt is in the store or lost", SOON, || {
            let page = self.metrics();
            let settled = page.sum("embargo_journal_stored_total") + page.sum("embargo_journal_lost_total");
            (settled == page.sum("embargo_attempts_total") && page.balance() == 0).then_some(page)
        })
    }
}

fn spawn(directory: &Path, around: &[String], flags: &[&str]) -> Running {
    let plain = embargo();
    let mut command = match around {
        [] => embargo(),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(plain.get_program());
            command
        }
    };
    command.arg("run").arg("--config").arg(directory.join("embargo.toml")).args(flags).current_dir(directory);
    Running::start(&command, &directory.join("embargo.log"))
}

/// Copies a folder with all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
