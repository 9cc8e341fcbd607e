//! A proxy between an instance and its server, which does to their bytes what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    /// Nothing is passed on, and nothing is said: as a cable that was cut.
    silent: AtomicBool,
    /// New connections are ended at once.
    refuses: AtomicBool,
    delay_ms: AtomicU64,
    /// Seconds that the server's time is told too early or too late.
    clock_shift: AtomicI64,
    /// Bytes of replies until connections are cut; negative: never.
    cut_after: AtomicI64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            server,
            silent: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            clock_shift: AtomicI64::new(0),
            cut_after: AtomicI64::new(-1),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = accepting.join(stream);
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on, nothing comes through and nobody is told.
    pub(crate) fn go_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn delay(&self, by: Duration) {
        self.shared.delay_ms.store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Tells another time than the server does. Set to zero later, it is as if the server's clock jumped.
    pub(crate) fn shift_clock(&self, seconds: i64) {
        self.shared.clock_shift.store(seconds, Ordering::SeqCst);
    }

    /// Cuts the connections in the midst of a reply, after so many bytes of replies.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.shared.cut_after.store(bytes, Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        if self.refuses.load(Ordering::SeqCst) {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(("127.0.0.1", self.server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut streams = self.streams.lock().expect("no panic");
        streams.extend([client.try_clone()?, server.try_clone()?]);
        drop(streams);
        for (from, to, replies) in
            [(client.try_clone()?, server.try_clone()?, false), (server, client, true)]
        {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pump(from, to, replies));
        }
        Ok(())
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, replies: bool) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while self.silent.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(2));
            }
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
            let mut passed = count;
            if replies && self.cut_after.load(Ordering::SeqCst) >= 0 {
                let left = self.cut_after.fetch_sub(count as i64, Ordering::SeqCst);
                if left < count as i64 {
                    passed = left.max(0) as usize;
                }
            }
            let shift = self.clock_shift.load(Ordering::SeqCst);
            if replies && shift != 0 {
                shift_times(&mut bytes[..passed], shift);
            }
            if to.write_all(&bytes[..passed]).is_err() {
                break;
            }
            if passed < count {
                self.cut_after.store(-1, Ordering::SeqCst);
                self.cut();
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn cut(&self) {
        for stream in self.streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Changes what looks like a time: sixteen digits are microseconds, ten are seconds.
fn shift_times(bytes: &mut [u8], seconds: i64) {
    for run in bytes.split_mut(|byte| !byte.is_ascii_digit()) {
        let unit = match run.len() {
            16 => 1_000_000,
            10 => 1,
            _ => continue,
        };
        let told: i64 = std::str::from_utf8(run).expect("digits").parse().expect("a number");
        let shifted = (told + seconds * unit).to_string();
        if shifted.len() == run.len() {
            run.copy_from_slice(shifted.as_bytes());
        }
    }
}
