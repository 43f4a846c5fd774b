//! A real headless Chromium, driven by its DevTools protocol over pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. Calls block: the service under test needs threads of its own.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    events: Vec<Value>,
    origin: String,
    _profile: TempDir,
}

impl Browser {
    /// With the page at this address.
    pub fn open(address: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads commands from the descriptor 3 and writes to 4. It ends with the pipes.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "chromium"]);
        shell.args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"]);
        shell.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
        shell.arg("--lang=en-US").arg(format!("--user-data-dir={}", profile.path().display()));
        if rustix::process::geteuid().is_root() {
            // The sandbox refuses root.
            shell.arg("--no-sandbox");
        }
        let log = std::fs::File::create(profile.path().join("log")).unwrap();
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (send, messages) = channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|length| length > 1) {
                let parsed = serde_json::from_slice(&message[..message.len() - 1]).unwrap();
                if send.send(parsed).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            commands: child.stdin.take().unwrap(),
            child,
            messages,
            last_id: 0,
            session: None,
            events: Vec::new(),
            origin: address.to_owned(),
            _profile: profile,
        };
        browser.begin();
        browser.go("/");
        browser
    }

    fn begin(&mut self) {
        let page = self.send("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = self.send("Target.attachToTarget", attach);
        self.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.send(&format!("{domain}.enable"), json!({}));
        }
        self.resize(1120, 800);
    }

    /// Sends a command and returns its result.
    pub fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message =
                self.messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// Goes to a path of the service and waits until it is loaded.
    pub fn go(&mut self, path: &str) {
        let url = format!("{}{path}", self.origin);
        self.send("Page.navigate", json!({"url": "about:blank"}));
        self.send("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression, of a promise when it is settled.
    pub fn value(&mut self, expression: &str) -> Value {
        let evaluate = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.send("Runtime.evaluate", evaluate);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// The text of the first element that a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?})?.innerText"));
        text.as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned()
    }

    /// Waits until the expression is true.
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            if Instant::now() >= deadline {
                let page = self.value("document.body.innerText");
                panic!("did not become true: {expression}\n{page}\n{:?}", self.problems());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks on the first element that a selector finds, as soon as it can be seen and clicked.
    pub fn click(&mut self, selector: &str) {
        let find = format!(
            "(() => {{ const element = document.querySelector({selector:?}); \
             if (!element || element.disabled) return null; \
             element.scrollIntoView({{block: 'center'}}); \
             const box = element.getBoundingClientRect(); \
             const place = [box.x + box.width / 2, box.y + box.height / 2]; \
             return element.contains(document.elementFromPoint(...place)) ? place : null; }})()"
        );
        self.until(&format!("{find} !== null"));
        let place = self.value(&find);
        for event in ["mousePressed", "mouseReleased"] {
            let click =
                json!({"type": event, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.send("Input.dispatchMouseEvent", click);
        }
    }

    /// Presses a key: a letter or a digit, or `Tab`, `Enter`, `ArrowRight`, ….
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            "ArrowRight" => (39, None),
            "ArrowLeft" => (37, None),
            " " => (32, Some(" ")),
            _ => (u32::from(key.chars().next().unwrap()), Some(key)),
        };
        let event = |kind: &str| {
            let code_name = if key == " " { "Space" } else { key };
            let mut event =
                json!({"type": kind, "key": key, "code": code_name, "windowsVirtualKeyCode": code});
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = text.into();
            }
            event
        };
        self.send("Input.dispatchKeyEvent", event("keyDown"));
        self.send("Input.dispatchKeyEvent", event("keyUp"));
    }

    /// Presses Tab until the element has the focus.
    pub fn tab_to(&mut self, selector: &str) {
        for _ in 0..60 {
            if self.value(&format!("document.activeElement.matches({selector:?})")) == true {
                return;
            }
            self.press("Tab");
        }
        panic!("the keyboard does not reach {selector}");
    }

    /// Replaces the content of a field.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.value(&format!("document.querySelector({selector:?}).focus()"));
        self.value(&format!("document.querySelector({selector:?}).select()"));
        self.send("Input.insertText", json!({"text": text}));
    }

    /// The size of the window in CSS pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.send("Emulation.setDeviceMetricsOverride", size);
    }

    /// Colours and movement as the system's settings would ask for.
    pub fn prefer(&mut self, feature: &str, value: &str) {
        let features = json!([{"name": feature, "value": value}]);
        self.send("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Saves what the window shows, for people to look at.
    pub fn picture(&mut self, name: &str) {
        let picture = self.send("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        assert!(bytes.len() <= 200_000, "{name} has {} bytes", bytes.len());
        std::fs::write(pictures().join(format!("{name}.png")), bytes).unwrap();
    }

    /// What went wrong in the page so far: errors, refusals of the policy, and requests to another server.
    pub fn problems(&mut self) -> Vec<String> {
        self.value("1");
        self.events.extend(self.messages.try_iter());
        let mut problems = Vec::new();
        for event in &self.events {
            let about = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => problems.push(about["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => problems.push(about["args"].to_string()),
                "Log.entryAdded" if about["entry"]["level"] != "verbose" => {
                    problems.push(about["entry"].to_string())
                }
                "Page.javascriptDialogOpening" => problems.push(format!("a dialog: {about}")),
                "Network.requestWillBeSent" => {
                    let url = about["request"]["url"].as_str().unwrap();
                    let is_own = url.starts_with(&format!("{}/", self.origin)) || url.starts_with("data:");
                    if !is_own && url != "about:blank" {
                        problems.push(format!("a request to {url}"));
                    }
                }
                _ => {}
            }
        }
        problems
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of `TEST_PICTURES`, else a temporary one.
fn pictures() -> PathBuf {
    let named = std::env::var_os("TEST_PICTURES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| std::env::temp_dir().join("job-agent-pictures"));
    std::fs::create_dir_all(&folder).unwrap();
    Path::new(&folder).to_owned()
}
