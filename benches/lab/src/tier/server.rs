//! A server of the lab's own, and what a server has counted.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use redis::{Client, Connection, cmd};

use crate::failure::Failure;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `redis-server` in a temporary directory, on a port that was free.
pub(super) struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Server {
    pub(super) fn start() -> Result<Self, Failure> {
        let refused = Failure::machine("cannot start redis-server");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.map_err(Failure::machine("no port is free"))?.port();
        let folder = env::temp_dir().join(format!("clockhand-lab-redis-{}", process::id()));
        fs::create_dir_all(&folder).map_err(Failure::machine("no temporary directory"))?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                return Err(match error.kind() {
                    io::ErrorKind::NotFound => Failure::Input(
                        "redis-server is not installed; install it, or give a server by --redis URL"
                            .to_string(),
                    ),
                    _ => refused(error),
                });
            }
        };
        let server = Self { child, port, folder };
        let began = Instant::now();
        while Observer::connect(&server.url()).is_err() {
            if began.elapsed() > PATIENCE {
                return Err(refused(io::ErrorKind::TimedOut.into()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A connection that only looks on.
pub(super) struct Observer(Connection);

impl Observer {
    pub(super) fn connect(url: &str) -> Result<Self, Failure> {
        let client = Client::open(url).map_err(refused)?;
        client.get_connection_with_timeout(PATIENCE).map(Self).map_err(refused)
    }

    /// How often the server has had something to read. Older servers do not count that.
    pub(super) fn reads(&mut self) -> Result<u64, Failure> {
        let info: String = cmd("INFO").arg("stats").query(&mut self.0).map_err(refused)?;
        let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        Ok(reads.and_then(|reads| reads.trim().parse().ok()).unwrap_or(0))
    }

    /// Removes what the lab has left.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<Vec<u8>>) = cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg("*clockhand-lab*")
                .arg("COUNT")
                .arg(1000)
                .query(&mut self.0)
                .map_err(refused)?;
            if !keys.is_empty() {
                cmd("DEL").arg(keys).query::<u64>(&mut self.0).map_err(refused)?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Of a client's error only its kind: it may have the address in it.
pub(super) fn refused(error: redis::RedisError) -> Failure {
    Failure::Input(format!(
        "the Redis server cannot be asked: {}; look at --redis",
        error.category()
    ))
}
