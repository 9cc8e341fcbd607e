//! A server of a test's own, and what the tests ask of it directly.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod proxy;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use clockhand::Cache;
use clockhand_redis::{RedisTier, RedisTierBuilder, Tiered};

/// A `redis-server` of its own.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
    settings: Vec<String>,
}

/// What makes a program see another time: the library, if it is installed. Debian's package `faketime` has it.
pub(crate) fn faketime() -> Option<&'static str> {
    [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ]
    .into_iter()
    .find(|path| std::path::Path::new(path).exists())
}

impl Server {
    /// Starts one; `None`, and a line that says so, if the program is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// As `redis-sentinel`: it keeps its settings in a file.
    pub(crate) fn start_sentinel(settings: &str) -> Option<Self> {
        let folder = Self::folder();
        let file = folder.join("sentinel.conf");
        fs::write(&file, settings).expect("a file");
        Self::start_in(folder, &[&file.to_string_lossy(), "--sentinel"])
    }

    pub(crate) fn start_with(settings: &[&str]) -> Option<Self> {
        Self::start_in(Self::folder(), settings)
    }

    fn folder() -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("clockhand-redis-{}-{nth}", process::id()));
        fs::create_dir_all(&folder).expect("a temporary directory");
        folder
    }

    fn start_in(folder: PathBuf, settings: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: redis-server is not installed");
            return None;
        }
        let settings: Vec<String> = settings.iter().map(|word| (*word).to_string()).collect();
        // Another program may take the port before the server does.
        for _ in 0..20 {
            let port = free_port();
            let child = spawn(port, &folder, &settings);
            let settings = settings.clone();
            let mut server = Self { child, port, folder: folder.clone(), settings };
            if server.is_ready() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    fn is_ready(&mut self) -> bool {
        for _ in 0..1000 {
            if self.child.try_wait().expect("a child").is_some() {
                return false;
            }
            let own = format!("process_id:{}", self.child.id());
            match self.try_ask(&["INFO", "server"]) {
                Ok(info) if info.lines().any(|line| line == own) => return true,
                // It is there, and wants a password.
                Err(error) if error.starts_with("NOAUTH") => return true,
                _ => {}
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Starts it anew, on the same port and with the same files.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.settings);
        assert!(self.is_ready(), "the server does not come back");
    }

    /// As [`restart`](Self::restart), with more settings; it may be loading its data yet.
    pub(crate) fn restart_with(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|word| (*word).to_string()));
        self.child = spawn(self.port, &self.folder, &self.settings);
    }

    /// Stops its process, or lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    }

    /// Sends a command over a connection of its own; panics on an error reply.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    pub(crate) fn try_ask(&self, command: &[&str]) -> Result<String, String> {
        let command: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        self.try_ask_bytes(&command).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn ask_bytes(&self, command: &[&[u8]]) -> Vec<u8> {
        self.try_ask_bytes(command).expect("an answer")
    }

    fn try_ask_bytes(&self, command: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for word in command {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(*word);
            request.extend(b"\r\n");
        }
        stream.write_all(&request).map_err(|error| error.to_string())?;
        read_reply(&mut BufReader::new(stream))
    }

    /// Ends all connections but the one that says so; how many there were.
    pub(crate) fn kill_clients(&self) -> u32 {
        self.ask(&["CLIENT", "KILL", "TYPE", "normal"]).parse().expect("a number")
    }
}

/// A bulk text, a simple text, a number or an error; the parts of an array, one on each line.
fn read_reply(stream: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = String::new();
    stream.read_line(&mut line).map_err(|error| error.to_string())?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or("no reply")?;
    match kind {
        "+" | ":" => Ok(rest.as_bytes().to_vec()),
        "-" => Err(rest.to_string()),
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Ok(b"(nil)".to_vec()) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).map_err(|error| error.to_string())?;
            bytes.truncate(length);
            Ok(bytes)
        }
        "*" => {
            let parts = (0..rest.parse().unwrap_or(0)).map(|_| read_reply(stream));
            Ok(parts.collect::<Result<Vec<_>, _>>()?.join(&b'\n'))
        }
        other => Err(format!("an unknown reply: {other}")),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &PathBuf, settings: &[String]) -> Child {
    // A file of settings comes first, if there is one.
    let (file, settings) =
        settings.split_at(settings.iter().take_while(|word| !word.starts_with('-')).count());
    let is_sentinel = settings.first().is_some_and(|word| word == "--sentinel");
    let save: &[&str] = if is_sentinel { &[] } else { &["--save", ""] };
    Command::new("redis-server")
        .args(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        .args(save)
        .args(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server")
}

/// A port that is free, and that this process uses for nothing else: an instance that looks for its server again must not
/// find that of another test. Below those from which systems take ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = process::id() * 101;
    for _ in 0..10_000 {
        let nth = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (nth % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Settings with which tests do not wait for long, and do not give up on a busy machine either.
pub(crate) fn builder(url: &str) -> RedisTierBuilder {
    RedisTier::builder(url)
        .key_prefix("test")
        .backoff(Duration::from_millis(5), Duration::from_millis(50))
        .watch(Duration::from_millis(100), Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_secs(20))
}

pub(crate) type Texts = Tiered<String, String>;

/// An instance that is connected.
pub(crate) fn instance(server: &Server) -> Texts {
    connected(builder(&server.url()))
}

pub(crate) fn connected(builder: RedisTierBuilder) -> Texts {
    let texts = unconnected(builder);
    wait_until("the tier is connected", || texts.tier().status().is_connected);
    texts
}

pub(crate) fn unconnected(builder: RedisTierBuilder) -> Texts {
    let tier = builder.build().expect("valid settings");
    let cache = Cache::builder().capacity(10_000).per_entry_ttl().build().expect("a cache");
    Tiered::new(cache, &tier).expect("a cache that keeps time")
}

/// Waits for what has to become true, however busy the machine is.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// As [`wait_until`], without keeping the tasks of this thread from running.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Inserts, again and again if the machine is too busy for a short timeout.
pub(crate) async fn insert(texts: &Texts, name: &str, text: &str) {
    let began = Instant::now();
    while let Err(error) = texts.insert(key(name), text.to_string()).await {
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn key(name: &str) -> String {
    name.to_string()
}

/// A loader that must not be asked.
pub(crate) async fn nobody() -> Result<String, String> {
    panic!("the source is asked")
}

/// A loader that returns a value at once.
pub(crate) async fn value(text: &str) -> Result<String, String> {
    Ok(text.to_string())
}
