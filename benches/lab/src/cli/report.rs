//! What the user is told: reports on standard output, failures on one line of standard error.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::failure::{Failure, one_line};
use crate::output::Output;

/// Runs something, which is told whether to be quiet, and prints its report: as text and, if there is
/// a file for it, as JSON there; or only as JSON, if that file is `-`.
pub(super) fn with_report<R: serde::Serialize + std::fmt::Display>(
    json: Option<PathBuf>,
    run: impl FnOnce(bool) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let quiet = json.as_deref() == Some(Path::new("-"));
    let json = json.filter(|_| !quiet).map(Output::create).transpose()?;
    let report = run(quiet)?;
    if let Some(json) = json {
        json.write(&json_line(&report)?)?;
    }
    if quiet { print_json(&report) } else { print(&report.to_string()) }?;
    Ok(report)
}

/// As [`with_report`], where JSON can only be printed.
pub(super) fn with_printed_report<R: serde::Serialize + std::fmt::Display>(
    json: bool,
    run: impl FnOnce(bool) -> Result<R, Failure>,
) -> Result<R, Failure> {
    with_report(json.then(|| "-".into()), run)
}

/// What clap says about the arguments, without its usage lines.
pub(super) fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let message = text.split("\n\nUsage:").next().unwrap_or(&text);
    let message = message.split("\n\nFor more information").next().unwrap_or(message);
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command given; try `replay`",
        _ => message.trim_start_matches("error: "),
    };
    Failure::Input(format!("{} (--help shows the options)", one_line(message)))
}

pub(super) fn print_json(report: &impl serde::Serialize) -> Result<(), Failure> {
    print(&json_line(report)?)
}

fn json_line(report: &impl serde::Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(report).map_err(io::Error::from);
    Ok(format!("{}\n", line.map_err(Failure::machine("cannot write the report"))?))
}

/// Prints to standard output. A reader that went away early has seen all it wanted.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::machine("cannot write the report")(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn print_error(line: &str) {
    // Nothing is left to do when standard error is closed too.
    let _ = writeln!(io::stderr(), "clockhand-lab: {}", one_line(line));
}

pub(super) fn finish(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print_error(&failure.line());
            ExitCode::from(failure.status())
        }
    }
}
