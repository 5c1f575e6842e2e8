//! Debian's Chromium without a window, spoken to by its `DevTools` over a pipe: it takes no port, and nothing is installed beside it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::SOON;

/// It reads what it is told from descriptor 3 and answers on 4; whatever it has to say otherwise goes to `log`. It asks for nothing
/// by itself, and no name but ours leads anywhere.
const START: &str = "exec setpriv --pdeathsig KILL -- chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --disable-background-networking --disable-component-update --disable-sync --no-first-run --no-default-browser-check \
    --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --user-data-dir=\"$1/profile\" --remote-debugging-pipe \
    3<&0 4>&1 0</dev/null 1>\"$1/log\" 2>&1";

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) name: &'static str,
    pub(crate) dark: bool,
    pub(crate) width: u32,
    pub(crate) scripts: bool,
}

/// A page as it was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The status of the page itself.
    pub(crate) status: u64,
    /// What the console said of it: errors, and what the page was not allowed.
    pub(crate) faults: Vec<String>,
    /// Every address that it asked for.
    pub(crate) asked: Vec<String>,
}

/// A browser with one page. It ends with this value.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last_id: u64,
    session: String,
    events: Vec<Value>,
    _directory: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", START, "sh"]).arg(directory.path()).env("HOME", directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (to, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, from) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(said).split(0) {
                let Some(message) = message.ok().and_then(|octets| serde_json::from_slice(&octets).ok()) else {
                    return;
                };
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Self { child, to, from, last_id: 0, session: String::new(), events: Vec::new(), _directory: directory };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a page, and waits until it has everything that it asks for.
    pub(crate) fn open(&mut self, address: &str, look: Look) -> Seen {
        let (scheme, size) = (if look.dark { "dark" } else { "light" }, look.width);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
        let metrics = json!({"width": size, "height": 900, "deviceScaleFactor": 1, "mobile": size < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        self.call("Emulation.setScriptExecutionDisabled", &json!({"value": !look.scripts}));
        self.events.clear();
        self.call("Page.navigate", &json!({"url": address}));
        self.wait_for("Page.loadEventFired");
        // What a script of the page does at its load has been done when this is answered.
        self.call("Runtime.evaluate", &json!({"expression": "0"}));
        self.seen(address)
    }

    fn seen(&self, address: &str) -> Seen {
        let mut seen = Seen::default();
        for event in &self.events {
            let of = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => seen.asked.push(of["request"]["url"].as_str().unwrap().to_owned()),
                "Network.responseReceived" if of["response"]["url"] == address => {
                    seen.status = of["response"]["status"].as_u64().unwrap();
                }
                "Runtime.exceptionThrown" => seen.faults.push(of["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => seen.faults.push(of["args"].to_string()),
                "Log.entryAdded" if of["entry"]["level"] != "info" && of["entry"]["level"] != "verbose" => {
                    seen.faults.push(of["entry"].to_string());
                }
                _ => (),
            }
        }
        seen
    }

    /// What an expression comes to in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let found = self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        assert_eq!(found["exceptionDetails"], Value::Null, "{expression}");
        found["result"]["value"].clone()
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = if key == "Enter" { 13 } else { 9 };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// What a screen reader is told: role and name of everything that is not passed over.
    pub(crate) fn told(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != true);
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    /// The page as a picture (PNG).
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}));
        data_encoding::BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    fn wait_for(&mut self, method: &str) {
        let start = Instant::now();
        while !self.events.iter().any(|event| event["method"] == method) {
            let left = SOON.checked_sub(start.elapsed()).unwrap_or_else(|| panic!("no {method}"));
            let event = self.from.recv_timeout(left).unwrap_or_else(|error| panic!("no {method}: {error}"));
            self.events.push(event);
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("chromium runs; .ci/run installs it");
        loop {
            let answer = self.from.recv_timeout(SOON).unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.last_id {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
