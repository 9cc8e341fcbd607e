//! What a predictor has learned is saved and restored; an input with any fault is refused, and changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use clockhand::predict::{Budget, ModelState, Predictor};
use clockhand::{Cache, Clock, LoadSource, PersistError};

use crate::support::market::Market;

const SECOND: Duration = Duration::from_secs(1);

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("clockhand-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("learned")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn market(file: Option<PathBuf>) -> Market {
    Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| {
            let predictor = predictor.budget(Budget::per_second(100.0));
            match file {
                Some(file) => predictor.restore_file(file).unwrap(),
                None => predictor,
            }
        },
    )
}

fn read(market: &Market, seconds: u64) {
    for second in 0..seconds {
        (0..20).for_each(|key| _ = market.read(key));
        market.read(1_000 + second);
        market.wait(SECOND);
    }
}

#[test]
fn what_was_learned_is_gone_on_from() {
    let folder = Folder::new("predict-saved");
    let before = market(None);
    read(&before, 300);
    before.predictor.save_file(folder.file()).unwrap();
    let (new, restored) = (market(None), market(Some(folder.file())));
    read(&new, 31);
    read(&restored, 31);
    let loads = |market: &Market| market.predictor.stats().reuse.loads;
    assert!(loads(&restored) > loads(&new), "{} and {}", loads(&restored), loads(&new));
    assert_eq!(restored.predictor.stats().reuse.state, ModelState::Active);
}

fn saved(folder: &Folder) -> Vec<u8> {
    let market = market(None);
    read(&market, 60);
    market.predictor.save_file(folder.file()).unwrap();
    std::fs::read(folder.file()).unwrap()
}

fn restored(folder: &Folder, bytes: &[u8]) -> Result<(), PersistError> {
    std::fs::write(folder.file(), bytes).unwrap();
    let quotes = Cache::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let builder = Predictor::builder(&quotes).budget(Budget::per_second(1.0));
    builder.restore_file(folder.file()).map(drop)
}

#[test]
fn no_changed_byte_is_restored() {
    let folder = Folder::new("predict-changed");
    let bytes = saved(&folder);
    assert!(restored(&folder, &bytes).is_ok());
    for at in (0..bytes.len()).step_by(7).chain(0..20) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(restored(&folder, &changed).is_err(), "with byte {at} changed");
    }
    for length in (0..bytes.len()).step_by(13).chain(0..21) {
        assert!(restored(&folder, &bytes[..length]).is_err(), "cut after {length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(restored(&folder, &longer), Err(PersistError::Corrupt { .. })));
}

#[test]
fn what_is_no_such_file_says_so() {
    let folder = Folder::new("predict-foreign");
    let bytes = saved(&folder);
    let foreign = restored(&folder, b"quite another file, and longer than a head");
    assert!(matches!(foreign, Err(PersistError::Foreign)));
    assert!(matches!(restored(&folder, b""), Err(PersistError::Foreign)));
    let mut newer = bytes.clone();
    newer[8] = 3;
    let newer = restored(&folder, &newer);
    assert!(matches!(newer, Err(PersistError::Newer { found: 3, supported: 2 })));
    std::fs::write(folder.file(), &bytes).unwrap();
    let texts = Cache::new(10).loading(|key: &String| Ok::<_, String>(key.clone()));
    let builder = Predictor::builder(&texts).budget(Budget::per_second(1.0));
    let other = builder.restore_file(folder.file());
    assert!(matches!(other, Err(PersistError::OtherTypes { .. })));
}

/// Reads 29 chains of ten keys each, after a restart if there are `bytes`; the waits of the first pass, and what is
/// saved in the end. Hashes are others in each cache.
fn read_chains(bytes: Option<&[u8]>, passes: u64, saves_keys: bool) -> (u64, Vec<u8>) {
    let builder = Cache::builder().capacity(100).clock(Clock::manual().0);
    let quotes = builder.build().unwrap().loading(|key: &String| Ok::<_, String>(key.len()));
    let builder = Predictor::builder(&quotes).budget(Budget::share(10.0)).reuse(false);
    let builder = if saves_keys { builder.save_keys() } else { builder };
    let builder = bytes.into_iter().fold(builder, |it, bytes| it.restore_from(bytes).unwrap());
    let predictor = builder.build().unwrap();
    let mut waits = 0;
    for nth in 0..29 * passes {
        for key in 0..10 {
            let loaded = quotes.get_with_source(&format!("{}/{key}", nth * 7 % 29)).unwrap();
            waits += u64::from(nth < 29 && loaded.source != LoadSource::Hit);
            predictor.step();
        }
    }
    let mut saved = Vec::new();
    predictor.save_to(&mut saved).unwrap();
    (waits, saved)
}

#[test]
fn the_order_of_keys_survives_a_restart() {
    let (waits, saved) = read_chains(None, 6, true);
    assert_eq!(waits, 290, "all of them are new");
    let (waits, again) = read_chains(Some(&saved), 1, true);
    assert!(waits <= 120, "{waits} waits of 290");
    assert!(read_chains(Some(&again), 1, true).0 <= 120, "once more");
    let (waits, _) = read_chains(Some(&saved), 1, false);
    assert_eq!(waits, 290, "keys are passed over without `save_keys`");
    let (_, models) = read_chains(None, 6, false);
    assert!(models.len() < saved.len() / 2);
    assert_eq!(read_chains(Some(&models), 1, true).0, 290, "there are none");
}

#[test]
fn what_is_known_of_keys_survives_a_restart() {
    let set_up = |bytes: Option<&[u8]>| {
        Market::new(
            |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
            |predictor| {
                let predictor = predictor.budget(Budget::per_second(100.0)).save_keys();
                bytes.into_iter().fold(predictor, |it, bytes| it.restore_from(bytes).unwrap())
            },
        )
    };
    let before = set_up(None);
    read(&before, 300);
    let mut saved = Vec::new();
    before.predictor.save_to(&mut saved).unwrap();
    let restored = set_up(Some(&saved));
    restored.step();
    let keys = |market: &Market| market.predictor.stats().keys;
    assert_eq!(keys(&restored), keys(&before), "all of them");
    // The first lifetime of each is known to be followed by another one.
    read(&restored, 12);
    let stats = restored.predictor.stats().reuse;
    assert!(stats.useful >= 20 && stats.wasted == 0, "{stats:?}");
}

/// The bytes with a true checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes[20..]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn hostile_bytes_are_refused_or_harmless() {
    let (_, bytes) = read_chains(None, 3, true);
    let quotes = Cache::builder().capacity(100).clock(Clock::manual().0).build().unwrap();
    let quotes = quotes.loading(|key: &String| Ok::<_, String>(key.len()));
    let (mut refused, mut taken) = (0, 0);
    for at in (20..bytes.len()).step_by(bytes.len() / 400 + 1).chain(bytes.len() - 40..bytes.len())
    {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let builder = Predictor::builder(&quotes).budget(Budget::share(10.0)).save_keys();
            let Ok(builder) = builder.restore_from(&*sealed(changed)) else {
                refused += 1;
                continue;
            };
            taken += 1;
            let predictor = builder.build().unwrap();
            (0..30).for_each(|key| _ = quotes.get(&format!("3/{}", key % 10)));
            assert!(predictor.step() && predictor.stats().memory <= 1 << 20);
        }
    }
    assert!(refused > 0 && taken > 0, "{refused} {taken}");
}

#[test]
fn a_file_of_the_first_version_is_read() {
    let folder = Folder::new("predict-first-version");
    let before = market(None);
    read(&before, 300);
    before.predictor.save_file(folder.file()).unwrap();
    // It had no keys: that there are none is the last byte of the second version.
    let mut bytes = std::fs::read(folder.file()).unwrap();
    assert_eq!(bytes.pop(), Some(0));
    let length = u32::try_from(bytes.len() - 20).unwrap();
    bytes[8] = 1;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    std::fs::write(folder.file(), sealed(bytes.clone())).unwrap();
    let restored = market(Some(folder.file()));
    read(&restored, 31);
    assert_eq!(restored.predictor.stats().reuse.state, ModelState::Active);
    // A version before it, and one with keys that says that it is the first, are none.
    bytes[8] = 0;
    let none = self::restored(&folder, &sealed(bytes.clone()));
    assert!(matches!(none, Err(PersistError::Corrupt { .. })));
    bytes[8] = 1;
    bytes.push(0);
    bytes[12..16].copy_from_slice(&(length + 1).to_le_bytes());
    let longer = self::restored(&folder, &sealed(bytes));
    assert!(matches!(longer, Err(PersistError::Corrupt { .. })));
}
