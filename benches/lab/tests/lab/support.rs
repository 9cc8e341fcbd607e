//! Runs the built binary, and writes traces for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The lab, to be run with some arguments.
pub(crate) fn lab<I, S>(arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut lab = Command::new(env!("CARGO_BIN_EXE_clockhand-lab"));
    lab.args(arguments).stdin(Stdio::null());
    lab
}

/// Runs the lab and returns what it printed.
pub(crate) fn output(lab: &mut Command) -> Output {
    lab.output().expect("the lab starts")
}

/// Runs a replay with `--json` and returns the object of each trace.
pub(crate) fn replay_json(arguments: &[&str]) -> Vec<Value> {
    let out = output(lab(["replay", "--json", "--seconds", "0"]).args(arguments));
    let text = String::from_utf8(out.stdout).expect("JSON is text");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{arguments:?}: {errors}");
    assert_eq!(errors, "", "{arguments:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// Runs the lab with `--json -` and returns the object.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let out = output(lab(arguments).args(["--json", "-"]));
    assert!(out.status.success(), "{out:?}");
    assert!(out.stderr.is_empty(), "{out:?}");
    serde_json::from_slice(&out.stdout).expect("one object")
}

/// A folder for the traces of one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file as it is.
    pub(crate) fn raw(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("the folder is writable");
        path
    }

    /// Writes a trace's keys.
    pub(crate) fn keys(&self, name: &str, keys: &[u64]) -> PathBuf {
        self.raw(&format!("{name}.u64.zst"), &zstd_keys(keys))
    }

    /// Writes a trace's sizes.
    pub(crate) fn sizes(&self, name: &str, sizes: &[u32]) -> PathBuf {
        let bytes = sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<_>>();
        self.raw(&format!("{name}.u32.zst"), &compress(&bytes))
    }
}

/// Keys in a trace's format.
pub(crate) fn zstd_keys(keys: &[u64]) -> Vec<u8> {
    compress(&keys.iter().flat_map(|key| key.to_le_bytes()).collect::<Vec<_>>())
}

/// Compressed with a checksum, as the `zstd` command does it.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 0).expect("an encoder");
    encoder.include_checksum(true).expect("a checksum");
    std::io::Write::write_all(&mut encoder, bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}
