//! What the tests share: a service on a port of its own, and a client that sends what it is given.
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub(crate) mod browser;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No test waits longer than that for what has to come.
const LONGEST: Duration = Duration::from_secs(20);

/// Serves a router on a port that is free.
pub(crate) async fn serve(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server =
        tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
    (address, server)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.expect("a status"),
            head: head.to_lowercase(),
            body: body.to_string(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Sends bytes as they are, and reads the whole answer.
pub(crate) async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = open(address, request).await;
    let mut bytes = Vec::new();
    let reading = async {
        while !is_whole(&bytes) && stream.read_buf(&mut bytes).await.expect("a whole answer") > 0 {}
    };
    timeout(LONGEST, reading).await.expect("an answer");
    Answer::of(&bytes)
}

/// Whether as many bytes are there as the head says. Without such a head, the end of the connection is theirs.
fn is_whole(bytes: &[u8]) -> bool {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let length = end.and_then(|end| {
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let line = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
        Some(end + 4 + line.trim().parse::<usize>().ok()?)
    });
    length.is_some_and(|length| bytes.len() >= length)
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

/// A POST with a body in JSON, and an `Authorization` if there is one.
pub(crate) fn post(path: &str, authorization: Option<&str>, body: &str) -> String {
    let authorization =
        authorization.map_or(String::new(), |value| format!("authorization: {value}\r\n"));
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
        body.len(),
    )
}

/// Sends bytes as they are.
pub(crate) async fn open(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request that is taken");
    stream
}

/// Reads until a text has come; false if the connection is closed before that.
pub(crate) async fn read_until(stream: &mut TcpStream, wanted: &str) -> bool {
    let mut seen = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        loop {
            let length = stream.read(&mut piece).await.unwrap_or(0);
            seen.extend_from_slice(&piece[..length]);
            if String::from_utf8_lossy(&seen).contains(wanted) {
                return true;
            }
            if length == 0 {
                return false;
            }
        }
    };
    timeout(LONGEST, reading).await.expect("an end")
}
