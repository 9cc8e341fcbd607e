//! The service through its binary: what it answers, how faults show, how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failures::fails;
use crate::support::{lab, output};

/// A rate that a debug build keeps up with beside other tests.
const FEW: [&str; 6] = ["serve", "--port=0", "--rate=5000", "--threads=2", "--json=-", "--seed=7"];

/// A service that runs.
struct Service {
    lab: Child,
    address: String,
}

impl Service {
    /// Starts one on a port that is free.
    fn start(arguments: &[&str]) -> Self {
        let mut lab = lab(FEW);
        let lab = lab.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut lab = lab.spawn().expect("the lab starts");
        let mut told = BufReader::new(lab.stderr.take().expect("it is piped"));
        let mut line = String::new();
        told.read_line(&mut line).expect("it says where it is");
        let (_, rest) = line.split_once("http://").unwrap_or_else(|| panic!("no address: {line}"));
        let address = rest.split('/').next().expect("an address").to_owned();
        lab.stderr = Some(told.into_inner());
        Self { lab, address }
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n")
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("one object")
    }

    /// Whether the health of a cache gives such a reason.
    fn has_reason(&self, cache: &str, words: &[&str]) -> bool {
        let (_, body) = self.get(&format!("/cache/health?cache={cache}"));
        words.iter().any(|words| body.contains(words))
    }

    /// Sends a signal, and returns the closing report.
    fn stop(mut self, signal: &str) -> Value {
        let process = self.lab.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.expect("there is `kill`").success());
        self.closing()
    }

    /// Waits for the end and returns the closing report.
    fn closing(&mut self) -> Value {
        let (mut report, mut errors) = (String::new(), String::new());
        let stdout = self.lab.stdout.as_mut().expect("it is piped");
        stdout.read_to_string(&mut report).expect("text");
        let stderr = self.lab.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut errors).expect("text");
        let status = self.lab.wait().expect("it ends");
        assert!(status.success(), "{status}: {errors}{report}");
        serde_json::from_str(&report).expect("one object")
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn it_answers_until_a_signal_stops_it() {
    for signal in ["-INT", "-TERM"] {
        let service = Service::start(&[]);
        assert!(service.get("/").1.contains("/cache/health"));
        let quote = || service.json("/quotes/S00000-1m");
        assert_eq!(quote()["series"], "S00000-1m");
        until("a message changes the quote", || quote()["offset"].as_i64() >= Some(0));
        let candles = service.json("/candles/S00003-15m");
        assert_eq!(candles["series"], "S00003-15m");
        assert!(candles["bars"].as_array().is_some_and(|bars| bars.len() >= 128), "{candles}");
        assert!(service.get("/cache").1.contains("<html"));
        let metrics = service.get("/metrics").1;
        assert!(metrics.contains("quotes") && metrics.contains("candles"), "{metrics}");
        let (status, explained) = service.get("/cache/explain?cache=quotes&key=S00000-1m");
        assert_eq!(status, 200, "{explained}");
        for (path, status) in
            [("/quotes/EURUSD", 400), ("/candles/S50000-1m", 400), ("/nothing", 404)]
        {
            let (told, body) = service.get(path);
            assert_eq!(told, status, "{path}");
            let body: Value = serde_json::from_str(&body).expect("one object");
            assert!(body["error"].is_string(), "{path}: {body}");
        }
        let closing = service.stop(signal);
        for none in ["duplicates", "lost", "wrong", "beyond_bounds", "candles_failed"] {
            assert_eq!(closing[none], 0, "{none}: {closing}");
        }
        for some in ["messages", "lookups", "hits", "candles", "origin_requests", "http_requests"] {
            assert!(closing[some].as_u64().is_some_and(|some| some > 0), "{some}: {closing}");
        }
    }
}

/// The run itself demands that the fault shows within two seconds and clears again; here it is seen from
/// outside, too.
fn shows_and_clears(fault: &str, cache: &str, reasons: &[&str]) {
    let times = ["--duration=13", "--fault-after=3", "--fault-seconds=4", "--fault", fault];
    let mut service = Service::start(&times);
    assert!(!service.has_reason(cache, reasons), "{fault} shows before it begins");
    until("it shows", || service.has_reason(cache, reasons));
    until("it clears", || !service.has_reason(cache, reasons));
    let closing = service.closing();
    assert_eq!(closing["fault"]["fault"], fault);
    assert_eq!((&closing["lost"], &closing["duplicates"]), (&0.into(), &0.into()));
}

#[test]
fn a_stalled_reader_shows() {
    shows_and_clears("stalled-reader", "quotes", &["garbage", "refused entries"]);
}

#[test]
fn a_slow_origin_shows() {
    shows_and_clears("slow-origin", "candles", &["loads that failed", "renewals that failed"]);
}

#[test]
fn an_origin_that_is_down_shows() {
    shows_and_clears("origin-down", "candles", &["loads that failed", "renewals that failed"]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_is_taken_by_others_shows() {
    shows_and_clears("memory", "quotes", &["memory of the process"]);
}

#[test]
fn wrong_input_is_one_line() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = busy.local_addr().expect("an address").port().to_string();
    fails(&output(&mut lab(["serve", "--port", &port])), &format!("port {port} of 127.0.0.1"));
    for option in
        ["--port=x", "--port=70000", "--rate=0", "--threads=0", "--capacity=0", "--seed=-1"]
    {
        let (name, _) = option.split_once('=').expect("an option");
        fails(&output(&mut lab(["serve", option])), name);
    }
    for option in [
        "--duration",
        "--rate",
        "--threads",
        "--capacity",
        "--port",
        "--seed",
        "--fault-after",
        "--fault-seconds",
    ] {
        let wanted = format!("invalid value '-1' for '{option}");
        fails(&output(&mut lab(["serve", option, "-1"])), &wanted);
    }
    fails(&output(&mut lab(["serve", "--fault", "rain"])), "stalled-reader");
    fails(
        &output(&mut lab(["serve", "--fault", "memory", "--duration", "10"])),
        "give more --duration",
    );
    fails(&output(&mut lab(["serve", "--json", "no/such/file"])), "cannot be written");
}
