//! How much memory a cache takes: the growth of this process while it is filled.

use serde::{Deserialize, Serialize};

use super::{Chosen, Hashers, Peer, Peers, Visit, Wide, each};
use crate::compare::keys::scatter;
use crate::failure::Failure;
use crate::machine;

/// How large the entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Size {
    /// 8 bytes of key, 8 of value.
    Narrow,
    /// 16 bytes of key, 100 of value.
    Wide,
}

impl Size {
    /// The name that the command line has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Wide => "wide",
        }
    }
}

/// What a full cache takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Resident {
    /// Growth of the process's resident memory, in bytes.
    pub bytes: u64,
    /// Entries that the cache holds for it.
    pub entries: u64,
}

/// Fills the peer of this name in this process, which should have done nothing else.
pub(crate) fn resident(
    hashers: Hashers,
    peer: &str,
    size: Size,
    entries: u64,
) -> Result<Resident, Failure> {
    let mut fill = Fill { peer, size, entries, found: None };
    each(Peers { chosen: Chosen::ALL, hashers }, &mut fill);
    fill.found.unwrap_or_else(|| Err(Failure::Input(format!("there is no peer `{peer}`"))))
}

struct Fill<'a> {
    peer: &'a str,
    size: Size,
    entries: u64,
    found: Option<Result<Resident, Failure>>,
}

impl Visit for Fill<'_> {
    fn visit<P: Peer>(&mut self) {
        if P::NAME == self.peer {
            self.found = Some(match self.size {
                Size::Narrow => narrow::<P>(self.entries),
                Size::Wide => wide::<P>(self.entries),
            });
        }
    }
}

fn narrow<P: Peer>(entries: u64) -> Result<Resident, Failure> {
    let before = resident_bytes()?;
    let cache = P::with_capacity(entries);
    (0..entries).for_each(|at| cache.insert(scatter(at), at));
    let bytes = resident_bytes()?.saturating_sub(before);
    Ok(Resident { bytes, entries: cache.entries() })
}

fn wide<P: Peer>(entries: u64) -> Result<Resident, Failure> {
    let before = resident_bytes()?;
    let cache = P::Wide::with_capacity(entries)
        .ok_or_else(|| Failure::Input(format!("{} does not hold larger entries", P::NAME)))?;
    for at in 0..entries {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&scatter(at).to_le_bytes());
        cache.insert(key, [at as u8; 100]);
    }
    let bytes = resident_bytes()?.saturating_sub(before);
    Ok(Resident { bytes, entries: cache.entries() })
}

fn resident_bytes() -> Result<u64, Failure> {
    let unknown = || Failure::Input("this system does not tell the resident memory".into());
    machine::resident_bytes().ok_or_else(unknown)
}
