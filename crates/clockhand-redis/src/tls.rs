//! Certificates, for servers that are connected to over TLS.

use std::sync::Once;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates,
};

use crate::error::TierBuildError;

/// What servers are trusted by, and what they know this client by. Without the first, the system's roots are.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) roots: Option<Vec<u8>>,
    /// Certificate and key.
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// A client of this server.
    pub(crate) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Client::open(info);
        }
        install_provider();
        if self.roots.is_none() && self.own.is_none() {
            return Client::open(info);
        }
        let own = self.own.clone();
        let client_tls =
            own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: self.roots.clone() })
    }

    /// Whether these are certificates, and the servers' URLs those of TLS.
    pub(crate) fn check(&self, infos: &[&ConnectionInfo]) -> Result<(), TierBuildError> {
        let is_pem = |pem: &[u8], what: &[u8]| pem.windows(what.len()).any(|some| some == what);
        let begins = b"-----BEGIN CERTIFICATE-----";
        let roots = self.roots.iter().chain(self.own.iter().map(|(certificate, _)| certificate));
        let mut pems = roots;
        if !pems.all(|pem| is_pem(pem, begins)) {
            return Err(TierBuildError::Certificate);
        }
        if self.roots.is_none() && self.own.is_none() {
            return Ok(());
        }
        for info in infos {
            if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
                return Err(TierBuildError::Plaintext);
            }
            self.client((*info).clone()).map_err(|_| TierBuildError::Certificate)?;
        }
        Ok(())
    }
}

/// `rustls` panics in a program in which no crate, or more than one, brings the algorithms. A program that has chosen some keeps
/// them.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    });
}
