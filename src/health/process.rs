//! The memory of the process, and its limit. Linux only: elsewhere it is not judged.

use std::fs;
use std::path::{Path, PathBuf};

/// The limit with which the memory of the process is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MemoryLimit {
    /// None.
    #[default]
    Unlimited,
    /// The resident memory of the process is compared with this many bytes. Linux only: elsewhere
    /// it is not judged.
    Bytes(u64),
    /// What its cgroup uses, without what the kernel could drop at once (inactive pages of files),
    /// with the limit of that cgroup, of version 2 or 1; with the limit of a parent, if that is
    /// closer to being reached. Not judged if there is no such limit, or on other systems than
    /// Linux.
    Cgroup,
}

impl MemoryLimit {
    /// What is taken of the limit.
    pub(crate) fn taken(self) -> Option<f64> {
        self.taken_below(Path::new("/"))
    }

    /// The same with another root of the file system.
    pub(super) fn taken_below(self, root: &Path) -> Option<f64> {
        match self {
            Self::Unlimited => None,
            Self::Bytes(limit) => Some(part(resident(root)?, limit)),
            Self::Cgroup => {
                let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
                let mounts = root.join("sys/fs/cgroup");
                let parts = groups.lines().flat_map(|line| ControlGroup::of(line, &mounts));
                parts.filter_map(|group| group.taken()).reduce(f64::max)
            }
        }
    }
}

/// The memory used and its limit. A limit of zero counts as one byte, as a ratio is needed.
fn part(used: u64, limit: u64) -> f64 {
    used as f64 / limit.max(1) as f64
}

/// Bytes of the process that are in memory.
fn resident(root: &Path) -> Option<u64> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    Some(field(&status, "VmRSS:")? * 1024)
}

/// The first number of the line with this beginning.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A cgroup that accounts for memory: its folder, and what its files are called.
struct ControlGroup {
    folder: PathBuf,
    files: &'static GroupFiles,
}

struct GroupFiles {
    limit: &'static str,
    used: &'static str,
    inactive: &'static str,
}

const VERSION_2: GroupFiles =
    GroupFiles { limit: "memory.max", used: "memory.current", inactive: "inactive_file " };
const VERSION_1: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file ",
};

impl ControlGroup {
    /// The cgroups of a line of `/proc/self/cgroup`, from the own one up to the root:
    /// `hierarchy:controllers:path`.
    fn of(line: &str, mounts: &Path) -> Vec<Self> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            return Vec::new();
        };
        let (mount, files) = match controllers {
            "" => (mounts.to_path_buf(), &VERSION_2),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mounts.join("memory"), &VERSION_1)
            }
            _ => return Vec::new(),
        };
        let own = Path::new(path.trim_start_matches('/'));
        own.ancestors().map(|path| Self { folder: mount.join(path), files }).collect()
    }

    /// What is taken of its limit, if it has one.
    fn taken(&self) -> Option<f64> {
        let read = |name| fs::read_to_string(self.folder.join(name)).ok();
        let number = |name| read(name)?.trim().parse::<u64>().ok();
        let (limit, used) = (number(self.files.limit)?, number(self.files.used)?);
        let inactive = read("memory.stat").and_then(|stat| field(&stat, self.files.inactive));
        Some(part(used.saturating_sub(inactive.unwrap_or(0)), limit))
    }
}
