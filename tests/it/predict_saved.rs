//! What a predictor has learned is saved and restored; an input with any fault is refused, and changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use clockhand::predict::{Budget, ModelState, Predictor};
use clockhand::{Cache, PersistError};

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
    newer[8] = 2;
    let newer = restored(&folder, &newer);
    assert!(matches!(newer, Err(PersistError::Newer { found: 2, supported: 1 })));
    std::fs::write(folder.file(), &bytes).unwrap();
    let texts = Cache::new(10).loading(|key: &String| Ok::<_, String>(key.clone()));
    let builder = Predictor::builder(&texts).budget(Budget::per_second(1.0));
    let other = builder.restore_file(folder.file());
    assert!(matches!(other, Err(PersistError::OtherTypes { .. })));
}
