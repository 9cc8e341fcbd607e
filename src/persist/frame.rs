//! Blocks, their lengths and checksums.

use std::io::{self, Read, Write};

use crc32fast::Hasher;

use super::PersistError;

/// How a snapshot begins.
const MAGIC: &[u8; 8] = b"\x93CLKHAND";
/// The format that is written, and the latest that is read.
const VERSION: u32 = 1;
/// Bytes in front of the payload of a block.
const BLOCK_HEAD: usize = 8;

/// What a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Entries = 2,
    Ghosts = 3,
    End = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Header, Self::Entries, Self::Ghosts, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Writes blocks.
pub(super) struct Blocks<W> {
    to: W,
    crc: u32,
}

impl<W: Write> Blocks<W> {
    pub(super) fn begin(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        Ok(Self { to, crc: 0 })
    }

    /// Writes a block whose payload is what follows the first nine bytes of the buffer, which are for its head, and
    /// leaves the buffer as a new one.
    pub(super) fn write(&mut self, kind: Kind, buffer: &mut Buffer) -> Result<(), PersistError> {
        let bytes = &mut buffer.0;
        bytes[BLOCK_HEAD] = kind as u8;
        let length = u32::try_from(bytes.len() - BLOCK_HEAD)
            .map_err(|_| PersistError::Codec("an entry has more than 4 gigabytes".into()))?;
        let mut crc = Hasher::new_with_initial(self.crc);
        crc.update(&length.to_le_bytes());
        crc.update(&bytes[BLOCK_HEAD..]);
        self.crc = crc.finalize();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..BLOCK_HEAD].copy_from_slice(&self.crc.to_le_bytes());
        self.to.write_all(bytes)?;
        buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A block that is being filled.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(vec![0; BLOCK_HEAD + 1])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() - BLOCK_HEAD - 1
    }

    fn clear(&mut self) {
        self.0.truncate(BLOCK_HEAD + 1);
    }

    /// Adds something to it; if it cannot be written, nothing.
    pub(super) fn add(&mut self, it: &impl serde::Serialize) -> Result<(), PersistError> {
        let before = self.0.len();
        let bytes = std::mem::take(&mut self.0);
        match postcard::to_extend(it, Appender { bytes, before }) {
            Ok(Appender { bytes, .. }) => {
                self.0 = bytes;
                Ok(())
            }
            Err(error) => Err(PersistError::Codec(error.to_string())),
        }
    }
}

/// Takes what is written.
struct Appender {
    bytes: Vec<u8>,
    before: usize,
}

impl Extend<u8> for Appender {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        debug_assert!(self.bytes.len() >= self.before, "it only grows");
        self.bytes.extend(bytes);
    }
}

/// Reads blocks.
pub(super) struct Source<R> {
    from: R,
    crc: u32,
    /// Bytes that were read.
    pub(super) at: u64,
}

impl<R: Read> Source<R> {
    /// # Errors
    ///
    /// If it is no snapshot, or one of a later version.
    pub(super) fn begin(from: R) -> Result<Self, PersistError> {
        let mut source = Self { from, crc: 0, at: 0 };
        let mut magic = [0; MAGIC.len()];
        let got = source.fill(&mut magic)?;
        if magic[..got] != MAGIC[..got] {
            return Err(PersistError::Foreign);
        }
        let mut version = [0; 4];
        if got < magic.len() || source.fill(&mut version)? < version.len() {
            return Err(PersistError::Truncated { at: source.at });
        }
        match u32::from_le_bytes(version) {
            0 => Err(PersistError::Foreign),
            found if found > VERSION => Err(PersistError::Newer { found, supported: VERSION }),
            _ => Ok(source),
        }
    }

    /// Reads as much as there is; how much that was.
    fn fill(&mut self, to: &mut [u8]) -> Result<usize, PersistError> {
        let mut got = 0;
        while got < to.len() {
            match self.from.read(&mut to[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += got as u64;
        Ok(got)
    }

    /// The next block: its kind, and its contents in `payload` behind one byte.
    pub(super) fn read(&mut self, payload: &mut Vec<u8>) -> Result<Kind, PersistError> {
        let at = self.at;
        let mut head = [0; BLOCK_HEAD];
        if self.fill(&mut head)? < head.len() {
            return Err(PersistError::Truncated { at: self.at });
        }
        let [a, b, c, d, crc @ ..] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        payload.clear();
        // Grows with what is there, and not with what the length says.
        let got = (&mut self.from).take(length.into()).read_to_end(payload)?;
        self.at += got as u64;
        if got < length as usize {
            return Err(PersistError::Truncated { at: self.at });
        }
        let mut own = Hasher::new_with_initial(self.crc);
        own.update(&length.to_le_bytes());
        own.update(payload);
        self.crc = own.finalize();
        let kind = payload.first().and_then(|&kind| Kind::of(kind));
        match kind {
            Some(kind) if self.crc == u32::from_le_bytes(crc) => Ok(kind),
            _ => Err(PersistError::Corrupt { at }),
        }
    }
}
