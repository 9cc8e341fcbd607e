//! How a run of the lab fails: one line on standard error and an exit status.

use std::io;

/// Why a run stopped. Its text is the line that the user reads.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An option or a trace is not usable; the line says what to do.
    #[error("{0}")]
    Input(String),
    /// The machine refused something the run needs.
    #[error("{what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// The cache broke one of its promises while it was measured.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What a run with `broken` broken promises ends with.
    ///
    /// # Errors
    ///
    /// When it is not none.
    pub(crate) fn unless_kept(broken: u64, line: String) -> Result<(), Self> {
        if broken == 0 { Ok(()) } else { Err(Self::Broken(line)) }
    }

    /// The exit status: 2 when another input can mend it, 1 otherwise.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Machine { .. } | Self::Broken(_) => 1,
        }
    }

    /// For `map_err`: a refusal of the machine, with what was tried.
    pub fn machine(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Machine { what, source }
    }

    /// The failure as exactly one line, whatever a file name or an argument contains.
    #[must_use]
    pub fn line(&self) -> String {
        one_line(&self.to_string())
    }
}

/// Joins lines with spaces and escapes the control characters that remain.
#[must_use]
pub fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    joined
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}
