//! What can go wrong.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::codec::CodecError;

/// Why an operation on the second tier did not succeed. No text of it has an address, a key, a value or a password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TierError {
    /// There is no connection, or it is not set up yet.
    Disconnected,
    /// The breaker is open, or too many operations are under way: nothing was sent.
    Refused,
    /// The operation took longer than its timeout.
    TimedOut,
    /// The connection was lost in the midst of the operation.
    Lost,
    /// The server has no memory left and evicts nothing (`OOM`).
    OutOfMemory,
    /// The server does not take writes (`READONLY`).
    ReadOnly,
    /// The server is loading its data (`LOADING`).
    Loading,
    /// Another server has taken over: a node of the cluster, or the one that sentinels name.
    Moved,
    /// The user name, the password or the rights are not those that are needed.
    Denied,
    /// Another error of the server or of the protocol; its code, such as `WRONGTYPE`.
    Server(String),
    /// The value is larger than [`max_value_bytes`](crate::RedisTierBuilder::max_value_bytes).
    TooLarge,
    /// The codec cannot encode the value.
    Codec,
}

impl TierError {
    /// Of the client's error only what the server's protocol has as a code.
    pub(crate) fn of(error: &RedisError) -> Self {
        match error.kind() {
            // A transaction of which a command was refused: that command's error says why.
            ErrorKind::Server(ServerErrorKind::ExecAbort) => {
                let errors = error.clone().into_server_errors();
                let mut codes = errors.iter().flat_map(|all| all.iter()).map(|(_, one)| one.code());
                Self::of_code(codes.find(|code| *code != "EXECABORT").unwrap_or("EXECABORT"))
            }
            _ if error.is_timeout() => Self::TimedOut,
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            ErrorKind::Server(ServerErrorKind::BusyLoading) => Self::Loading,
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Denied,
            ErrorKind::Server(ServerErrorKind::Moved) => Self::Moved,
            _ if error.is_unrecoverable_error() || error.is_connection_dropped() => Self::Lost,
            ErrorKind::Io => Self::Lost,
            _ => Self::of_code(error.code().unwrap_or("ERR")),
        }
    }

    /// What the first word of an error reply says.
    pub(crate) fn of_code(code: &str) -> Self {
        match code {
            "OOM" => Self::OutOfMemory,
            "READONLY" => Self::ReadOnly,
            "LOADING" => Self::Loading,
            "MOVED" => Self::Moved,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Denied,
            code => {
                let is_code =
                    code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase());
                Self::Server(if is_code { code } else { "ERR" }.to_string())
            }
        }
    }

    /// Whether the connection is of no use any more: it is lost, or leads to a server that does not have the keys.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Self::Lost | Self::Moved => true,
            Self::Server(code) => code == "CLUSTERDOWN",
            _ => false,
        }
    }

    /// Whether the breaker counts it: the server, or the way to it, does not do its work. One that takes no writes is read.
    pub(crate) fn is_failure(&self) -> bool {
        let serves = matches!(self, Self::OutOfMemory | Self::ReadOnly);
        !serves && !matches!(self, Self::Refused | Self::TooLarge | Self::Codec)
    }
}

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "there is no connection to the second tier",
            Self::Refused => "the breaker is open, or too much is under way: nothing was sent",
            Self::TimedOut => "the second tier did not answer in time",
            Self::Lost => "the connection to the second tier was lost",
            Self::OutOfMemory => "the second tier is out of memory",
            Self::ReadOnly => "the second tier is read-only",
            Self::Loading => "the second tier is loading its data",
            Self::Moved => "another server has taken over the second tier",
            Self::Denied => "the second tier denies access",
            Self::Server(code) => return write!(f, "the second tier answers {code}"),
            Self::TooLarge => "the value is too large for the second tier",
            Self::Codec => "the value cannot be encoded",
        })
    }
}

impl Error for TierError {}

impl From<CodecError> for TierError {
    fn from(_: CodecError) -> Self {
        Self::Codec
    }
}

/// What is wrong with the settings of a tier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierBuildError {
    /// The URL is none of a Redis server, or one of TLS without the feature for it; or there is none.
    Url,
    /// What was given as a certificate or as its key is none.
    Certificate,
    /// There are certificates, and a URL that does not begin with `rediss`.
    Plaintext,
    /// The prefix is empty, or has a brace.
    KeyPrefix,
    /// A duration or a number that has to be more than zero.
    Zero(&'static str),
    /// A lifetime that is longer than Redis can count.
    TooLong(Duration),
    /// The cache keeps no time: its entries could not end with those of the second tier. Build it with
    /// [`per_entry_ttl`](clockhand::Builder::per_entry_ttl).
    Untimed,
    /// Another cache stands before this tier.
    Taken,
    /// The tier's thread could not be started.
    Thread,
}

impl fmt::Display for TierBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("not the URL of a Redis server, such as redis://host:6379"),
            Self::Certificate => f.write_str("not a certificate, or not its key, in the form PEM"),
            Self::Plaintext => f.write_str("a certificate is of no use without rediss://"),
            Self::KeyPrefix => f.write_str("a key prefix has at least one byte, and no braces"),
            Self::Zero(what) => write!(f, "{what} has to be more than zero"),
            Self::TooLong(ttl) => write!(f, "{ttl:?} is longer than an entry can live"),
            Self::Untimed => f.write_str("the cache keeps no time: build it with per_entry_ttl()"),
            Self::Taken => f.write_str("another cache stands before this tier"),
            Self::Thread => f.write_str("the thread of the tier could not be started"),
        }
    }
}

impl Error for TierBuildError {}
