//! Models of an invalidation concurrent with an entry that is begun. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::thread;

use super::{Registry, Tag, TagSet, Versions};
use crate::sync::{AtomicBool, AtomicU64, Ordering, Relaxed, seeded};

/// A registry of one tag, and what values are made of.
struct Toy {
    versions: Versions,
    tag: Arc<Tag>,
    known: AtomicBool,
    source: Relaxed<AtomicU64>,
}

/// No thread asks it to forget.
struct Nobody;

impl Registry for Nobody {
    fn forget(&self, _: &Arc<Tag>) {}
}

impl Toy {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            versions: Versions::new(),
            tag: Arc::new(Tag::new("tag".into())),
            known: AtomicBool::new(false),
            source: Relaxed::<AtomicU64>::new(0),
        })
    }

    /// As it is done by an engine, with the entry's value made of the source.
    fn entry(&self) -> (TagSet, u64) {
        let early = seeded("tags-known-early").then(|| self.tag.known_since(&self.versions));
        self.known.store(true, Ordering::Release);
        let late = seeded("tags-begun-late").then(|| self.source.get());
        let mut set = TagSet::new(Arc::new(Nobody));
        set.add(Arc::clone(&self.tag));
        set.begin(&self.versions);
        if let Some(early) = early {
            set.since = early;
        }
        (set, late.unwrap_or_else(|| self.source.get()))
    }

    fn invalidate(&self) {
        let version = self.versions.advance();
        if self.known.load(Ordering::Acquire) {
            self.tag.invalidate(version);
        }
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// V1, V3: the source changes, and then the tag is invalidated. An entry that is live when both are done has the
/// new value, whether the tag was known before or not.
#[test]
fn a_live_entry_is_not_older_than_an_invalidation() {
    check(|| {
        let toy = Toy::new();
        let other = Arc::clone(&toy);
        let other = thread::spawn(move || {
            other.source.set(1);
            other.invalidate();
        });
        let (set, value) = toy.entry();
        other.join().expect("no panic");
        assert!(!set.is_live() || value == 1, "an old value has survived");
    });
}

/// V1, for a load: its version is from its beginning, and the tag becomes known at its end.
#[test]
fn a_load_is_not_kept_that_an_invalidation_may_have_passed_by() {
    check(|| {
        let toy = Toy::new();
        let other = Arc::clone(&toy);
        let other = thread::spawn(move || {
            other.source.set(1);
            other.invalidate();
        });
        let begun = toy.versions.now();
        let value = toy.source.get();
        toy.known.store(true, Ordering::Release);
        let kept = toy.tag.known_since(&toy.versions) <= begun;
        let mut set = TagSet::new(Arc::new(Nobody));
        set.add(Arc::clone(&toy.tag));
        set.since = begun;
        other.join().expect("no panic");
        assert!(!kept || !set.is_live() || value == 1, "an old value has survived");
    });
}

/// V2: of two that invalidate, the slower one takes nothing back; and an entry that was begun after one has returned
/// is not concerned by that one.
#[test]
fn an_entry_begun_after_an_invalidation_lives() {
    check(|| {
        let toy = Toy::new();
        toy.known.store(true, Ordering::Release);
        let others = [(), ()].map(|()| {
            let toy = Arc::clone(&toy);
            thread::spawn(move || toy.invalidate())
        });
        let (set, _) = toy.entry();
        let seen = set.is_live();
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert!(seen || !set.is_live(), "it has come back");
        assert!(toy.entry().0.is_live(), "begun after both");
    });
}

/// A tag that its last holder lets go of is held by another one, or is gone, and forgotten once.
#[test]
fn a_tag_is_held_or_gone() {
    check(|| {
        let tag = Arc::new(Tag::new("tag".into()));
        let other = Arc::clone(&tag);
        let other = thread::spawn(move || other.hold() && other.release());
        let forgotten = [tag.release(), other.join().expect("no panic")];
        assert!(forgotten[0] != forgotten[1], "one of both has it forgotten");
        assert!(!tag.hold(), "it is gone for good");
    });
}
