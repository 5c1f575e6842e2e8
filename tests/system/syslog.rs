//! rsyslog as the receiver of attempts, over TCP and over TLS: what it understood of each message, and that it gets everything
//! that was recorded while it was away, in order.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::client::{A, ask};
use super::encrypted::Authority;
use super::process::{Running, SOON, free_address, until};
use super::server::{Server, Setup};
use super::unbound::Unbound;

/// Names that are asked for at once. Of one client, four times as many keep their names in a minute.
const EACH: u32 = 4;

/// A receiver to be, or to be again.
struct Receiver {
    address: SocketAddr,
    directory: TempDir,
    running: Option<Running>,
}

/// A message as the receiver understood it.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    id: String,
    qname: String,
    head: String,
}

impl Receiver {
    fn new(tls: bool) -> Self {
        let (address, directory) = (free_address(), TempDir::new().unwrap());
        let files = directory.path().display();
        let (module, certificates) = if tls {
            let authority = Authority::new("ours");
            fs::write(directory.path().join("ca.pem"), &authority.1).unwrap();
            authority.issue_for("127.0.0.1", directory.path());
            let drivers = "streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\"";
            let files = format!(
                "defaultNetstreamDriverCAFile=\"{files}/ca.pem\" defaultNetstreamDriverCertFile=\"{files}/server.pem\" \
                 defaultNetstreamDriverKeyFile=\"{files}/server.key\""
            );
            (drivers, files)
        } else {
            ("", String::new())
        };
        let text = format!(
            "global(workDirectory=\"{files}\" {certificates})\n\
             module(load=\"imtcp\" {module})\n\
             input(type=\"imtcp\" address=\"{host}\" port=\"{port}\")\n\
             template(name=\"understood\" type=\"string\" string=\"\
             %protocol-version%|%syslogfacility-text%|%app-name%|%msgid%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{files}/heard\" template=\"understood\")\n",
            host = address.ip(),
            port = address.port(),
        );
        fs::write(directory.path().join("rsyslog.conf"), text).unwrap();
        Self { address, directory, running: None }
    }

    fn start(&mut self) {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        let mut command = Command::new("rsyslogd");
        command.args(["-n", "-f", &file("rsyslog.conf"), "-i", &file("pid")]);
        self.running = Some(Running::start(&command, &self.directory.path().join("rsyslog.log")));
        until("rsyslog listens", SOON, || TcpStream::connect(self.address).ok());
    }

    /// Ends it in order, so that it has written what it has.
    fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        running.signal("TERM");
        running.ended(SOON);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn heard(&self) -> Vec<Heard> {
        let text = fs::read_to_string(self.path("heard")).unwrap_or_default();
        text.lines().map(heard).collect()
    }
}

fn heard(line: &str) -> Heard {
    let value = |key: &str| {
        let (_before, rest) = line.split_once(&format!(" {key}=\"")).unwrap_or_else(|| panic!("no {key}: {line}"));
        rest.split_once('"').unwrap().0.to_owned()
    };
    let (head, _data) = line.split_once("[attempt@32473 ").unwrap_or_else(|| panic!("no structured data: {line}"));
    Heard { id: value("id"), qname: value("qname"), head: head.to_owned() }
}

fn server(upstream: &Unbound, receiver: &Receiver, transport: &str, more: &str) -> Server {
    let to = receiver.address;
    let sink = format!("id = \"siem\"\nkind = \"syslog\"\nserver = \"{to}\"\ntransport = \"{transport}\"\n{more}");
    Setup::new(&[upstream.address]).setting("[sink]", &sink).start()
}

fn try_names(server: &Server, names: std::ops::Range<u32>) {
    for name in names {
        ask(server.dns, &format!("n{name}.upd.kaspersky.com"), A).unwrap();
    }
}

fn check(mut receiver: Receiver, transport: &str, more: &str) {
    let upstream = Unbound::start();
    receiver.start();
    let server = server(&upstream, &receiver, transport, more);
    let delivered = |count: u64| {
        until("everything is taken", SOON, || {
            (server.metrics().sum("embargo_sink_delivered_total") == count).then_some(())
        });
    };
    try_names(&server, 0..EACH);
    delivered(u64::from(EACH));
    receiver.stop();
    // A commit each second: some of them wait, more come while it is tried again.
    for round in 1..4 {
        try_names(&server, round * EACH..(round + 1) * EACH);
        server.at_rest();
    }
    until("it is away", SOON, || (server.metrics().sum("embargo_sink_up") == 0).then_some(()));
    assert_eq!(server.metrics().sum("embargo_sink_waiting"), u64::from(3 * EACH));
    receiver.start();
    delivered(u64::from(4 * EACH));
    receiver.stop();

    let messages = receiver.heard();
    let mut names: Vec<&str> = messages.iter().map(|message| &*message.qname).collect();
    names.sort_unstable();
    let mut expected: Vec<String> = (0..4 * EACH).map(|name| format!("n{name}.upd.kaspersky.com")).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "each once");
    let number = |message: &Heard| message.id.split_once('-').unwrap().1.parse::<u64>().unwrap();
    assert!(messages.iter().map(number).is_sorted(), "in order: {messages:?}");
    assert!(messages.iter().all(|message| message.head == "1|local0|embargo|attempt|"), "{messages:?}");
    assert_eq!(server.metrics().sum("embargo_sink_lost_total"), 0);
}

#[test]
fn rsyslog_gets_every_attempt_over_tcp_also_those_of_while_it_was_away() {
    check(Receiver::new(false), "tcp", "");
}

#[test]
fn rsyslog_gets_every_attempt_over_tls_also_those_of_while_it_was_away() {
    let receiver = Receiver::new(true);
    let authorities = format!("ca_file = \"{}\"", receiver.path("ca.pem").display());
    check(receiver, "tls", &authorities);
}

#[test]
fn rsyslog_without_the_right_certificate_gets_nothing() {
    let mut receiver = Receiver::new(true);
    receiver.start();
    let (upstream, stranger) = (Unbound::start(), Authority::new("stranger"));
    let wrong = receiver.path("wrong.pem");
    fs::write(&wrong, &stranger.1).unwrap();
    let server = server(&upstream, &receiver, "tls", &format!("ca_file = \"{}\"", wrong.display()));
    try_names(&server, 0..2);
    until("it is refused", SOON, || (server.metrics().sum("embargo_sink_failures_total") > 0).then_some(()));
    receiver.stop();
    assert_eq!(receiver.heard(), vec![]);
    assert_eq!(server.metrics().sum("embargo_sink_delivered_total"), 0);
}
