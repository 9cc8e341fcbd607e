//! Snapshots in files: whole or not at all, in whatever way the file is damaged.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use crate::support;
use clockhand::Thresholds;
use clockhand::dedup::{Deduplicator, OffsetTracker, SettingsError, SnapshotError, SnapshotId};
use clockhand::health::{Figure, Health};

/// A folder of a test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("clockhand-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the test's folder");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn seen() -> Deduplicator<u64> {
    Deduplicator::builder().build().expect("the defaults agree")
}

fn tracker() -> OffsetTracker {
    OffsetTracker::builder().build().expect("the defaults agree")
}

#[test]
fn what_was_known_is_known_after_a_restart() {
    let folder = Folder::new("restart");
    let (ids, offsets) = (seen(), tracker());
    for round in 0..3 {
        assert!(ids.mark_processed(round) && offsets.mark_processed("t", 0, round as i64));
        // Over the old one.
        ids.snapshot_to(&folder.file()).expect("it can be written");
    }
    let (again, other) = (seen(), folder.0.join("offsets"));
    assert_eq!(again.restore_from(&folder.file()), Ok(3));
    assert!((0..3).all(|id| again.is_processed(&id)));
    offsets.snapshot_to(&other).expect("it can be written");
    let again = tracker();
    assert_eq!(again.restore_from(&other), Ok(1));
    assert_eq!(again.committable("t", 0), Some(3));
    assert_eq!(folder.names().len(), 2, "nothing else is left: {:?}", folder.names());
}

/// Restores from a file into both, and expects that both refuse it and know no more than before.
fn refused(path: &Path) -> [SnapshotError; 2] {
    // The same again and again, as nothing changes them.
    static BOTH: LazyLock<(Deduplicator<u64>, OffsetTracker)> = LazyLock::new(|| {
        let (ids, offsets) = (seen(), tracker());
        assert!(ids.mark_processed(77));
        offsets.assign("t", 7, 5);
        (ids, offsets)
    });
    let (ids, offsets) = &*BOTH;
    let errors = [
        ids.restore_from(path).expect_err("it is damaged"),
        offsets.restore_from(path).expect_err("it is damaged"),
    ];
    assert!(ids.len() == 1 && ids.is_processed(&77), "nothing is changed");
    assert_eq!(offsets.committables(), [("t".to_string(), 7, 5)]);
    for error in &errors {
        let named = error.to_string().contains(&path.display().to_string());
        assert!(named, "it names the file: {error}");
    }
    errors
}

#[test]
fn a_file_that_is_no_whole_snapshot_is_named_and_changes_nothing() {
    let folder = Folder::new("damaged");
    let path = folder.file();
    assert!(refused(&path).iter().all(SnapshotError::is_not_found), "there is none yet");
    let (ids, offsets) = (seen(), tracker());
    (0..20).for_each(|id| assert!(ids.mark_processed(id)));
    offsets.polled("orders", 3, [0, 5, 1 << 40]);
    assert!(offsets.mark_processed("orders", 3, 5));
    for bytes in [ids.snapshot(), offsets.snapshot()] {
        let damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("it can be written");
            refused(&path)
        };
        // Torn anywhere; with a tail; with a bit changed.
        for end in 0..bytes.len() {
            damaged(&bytes[..end]);
        }
        damaged(&[&bytes[..], b"tail"].concat());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            damaged(&changed);
        }
        // A block of zeros, as some file systems leave it after a crash.
        damaged(&vec![0; bytes.len()]);
        for version in [0, 1, 3, u16::MAX] {
            let mut other = bytes.clone();
            other[8..10].copy_from_slice(&version.to_le_bytes());
            for error in damaged(&other) {
                let SnapshotError::InFile { error, .. } = &error else { panic!("{error}") };
                assert_eq!(**error, SnapshotError::Version { found: version });
            }
        }
        for error in damaged(b"{\"offsets\": [1, 2, 3]}") {
            assert_eq!(error.source().expect("a cause").to_string(), "the bytes are no snapshot");
            assert!(!error.is_not_found());
        }
    }
    // Each the other's.
    ids.snapshot_to(&path).expect("it can be written");
    let error = offsets.restore_from(&path).expect_err("they are ids");
    assert!(error.to_string().contains("holds ids of u64, not offsets"), "{error}");
    offsets.snapshot_to(&path).expect("it can be written");
    assert!(ids.restore_from(&path).is_err() && ids.len() == 20);
    fs::remove_file(&path).expect("it is there");
    fs::create_dir(&path).expect("a folder");
    refused(&path);
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_old_one() {
    let folder = Folder::new("unwritable");
    let nowhere = folder.0.join("no such folder").join("state");
    let error = seen().snapshot_to(&nowhere).expect_err("there is no folder");
    assert!(error.is_not_found() && error.to_string().contains("no such folder"), "{error}");
    assert!(tracker().snapshot_to(Path::new("/")).is_err(), "no name");
    assert!(tracker().snapshot_to(Path::new("")).is_err(), "no name");
    // A folder is in the way, so the new one cannot take its place.
    fs::create_dir_all(folder.file().join("old")).expect("a folder");
    let error = tracker().snapshot_to(&folder.file()).expect_err("a folder is in the way");
    assert!(!error.is_not_found(), "{error}");
    assert_eq!(folder.names(), ["state"], "nothing is left beside it");
}

/// As at the end of an orderly run, where the periodic one may be under way.
#[test]
fn an_older_snapshot_does_not_take_the_place_of_a_newer_one() {
    /// Where writing an id waits for, once.
    static HOLD: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
    static HELD: LazyLock<(mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>)> =
        LazyLock::new(|| {
            let (send, receive) = mpsc::sync_channel(1);
            (send, Mutex::new(receive))
        });
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct Slow(u64);
    impl SnapshotId for Slow {
        fn kind() -> String {
            "slow".to_string()
        }
        fn encode(&self, out: &mut Vec<u8>) {
            let hold = HOLD.lock().expect("no panic under it").take();
            if let Some(hold) = hold {
                HELD.0.send(()).expect("the test waits");
                hold.recv().expect("the test lets it go");
            }
            self.0.encode(out);
        }
        fn decode(bytes: &mut &[u8]) -> Option<Self> {
            u64::decode(bytes).map(Slow)
        }
    }
    let folder = Folder::new("older");
    let build = || Deduplicator::<Slow>::builder().build().expect("the defaults agree");
    let ids = build();
    assert!(ids.mark_processed(Slow(1)));
    let (go, hold) = mpsc::channel();
    *HOLD.lock().expect("no panic under it") = Some(hold);
    let older = {
        let (ids, path) = (ids.clone(), folder.file());
        std::thread::spawn(move || ids.snapshot_to(&path))
    };
    HELD.1.lock().expect("no panic under it").recv().expect("it has begun");
    assert!(ids.mark_processed(Slow(2)));
    ids.snapshot_to(&folder.file()).expect("it can be written");
    go.send(()).expect("it waits");
    assert_eq!(older.join().expect("no panic"), Ok(()), "what it had is there");
    assert_eq!(build().restore_from(&folder.file()), Ok(2));
    assert_eq!(folder.names(), ["state"], "nothing is left beside it");
    // The next one is written as ever.
    assert!(ids.mark_processed(Slow(3)) && ids.snapshot_to(&folder.file()).is_ok());
    assert_eq!(build().restore_from(&folder.file()), Ok(3));
}

#[test]
fn snapshots_are_written_every_so_often() {
    let folder = Folder::new("often");
    let soon = Duration::from_millis(1);
    let ids = Deduplicator::<u64>::builder().snapshot_every(soon, folder.file()).build();
    let ids = ids.expect("the settings agree");
    let offsets = OffsetTracker::builder().snapshot_every(soon, folder.0.join("offsets")).build();
    let offsets = offsets.expect("the settings agree");
    assert!(ids.mark_processed(1) && offsets.mark_processed("t", 0, 1));
    assert!(support::eventually(|| {
        let (seen, tracker) = (seen(), tracker());
        seen.restore_from(&folder.file()).is_ok_and(|number| number == 1)
            && tracker.restore_from(&folder.0.join("offsets")).is_ok_and(|number| number == 1)
    }));
    // Counted behind that.
    let counted = || ids.metrics().snapshots > 0 && offsets.metrics().snapshots > 0;
    assert!(support::eventually(counted));
    let thresholds = Thresholds::default();
    assert!(ids.health(&thresholds).is_healthy() && offsets.health(&thresholds).is_healthy());
    let clone = ids.clone();
    support::in_time(move || drop((ids, clone, offsets)));
}

#[test]
fn snapshots_that_fail_are_told() {
    let folder = Folder::new("failing");
    let path = folder.0.join("later").join("state");
    let soon = Duration::from_millis(1);
    let ids = Deduplicator::<u64>::builder().snapshot_every(soon, path.clone()).build();
    let ids = ids.expect("the settings agree");
    let offsets = OffsetTracker::builder().snapshot_every(soon, path.with_extension("offsets"));
    let offsets = offsets.build().expect("the settings agree");
    let thresholds = Thresholds::default();
    let healths = || [ids.health(&thresholds), offsets.health(&thresholds)];
    let failing = |health: &Health| {
        health.reason(Figure::SnapshotFailures).is_some_and(|reason| reason.value >= 2.0)
    };
    assert!(support::eventually(|| healths().iter().all(failing)));
    let error = ids.last_snapshot_error().expect("it failed");
    assert!(matches!(error, SnapshotError::Io { kind: ErrorKind::NotFound, .. }), "{error}");
    assert!(offsets.last_snapshot_error().is_some());
    fs::create_dir(folder.0.join("later")).expect("a folder");
    assert!(support::eventually(|| healths().iter().all(Health::is_healthy)));
    assert!(ids.last_snapshot_error().is_none() && ids.metrics().snapshot_failures >= 2);
}

#[test]
fn a_panic_of_an_id_is_a_snapshot_that_failed() {
    static PANICS: AtomicBool = AtomicBool::new(true);
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct Brittle;
    impl SnapshotId for Brittle {
        fn kind() -> String {
            "brittle".to_string()
        }
        fn encode(&self, _: &mut Vec<u8>) {
            assert!(!PANICS.load(Ordering::Relaxed), "it is brittle");
        }
        fn decode(_: &mut &[u8]) -> Option<Self> {
            Some(Self)
        }
    }
    let folder = Folder::new("brittle");
    let ids = Deduplicator::<Brittle>::builder();
    let ids = ids.snapshot_every(Duration::from_millis(1), folder.file()).build();
    let ids = ids.expect("the settings agree");
    assert!(ids.mark_processed(Brittle));
    let failing = || ids.health(&Thresholds::default()).reason(Figure::SnapshotFailures).is_some();
    assert!(support::eventually(failing));
    let error = ids.last_snapshot_error().expect("it failed");
    assert_eq!(error, SnapshotError::Panicked { path: folder.file() });
    assert!(error.to_string().contains(&folder.file().display().to_string()), "{error}");
    PANICS.store(false, Ordering::Relaxed);
    assert!(support::eventually(|| ids.health(&Thresholds::default()).is_healthy()));
    assert!(ids.last_snapshot_error().is_none() && folder.file().exists());
}

#[test]
fn an_interval_of_zero_is_refused() {
    let ids = Deduplicator::<u64>::builder().snapshot_every(Duration::ZERO, "state").build();
    let offsets = OffsetTracker::builder().snapshot_every(Duration::ZERO, "state").build();
    for error in [ids.expect_err("zero"), offsets.expect_err("zero")] {
        assert!(
            matches!(error, SettingsError::Zero { .. }) && error.to_string().contains("snapshot")
        );
    }
}
