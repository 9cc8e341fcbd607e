//! A headless Chromium, by the WebDriver protocol: JSON over HTTP, of which a few commands are enough here.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::send;

const LONGEST: Duration = Duration::from_secs(30);
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// How a page is looked at.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// `light` or `dark`.
    pub(crate) scheme: &'static str,
}

pub(crate) const DESK: View = View { width: 1440, height: 1000, scheme: "light" };
pub(crate) const PHONE: View = View { width: 390, height: 844, scheme: "light" };

/// A browser of its own, with nothing remembered. It ends when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts a browser; `None` if there is none on this machine, which is said.
    pub(crate) async fn start() -> Option<Self> {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let mut driver = match started {
            Ok(driver) => driver,
            Err(error) => {
                let required = env::var_os("CLOCKHAND_BROWSER").is_some();
                assert!(!required, "chromedriver does not start: {error}");
                eprintln!("skipped: there is no chromedriver, so the page is not tested ({error})");
                return None;
            }
        };
        let output = driver.stdout.take().expect("the driver's output");
        let port = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            line.strip_suffix('.')?.rsplit_once("successfully on port ")?.1.parse().ok()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("the driver's port")));
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let profile = env::temp_dir().join(format!("clockhand-page-{}-{nth}", std::process::id()));
        let mut browser = Self { driver, address, session: String::new(), profile };
        browser.begin().await;
        Some(browser)
    }

    async fn begin(&mut self) {
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", self.profile.display()));
        let options = json!({ "args": flags });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = self.command("POST", "/session", &wanted).await;
        self.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}",
            self.address,
            body.len()
        );
        let answer = send(self.address, &format!("{head}\r\n\r\n{body}")).await.json();
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {answer}");
        answer["value"].clone()
    }

    async fn devtools(&self, name: &str, parameters: Value) -> Value {
        let path = format!("{}/goog/cdp/execute", self.session);
        self.command("POST", &path, &json!({ "cmd": name, "params": parameters })).await
    }

    /// Looks at a page in this way.
    pub(crate) async fn open(&self, address: SocketAddr, path: &str, view: View) {
        self.view(view).await;
        // Another fragment alone would load nothing.
        for url in ["about:blank".to_string(), format!("http://{address}{path}")] {
            self.command("POST", &format!("{}/url", self.session), &json!({ "url": url })).await;
        }
    }

    pub(crate) async fn view(&self, View { width, height, scheme }: View) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// What a script of the form `return ...` returns.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        let path = format!("{}/execute/sync", self.session);
        self.command("POST", &path, &json!({ "script": script, "args": arguments })).await
    }

    /// Waits until a script returns something that is not null, false or an empty text.
    pub(crate) async fn wait(&self, script: &str) -> Value {
        let began = Instant::now();
        loop {
            let found = self.run(script, json!([])).await;
            if !(found.is_null() || found == false || found == "") {
                return found;
            }
            let page = "return document.body.innerText.slice(0, 2000)";
            if began.elapsed() > LONGEST {
                panic!("never: {script}\n{}", self.run(page, json!([])).await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The text of an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? '(not there)'";
        self.run(script, json!([selector])).await.as_str().expect("a text").to_string()
    }

    /// Types into the element that has the focus. Special keys are those of WebDriver.
    pub(crate) async fn press(&self, keys: &str) {
        let actions = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let keyboard =
            json!({ "type": "key", "id": "keyboard", "actions": actions.collect::<Vec<_>>() });
        let path = format!("{}/actions", self.session);
        self.command("POST", &path, &json!({ "actions": [keyboard] })).await;
    }

    /// What the page looks like, from top to bottom, as a file below the target directory.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        let script = "return document.documentElement.scrollHeight";
        let height = self.run(script, json!([])).await;
        let width = self.run("return innerWidth", json!([])).await;
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        let bytes = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        fs::write(&path, bytes).expect("a file below the target directory");
        path
    }

    /// What the browser has complained about: errors of scripts, and what the page's policy forbade.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let path = format!("{}/se/log", self.session);
        let log = self.command("POST", &path, &json!({ "type": "browser" })).await;
        let lines = log.as_array().expect("a log").iter().filter(|line| line["level"] == "SEVERE");
        lines.map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    /// Ends the browser and then its driver, after a failed test as well: a driver that is killed leaves the browser.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let (session, address) = (&self.session, self.address);
            stream.set_read_timeout(Some(LONGEST)).ok();
            write!(stream, "DELETE {session} HTTP/1.1\r\nhost: {address}\r\n\r\n").ok();
            // It answers once the browser has ended.
            let _answer = stream.read(&mut [0; 1024]);
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
        fs::remove_dir_all(&self.profile).ok();
    }
}
