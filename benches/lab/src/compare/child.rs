//! Measurements that need a process of their own: nothing else has been allocated there.

use std::env;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Runs the lab again with these arguments, and returns the object that it printed.
pub(super) fn measure<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, Failure> {
    let child = env::current_exe()
        .and_then(|lab| Command::new(lab).args(arguments).stderr(Stdio::inherit()).output());
    let child = child.map_err(Failure::machine("cannot start a process"))?;
    serde_json::from_slice(&child.stdout).map_err(|_| {
        let run = arguments.join(" ");
        Failure::Broken(format!("the process that does `{run}` failed ({})", child.status))
    })
}
