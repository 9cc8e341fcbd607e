//! A server that is connected to over TLS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};

use clockhand_redis::{RedisTierBuilder, TierBuildError};

use crate::support::{Server, builder, connected, free_port, key, unconnected, until};

/// An authority, a certificate of the server and one of a client, made by `openssl`.
struct Certificates(PathBuf);

impl Certificates {
    fn make() -> Option<Self> {
        let folder = env::temp_dir().join(format!("clockhand-redis-tls-{}", process::id()));
        fs::create_dir_all(&folder).expect("a temporary directory");
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            .expect("room");
        let key = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let steps = [
            format!("{key} -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"),
            format!("{key} -subj /CN=server -keyout server.key -out server.csr"),
            sign("server", " -extfile names"),
            format!("{key} -subj /CN=client -keyout client.key -out client.csr"),
            sign("client", " -extfile names"),
        ];
        for step in steps {
            let words: Vec<&str> = step.split(' ').collect();
            let mut command = Command::new("openssl");
            command.args(words).current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
            match command.status() {
                Ok(status) => assert!(status.success(), "openssl {step}"),
                Err(_) => {
                    eprintln!("skipped: openssl is not installed");
                    return None;
                }
            }
        }
        Some(Self(folder))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(Path::new(&self.path(name))).expect("a file")
    }
}

fn sign(name: &str, rest: &str) -> String {
    format!(
        "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem{rest}"
    )
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn values_and_invalidations_come_over_tls() {
    let Some(certificates) = Certificates::make() else { return };
    let secure = free_port();
    let files = ["server.pem", "server.key", "ca.pem"].map(|name| certificates.path(name));
    let port = secure.to_string();
    let settings = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &files[0],
        "--tls-key-file",
        &files[1],
        "--tls-ca-cert-file",
        &files[2],
    ];
    let Some(server) = Server::start_with(&settings) else { return };
    let url = format!("rediss://localhost:{secure}");
    let known = |builder: RedisTierBuilder| {
        let (own, own_key) = (certificates.read("client.pem"), certificates.read("client.key"));
        builder.root_certificates(certificates.read("ca.pem")).client_certificate(own, own_key)
    };
    let (one, other) = (connected(known(builder(&url))), connected(known(builder(&url))));
    one.insert(key("a"), key("1")).await.expect("stored");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get(&key("a")).await, Some(key("1")));
    one.invalidate(&key("a")).await.expect("removed");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get_cached(&key("a")), None, "it was told");
    assert!(server.kill_clients() >= 2);
    until("it is back", || other.tier().stats().connects >= 2).await;

    // Who does not show a certificate is turned away, and who does not know the authority turns away.
    let quick = || builder(&url).connect_timeout(Duration::from_secs(5));
    let anonymous = quick().root_certificates(certificates.read("ca.pem"));
    let stranger = quick().root_certificates(certificates.read("client.pem"));
    for (who, builder) in [("anonymous", anonymous), ("stranger", stranger), ("system", quick())] {
        let texts = unconnected(builder);
        until("it was tried", || texts.tier().status().last_error.is_some()).await;
        assert!(!texts.tier().status().is_connected, "{who}");
        assert!(texts.insert(key("a"), key("1")).await.is_err());
    }
    drop(server);
}

#[test]
fn what_is_no_certificate_is_told() {
    let Some(certificates) = Certificates::make() else { return };
    let (root, own, own_key) = (
        certificates.read("ca.pem"),
        certificates.read("client.pem"),
        certificates.read("client.key"),
    );
    let built = |builder: RedisTierBuilder| builder.build().map(drop);
    let over_tls = || builder("rediss://127.0.0.1:1");
    assert_eq!(built(over_tls()), Ok(()));
    assert_eq!(built(over_tls().root_certificates(&root[..])), Ok(()));
    let garbled = over_tls().root_certificates(&b"hunter2"[..]);
    assert!(!format!("{garbled:?}").contains("hunter2"));
    assert_eq!(built(garbled), Err(TierBuildError::Certificate));
    let keyless = over_tls().client_certificate(&own[..], &b"hunter2"[..]);
    assert_eq!(built(keyless), Err(TierBuildError::Certificate));
    let right = over_tls().client_certificate(&own[..], &own_key[..]);
    let shown = format!("{right:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains("client_"), "{shown}");
    assert_eq!(built(right), Ok(()));
    let plain = builder("redis://127.0.0.1:1").root_certificates(&root[..]);
    assert_eq!(built(plain), Err(TierBuildError::Plaintext));
}
