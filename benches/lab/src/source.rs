//! Where traces come from: files, or those that are built into the binary.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::built_in::{BuiltIn, TRACES};
use crate::failure::Failure;
use crate::trace::{self, DECODED_LIMIT, Trace, TraceError};

const KEYS: &str = ".u64.zst";
const SIZES: &str = ".u32.zst";

/// One trace to replay.
#[derive(Debug, Clone)]
pub enum Source {
    /// A trace in the binary.
    BuiltIn(&'static BuiltIn),
    /// A file of keys, with a file of sizes beside it perhaps.
    File(PathBuf),
}

impl Source {
    /// The sources that the user named, or the first that is built in.
    #[must_use]
    pub fn of(files: Vec<PathBuf>) -> Vec<Self> {
        if files.is_empty() {
            return vec![Self::BuiltIn(&TRACES[0])];
        }
        files.into_iter().map(Self::File).collect()
    }

    /// All traces that are built in.
    #[must_use]
    pub fn all_built_in() -> Vec<Self> {
        TRACES.iter().map(Self::BuiltIn).collect()
    }

    /// The trace of this name that is built in.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        TRACES.iter().find(|trace| trace.name == name).map(Self::BuiltIn)
    }

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn(trace) => trace.name.into(),
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                name.strip_suffix(KEYS).unwrap_or(&name).into()
            }
        }
    }

    /// Finds out early whether the file can be opened at all.
    ///
    /// # Errors
    ///
    /// [`Failure::Input`] with the path and the system's answer.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::BuiltIn(_) => Ok(()),
            Self::File(path) => open(path).map(drop),
        }
    }

    /// Decodes the trace, with the sizes beside it unless every entry is to weigh 1.
    ///
    /// # Errors
    ///
    /// [`Failure::Input`] that names the file and says what is wrong with it.
    pub fn load(&self, unit_weights: bool) -> Result<Trace, Failure> {
        let path = match self {
            Self::BuiltIn(trace) => {
                return unpack(trace, unit_weights)
                    .map_err(|error| in_file(trace.name.as_ref(), &error));
            }
            Self::File(path) => path,
        };
        if path.to_string_lossy().ends_with(SIZES) {
            let line = format!("{} holds sizes; name the {KEYS} file beside it", path.display());
            return Err(Failure::Input(line));
        }
        let keys = trace::read_keys(open(path)?, DECODED_LIMIT);
        let keys = keys.map_err(|error| in_file(path, &error))?;
        match sizes_beside(path) {
            Some(sizes) if !unit_weights => {
                keys.with_sizes(open(&sizes)?).map_err(|error| in_file(&sizes, &error))
            }
            _ => Ok(keys),
        }
    }
}

fn unpack(trace: &BuiltIn, unit_weights: bool) -> Result<Trace, TraceError> {
    let keys = trace::decode(trace.keys)?;
    match trace.sizes {
        Some(sizes) if !unit_weights => keys.with_sizes(sizes),
        _ => Ok(keys),
    }
}

fn sizes_beside(keys: &Path) -> Option<PathBuf> {
    let stem = keys.file_name()?.to_str()?.strip_suffix(KEYS)?;
    let sizes = keys.with_file_name(format!("{stem}{SIZES}"));
    sizes.exists().then_some(sizes)
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        Failure::Input(format!(
            "{} cannot be opened: {error}; give a {KEYS} trace, or none for the built-in one",
            path.display()
        ))
    })
}

fn in_file(path: &Path, error: &TraceError) -> Failure {
    Failure::Input(format!("{} {error}", path.display()))
}
