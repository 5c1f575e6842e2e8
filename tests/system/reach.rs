//! What the server does beside answering, with the rights that are left to it once root is given up: it fetches a list, writes a
//! sink's file and to syslog, makes reports, and writes a store anew that is too large for that in memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use super::client::{A, NXDOMAIN, ask};
use super::confined::setup;
use super::process::{SOON, not_tested, until};

const LISTED: &str = "fetched.test\n";

/// Rows of other clients, so that the store is written anew beside a file, and not in memory: more than 64 MiB.
const FILLED: &str = "
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute('INSERT INTO series (ban, category, evidence, site, action, transport, verified) '
              'VALUES (\\'filler\\', \\'update\\', \\'installed\\', \\'default\\', \\'nxdomain\\', \\'udp\\', 0)')
rows = 'WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000) '
store.execute(rows + 'INSERT INTO attempts SELECT 29000000 + n / 1000, n % 60, \\'192.0.2.\\' || n % 200, '
              '(SELECT max(id) FROM series), n || \\'.some-very-long-name-of-a-host.upd.kaspersky.com\\', 17, 1, \\'\\', 1, '
              '(29000000 + n / 1000) * 60000, (29000000 + n / 1000) * 60000 FROM n')
store.commit()
";

/// Answers every request with a list.
fn web() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            drop(stream.read(&mut request));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}", LISTED.len());
            drop(write!(stream, "{head}\r\nConnection: close\r\n\r\n{LISTED}"));
        }
    });
    address
}

/// Folders of the same owner as another one, which no rule about the folders of the system or of temporary files covers.
fn folders(like: &Path) -> (TempDir, [PathBuf; 3]) {
    let owner = fs::metadata(like).unwrap();
    let folder = tempfile::Builder::new().prefix("embargo-test-").tempdir_in("/var/lib").unwrap();
    let give = |path: &Path| chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    give(folder.path());
    let made = ["log", "reports", "temporary"].map(|name| folder.path().join(name));
    for path in [&made[0], &made[2]] {
        fs::create_dir(path).unwrap();
        give(path);
    }
    (folder, made)
}

fn fill(state: &Path) {
    let store = state.join("embargo.db");
    let owner = fs::metadata(&store).unwrap();
    let filled = Command::new("python3").args(["-c", FILLED]).arg(&store).status().unwrap();
    assert!(filled.success() && fs::metadata(&store).unwrap().len() > 64 << 20);
    for entry in fs::read_dir(state).unwrap() {
        chown(entry.unwrap().path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

#[test]
fn lists_sinks_reports_and_erasures_work_with_the_rights_that_are_left() {
    let dns = "127.0.0.55:53".parse().unwrap();
    let Some(setup) = setup(dns) else {
        return not_tested("working without root: this is not root");
    };
    let (_folder, [log, reports, temporary]) = folders(setup.state());
    let (web, syslog) = (web(), UdpSocket::bind("127.0.0.1:0").unwrap());
    syslog.set_read_timeout(Some(SOON)).unwrap();
    let file = log.join("attempts.jsonl");
    let mut server = setup
        .around(&["env", &format!("TMPDIR={}", temporary.display())])
        .setting("[list]", &format!("id = \"far\"\nurl = \"http://{web}/names\""))
        .setting("[sink]", &format!("id = \"file\"\nkind = \"file\"\nfile = \"{}\"", file.display()))
        .setting(
            "[sink]",
            &format!(
                "[[sink]]\nid = \"log\"\nkind = \"syslog\"\nserver = \"{}\"\ntransport = \"udp\"",
                syslog.local_addr().unwrap()
            ),
        )
        .setting("[report]", "id = \"daily\"\nban = \"kaspersky\"\nevery = \"day\"\nat = \"00:00\"\nkeep = 1")
        .setting("[report]", &format!("baseline = 2024-09-29\ndirectory = \"{}\"", reports.display()))
        .start();
    until("the list is fetched", SOON, || (ask(dns, "fetched.test", A).ok() == Some(NXDOMAIN)).then_some(()));
    server.command(&["lists", "fetch", "far"]);
    assert_eq!(server.json(&["lists", "status"])[0]["error"], serde_json::Value::Null);

    assert_eq!(ask(dns, "x.upd.kaspersky.com", A).unwrap(), NXDOMAIN);
    until("the sink's file has it", SOON, || {
        fs::read_to_string(&file).unwrap_or_default().contains("x.upd.kaspersky.com").then_some(())
    });
    let mut message = [0; 4096];
    let heard = until("syslog hears of it", SOON, || {
        let size = syslog.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..size]).into_owned();
        text.contains("x.upd.kaspersky.com").then_some(text)
    });
    assert!(heard.contains("embargo"), "{heard}");
    let made = until("a report is made", SOON, || fs::read_dir(&reports).ok()?.next());
    assert!(made.unwrap().file_name().to_string_lossy().contains("daily"), "it is the one that is wanted");

    server.at_rest();
    assert!(server.stop().success());
    fill(&server.state);
    server.restart();
    let erased = server.json(&["privacy", "erase", "--client", "127.0.0.1"]);
    assert!(erased["attempts"].as_u64() >= Some(2) && erased["not_overwritten"].is_null(), "{erased}");
    assert!(server.stop().success());
    let log = server.log();
    assert!(!log.contains("ERROR"), "{log}");
}
