//! Checking the table's invariants at rest.

use super::bucket::BucketRef;
use super::group::Group;
use super::view::View;
use crate::entry::EntryRef;

/// What the table holds.
#[derive(Debug, Default)]
pub(crate) struct AuditedContents {
    pub(crate) entries: usize,
    pub(crate) charge: u64,
    /// Entries whose values are being loaded.
    pub(crate) placeholders: u64,
    /// The charge of the entries on probation, and of those that say that it is counted.
    pub(crate) probation: u64,
    pub(crate) counted: u64,
    /// How many say so.
    pub(crate) marked: u64,
    /// Slots on probation.
    pub(crate) young: u64,
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// Recounts the contents, and panics where an invariant does not hold. No other thread may use the
    /// table meanwhile.
    pub(crate) fn audit(&self, same: impl Fn(&K, &K) -> bool) -> AuditedContents {
        let mut contents = AuditedContents::default();
        let mut next = Some(self.current());
        while let Some(array) = next {
            let mut links = 0;
            for index in 0..array.len() {
                let bucket = BucketRef::at(array, index);
                links += bucket.chain().count();
                if !bucket.header().is_moved() {
                    self.audit_bucket(bucket, &mut contents, &same);
                }
            }
            assert_eq!(array.links.get(), links, "links");
            next = self.next(array);
        }
        contents
    }

    fn audit_bucket(
        &self,
        bucket: BucketRef<'g, K, V, X>,
        contents: &mut AuditedContents,
        same: &impl Fn(&K, &K) -> bool,
    ) {
        let mut seen: Vec<EntryRef<'g, K, V>> = Vec::new();
        let mut group = |group: &'g Group| {
            for (_, word) in group.words() {
                let meta = word.meta();
                assert_eq!(word.is_readable(), !meta.is_vacant(), "an entry and its metadata");
                assert!(word.is_readable() || word.is_vacant(), "a slot that somebody left behind");
                if word.is_readable() {
                    let entry = bucket.entry(word.number());
                    let again = |other: &EntryRef<'g, K, V>| {
                        other.hash() == entry.hash() && same(other.key(), entry.key())
                    };
                    assert!(!seen.iter().any(again), "a key that is in twice");
                    assert_eq!(
                        bucket.array.index_of(entry.hash()),
                        bucket.index(),
                        "a bucket that is not its own"
                    );
                    seen.push(entry);
                    contents.entries += usize::from(!entry.is_placeholder());
                    contents.placeholders += u64::from(entry.is_placeholder());
                    contents.charge += entry.charge();
                    contents.probation += if meta.is_protected() { 0 } else { entry.charge() };
                    contents.young += u64::from(!meta.is_protected());
                    contents.marked += u64::from(entry.is_counted());
                    contents.counted += if entry.is_counted() { entry.charge() } else { 0 };
                }
            }
        };
        group(bucket.group());
        let mut chained = 0;
        for link in bucket.chain() {
            group(&link.group);
            chained += link.group.words().filter(|(_, word)| word.is_occupied()).count();
        }
        assert!(chained == 0 || bucket.header().overflows(), "a chain that nobody looks at");
    }
}
