//! Load by dnsperf: how much it sent, and what came back.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Load that goes on.
#[derive(Debug)]
pub(crate) struct Load {
    child: Option<Child>,
    _directory: TempDir,
}

/// What dnsperf reports at its end.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sent: u64,
    pub(crate) completed: u64,
    pub(crate) lost: u64,
    text: String,
}

impl Load {
    /// Sends these questions (`name TYPE`) over and over for `seconds`, at most `rate` a second from 8 ports.
    pub(crate) fn start(server: SocketAddr, questions: &[String], seconds: u32, rate: u32) -> Self {
        Self::start_over("udp", server, questions, seconds, rate)
    }

    /// The same over `udp` or `tcp`.
    pub(crate) fn start_over(mode: &str, server: SocketAddr, questions: &[String], seconds: u32, rate: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("questions");
        fs::write(&file, questions.join("\n") + "\n").unwrap();
        let mut command = Command::new("dnsperf");
        command.args(["-m", mode, "-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
        command.args(["-l", &seconds.to_string(), "-Q", &rate.to_string(), "-c", "8", "-q", "400", "-t", "5"]);
        command.arg("-d").arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: Some(command.spawn().expect("dnsperf; .ci/run installs it")), _directory: directory }
    }

    /// Whether it still sends.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits for its end.
    pub(crate) fn report(mut self) -> Report {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let figure = |name: &str| number(&text, name).unwrap_or_else(|| panic!("no {name:?} in\n{text}"));
        let (sent, completed, lost) = (figure("Queries sent:"), figure("Queries completed:"), figure("Queries lost:"));
        Report { sent, completed, lost, text }
    }
}

impl Report {
    /// How many responses had this rcode.
    pub(crate) fn rcode(&self, name: &str) -> u64 {
        number(&self.text, &format!("{name} ")).unwrap_or(0)
    }

    /// The longest time from a query to its response.
    pub(crate) fn latency_max(&self) -> Duration {
        let (_, rest) = self.text.split_once("Average Latency (s):").unwrap();
        let (_, rest) = rest.split_once("max ").unwrap();
        let (seconds, _) = rest.split_once(')').unwrap();
        Duration::from_secs_f64(seconds.parse().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The number behind a word.
fn number(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}
